//! Leaving the cluster: nothing new is taken, others get all that is held here, the last word is
//! said, and that is handed on, too. Until the last word a node that finds nobody to hand things to
//! stays what it was.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use unisono_model::{
    Action, Code, Digest, Leave, LogEnd, LogId, NodeId, OrchestraEnd, OrchestraId, Rejection,
    Stamp, limits as model_limits,
};

use super::batch::Made;
use super::input::{Submit, Ticket};
use super::output::{AnswerBody, Class, Output};
use super::{Node, limits};
use crate::context::Context;
use crate::replication::{Frame, VECTOR_MAX, keep_id};

/// A leave that is under way.
#[derive(Debug)]
pub(super) struct Leaving {
    /// Who is to be told, until they are.
    ticket: Option<Ticket>,
    deadline_ms: u64,
    /// How many others must hold everything.
    hand_to: usize,
    /// What the others are asked to keep: everything that is held here, or after it the last word.
    /// From then on nothing else is written or taken in.
    holdings: Vec<Holding>,
    /// Which of these each member has answered.
    kept: BTreeMap<NodeId, BTreeSet<Digest>>,
    /// The last word is on its way to disk, or there.
    spoken: bool,
    /// And the others are asked to keep it.
    farewell: bool,
    /// When the others are asked next (ms).
    next_ask_ms: u64,
}

/// What is held of an orchestra, as it is asked for.
#[derive(Debug)]
struct Holding {
    /// The name of the question ([`keep_id`]).
    id: Digest,
    orchestra: OrchestraId,
    logs: Vec<(LogId, u64)>,
}

impl Leaving {
    /// When there is something to do by time alone (ms).
    pub(super) fn due_ms(&self) -> u64 {
        let told = self.ticket.is_none();
        let deadline_ms = if told { u64::MAX } else { self.deadline_ms };
        self.next_ask_ms.min(deadline_ms)
    }

    fn is_held_by(&self, node: &NodeId) -> bool {
        let kept = self.kept.get(node);
        let mut holdings = self.holdings.iter();
        kept.is_some_and(|kept| holdings.all(|one| kept.contains(&one.id)))
    }

    fn ask(&mut self, holdings: Vec<Holding>) {
        self.holdings = holdings;
        self.kept.clear();
        self.next_ask_ms = 0;
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

    /// Whether this node has left and others hold all that it held: its machine may be switched off.
    pub fn is_dispensable(&self) -> bool {
        self.dispensable
    }

    /// Whether this node is about to leave, or others still lack something that it wrote.
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Whether others have been asked to keep what is held here, so that nothing may be added to it.
    pub(super) fn is_frozen(&self) -> bool {
        let asked = self.leaving.as_ref();
        asked.is_some_and(|leaving| !leaving.holdings.is_empty())
            || self.has_left()
            || self.is_expelled(&self.me.node)
    }

    /// Whether peers' bundles are turned away: what came in now, nobody would be asked to keep. Once
    /// it has left it hears again who else does.
    pub(super) fn is_closed(&self) -> bool {
        self.is_frozen() && !self.has_left()
    }

    /// Why nothing is taken any more, if so.
    pub(super) fn refusal_in_leaving(&self) -> Option<Rejection> {
        let gone = self.has_left();
        if let Some(rejection) = self.refusal_of_expelled() {
            return Some(rejection);
        }
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
        let others = self.others().len();
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
            holdings: Vec::new(),
            kept: BTreeMap::new(),
            spoken: false,
            farewell: false,
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
        let left = self.has_left();
        if left && !leaving.farewell {
            leaving.farewell = true;
            leaving
                .ask(self.holdings(|orchestra, log| *orchestra == self.cluster && *log == self.me));
        } else if leaving.holdings.is_empty() && self.is_quiet(now_ms) && self.queue.is_empty() {
            leaving.ask(self.holdings(|_, _| true));
        }
        let others = self.others();
        let holders: Vec<NodeId> = others
            .iter()
            .copied()
            .filter(|node| leaving.is_held_by(node))
            .collect();
        // Others may have left meanwhile: who stays is all there is to hand to.
        let wanted = leaving.hand_to.min(others.len());
        let enough = holders.len() >= wanted && (left || wanted > 0);
        let enough = enough || self.config.sabotage.outdone_leaves_at_once && self.is_outdone();
        let late = now_ms >= leaving.deadline_ms;
        if left {
            if (enough || late)
                && let Some(ticket) = leaving.ticket.take()
            {
                self.say_left(context, ticket, holders, wanted, out);
            }
            if enough {
                self.dispensable = true;
                return;
            }
        } else if leaving.spoken {
            self.hope_for_the_disk(&mut leaving, late, out);
        } else if late {
            return self.stay_after_all(&leaving, holders.len(), out);
        } else if enough && !leaving.holdings.is_empty() && self.is_quiet(now_ms) {
            self.speak_last(context);
            leaving.spoken = true;
        }
        if now_ms >= leaving.next_ask_ms {
            leaving.next_ask_ms = now_ms + limits::LEAVE_ASK_MS;
            self.ask_to_keep(&leaving, &others, out);
        }
        self.leaving = Some(leaving);
        self.flush(context, out);
    }

    /// The members that stay, without this node.
    fn others(&self) -> Vec<NodeId> {
        let members = self.current_members().into_iter().map(|(node, _)| node);
        members.filter(|node| *node != self.me.node).collect()
    }

    /// Whether nothing that was taken is on its way, and the disk and the clock would take more.
    fn is_quiet(&self, now_ms: u64) -> bool {
        let mut spaces = self.spaces.values();
        self.batch.is_none()
            && self.disk_retry_ms.is_none()
            && !self.clock_unsure(now_ms)
            && spaces.all(|space| space.living.queue.is_empty() && !space.in_doubt())
    }

    /// Where the disk was full, the last word was not written.
    fn hope_for_the_disk(&self, leaving: &mut Leaving, late: bool, out: &mut Vec<Output>) {
        let queued = self.queue.iter().any(Made::is_last_word);
        leaving.spoken = queued || self.batch.is_some() || self.disk_retry_ms.is_none();
        if late && let Some(ticket) = leaving.ticket.take() {
            let why = "its last word is on its way to disk: nobody can tell yet";
            let hint = "look at `unisono members` on another node";
            let rejection = Rejection::new(Code::Unknown, why).hint(hint);
            Self::reject(Some(ticket), rejection, out);
        }
    }

    /// What is held here of some logs, in as many questions as it takes.
    fn holdings(&self, of: impl Fn(&OrchestraId, &LogId) -> bool) -> Vec<Holding> {
        let mut holdings = Vec::new();
        for (orchestra, space) in &self.spaces {
            let held = space.logs.iter();
            let held = held.filter(|(log, state)| state.seq > 0 && of(orchestra, log));
            let logs: Vec<(LogId, u64)> = held.map(|(log, state)| (*log, state.seq)).collect();
            for logs in logs.chunks(VECTOR_MAX) {
                holdings.push(Holding {
                    id: keep_id(orchestra, logs),
                    orchestra: *orchestra,
                    logs: logs.to_vec(),
                });
            }
        }
        holdings
    }

    fn ask_to_keep(&mut self, leaving: &Leaving, others: &[NodeId], out: &mut Vec<Output>) {
        for node in others {
            let kept = leaving.kept.get(node);
            let open = leaving
                .holdings
                .iter()
                .filter(|holding| kept.is_none_or(|kept| !kept.contains(&holding.id)));
            for holding in open.take(limits::LEAVE_QUESTIONS_MAX) {
                let frame = Frame::Keep {
                    orchestra: holding.orchestra,
                    logs: holding.logs.clone(),
                };
                self.send(*node, Class::Repair, &frame, out);
            }
        }
    }

    /// A member that leaves asks whether this node holds so much. One that is leaving itself says
    /// nothing: two could let each other go.
    pub(super) fn asked_to_keep(
        &mut self,
        from: NodeId,
        orchestra: OrchestraId,
        logs: &[(LogId, u64)],
        out: &mut Vec<Output>,
    ) {
        if self.leaving.is_some() || !self.is_member() {
            return;
        }
        let space = self.spaces.get(&orchestra);
        let holds = space.is_some_and(|space| {
            logs.iter().all(|(log, seq)| {
                let state = space.logs.get(log);
                state.is_some_and(|state| state.seq >= *seq || state.cut.is_some())
            })
        });
        if holds {
            let question = keep_id(&orchestra, logs);
            self.send(from, Class::Repair, &Frame::Kept { question }, out);
        } else {
            self.send_vector(from, orchestra, true, out);
        }
    }

    /// A member holds what it was asked for.
    pub(super) fn note_kept(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        question: Digest,
        out: &mut Vec<Output>,
    ) {
        let Some(leaving) = &mut self.leaving else {
            return;
        };
        if leaving.holdings.iter().any(|one| one.id == question) {
            leaving.kept.entry(from).or_default().insert(question);
            self.go_on_leaving(context, out);
        }
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
            let logs = space.open_ends(&self.me).into_iter().chain(own);
            ends.extend(logs.map(|end| OrchestraEnd {
                orchestra: *id,
                end,
            }));
        }
        ends.sort_unstable();
        ends
    }

    /// The last word, with nothing else in its bundle: what came after it would be missing in it.
    fn speak_last(&mut self, context: &Context<'_>) {
        let ends = self.own_ends();
        let mut staying: Vec<LogId> = Vec::new();
        if let Some(cluster) = self.spaces.get(&self.cluster) {
            let members = cluster.folds.members.all(Stamp::MAX).into_iter();
            let others = members.filter(|one| one.stays() && one.admit.node != self.me.node);
            staying.extend(others.map(|one| LogId {
                node: one.admit.node,
                incarnation: one.admit.incarnation,
            }));
        }
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

    fn stay_after_all(&self, leaving: &Leaving, holders: usize, out: &mut Vec<Output>) {
        let wanted = leaving.hand_to;
        let why = if self.others().is_empty() {
            "all others have left meanwhile".to_string()
        } else if leaving.holdings.is_empty() {
            "what it had taken was not all on its disk and in its views in time".to_string()
        } else {
            format!("{holders} of {wanted} other members hold all that this node holds")
        };
        let detail = format!("{why}: it did not leave, and takes requests again");
        let rejection = Rejection::new(Code::NotHandedOver, detail)
            .hint("look at `unisono members`; give it more time, or hand to fewer");
        Self::reject(leaving.ticket, rejection, out);
    }
}
