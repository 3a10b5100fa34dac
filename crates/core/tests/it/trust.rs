//! Rights over the set of records held: any order, any repetition, one verdict; held against a
//! reference that looks at the whole set at once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::{FoldRules, Folds};
use unisono_core::sabotage::Sabotage;
use unisono_model::capability::{Scope, Tier};
use unisono_model::wire::Blob;
use unisono_model::{
    Action, AgentId, AgentKind, ChainCut, ChainId, Digest, Enrol, Fence, FenceTarget, Incarnation,
    LogId, NodeId, OrchestraId, Place, Presence, Status,
};

use crate::capability::{CLUSTER, HOUR_MS, NOW_MS, chain, key, links, name};
use crate::facts;

pub(crate) fn orchestra() -> OrchestraId {
    OrchestraId::of(CLUSTER, "alpha")
}

pub(crate) fn rules() -> FoldRules {
    FoldRules {
        founder: NodeId([1; 32]),
        cluster: CLUSTER,
        root: Some(root()),
        recovery: None,
        authority: None,
        lease_ms_max: 60_000,
        sabotage: Sabotage::default(),
    }
}

pub(crate) fn root() -> AgentId {
    name(&key(1))
}

pub(crate) fn executive() -> AgentId {
    name(&key(2))
}

pub(crate) fn implementer() -> AgentId {
    name(&key(3))
}

pub(crate) fn log(node: u8) -> LogId {
    LogId {
        node: NodeId([node; 32]),
        incarnation: Incarnation {
            started_ms: 1,
            nonce: u64::from(node),
        },
    }
}

/// Records as they are made: each goes to the end of its agent's chain on a node.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) facts: Vec<Fact>,
    ends: BTreeMap<ChainId, u64>,
}

impl History {
    pub(crate) fn add(
        &mut self,
        agent: AgentId,
        node: u8,
        at_ms: u64,
        token: Option<Digest>,
        action: Action,
    ) {
        let log = log(node);
        let seq = self.ends.entry(ChainId { agent, log }).or_default();
        *seq += 1;
        let number = self.facts.len() as u64 + 1;
        let mut record = [0; 32];
        record[..8].copy_from_slice(&number.to_be_bytes());
        let mut fact = facts::fact(Digest(record), (log, number), 0, at_ms, action);
        (fact.agent, fact.seq, fact.body.token) = (agent, *seq, token);
        self.facts.push(fact);
    }

    /// The story's agents are enrolled for their tiers, and their tokens lie before the orchestra.
    pub(crate) fn with_rights() -> Self {
        let mut history = Self::default();
        let at_ms = NOW_MS + 1_000;
        history.add(root(), 1, at_ms, None, enrol("root", None));
        history.add(
            executive(),
            1,
            at_ms + 1,
            None,
            enrol("boss", Some(Tier::Executive)),
        );
        let tier = Some(Tier::Implementation);
        history.add(implementer(), 2, at_ms + 2, None, enrol("ivy", tier));
        history.add(executive(), 1, at_ms + 3, None, present(&token_of(1)));
        history.add(implementer(), 2, at_ms + 4, None, present(&token_of(2)));
        history
    }

    pub(crate) fn work(&mut self, agent: AgentId, node: u8, at_ms: u64, token: Option<Digest>) {
        let presence = Action::Presence(Presence {
            status: Status::Active,
            intent: format!("step {}", self.facts.len()),
            focus: String::new(),
        });
        self.add(agent, node, NOW_MS + 2_000 + at_ms, token, presence);
    }

    pub(crate) fn fence(
        &mut self,
        by: AgentId,
        at_ms: u64,
        target: FenceTarget,
        keep: &[(AgentId, u8, u64)],
    ) {
        let mut keep: Vec<ChainCut> = keep
            .iter()
            .map(|(agent, node, seq)| ChainCut {
                chain: ChainId {
                    agent: *agent,
                    log: log(*node),
                },
                seq: *seq,
            })
            .collect();
        keep.sort_unstable();
        let fence = Fence {
            target,
            reason: "a test".into(),
            keep,
        };
        let token = (by == executive()).then(|| id_of(1));
        self.add(by, 1, NOW_MS + 2_000 + at_ms, token, Action::Fence(fence));
    }
}

pub(crate) fn enrol(name: &str, tier: Option<Tier>) -> Action {
    Action::Enrol(Enrol {
        name: name.into(),
        role: String::new(),
        kind: AgentKind::Ai,
        tier,
    })
}

/// The story's token, as far as its first `length` links.
pub(crate) fn token_of(length: usize) -> Vec<u8> {
    let links = links().into_iter().take(length).collect();
    chain(links, &[1, 2]).encode()
}

pub(crate) fn id_of(length: usize) -> Digest {
    let links = links().into_iter().take(length).collect();
    chain(links, &[1, 2]).id()
}

pub(crate) fn present(token: &[u8]) -> Action {
    Action::Present(Blob(token.to_vec()))
}

/// What a fold shows of its verdicts.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Shown {
    pub(crate) valid: u64,
    pub(crate) void: u64,
    pub(crate) pending: u64,
    pub(crate) voided: Vec<(Place, String)>,
    pub(crate) refolds: bool,
}

/// Folds in one order, and folds again as a node does where that is asked for.
pub(crate) fn folded(facts: &[Fact]) -> Shown {
    folded_under(facts, &rules())
}

/// The same, under other rules.
pub(crate) fn folded_under(facts: &[Fact], rules: &FoldRules) -> Shown {
    let mut folds = Folds::new(orchestra());
    for fact in facts {
        folds.insert(fact.clone(), rules);
    }
    facts::settled(folds, facts, rules).0
}

pub(crate) fn rules_of(shown: &Shown) -> Vec<&str> {
    shown.voided.iter().map(|(_, rule)| rule.as_str()).collect()
}

#[test]
fn a_token_allows_what_it_says_and_nothing_else() {
    let mut history = History::with_rights();
    history.work(implementer(), 2, 0, Some(id_of(2)));
    let plan = Action::Advance { from: 1 };
    history.add(implementer(), 2, NOW_MS + 3_000, Some(id_of(2)), plan);
    let shown = folded(&history.facts);
    assert_eq!((shown.valid, shown.void, shown.pending), (6, 1, 0));
    assert_eq!(rules_of(&shown), ["not_allowed"]);
}

#[test]
fn a_stolen_token_is_worth_nothing_without_its_key() {
    let mut history = History::with_rights();
    let thief = name(&key(9));
    history.add(
        thief,
        3,
        NOW_MS + 1_500,
        None,
        enrol("thief", Some(Tier::Implementation)),
    );
    history.add(thief, 3, NOW_MS + 1_501, None, present(&token_of(2)));
    history.work(thief, 3, 0, Some(id_of(2)));
    let shown = folded(&history.facts);
    assert_eq!(rules_of(&shown), ["token_binding", "token_binding"]);
}

#[test]
fn a_token_for_one_project_is_none_for_another() {
    let mut elsewhere = links();
    elsewhere[1].may.write = Scope::Project("beta".into());
    elsewhere[0].grant.as_mut().expect("a grant").rights.write = Scope::Global;
    let token = chain(elsewhere, &[1, 2]);
    let mut history = History::with_rights();
    history.add(
        implementer(),
        2,
        NOW_MS + 1_500,
        None,
        present(&token.encode()),
    );
    history.work(implementer(), 2, 0, Some(token.id()));
    assert_eq!(rules_of(&folded(&history.facts)), ["not_allowed"]);
}

#[test]
fn a_token_counts_by_the_stamp_of_the_record() {
    let mut history = History::with_rights();
    history.work(implementer(), 2, 0, Some(id_of(2)));
    history.work(implementer(), 2, HOUR_MS, Some(id_of(2)));
    assert_eq!(rules_of(&folded(&history.facts)), ["token_time"]);
}

#[test]
fn a_key_with_two_tiers_has_none() {
    let mut history = History::with_rights();
    history.work(implementer(), 2, 0, Some(id_of(2)));
    let other = enrol("ivy", Some(Tier::Validation));
    history.add(implementer(), 3, NOW_MS + 9_000, None, other);
    let shown = folded(&history.facts);
    assert_eq!(rules_of(&shown), ["token_binding"]);
    assert!(shown.refolds, "what had counted was taken back");
}

#[test]
fn only_a_root_guards_and_then_everything_needs_a_token() {
    let mut history = History::with_rights();
    history.work(implementer(), 2, 0, None);
    history.add(
        executive(),
        1,
        NOW_MS + 2_500,
        Some(id_of(1)),
        Action::Guard,
    );
    history.work(implementer(), 2, 1_000, None);
    history.add(root(), 1, NOW_MS + 4_000, None, Action::Guard);
    history.work(implementer(), 2, 3_000, None);
    history.work(implementer(), 2, 3_001, Some(id_of(2)));
    let shown = folded(&history.facts);
    assert_eq!(rules_of(&shown), ["token_missing", "not_allowed"]);
}

/// The abuse that a date would let through: the cut is a place in a chain.
#[test]
fn nothing_can_be_dated_back_under_a_fence() {
    let mut history = History::with_rights();
    for step in 0..4 {
        history.work(implementer(), 2, step * 100, Some(id_of(2)));
    }
    let keep = [(implementer(), 2, 4)];
    history.fence(executive(), 5_000, FenceTarget::Link(id_of(2)), &keep);
    // Stamped between what counts, but later in its chain; and a chain that nobody had seen.
    history.work(implementer(), 2, 150, Some(id_of(2)));
    history.work(implementer(), 4, 50, Some(id_of(2)));
    let shown = folded(&history.facts);
    // Two of the four stand: enrolment and token are the chain's first two records.
    assert_eq!(rules_of(&shown), ["token_fenced"; 4]);
    assert_eq!(shown.valid, 8);
}

#[test]
fn two_executives_that_end_each_other_are_both_ended_and_a_root_ends_fences() {
    let mut history = History::with_rights();
    history.fence(
        executive(),
        100,
        FenceTarget::Key(implementer()),
        &[(implementer(), 2, 2)],
    );
    history.work(implementer(), 2, 200, Some(id_of(2)));
    let stands = folded(&history.facts);
    assert_eq!(rules_of(&stands), ["token_fenced"]);
    // The root ends the executive from before that fence on: the fence is void, the work counts.
    let kept = [(executive(), 1, 2)];
    history.fence(root(), 300, FenceTarget::Key(executive()), &kept);
    let recovered = folded(&history.facts);
    assert_eq!(rules_of(&recovered), ["token_fenced"]);
    assert_eq!(recovered.voided[0].0, history.facts[5].place);
}

/// If a fence could end the enrolment and the token that another fence rests on, two of them would
/// take turns for ever: each stands as long as the other does not.
#[test]
fn two_executives_that_leave_each_other_nothing_come_to_an_end() {
    let mut first = links();
    first.truncate(1);
    first[0].audience = name(&key(4));
    first[0].nonce = [4; 16];
    let token = chain(first, &[1]);
    let (one, other) = (executive(), name(&key(4)));
    let mut history = History::with_rights();
    history.add(
        other,
        3,
        NOW_MS + 1_500,
        None,
        enrol("rival", Some(Tier::Executive)),
    );
    history.add(other, 3, NOW_MS + 1_501, None, present(&token.encode()));
    history.work(one, 1, 0, Some(id_of(1)));
    history.work(other, 3, 0, Some(token.id()));
    history.fence(one, 100, FenceTarget::Key(other), &[]);
    let at_ms = NOW_MS + 2_100;
    let fence = Fence {
        target: FenceTarget::Key(one),
        reason: "a test".into(),
        keep: Vec::new(),
    };
    history.add(other, 3, at_ms, Some(token.id()), Action::Fence(fence));
    let shown = folded(&history.facts);
    assert_eq!(rules_of(&shown), ["token_fenced"; 2], "the work of both");
    history.facts.reverse();
    assert_eq!(folded(&history.facts).voided, shown.voided);
}

#[test]
fn everybody_ends_their_own_and_issuers_what_they_issued_but_nobody_another() {
    let mut history = History::with_rights();
    let other = name(&key(8));
    history.add(
        other,
        5,
        NOW_MS + 1_500,
        None,
        enrol("eve", Some(Tier::Implementation)),
    );
    history.fence(other, 10, FenceTarget::Link(id_of(2)), &[]);
    history.fence(other, 20, FenceTarget::Epoch(9), &[]);
    let refused = folded(&history.facts);
    assert_eq!(rules_of(&refused), ["not_allowed"; 2]);
    history.fence(implementer(), 30, FenceTarget::Link(id_of(2)), &[]);
    history.work(implementer(), 2, 40, Some(id_of(2)));
    assert_eq!(folded(&history.facts).void, 3, "a log-out ends the token");
}

/// An executive that could end the root's key would undo the guard, and nobody could undo that.
#[test]
fn nothing_ends_what_a_root_or_a_node_says() {
    let mut history = History::with_rights();
    history.add(root(), 1, NOW_MS + 1_600, None, Action::Guard);
    let node = AgentId(log(4).node.0);
    history.add(node, 4, NOW_MS + 1_700, None, enrol("n4", None));
    history.fence(executive(), 0, FenceTarget::Key(root()), &[]);
    history.fence(executive(), 10, FenceTarget::Key(node), &[]);
    history.fence(root(), 20, FenceTarget::Key(root()), &[]);
    history.work(implementer(), 2, 30, None);
    let shown = folded(&history.facts);
    assert_eq!(rules_of(&shown), ["token_missing"], "the guard stands");
}

/// A node is judged by membership for what it says as a node. With a token in its hand it is an agent,
/// and was out of reach of every fence.
#[test]
fn a_token_in_a_nodes_hand_ends_as_any_other() {
    let mut links = links();
    links[1].audience = AgentId(log(4).node.0);
    let token = chain(links, &[1, 2]);
    let node = AgentId(log(4).node.0);
    let mut history = History::with_rights();
    let tier = Some(Tier::Implementation);
    history.add(node, 4, NOW_MS + 1_500, None, enrol("n4", tier));
    history.add(node, 4, NOW_MS + 1_501, None, present(&token.encode()));
    history.work(node, 4, 0, Some(token.id()));
    history.fence(root(), 100, FenceTarget::Link(token.id()), &[]);
    history.work(node, 4, 200, Some(token.id()));
    let shown = folded(&history.facts);
    assert_eq!(rules_of(&shown), ["token_fenced"; 2]);
}

/// The guard came after what the root had done beyond a cut, and nothing was folded again: one side
/// showed what the other did not.
#[test]
fn a_guard_takes_back_what_the_root_itself_did_without_a_token() {
    let mut history = History::with_rights();
    history.work(root(), 2, 500, None);
    history.add(root(), 1, NOW_MS + 2_100, None, Action::Guard);
    let shown = folded(&history.facts);
    assert_eq!(rules_of(&shown), ["token_missing"]);
    assert!(shown.refolds, "what had counted was taken back");
}

#[test]
fn whoever_ends_their_own_key_ends_it() {
    let mut history = History::with_rights();
    history.work(implementer(), 2, 0, Some(id_of(2)));
    history.fence(implementer(), 10, FenceTarget::Key(implementer()), &[]);
    let shown = folded(&history.facts);
    assert_eq!(rules_of(&shown), ["token_fenced"]);
}

#[test]
fn an_epoch_ends_every_token_of_those_before_it() {
    let mut history = History::with_rights();
    history.work(implementer(), 2, 0, Some(id_of(2)));
    history.fence(root(), 100, FenceTarget::Epoch(4), &[(implementer(), 2, 3)]);
    history.work(implementer(), 2, 200, Some(id_of(2)));
    let shown = folded(&history.facts);
    assert_eq!(rules_of(&shown), ["token_fenced"]);
}

/// What the whole set says, looked at at once: an implementation of its own.
fn reference(facts: &[Fact]) -> BTreeSet<Place> {
    let tokens: BTreeMap<Digest, usize> = BTreeMap::from([(id_of(1), 1), (id_of(2), 2)]);
    let holders = [executive(), implementer()];
    let fences: Vec<&Fact> = facts
        .iter()
        .filter(|fact| matches!(fact.body.action, Action::Fence(_)))
        .collect();
    let guard = facts
        .iter()
        .filter(|fact| fact.body.action == Action::Guard && fact.agent == root())
        .map(|fact| fact.place)
        .min();
    let reaches = |fence: &Fact, fact: &Fact| {
        let Action::Fence(says) = &fence.body.action else {
            return false;
        };
        let about = match says.target {
            FenceTarget::Key(key) => key == fact.agent,
            FenceTarget::Epoch(epoch) => fact.body.token.is_some() && epoch > 3,
            FenceTarget::Link(link) => {
                let depth = fact.body.token.and_then(|token| tokens.get(&token));
                depth.is_some_and(|depth| tokens[&link] <= *depth)
            }
        };
        if fact.agent == root() {
            return false;
        }
        let kept = says
            .keep
            .iter()
            .find(|cut| cut.chain.agent == fact.agent && cut.chain.log == fact.log);
        about && fact.seq > kept.map_or(0, |cut| cut.seq)
    };
    let by_root = |fence: &&&Fact| fence.agent == root();
    let counts = |fence: &&&Fact| {
        let Action::Fence(says) = &fence.body.action else {
            return false;
        };
        let own = says.target == FenceTarget::Key(fence.agent);
        let authority = fence.agent == executive() || own;
        by_root(fence)
            || authority
                && !fences
                    .iter()
                    .filter(by_root)
                    .any(|root| reaches(root, fence))
    };
    let valid = facts.iter().filter(|fact| match &fact.body.action {
        Action::Guard => fact.agent == root(),
        Action::Fence(_) => fences
            .iter()
            .filter(counts)
            .any(|fence| fence.place == fact.place),
        Action::Enrol(_) | Action::Present(_) => {
            let roots = fences.iter().filter(by_root);
            !roots.into_iter().any(|fence| reaches(fence, fact))
        }
        action => {
            let bare = fact.body.token.is_none() && matches!(action, Action::Presence(_));
            let named = fact.body.token.and_then(|token| tokens.get(&token));
            let own = named.is_none_or(|depth| holders[depth - 1] == fact.agent);
            let fenced = fences
                .iter()
                .filter(counts)
                .any(|fence| reaches(fence, fact));
            own && !fenced && !(bare && guard.is_some_and(|guard| fact.place > guard))
        }
    });
    valid.map(|fact| fact.place).collect()
}

fn history(steps: &[(u8, u8, u16, u8)]) -> Vec<Fact> {
    let mut history = History::with_rights();
    let machine = AgentId(log(3).node.0);
    history.add(machine, 3, NOW_MS + 1_100, None, enrol("n3", None));
    let agents = [executive(), implementer()];
    for (kind, who, at_ms, cut) in steps {
        let who = usize::from(who % 2);
        let (agent, at_ms) = (agents[who], u64::from(*at_ms));
        let keep = [
            (executive(), 1, u64::from(cut % 7)),
            (implementer(), 2, u64::from(cut / 7 % 9)),
        ];
        match kind % 16 {
            12 => history.fence(agent, at_ms, FenceTarget::Key(agent), &keep),
            14 => history.work(root(), who as u8 + 1, at_ms, None),
            15 => history.work(machine, 3, at_ms, None),
            13 => history.fence(executive(), at_ms, FenceTarget::Key(root()), &keep),
            0..=4 => history.work(agent, who as u8 + 1, at_ms, Some(id_of(who + 1))),
            5 => history.work(agent, who as u8 + 1, at_ms, None),
            6 => history.work(agent, 7, at_ms, Some(id_of(2 - who))),
            7 => history.fence(executive(), at_ms, FenceTarget::Link(id_of(2)), &keep),
            8 => history.fence(executive(), at_ms, FenceTarget::Key(implementer()), &keep),
            9 => history.fence(root(), at_ms, FenceTarget::Key(executive()), &keep[..1]),
            10 => history.fence(root(), at_ms, FenceTarget::Epoch(4), &keep),
            _ => history.add(root(), 1, NOW_MS + 2_000 + at_ms, None, Action::Guard),
        }
    }
    history.facts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The model of the fences, over the real code.
    #[test]
    fn any_order_and_any_repetition_give_the_verdicts_of_the_whole_set(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u16>(), any::<u8>()), 1..40),
        order in any::<u64>(),
    ) {
        let facts = history(&steps);
        let wanted = reference(&facts);
        let shuffled = facts::shuffled(&facts, order);
        let mut before = None;
        for facts in [facts, shuffled] {
            let shown = folded(&facts);
            let void: BTreeSet<Place> = shown.voided.iter().map(|(place, _)| *place).collect();
            prop_assert!(void.is_disjoint(&wanted));
            prop_assert_eq!(shown.void, void.len() as u64);
            // A token that only a fenced key laid down stays unknown: whoever names it waits.
            prop_assert_eq!(shown.valid + shown.void + shown.pending, facts.len() as u64);
            // Where a record breaks two rules, which one it is told by may depend on the order.
            let verdicts = (shown.valid, shown.pending, void);
            prop_assert_eq!(before.get_or_insert(verdicts.clone()), &verdicts);
            prop_assert_eq!(shown.valid, wanted.len() as u64);
        }
    }
}
