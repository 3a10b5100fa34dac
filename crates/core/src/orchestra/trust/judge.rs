//! The verdict on one record, given what is held.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::capability::{Operations, Rights, Tier, Token};
use unisono_model::{
    Action, AgentId, ChainId, Code, Digest, Fence, FenceTarget, Held, OrchestraId, Rotation,
    SuccessionWord,
};

use super::laws::Binding;
use super::turns::{Limit, Turn};
use super::{Laws, Trust, limits};
use crate::capability::{
    Anchor, Denied, Invalid, Need, Strictness, Verified, allows, allows_write, examine_loosely,
    need,
};
use crate::context::{StrictVerifier, Verifier};
use crate::orchestra::FoldRules;
use crate::orchestra::fact::Fact;

mod reading;
mod refusal;
mod reign;

/// What a record is worth.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It counts, and teaches this.
    Counts(Lesson),
    /// It refers to something that is not held yet.
    Awaits(Awaited),
    /// It does not count.
    Void(Void),
}

/// What a record waits for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Awaited {
    /// The enrolment of its agent.
    Enrolment(AgentId),
    /// The tier that its agent is enrolled for.
    Tier(AgentId),
    /// A token whose last link has this name, or one that passes through it.
    Token(Digest),
    /// A link that a former root has signed, laid down while it was the root.
    Rooted(Digest),
}

/// What a record that counts says about rights.
#[derive(Clone, Debug)]
pub enum Lesson {
    /// Nothing.
    Nothing,
    /// These tokens are good.
    Tokens {
        /// The token, and all that it passes through.
        tokens: Vec<Verified>,
        /// Its links that the root of this time has signed.
        rooted: Vec<Digest>,
    },
    /// Its agent is enrolled, for this tier if it names one.
    Enrolment(Option<Tier>),
    /// Its agent goes on with another key.
    Rotation(Turn),
    /// Every action after it needs a token.
    Guard,
    /// Something ends.
    Fence {
        /// Whether a root of the cluster says so.
        by_root: bool,
    },
}

/// Why a record does not count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Void {
    /// The rule.
    pub code: Code,
    /// What was asked, and what is allowed.
    pub detail: String,
}

/// Whether an action needs a token in a guarded orchestra.
pub(super) fn needs_token(action: &Action) -> bool {
    matches!(need(action), Need::Operation(_))
}

/// Whether a token that an action names is looked at.
pub(crate) fn is_held_to_token(action: &Action) -> bool {
    matches!(need(action), Need::Operation(_) | Need::Authority)
}

/// Whether no fence concerns a record: a root's, which nothing stands above, and what nodes say of
/// themselves without any token, which membership judges. What a node's key does as an agent's is an
/// agent's.
pub(super) fn is_immune(fact: &Fact, rules: &FoldRules, laws: &Laws) -> bool {
    let of_itself = matches!(need(&fact.body.action), Need::Node | Need::Nothing);
    is_root(fact, rules, laws) || (fact.agent.0 == fact.log.node.0 && of_itself)
}

/// Whether the root of a record's time signs it.
fn is_root(fact: &Fact, rules: &FoldRules, laws: &Laws) -> bool {
    if rules.sabotage.root_above_its_end {
        return laws.roots().knows(rules.root, fact.agent);
    }
    let root = laws.roots().at(rules.root, fact.place.stamp.as_ms());
    root == Some(fact.agent)
}

/// Whether verdicts on other records rest on an action.
pub(super) fn is_ground(action: &Action) -> bool {
    matches!(need(action), Need::Nothing | Need::Authority)
}

impl Trust {
    /// Whether no root has ended an enrolment or a rotation.
    pub(super) fn is_ground_left(
        &self,
        orchestra: OrchestraId,
        fact: &Fact,
        rules: &FoldRules,
    ) -> bool {
        let court = self.court(orchestra, fact, rules);
        court.not_fenced(None, true).is_ok()
    }

    /// The rotation that a record asks for, if both keys may and have signed it.
    pub(super) fn turn(
        &self,
        orchestra: OrchestraId,
        fact: &Fact,
        rules: &FoldRules,
        rotation: &Rotation,
    ) -> Option<Turn> {
        self.court(orchestra, fact, rules).turn(rotation).ok()
    }

    fn court<'a>(
        &'a self,
        orchestra: OrchestraId,
        fact: &'a Fact,
        rules: &'a FoldRules,
    ) -> Court<'a> {
        Court {
            trust: self,
            orchestra,
            fact,
            rules,
        }
    }

    /// The verdict on a record of an orchestra. The same function at the edge, before there is a
    /// record, and on every replica.
    pub fn judge(&self, orchestra: OrchestraId, fact: &Fact, rules: &FoldRules) -> Verdict {
        let court = self.court(orchestra, fact, rules);
        if let Err(Short::Void(void)) = court.root_in_its_time() {
            return Verdict::Void(void);
        }
        // What a fenced key signs waits for nothing.
        if let Err(Short::Void(void)) = court.key_not_fenced() {
            return Verdict::Void(void);
        }
        if let Err(Short::Void(void)) = court.key_not_rotated() {
            return Verdict::Void(void);
        }
        let enrols = matches!(fact.body.action, Action::Enrol(_));
        if !enrols && self.laws.binding(&fact.agent).is_none() {
            return Verdict::Awaits(Awaited::Enrolment(fact.agent));
        }
        match court.verdict() {
            Ok(lesson) => Verdict::Counts(lesson),
            Err(Short::Awaits(awaited)) => Verdict::Awaits(awaited),
            Err(Short::Void(void)) => Verdict::Void(void),
        }
    }
}

/// What a verdict falls short of.
enum Short {
    Awaits(Awaited),
    Void(Void),
}

fn void(code: Code, detail: impl Into<String>) -> Short {
    let detail = detail.into();
    Short::Void(Void { code, detail })
}

struct Court<'a> {
    trust: &'a Trust,
    orchestra: OrchestraId,
    fact: &'a Fact,
    rules: &'a FoldRules,
}

impl Court<'_> {
    fn verdict(&self) -> Result<Lesson, Short> {
        let action = &self.fact.body.action;
        match need(action) {
            Need::Nothing => match action {
                Action::Present(token) => self.presented(&token.0),
                Action::Enrol(enrol) => Ok(Lesson::Enrolment(enrol.tier.clone())),
                Action::Rotate(rotation) => self.rotation(rotation),
                Action::Root(word) => self.root_word(word),
                _ => Ok(Lesson::Nothing),
            },
            Need::Operation(operation) => {
                self.operation(operation)?;
                Ok(Lesson::Nothing)
            }
            Need::Root if self.is_root() => match action {
                Action::Guard => Ok(Lesson::Guard),
                Action::Succeed(succession) => self.succession(&succession.word),
                _ => Ok(Lesson::Nothing),
            },
            Need::Root => Err(void(
                Code::NotAllowed,
                "only a root of the cluster guards an orchestra, removes a node or says which authority signs",
            )),
            Need::Authority => match action {
                Action::Fence(fence) => self.fence(fence),
                _ => Ok(Lesson::Nothing),
            },
            Need::Node if self.fact.agent.0 == self.fact.log.node.0 => self.said_by_node(action),
            Need::Node => Err(void(Code::NotMember, "only nodes do this, of themselves")),
        }
    }

    fn is_root(&self) -> bool {
        is_root(self.fact, self.rules, self.laws())
    }

    fn laws(&self) -> &Laws {
        &self.trust.laws
    }

    /// A token is laid before the orchestra, by the agent that it is for. It brings everything that
    /// it passes through along: each beginning of a token is one.
    fn presented(&self, bytes: &[u8]) -> Result<Lesson, Short> {
        let named = self.laws().roots().all().map(|word| word.root);
        let roots: Vec<AgentId> = self.rules.root.into_iter().chain(named).collect();
        let roots = roots.as_slice();
        let (cluster, strictness) = (self.rules.cluster, Strictness::under(self.rules.sabotage));
        let token = examine_loosely(bytes, cluster, roots, &mut StrictVerifier, strictness)
            .map_err(|invalid| void(Code::TokenInvalid, invalid.to_string()))?;
        if !self.is_own(token.leaf().audience) {
            return Err(void(
                Code::TokenBinding,
                "the token is for another agent than the one that lays it down",
            ));
        }
        self.issued_in_time(&token)?;
        let rooted = self.rooted_in_time(&token)?;
        let mut tokens = token.beginnings();
        if token.renewed().is_some() {
            // What was renewed was good before, and others may name its links.
            let (plain, _) = Token::decode(bytes)
                .map_err(|malformed| void(Code::TokenInvalid, malformed.to_string()))?;
            let plain = plain.unrenewed().encode();
            let plain = examine_loosely(&plain, cluster, roots, &mut StrictVerifier, strictness)
                .map_err(|invalid| void(Code::TokenInvalid, invalid.to_string()))?;
            tokens.extend(plain.beginnings());
        }
        Ok(Lesson::Tokens { tokens, rooted })
    }

    /// What needs a token where the orchestra is guarded. One that is named is held to everywhere.
    fn operation(&self, operation: Operations) -> Result<(), Short> {
        let Some(id) = self.fact.body.token else {
            if self.laws().is_guarded(self.fact.place) {
                return Err(void(
                    Code::TokenMissing,
                    "this orchestra is guarded, and the action names no token",
                ));
            }
            return Ok(());
        };
        let token = self.token(id)?;
        let rights = &token.leaf().may;
        allows(rights, operation, self.rules.cluster, self.orchestra)
            .and_then(|()| self.file(rights))
            .map_err(|denied| {
                let (asked, allowed) = (denied.asked, denied.allowed);
                void(
                    denied.code,
                    format!("asked: {asked}; the token allows: {allowed}"),
                )
            })?;
        self.not_fenced(Some(token), false)
    }

    /// What a token says about files goes for what a record says about one: the figures in it are
    /// those that its node has measured.
    fn file(&self, rights: &Rights) -> Result<(), Denied> {
        match &self.fact.body.action {
            Action::Write(write) => allows_write(rights, write),
            _ => Ok(()),
        }
    }

    /// A token that is this agent's, of its tier, and in time.
    fn token(&self, id: Digest) -> Result<&Verified, Short> {
        let Some(token) = self.laws().tokens.get(&id) else {
            return Err(Short::Awaits(Awaited::Token(id)));
        };
        let agent = &self.fact.agent;
        if !self.is_own(token.leaf().audience) {
            return Err(void(Code::TokenBinding, "the token is another agent's"));
        }
        let tier = match self.laws().binding(agent) {
            Some(Binding::Bound(tier)) => tier,
            None | Some(Binding::Unbound) => return Err(Short::Awaits(Awaited::Tier(*agent))),
            Some(Binding::Contradicted) => {
                return Err(void(
                    Code::TokenBinding,
                    "this key is enrolled for two tiers, so it has none",
                ));
            }
        };
        if self.rules.sabotage.token_expiry_ignored {
            return Ok(token);
        }
        let anchor = Anchor {
            cluster: self.rules.cluster,
            roots: self.rules.root.as_slice(),
            // Epochs end by fences here, which say what stays of every chain.
            epoch: 0,
            at_ms: if self.rules.sabotage.token_expiry_by_local_clock {
                self.rules.sabotage.local_ms
            } else {
                self.fact.place.stamp.as_ms()
            },
            enrolled: Some(tier),
        };
        token.stands(&anchor).map_err(|invalid| {
            let code = match invalid {
                Invalid::Binding { .. } => Code::TokenBinding,
                _ => Code::TokenTime,
            };
            void(code, invalid.to_string())
        })?;
        Ok(token)
    }

    /// Whether a fence of its key cuts the record off. Only a root's ends fences, and what their
    /// verdicts rest on, enrolments and tokens: of two others that end each other both stand, and
    /// neither could be judged first.
    fn key_not_fenced(&self) -> Result<(), Short> {
        let action = &self.fact.body.action;
        // Planted: who is ended first ends nobody any more.
        let ended = self.rules.sabotage.fences_of_ended_by_arrival;
        let first_stands = ended && matches!(action, Action::Fence(_));
        self.not_fenced(None, is_ground(action) && !first_stands)
    }

    /// Whether the key still was its agent's: a rotation takes what it signs from there on, wherever
    /// that was carried.
    fn key_not_rotated(&self) -> Result<(), Short> {
        let given_up = self.laws().turns().away_from(&self.fact.agent);
        let Some(turn) = given_up.filter(|turn| self.fact.place > turn.place) else {
            return Ok(());
        };
        if self.rules.sabotage.old_key_accepted || is_immune(self.fact, self.rules, self.laws()) {
            return Ok(());
        }
        let detail = format!("this key was given up: its agent signs with {}", turn.next);
        Err(void(Code::KeyRotated, detail))
    }

    /// Whether a key is the signer's, or was its agent's before.
    fn is_own(&self, key: AgentId) -> bool {
        let mut own = self.laws().turns().lineage(self.fact.agent);
        own.any(|one| one == key)
    }

    /// What a key issued is offline and bears no date that could be believed: once it was given up,
    /// links that it has signed are laid down no more.
    fn issued_in_time(&self, token: &Verified) -> Result<(), Short> {
        let turns = self.laws().turns();
        for (index, issuer) in token.issuers().enumerate() {
            let given_up = turns.away_from(&issuer);
            if given_up.is_some_and(|turn| self.fact.place > turn.place) {
                let number = index + 1;
                let what = if number > token.links().len() {
                    String::from("the delegation of its renewal")
                } else {
                    format!("link {number}")
                };
                let detail =
                    format!("{what} was issued with a key that its agent has given up since");
                return Err(void(Code::KeyRotated, detail));
            }
        }
        Ok(())
    }

    /// The word goes on without its record, in the authority's certificate: so it bears a signature of
    /// its own, by the same key.
    fn succession(&self, word: &SuccessionWord) -> Result<Lesson, Short> {
        let proof = word.signed(self.rules.cluster);
        if StrictVerifier.verify(&self.fact.agent.0, &proof, &word.signature) {
            return Ok(Lesson::Nothing);
        }
        let words = "the root has not signed that this authority takes the place of that one, here";
        Err(void(Code::BadSignature, words))
    }

    /// What a node may say for itself: words on invites are an authority's besides, which of them is
    /// for the fold to say.
    fn said_by_node(&self, action: &Action) -> Result<Lesson, Short> {
        let cluster = self.rules.cluster;
        let (authority, proof, signature) = match action {
            Action::Invite(word) => (word.authority, word.proof(cluster), word.signature),
            Action::InviteUsed(_) if self.rules.sabotage.invite_use_unsigned => {
                return Ok(Lesson::Nothing);
            }
            Action::InviteUsed(word) => (word.authority, word.proof(cluster), word.signature),
            _ => return Ok(Lesson::Nothing),
        };
        if StrictVerifier.verify(&authority.0, &proof, &signature) {
            return Ok(Lesson::Nothing);
        }
        let words = "the authority that the word names has not signed it, for this cluster";
        Err(void(Code::BadSignature, words))
    }

    /// The signer goes on with another key, which is nobody's yet.
    fn rotation(&self, rotation: &Rotation) -> Result<Lesson, Short> {
        let turn = self.turn(rotation)?;
        let (turns, place) = (self.laws().turns(), turn.place);
        // By what stands below alone, so that each rotation follows from lower ones, and not one from
        // the other and the other from the one.
        if !turns.is_taken(&turn.former, place) {
            return Err(Short::Awaits(Awaited::Enrolment(turn.former)));
        }
        if turn.next == turn.former || turns.is_taken(&turn.next, place) {
            let next = turn.next;
            let words = format!("the key {next} is enrolled already, or was some agent's before");
            return Err(void(Code::KeyTaken, words));
        }
        if let Some(limit) = turns.limit_of(&turn) {
            return Err(void(Code::RotationLimit, one_too_many(limit)));
        }
        Ok(Lesson::Rotation(turn))
    }

    /// What does not change with what else is held: whose keys these are, and that both have signed.
    fn turn(&self, rotation: &Rotation) -> Result<Turn, Short> {
        let Fact {
            agent, place, log, ..
        } = self.fact;
        let next = rotation.next;
        let of_a_node = [agent.0, next.0].contains(&log.node.0);
        let of_a_root = |key| self.laws().roots().knows(self.rules.root, key);
        if of_a_node || of_a_root(*agent) || of_a_root(next) {
            let words = "neither a root's key nor a node's can be given up or taken up so";
            return Err(void(Code::NotAllowed, words));
        }
        if self.fact.body.held == Held::Node {
            let words = "the node holds this key, which follows from its own and from the name: \
                         there is no next one";
            return Err(void(Code::NotAllowed, words));
        }
        let (cluster, orchestra) = (self.rules.cluster, self.orchestra);
        let proof = Rotation::proof(cluster, orchestra, *agent, next, &rotation.name);
        if !StrictVerifier.verify(&next.0, &proof, &rotation.signature) {
            let words = "the next key has not signed that it takes the place of this one, here \
                         and under this name";
            return Err(void(Code::BadSignature, words));
        }
        let chain = self.chain();
        Ok(Turn {
            place: *place,
            former: *agent,
            next,
            chain,
            seq: self.fact.seq,
        })
    }

    fn not_fenced(&self, token: Option<&Verified>, by_root_alone: bool) -> Result<(), Short> {
        let sabotage = &self.rules.sabotage;
        let ignored = sabotage.fences_ignored || sabotage.fences_at_the_edge_alone;
        if ignored || is_immune(self.fact, self.rules, self.laws()) {
            return Ok(());
        }
        let (chain, seq) = (self.chain(), self.fact.seq);
        let token =
            token.filter(|token| token.renewed().is_none() || !sabotage.renewal_survives_fence);
        match self.laws().cut(&chain, seq, token, by_root_alone) {
            None => Ok(()),
            // Planted: what a fence does not name, it has not meant.
            Some(fencing) if sabotage.unknown_chains_kept && !fencing.names(&chain) => Ok(()),
            Some(fencing) => Err(fenced(fencing.fence.target, &fencing.fence.reason)),
        }
    }

    fn chain(&self) -> ChainId {
        ChainId {
            agent: self.fact.agent,
            log: self.fact.log,
        }
    }

    /// Who may end what: a root everything, the holder of a right to fence any token and key, an
    /// issuer what it has issued, and everybody their own.
    fn fence(&self, fence: &Fence) -> Result<Lesson, Short> {
        if self.is_root() {
            return Ok(Lesson::Fence { by_root: true });
        }
        let named = self.fact.body.token;
        let token = named.map(|id| self.token(id)).transpose()?;
        self.not_fenced(token, true)?;
        let holds = token.is_some_and(|token| {
            let may = &token.leaf().may;
            allows(may, Operations::FENCE, self.rules.cluster, self.orchestra).is_ok()
        });
        let by_right = match &fence.target {
            FenceTarget::Epoch(_) => {
                return Err(void(
                    Code::NotAllowed,
                    "only a root of the cluster ends an epoch",
                ));
            }
            FenceTarget::Key(key) => holds || self.is_own(*key),
            FenceTarget::Link(_) if holds => true,
            FenceTarget::Link(link) => {
                let Some(token) = self.laws().tokens.get(link) else {
                    return Err(Short::Awaits(Awaited::Token(*link)));
                };
                let mut links = token.links().iter();
                self.is_own(token.leaf().audience)
                    || links.any(|(_, link)| self.is_own(link.issuer))
            }
        };
        if by_right {
            Ok(Lesson::Fence { by_root: false })
        } else {
            Err(void(
                Code::NotAllowed,
                "this needs a token with the right to fence, or to have issued what ends",
            ))
        }
    }
}

fn one_too_many(limit: Limit) -> String {
    let (agents, keys) = (
        limits::ROTATIONS_OF_AGENT_MAX,
        limits::ROTATIONS_NAMING_KEY_MAX,
    );
    match limit {
        Limit::OfAgent => {
            format!("an agent goes on with another key {agents} times at most in one orchestra")
        }
        Limit::FromKey => format!(
            "{keys} rotations that give up this key are looked at, the first by stamp; there are as \
             many already, and none of them counts"
        ),
        Limit::ToKey => format!(
            "{keys} rotations that lead to the next key are looked at, the first by stamp; there are \
             as many already, and none of them counts"
        ),
    }
}

fn fenced(target: FenceTarget, reason: &str) -> Short {
    let what = match target {
        FenceTarget::Link(_) => "the token",
        FenceTarget::Key(_) => "the key",
        FenceTarget::Epoch(_) => "the token's epoch",
    };
    let mut detail = format!("{what} was fenced off");
    if !reason.is_empty() {
        detail = format!("{detail}: {reason}");
    }
    void(Code::TokenFenced, detail)
}
