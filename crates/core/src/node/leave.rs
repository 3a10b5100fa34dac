//! Leaving the cluster: nothing new is taken, others get all that is held here, the last word is
//! said, and that is handed on, too. Until the last word a node that finds nobody to hand things to
//! stays what it was.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use unisono_model::{
    Action, Code, Digest, Leave, LogEnd, NodeId, OrchestraEnd, OrchestraId, Rejection,
    limits as model_limits,
};

use super::input::{Submit, Ticket};
use super::output::{AnswerBody, Output};
use super::{Node, limits};
use crate::context::Context;
use crate::replication::LogHead;

/// A leave that is under way.
#[derive(Debug)]
pub(super) struct Leaving {
    /// Who is to be told, until they are.
    ticket: Option<Ticket>,
    deadline_ms: u64,
    /// How many others must hold everything.
    hand_to: usize,
    /// In which orchestras a member has shown that it holds all that this node ever wrote there.
    held: BTreeMap<NodeId, BTreeSet<OrchestraId>>,
    /// The last word is on its way to disk, or there.
    spoken: bool,
    /// When the others are asked next what they hold (ms).
    next_ask_ms: u64,
}

impl Leaving {
    /// When there is something to do by time alone (ms).
    pub(super) fn due_ms(&self) -> u64 {
        let told = self.ticket.is_none();
        let deadline_ms = if told { u64::MAX } else { self.deadline_ms };
        self.next_ask_ms.min(deadline_ms)
    }
}

impl Node {
    /// Whether this life has said its last word: it writes nothing more.
    pub fn has_left(&self) -> bool {
        self.spaces.get(&self.cluster).is_some_and(|cluster| {
            let members = &cluster.folds.members;
            members
                .last_words(&self.me.node, self.me.incarnation)
                .is_some()
        })
    }

    /// Whether this node has left and others hold all that it wrote: its machine may be switched off.
    pub fn is_dispensable(&self) -> bool {
        self.has_left() && self.leaving.is_none()
    }

    /// Whether this node is about to leave, or others still lack something that it wrote.
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Why nothing is taken any more, if so.
    pub(super) fn refusal_in_leaving(&self) -> Option<Rejection> {
        let gone = self.has_left();
        if !gone && self.leaving.is_none() {
            return None;
        }
        let word = if gone { "has left" } else { "is leaving" };
        let detail = format!("this node {word} the cluster; nothing changed");
        let hint = "ask another node: `unisono members` on one of them lists those that stay";
        Some(Rejection::new(Code::Leaving, detail).hint(hint))
    }

    /// Begins to leave. The answer comes when it is done, or when it could not be in time.
    pub(super) fn leave(
        &mut self,
        context: &mut Context<'_>,
        submit: &Submit,
        hand_to: u16,
        out: &mut Vec<Output>,
    ) {
        let others = self.current_members().len().saturating_sub(1);
        let known = self.may_write(context).err();
        if let Some(rejection) = known.or_else(|| self.may_leave(others, usize::from(hand_to))) {
            return Self::reject(Some(submit.ticket), rejection, out);
        }
        let hand_to = match usize::from(hand_to) {
            0 => limits::HAND_TO.min(others),
            asked => asked,
        };
        // Its last word counts once it is known to who reads it.
        self.enrol_self(context, self.cluster);
        self.leaving = Some(Leaving {
            ticket: Some(submit.ticket),
            deadline_ms: context.now_ms().saturating_add(submit.promise.deadline_ms),
            hand_to,
            held: BTreeMap::new(),
            spoken: false,
            next_ask_ms: 0,
        });
        self.go_on_leaving(context, out);
    }

    fn may_leave(&self, others: usize, hand_to: usize) -> Option<Rejection> {
        if let Some(rejection) = self.refusal_in_leaving() {
            return Some(rejection);
        }
        if !self.is_member() {
            let why = "this life is no member of the cluster; nothing changed";
            return Some(Rejection::new(Code::NotMember, why));
        }
        if others == 0 {
            let why = "the last member cannot leave: with it the cluster would be gone";
            let hint = "stop the process; its directory keeps everything";
            return Some(Rejection::new(Code::LastMember, why).hint(hint));
        }
        if hand_to > others {
            let why =
                format!("everything is to be handed to {hand_to} others, and there are {others}");
            return Some(Rejection::new(Code::Malformed, why).hint("ask for fewer"));
        }
        None
    }

    /// Takes the next step, where one can be taken.
    pub(super) fn go_on_leaving(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let Some(mut leaving) = self.leaving.take() else {
            return;
        };
        let now_ms = context.now_ms();
        let holders = self.holders_of_all(&leaving);
        let (enough, late) = (
            holders.len() >= leaving.hand_to,
            now_ms >= leaving.deadline_ms,
        );
        if self.has_left() {
            if (enough || late)
                && let Some(ticket) = leaving.ticket.take()
            {
                self.say_left(context, ticket, holders, leaving.hand_to, out);
            }
            if enough {
                return;
            }
        } else if leaving.spoken {
            // Where the disk was full, the last word was not written.
            leaving.spoken = self.disk_retry_ms.is_none();
            if late && let Some(ticket) = leaving.ticket.take() {
                let why = "its last word is on its way to disk: nobody can tell yet";
                let hint = "look at `unisono members` on another node";
                let rejection = Rejection::new(Code::Unknown, why).hint(hint);
                Self::reject(Some(ticket), rejection, out);
            }
        } else if late {
            self.stay_after_all(&leaving, holders.len(), out);
            return;
        } else if enough && self.is_idle() {
            self.speak_last(context, &mut leaving);
        }
        if now_ms >= leaving.next_ask_ms {
            leaving.next_ask_ms = now_ms + limits::LEAVE_ASK_MS;
            for (node, _) in self.current_members() {
                if node != self.me.node && !holders_contain(&leaving, &node, self) {
                    self.send_summary(context, node, out);
                }
            }
        }
        self.leaving = Some(leaving);
        self.flush(context, out);
    }

    /// Whether nothing that was taken is on its way.
    fn is_idle(&self) -> bool {
        let mut spaces = self.spaces.values();
        self.queue.is_empty()
            && self.batch.is_none()
            && spaces.all(|space| space.living.queue.is_empty() && !space.in_doubt())
    }

    /// Where logs of this node end.
    fn own_ends(&self) -> Vec<OrchestraEnd> {
        let mut ends = Vec::new();
        for (id, space) in &self.spaces {
            let own = space.logs.get(&self.me).filter(|own| own.seq > 0);
            let own = own.map(|own| LogEnd {
                incarnation: self.me.incarnation,
                seq: own.seq,
            });
            let logs = own.map_or_else(|| space.open_ends(&self.me), |own| alloc::vec![own]);
            ends.extend(logs.into_iter().map(|end| OrchestraEnd {
                orchestra: *id,
                end,
            }));
        }
        ends.sort_unstable();
        ends
    }

    /// The members that have shown that they hold all that this node wrote.
    fn holders_of_all(&self, leaving: &Leaving) -> Vec<NodeId> {
        let members = self.current_members().into_iter().map(|(node, _)| node);
        members
            .filter(|node| *node != self.me.node && holders_contain(leaving, node, self))
            .collect()
    }

    /// The orchestras in which this node ever wrote.
    fn wrote_in(&self) -> impl Iterator<Item = &OrchestraId> {
        let wrote = self.spaces.values().filter(|space| {
            let mut logs = space.logs.iter();
            logs.any(|(log, state)| log.node == self.me.node && state.seq > 0)
        });
        wrote.map(|space| &space.id)
    }

    /// The last word, alone in its bundle: what came after it would be missing in it.
    fn speak_last(&mut self, context: &Context<'_>, leaving: &mut Leaving) {
        let ends = self.own_ends();
        let mut staying: Vec<NodeId> = self
            .current_members()
            .into_iter()
            .map(|(node, _)| node)
            .filter(|node| *node != self.me.node)
            .collect();
        staying.sort_unstable();
        staying.truncate(model_limits::MEMBERS_MAX);
        let parts = ends.chunks(model_limits::LEAVE_ENDS_MAX);
        let last = parts.len().saturating_sub(1);
        for (number, ends) in parts.enumerate() {
            let last = number == last;
            let leave = Leave {
                ends: ends.to_vec(),
                staying: if last { staying.clone() } else { Vec::new() },
                last,
            };
            let made = Self::own_record(context, self.cluster, Action::Leave(leave));
            self.queue.push_back(made);
        }
        leaving.spoken = true;
        // What was held so far lacks this.
        leaving.held.clear();
        leaving.next_ask_ms = 0;
    }

    fn say_left(
        &mut self,
        context: &mut Context<'_>,
        ticket: Ticket,
        held_by: Vec<NodeId>,
        wanted: usize,
        out: &mut Vec<Output>,
    ) {
        let at = self.now(context);
        let horizon = self.horizon(self.cluster);
        let body = AnswerBody::Left { held_by, wanted };
        let answer = self.answer(self.cluster, at, &horizon, body);
        out.push(Output::Reply {
            ticket,
            result: Ok(answer),
        });
    }

    fn stay_after_all(&mut self, leaving: &Leaving, holders: usize, out: &mut Vec<Output>) {
        let wanted = leaving.hand_to;
        let why = format!(
            "{holders} of {wanted} other members hold all that this node wrote: it did not leave, and \
             takes requests again"
        );
        let rejection = Rejection::new(Code::NotHandedOver, why)
            .hint("look at `unisono members`; give it more time, or hand to fewer");
        Self::reject(leaving.ticket, rejection, out);
    }

    /// A member's vector digests, by orchestra: where they are this node's own, it holds the same.
    pub(super) fn note_digests(&mut self, from: NodeId, same: Vec<OrchestraId>) {
        if let Some(leaving) = &mut self.leaving {
            leaving.held.entry(from).or_default().extend(same);
        }
    }

    /// A member has said where the logs of an orchestra stand with it.
    pub(super) fn note_vector(&mut self, from: NodeId, id: OrchestraId, theirs: &[LogHead]) {
        let (Some(leaving), Some(space)) = (&mut self.leaving, self.spaces.get(&id)) else {
            return;
        };
        let heads: BTreeMap<_, (u64, Digest)> = theirs
            .iter()
            .map(|head| (head.log, (head.seq, head.head)))
            .collect();
        let holds = space
            .logs
            .iter()
            .filter(|(log, state)| log.node == self.me.node && state.seq > 0)
            .all(|(log, state)| heads.get(log) == Some(&(state.seq, state.head)));
        if holds {
            leaving.held.entry(from).or_default().insert(id);
        }
    }
}

fn holders_contain(leaving: &Leaving, node: &NodeId, of: &Node) -> bool {
    let held = leaving.held.get(node);
    held.is_some_and(|held| of.wrote_in().all(|orchestra| held.contains(orchestra)))
}
