//! The judges: at most one leader for an epoch, one for each connected part in bounded time, none
//! changed without a cause (I4); time that never runs backwards, in an interval that contains what
//! the leader tells (I6).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use unisono_core::election::{Epoch, Role};
use unisono_core::timing::Reading;
use unisono_model::NodeId;

use super::plan::{Plan, Trouble};
use super::world::by_side;

/// After the last trouble everything is decided within this, ns: listening, losing a leader, and the
/// hold of a better candidate.
const DECIDED_WITHIN_NS: i64 = 12_000_000_000;
/// How long after a new epoch the one before may still be told, ns: the announcement's turn, the way
/// and one lost announcement, from the leader to the regions' and from there to everybody. Measured
/// from the look that saw it first.
const TAKEOVER_NS: i64 = 400_000_000;
/// So many new leaders of a region in so long (ns), when nothing happens, are too many: one who lost some
/// words, the one before it, and once more.
const OVERTAKEN_MAX: usize = 4;
const OVERTAKEN_WITHIN_NS: i64 = 5_000_000_000;
/// How long after a jump of its clock nobody is asked what a node tells, ns: one look. It notices before
/// it tells a time; whoever follows it hears of that a moment later.
const JUMPED_NS: i64 = 100_000_000;
/// By when every node has begun and listened, ns.
const STARTED_NS: i64 = 5_000_000_000;
/// How far a lie may move anybody, beside what a leader's clock does in the meantime, ns.
const MOVED_NS_MAX: i64 = 10_000_000;
/// How long after a lie that is looked at, ns.
const LIE_WATCHED_NS: i64 = 20_000_000_000;
/// The judges look this soon after a trouble, ns.
const FIRST_LOOK_NS: i64 = 100_000_000;
/// Epochs in which a node that flaps may lead others meanwhile, of the seven times that it comes
/// back: the one in which it led before, and those in which nodes that had lost everybody follow it.
const FLAPS_MAX: usize = 4;
/// A leader that is gone for good, or stands still, has a successor within this, ms: silence, the backup,
/// and a second for whoever waits because the lost one had named somebody else.
const FAILOVER_MS_MAX: f64 = 2_000.0;
/// A change of leader is no step: by how much the told time jumps at the most, ns.
const PHASE_NS_MAX: u64 = 1_000_000;
/// Looks of a seed at which the likely interval should hold what the leader tells, in a thousand. Less than
/// over many seeds: a leader's clock that jumped may be most of a seed's misses.
const LIKELY_PERMILLE_MIN: usize = 950;
/// Violations of one kind that are told.
const TOLD_MAX: usize = 3;

/// What a node shows at a look.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) id: NodeId,
    pub(super) side: u32,
    pub(super) reading: Option<Reading>,
    pub(super) role: Role,
    pub(super) leader: Option<NodeId>,
    pub(super) region_leader: Option<NodeId>,
    pub(super) epoch: Epoch,
    pub(super) told_epoch: Option<Epoch>,
    pub(super) region_epoch: Option<Epoch>,
}

/// A leader that was lost, and what followed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Failover {
    /// Until another led, ms.
    pub after_ms: f64,
    /// By how much the new leader's time differed from the old one's, had that gone on, ns.
    pub phase_ns: i64,
}

/// What the judges found in one seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The seed.
    pub seed: u64,
    /// Its trouble.
    pub trouble: String,
    /// Each names the invariant and what broke it.
    pub violations: Vec<String>,
    /// The leaders that were lost.
    pub failovers: Vec<Failover>,
    /// Looks at followers, and those at which the likely interval held what the leader told.
    pub looks: usize,
    /// See above.
    pub likely: usize,
    /// Leaders of the cluster that there were, over all parts.
    pub leaderships: usize,
    /// Who led when, in words.
    pub story: Vec<String>,
}

pub(super) struct Judge {
    found: Found,
    regions: Vec<u64>,
    trouble: Trouble,
    disturbed_ns: i64,
    before: Vec<Option<u64>>,
    /// In which epochs the cluster and the regions were led.
    epochs: BTreeSet<(u64, Epoch)>,
    /// The epochs of the cluster and of the region that each node knew last.
    known: BTreeMap<usize, (Option<Epoch>, Option<Epoch>)>,
    /// Who led last, when it was seen, and what it told then.
    leading: Option<(NodeId, i64, u64)>,
    lost: Option<(NodeId, i64)>,
    liar: Option<(usize, i64, i64)>,
    /// How far a lie has moved whom at the worst, ns.
    moved: BTreeMap<usize, i64>,
    /// Who was away from the leader's time before the lie already.
    astray: BTreeSet<usize>,
    jumped: Option<(usize, i64)>,
    flapping: Option<NodeId>,
    flapped: Vec<Epoch>,
    /// The highest epoch of the cluster that a part knows, and since when.
    newest: BTreeMap<u32, (Epoch, i64)>,
    /// The same for each region of each side.
    newest_in_regions: BTreeMap<(u32, u64), (Epoch, i64)>,
    /// When those were new.
    overtaken: BTreeMap<(u32, u64), Vec<i64>>,
    told: BTreeMap<&'static str, usize>,
    stood: BTreeMap<usize, Stood>,
}

/// Role, epoch, leader, epoch on which the told time stands.
type Stood = (Role, u64, String, Option<u64>);

impl Judge {
    pub(super) fn new(plan: &Plan, nodes: usize) -> Self {
        Self {
            found: Found {
                seed: plan.seed,
                trouble: format!("{:?}", plan.trouble),
                violations: Vec::new(),
                failovers: Vec::new(),
                looks: 0,
                likely: 0,
                leaderships: 0,
                story: Vec::new(),
            },
            regions: plan.regions.clone(),
            trouble: plan.trouble,
            disturbed_ns: STARTED_NS,
            before: vec![None; nodes],
            epochs: BTreeSet::new(),
            known: BTreeMap::new(),
            leading: None,
            lost: None,
            liar: None,
            moved: BTreeMap::new(),
            astray: BTreeSet::new(),
            jumped: None,
            flapping: None,
            flapped: Vec::new(),
            newest: BTreeMap::new(),
            newest_in_regions: BTreeMap::new(),
            overtaken: BTreeMap::new(),
            told: BTreeMap::new(),
            stood: BTreeMap::new(),
        }
    }

    pub(super) fn found(mut self) -> Found {
        if let Some(worst) = self.moved.values().copied().max_by_key(|by_ns| by_ns.abs()) {
            let nodes: Vec<&usize> = self.moved.keys().collect();
            let words = format!("I6: a lie moved nodes {nodes:?}, by {worst} ns at the worst");
            self.found.violations.push(words);
        }
        let (looks, likely) = (self.found.looks, self.found.likely);
        // A queue that stands from the first probe on is a longer path to whoever remembers none.
        let known = self.trouble != Trouble::Congestion;
        if known && likely * 1_000 < looks * LIKELY_PERMILLE_MIN {
            let words = format!(
                "I6: the likely interval held the leader's time at {likely} of {looks} looks"
            );
            self.found.violations.push(words);
        }
        let clusters = self.epochs.iter().filter(|(scope, _)| *scope == u64::MAX);
        self.found.leaderships = clusters.count();
        self.found
    }

    pub(super) fn disturbed(&mut self, now_ns: i64) {
        self.disturbed_ns = now_ns;
    }

    pub(super) fn crashed(&mut self, node: usize, now_ns: i64) {
        // Another process: another promise.
        self.before[node] = None;
        self.known.remove(&node);
        if let Some((leader, ..)) = self.leading {
            self.lost = Some((leader, now_ns));
        }
    }

    pub(super) fn lost(&mut self, _node: usize) {
        if let Some((leader, ..)) = self.leading {
            self.lost = Some((leader, self.disturbed_ns));
        }
    }

    pub(super) fn lied(&mut self, node: usize, now_ns: i64) {
        let anchor = self
            .leading
            .map_or(0, |(_, at_ns, told_ns)| told_ns.cast_signed() - at_ns);
        self.liar = Some((node, now_ns, anchor));
    }

    pub(super) fn jumped(&mut self, node: usize, now_ns: i64) {
        self.jumped = Some((node, now_ns));
    }

    pub(super) fn flapping(&mut self, node: NodeId, goes_on: bool) {
        self.flapping = goes_on.then_some(node);
    }

    pub(super) fn look(&mut self, now_ns: i64, shown: &[Option<Shown>]) {
        for (place, one) in shown.iter().enumerate() {
            if let Some(one) = one {
                self.tell(now_ns, place, one);
                self.one_way(place, one);
                self.one_leader_an_epoch(place, one);
            }
        }
        self.intervals(now_ns, shown);
        self.moved_by_a_lie(now_ns, shown);
        self.one_leader_a_part(now_ns, shown);
        self.steady(shown);
        self.failover(now_ns, shown);
    }

    /// Writes down what changed at a node.
    fn tell(&mut self, now_ns: i64, place: usize, one: &Shown) {
        let leader = one.leader.map_or("nobody".to_owned(), |leader| {
            leader.to_string()[..4].to_owned()
        });
        let now = (
            one.role,
            one.epoch.number,
            leader,
            one.told_epoch.map(|epoch| epoch.number),
        );
        if self.stood.get(&place) != Some(&now) {
            let (role, epoch, leader, told) = &now;
            self.found.story.push(format!(
                "{} ms: node {place} ({}) is {role:?}, epoch {epoch} of {leader}, tells epoch {told:?}",
                now_ns / 1_000_000,
                &one.id.to_string()[..4],
            ));
            self.stood.insert(place, now);
        }
    }

    fn one_way(&mut self, place: usize, one: &Shown) {
        let Some(reading) = one.reading else { return };
        if let Some(before) = self.before[place]
            && reading.estimate_ns < before
        {
            let by_ns = before - reading.estimate_ns;
            self.violated("I6", format!("time ran back by {by_ns} ns at node {place}"));
        }
        self.before[place] = Some(reading.estimate_ns);
    }

    fn one_leader_an_epoch(&mut self, place: usize, one: &Shown) {
        let leads = one.role == Role::ClusterLeader;
        let cluster = leads.then_some((u64::MAX, one.epoch));
        let leads_region = one.region_leader == Some(one.id);
        let region = one.region_epoch.filter(|_| leads_region);
        let region = region.map(|epoch| (self.regions[place], epoch));
        for key in cluster.into_iter().chain(region) {
            if key.1.node != one.id {
                let words = format!("node {place} leads in the epoch of {}", key.1.node);
                self.violated("I4", words);
            }
            self.epochs.insert(key);
        }
        let epochs = (Some(one.epoch), one.region_epoch);
        let before = self.known.insert(place, epochs).unwrap_or_default();
        // Whoever knows no leader of its region shows no epoch of it.
        let fell =
            |before: Option<Epoch>, now: Option<Epoch>| now.is_some_and(|now| before > Some(now));
        if fell(before.0, epochs.0) || fell(before.1, epochs.1) {
            self.violated("I4", format!("an epoch fell at node {place}"));
        }
    }

    /// Whoever follows a leader has an interval that contains what that leader tells.
    fn intervals(&mut self, now_ns: i64, shown: &[Option<Shown>]) {
        let honest = |place: usize, judge: &Self| {
            let lies = judge.liar.is_some_and(|(liar, ..)| liar == place);
            let since = |(node, at_ns): (usize, i64)| node == place && now_ns - at_ns < JUMPED_NS;
            !lies && !judge.jumped.is_some_and(since)
        };
        for (place, one) in shown.iter().enumerate() {
            let Some(one) = one.as_ref().filter(|_| honest(place, self)) else {
                continue;
            };
            let Some(reading) = one.reading else { continue };
            let leads = |(at, other): &(usize, &Option<Shown>)| {
                let other = other.as_ref().filter(|_| honest(*at, self));
                other.is_some_and(|other| {
                    other.role == Role::ClusterLeader
                        && other.side == one.side
                        && Some(other.epoch) == one.told_epoch
                })
            };
            let leader = shown.iter().enumerate().find(leads);
            let told = leader.and_then(|(_, other)| other.as_ref()?.reading);
            let Some(told) = told else { continue };
            if one.role != Role::ClusterLeader {
                self.found.looks += 1;
                self.found.likely += usize::from(reading.likely.contains(told.estimate_ns));
            }
            if !reading.hard.contains(told.estimate_ns) {
                let off = told.estimate_ns.cast_signed() - reading.estimate_ns.cast_signed();
                let half = reading.hard.latest_ns - reading.hard.earliest_ns;
                let words = format!(
                    "node {place}'s interval of {half} ns does not hold its leader's time, {off} ns off, at {} ms, {:?}",
                    now_ns / 1_000_000,
                    reading.sync
                );
                self.violated("I6", words);
            }
        }
    }

    fn moved_by_a_lie(&mut self, now_ns: i64, shown: &[Option<Shown>]) {
        let Some((liar, since_ns, anchor)) = self.liar else {
            return;
        };
        if now_ns - since_ns > LIE_WATCHED_NS {
            return;
        }
        for (place, one) in shown.iter().enumerate().filter(|(place, _)| *place != liar) {
            let reading = one.as_ref().and_then(|one| one.reading);
            let Some(reading) = reading else { continue };
            let moved = reading.estimate_ns.cast_signed() - now_ns - anchor;
            // No lie moves a slewing clock so far before the first look.
            if moved.abs() > MOVED_NS_MAX && now_ns - since_ns <= FIRST_LOOK_NS {
                self.astray.insert(place);
            }
            if moved.abs() > MOVED_NS_MAX && !self.astray.contains(&place) {
                let worst = self.moved.entry(place).or_default();
                if moved.abs() > worst.abs() {
                    *worst = moved;
                }
            }
        }
    }

    fn one_leader_a_part(&mut self, now_ns: i64, shown: &[Option<Shown>]) {
        let decided = now_ns - self.disturbed_ns > DECIDED_WITHIN_NS;
        for (side, places) in by_side(shown) {
            let part: Vec<&Shown> = places.iter().filter_map(|at| shown[*at].as_ref()).collect();
            if self.takes_over(now_ns, side, &part) || !decided {
                continue;
            }
            let leaders: Vec<NodeId> = part
                .iter()
                .filter(|one| one.role == Role::ClusterLeader)
                .map(|one| one.id)
                .collect();
            let agreed = part
                .iter()
                .all(|one| one.leader == leaders.first().copied());
            if leaders.len() != 1 || !agreed {
                let words = format!(
                    "{} leaders in a part of {} at {} ms, agreed: {agreed}",
                    leaders.len(),
                    part.len(),
                    now_ns / 1_000_000
                );
                self.violated("I4", words);
            }
            for region in self.regions.clone() {
                let near = places.iter().filter(|at| self.regions[**at] == region);
                let near: Vec<&Shown> = near.filter_map(|at| shown[*at].as_ref()).collect();
                if self.region_takes_over(now_ns, (side, region), &near) {
                    continue;
                }
                let first = near.first().and_then(|one| one.region_leader);
                let same = near.iter().all(|one| one.region_leader == first);
                if !near.is_empty() && (first.is_none() || !same) {
                    let at_ms = now_ns / 1_000_000;
                    self.violated(
                        "I4",
                        format!("region {region} has no one leader at {at_ms} ms"),
                    );
                }
            }
        }
    }

    /// Whether a new leader's word may still be under way in a part.
    fn takes_over(&mut self, now_ns: i64, side: u32, part: &[&Shown]) -> bool {
        let highest = part.iter().map(|one| one.epoch).max().unwrap_or_default();
        let newest = self.newest.entry(side).or_insert((highest, i64::MIN / 2));
        if highest > newest.0 {
            *newest = (highest, now_ns);
        }
        now_ns - newest.1 <= TAKEOVER_NS
    }

    /// The same in a region: when four words of its leader in a row are lost, another one leads for the
    /// moment that both need to hear each other.
    fn region_takes_over(&mut self, now_ns: i64, part: (u32, u64), near: &[&Shown]) -> bool {
        let highest = near.iter().filter_map(|one| one.region_epoch).max();
        let highest = highest.unwrap_or_default();
        let before = (highest, i64::MIN / 2);
        let newest = self.newest_in_regions.entry(part).or_insert(before);
        if highest > newest.0 {
            *newest = (highest, now_ns);
            self.overtaken.entry(part).or_default().push(now_ns);
        }
        let in_a_row = self.overtaken.entry(part).or_default();
        in_a_row.retain(|at_ns| now_ns - at_ns <= OVERTAKEN_WITHIN_NS);
        let often = in_a_row.len() > OVERTAKEN_MAX;
        if often {
            in_a_row.clear();
            let words = format!("the leaders of region {} outbid each other", part.1);
            self.violated("I4", words);
        }
        now_ns - self.newest_in_regions[&part].1 <= TAKEOVER_NS
    }

    fn steady(&mut self, shown: &[Option<Shown>]) {
        let Some(flapping) = self.flapping else {
            return;
        };
        // What a node does while it is cut off concerns nobody.
        let seen = shown.iter().flatten().filter(|one| one.id != flapping);
        for one in seen {
            let by_it = one.role != Role::ClusterLeader && one.epoch.node == flapping;
            if by_it && !self.flapped.contains(&one.epoch) {
                self.flapped.push(one.epoch);
                if self.flapped.len() > FLAPS_MAX {
                    let count = self.flapped.len();
                    self.violated("I4", format!("a node that flaps took over {count} times"));
                }
            }
        }
    }

    fn failover(&mut self, now_ns: i64, shown: &[Option<Shown>]) {
        let leader = shown
            .iter()
            .flatten()
            .filter(|one| one.role == Role::ClusterLeader)
            .max_by_key(|one| one.epoch);
        let Some((leader, reading)) = leader.and_then(|one| Some((one, one.reading?))) else {
            return;
        };
        if let (Some((lost, since_ns)), Some((_, at_ns, told_ns))) = (self.lost, self.leading)
            && leader.id != lost
        {
            let expected = told_ns.cast_signed() + (now_ns - at_ns);
            let phase_ns = reading.estimate_ns.cast_signed() - expected;
            let after_ms = (now_ns - since_ns) as f64 / 1e6;
            self.lost = None;
            self.found.failovers.push(Failover { after_ms, phase_ns });
            if after_ms > FAILOVER_MS_MAX {
                self.violated("I4", format!("a new leader after {after_ms} ms"));
            }
            if phase_ns.unsigned_abs() > PHASE_NS_MAX {
                self.violated("I6", format!("the new leader's time is {phase_ns} ns off"));
            }
        }
        if self.lost.is_none() {
            self.leading = Some((leader.id, now_ns, reading.estimate_ns));
        }
    }

    fn violated(&mut self, invariant: &'static str, words: String) {
        let told = self.told.entry(invariant).or_default();
        *told += 1;
        if *told <= TOLD_MAX {
            self.found.violations.push(format!("{invariant}: {words}"));
        }
    }
}
