//! What goes wrong among those who play together, as people and the agents concerned are told it: rushing,
//! dragging, drift, split, thresholds that are crossed (TIME-15), and who stays beyond what it may use, each with
//! its likely cause and what helps (part VII of the seed).
//!
//! It is read from the actions that are held, as of a stamp: replicas that hold the same say the same, so
//! nobody has to announce it, and nobody has to be chosen who does.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use unisono_model::{AgentId, Stamp};

use super::brief::{BriefPart, Lines};
use super::performing::PerformerView;
use super::read::Reading;
use super::score::PlayerView;
use super::using::{OveruseView, UsageView};
use crate::ensemble::limits::{JUDGE_PLAYERS_MAX, JUDGE_WITHIN_NS, NOTICE_MORE};
use crate::ensemble::{
    Beyond, Bounds, Cause, Expected, Failure, Judged, Judgement, Measure, Recovery, TempoMap,
    Variation, judge_within,
};

/// How punctual everybody is, and what goes wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlayersView {
    /// By key.
    pub players: Vec<PlayerView>,
    /// What goes wrong: groups first, then all, then single agents, then thresholds that are crossed, then who
    /// uses too much.
    pub findings: Vec<FindingView>,
    /// What those use who told of it within the last hour.
    pub usage: Vec<UsageView>,
    /// Those who said within the last hour how they perform.
    pub performers: Vec<PerformerView>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum FailureKind {
    /// An agent is early again and again.
    Rushing,
    /// An agent is late again and again.
    Dragging,
    /// All together leave the beat.
    Drift,
    /// Two groups keep to two beats.
    Split,
    /// The mean of what an agent is late by is critical (TIME-15).
    MeanCritical,
    /// How an agent's actions spread is critical.
    SpreadCritical,
    /// An agent becomes later or earlier by a critical amount in a minute.
    DriftCritical,
    /// An agent uses more than what is allotted to it and may vary, again and again.
    Overuse,
}

impl FailureKind {
    /// All of them.
    pub const EACH: [Self; 8] = [
        Self::Rushing,
        Self::Dragging,
        Self::Drift,
        Self::Split,
        Self::MeanCritical,
        Self::SpreadCritical,
        Self::DriftCritical,
        Self::Overuse,
    ];
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct FindingView {
    /// What.
    pub kind: FailureKind,
    /// Whom it concerns, with names: who rushes, drags or is astray; of a drift everybody.
    pub agents: Vec<(AgentId, String)>,
    /// How many agents played together.
    pub players: u32,
    /// By how much lately (ns); early where less than nothing. Of what is critical the figure that is so: the
    /// mean, the spread, or the drift in a minute; of who uses too much nothing.
    pub off_ns: i64,
    /// Since when, by the time that an action was meant for (ns since the Unix epoch).
    pub since_ns: u64,
    /// When it was told last, by the same.
    pub told_ns: u64,
    /// How many actions it took from the one to the other; of who uses too much, how many stretches of them.
    pub actions: u32,
    /// What probably lies behind it.
    pub cause: Cause,
    /// What helps.
    pub recovery: Recovery,
    /// How much notice those concerned should have (ns): twice what the slowest of them needs.
    pub lead_ns: u64,
    /// Within which window they are in time as they are (ns).
    pub window_ns: u64,
    /// Why it is no variation that is meant; nothing where nothing may vary.
    pub reason: Option<Variation>,
    /// What is used too much of, if that is it.
    pub overuse: Option<OveruseView>,
}

/// How an agent varies on purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VariationView {
    /// Whether it does, and if it is off otherwise, why that is no variation that is meant.
    pub variation: Variation,
    /// How many of its latest 64 actions were off as is expected: nothing is told of them.
    pub actions: u32,
    /// The furthest that one of these was from its target (ns); early where less than nothing.
    pub most_ns: i64,
}

/// The latest actions of those who played within the last hour, and what is said of them.
struct Watched {
    agents: Vec<AgentId>,
    judgement: Judgement,
}

impl Reading<'_> {
    /// How punctual everybody is, and what goes wrong.
    pub fn ensemble(&self) -> PlayersView {
        let watched = self.watched();
        let mut players = self.players();
        for (agent, varied) in watched.agents.iter().zip(&watched.judgement.varied) {
            let known = players.iter_mut().find(|one| one.agent == *agent);
            if let Some(player) = known {
                player.variation = Some(VariationView {
                    variation: varied.variation,
                    actions: varied.actions,
                    most_ns: varied.most_ns,
                });
                player.health_without(&varied.expected_ns, &self.told_of(agent));
            }
        }
        PlayersView {
            players,
            findings: self.findings_of(watched),
            usage: self.usage(),
            performers: self.performers(),
        }
    }

    /// What goes wrong among those who played within the last hour.
    pub fn findings(&self) -> Vec<FindingView> {
        self.findings_of(self.watched())
    }

    /// How agents may vary on purpose, if they may.
    pub fn bounds(&self) -> Option<Bounds> {
        Bounds::of(|setting| self.setting(setting))
    }

    fn watched(&self) -> Watched {
        let bounds = self.bounds().filter(Bounds::moves);
        let map = bounds.and_then(|_| TempoMap::new(self.tempo().tempo).ok());
        // Which beats it had before it begins a map does not know: what was meant for them says nothing of
        // where variation was likely.
        let begins_ns = map.as_ref().map_or(0, TempoMap::begins_ns);
        let from_ns = self
            .at
            .as_ns()
            .saturating_sub(JUDGE_WITHIN_NS)
            .max(begins_ns);
        let kept = self.folds.together.plays.kept(self.at).into_iter();
        let mut latest: Vec<(AgentId, Vec<(u64, i64)>)> = kept
            .map(|(agent, plays)| {
                let played = plays.iter().map(|play| &play.played);
                let mut told: Vec<(u64, i64)> = played
                    .filter(|played| played.target_ns >= from_ns)
                    .map(|played| (played.target_ns, played.late_ns))
                    .collect();
                // By what they were meant for: told in which order, is chance.
                told.sort_by_key(|(target_ns, _)| *target_ns);
                (agent, told)
            })
            .filter(|(_, told)| !told.is_empty())
            .collect();
        latest.sort_by_key(|(agent, told)| (Reverse(told.last().map(|last| last.0)), *agent));
        latest.truncate(JUDGE_PLAYERS_MAX);
        let (agents, told): (Vec<AgentId>, Vec<_>) = latest.into_iter().unzip();
        let expected = bounds.zip(map.as_ref());
        let expected = expected.map(|(bounds, map)| Expected::new(bounds, map));
        let judgement = judge_within(&told, expected.as_ref());
        Watched { agents, judgement }
    }

    fn findings_of(&self, watched: Watched) -> Vec<FindingView> {
        let Watched { agents, judgement } = watched;
        let found = judgement.found.into_iter();
        let mut findings: Vec<FindingView> =
            found.map(|judged| self.finding(judged, &agents)).collect();
        // Of whom it is told already how it fails, it is not told again that it does; a drift names all, and
        // says of nobody how it plays.
        let own = findings
            .iter()
            .filter(|finding| finding.kind != FailureKind::Drift);
        let named = own.flat_map(|finding| finding.agents.iter().map(|(agent, _)| *agent));
        let named: BTreeSet<AgentId> = named.collect();
        let beyond = agents.iter().zip(judgement.beyond);
        let beyond: Vec<(AgentId, Beyond)> = beyond
            .filter(|(agent, _)| !named.contains(*agent))
            .filter_map(|(agent, beyond)| Some((*agent, beyond?)))
            .collect();
        let concerned: BTreeSet<AgentId> = beyond.iter().map(|(agent, _)| *agent).collect();
        let responses = self
            .folds
            .together
            .cues
            .responses(self.at, Some(&concerned));
        for (agent, beyond) in beyond {
            let leads = self.leads_of(&[agent], &responses, None, false);
            findings.push(self.critical(beyond, agent, leads.together_ns));
        }
        self.add_overuse(&mut findings);
        findings
    }

    /// An alert on one of the thresholds, of an agent that needs so much notice (ns).
    fn critical(&self, beyond: Beyond, agent: AgentId, needed_ns: u64) -> FindingView {
        let figures = beyond.punctuality;
        let (kind, off_ns) = match beyond.measure {
            Measure::Mean => (FailureKind::MeanCritical, figures.mean_ns),
            Measure::Spread => (FailureKind::SpreadCritical, figures.spread_ns),
            Measure::Drift => (FailureKind::DriftCritical, figures.drift_ns_per_minute),
        };
        let recovery = if off_ns < 0.0 {
            Recovery::HoldRate
        } else {
            Recovery::MoreNotice
        };
        let lead_ns = NOTICE_MORE * needed_ns as f64;
        FindingView {
            kind,
            agents: Vec::from([(agent, self.name_of(&agent))]),
            players: 1,
            off_ns: off_ns as i64,
            since_ns: beyond.since_ns,
            told_ns: beyond.told_ns,
            actions: figures.actions,
            cause: Cause::Player,
            recovery,
            lead_ns: lead_ns as u64,
            window_ns: (figures.mean_ns.abs() + 3.0 * figures.spread_ns) as u64,
            reason: beyond.reason,
            overuse: None,
        }
    }

    fn finding(&self, judged: Judged, players: &[AgentId]) -> FindingView {
        let (cause, recovery) = (judged.failure.cause(), judged.failure.recovery());
        let one = |player: usize| Vec::from([players[player]]);
        let (kind, mut agents) = match judged.failure {
            Failure::Rushing { player } => (FailureKind::Rushing, one(player)),
            Failure::Dragging { player } => (FailureKind::Dragging, one(player)),
            Failure::Drift { .. } => (FailureKind::Drift, players.to_vec()),
            Failure::Split { astray, .. } => {
                let astray = astray.into_iter().map(|player| players[player]);
                (FailureKind::Split, astray.collect())
            }
        };
        agents.sort_unstable();
        let lead_ns = NOTICE_MORE * self.leads(&agents, None).together_ns as f64;
        FindingView {
            kind,
            players: players.len() as u32,
            off_ns: judged.off_ns as i64,
            since_ns: judged.since_ns,
            told_ns: judged.told_ns,
            actions: judged.actions,
            cause,
            recovery,
            lead_ns: lead_ns as u64,
            window_ns: (judged.off_ns.abs() + 3.0 * judged.sigma_ns) as u64,
            reason: judged.reason,
            overuse: None,
            agents: agents
                .into_iter()
                .map(|agent| (agent, self.name_of(&agent)))
                .collect(),
        }
    }

    /// What goes wrong with the agents of a name, for whoever goes on.
    pub(super) fn brief_together(&self, agents: &BTreeSet<AgentId>, lines: &mut Lines) {
        for finding in self.findings() {
            if !finding
                .agents
                .iter()
                .any(|(agent, _)| agents.contains(agent))
            {
                continue;
            }
            lines.add_since(
                BriefPart::Together,
                finding.words(),
                Stamp::from_ns(finding.since_ns),
            );
        }
    }
}

impl FindingView {
    /// What it is, to the agent that it concerns, in one line.
    fn words(&self) -> String {
        let mut words = self.failing();
        let why = match self.reason {
            Some(Variation::OutOfBounds) => "beyond what may vary",
            Some(Variation::NotReturning) => "you have not come back as whoever varies does",
            Some(Variation::NoPattern) => "it is not where variation is likely",
            Some(Variation::Steady | Variation::Varying) | None => return words,
        };
        words.push_str("; no variation that is meant: ");
        words.push_str(why);
        words
    }

    fn failing(&self) -> String {
        let off_ms = self.off_ns as f64 / 1e6;
        match self.kind {
            FailureKind::Rushing => format!(
                "you rush: {:.1} ms early, beyond your rule; hold the rate, and look at what corrects it",
                -off_ms
            ),
            FailureKind::Dragging => format!(
                "you drag: {off_ms:.1} ms late, beyond your rule; ask for {} ms of notice, or do less at once",
                self.lead_ns.div_ceil(1_000_000)
            ),
            FailureKind::Drift => format!(
                "all of you drift: {off_ms:.1} ms off the beat; meet at the next major synchronisation"
            ),
            FailureKind::Split => format!(
                "you are astray with {} others: {off_ms:.1} ms from those who keep to the beat; meet at a barrier of {}",
                self.agents.len().saturating_sub(1),
                self.players
            ),
            FailureKind::MeanCritical => {
                let side = if off_ms < 0.0 { "early" } else { "late" };
                format!(
                    "you are {:.1} ms {side} in the mean of {} actions, which is critical: let what corrects you run, or ask for {} ms of notice",
                    off_ms.abs(),
                    self.actions,
                    self.lead_ns.div_ceil(1_000_000)
                )
            }
            FailureKind::SpreadCritical => format!(
                "your actions spread by {off_ms:.1} ms, which is critical: do less at once, or say that you need a window of {} ms",
                self.window_ns.div_ceil(1_000_000)
            ),
            FailureKind::DriftCritical => {
                let side = if off_ms < 0.0 { "earlier" } else { "later" };
                format!(
                    "you become {:.1} ms {side} with every minute, which is critical: look at your load and at what corrects you",
                    off_ms.abs()
                )
            }
            FailureKind::Overuse => self.overuse.map_or_else(String::new, |one| one.words()),
        }
    }
}
