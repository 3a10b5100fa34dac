//! What agents ask for to play together, as JSON: tempo, arrivals, cues, answers, punctuality.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unisono_model::{
    AgentId, Arrival, Cue, CueAnswer, CueRule, CueWord, Curve, Digest, Performs, Played, Tempo,
    TempoSegment, Used,
};
use utoipa::ToSchema;

use super::words::{CorrectionWord, ResourceWord};

/// A whole number of up to 64 bits as decimal digits: JSON numbers do not hold that many
/// everywhere. Small ones are read as numbers too.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Digits(pub u64);

/// Beats a minute: a number above nothing, kept to a millionth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bpm {
    /// Millionths of a beat a minute.
    pub ubpm: u64,
}

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Digits;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("decimal digits below 2^64")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Digits, E> {
                text.parse()
                    .map(Digits)
                    .map_err(|_| E::custom(format!("{text:?} is no decimal digits below 2^64")))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Digits, E> {
                Ok(Digits(number))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl Serialize for Bpm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.ubpm as f64 / 1e6)
    }
}

impl<'de> Deserialize<'de> for Bpm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bpm = f64::deserialize(deserializer)?;
        Self::of(bpm).ok_or_else(|| {
            D::Error::custom(format!(
                "a tempo of {bpm} beats a minute: it has to be a number above 0"
            ))
        })
    }
}

impl Bpm {
    /// So many beats a minute; none for what is no number above zero.
    pub fn of(bpm: f64) -> Option<Self> {
        let ubpm = (bpm * 1e6).round();
        let holds = ubpm.is_finite() && (1.0..9e15).contains(&ubpm);
        holds.then_some(Self { ubpm: ubpm as u64 })
    }
}

/// Sets the tempo map; the latest by stamp stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TempoBody {
    /// Which beat is under way where the first segment starts.
    pub beat: u64,
    /// How far into that beat it is, in parts: 60 000 000 000 000 000 of them are a beat.
    #[schema(value_type = String)]
    pub part: Digits,
    /// Segments that follow one another without gap or overlap; the last one steady and without end.
    pub segments: Vec<SegmentBody>,
    /// Every so many beats is a coordination point; 4 if left out.
    #[serde(default = "four")]
    pub point_every: u16,
    /// Every so many beats is a major synchronisation; 64 if left out.
    #[serde(default = "sixty_four")]
    pub major_every: u16,
}

/// A stretch of time with one law of tempo.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentBody {
    /// When it starts by the cluster's clock (ns since the Unix epoch).
    #[schema(value_type = String)]
    pub starts_ns: Digits,
    /// For how long (ns); until further notice if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub lasts_ns: Option<Digits>,
    /// The rate at its start, beats a minute.
    #[schema(value_type = f64)]
    pub bpm: Bpm,
    /// How the rate goes on from there; `"steady"` if left out.
    #[serde(default)]
    pub curve: CurveBody,
}

/// How a rate changes over a segment: `"steady"`, or `{"linear": {"to_bpm": 90}}`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CurveBody {
    /// It does not.
    #[default]
    Steady,
    /// By the same amount in the same time.
    Linear {
        /// The rate at the segment's end, beats a minute.
        #[schema(value_type = f64)]
        to_bpm: Bpm,
    },
    /// By the same factor in the same time.
    Exponential {
        /// The rate at the segment's end, beats a minute.
        #[schema(value_type = f64)]
        to_bpm: Bpm,
    },
}

/// Waits at a barrier until so many wait there.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArriveBody {
    /// The barrier.
    pub barrier: String,
    /// How many agents it takes.
    pub of: u16,
    /// How long after the last arrival it opens at the earliest (ms); half a second and three round
    /// trips if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_ms: Option<u32>,
    /// How long the agent waits (ms); ten minutes if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience_ms: Option<u64>,
}

/// Something is to be done together at a time.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CueBody {
    /// What.
    pub name: String,
    /// When, by the cluster's clock (ns since the Unix epoch); left out or 0: as soon as those who are
    /// meant (everybody, where nobody is) can be ready by how long they took so far.
    #[serde(default)]
    #[schema(value_type = String)]
    pub target_ns: Digits,
    /// By how much an action may miss that and still be in time (ms); left out or 0: what those who are meant
    /// need by how their actions spread and how sure their clocks are, and by how badly the time is known.
    #[serde(default)]
    pub window_ms: u32,
    /// How sure the target is, in millionths; sure if left out.
    #[serde(default = "sure")]
    pub confidence_ppm: u32,
    /// So long before the target everybody has to have answered (ms). A cue that waits for all gets
    /// half a second and three round trips, if left out.
    #[serde(default)]
    pub answer_ms: u32,
    /// What is to be prepared.
    #[serde(default)]
    pub preparation: String,
    /// Who is meant, by keys; whoever wants to if left out.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub parties: Vec<AgentId>,
    /// What becomes of it if not all of them are ready in time; `go` if left out.
    #[serde(default)]
    pub rule: CueRuleWord,
}

/// What becomes of a cue when somebody who is meant is not ready in time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CueRuleWord {
    /// Whoever is ready goes.
    #[default]
    Go,
    /// Nobody goes: it is off.
    Wait,
}

/// An answer to a cue.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerBody {
    /// The cue's record.
    #[schema(value_type = String)]
    pub cue: Digest,
    /// What the agent says.
    pub word: CueAnswerWord,
    /// Why.
    #[serde(default)]
    pub text: String,
}

/// What an agent says to a cue.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CueAnswerWord {
    /// It is prepared.
    Ready,
    /// The notice was too short: it does what it can.
    ShortNotice,
    /// It will not take part.
    Declined,
}

/// How punctual an action was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlayedBody {
    /// The cue that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub cue: Option<Digest>,
    /// When it should have been (ns since the Unix epoch).
    #[schema(value_type = String)]
    pub target_ns: Digits,
    /// How much later it was by the agent's clock; less than nothing: earlier (ns).
    pub late_ns: i64,
    /// By how much that clock may have been off, three sigma (ns).
    #[serde(default)]
    pub unsure_ns: u64,
}

/// What an agent has used, over a stretch of its actions, of what was allotted to it for these.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsedBody {
    /// Of what, with its unit.
    pub resource: ResourceWord,
    /// When the last of these actions should have been (ns since the Unix epoch).
    #[schema(value_type = String)]
    pub until_ns: Digits,
    /// How many actions these were: 1 to 1000000.
    #[serde(default = "one_action")]
    pub actions: u32,
    /// How much was used: up to 2^50.
    pub used: u64,
    /// How much was allotted: 1 to 2^50.
    pub allotted: u64,
}

/// An agent performs: by how much it corrects its errors, and for how long this word holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PerformsBody {
    /// By which rule it corrects them.
    pub rule: CorrectionWord,
    /// Its phase gain: by which share of an error (millionths, up to two) the next action is moved.
    #[serde(default)]
    pub phase_ppm: u32,
    /// Its period gain: by which share of the mean error of ten actions the next ten are moved.
    #[serde(default)]
    pub period_ppm: u32,
    /// For how long it counts as performing unless it says so anew (ms, up to an hour); 0: it performs no more.
    pub holds_ms: u32,
}

fn one_action() -> u32 {
    1
}

fn four() -> u16 {
    4
}

fn sixty_four() -> u16 {
    64
}

fn sure() -> u32 {
    1_000_000
}

impl From<TempoBody> for Tempo {
    fn from(body: TempoBody) -> Self {
        let segment = |one: SegmentBody| TempoSegment {
            starts_ns: one.starts_ns.0,
            lasts_ns: one.lasts_ns.map(|digits| digits.0),
            rate_ubpm: one.bpm.ubpm,
            curve: match one.curve {
                CurveBody::Steady => Curve::Steady,
                CurveBody::Linear { to_bpm } => Curve::Linear {
                    to_ubpm: to_bpm.ubpm,
                },
                CurveBody::Exponential { to_bpm } => Curve::Exponential {
                    to_ubpm: to_bpm.ubpm,
                },
            },
        };
        Self {
            beat: body.beat,
            part: body.part.0,
            segments: body.segments.into_iter().map(segment).collect(),
            point_every: body.point_every,
            major_every: body.major_every,
        }
    }
}

impl From<Tempo> for TempoBody {
    fn from(tempo: Tempo) -> Self {
        let segment = |one: TempoSegment| SegmentBody {
            starts_ns: Digits(one.starts_ns),
            lasts_ns: one.lasts_ns.map(Digits),
            bpm: Bpm {
                ubpm: one.rate_ubpm,
            },
            curve: match one.curve {
                Curve::Steady => CurveBody::Steady,
                Curve::Linear { to_ubpm } => CurveBody::Linear {
                    to_bpm: Bpm { ubpm: to_ubpm },
                },
                Curve::Exponential { to_ubpm } => CurveBody::Exponential {
                    to_bpm: Bpm { ubpm: to_ubpm },
                },
            },
        };
        Self {
            beat: tempo.beat,
            part: Digits(tempo.part),
            segments: tempo.segments.into_iter().map(segment).collect(),
            point_every: tempo.point_every,
            major_every: tempo.major_every,
        }
    }
}

impl From<ArriveBody> for Arrival {
    fn from(body: ArriveBody) -> Self {
        Self {
            barrier: body.barrier,
            of: body.of,
            lead_ms: body.lead_ms.unwrap_or_default(),
            patience_ms: body.patience_ms.unwrap_or_default(),
        }
    }
}

impl From<Arrival> for ArriveBody {
    fn from(arrival: Arrival) -> Self {
        Self {
            barrier: arrival.barrier,
            of: arrival.of,
            lead_ms: Some(arrival.lead_ms),
            patience_ms: Some(arrival.patience_ms),
        }
    }
}

impl From<CueBody> for Cue {
    fn from(body: CueBody) -> Self {
        let mut parties = body.parties;
        parties.sort_unstable();
        parties.dedup();
        Self {
            name: body.name,
            target_ns: body.target_ns.0,
            window_ms: body.window_ms,
            confidence_ppm: body.confidence_ppm,
            answer_ms: body.answer_ms,
            preparation: body.preparation,
            parties,
            rule: match body.rule {
                CueRuleWord::Go => CueRule::Go,
                CueRuleWord::Wait => CueRule::Wait,
            },
        }
    }
}

impl From<Cue> for CueBody {
    fn from(cue: Cue) -> Self {
        Self {
            name: cue.name,
            target_ns: Digits(cue.target_ns),
            window_ms: cue.window_ms,
            confidence_ppm: cue.confidence_ppm,
            answer_ms: cue.answer_ms,
            preparation: cue.preparation,
            parties: cue.parties,
            rule: match cue.rule {
                CueRule::Go => CueRuleWord::Go,
                CueRule::Wait => CueRuleWord::Wait,
            },
        }
    }
}

impl From<CueWord> for CueAnswerWord {
    fn from(word: CueWord) -> Self {
        match word {
            CueWord::Ready => Self::Ready,
            CueWord::ShortNotice => Self::ShortNotice,
            CueWord::Declined => Self::Declined,
        }
    }
}

impl From<CueAnswerWord> for CueWord {
    fn from(word: CueAnswerWord) -> Self {
        match word {
            CueAnswerWord::Ready => Self::Ready,
            CueAnswerWord::ShortNotice => Self::ShortNotice,
            CueAnswerWord::Declined => Self::Declined,
        }
    }
}

impl From<AnswerBody> for CueAnswer {
    fn from(body: AnswerBody) -> Self {
        let word = body.word.into();
        let AnswerBody { cue, text, .. } = body;
        Self { cue, word, text }
    }
}

impl From<CueAnswer> for AnswerBody {
    fn from(answer: CueAnswer) -> Self {
        let word = answer.word.into();
        let CueAnswer { cue, text, .. } = answer;
        Self { cue, word, text }
    }
}

impl From<PlayedBody> for Played {
    fn from(body: PlayedBody) -> Self {
        Self {
            cue: body.cue,
            target_ns: body.target_ns.0,
            late_ns: body.late_ns,
            unsure_ns: body.unsure_ns,
        }
    }
}

impl From<Played> for PlayedBody {
    fn from(played: Played) -> Self {
        Self {
            cue: played.cue,
            target_ns: Digits(played.target_ns),
            late_ns: played.late_ns,
            unsure_ns: played.unsure_ns,
        }
    }
}

impl From<UsedBody> for Used {
    fn from(body: UsedBody) -> Self {
        Self {
            resource: body.resource.into(),
            until_ns: body.until_ns.0,
            actions: body.actions,
            used: body.used,
            allotted: body.allotted,
        }
    }
}

impl From<Used> for UsedBody {
    fn from(used: Used) -> Self {
        Self {
            resource: used.resource.into(),
            until_ns: Digits(used.until_ns),
            actions: used.actions,
            used: used.used,
            allotted: used.allotted,
        }
    }
}

impl From<PerformsBody> for Performs {
    fn from(body: PerformsBody) -> Self {
        Self {
            rule: body.rule.into(),
            phase_ppm: body.phase_ppm,
            period_ppm: body.period_ppm,
            holds_ms: body.holds_ms,
        }
    }
}

impl From<Performs> for PerformsBody {
    fn from(performs: Performs) -> Self {
        Self {
            rule: performs.rule.into(),
            phase_ppm: performs.phase_ppm,
            period_ppm: performs.period_ppm,
            holds_ms: performs.holds_ms,
        }
    }
}
