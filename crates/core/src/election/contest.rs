//! One scope's leader: announcements in, a leader out.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use unisono_model::NodeId;

use super::epoch::Epoch;
use super::limits;
use super::rank::Rank;
use super::unbroken::Unbroken;
use super::word::{Candidate, Change, Claim, Fault, Standing, Verdict, Word};

/// How many times longer somebody waits for a leader of which it has only heard.
const HEARSAY_PATIENCE: u64 = 3;

#[derive(Clone, Copy, Debug)]
struct Rival {
    rank: Rank,
    follows: Option<NodeId>,
    heard_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sitting {
    claim: Claim,
    heard_ns: u64,
}

/// The contest of one scope.
#[derive(Clone, Debug)]
pub struct Contest {
    me: NodeId,
    fault: Option<Fault>,
    own: Option<Candidate>,
    rivals: BTreeMap<NodeId, Rival>,
    distrusted: BTreeMap<NodeId, u64>,
    sitting: Option<Sitting>,
    epoch: Epoch,
    /// An epoch whose leader has said itself that it is over.
    ended: Option<Epoch>,
    /// The last beat that was heard, and in which epoch.
    heard: (Epoch, u64),
    /// The own beats, while it leads.
    beat: u64,
    /// Who is to take over first, by the word of the leader that was lost.
    heir: Option<NodeId>,
    /// Who led and is gone: it is not waited for.
    lost: Option<NodeId>,
    /// Since when it may lead here.
    may_lead_since_ns: Option<u64>,
    vacant_since_ns: u64,
    listens_until_ns: u64,
    better_since_ns: Option<u64>,
    /// Another leader, while this node leads.
    weighs: Option<Unbroken>,
    /// Another leader, while this node follows one that is there.
    defers: Option<Unbroken>,
    /// How often in a row it went on over another leader, and when last.
    insisted: (u8, u64),
    ticked_ns: Option<u64>,
}

impl Contest {
    /// A contest in which a node stands that has heard nobody yet, and listens until then (ns).
    pub fn new(me: NodeId, listens_until_ns: u64, fault: Option<Fault>) -> Self {
        Self {
            me,
            fault,
            own: None,
            rivals: BTreeMap::new(),
            distrusted: BTreeMap::new(),
            sitting: None,
            epoch: Epoch::default(),
            ended: None,
            heard: (Epoch::default(), 0),
            beat: 0,
            heir: None,
            lost: None,
            may_lead_since_ns: None,
            vacant_since_ns: 0,
            listens_until_ns,
            better_since_ns: None,
            weighs: None,
            defers: None,
            insisted: (0, 0),
            ticked_ns: None,
        }
    }

    /// How the node stands.
    pub fn standing(&self) -> Standing {
        match &self.sitting {
            None => Standing::Vacant,
            Some(sitting) if sitting.claim.leader == self.me => Standing::Leads,
            Some(sitting) => Standing::Follows(sitting.claim.leader),
        }
    }

    /// The highest epoch that is known.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What this node says about who leads.
    pub fn claim(&self, now_ns: u64) -> Option<Claim> {
        let sitting = self.sitting.as_ref()?;
        let mut claim = sitting.claim;
        if claim.leader == self.me {
            claim.backup = self.backup(now_ns);
            claim.followers = self.own.map_or(0, |own| own.followers);
            claim.beat = self.beat;
        } else {
            let age_ms = now_ns.saturating_sub(sitting.heard_ns) / 1_000_000;
            claim.age_ms = u32::try_from(age_ms).unwrap_or(u32::MAX);
        }
        Some(claim)
    }

    /// The best of the others that are here, trusted and ready.
    pub fn backup(&self, now_ns: u64) -> Option<NodeId> {
        let here = self.here(now_ns).filter(|(_, rival)| !rival.rank.unready);
        here.min_by_key(|(_, rival)| rival.rank)
            .map(|(node, _)| *node)
    }

    /// How many of those who are here say that they follow this node.
    pub fn followers(&self, now_ns: u64) -> usize {
        self.say_they_follow(self.me, now_ns)
    }

    fn say_they_follow(&self, leader: NodeId, now_ns: u64) -> usize {
        let fresh = |rival: &Rival| now_ns.saturating_sub(rival.heard_ns) <= limits::FOLLOWER_NS;
        let follows = |node: NodeId, rival: &Rival| node != leader && rival.follows == Some(leader);
        self.here(now_ns)
            .filter(|(node, rival)| follows(**node, rival) && fresh(rival))
            .count()
    }

    /// Listens until then (ns) before it leads where nobody does.
    pub fn listen_until(&mut self, until_ns: u64) {
        self.listens_until_ns = until_ns;
    }

    /// A leader was found to lie: it is not followed for a while.
    pub fn distrust(&mut self, node: NodeId, now_ns: u64) {
        let until_ns = now_ns.saturating_add(limits::DISTRUST_NS);
        self.distrusted.insert(node, until_ns);
        if self.standing() == Standing::Follows(node) {
            self.vacate(now_ns);
            self.lost = Some(node);
            self.heir = self.heir.filter(|heir| *heir != node);
        }
    }

    /// This node gives the lead back: its clock is not what it was.
    pub fn resign(&mut self, now_ns: u64) {
        if self.standing() == Standing::Leads {
            self.ended = Some(self.epoch);
            self.vacate(now_ns);
            self.heir = None;
        }
        self.listens_until_ns = now_ns.saturating_add(limits::LISTEN_AGAIN_NS);
    }

    /// Takes what a node says about this scope. `verdict` is about the time that it tells.
    pub fn hear(
        &mut self,
        now_ns: u64,
        from: NodeId,
        word: &Word,
        verdict: Verdict,
    ) -> Option<Change> {
        self.note(now_ns, from, word);
        let Some(claim) = &word.claim else {
            self.left_by(from, now_ns);
            return None;
        };
        let over = self.ended.is_some_and(|ended| claim.epoch <= ended);
        let of_me = claim.leader == self.me;
        let ceiling = self.epoch.number.saturating_add(limits::EPOCH_AHEAD_MAX);
        if over || of_me || claim.epoch.number > ceiling {
            return None;
        }
        let heard_ns = now_ns.saturating_sub(u64::from(claim.age_ms) * 1_000_000);
        let leads = self.standing() == Standing::Leads;
        if self.distrusts(claim.leader, now_ns) {
            let above = leads && claim.epoch > self.epoch;
            return if above {
                self.outbid(claim, heard_ns, now_ns)
            } else {
                None
            };
        }
        if claim.epoch < self.epoch && self.fault != Some(Fault::EpochIgnored) {
            // Fenced: it will be told, and catches up.
            return None;
        }
        if claim.epoch == self.epoch && !leads {
            return self.refresh(claim, heard_ns, now_ns);
        }
        if now_ns.saturating_sub(heard_ns) > limits::LOST_AFTER_NS {
            return None;
        }
        if leads && self.fault == Some(Fault::EpochIgnored) {
            return None;
        }
        let own_rank = self.own.map(|own| own.rank);
        let unseated = leads && claim.unseats == Some(self.epoch);
        if unseated && own_rank.is_some_and(|own| claim.rank.displaces(&own)) {
            return Some(self.follow(claim, heard_ns));
        }
        if leads {
            return self.weigh(claim, from, heard_ns, now_ns, verdict);
        }
        if self.defers(claim, from, now_ns) {
            return None;
        }
        Some(self.follow(claim, heard_ns))
    }

    /// Lets time pass: notices a lost leader, and takes over if it is this node's turn. To be called
    /// several times in each [`limits::LOST_AFTER_NS`].
    pub fn tick(&mut self, now_ns: u64, own: Candidate) -> Option<Change> {
        self.own = Some(own);
        let before_ns = self.ticked_ns.replace(now_ns).unwrap_or(now_ns);
        if now_ns.saturating_sub(before_ns) > limits::LOST_AFTER_NS {
            return self.wake(now_ns);
        }
        self.distrusted.retain(|_, until_ns| *until_ns > now_ns);
        self.may_lead_since_ns = own
            .may_lead
            .then(|| self.may_lead_since_ns.unwrap_or(now_ns));
        match self.standing() {
            Standing::Leads if own.may_lead => {
                self.beat += 1;
                if let Some(sitting) = &mut self.sitting {
                    sitting.claim.rank = own.rank;
                }
                None
            }
            Standing::Leads => {
                self.ended = Some(self.epoch);
                self.vacate(now_ns);
                Some(Change::Vacant)
            }
            Standing::Follows(_) => self.watch(now_ns, own),
            Standing::Vacant => self.stand(now_ns, own),
        }
    }

    /// Whoever slept does not know what was decided meanwhile: a leader is none any more, and
    /// everybody is given time to be heard.
    fn wake(&mut self, now_ns: u64) -> Option<Change> {
        if self.fault == Some(Fault::EpochIgnored) {
            return None;
        }
        for rival in self.rivals.values_mut() {
            rival.heard_ns = now_ns;
        }
        match self.standing() {
            Standing::Leads => {
                self.resign(now_ns);
                Some(Change::Vacant)
            }
            Standing::Follows(_) => {
                if let Some(sitting) = &mut self.sitting {
                    sitting.heard_ns = now_ns;
                }
                None
            }
            Standing::Vacant => {
                self.listens_until_ns = now_ns.saturating_add(limits::LISTEN_AGAIN_NS);
                None
            }
        }
    }

    /// While it follows: is the leader there, and should it be?
    fn watch(&mut self, now_ns: u64, own: Candidate) -> Option<Change> {
        let sitting = self.sitting?;
        // Whoever could not lead anyway has only heard of the leader, and waits for further word; when
        // it may, it hears the leader itself, and the shorter patience begins.
        let silent_ns = now_ns.saturating_sub(sitting.heard_ns);
        let may_lead_ns = self.may_lead_since_ns.map_or(0, |at_ns| now_ns - at_ns);
        let patient = silent_ns <= HEARSAY_PATIENCE * limits::LOST_AFTER_NS;
        let short = own.may_lead && silent_ns.min(may_lead_ns) > limits::LOST_AFTER_NS;
        if short || !patient {
            self.vacate(now_ns);
            self.heir = sitting.claim.backup;
            self.lost = Some(sitting.claim.leader);
            return self.stand(now_ns, own).or(Some(Change::Vacant));
        }
        let hysteresis = self.fault != Some(Fault::HysteresisOff);
        let better = if hysteresis {
            own.rank.displaces(&sitting.claim.rank)
        } else {
            own.rank < sitting.claim.rank
        };
        if !better || own.rank.unready {
            self.better_since_ns = None;
            return None;
        }
        // Whoever may not lead here yet holds already: the hold for the region and the one for the
        // cluster run side by side, and not one after the other.
        let since_ns = *self.better_since_ns.get_or_insert(now_ns);
        if !own.may_lead {
            return None;
        }
        let held = now_ns.saturating_sub(since_ns) >= limits::HOLD_NS;
        (held || !hysteresis).then(|| self.lead(self.epoch.next(self.me), own, Some(self.epoch)))
    }

    /// While nobody leads: is it this node's turn?
    fn stand(&mut self, now_ns: u64, own: Candidate) -> Option<Change> {
        if !own.may_lead || now_ns < self.listens_until_ns {
            return None;
        }
        // Whoever the lost leader named comes first, then the others by rank.
        let key = |node: NodeId, rank: Rank| (self.heir != Some(node), rank);
        let mine = key(self.me, own.rank);
        let before = self
            .here(now_ns)
            .filter(|(node, rival)| self.lost != Some(**node) && key(**node, rival.rank) < mine)
            .count() as u64;
        // The heir has its turn even where it was never heard: others may hear it.
        let unheard = |heir: &NodeId| {
            *heir != self.me
                && !self.distrusts(*heir, now_ns)
                && self.here(now_ns).all(|(node, _)| node != heir)
        };
        let before = before + u64::from(self.heir.as_ref().is_some_and(unheard));
        let since_ns = self.vacant_since_ns.max(self.listens_until_ns);
        let waited_ns = now_ns.saturating_sub(since_ns);
        let turn_ns =
            before.saturating_mul(limits::TURN_NS) + self.leaves_to_others_ns(&own, now_ns);
        (waited_ns >= turn_ns).then(|| self.lead(self.epoch.next(self.me), own, None))
    }

    /// Whose told time is still far from its best guess would take everybody with it: where somebody may
    /// be ready who was never a candidate here, it leaves that one the time to become one.
    fn leaves_to_others_ns(&self, own: &Candidate, now_ns: u64) -> u64 {
        let another_heir = self.heir.is_some_and(|heir| heir != self.me);
        let may_be = |lost: NodeId| another_heir || self.distrusts(lost, now_ns);
        if own.rank.unready && self.lost.is_some_and(may_be) {
            limits::UNREADY_NS
        } else {
            0
        }
    }

    fn lead(&mut self, epoch: Epoch, own: Candidate, unseats: Option<Epoch>) -> Change {
        self.epoch = epoch;
        self.better_since_ns = None;
        self.weighs = None;
        self.defers = None;
        self.sitting = Some(Sitting {
            claim: Claim {
                leader: self.me,
                epoch,
                rank: own.rank,
                backup: None,
                followers: own.followers,
                unseats,
                beat: self.beat,
                age_ms: 0,
            },
            heard_ns: 0,
        });
        Change::Leads(epoch)
    }

    fn follow(&mut self, claim: &Claim, heard_ns: u64) -> Change {
        self.epoch = claim.epoch;
        self.heard = (claim.epoch, claim.beat);
        self.better_since_ns = None;
        self.weighs = None;
        self.defers = None;
        self.sitting = Some(Sitting {
            claim: *claim,
            heard_ns,
        });
        Change::Follows(claim.leader, claim.epoch)
    }

    fn vacate(&mut self, now_ns: u64) {
        self.sitting = None;
        self.better_since_ns = None;
        self.weighs = None;
        self.defers = None;
        self.lost = None;
        self.vacant_since_ns = now_ns;
    }

    /// The epoch that is known already, by another mouth or once more.
    fn refresh(&mut self, claim: &Claim, heard_ns: u64, now_ns: u64) -> Option<Change> {
        if (claim.epoch, claim.beat) <= self.heard {
            return None;
        }
        let Some(sitting) = &mut self.sitting else {
            let fresh = now_ns.saturating_sub(heard_ns) <= limits::LOST_AFTER_NS;
            return fresh.then(|| self.follow(claim, heard_ns));
        };
        self.heard = (claim.epoch, claim.beat);
        *sitting = Sitting {
            claim: *claim,
            heard_ns: heard_ns.max(sitting.heard_ns),
        };
        None
    }

    /// Whether a follower stays with a leader that is there until that one has decided itself: or a
    /// node that comes and goes would take everybody with it, each time.
    fn defers(&mut self, claim: &Claim, from: NodeId, now_ns: u64) -> bool {
        let Some(sitting) = &self.sitting else {
            return false;
        };
        let there = now_ns.saturating_sub(sitting.heard_ns) <= limits::LOST_AFTER_NS;
        let same = claim.leader == sitting.claim.leader || from == sitting.claim.leader;
        let unseats =
            claim.unseats == Some(sitting.claim.epoch) && claim.rank.displaces(&sitting.claim.rank);
        if !there || same || unseats || self.fault == Some(Fault::HysteresisOff) {
            return false;
        }
        Unbroken::hear(&mut self.defers, now_ns) < 2 * limits::WEIGH_NS
    }

    /// Two leaders hear each other: whoever has more followers goes on, under an epoch above both; if
    /// their times agree, then the better rank; if not, then the later decision: a leader whose clock
    /// slept or jumped is fenced by the epoch in which it was replaced. If the better rank is the
    /// other's, it takes over when it has been there for a while, as any candidate does.
    fn weigh(
        &mut self,
        claim: &Claim,
        from: NodeId,
        heard_ns: u64,
        now_ns: u64,
        verdict: Verdict,
    ) -> Option<Change> {
        let own = self.own?;
        let waits = Unbroken::hear(&mut self.weighs, now_ns) < limits::WEIGH_NS;
        let direct = from == claim.leader;
        // Whoever knows the other by hearsay only cannot weigh, and yields in the end.
        if waits && (!direct || verdict == Verdict::Unknown) {
            return None;
        }
        let stays = match verdict {
            _ if !direct => false,
            Verdict::Contradicts => {
                let theirs = (claim.followers, claim.epoch.number);
                let ours = (own.followers, self.epoch.number);
                ours > theirs || (ours == theirs && own.rank < claim.rank)
            }
            Verdict::Agrees | Verdict::Unknown => {
                let fewer = |followers: u16| u16::MAX - followers;
                (fewer(own.followers), own.rank) < (fewer(claim.followers), claim.rank)
            }
        };
        let insisted = self.insisted(now_ns);
        if stays && insisted < limits::INSISTS_MAX {
            self.insisted = (insisted + 1, now_ns);
            let unseats = self.sitting.and_then(|sitting| sitting.claim.unseats);
            return Some(self.lead(claim.epoch.next(self.me), own, unseats));
        }
        Some(self.follow(claim, heard_ns))
    }

    /// Answers the epoch of a leader that was found to lie, so that it does not fence those who are
    /// right. One that answers each of these again has found this node to lie: of the two the one that
    /// more of those who are here follow goes on, as far as this node hears them itself, then the
    /// better rank. Each time they are given a while to choose.
    fn outbid(&mut self, claim: &Claim, heard_ns: u64, now_ns: u64) -> Option<Change> {
        let own = self.own?;
        let insisted = self.insisted(now_ns);
        if insisted >= limits::INSISTS_MAX {
            if now_ns.saturating_sub(self.insisted.1) < limits::WEIGH_NS {
                return None;
            }
            let (theirs, ours) = (
                self.say_they_follow(claim.leader, now_ns),
                self.say_they_follow(self.me, now_ns),
            );
            if theirs > ours || (theirs == ours && claim.rank < own.rank) {
                self.distrusted.remove(&claim.leader);
                return Some(self.follow(claim, heard_ns));
            }
        }
        self.insisted = (insisted.saturating_add(1), now_ns);
        Some(self.lead(claim.epoch.next(self.me), own, None))
    }

    /// How often in a row it has answered another leader's newer epoch with its own.
    fn insisted(&self, now_ns: u64) -> u8 {
        let (insisted, last_ns) = self.insisted;
        let in_a_row = now_ns.saturating_sub(last_ns) <= limits::INSISTS_NS;
        if in_a_row { insisted } else { 0 }
    }

    /// Its leader follows nobody and leads no more.
    fn left_by(&mut self, from: NodeId, now_ns: u64) {
        if self.standing() == Standing::Follows(from) {
            self.ended = Some(self.epoch);
            let heir = self.sitting.and_then(|sitting| sitting.claim.backup);
            self.vacate(now_ns);
            self.heir = heir;
            self.lost = Some(from);
        }
    }

    fn note(&mut self, now_ns: u64, from: NodeId, word: &Word) {
        let Some(rank) = word.rank else {
            self.rivals.remove(&from);
            return;
        };
        let full = self.rivals.len() >= limits::RIVALS_MAX && !self.rivals.contains_key(&from);
        if full {
            let oldest = self.rivals.iter().min_by_key(|(_, rival)| rival.heard_ns);
            if let Some(oldest) = oldest.map(|(node, _)| *node) {
                self.rivals.remove(&oldest);
            }
        }
        let follows = word.claim.as_ref().map(|claim| claim.leader);
        let rival = Rival {
            // The name comes from whoever delivered the word, never from the word.
            rank: Rank { node: from, ..rank },
            follows,
            heard_ns: now_ns,
        };
        self.rivals.insert(from, rival);
    }

    fn distrusts(&self, node: NodeId, now_ns: u64) -> bool {
        self.distrusted
            .get(&node)
            .is_some_and(|until_ns| *until_ns > now_ns)
    }

    fn here(&self, now_ns: u64) -> impl Iterator<Item = (&NodeId, &Rival)> {
        self.rivals.iter().filter(move |(node, rival)| {
            let heard = now_ns.saturating_sub(rival.heard_ns) <= limits::RIVAL_NS;
            heard && !self.distrusts(**node, now_ns)
        })
    }

    /// Everybody who is here, for those who show it.
    pub fn heard(&self, now_ns: u64) -> Vec<NodeId> {
        self.here(now_ns).map(|(node, _)| *node).collect()
    }
}
