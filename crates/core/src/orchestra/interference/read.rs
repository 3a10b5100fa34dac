//! Reading interferences as of a stamp.
//!
//! ```text
//!   folds ──► each, one after the other ──► counted ──► the first of a page ──► shown with texts
//! ```
//! Agents can make far more interferences than anybody looks at, so nothing is copied for one that
//! is not shown.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;

use unisono_model::{AgentId, Digest, Place, Resolve, Setting, Stamp};

use super::intents::Collision;
use super::limits::LOOKED_MAX;
use super::needs::{Moment, Unanswered};
use super::pattern::Pattern;
use super::view::{
    InterferenceKind, InterferenceView, InterferencesView, ResolutionView, SideView,
};
use crate::orchestra::Reading;
use crate::orchestra::claims::{Holding, TopicState};
use crate::orchestra::fact::Carrier;
use crate::orchestra::read::Hash;

/// An interference, with nothing copied.
#[derive(Clone, Copy, Debug)]
pub(in crate::orchestra) struct Found<'a> {
    pub(in crate::orchestra) kind: InterferenceKind,
    pub(in crate::orchestra) blocking: bool,
    /// The earlier one.
    first: Side<'a>,
    /// A NEED has none.
    second: Option<Side<'a>>,
    since: Stamp,
    until: Stamp,
    likeness: u16,
    decided_for: Option<AgentId>,
}

#[derive(Clone, Copy, Debug)]
struct Side<'a> {
    place: Place,
    agent: AgentId,
    /// Of a claim or a NEED; that of an INTENT stands in its signal.
    topic: &'a str,
}

/// Open ones first, then those that block, then the newest.
type Order = (bool, bool, Reverse<Stamp>, Digest);

type Resolved<'a> = (Place, AgentId, &'a Resolve);

/// The first of those that are wanted, and how many there are of these.
#[derive(Default)]
pub(in crate::orchestra) struct Page<'a> {
    most: usize,
    kept: BTreeMap<Order, (Found<'a>, Option<Resolved<'a>>)>,
    pub(in crate::orchestra) open: u64,
    resolved: u64,
    /// Whether there are more than were looked at.
    more: bool,
}

impl Found<'_> {
    /// Its name.
    pub(in crate::orchestra) fn id(&self) -> Digest {
        let second = self.second.as_ref().unwrap_or(&self.first);
        let (one, other) = (&self.first.place.record, &second.place.record);
        self.kind.id(one, other)
    }

    /// Whom it names.
    pub(in crate::orchestra) fn agents(&self) -> impl Iterator<Item = AgentId> {
        let second = self.second.map(|side| side.agent);
        core::iter::once(self.first.agent).chain(second)
    }

    /// Whether a rule has decided it.
    pub(in crate::orchestra) fn is_decided(&self) -> bool {
        self.decided_for.is_some()
    }

    /// Whom it keeps from going on: those that it names, but for the one that it is decided for.
    pub(in crate::orchestra) fn yielding(&self) -> impl Iterator<Item = AgentId> {
        let winner = self.decided_for;
        self.agents().filter(move |agent| Some(*agent) != winner)
    }
}

impl<'a> Page<'a> {
    /// Whether nothing that begins like this can come onto it any more.
    fn is_beyond(&self, open: bool, one: &Found<'_>) -> bool {
        self.kept.len() >= self.most
            && self.kept.last_key_value().is_none_or(|(last, _)| {
                (!open, !one.blocking, Reverse(one.since)) > (last.0, last.1, last.2)
            })
    }

    fn keep(&mut self, id: Digest, one: Found<'a>, resolved: Option<Resolved<'a>>) {
        let order = (resolved.is_some(), !one.blocking, Reverse(one.since), id);
        self.kept.insert(order, (one, resolved));
        if self.kept.len() > self.most {
            self.kept.pop_last();
        }
    }
}

impl Reading<'_> {
    /// Interferences that stand, at most so many; all, or those that name one of some agents.
    pub fn interferences(&self, of: Option<&BTreeSet<AgentId>>, limit: usize) -> InterferencesView {
        self.show(&self.interferences_where(of, limit, &mut |_, _| true))
    }

    /// Those that stand and that `wanted` is true of, which also hears whether each is open. It
    /// sees every one of them, so it may count by itself.
    pub(in crate::orchestra) fn interferences_where<'a>(
        &'a self,
        of: Option<&BTreeSet<AgentId>>,
        limit: usize,
        wanted: &mut dyn FnMut(&Found<'a>, bool) -> bool,
    ) -> Page<'a> {
        let resolutions = &self.folds.interference.resolutions;
        let begins = resolutions.begins(self.at);
        let last = self.folds.interference.sabotage.resolution_last;
        let mut page = Page {
            most: limit,
            ..Page::default()
        };
        let more = self.each_interference(of, &mut |one| {
            // A name costs more than all else here, and most of them are not asked for.
            let id = (!resolutions.is_empty()).then(|| one.id());
            let resolved = id.and_then(|id| resolutions.read(&id, self.at, begins, last));
            let open = resolved.is_none();
            if !wanted(&one, open) {
                return;
            }
            page.open += u64::from(open);
            page.resolved += u64::from(!open);
            if !page.is_beyond(open, &one) {
                page.keep(id.unwrap_or_else(|| one.id()), one, resolved);
            }
        });
        page.more = more;
        page
    }

    /// What a page looks like to people.
    pub(in crate::orchestra) fn show(&self, page: &Page<'_>) -> InterferencesView {
        let kept = page.kept.iter();
        InterferencesView {
            interferences: kept
                .map(|(order, (one, resolved))| self.show_one(order.3, one, resolved.as_ref()))
                .collect(),
            open: page.open,
            resolved: page.resolved,
            more: page.more,
        }
    }

    /// All of them as [`InterferencesView`] would be written, of which one at a time is shown.
    pub(in crate::orchestra) fn hash_interferences(&self, hash: &mut Hash) {
        let page = self.interferences_where(None, usize::MAX, &mut |_, _| true);
        hash.add(&page.kept.len());
        for (order, (one, resolved)) in &page.kept {
            hash.add(&self.show_one(order.3, one, resolved.as_ref()));
        }
        hash.add(&(page.open, page.resolved, page.more));
    }

    /// How one was resolved, by whom, and where that is carried.
    pub(in crate::orchestra) fn resolution(
        &self,
        id: &Digest,
    ) -> Option<(Place, AgentId, Carrier)> {
        let resolutions = &self.folds.interference.resolutions;
        let begins = resolutions.begins(self.at);
        let last = self.folds.interference.sabotage.resolution_last;
        let (place, agent, _) = resolutions.read(id, self.at, begins, last)?;
        Some((place, agent, resolutions.carrier(id, &place)?))
    }

    /// One of those that stand.
    pub fn interference(&self, id: &Digest) -> Option<InterferenceView> {
        // Collisions are as many as agents emit, and have an index; all else is as much as is held
        // and needed.
        let pair = self.folds.interference.intents.find(id);
        let mut known = pair.and_then(|pair| self.collision_of(pair));
        if pair.is_none() {
            let _ = self.each_but_collisions(None, usize::MAX, &mut |one| {
                if known.is_none() && one.id() == *id {
                    known = Some(one);
                }
            });
        }
        let known = known.filter(|one| one.id() == *id);
        let resolutions = &self.folds.interference.resolutions;
        let begins = resolutions.begins(self.at);
        let last = self.folds.interference.sabotage.resolution_last;
        let resolved = resolutions.read(id, self.at, begins, last);
        known.map(|one| self.show_one(*id, &one, resolved.as_ref()))
    }

    /// Hands over each interference once: of collisions and of NEEDs at most [`LOOKED_MAX`]. Says
    /// whether there are more.
    fn each_interference<'a>(
        &'a self,
        of: Option<&BTreeSet<AgentId>>,
        see: &mut dyn FnMut(Found<'a>),
    ) -> bool {
        let collisions = self.collisions(of, see);
        self.each_but_collisions(of, LOOKED_MAX, see) || collisions
    }

    fn each_but_collisions<'a>(
        &'a self,
        of: Option<&BTreeSet<AgentId>>,
        needs_most: usize,
        see: &mut dyn FnMut(Found<'a>),
    ) -> bool {
        let unanswered = self.unanswered(of, needs_most.saturating_add(1));
        for one in unanswered.iter().take(needs_most) {
            see(self.found_unanswered(one));
        }
        // Two that an agent holds, or two agents of one name, are found from both sides.
        let mut seen = BTreeSet::new();
        let mut add = |one: Found<'a>| {
            let named = of.is_none_or(|agents| one.agents().any(|agent| agents.contains(&agent)));
            if named && seen.insert((one.kind, one.first.place, one.second.map(|two| two.place))) {
                see(one);
            }
        };
        self.contested(of, &mut add);
        self.overlaps(of, &mut add);
        unanswered.len() > needs_most
    }

    /// The newest first. What has ended counts for nothing here: it may be forgotten elsewhere.
    fn collisions<'a>(
        &'a self,
        of: Option<&BTreeSet<AgentId>>,
        see: &mut dyn FnMut(Found<'a>),
    ) -> bool {
        let intents = &self.folds.interference.intents;
        let least = self.setting(Setting::CollisionPermille);
        let mut hand_over = |found: &mut dyn Iterator<Item = Collision>| {
            let mut found = found.filter_map(|one| self.found_collision(&one));
            found.by_ref().take(LOOKED_MAX).for_each(&mut *see);
            found.next().is_some()
        };
        let Some(agents) = of else {
            return hand_over(&mut intents.all(self.at, least));
        };
        let mut more = false;
        for agent in agents {
            // Between two of them it is found from both sides.
            let own = intents.of(agent, self.at, least);
            let mut own =
                own.filter(|one| one.second_agent == *agent || !agents.contains(&one.second_agent));
            more |= hand_over(&mut own);
        }
        more
    }

    fn collision_of(&self, pair: (Place, Place)) -> Option<Found<'_>> {
        let least = self.setting(Setting::CollisionPermille);
        let intents = &self.folds.interference.intents;
        self.found_collision(&intents.pair(pair, self.at, least)?)
    }

    /// A collision, unless one of its INTENTs has ended: that may be forgotten here and not elsewhere.
    /// The first of the two to claim the topic of either has taken the work.
    fn found_collision(&self, one: &Collision) -> Option<Found<'_>> {
        let signals = &self.folds.signals;
        let topics = [signals.get(&one.first)?, signals.get(&one.second)?].map(|said| {
            let signal = &said.signal;
            signal.topic.as_str()
        });
        let held = topics
            .into_iter()
            .filter_map(|topic| self.topic(topic).holding);
        let theirs = held.filter(|held| [one.first_agent, one.second_agent].contains(&held.agent));
        let claimed = if self.folds.interference.sabotage.collision_won_by_later {
            theirs.max_by_key(|held| held.claim)
        } else {
            theirs.min_by_key(|held| held.claim)
        };
        Some(Found {
            kind: InterferenceKind::Collision,
            blocking: false,
            first: side("", one.first, one.first_agent),
            second: Some(side("", one.second, one.second_agent)),
            since: one.second.stamp,
            until: one.until,
            likeness: one.likeness,
            decided_for: claimed.map(|held| held.agent),
        })
    }

    fn unanswered(&self, of: Option<&BTreeSet<AgentId>>, most: usize) -> Vec<Unanswered<'_>> {
        let needs = &self.folds.interference.needs;
        let moment = self.moment();
        let Some(agents) = of else {
            return needs.all(moment, most);
        };
        let own = agents.iter().flat_map(|agent| needs.of(agent, moment));
        let mut found: Vec<Unanswered<'_>> = own.collect();
        for topic in self.asked_of(agents) {
            let others = needs.on(topic, moment).into_iter();
            found.extend(others.filter(|one| !agents.contains(&one.agent)));
        }
        found
    }

    /// When and under what rules NEEDs are read.
    pub(in crate::orchestra) fn moment(&self) -> Moment {
        Moment {
            at: self.at,
            now: self.now(),
            patience_ms: self.setting(Setting::NeedPatienceMs),
            own_offers_count: self.folds.interference.sabotage.need_met_by_own_offer,
        }
    }

    /// What others need of agents: what these hold, or hold a glob over, and their tasks that are
    /// not over.
    pub(in crate::orchestra) fn asked_of(&self, agents: &BTreeSet<AgentId>) -> BTreeSet<&str> {
        let needs = &self.folds.interference.needs;
        let held = agents.iter().flat_map(|agent| self.held_by(agent));
        let moment = self.moment();
        let needed = held.flat_map(|own| needs.needed_under(own, moment));
        let mut asked: BTreeSet<&str> = needed.collect();
        let names: BTreeSet<_> = agents.iter().map(|a| self.folds.agents.name(a)).collect();
        let when = self.when();
        for name in &names {
            let tasks = self.folds.tasks.assigned(name);
            asked.extend(tasks.filter(|task| self.folds.tasks.is_for(task, name, when)));
        }
        asked
    }

    fn topics(&self, of: Option<&BTreeSet<AgentId>>) -> BTreeSet<&str> {
        let topics = &self.folds.interference.topics;
        let Some(agents) = of else {
            return topics.live(self.at).collect();
        };
        let own = agents.iter().flat_map(|agent| {
            topics.of(agent, self.at, &|topic| {
                let state = self.topic(topic);
                let holds = state.holding.is_some_and(|held| held.agent == *agent);
                holds || state.losers.iter().any(|loser| loser.agent == *agent)
            })
        });
        own.collect()
    }

    /// What an agent holds, by name, at most so much as is looked at.
    pub(in crate::orchestra) fn held_by(&self, agent: &AgentId) -> Vec<&str> {
        let holds = |topic: &str| {
            self.topic(topic)
                .holding
                .is_some_and(|held| held.agent == *agent)
        };
        self.folds.interference.topics_of(agent, self.at, &holds)
    }

    fn contested<'a>(&'a self, of: Option<&BTreeSet<AgentId>>, add: &mut dyn FnMut(Found<'a>)) {
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
                let won = side(topic, holding.claim, holding.agent);
                let lost = side(topic, loser.claim, loser.agent);
                add(Found {
                    until: holding.until.min(loser.until),
                    decided_for: Some(holding.agent),
                    ..of_claims(InterferenceKind::Contested, won, lost)
                });
            }
        }
    }

    fn overlaps<'a>(&'a self, of: Option<&BTreeSet<AgentId>>, add: &mut dyn FnMut(Found<'a>)) {
        let ask = |topic: &str| self.topic(topic).holding.is_some();
        let mut walk = self.folds.interference.topics.walk(&ask);
        for topic in self.topics(of) {
            let Some(holding) = self.topic(topic).holding else {
                continue;
            };
            let mut others = walk.over(topic);
            if of.is_some() {
                others.extend(walk.under(topic));
            }
            let sabotage = self.folds.interference.sabotage;
            if sabotage.glob_by_prefix {
                others.extend(self.begin_alike(topic));
            }
            if sabotage.glob_only_downward {
                // Planted fault: of two globs neither is over the other.
                let glob = |topic: &str| Pattern::of(topic).is_glob();
                others.retain(|other| !glob(topic) || !glob(other));
            }
            for other in others {
                if let Some(theirs) = self.topic(other).holding
                    && theirs.agent != holding.agent
                {
                    let one = (topic, &holding);
                    let mut found = found_overlap(one, (other, &theirs));
                    if sabotage.overlap_won_by_later {
                        found.decided_for = found.second.map(|side| side.agent);
                    }
                    add(found);
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

    fn found_unanswered<'a>(&self, one: &Unanswered<'a>) -> Found<'a> {
        let patience_ms = self.setting(Setting::NeedPatienceMs);
        Found {
            kind: InterferenceKind::Unanswered,
            blocking: one.blocking,
            first: side(one.topic, one.need, one.agent),
            second: None,
            since: one.need.stamp.plus_ms(patience_ms),
            until: one.until,
            likeness: 1_000,
            decided_for: None,
        }
    }

    fn show_one(
        &self,
        id: Digest,
        one: &Found<'_>,
        resolved: Option<&Resolved<'_>>,
    ) -> InterferenceView {
        let name = |agent: &AgentId| self.folds.agents.name(agent);
        let sides = core::iter::once(&one.first).chain(&one.second);
        InterferenceView {
            id,
            kind: one.kind,
            blocking: one.blocking,
            sides: sides.map(|side| self.show_side(one.kind, side)).collect(),
            since: one.since,
            until: one.until,
            likeness: one.likeness,
            decided_for: one.decided_for.as_ref().map(name),
            resolution: resolved.map(|(place, agent, resolve)| ResolutionView {
                place: *place,
                agent: *agent,
                name: name(agent),
                how: resolve.how,
                outcome: resolve.outcome.clone(),
                mark: resolve.mark,
            }),
        }
    }

    fn show_side(&self, kind: InterferenceKind, side: &Side<'_>) -> SideView {
        let said = match kind {
            InterferenceKind::Contested | InterferenceKind::Overlap => None,
            InterferenceKind::Unanswered | InterferenceKind::Collision => {
                self.folds.signals.get(&side.place)
            }
        };
        let (topic, text) = said.map_or((side.topic, ""), |said| {
            (&said.signal.topic, &said.signal.text)
        });
        SideView {
            place: side.place,
            agent: side.agent,
            name: self.folds.agents.name(&side.agent),
            topic: topic.into(),
            text: text.into(),
        }
    }
}

fn side(topic: &str, place: Place, agent: AgentId) -> Side<'_> {
    Side {
        place,
        agent,
        topic,
    }
}

fn of_claims<'a>(kind: InterferenceKind, one: Side<'a>, other: Side<'a>) -> Found<'a> {
    let (first, second) = if one.place <= other.place {
        (one, other)
    } else {
        (other, one)
    };
    Found {
        kind,
        blocking: true,
        first,
        second: Some(second),
        since: second.place.stamp,
        until: Stamp::MAX,
        likeness: 1_000,
        decided_for: None,
    }
}

fn found_overlap<'a>(one: (&'a str, &Holding), two: (&'a str, &Holding)) -> Found<'a> {
    let until = one.1.until.min(two.1.until);
    let [one, two] = [one, two].map(|(topic, held)| side(topic, held.claim, held.agent));
    let found = of_claims(InterferenceKind::Overlap, one, two);
    Found {
        until,
        // Whoever came first had not seen the other.
        decided_for: Some(found.first.agent),
        ..found
    }
}
