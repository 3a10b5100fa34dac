//! What agents say to play together: the tempo map, arrivals at a barrier, cues, answers to them, how
//! punctual an action was, what actions used, and by how much performers correct their errors.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::check::{count, name, text};
use crate::wire::Malformed;
use crate::{AgentId, Digest, limits};

/// Parts of a beat: with rates in millionths of a beat a minute and times in ns, counting in these is
/// exact, so that every replica finds the same beat at the same nanosecond.
pub const PARTS_PER_BEAT: u64 = 60_000_000_000 * 1_000_000;

/// The beats of an orchestra over the cluster's time: segments that follow one another without gap
/// or overlap, the last one steady and without end. Before the first segment the beat goes on
/// backwards at that segment's first rate.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Tempo {
    /// Which beat is under way where the first segment starts.
    pub beat: u64,
    /// How far into that beat it is, in parts ([`PARTS_PER_BEAT`]).
    pub part: u64,
    /// The segments, in order.
    pub segments: Vec<TempoSegment>,
    /// Every so many beats is a coordination point.
    pub point_every: u16,
    /// Every so many beats is a major synchronisation.
    pub major_every: u16,
}

/// A stretch of time with one law of tempo.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TempoSegment {
    /// When it starts by the cluster's clock (ns since the Unix epoch).
    pub starts_ns: u64,
    /// For how long (ns); none: until further notice.
    pub lasts_ns: Option<u64>,
    /// The rate at its start, in millionths of a beat a minute.
    pub rate_ubpm: u64,
    /// How the rate goes on from there.
    pub curve: Curve,
}

/// How a rate changes over a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Curve {
    /// It does not.
    Steady,
    /// By the same amount in the same time.
    Linear {
        /// The rate at the segment's end.
        to_ubpm: u64,
    },
    /// By the same factor in the same time.
    Exponential {
        /// The rate at the segment's end.
        to_ubpm: u64,
    },
}

/// An agent waits at a barrier until so many wait there. Who waits for another number waits at
/// another barrier of that name.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// The barrier.
    pub barrier: String,
    /// How many agents it takes.
    pub of: u16,
    /// How long after the last arrival's stamp the barrier opens, at least (ms).
    pub lead_ms: u32,
    /// How long the agent waits, from its stamp on (ms).
    pub patience_ms: u64,
}

/// Something is to be done together at a time.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Cue {
    /// What.
    pub name: String,
    /// When, by the cluster's clock (ns since the Unix epoch).
    pub target_ns: u64,
    /// By how much an action may miss that and still be in time (ms).
    pub window_ms: u32,
    /// How sure the target is, in millionths.
    pub confidence_ppm: u32,
    /// So long before the target everybody has to have answered (ms).
    pub answer_ms: u32,
    /// What is to be prepared, in words.
    pub preparation: String,
    /// Who is meant, in order; nobody: whoever wants to.
    pub parties: Vec<AgentId>,
    /// What becomes of it if not all of them are ready in time.
    pub rule: CueRule,
}

/// What becomes of a cue when somebody who is meant is not ready by the time at which all have to have
/// answered.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum CueRule {
    /// Whoever is ready goes.
    #[default]
    Go,
    /// Nobody goes: it is off.
    Wait,
}

/// An agent's answer to a cue; the latest counts.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CueAnswer {
    /// The cue's record.
    pub cue: Digest,
    /// What it says.
    pub word: CueWord,
    /// Why, in words.
    pub text: String,
}

/// What an agent says to a cue.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum CueWord {
    /// It is prepared, and will act at the target.
    Ready,
    /// The notice was too short: it does what it can.
    ShortNotice,
    /// It will not take part.
    Declined,
}

/// How punctual an action was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Played {
    /// The cue that asked for it, if one did.
    pub cue: Option<Digest>,
    /// When it should have been (ns since the Unix epoch).
    pub target_ns: u64,
    /// How much later it was by the agent's clock; less than nothing: earlier (ns).
    pub late_ns: i64,
    /// By how much that clock may have been off, three sigma (ns).
    pub unsure_ns: u64,
}

/// What an agent has used, over a stretch of its actions, of what was allotted to it for these.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// Of what.
    pub resource: Resource,
    /// When the last of these actions should have been (ns since the Unix epoch).
    pub until_ns: u64,
    /// How many actions these were.
    pub actions: u32,
    /// How much was used, in the resource's unit.
    pub used: u64,
    /// How much was allotted, in the same.
    pub allotted: u64,
}

/// What agents use. The list is closed, so that what is kept of an agent is bounded.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Resource {
    /// Time of processors (ms).
    CpuMs,
    /// Memory, the most at one time (MiB).
    MemoryMib,
    /// What was written to disks (MiB).
    DiskMib,
    /// What went over networks, there and back (KiB).
    NetworkKib,
    /// Tokens of language models, read and written.
    Tokens,
    /// Calls of services outside.
    Calls,
}

/// An agent performs: by how much it corrects its errors, and for how long this word holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Performs {
    /// By which rule it corrects them.
    pub rule: CorrectionRule,
    /// Its phase gain: by which share of an error (millionths of it) the next action is moved.
    pub phase_ppm: u32,
    /// Its period gain: by which share of the mean error of ten actions (millionths of it) the next ten are moved.
    pub period_ppm: u32,
    /// For how long it counts as performing unless it says so anew (ms); 0: it performs no more.
    pub holds_ms: u32,
}

/// By which rule errors are corrected.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum CorrectionRule {
    /// They are not.
    None,
    /// A quarter and a tenth, whatever the ensemble.
    Seed,
    /// The gains that are best for the players and the delay of the feedback.
    Best,
    /// What stays is told from chance. Its phase gain is the share of its latest error that it took for what
    /// stays.
    Kalman,
}

impl Tempo {
    /// Whether it is a tempo map at all.
    ///
    /// # Errors
    /// The rule that it breaks: no segments or too many, a rate of zero or outside the limits, a
    /// segment without end that is not the last, a last one with an end or with a curve, a gap, an
    /// overlap, a curve that is too long, points every zero beats.
    pub fn check(&self) -> Result<(), Malformed> {
        let wrong = |words| Err(Malformed::Contradiction(words));
        let Some(last) = self.segments.last() else {
            return wrong("a tempo map without segments has no beat");
        };
        count(
            "segments of the tempo map",
            self.segments.len(),
            limits::TEMPO_SEGMENTS_MAX,
        )?;
        if self.point_every == 0 || self.major_every == 0 {
            return wrong("a point every zero beats is never reached: at least every beat");
        }
        if self.part >= PARTS_PER_BEAT || self.beat > limits::BEAT_MAX {
            return Err(Malformed::Limit("first beat of the tempo map"));
        }
        if last.lasts_ns.is_some() || last.curve != Curve::Steady {
            return wrong("the last segment of a tempo map has to be steady and without end");
        }
        self.segments.iter().try_for_each(TempoSegment::check)?;
        for pair in self.segments.windows(2) {
            let Some(lasts_ns) = pair[0].lasts_ns else {
                return wrong("a segment without end overlaps the one after it");
            };
            let ends_ns = pair[0].starts_ns.saturating_add(lasts_ns);
            if ends_ns > pair[1].starts_ns {
                return wrong("two segments of the tempo map overlap");
            }
            if ends_ns < pair[1].starts_ns {
                return wrong("there is a gap between two segments of the tempo map");
            }
        }
        Ok(())
    }
}

impl TempoSegment {
    fn check(&self) -> Result<(), Malformed> {
        let (curved, to_ubpm) = match self.curve {
            Curve::Steady => (false, self.rate_ubpm),
            Curve::Linear { to_ubpm } | Curve::Exponential { to_ubpm } => (true, to_ubpm),
        };
        if self.rate_ubpm == 0 || to_ubpm == 0 {
            return Err(Malformed::Contradiction(
                "at a rate of zero the next beat never comes",
            ));
        }
        let rates = limits::TEMPO_UBPM;
        if !rates.contains(&self.rate_ubpm) || !rates.contains(&to_ubpm) {
            return Err(Malformed::Limit(
                "rate of the tempo (0.1 to 6000 beats a minute)",
            ));
        }
        if self.starts_ns > limits::TIME_NS_MAX {
            return Err(Malformed::Limit("start of a segment of the tempo map"));
        }
        match self.lasts_ns {
            Some(0) => Err(Malformed::Contradiction(
                "a segment of no length has no tempo",
            )),
            Some(lasts_ns) if curved && lasts_ns > limits::CURVE_NS_MAX => {
                Err(Malformed::Limit("length of a curve of the tempo (a day)"))
            }
            Some(lasts_ns) if lasts_ns > limits::TIME_NS_MAX => {
                Err(Malformed::Limit("length of a segment of the tempo map"))
            }
            _ => Ok(()),
        }
    }
}

impl Arrival {
    /// Whether it is within its limits.
    ///
    /// # Errors
    /// The field that is not.
    pub fn check(&self) -> Result<(), Malformed> {
        name("barrier", &self.barrier)?;
        if self.of == 0 || self.of > limits::PARTIES_MAX {
            return Err(Malformed::Limit(
                "number of agents at the barrier (1 to 1024)",
            ));
        }
        if self.lead_ms > limits::LEAD_MS_MAX {
            return Err(Malformed::Limit("lead of the barrier (an hour)"));
        }
        if self.patience_ms == 0 || self.patience_ms > limits::PATIENCE_MS_MAX {
            return Err(Malformed::Limit("patience at the barrier (1 ms to a day)"));
        }
        Ok(())
    }
}

impl Cue {
    /// Whether it is within its limits.
    ///
    /// # Errors
    /// The field that is not.
    pub fn check(&self) -> Result<(), Malformed> {
        name("cue", &self.name)?;
        text("preparation", &self.preparation, limits::TEXT_BYTES_MAX)?;
        count("parties", self.parties.len(), limits::CUE_PARTIES_MAX)?;
        if !self.parties.is_sorted_by(|one, next| one < next) {
            return Err(Malformed::NotCanonical);
        }
        if self.target_ns == 0 || self.target_ns > limits::TIME_NS_MAX {
            return Err(Malformed::Limit("target of the cue"));
        }
        if self.rule == CueRule::Wait && self.parties.is_empty() {
            return Err(Malformed::Contradiction(
                "a cue that waits for all names nobody to wait for",
            ));
        }
        if self.confidence_ppm > 1_000_000 {
            return Err(Malformed::Limit("confidence of the cue"));
        }
        if self.window_ms > limits::LEAD_MS_MAX || self.answer_ms > limits::LEAD_MS_MAX {
            return Err(Malformed::Limit(
                "window or time to answer of the cue (an hour)",
            ));
        }
        Ok(())
    }
}

impl CueAnswer {
    /// Whether it is within its limits.
    ///
    /// # Errors
    /// The field that is not.
    pub fn check(&self) -> Result<(), Malformed> {
        text("answer", &self.text, limits::REASON_BYTES_MAX)
    }
}

impl Played {
    /// Whether it is within its limits.
    ///
    /// # Errors
    /// The field that is not.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.target_ns == 0 || self.target_ns > limits::TIME_NS_MAX {
            return Err(Malformed::Limit("target of the action"));
        }
        if self.late_ns.unsigned_abs() > limits::CURVE_NS_MAX {
            return Err(Malformed::Limit("lateness of the action (a day)"));
        }
        Ok(())
    }
}

impl Used {
    /// Whether it is within its limits.
    ///
    /// # Errors
    /// The field that is not.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.until_ns == 0 || self.until_ns > limits::TIME_NS_MAX {
            return Err(Malformed::Limit("end of the stretch of actions"));
        }
        if self.actions == 0 || self.actions > limits::USED_ACTIONS_MAX {
            return Err(Malformed::Limit(
                "number of actions that used something (1 to 1,000,000)",
            ));
        }
        if self.allotted == 0 {
            return Err(Malformed::Contradiction(
                "of nothing that is allotted no share can be used",
            ));
        }
        if self.used > limits::USED_MAX || self.allotted > limits::USED_MAX {
            return Err(Malformed::Limit("amount of a resource (2^50)"));
        }
        Ok(())
    }
}

impl Performs {
    /// Whether it is within its limits.
    ///
    /// # Errors
    /// The field that is not.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.phase_ppm > limits::GAIN_PPM_MAX || self.period_ppm > limits::GAIN_PPM_MAX {
            return Err(Malformed::Limit("gain (2,000,000 millionths)"));
        }
        if self.rule == CorrectionRule::None && (self.phase_ppm, self.period_ppm) != (0, 0) {
            return Err(Malformed::Contradiction(
                "who corrects no error has no gains",
            ));
        }
        if self.holds_ms > limits::PERFORMS_MS_MAX {
            return Err(Malformed::Limit(
                "time for which an agent performs by one word (an hour)",
            ));
        }
        Ok(())
    }

    /// Whether by this word, said at one time, its agent performs at another (ns since the Unix epoch).
    pub fn holds(&self, said_ns: u64, at_ns: u64) -> bool {
        let holds_ns = u64::from(self.holds_ms) * 1_000_000;
        holds_ns > 0 && at_ns <= said_ns.saturating_add(holds_ns)
    }
}

impl Resource {
    /// Its name, with its unit, as lists and errors show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CpuMs => "cpu_ms",
            Self::MemoryMib => "memory_mib",
            Self::DiskMib => "disk_mib",
            Self::NetworkKib => "network_kib",
            Self::Tokens => "tokens",
            Self::Calls => "calls",
        }
    }
}
