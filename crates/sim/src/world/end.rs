//! The end: everything is mended, the cluster must come to agree within bounded time, and what it
//! shows is held against the logs.

use std::collections::BTreeSet;
use std::rc::Rc;

use unisono_core::journal::Entry;
use unisono_core::node::{Question, Storage};
use unisono_core::orchestra::claims::Claims;
use unisono_core::orchestra::view::{ClaimsWanted, InterferenceKind, View};
use unisono_model::{Action, NodeId, OrchestraId, Place, Stamp, SuccessionWord};

use super::{MS, SECOND, World};
use crate::checks::{self, Excuses, Written};
use crate::host::Host;
use crate::oracle::{self, Reading, Story};

/// How long before agents stop interferences are judged, too (ns): they are at work then.
const INTERFERED_BEFORE: [u64; 4] = [SECOND, 4 * SECOND, 8 * SECOND, 16 * SECOND];

impl World {
    /// Lets everything go wrong for as long as planned, then heals and judges.
    pub fn run(&mut self) {
        if !self.go_wrong() {
            return self.judge_forks();
        }
        let end = self.now;
        self.retired_at = end;
        self.agents
            .iter_mut()
            .for_each(|agent| agent.retired = true);
        self.heal();
        let bound = end + self.scenario.liveness_s * SECOND;
        while self.now < bound && self.run_until(self.now + SECOND) {
            if self.is_settled() {
                self.counters
                    .add_many("seconds to settle", (self.now - end) / SECOND);
                return self.judge_settled();
            }
        }
        if self.broken {
            return self.judge_forks();
        }
        self.say_what_is_unsettled();
        self.judge_logs();
    }

    /// Everything goes wrong, and the run goes on without new faults until it is as large as the
    /// scenario says. False where going on makes no sense.
    fn go_wrong(&mut self) -> bool {
        let end = self.scenario.safety_s * SECOND;
        if !self.run_until(end) {
            return false;
        }
        while self.lacks().is_some() && self.now < 3 * end {
            if self.counters.of("crash") == 0 {
                let awake = self.hosts.iter().position(Host::is_awake).unwrap_or(0);
                self.crash(awake, SECOND, false);
            }
            if !self.run_until(self.now + 10 * SECOND) {
                return false;
            }
        }
        let small = self.lacks().map_or(Ok(()), Err);
        self.checks.say(self.now, "size", small);
        true
    }

    /// What must have happened by now in a run of this scenario and has not.
    fn lacks(&self) -> Option<String> {
        // Where executives end each other, most that they have handed on ends (seed 1222), and where more
        // is refused for a fence than a run has to come to, others have ended them (seed 809).
        let (least, of) = (self.scenario.actions_min, |what| self.counters.of(what));
        let ended = of("second executive") > 0 || of("token_fenced") > least;
        let least = if ended { least / 2 } else { least };
        let several = self.scenario.nodes > 1;
        let wanted = [
            ("acknowledged", least),
            ("crash", least.min(1)),
            ("partition", least.min(u64::from(several))),
        ];
        let lack = wanted.into_iter().find(|(what, least)| of(what) < *least)?;
        let (what, least) = lack;
        Some(format!("{what}: {} of {least}", of(what)))
    }

    fn is_settled(&mut self) -> bool {
        if !self.agents.iter().all(crate::agents::Agent::is_done) {
            return false;
        }
        // Who is outside still gets to hold the same: it asks its seeds.
        self.is_agreed() && self.outsiders().is_empty() && self.all_are_seen_off()
    }

    /// Whether a machine is no part of the cluster any more.
    pub(super) fn is_apart(&self, host: usize) -> bool {
        self.hosts[host].gone || self.hosts[host].removed
    }

    /// The machines whose nodes have not been admitted, by their own word.
    fn outsiders(&mut self) -> Vec<usize> {
        let nodes = 0..self.scenario.nodes;
        nodes
            .filter(|host| !self.is_apart(*host) && !self.counts_itself(*host))
            .collect()
    }

    /// Whether a node shows itself among the members. Of each node the latest life is shown: a later
    /// one than the present may be a copy's, or from before a clock was set back.
    fn counts_itself(&mut self, host: usize) -> bool {
        let log = self.hosts[host].log();
        self.status(host).is_some_and(|status| {
            let mut members = status.members.iter().filter(|member| member.stays());
            members.any(|member| member.node == log.node && member.incarnation >= log.incarnation)
        })
    }

    /// Whether everybody is up and holds the same.
    fn is_agreed(&mut self) -> bool {
        let at = Self::stamp_at(self.now.saturating_sub(1_500 * MS));
        [self.workplace, self.home].into_iter().all(|place| {
            let mut vectors = BTreeSet::new();
            (0..self.scenario.nodes).all(|host| {
                self.is_apart(host)
                    || self.hash(host, place, at).is_some_and(|hash| {
                        vectors.insert(hash.vector);
                        vectors.len() == 1
                    })
            })
        })
    }

    fn say_what_is_unsettled(&mut self) {
        let at = Self::stamp_at(self.now.saturating_sub(1_500 * MS));
        let mut lines = Vec::new();
        let nodes = self.scenario.nodes;
        let outside = self.outsiders();
        for host in 0..nodes {
            let main = self.hash(host, self.workplace, at).map(|hash| hash.vector);
            let home = self.hash(host, self.home, at).map(|hash| hash.vector);
            let member = !outside.contains(&host);
            let up = self.hosts[host].is_awake();
            lines.push(format!(
                "{host}: up {up}, member {member}, main {main:?}, home {home:?}"
            ));
        }
        let busy = self.agents.iter().filter(|agent| !agent.is_done()).count();
        let detail = format!("not settled; busy agents {busy}; {}", lines.join("; "));
        if !outside.is_empty() {
            let why = format!("machines {outside:?} were not admitted: {detail}");
            self.checks.violated(self.now, "I12", why);
        }
        if outside.is_empty() || busy > 0 || !self.is_agreed() {
            self.checks.violated(self.now, "I1", detail);
        }
    }

    /// After agreement: a quiet while, then everything is held against the logs.
    fn judge_settled(&mut self) {
        self.checks.bounds.quiet_from(self.now);
        if !self.run_until(self.now + 8 * SECOND) {
            return;
        }
        let quiet = self.checks.bounds.check(self.now, self.scenario.nodes);
        self.checks.say(self.now, "I10", quiet);
        for _ in 0..40 {
            if self.is_agreed() || !self.run_until(self.now + 250 * MS) {
                break;
            }
        }
        if !self.is_agreed() && !self.broken {
            self.say_what_is_unsettled();
        }
        for host in 0..self.scenario.nodes {
            self.look_after(host);
            let Some(status) = self.status(host) else {
                continue;
            };
            if self.hosts[host].removed {
                continue;
            }
            let machines: BTreeSet<NodeId> = self.hosts.iter().map(|host| host.id).collect();
            let mut shown = status.members.iter().map(|member| member.node);
            if let Some(ghost) = shown.find(|node| !machines.contains(node)) {
                let why = format!("machine {host} counts {ghost:?}, whom nobody has admitted");
                self.checks.violated(self.now, "I9", why);
            }
            let verdict = self.checks.membership.settled(host, &status.members);
            self.checks.say(self.now, "I9", verdict);
        }
        self.judge_authorities();
        self.judge_witnesses();
        self.judge_roots();
        let (removed, returned) = self.checks.membership.counts();
        self.counters.add_many("member removed", removed);
        self.counters.add_many("member returned", returned);
        self.judge_views();
        self.judge_logs();
    }

    /// Of all that the root has said of authorities the same one signs for everybody.
    fn judge_authorities(&mut self) {
        let home = self.reading(self.home);
        let wanted = oracle::authority(&home.facts);
        for host in 0..self.scenario.nodes {
            if self.is_apart(host) || self.lies(host) {
                continue;
            }
            let Some(node) = &self.hosts[host].node else {
                continue;
            };
            let shown = node.authority();
            if shown != wanted {
                let rank = |word: Option<SuccessionWord>| word.map(|word| word.rank());
                let (shown, wanted) = (rank(shown), rank(wanted));
                let why = format!("for machine {host} {shown:?} signs, and it is {wanted:?}");
                self.checks.violated(self.now, "I7", why);
            }
        }
        if wanted.is_some() {
            self.counters.add("authorities judged");
        }
    }

    /// Writes what counts into the trace, in order: what the judges judge by.
    fn trace_facts(&mut self, facts: &[&oracle::Fact], wanted: impl Fn(&Action) -> bool) {
        for fact in facts.iter().filter(|fact| wanted(&fact.body.action)) {
            self.trace.say(self.now, 0, || {
                let (place, log, agent) = (fact.place, fact.log, fact.agent);
                format!(
                    "{} {:?} {log:?} {agent:?} {:?}",
                    place.stamp, place.record, fact.body.action
                )
            });
        }
    }

    /// What each node shows, at a stamp that lies some seconds back, is what the logs say.
    fn judge_views(&mut self) {
        let at = Self::stamp_at(self.now.saturating_sub(2_500 * MS));
        let home = self.reading(self.home);
        let home_facts = oracle::counted(&home, Stamp::MAX);
        let removals = oracle::removals(&home_facts, self.common.founder);
        self.trace_facts(&home_facts, |_| true);
        self.judge_joins(&home_facts);
        let work = self.reading(self.workplace);
        let truth = oracle::truth(&work, &removals, self.scenario.lease_ms_max, at);
        // Most of what agents did to each other has ended by now: it is looked at as it was, too.
        let then = INTERFERED_BEFORE.map(|before| self.retired_at.saturating_sub(before));
        let lease_ms_max = self.scenario.lease_ms_max;
        let earlier =
            then.map(|then| oracle::truth(&work, &removals, lease_ms_max, Self::stamp_at(then)));
        self.counters
            .add_many("records by the logs", work.facts.len() as u64);
        self.counters
            .add_many("records void by the logs", work.void.len() as u64);
        self.counters
            .add_many("removals by the logs", removals.count() as u64);
        self.counters
            .add_many("views by the logs", removals.views() as u64);
        let split = truth.tasks.values().flat_map(|task| task.heads.values());
        let split = split.filter(|heads| heads.len() > 1).count();
        self.counters
            .add_many("task conflicts by the logs", split as u64);
        self.compare(self.workplace, at);
        self.compare(self.home, at);
        self.count_rights(&work, at);
        let cut_off = self.judge_collusion(&work);
        for host in 0..self.scenario.nodes {
            if self.lies(host) || self.hosts[host].gone {
                continue;
            }
            self.judge_host(host, &work, &truth, &earlier);
            self.judge_words(host, at, &cut_off);
            // A last look at all claims, so that whoever lost has been told.
            self.ask(
                host,
                self.workplace,
                Question::Claims(ClaimsWanted::default()),
                None,
            );
        }
        self.judge_written();
        let facts = oracle::counted(&work, Stamp::MAX);
        let aside = oracle::set_aside(&oracle::made(&work, Stamp::MAX));
        self.counters
            .add_many("records set aside by the logs", aside.len() as u64);
        if let Some(why) = oracle::beyond_the_plan(&facts) {
            self.checks.violated(self.now, "I7", why);
        }
        self.count_deeds(&facts);
        self.trace_facts(&facts, |action| Claims::topic_of(action).is_some());
        let story = oracle::story(&facts, &removals, self.scenario.lease_ms_max);
        // Whoever has left tells nobody anything any more (seed 289).
        let running = |host: &Host| (!host.gone).then_some(host.life);
        let lives: Vec<Option<u32>> = self.hosts.iter().map(running).collect();
        let excuses = self.excuses(&work, &story);
        let verdict = self.checks.claims.check(&story, &excuses);
        self.checks.say(self.now, "I8", verdict);
        if let Some(claim) = self.checks.claims.untold(&story, &lives, &excuses).first() {
            let why = format!("claim {claim} lost, and nobody told its agent");
            self.checks.violated(self.now, "I8", why);
        }
        self.counters
            .add_many("claims lost by the logs", story.lost.len() as u64);
    }

    /// How often agents did what a campaign has to see done.
    fn count_deeds(&mut self, facts: &[&oracle::Fact]) {
        for (name, counter) in [
            ("plan", "plans by the logs"),
            ("write", "writes by the logs"),
            ("approve", "approvals by the logs"),
            ("rollback", "rollbacks by the logs"),
            ("resolve", "resolutions by the logs"),
            ("advance", "advances by the logs"),
            ("decide", "decisions by the logs"),
            ("across", "signals across by the logs"),
            ("seen", "seen by the logs"),
        ] {
            let done = facts.iter().filter(|fact| fact.body.action.name() == name);
            self.counters.add_many(counter, done.count() as u64);
        }
    }

    /// Notes and configuration are the same everywhere.
    fn judge_written(&mut self) {
        let mut first: Option<Written> = None;
        for host in 0..self.scenario.nodes {
            if self.lies(host) || self.hosts[host].gone {
                continue;
            }
            let verdict = match (self.notes_of(host, self.workplace), &first) {
                (None, _) => Err("it shows no notes".to_owned()),
                (Some(shown), None) => {
                    first = Some(shown);
                    Ok(())
                }
                (Some(shown), Some(first)) => shown.agrees(first),
            };
            let verdict = verdict.map_err(|why| format!("machine {host}: {why}"));
            self.checks.say(self.now, "I1", verdict);
        }
    }

    /// What one node shows of rights, of everything, and of who gets in whose way.
    fn judge_host(
        &mut self,
        host: usize,
        work: &Reading,
        truth: &oracle::Truth,
        earlier: &[oracle::Truth],
    ) {
        let at = truth.at;
        let verdict = match self.trust(host, self.workplace, at) {
            Some(trust) => checks::rights::check(&trust, &work.void, at),
            None => Err("it does not answer".to_owned()),
        };
        let verdict = verdict.map_err(|why| format!("machine {host} at {at}: {why}"));
        self.checks.say(self.now, "I7", verdict);
        let verdict = match self.shown(host, self.workplace, at) {
            Some(shown) => shown.matches(truth),
            None => Err("it does not answer".to_owned()),
        };
        let verdict = verdict.map_err(|why| format!("machine {host} at {at}: {why}"));
        self.checks.say(self.now, "I1", verdict);
        self.judge_interferences(host, at, at, &truth.interferences);
        for earlier in earlier {
            self.judge_interferences(host, earlier.at, at, &earlier.interferences);
            let Some(apart) = self.apart(host, self.workplace, earlier.at) else {
                // What lies further back is read from the disk, which takes its time.
                self.counters.add("coherence of then not judged");
                continue;
            };
            self.counters.add("coherence judged");
            let verdict = apart.matches(earlier);
            let verdict = verdict.map_err(|why| format!("machine {host} at {}: {why}", earlier.at));
            self.checks.say(self.now, "I1", verdict);
        }
    }

    fn judge_interferences(&mut self, host: usize, at: Stamp, last: Stamp, truth: &oracle::Told) {
        let question = Question::Interference {
            agent: None,
            limit: usize::MAX,
        };
        let verdict = match self.view(host, self.workplace, question, Some(at)) {
            Some(View::Interference(shown)) => {
                self.counters.add("interferences judged");
                for met in truth.values() {
                    self.counters.add(met_as(met));
                }
                checks::interference::check(&shown, truth)
            }
            // What lies further back is read from the disk, which takes its time.
            _ if at < last => {
                self.counters.add("interferences of then not judged");
                return;
            }
            _ => Err("it does not answer".to_owned()),
        };
        let verdict = verdict.map_err(|why| format!("machine {host} at {at}: {why}"));
        self.checks.say(self.now, "I14", verdict);
        for meeting in truth.values() {
            self.counters.add(match meeting.kind {
                InterferenceKind::Contested => "contested shown",
                InterferenceKind::Overlap => "overlap shown",
                InterferenceKind::Unanswered => "unanswered shown",
                InterferenceKind::Collision => "collision shown",
            });
        }
        let resolved = truth
            .values()
            .filter(|meeting| meeting.resolution.is_some())
            .count();
        self.counters.add_many("resolved shown", resolved as u64);
    }

    /// Where a lying node may have broken what others promised. A fork takes records away, votes
    /// among them, and with those the fences at which leases had ended (seed 1107). And a node
    /// that runs on two machines at once has two lives that know nothing of each other: what the
    /// earlier says comes below the heads of the later (seed 310; `docs/protocol.md`, "What a node's
    /// key can do").
    fn excuses(&mut self, work: &Reading, story: &Story) -> Excuses {
        let mut excuses = Excuses {
            liars: self.liars.clone(),
            topics: work.fenced.clone(),
            everything: self.reading(self.home).unseated,
        };
        if excuses.everything.is_some() {
            self.counters.add("views may have lost a forked vote");
        }
        if let Some(liar) = self
            .plan
            .liar
            .filter(|_| self.counters.of("liar copied") > 0)
        {
            let node = self.hosts[liar].id;
            let upset = self.checks.claims.upset_by(story, node);
            self.counters
                .add_many("claims lost to a copied node", upset.len() as u64);
            for (topic, since) in upset {
                excuses.add(topic, since);
            }
        }
        self.counters
            .add_many("topics excused", excuses.topics.len() as u64);
        excuses
    }

    /// Whoever was told that something is made finds it on every node that has seen as much, unless
    /// a fence or a rollback has taken it back.
    fn judge_sessions(&mut self, work: &Reading) {
        // What a record rests on may have been taken back, and it waits then (seed 1246); or it was, and is
        // given back (seed 726).
        let not = work.void.iter().chain(&work.waiting).chain(&work.restored);
        let mut void: BTreeSet<Stamp> = not.map(|place| place.stamp).collect();
        let aside = oracle::ever_set_aside(&oracle::made(work, Stamp::MAX));
        void.extend(aside.iter().map(|place| place.stamp));
        // An honest node may have told of what a liar's log carries, and so may whoever was removed.
        void.extend(self.beyond(work).map(|place| place.stamp));
        // Whoever was removed answers on, and its disk may go back (seed 1488).
        let made_by = std::mem::take(&mut self.made_by).into_iter();
        let by_liars = made_by.filter(|(host, _)| self.lies(*host));
        void.extend(by_liars.map(|(_, stamp)| stamp));
        for (then, host, at) in std::mem::take(&mut self.unknown_to) {
            if void.contains(&at) {
                self.counters.add("made and taken back");
                continue;
            }
            let why = format!("machine {host} does not know what its asker made at {at}");
            self.checks.violated(then, "session", why);
        }
    }

    /// Records of logs of liars, or of who was removed, that a fork or an end took away.
    fn beyond<'a>(&self, reading: &'a Reading) -> impl Iterator<Item = &'a Place> {
        let liars = self.liars.iter().map(|liar| self.hosts[*liar].id);
        let liars: BTreeSet<NodeId> = liars.collect();
        let of_liars = reading.beyond.iter();
        of_liars
            .filter(move |(_, log)| liars.contains(&log.node))
            .map(|(place, _)| place)
    }

    /// What was acknowledged is there, and nothing that nobody asked for.
    fn judge_logs(&mut self) {
        let liars: BTreeSet<NodeId> = self.liars.iter().map(|liar| self.hosts[*liar].id).collect();
        let (home, work) = (self.reading(self.home), self.reading(self.workplace));
        self.judge_sessions(&work);
        for reading in [&home, &work] {
            let verdict = self.checks.invention.check(reading, &liars);
            self.checks.say(self.now, "I3", verdict);
        }
        self.judge_forks();
        let mut held = home.held.clone();
        held.extend(&work.held);
        // A request that is repeated at an honest node is answered with the record that a liar carries.
        for reading in [&home, &work] {
            held.extend(self.beyond(reading).map(|place| place.record));
        }
        for host in 0..self.scenario.nodes {
            if self.lies(host) {
                continue;
            }
            let Some(written) = self.notes_of(host, self.workplace) else {
                continue;
            };
            let lines = written.lines();
            let verdict = self.checks.lines.check(&lines);
            self.checks.say(self.now, "I3", verdict);
            held.extend(lines.into_keys());
        }
        let verdict = self.checks.durability.check(&held, &self.liars);
        self.checks.say(self.now, "I2", verdict);
    }

    /// Whoever runs and is honest must be able to prove every fork that the disks show.
    fn judge_forks(&mut self) {
        for place in [self.home, self.workplace] {
            let reading = self.reading(place);
            for host in 0..self.scenario.nodes {
                if self.lies(host) || !self.hosts[host].is_awake() {
                    continue;
                }
                let proofs = self.hosts[host].store.proofs(place);
                let proven = oracle::proven(place, &proofs, &mut self.memo.strict());
                if let Some(log) = reading.split.iter().find(|log| !proven.contains_key(log)) {
                    let why = format!("{log:?} forked, and machine {host} has no proof of it");
                    self.checks.violated(self.now, "I3", why);
                }
            }
        }
    }

    /// Whom the cluster's own orchestra removes, by all that it holds.
    fn expelled_at_home(&mut self, disks: &[Vec<Entry>], proofs: &[Vec<u8>]) -> oracle::Expelled {
        let ground = oracle::Ground {
            cluster: self.common.cluster,
            orchestra: self.home,
            root: self.common.root,
            recovery: Some(self.common.recovery),
            expelled: oracle::Expelled::new(),
        };
        let all = oracle::read(disks, proofs, &ground, &mut self.memo.strict());
        oracle::expelled(&all.facts)
    }

    /// The union of what the machines' disks hold of an orchestra, but for a liar's copy. It is
    /// read once for all judges of one moment, who do not change it.
    pub(super) fn reading(&mut self, place: OrchestraId) -> Rc<Reading> {
        if let Some((at, reading)) = self.readings.get(&place)
            && *at == self.now
        {
            return reading.clone();
        }
        let machines = &mut self.hosts[..self.scenario.nodes];
        let disks: Vec<Vec<Entry>> = machines
            .iter()
            .filter(|host| !host.gone)
            .map(|host| host.store.entries(place))
            .collect();
        let proofs: Vec<Vec<u8>> = machines
            .iter_mut()
            .filter(|host| !host.gone)
            .flat_map(|host| host.store.proofs(place))
            .collect();
        let ground = oracle::Ground {
            cluster: self.common.cluster,
            orchestra: place,
            root: self.common.root,
            recovery: Some(self.common.recovery),
            expelled: if place == self.home {
                self.expelled_at_home(&disks, &proofs)
            } else {
                let home = self.reading(self.home);
                oracle::expelled(&home.facts)
            },
        };
        let reading = Rc::new(oracle::read(
            &disks,
            &proofs,
            &ground,
            &mut self.memo.strict(),
        ));
        self.readings.insert(place, (self.now, reading.clone()));
        reading
    }
}

fn met_as(met: &oracle::Meeting) -> &'static str {
    match met.kind {
        InterferenceKind::Collision if met.wins.is_some() => "collisions decided by a claim",
        InterferenceKind::Collision => "collisions found",
        InterferenceKind::Contested => "claims contested found",
        InterferenceKind::Overlap => "overlaps found",
        InterferenceKind::Unanswered => "needs unanswered",
    }
}
