//! Reading interferences as of a stamp.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{AgentId, Digest, Place, Setting, Stamp};

use super::intents::Collision;
use super::needs::{Moment, Unanswered};
use super::pattern::Pattern;
use super::view::{
    InterferenceKind, InterferenceView, InterferencesView, ResolutionView, SideView,
};
use crate::orchestra::Reading;
use crate::orchestra::claims::{Holding, TopicState};

impl Reading<'_> {
    /// Interferences that stand, at most so many; all, or those that name one of some agents.
    pub fn interferences(&self, of: Option<&BTreeSet<AgentId>>, limit: usize) -> InterferencesView {
        let mut found = self.interferences_found(of);
        let open = found.iter().filter(|one| one.is_open()).count();
        let resolved = found.len() - open;
        let order = |one: &InterferenceView| {
            let newest = core::cmp::Reverse(one.since);
            (!one.is_open(), !one.blocking, newest, one.id)
        };
        if found.len() > limit && limit > 0 {
            found.select_nth_unstable_by_key(limit - 1, order);
            found.truncate(limit);
        }
        found.sort_by_key(order);
        found.truncate(limit);
        InterferencesView {
            interferences: found,
            open: open as u64,
            resolved: resolved as u64,
        }
    }

    /// One of those that stand.
    pub fn interference(&self, id: &Digest) -> Option<InterferenceView> {
        let found = self.interferences_found(None);
        found.into_iter().find(|one| one.id == *id)
    }

    fn interferences_found(&self, of: Option<&BTreeSet<AgentId>>) -> Vec<InterferenceView> {
        let fold = &self.folds.interference;
        let mut found: BTreeMap<Digest, InterferenceView> = BTreeMap::new();
        let mut add = |one: InterferenceView| drop(found.insert(one.id, one));
        self.collisions(of).into_iter().for_each(|one| {
            if let Some(view) = self.show_collision(&one) {
                add(view);
            }
        });
        self.unanswered(of)
            .into_iter()
            .for_each(|one| add(self.show_unanswered(&one)));
        self.contested(of, &mut add);
        self.overlaps(of, &mut add);
        let mut found: Vec<InterferenceView> = found.into_values().collect();
        if let Some(agents) = of {
            found.retain(|one| agents.iter().any(|agent| one.names(agent)));
        }
        let begins = fold.resolutions.begins(self.at);
        let last = fold.sabotage.resolution_last;
        for one in &mut found {
            let known = fold.resolutions.read(&one.id, self.at, begins, last);
            one.resolution = known.map(|(place, agent, resolve)| ResolutionView {
                place,
                agent,
                name: self.folds.agents.name(&agent),
                how: resolve.how,
                outcome: resolve.outcome.clone(),
                mark: resolve.mark,
            });
        }
        found
    }

    fn collisions(&self, of: Option<&BTreeSet<AgentId>>) -> Vec<Collision> {
        let intents = &self.folds.interference.intents;
        let least = self.setting(Setting::CollisionPermille);
        match of {
            None => intents.all(self.at, least),
            Some(agents) => agents
                .iter()
                .flat_map(|agent| intents.of(agent, self.at, least))
                .collect(),
        }
    }

    fn unanswered(&self, of: Option<&BTreeSet<AgentId>>) -> Vec<Unanswered<'_>> {
        let needs = &self.folds.interference.needs;
        let moment = Moment {
            at: self.at,
            iteration: self.iteration(),
            patience_ms: self.setting(Setting::NeedPatienceMs),
        };
        match of {
            None => needs.all(moment),
            Some(agents) => agents
                .iter()
                .flat_map(|agent| needs.of(agent, moment))
                .collect(),
        }
    }

    fn topics(&self, of: Option<&BTreeSet<AgentId>>) -> BTreeSet<&str> {
        let topics = &self.folds.interference.topics;
        match of {
            None => topics.live(self.at).collect(),
            Some(agents) => agents
                .iter()
                .flat_map(|agent| topics.of(agent, self.at))
                .collect(),
        }
    }

    fn contested(&self, of: Option<&BTreeSet<AgentId>>, add: &mut dyn FnMut(InterferenceView)) {
        for topic in self.topics(of) {
            let TopicState {
                holding, losers, ..
            } = self.topic(topic);
            let Some(holding) = holding else { continue };
            for loser in losers {
                // A renewal above the claim that lost decides: the holder's token is good again.
                let decided = holding.token.stamp > loser.claim.stamp;
                if decided || loser.agent == holding.agent {
                    continue;
                }
                let (winner, lost) = (holding.claim, loser.claim);
                let mut sides = Vec::from([
                    self.claim_side(topic, winner, holding.agent),
                    self.claim_side(topic, lost, loser.agent),
                ]);
                sides.sort_by_key(|side| side.place);
                add(InterferenceView {
                    id: InterferenceKind::Contested.id(&winner.record, &lost.record),
                    kind: InterferenceKind::Contested,
                    blocking: true,
                    sides,
                    since: winner.stamp.max(lost.stamp),
                    until: holding.until.min(loser.until),
                    likeness: 1_000,
                    decided_for: Some(self.folds.agents.name(&holding.agent)),
                    resolution: None,
                });
            }
        }
    }

    fn overlaps(&self, of: Option<&BTreeSet<AgentId>>, add: &mut dyn FnMut(InterferenceView)) {
        let topics = &self.folds.interference.topics;
        let held = |topic: &str| self.topic(topic).holding.is_some();
        for topic in self.topics(of) {
            let Some(holding) = self.topic(topic).holding else {
                continue;
            };
            let mut others = topics.over(topic, &held);
            if of.is_some() {
                others.extend(topics.under(topic, &held));
            }
            if self.folds.interference.sabotage.glob_by_prefix {
                others.extend(self.begin_alike(topic));
            }
            for other in others {
                if let Some(theirs) = self.topic(other).holding
                    && theirs.agent != holding.agent
                {
                    add(self.overlap((topic, &holding), (other, &theirs)));
                }
            }
        }
    }

    /// Planted fault: whatever begins like a glob is taken for what it stands for.
    fn begin_alike(&self, topic: &str) -> Vec<&str> {
        let live = self.folds.interference.topics.live(self.at);
        live.filter(|other| {
            let pattern = Pattern::of(other);
            pattern.is_glob() && *other != topic && topic.starts_with(&pattern.beginning())
        })
        .collect()
    }

    fn overlap(&self, one: (&str, &Holding), two: (&str, &Holding)) -> InterferenceView {
        let mut sides: Vec<SideView> = [one, two]
            .iter()
            .map(|(topic, held)| self.claim_side(topic, held.claim, held.agent))
            .collect();
        sides.sort_by_key(|side| side.place);
        let (one, two) = (one.1, two.1);
        InterferenceView {
            id: InterferenceKind::Overlap.id(&one.claim.record, &two.claim.record),
            kind: InterferenceKind::Overlap,
            blocking: true,
            sides,
            since: one.claim.stamp.max(two.claim.stamp),
            until: one.until.min(two.until),
            likeness: 1_000,
            decided_for: None,
            resolution: None,
        }
    }

    fn claim_side(&self, topic: &str, place: Place, agent: AgentId) -> SideView {
        SideView {
            place,
            agent,
            name: self.folds.agents.name(&agent),
            topic: topic.into(),
            text: String::new(),
        }
    }

    fn signal_side(&self, place: Place) -> Option<SideView> {
        let emitted = self.folds.signals.get(&place)?;
        Some(SideView {
            place,
            agent: emitted.agent,
            name: self.folds.agents.name(&emitted.agent),
            topic: emitted.signal.topic.clone(),
            text: emitted.signal.text.clone(),
        })
    }

    fn show_collision(&self, one: &Collision) -> Option<InterferenceView> {
        let sides = Vec::from([self.signal_side(one.first)?, self.signal_side(one.second)?]);
        Some(InterferenceView {
            id: InterferenceKind::Collision.id(&one.first.record, &one.second.record),
            kind: InterferenceKind::Collision,
            blocking: false,
            sides,
            since: one.second.stamp,
            until: one.until,
            likeness: one.likeness,
            decided_for: None,
            resolution: None,
        })
    }

    fn show_unanswered(&self, one: &Unanswered<'_>) -> InterferenceView {
        let patience_ms = self.setting(Setting::NeedPatienceMs);
        let side = self.signal_side(one.need).unwrap_or_else(|| SideView {
            place: one.need,
            agent: one.agent,
            name: self.folds.agents.name(&one.agent),
            topic: one.topic.into(),
            text: String::new(),
        });
        let since: Stamp = one.need.stamp.plus_ms(patience_ms);
        InterferenceView {
            id: InterferenceKind::Unanswered.id(&one.need.record, &one.need.record),
            kind: InterferenceKind::Unanswered,
            blocking: one.blocking,
            sides: Vec::from([side]),
            since,
            until: one.until,
            likeness: 1_000,
            decided_for: None,
            resolution: None,
        }
    }
}
