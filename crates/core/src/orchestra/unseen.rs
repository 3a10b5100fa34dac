//! What binds agents, and what they say that they have seen of it.
//!
//! A record does not show what its agent had read; only the agent can say it, with the cursor of what
//! it read ([`Seen`]). What it said last is held against what bound it when it last acted: so the
//! judgement rests on records alone, and is the same on every replica. Of an agent that has never
//! said anything nothing is known, and nothing is held against it.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{AgentId, Digest, Importance, Place, Seen, Setting};

use super::Reading;
use super::coherence::{DriftKind, DriftView, Member, PATIENCE, Severity};
use super::fact::Carrier;
use super::interference::limits::RESOLUTIONS_BINDING_MAX;
use super::lessons::limits::BINDING_TOLD_MAX;

/// Something that binds agents.
struct Binding {
    place: Place,
    by: AgentId,
    carrier: Carrier,
    critical: bool,
    what: &'static str,
    /// Whom; nobody named: everybody.
    whom: Option<BTreeSet<AgentId>>,
}

impl Reading<'_> {
    /// Who acted without having said that it has seen what binds it: at most one drift for each agent
    /// that takes part. `resolved` are the interferences that stand and are resolved, with whom they
    /// name.
    pub(super) fn unseen_drift(
        &self,
        members: &[Member<'_>],
        resolved: Vec<(Digest, BTreeSet<AgentId>)>,
        drift: &mut Vec<DriftView>,
    ) {
        if members.iter().all(|member| member.seen.is_none()) {
            return;
        }
        let bindings = self.bindings(resolved);
        let patience_ms = self.setting(Setting::ContextStaleMs);
        for member in members {
            let Some(seen) = member.seen else { continue };
            drift.extend(unseen(member, seen, &bindings, patience_ms));
        }
    }

    /// What binds anybody, oldest first.
    fn bindings(&self, resolved: Vec<(Digest, BTreeSet<AgentId>)>) -> Vec<Binding> {
        let decided = self.binding(true, BINDING_TOLD_MAX).into_iter();
        let mut all: Vec<Binding> = decided
            .map(|(place, one)| Binding {
                place,
                by: one.agent,
                carrier: one.carrier,
                critical: one.decide.importance == Importance::Critical,
                what: "the decision",
                whom: None,
            })
            .collect();
        all.extend(
            self.folds
                .agents
                .pinned(self.at)
                .map(|(place, one)| Binding {
                    place,
                    by: one.agent,
                    carrier: one.carrier,
                    critical: false,
                    what: "the mark",
                    whom: None,
                }),
        );
        let resolutions = resolved.into_iter().filter_map(|(id, whom)| {
            let (place, by, carrier) = self.resolution(&id)?;
            Some(Binding {
                place,
                by,
                carrier,
                critical: false,
                what: "the resolution",
                whom: Some(whom),
            })
        });
        let mut resolutions: Vec<Binding> = resolutions.collect();
        resolutions.sort_unstable_by_key(|one| core::cmp::Reverse(one.place));
        resolutions.truncate(RESOLUTIONS_BINDING_MAX);
        all.extend(resolutions);
        all.sort_unstable_by_key(|one| one.place);
        all
    }
}

fn unseen(
    member: &Member<'_>,
    seen: &Seen,
    bindings: &[Binding],
    patience_ms: u64,
) -> Option<DriftView> {
    let acted = member.last_action;
    // They are in order: what comes behind had not been there for long enough.
    let due = bindings
        .iter()
        .take_while(|one| one.place.stamp.plus_ms(patience_ms) < acted);
    let binds = |one: &&Binding| {
        let whom = one.whom.as_ref();
        one.by != member.agent && whom.is_none_or(|whom| whom.contains(&member.agent))
    };
    let unseen = due.filter(binds);
    let unseen = unseen.filter(|one| !seen.covers(one.carrier.tag, one.carrier.bundle));
    let (mut count, mut critical, mut oldest) = (0_u64, false, None);
    for one in unseen {
        count += 1;
        critical |= one.critical;
        oldest = oldest.or(Some(one));
    }
    let oldest = oldest?;
    let long_since = patience_ms.saturating_mul(PATIENCE);
    let severe = critical || oldest.place.stamp.plus_ms(long_since) < acted;
    let minutes = acted.as_ms().saturating_sub(oldest.place.stamp.as_ms()) / 60_000;
    Some(DriftView {
        kind: DriftKind::ContextDivergence,
        severity: if severe {
            Severity::Warning
        } else {
            Severity::Info
        },
        agents: Vec::from([member.agent]),
        names: Vec::from([member.name.clone()]),
        evidence: format!(
            "it acted without having said that it has seen {count} {} it; the oldest is {} {}, which \
             had been there for {minutes} min",
            if count == 1 {
                "thing that binds"
            } else {
                "things that bind"
            },
            oldest.what,
            oldest.place.record,
        ),
        remedy: String::from("`unisono continue --seen` as that agent: it reads, and says so"),
        resolves_itself: true,
    })
}
