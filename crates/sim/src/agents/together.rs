//! What an agent does together with others: waits at barriers, gives cues and answers them, tells how
//! punctual it was, what it used and how it performs, changes the tempo.

use std::collections::BTreeSet;

use unisono_core::ensemble::{Change, TempoMap};
use unisono_core::node::Question;
use unisono_core::orchestra::view::{CueView, TempoView};
use unisono_model::{
    Action, AgentId, Arrival, CorrectionRule, Cue, CueAnswer, CueRule, CueWord, Digest, Held,
    Performs, Played, Resource, Used,
};

use super::{Agent, Wish};
use crate::clock::EPOCH_NS;

/// No round trip is longer in these worlds, so that no lead is too short (ms).
const LEAD_MS: u32 = 60_000;
/// A target that is so far ahead lies ahead by every clock that may write (ns).
const AHEAD_NS: u64 = 2 * 3_600_000_000_000;

/// What it has seen of what is played.
#[derive(Clone, Debug, Default)]
pub(super) struct Score {
    cues: Vec<Digest>,
    /// Who has given or answered one.
    known: BTreeSet<AgentId>,
    tempo: Option<TempoMap>,
}

impl Score {
    pub(super) fn learn_cues(&mut self, cues: &[CueView]) {
        self.cues = cues.iter().map(|cue| cue.place.record).collect();
        self.known.extend(cues.iter().map(|cue| cue.agent));
        let parties = cues.iter().flat_map(|cue| &cue.parties);
        self.known.extend(parties.map(|party| party.agent));
    }

    pub(super) fn learn_tempo(&mut self, view: TempoView) {
        self.tempo = TempoMap::new(view.tempo).ok();
    }
}

impl Agent {
    pub(super) fn play_together(&mut self, now: u64) -> Wish {
        let now_ns = EPOCH_NS + now;
        let cue = self.chance.pick(&self.score.cues).copied();
        match self.chance.below(16) {
            0..=4 => {
                let gate = self.chance.below(2);
                Wish::Act(Action::Arrive(Arrival {
                    barrier: format!("gate-{gate}"),
                    of: 2 + gate as u16,
                    lead_ms: LEAD_MS,
                    patience_ms: self.chance.between(1_000, 120_000),
                }))
            }
            5 => Wish::Act(self.cue(now_ns)),
            6 | 12 => Wish::Look(Question::Cues, None),
            7 => Wish::Look(Question::Tempo, None),
            8 => match self
                .score
                .tempo
                .take()
                .and_then(|map| self.change(&map, now_ns))
            {
                Some(tempo) => Wish::Act(tempo),
                None => Wish::Look(Question::Barriers, None),
            },
            9 | 13 | 14 if cue.is_some() => Wish::Act(Action::Answer(CueAnswer {
                cue: cue.unwrap_or_default(),
                word: match self.chance.below(8) {
                    0 => CueWord::Declined,
                    1 => CueWord::ShortNotice,
                    _ => CueWord::Ready,
                },
                text: String::new(),
            })),
            11 => Wish::Act(self.used(now_ns)),
            15 => Wish::Act(self.performs()),
            _ => Wish::Act(Action::Played(Played {
                cue,
                target_ns: now_ns,
                late_ns: self.chance.signed(20_000_000),
                unsure_ns: 1_000,
            })),
        }
    }

    fn used(&mut self, until_ns: u64) -> Action {
        let used = self.chance.signed(20_000_000).unsigned_abs();
        Action::Used(Used {
            resource: if used.is_multiple_of(4) {
                Resource::Tokens
            } else {
                Resource::CpuMs
            },
            until_ns,
            actions: 1,
            used,
            allotted: 10_000_000,
        })
    }

    fn performs(&mut self) -> Action {
        let rules = [
            CorrectionRule::Seed,
            CorrectionRule::Best,
            CorrectionRule::Kalman,
        ];
        let rule = self.chance.pick(&rules).copied();
        // One time in three it performs no more.
        let holds_ms = self.chance.between(0, 90_000).saturating_sub(30_000);
        Action::Performs(Performs {
            rule: rule.unwrap_or(CorrectionRule::Kalman),
            phase_ppm: self.chance.below(1_000_000) as u32,
            period_ppm: self.chance.below(100_000) as u32,
            holds_ms: holds_ms as u32,
        })
    }

    fn cue(&mut self, now_ns: u64) -> Action {
        let mut parties = vec![self.id];
        for _ in 0..2 {
            let known: Vec<AgentId> = self.score.known.iter().copied().collect();
            parties.extend(self.chance.pick(&known).copied());
        }
        parties.sort_unstable();
        parties.dedup();
        // A node fills in when everybody can be ready; whoever signs itself has to say when.
        let proposed = self.held == Held::Node && self.chance.percent(80);
        Action::Cue(Cue {
            name: format!("cue-{}", self.chance.below(3)),
            target_ns: if proposed { 0 } else { now_ns + AHEAD_NS },
            window_ms: 50,
            confidence_ppm: 1_000_000,
            answer_ms: LEAD_MS,
            preparation: String::new(),
            parties,
            rule: if self.chance.percent(50) {
                CueRule::Go
            } else {
                CueRule::Wait
            },
        })
    }

    fn change(&mut self, map: &TempoMap, now_ns: u64) -> Option<Action> {
        let change = Change {
            at_ns: now_ns + AHEAD_NS,
            to_ubpm: self.chance.between(60, 180) * 1_000_000,
            over_ns: self.chance.below(20) * 1_000_000_000,
            exponential: self.chance.percent(50),
        };
        map.changed(now_ns, change).ok().map(Action::Tempo)
    }
}
