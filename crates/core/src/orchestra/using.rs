//! What agents use of what is allotted to them, as people and the agents concerned are told it, and who stays
//! beyond what it may (TIME-11).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use unisono_model::{AgentId, Resource};

use super::judging::{FailureKind, FindingView};
use super::read::Reading;
use crate::ensemble::limits::{
    JUDGE_WITHIN_NS, NOTICE_MORE, USAGE_AHEAD_NS_MAX, USAGE_SHOWN_MAX, WINDOW_NS_ASSUMED,
};
use crate::ensemble::{Cause, Recovery, Usage, usage};

/// What an agent uses of a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageView {
    /// Who.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// Of what.
    pub resource: Resource,
    /// How much, by its latest words.
    pub usage: Usage,
}

/// What somebody uses too much of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OveruseView {
    /// Of what.
    pub resource: Resource,
    /// Which share of what is allotted it uses lately.
    pub share: f64,
    /// Which share it may use.
    pub most: f64,
}

impl Reading<'_> {
    /// What those use who told of it within the last hour, by key and resource.
    pub fn usage(&self) -> Vec<UsageView> {
        let now_ns = self.at.as_ns();
        // What is dated ahead by more than clocks may be would stand before everybody else's for ever.
        let told_ns =
            now_ns.saturating_sub(JUDGE_WITHIN_NS)..=now_ns.saturating_add(USAGE_AHEAD_NS_MAX);
        let more_ppm = self.may_use_more_ppm();
        let kept = self.folds.together.uses.read(self.at).into_iter();
        let mut kept: Vec<_> = kept
            .map(|(key, mut told)| {
                told.retain(|used| told_ns.contains(&used.until_ns));
                (told.iter().map(|used| used.until_ns).max(), key, told)
            })
            .filter(|(last_ns, ..)| last_ns.is_some())
            .collect();
        kept.sort_unstable_by_key(|(last_ns, key, _)| (Reverse(*last_ns), *key));
        kept.truncate(USAGE_SHOWN_MAX);
        kept.sort_unstable_by_key(|(_, key, _)| *key);
        let each = kept
            .into_iter()
            .map(|(_, (agent, resource), told)| UsageView {
                agent,
                name: self.name_of(&agent),
                resource,
                usage: usage(&told, more_ppm),
            });
        each.collect()
    }

    /// By how much more than what is allotted to them agents may use (millionths).
    fn may_use_more_ppm(&self) -> u32 {
        let bounds = self.bounds();
        bounds.and_then(|one| one.resources_ppm).unwrap_or(0)
    }

    /// Adds who stays beyond what it may use, each once, with the resource of which it is furthest beyond; and
    /// says of whoever is late besides that this is what probably lies behind it.
    pub(super) fn add_overuse(&self, findings: &mut Vec<FindingView>) {
        let mut over: BTreeMap<AgentId, UsageView> = BTreeMap::new();
        for view in self.usage() {
            let worst = over.get(&view.agent).map_or(0.0, |one| one.usage.share);
            if view.usage.over.is_some() && view.usage.share >= worst {
                over.insert(view.agent, view);
            }
        }
        for finding in findings.iter_mut() {
            let is_late = match finding.kind {
                FailureKind::Dragging => true,
                FailureKind::MeanCritical => finding.off_ns > 0,
                _ => false,
            };
            if is_late && finding.agents.iter().any(|(one, _)| over.contains_key(one)) {
                finding.cause = Cause::Resources;
            }
        }
        findings.extend(over.into_values().filter_map(|view| self.overuse(view)));
    }

    fn overuse(&self, view: UsageView) -> Option<FindingView> {
        let over = view.usage.over?;
        let lead_ns = NOTICE_MORE * self.leads(&[view.agent], None).together_ns as f64;
        Some(FindingView {
            kind: FailureKind::Overuse,
            agents: Vec::from([(view.agent, view.name)]),
            players: 1,
            off_ns: 0,
            since_ns: over.since_ns,
            told_ns: over.told_ns,
            actions: over.stretches,
            cause: Cause::Resources,
            recovery: Recovery::Relieve,
            lead_ns: lead_ns as u64,
            window_ns: WINDOW_NS_ASSUMED as u64,
            reason: None,
            overuse: Some(OveruseView {
                resource: view.resource,
                share: view.usage.share,
                most: 1.0 + f64::from(self.may_use_more_ppm()) / 1e6,
            }),
        })
    }
}

impl OveruseView {
    /// What it is, to the agent that it concerns.
    pub(super) fn words(&self) -> String {
        format!(
            "you use {:.0} % of the {} that is allotted to you, and may use {:.0} %: do less at once, or have more allotted",
            100.0 * self.share,
            self.resource.name(),
            100.0 * self.most
        )
    }
}
