//! Questions, answers and announcements of others.

use alloc::vec::Vec;

use unisono_model::NodeId;

use super::source::{around, is_odd};
use super::{Answer, Fault, Frame, Outgoing, Timekeeper, limits};
use crate::election::{Announcement, Verdict};
use crate::timing::{self, LedgerError, Memory, News, Probe, ProbeError};

impl Timekeeper {
    /// Answers a question, if there is a time to tell that does not come from whoever asks.
    pub(super) fn answer(
        &mut self,
        from: NodeId,
        nonce: u64,
        received_ns: u64,
        now_ns: u64,
        out: &mut Vec<Outgoing>,
    ) {
        let (Some(known), Some(told), Some(of), Some(line)) = (
            self.peers.get_mut(&from),
            self.clock.answer(now_ns),
            self.told_epoch,
            self.told_line,
        ) else {
            self.counters.unanswered += 1;
            return;
        };
        let most = limits::ANSWERS_PER_SECOND_MAX;
        if super::too_many(&mut known.answered, now_ns, most) {
            self.counters.unanswered += 1;
            return;
        }
        let held_ns = now_ns.saturating_sub(received_ns);
        let twice = self.config.fault == Some(Fault::CorrectionTwice);
        let sent_ns = if twice {
            told.estimate_ns
        } else {
            told.direct_ns
        };
        // Three sigma of whoever has its time from here hold what three sigma do not show here.
        let hidden_ns = told.feared_ns.min(told.upstream.hard_ns) as f64;
        let answer = Answer {
            nonce,
            received_ns: sent_ns.saturating_sub(held_ns),
            sent_ns,
            of,
            line,
            source: self.followed.filter(|_| !self.clock.is_leading()),
            epoch: self.election.epoch(),
            hard_ns: told.upstream.hard_ns,
            deviation_ns: super::whole(told.upstream.deviation_ns + hidden_ns / 3.0),
            correction_ns: told.correction_ns(),
        };
        self.counters.answered += 1;
        out.push(Outgoing {
            to: from,
            bytes: Frame::Answer(answer).encode(),
        });
    }

    /// Takes an answer: to a question that was asked, possible, of this epoch, and not of one's own
    /// time.
    pub(super) fn answered(
        &mut self,
        from: NodeId,
        answer: &Answer,
        received_ns: u64,
        now_ns: u64,
    ) {
        let follows = self.followed == Some(from) && !self.clock.is_leading();
        let Some(source) = self.sources.get_mut(&from) else {
            self.counters.refused_not_asked += 1;
            return;
        };
        let readings = (answer.received_ns, answer.sent_ns);
        let probe = source
            .ledger
            .answered(answer.nonce, readings.0, readings.1, received_ns);
        let probe = match probe {
            Ok(probe) => probe.unsure_by(answer.hard_ns),
            Err(LedgerError::NotAsked { .. }) => {
                self.counters.refused_not_asked += 1;
                return;
            }
            Err(LedgerError::Times(_)) => {
                self.counters.refused_impossible += 1;
                return;
            }
        };
        if follows && answer.source == Some(self.config.node) {
            self.counters.refused_loop += 1;
            return;
        }
        if follows && answer.epoch < self.election.epoch() {
            self.counters.refused_fenced += 1;
            return;
        }
        // Who tells its own time has nothing to correct.
        let own = answer.source.is_none() && answer.correction_ns != 0;
        if own || answer.correction_ns.unsigned_abs() > limits::CORRECTION_NS_MAX.unsigned_abs() {
            self.counters.refused_impossible += 1;
            return;
        }
        source.round_trip_ns = Some(probe.round_trip_ns().unsigned_abs());
        source.of = Some(answer.of);
        source.from = answer.source;
        let before = source.line.replace(answer.line);
        // By its line and not by its name: whoever led, followed meanwhile and leads again has been
        // put right in between.
        let changed = before.is_some_and(|line| line != answer.line);
        if follows {
            self.take(from, answer, &probe, changed, now_ns);
        } else {
            if changed {
                source.restart();
            }
            let pushed = source.take(&probe, now_ns);
            if pushed.is_ok() {
                source.correct(answer, changed);
            }
            self.count(from, pushed, received_ns);
            self.compare(from, now_ns);
        }
    }

    /// Takes a probe of whom the node follows.
    fn take(&mut self, from: NodeId, answer: &Answer, probe: &Probe, changed: bool, now_ns: u64) {
        if changed {
            // It stands on another leader now: what was learnt of its time is over.
            self.turn += 1;
            self.clock.follow(self.turn, Memory::default());
            let source = self.source(from, now_ns, 0);
            source.burst = limits::BURST_OTHERS;
            source.anew();
        }
        if !changed && self.lies(from, probe, now_ns) {
            self.counters.contradictions += 1;
            return;
        }
        self.source(from, now_ns, 0).correct(answer, changed);
        let shift = self.shift_to(from);
        self.clock.set_shift(shift);
        let pushed = self.clock.push(probe);
        if let (Ok(news), Some(source)) = (&pushed, self.sources.get_mut(&from)) {
            source.pushed(news, now_ns);
        }
        self.count(from, pushed, probe.received_local_ns());
        // Until then it tells the time from before, as well as that was known.
        if pushed.is_ok() && self.clock.is_settled() {
            self.clock.set_upstream(answer.deviation_ns as f64);
            if let Some(source) = self.sources.get_mut(&from)
                && source.odd == 0
            {
                source.agreed_ns = Some(now_ns);
            }
        }
        self.say_whose();
    }

    /// Whether an answer of the leader is held back as a lie: three in a row are odd, while those of
    /// most others are as expected. If theirs are odd as well, this node's own clock has jumped; two
    /// clocks alone cannot tell which of them is wrong, and the leader is believed in the end.
    fn lies(&mut self, from: NodeId, probe: &Probe, now_ns: u64) -> bool {
        let odd = is_odd(self.clock.filter(), probe).filter(|_| self.clock.is_settled());
        let odd = odd.map(|odd| odd && self.config.fault != Some(Fault::LiarsBelieved));
        let source = self.source(from, now_ns, 0);
        source.note(odd, now_ns);
        let (count, Some(since_ns)) = (source.odd, source.odd_since_ns) else {
            return false;
        };
        if odd.is_none() {
            return false;
        }
        // Whoever was measured from later on cannot tell which of two clocks moved in between.
        let expected_ns = source.expected_ns().unwrap_or(since_ns);
        let others = self.sources.iter_mut().filter(|(node, _)| **node != from);
        let (mut even, mut jumped) = (0, 0);
        for (_, other) in others {
            if count == 1 {
                // Ask the others now, rather than when it is their turn.
                other.asks_at_ns = other.asks_at_ns.min(now_ns);
                other.burst = other.burst.max(limits::ODD_MAX + 1);
            }
            even += usize::from(other.went_on(expected_ns, since_ns));
            jumped += usize::from(other.has_moved(since_ns));
        }
        if even + jumped == 0 {
            return count < limits::ODD_ALONE_MAX;
        }
        if jumped >= even {
            return count < limits::ODD_MAX;
        }
        if count >= limits::ODD_MAX {
            self.counters.liars += 1;
            self.election.distrust(from, now_ns);
        }
        true
    }

    fn count(&mut self, from: NodeId, pushed: Result<News, ProbeError>, received_ns: u64) {
        match pushed {
            Ok(_) => {
                self.counters.probes += 1;
                if let Some(source) = self.sources.get_mut(&from) {
                    source.probes += 1;
                    source.heard_ns = Some(received_ns);
                }
            }
            Err(ProbeError::Contradicts { .. }) => self.counters.contradictions += 1,
            Err(ProbeError::OutOfOrder { .. } | ProbeError::Repeated) => {
                self.counters.refused_out_of_order += 1;
            }
        }
    }

    /// Notes that a node's time and this one's can both be the cluster's.
    fn compare(&mut self, node: NodeId, now_ns: u64) {
        if self.verdict(node, now_ns) == Verdict::Agrees
            && let Some(source) = self.sources.get_mut(&node)
        {
            source.agreed_ns = Some(now_ns);
        }
    }

    /// Whether another node's time and this one's can both have gone on from one: their intervals
    /// meet, if both clocks have drifted as far as clocks may since they last did.
    fn verdict(&self, node: NodeId, now_ns: u64) -> Verdict {
        let Some(source) = self.sources.get(&node) else {
            return Verdict::Unknown;
        };
        let (Some(theirs), Some(ours)) = (source.sound(now_ns), self.own_interval(now_ns)) else {
            return Verdict::Unknown;
        };
        // A leader's time is its own; the one before it went on with as well as it knew that. What
        // others know for certain is in their answers already.
        let announced = self.peers.get(&node).and_then(|known| known.announced);
        let leads = |one: &Announcement| one.cluster.is_some_and(|claim| claim.leader == node);
        let leading = announced.filter(|(announcement, _)| leads(announcement));
        let told_ns = leading.map_or(0, |(announcement, _)| announcement.told.hard_ns);
        let apart_ns = source.agreed_ns.map_or(0, |agreed_ns| {
            let elapsed = u128::from(now_ns.saturating_sub(agreed_ns));
            let drift = elapsed * (2 * timing::limits::RATE_PPB_MAX) as u128 / 1_000_000_000;
            u64::try_from(drift).unwrap_or(u64::MAX)
        });
        let theirs = around(now_ns, &theirs, told_ns.saturating_add(apart_ns));
        let meet = theirs.earliest_ns <= ours.latest_ns && ours.earliest_ns <= theirs.latest_ns;
        if meet {
            Verdict::Agrees
        } else {
            Verdict::Contradicts
        }
    }

    /// Whether a neighbour that was not measured goes by the same leader, and tells what this node would
    /// tell: whoever stood still long enough to lose its lead is further behind.
    fn tells_our_time(&self, announcement: &Announcement, now_ns: u64) -> bool {
        let epoch = announcement.cluster.map(|claim| claim.epoch);
        let one_leader = self.election.leader().is_some() && epoch == Some(self.election.epoch());
        let (ours_ns, theirs_ns) = (self.told(now_ns).estimate_ns, announcement.told.estimate_ns);
        one_leader && ours_ns > 0 && ours_ns.abs_diff(theirs_ns) <= limits::SAME_TIME_NS
    }

    /// Takes an announcement.
    pub(super) fn heard(&mut self, from: NodeId, announcement: &Announcement, now_ns: u64) {
        let Some(known) = self.peers.get_mut(&from) else {
            return;
        };
        let most = limits::ANNOUNCEMENTS_PER_SECOND_MAX;
        if super::too_many(&mut known.heard, now_ns, most) {
            self.counters.refused_too_many += 1;
            return;
        }
        self.counters.announcements += 1;
        let verdict = self.verdict(from, now_ns);
        let Some(known) = self.peers.get_mut(&from) else {
            return;
        };
        known.announced = Some((*announcement, now_ns));
        // Whoever comes back is measured before anything is decided about it.
        if self.followed != Some(from)
            && let Some(source) = self.sources.get_mut(&from)
        {
            source.hurry(now_ns);
        }
        let near = known.peer.near;
        let behind = announcement
            .cluster
            .is_some_and(|claim| claim.epoch < self.election.epoch());
        // Whoever is behind is told soon; so is a leader elsewhere that asked who leads here.
        let soon_ns = now_ns.saturating_add(super::election::limits::ANNOUNCE_NS / 2);
        if behind {
            known.tells_at_ns = known.tells_at_ns.min(soon_ns);
        }
        known.owed = !near && announcement.stands && (behind || !self.election.stands());
        let in_region = match verdict {
            Verdict::Unknown if self.tells_our_time(announcement, now_ns) => Verdict::Agrees,
            verdict => verdict,
        };
        let verdicts = [verdict, in_region];
        let changes = self
            .election
            .hear(now_ns, from, near, announcement, verdicts);
        self.counters.leader_changes += u64::from(changes[0].is_some());
        self.tell_soon(&changes);
        // At once: until then this node would tell its old time under a new leader.
        self.adopt(now_ns, self.wall_ns);
    }
}
