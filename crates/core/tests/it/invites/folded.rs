//! What the fold makes of invites and their uses, in any order.

use super::*;

fn rules() -> FoldRules {
    FoldRules {
        founder: NodeId([1; 32]),
        cluster: CLUSTER,
        authority: Some(id_of(&authority_key())),
        ..crate::trust::rules()
    }
}

fn log(node: u8) -> LogId {
    LogId {
        node: NodeId([node; 32]),
        incarnation: Incarnation::default(),
    }
}

fn life(started_ms: u64) -> Incarnation {
    Incarnation {
        started_ms,
        nonce: 0,
    }
}

/// What a node says of itself, or of invites.
fn said(node: u8, number: u64, at_ms: u64, action: Action) -> Fact {
    let record = Digest::of("test", &[&[node], &number.to_le_bytes()]);
    fact(record, (log(node), number), node, at_ms, action)
}

fn invite(word: InviteWord) -> Action {
    Action::Invite(Box::new(word))
}

fn using(word: InviteUse) -> Action {
    Action::InviteUsed(Box::new(word))
}

fn enrol(name: &str) -> Action {
    Action::Enrol(Enrol {
        name: name.into(),
        role: "node".into(),
        kind: AgentKind::Node,
        tier: None,
    })
}

fn admit(node: u8) -> Action {
    Action::Admit(Admit {
        node: NodeId([node; 32]),
        incarnation: Incarnation::default(),
        region: "r".into(),
        name: "n".into(),
        address: String::new(),
    })
}

/// Another authority, in the place of the founder's, which ends at 900 ms.
fn next() -> SigningKey {
    SigningKey::from_bytes(&[0xcb; 32])
}

fn succession() -> Fact {
    let (next, former) = (id_of(&next()), id_of(&authority_key()));
    let word = SuccessionWord::sign(&root_key(), CLUSTER, 1, next, former, 900);
    let succession = Succession {
        word,
        certificate: Blob(vec![1]),
    };
    let action = Action::Succeed(Box::new(succession));
    let mut fact = said(1, 90, 50, action);
    fact.agent = unisono_model::AgentId(root_key().verifying_key().to_bytes());
    fact
}

fn with_root(mut rules: FoldRules) -> FoldRules {
    rules.root = Some(unisono_model::AgentId(
        root_key().verifying_key().to_bytes(),
    ));
    rules
}

/// Two issuers (1 and 2), three that came (3, 4 and 5), and a liar (6).
fn story() -> Vec<Fact> {
    let (old, new, stranger) = (authority_key(), next(), SigningKey::from_bytes(&[0x77; 32]));
    let node = |node: u8| NodeId([node; 32]);
    let other = InviteKey([6; 32]);
    let mut facts: Vec<Fact> = (1..=6)
        .map(|one| said(one, 1, 1, enrol(&format!("n{one}"))))
        .collect();
    facts.extend((1..=6).map(|one| said(1, 10 + u64::from(one), 2, admit(one))));
    let mut root = said(1, 80, 1, enrol("root"));
    root.agent = unisono_model::AgentId(root_key().verifying_key().to_bytes());
    facts.extend([root, succession()]);
    facts.extend([
        said(1, 20, 100, invite(made(&old, INVITE, 5_000))),
        said(2, 20, 110, invite(made(&old, INVITE, 4_000))),
        said(1, 21, 200, using(used(&old, INVITE, node(3), node(1)))),
        said(2, 21, 210, using(used(&old, INVITE, node(4), node(2)))),
        // The same node asked again at another one.
        said(2, 22, 220, using(used(&new, INVITE, node(3), node(2)))),
        said(1, 22, 300, invite(made(&new, other, 6_000))),
        said(1, 23, 310, using(used(&new, other, node(5), node(1)))),
        // The founder is nobody's guest.
        said(2, 23, 320, using(used(&new, other, node(1), node(2)))),
        // After the end of that authority, by one that is none, and without its signature.
        said(1, 24, 950, using(used(&old, other, node(6), node(1)))),
        said(
            6,
            20,
            100,
            invite(made(&stranger, InviteKey([7; 32]), 5_000)),
        ),
        said(6, 21, 110, using(used(&stranger, INVITE, node(2), node(6)))),
        forged(),
    ]);
    let leave = Leave {
        ends: Vec::new(),
        staying: Vec::new(),
        last: true,
    };
    facts.push(said(3, 30, 400, Action::Leave(leave.clone())));
    facts.push(said(4, 30, 400, Action::Leave(leave)));
    facts
}

type Seen = (Vec<Option<InviteView>>, Vec<(NodeId, NodeId)>, Vec<NodeId>);

/// What the members' fold makes of the records that count.
fn seen(arrived: &[Fact], rules: &FoldRules) -> Seen {
    let mut members = Members::default();
    let counts = |fact: &&Fact| fact.place != forged().place;
    for fact in arrived.iter().filter(counts) {
        members.insert(fact, rules);
    }
    let invites = (5..=7).map(|key| members.invites().of(&InviteKey([key; 32])).copied());
    let outdone = members.invites().all_outdone();
    let outdone = outdone.filter_map(|node| Some((*node, members.outdone(node)?.by)));
    let shut_out = (1..=6).map(|node| NodeId([node; 32]));
    (
        invites.collect(),
        outdone.collect(),
        shut_out.filter(|node| members.is_shut_out(node)).collect(),
    )
}

/// A use that no authority has signed, in the log of one that lies.
fn forged() -> Fact {
    let word = used(&authority_key(), INVITE, NodeId([1; 32]), NodeId([2; 32]));
    let mut flipped = word.signature.to_bytes();
    flipped[3] ^= 1;
    let signature = Signature::from_bytes(flipped);
    said(6, 22, 120, using(InviteUse { signature, ..word }))
}

#[test]
fn what_no_authority_has_signed_is_void_wherever_it_is_carried() {
    let rules = with_root(rules());
    let facts = story();
    let mut folds = Folds::new(OrchestraId::of(CLUSTER, "cluster"));
    for fact in &facts {
        folds.insert(fact.clone(), &rules);
    }
    folds.settle();
    let (shown, _) = settled(folds, &facts, &rules);
    let rule = Code::BadSignature.as_str().to_owned();
    assert_eq!(shown.voided, [(forged().place, rule)]);
}

#[test]
fn of_the_uses_of_one_invite_the_one_of_the_lowest_rank_counts() {
    let facts = story();
    let (invites, outdone, shut_out) = seen(&facts, &with_root(rules()));
    let (old, new) = (authority_key(), next());
    let node = |node: u8| NodeId([node; 32]);
    let ranks = [
        (used(&old, INVITE, node(3), node(1)), node(3)),
        (used(&old, INVITE, node(4), node(2)), node(4)),
        (used(&new, INVITE, node(3), node(2)), node(3)),
    ];
    let lowest = ranks.iter().min_by_key(|(word, _)| word.rank(CLUSTER));
    let by = lowest.expect("there are three").1;
    let loser = if by == node(3) { node(4) } else { node(3) };
    let first = invites[0].expect("it was made");
    assert_eq!(first.used_by, Some(by));
    assert_eq!(first.expires_ms, Some(4_000), "the earliest end stands");
    assert!(outdone.contains(&(loser, by)), "{outdone:?}");
    assert!(
        !outdone.iter().any(|(node, _)| *node == NodeId([1; 32])),
        "the founder"
    );
    assert!(
        !outdone
            .iter()
            .any(|(one, _)| [node(2), node(6)].contains(one)),
        "{outdone:?}"
    );
    assert_eq!(shut_out, [loser], "who is outdone and has left stays away");
    assert_eq!(invites[2], None, "no authority of this cluster has said so");
}

/// It was turned away at once, could not leave any more, and was waited for for ever.
#[test]
fn who_left_and_came_back_before_it_was_outdone_leaves_as_a_member() {
    let rules = with_root(rules());
    let facts = story();
    let (_, outdone, _) = seen(&facts, &rules);
    let loser = outdone[0].0;
    let number = loser.0[0];
    let back = Incarnation {
        started_ms: 500,
        nonce: 0,
    };
    let mut members = Members::default();
    let take = |members: &mut Members, fact: Fact| members.insert(&fact, &rules);
    let not_yet =
        |fact: &Fact| matches!(&fact.body.action, Action::InviteUsed(word) if word.node != loser);
    let counts = facts.iter().filter(|fact| fact.place != forged().place);
    for fact in counts.clone().filter(|fact| !not_yet(fact)) {
        take(&mut members, fact.clone());
    }
    let Action::Admit(again) = admit(number) else {
        unreachable!("an admission");
    };
    let again = Action::Admit(Admit {
        incarnation: back,
        ..again
    });
    take(&mut members, said(1, 40, 500, again));
    assert!(members.is_member(&loser, back));
    for fact in counts.filter(|fact| not_yet(fact)) {
        take(&mut members, fact.clone());
    }
    assert!(members.outdone(&loser).is_some());
    assert!(
        members.is_member(&loser, back),
        "it has something to hand over"
    );
    let leave = Leave {
        ends: Vec::new(),
        staying: Vec::new(),
        last: true,
    };
    let mut leave = said(number, 41, 600, Action::Leave(leave));
    leave.log.incarnation = back;
    take(&mut members, leave);
    assert!(members.is_shut_out(&loser));
    assert!(!members.is_member(&loser, back));
    // What it says itself of a later life brings it back to nobody.
    let later = Incarnation {
        started_ms: 700,
        nonce: 0,
    };
    let Action::Admit(own) = admit(number) else {
        unreachable!("an admission");
    };
    let own = Action::Admit(Admit {
        incarnation: later,
        ..own
    });
    let mut own = said(number, 42, 700, own);
    own.log.incarnation = later;
    take(&mut members, own);
    assert!(members.is_shut_out(&loser));
    assert!(!members.is_member(&loser, later));
}

#[test]
fn who_does_not_know_the_founders_authority_goes_by_the_one_that_took_its_place() {
    let facts = story();
    let known = with_root(rules());
    let joined_later = FoldRules {
        authority: None,
        ..known
    };
    assert_eq!(seen(&facts, &known), seen(&facts, &joined_later));
    // Nothing of it counts where neither is known.
    let none: Vec<Fact> = facts
        .into_iter()
        .filter(|fact| !matches!(fact.body.action, Action::Succeed(_)))
        .collect();
    let (invites, outdone, _) = seen(&none, &joined_later);
    assert_eq!((invites, outdone), (vec![None; 3], Vec::new()));
}

#[test]
fn one_that_carries_many_words_pushes_out_its_own_alone() {
    let rules = with_root(rules());
    let mut facts = story();
    let before = seen(&facts, &rules);
    let stranger = SigningKey::from_bytes(&[0x77; 32]);
    let key = |number: u64| InviteKey(Digest::of("test", &[&number.to_le_bytes()]).0);
    facts.extend((0..1_100).map(|number| {
        let word = made(&stranger, key(number), 5_000);
        said(6, 100 + number, 400 + number, invite(word))
    }));
    assert_eq!(seen(&facts, &rules), before);
}

/// The incident: a joiner's answer was lost, it began anew with an empty directory and another key,
/// and the key that never came was the lower one: the only node there was had to leave.
#[test]
fn who_was_let_in_and_never_came_sends_nobody_away() {
    let (key, node) = (authority_key(), |node: u8| NodeId([node; 32]));
    let rank = |one: u8| used(&key, INVITE, node(one), node(1)).rank(CLUSTER);
    let lost = (20..=255).find(|one| rank(*one) < rank(3));
    let lost = lost.expect("one of so many is lower");
    let mut facts = story();
    facts.retain(|fact| {
        let action = &fact.body.action;
        !matches!(action, Action::InviteUsed(_) | Action::Leave(_))
    });
    facts.extend([
        said(1, 21, 200, using(used(&key, INVITE, node(lost), node(1)))),
        said(2, 21, 210, using(used(&key, INVITE, node(3), node(2)))),
    ]);
    let rules = with_root(rules());
    for order in 0..16 {
        let (invites, outdone, _) = seen(&shuffled(&facts, order), &rules);
        assert_eq!(invites[0].expect("it was made").used_by, Some(node(3)));
        assert_eq!(outdone, [(node(lost), node(3))], "it would be, if it came");
    }
    // It comes after all, perhaps long after.
    facts.push(said(2, 40, 500, admit(lost)));
    for order in 0..16 {
        let (invites, outdone, _) = seen(&shuffled(&facts, order), &rules);
        assert_eq!(invites[0].expect("it was made").used_by, Some(node(lost)));
        assert_eq!(outdone, [(node(3), node(lost))]);
    }
}

#[test]
fn a_use_that_is_said_after_the_end_of_its_invite_sends_nobody_away() {
    let (key, node) = (authority_key(), |node: u8| NodeId([node; 32]));
    let rank = |one: u8| used(&key, INVITE, node(one), node(1)).rank(CLUSTER);
    let (low, high) = if rank(3) < rank(4) { (3, 4) } else { (4, 3) };
    let late_ms = 4_000 + INVITE_LATE_MS_MAX;
    let rules = FoldRules {
        root: None,
        ..rules()
    };
    for (at_ms, outdone) in [
        (late_ms, vec![(node(high), node(low))]),
        (late_ms + 1, vec![]),
    ] {
        let mut facts = story();
        facts.retain(|fact| {
            !matches!(
                fact.body.action,
                Action::InviteUsed(_) | Action::Leave(_) | Action::Succeed(_)
            )
        });
        facts.extend([
            said(1, 21, 200, using(used(&key, INVITE, node(high), node(1)))),
            said(2, 21, at_ms, using(used(&key, INVITE, node(low), node(2)))),
        ]);
        assert_eq!(seen(&facts, &rules).1, outdone, "at {at_ms} ms");
    }
    // Of an invite that nobody has made known, four weeks after its first use.
    for (late_ms, count) in [(0, 1), (1, 0)] {
        let at_ms = 200 + INVITE_LIFE_MS_MAX + INVITE_LATE_MS_MAX + late_ms;
        let mut facts = story();
        facts.retain(|fact| {
            !matches!(
                fact.body.action,
                Action::Invite(_) | Action::InviteUsed(_) | Action::Leave(_) | Action::Succeed(_)
            )
        });
        facts.extend([
            said(1, 21, 200, using(used(&key, INVITE, node(high), node(1)))),
            said(2, 21, at_ms, using(used(&key, INVITE, node(low), node(2)))),
        ]);
        assert_eq!(seen(&facts, &rules).1.len(), count, "{late_ms} ms late");
    }
}

/// The incident: a life that began before its end was heard was let in by one that had not heard it,
/// and could then neither write nor leave, and everybody waited for it.
#[test]
fn a_next_life_that_another_one_let_in_leaves_once_more_and_its_own_word_lets_it_in_nowhere() {
    let facts = story();
    let rules = with_root(rules());
    let mut members = Members::default();
    for fact in facts.iter().filter(|fact| fact.place != forged().place) {
        members.insert(fact, &rules);
    }
    let mut gone = (3..=4).map(|one| NodeId([one; 32]));
    let gone = gone.find(|node| members.is_shut_out(node));
    let gone = gone.expect("one of them");
    let next = |incarnation: u64| Admit {
        node: gone,
        incarnation: life(incarnation),
        region: "r".into(),
        name: "n".into(),
        address: String::new(),
    };
    let own = Fact {
        log: LogId {
            node: gone,
            incarnation: life(5),
        },
        ..said(gone.0[0], 50, 600, Action::Admit(next(5)))
    };
    members.insert(&own, &rules);
    assert!(members.is_shut_out(&gone) && !members.is_member(&gone, life(5)));
    members.insert(&said(2, 50, 610, Action::Admit(next(6))), &rules);
    assert!(!members.is_shut_out(&gone) && members.is_member(&gone, life(6)));
    assert!(members.outdone(&gone).is_some(), "it is to leave");
    let leave = Leave {
        ends: Vec::new(),
        staying: Vec::new(),
        last: true,
    };
    let left = Fact {
        log: LogId {
            node: gone,
            incarnation: life(6),
        },
        ..said(gone.0[0], 51, 620, Action::Leave(leave))
    };
    members.insert(&left, &rules);
    assert!(members.is_shut_out(&gone) && !members.is_member(&gone, life(6)));
}

#[test]
fn one_that_says_the_words_of_others_again_and_again_says_them_once() {
    let rules = with_root(rules());
    let facts = story();
    let size = |again: u64| {
        let mut members = Members::default();
        for fact in facts.iter().filter(|fact| fact.place != forged().place) {
            members.insert(fact, &rules);
        }
        let word = used(&authority_key(), INVITE, NodeId([3; 32]), NodeId([1; 32]));
        for number in 0..again {
            members.insert(&said(6, 100 + number, 400 + number, using(word)), &rules);
        }
        (
            postcard::to_allocvec(&members).expect("kept").len(),
            members.outdone(&NodeId([4; 32])),
        )
    };
    let ((once, same), (often, still)) = (size(1), size(500));
    assert_eq!(same, still);
    assert!(often < once + 16, "{once} bytes, then {often}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_and_any_repetition_come_to_the_same(order in any::<u64>(), twice in any::<u64>()) {
        let facts = story();
        let rules = with_root(rules());
        let mut arrived = shuffled(&facts, order);
        let again = shuffled(&facts, twice);
        arrived.extend_from_slice(&again[..facts.len() / 2]);
        prop_assert_eq!(seen(&facts, &rules), seen(&arrived, &rules));
    }
}
