//! The tempo map: which beat it is at a time, and when a beat comes. Integers throughout, so that
//! every node finds the same nanosecond.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::wire::Malformed;
use unisono_model::{Curve, PARTS_PER_BEAT, Tempo, TempoSegment};

use super::limits::{BEATS_APART_PARTS, CURVE_HALVINGS};

const PARTS: i128 = PARTS_PER_BEAT as i128;

/// Where the music is: so many whole beats, and parts of the next.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// The beat that is under way; less than nothing before beat 0.
    pub beat: i64,
    /// How far into it, in parts ([`PARTS_PER_BEAT`]).
    pub part: u64,
}

/// What kind of beat it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Stress {
    /// An ordinary one.
    Beat,
    /// A coordination point.
    Point,
    /// A major synchronisation.
    Major,
}

/// A beat and when it comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Beat {
    /// Its number.
    pub number: i64,
    /// When it comes by the cluster's clock (ns since the Unix epoch).
    pub at_ns: u64,
    /// What kind it is.
    pub stress: Stress,
}

/// A change of tempo that is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    /// When it begins (ns since the Unix epoch).
    pub at_ns: u64,
    /// The rate that it comes to, millionths of a beat a minute.
    pub to_ubpm: u64,
    /// How long it takes (ns); nothing: a step.
    pub over_ns: u64,
    /// By equal factors instead of equal amounts.
    pub exponential: bool,
}

/// Why a tempo cannot be. Nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TempoError {
    /// It is no tempo map.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It would begin while another change is under way.
    #[error("the tempo is changing until {ends_ns} ns: let the next change begin then or later")]
    CurveUnderWay {
        /// When that ends.
        ends_ns: u64,
    },
    /// It would begin before the moment that it is asked for.
    #[error("the change begins {past_ns} ns ago: what has been played cannot be changed")]
    Past {
        /// How long ago.
        past_ns: u64,
    },
}

/// A stretch in which the rate changes evenly.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Piece {
    starts_ns: i128,
    /// Parts of beats since beat 0 at its start.
    starts: i128,
    rate: i128,
    to: i128,
    /// None: without end, and steady.
    lasts_ns: Option<i128>,
}

/// The beats over the cluster's time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TempoMap {
    tempo: Tempo,
    pieces: Vec<Piece>,
}

impl Piece {
    /// Parts of beats since its start.
    fn reached(&self, elapsed_ns: i128) -> i128 {
        match self.lasts_ns {
            // Before the first segment the beat goes on backwards, at one rate.
            Some(lasts_ns) if self.to != self.rate && elapsed_ns > 0 => {
                let bend = (self.to - self.rate) * elapsed_ns * elapsed_ns;
                self.rate * elapsed_ns + bend.div_euclid(2 * lasts_ns)
            }
            _ => self.rate * elapsed_ns,
        }
    }

    fn rate_at(&self, elapsed_ns: i128) -> i128 {
        match self.lasts_ns {
            Some(lasts_ns) if elapsed_ns > 0 => {
                self.rate + ((self.to - self.rate) * elapsed_ns).div_euclid(lasts_ns)
            }
            _ => self.rate,
        }
    }

    /// After how long (ns) so many parts are reached: the first nanosecond at which they are.
    fn reaches(&self, parts: i128) -> i128 {
        if let Some(lasts_ns) = self.lasts_ns
            && self.to != self.rate
            && parts > 0
        {
            let (mut below, mut at) = (0, lasts_ns);
            while at - below > 1 {
                let middle = below + (at - below) / 2;
                if self.reached(middle) < parts {
                    below = middle;
                } else {
                    at = middle;
                }
            }
            return at;
        }
        parts.div_euclid(self.rate) + i128::from(parts.rem_euclid(self.rate) > 0)
    }

    /// Whether another piece goes on as this one does, wherever both are.
    fn is_as(&self, other: &Self, at_ns: i128) -> bool {
        let bend = |one: &Self| match one.lasts_ns {
            Some(lasts_ns) => (one.to - one.rate, lasts_ns),
            None => (0, 1),
        };
        let ((mine, my_ns), (theirs, their_ns)) = (bend(self), bend(other));
        let rates = self.rate_at(at_ns - self.starts_ns) == other.rate_at(at_ns - other.starts_ns);
        rates && mine * their_ns == theirs * my_ns
    }
}

impl TempoMap {
    /// A map of what an orchestra has said.
    ///
    /// # Errors
    /// The rule that it breaks ([`Tempo::check`]).
    pub fn new(tempo: Tempo) -> Result<Self, Malformed> {
        tempo.check()?;
        let mut pieces = Vec::new();
        let mut starts = i128::from(tempo.beat) * PARTS + i128::from(tempo.part);
        for segment in &tempo.segments {
            for piece in pieces_of(segment, starts) {
                if let Some(lasts_ns) = piece.lasts_ns {
                    starts = piece.starts + piece.reached(lasts_ns);
                }
                pieces.push(piece);
            }
        }
        Ok(Self { tempo, pieces })
    }

    /// What it was made from.
    pub fn tempo(&self) -> &Tempo {
        &self.tempo
    }

    /// From when on it says how it goes (ns since the Unix epoch); before, nobody knows any more.
    pub fn begins_ns(&self) -> u64 {
        self.tempo.segments.first().map_or(0, |one| one.starts_ns)
    }

    /// Where the music is at a time (ns since the Unix epoch).
    pub fn position(&self, at_ns: u64) -> Position {
        let parts = self.parts(i128::from(at_ns));
        Position {
            beat: i64::try_from(parts.div_euclid(PARTS)).unwrap_or(i64::MAX),
            part: parts.rem_euclid(PARTS) as u64,
        }
    }

    /// The rate at a time, millionths of a beat a minute.
    pub fn rate_ubpm(&self, at_ns: u64) -> u64 {
        let at_ns = i128::from(at_ns);
        let piece = self.piece(at_ns);
        piece.rate_at(at_ns - piece.starts_ns) as u64
    }

    /// When a beat comes (ns since the Unix epoch): the first nanosecond at which it is reached.
    /// None: outside the time that can be told.
    pub fn time(&self, beat: i64) -> Option<u64> {
        let parts = i128::from(beat) * PARTS;
        let after = self.pieces.partition_point(|piece| piece.starts < parts);
        let piece = self.pieces.get(after.saturating_sub(1))?;
        let at_ns = piece.starts_ns + piece.reaches(parts - piece.starts);
        u64::try_from(at_ns).ok()
    }

    /// The first beat after a time that is a multiple of `every`.
    pub fn next(&self, after_ns: u64, every: u16) -> Option<Beat> {
        let every = i64::from(every.max(1));
        let reached = self.position(after_ns).beat;
        let number = reached
            .div_euclid(every)
            .checked_add(1)?
            .checked_mul(every)?;
        let at_ns = self.time(number)?;
        Some(Beat {
            number,
            at_ns,
            stress: self.stress(number),
        })
    }

    /// What kind of beat one is.
    pub fn stress(&self, beat: i64) -> Stress {
        let every = |count: u16| beat.rem_euclid(i64::from(count)) == 0;
        if every(self.tempo.major_every) {
            Stress::Major
        } else if every(self.tempo.point_every) {
            Stress::Point
        } else {
            Stress::Beat
        }
    }

    /// From when on another map is a different one, at or after a time (ns since the Unix epoch).
    /// None: never.
    pub fn parts_from(&self, other: &Self, from_ns: u64) -> Option<u64> {
        let from = i128::from(from_ns);
        if (self.parts(from) - other.parts(from)).abs() > i128::from(BEATS_APART_PARTS) {
            return Some(from_ns);
        }
        let pieces = self.pieces.iter().chain(&other.pieces);
        let mut bounds: Vec<i128> = pieces.map(|piece| piece.starts_ns).collect();
        bounds.push(from);
        bounds.retain(|at_ns| *at_ns >= from);
        bounds.sort_unstable();
        let differs = |at_ns: &i128| !self.piece(*at_ns).is_as(other.piece(*at_ns), *at_ns);
        let at_ns = bounds.into_iter().find(differs)?;
        u64::try_from(at_ns).ok()
    }

    /// The map with a change, made at a time (ns since the Unix epoch). What was before is dropped,
    /// and so is what was planned for after the change.
    ///
    /// # Errors
    /// A change that would begin in the past or on a curve, and what [`Tempo::check`] refuses.
    pub fn changed(&self, now_ns: u64, change: Change) -> Result<Tempo, TempoError> {
        if change.at_ns < now_ns {
            let past_ns = now_ns - change.at_ns;
            return Err(TempoError::Past { past_ns });
        }
        let begun = |at_ns: u64| {
            let after = |one: &&TempoSegment| one.starts_ns <= at_ns;
            self.tempo.segments.iter().take_while(after).count().max(1) - 1
        };
        let (first, last) = (begun(now_ns), begun(change.at_ns));
        let mut segments: Vec<TempoSegment> = self.tempo.segments[first..=last].to_vec();
        let under_way = segments.last_mut().ok_or(Malformed::Undecodable)?;
        // A map may begin after the change: then it begins with it.
        let starts_ns = under_way.starts_ns.min(change.at_ns);
        let rate_ubpm = under_way.rate_ubpm;
        if under_way.curve != Curve::Steady {
            let ends_ns = under_way.starts_ns + under_way.lasts_ns.unwrap_or_default();
            return Err(TempoError::CurveUnderWay { ends_ns });
        }
        under_way.starts_ns = starts_ns;
        under_way.lasts_ns = Some(change.at_ns - starts_ns);
        if change.at_ns == starts_ns {
            segments.pop();
        }
        let starts_ns = segments.first().map_or(change.at_ns, |one| one.starts_ns);
        let origin = self.parts(i128::from(starts_ns));
        segments.extend(change.segments(rate_ubpm));
        let tempo = Tempo {
            beat: u64::try_from(origin.div_euclid(PARTS)).unwrap_or(0),
            part: origin.rem_euclid(PARTS) as u64,
            segments,
            ..self.tempo.clone()
        };
        tempo.check()?;
        Ok(tempo)
    }

    fn piece(&self, at_ns: i128) -> &Piece {
        let after = self
            .pieces
            .partition_point(|piece| piece.starts_ns <= at_ns);
        &self.pieces[after.saturating_sub(1)]
    }

    fn parts(&self, at_ns: i128) -> i128 {
        let piece = self.piece(at_ns);
        piece.starts + piece.reached(at_ns - piece.starts_ns)
    }
}

impl Default for TempoMap {
    /// Two beats a second since the Unix epoch, a coordination point every 4, a major
    /// synchronisation every 64: what is played where nobody has set a tempo (TIME-3).
    fn default() -> Self {
        let tempo = Tempo {
            beat: 0,
            part: 0,
            segments: alloc::vec![TempoSegment {
                starts_ns: 0,
                lasts_ns: None,
                rate_ubpm: super::limits::TEMPO_UBPM_DEFAULT,
                curve: Curve::Steady,
            }],
            point_every: super::limits::POINT_EVERY_DEFAULT,
            major_every: super::limits::MAJOR_EVERY_DEFAULT,
        };
        Self::new(tempo).expect("a steady segment without end is a tempo map")
    }
}

impl Change {
    fn segments(&self, rate_ubpm: u64) -> impl Iterator<Item = TempoSegment> {
        let to_ubpm = self.to_ubpm;
        let curve = if self.exponential {
            Curve::Exponential { to_ubpm }
        } else {
            Curve::Linear { to_ubpm }
        };
        let bend = (self.over_ns > 0).then_some(TempoSegment {
            starts_ns: self.at_ns,
            lasts_ns: Some(self.over_ns),
            rate_ubpm,
            curve,
        });
        let rest = TempoSegment {
            starts_ns: self.at_ns.saturating_add(self.over_ns),
            lasts_ns: None,
            rate_ubpm: to_ubpm,
            curve: Curve::Steady,
        };
        bend.into_iter().chain([rest])
    }
}

/// A segment in pieces. An exponential curve is 64 straight ones between rates that are geometric
/// means, found by integer roots: it is defined so, and the same everywhere.
fn pieces_of(segment: &TempoSegment, starts: i128) -> Vec<Piece> {
    let one = Piece {
        starts_ns: i128::from(segment.starts_ns),
        starts,
        rate: i128::from(segment.rate_ubpm),
        to: i128::from(segment.rate_ubpm),
        lasts_ns: segment.lasts_ns.map(i128::from),
    };
    match segment.curve {
        Curve::Steady => alloc::vec![one],
        Curve::Linear { to_ubpm } => {
            let to = i128::from(to_ubpm);
            alloc::vec![Piece { to, ..one }]
        }
        Curve::Exponential { to_ubpm } => {
            let mut rates = alloc::vec![u128::from(segment.rate_ubpm), u128::from(to_ubpm)];
            for _ in 0..CURVE_HALVINGS {
                let means = rates.windows(2).map(|pair| (pair[0] * pair[1]).isqrt());
                let means: Vec<u128> = means.collect();
                let halved = rates
                    .iter()
                    .zip(&means)
                    .flat_map(|(rate, mean)| [*rate, *mean]);
                rates = halved.chain(rates.last().copied()).collect();
            }
            bent(&one, &rates)
        }
    }
}

fn bent(whole: &Piece, rates: &[u128]) -> Vec<Piece> {
    let count = rates.len().saturating_sub(1) as i128;
    let lasts_ns = whole.lasts_ns.unwrap_or_default();
    let mut starts = whole.starts;
    let mut pieces = Vec::new();
    for (index, pair) in rates.windows(2).enumerate() {
        let from_ns = lasts_ns * index as i128 / count;
        let long_ns = lasts_ns * (index as i128 + 1) / count - from_ns;
        if long_ns == 0 {
            continue;
        }
        let piece = Piece {
            starts_ns: whole.starts_ns + from_ns,
            starts,
            rate: pair[0].cast_signed(),
            to: pair[1].cast_signed(),
            lasts_ns: Some(long_ns),
        };
        starts += piece.reached(long_ns);
        pieces.push(piece);
    }
    pieces
}
