//! The bytes of what agents say of themselves and of their keys, and from one orchestra in another.

use ed25519_dalek::SigningKey;
use unisono_model::{
    Across, Action, AgentId, AuthorityId, BundleHeader, ClusterId, CorrectionRule, Digest,
    Incarnation, InviteKey, InviteUse, InviteWord, LogId, NodeId, OrchestraId, Performs, Resource,
    RootWord, Rotation, Seen, Signal, SignalKind, Stamp, Succession, SuccessionWord, Urgency, Used,
    Witness, check, limits, wire, wire::Blob, wire::Signature,
};

use crate::golden::hex;

#[test]
fn what_was_seen_is_these_bytes_and_names_each_log_once() {
    let action = |logs| Action::Seen(Seen { logs });
    let seen = action(vec![(3, 7), (300, 1)]);
    assert_eq!(hex(&wire::encode(&seen)), "20020307ac0201");
    assert!(check::action(&seen).is_ok());
    assert!(check::action(&action(vec![])).is_ok());
    assert!(
        check::action(&action(vec![(9, 7), (3, 1)])).is_err(),
        "in order"
    );
    assert!(
        check::action(&action(vec![(3, 7), (3, 8)])).is_err(),
        "each once"
    );
    let many = |most: u64| action((0..most).map(|n| (u64::MAX - most + n, u64::MAX)).collect());
    let most = limits::SEEN_LOGS_MAX as u64;
    assert!(check::action(&many(most + 1)).is_err());
    // As much as there can be fits into a record.
    let full = many(most);
    assert!(check::action(&full).is_ok());
    assert!(wire::encode(&full).len() < limits::RECORD_BYTES_MAX - 4_096);
}

#[test]
fn a_signal_across_is_these_bytes() {
    let signal = Signal {
        kind: SignalKind::Need,
        topic: "t".into(),
        urgency: Urgency::High,
        text: "x".into(),
        lifetime_ms: 5,
        evidence: None,
    };
    let across = |orchestra: &str, signal: &Signal| {
        Action::Across(Box::new(Across {
            orchestra: orchestra.into(),
            incoming: true,
            signal: signal.clone(),
        }))
    };
    let action = across("b", &signal);
    assert_eq!(
        hex(&wire::encode(&action)),
        "21016201010174020178".to_owned() + "0500"
    );
    assert!(check::action(&action).is_ok());
    assert_eq!(action.signal(), Some(&signal));
    assert!(
        check::action(&across("", &signal)).is_err(),
        "it has a name"
    );
    let endless = Signal {
        lifetime_ms: 0,
        ..signal
    };
    assert!(check::action(&across("b", &endless)).is_err());
}

#[test]
fn a_rotation_is_these_bytes_and_the_next_key_signs_for_this_place_alone() {
    let (cluster, orchestra) = (ClusterId([1; 16]), OrchestraId([2; 16]));
    let former = AgentId([3; 32]);
    let next = SigningKey::from_bytes(&[7; 32]);
    let rotation = Rotation::sign(&next, cluster, orchestra, former, "ivy");
    let proof = Rotation::proof(cluster, orchestra, former, rotation.next, "ivy");
    assert_eq!(
        hex(&proof.0),
        "66044c91a96a07537f621752055ce00af6ce0f3e38538f561873c44e38af0d03"
    );
    let action = Action::Rotate(Box::new(rotation));
    let signature = "7c70e48f48a1951fe32ed2234447b153bcede658fc4ca5f4ceb23664e6c4f3c0f1a7324499d10134290da73e0312888c4f307bd7a7dce116b557edc77ff32301";
    assert_eq!(
        hex(&wire::encode(&action)),
        format!(
            "22{}03697679{signature}",
            "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c"
        )
    );
    assert!(check::action(&action).is_ok());
}

#[test]
fn an_authority_in_anothers_place_is_these_bytes_and_the_root_signs_for_this_cluster_alone() {
    let cluster = ClusterId([1; 16]);
    let root = SigningKey::from_bytes(&[7; 32]);
    let (next, former) = (AuthorityId([4; 32]), AuthorityId([3; 32]));
    let word = SuccessionWord::sign(&root, cluster, 2, next, former, 300);
    assert_eq!(
        hex(&word.signed(cluster).0),
        "1ea6cb2a14e3ee846911570808f681563c277ad6ccaf1413e1286cb680e7aeb0"
    );
    assert_ne!(word.signed(cluster), word.signed(ClusterId([2; 16])));
    let succession = Succession {
        word,
        certificate: Blob(vec![0xde, 0xff]),
    };
    let action = Action::Succeed(Box::new(succession.clone()));
    let signature = "7a0e8bfe898bc70ff7fd78f318accfe227126195be73363df9cc9758d7b16c2342ec13d5e7c27e339a8c7ee9f8d7e071d1cce9f4957b29ed1cd15bfbff806400";
    assert_eq!(
        hex(&wire::encode(&action)),
        format!(
            "2302{}{}ac02{signature}02deff",
            "04".repeat(32),
            "03".repeat(32)
        )
    );
    assert!(check::action(&action).is_ok());
    let with = |change: fn(&mut Succession)| {
        let mut changed = succession.clone();
        change(&mut changed);
        check::action(&Action::Succeed(Box::new(changed))).is_ok()
    };
    assert!(!with(|one| one.word.number = 0), "that is the founder's");
    assert!(!with(
        |one| one.word.number = limits::SUCCESSION_NUMBER_MAX + 1
    ));
    assert!(!with(|one| one.word.former = one.word.authority));
    assert!(!with(|one| one.certificate.0.clear()));
    assert!(with(
        |one| one.certificate = Blob(vec![0; limits::AUTHORITY_CERTIFICATE_BYTES_MAX])
    ));
    assert!(!with(
        |one| one.certificate = Blob(vec![0; limits::AUTHORITY_CERTIFICATE_BYTES_MAX + 1])
    ));
}

#[test]
fn a_witnessed_head_is_these_bytes_and_each_log_is_named_once_and_in_order() {
    let head = |orchestra: u8, seq: u64| {
        let header = BundleHeader {
            version: 1,
            cluster: ClusterId([1; 16]),
            orchestra: OrchestraId([orchestra; 16]),
            log: LogId {
                node: NodeId([3; 32]),
                incarnation: Incarnation {
                    started_ms: 4,
                    nonce: 5,
                },
            },
            seq,
            prev: Digest([6; 32]),
            stamp: Stamp(7),
            body: Digest([8; 32]),
        };
        (header, Signature::from_bytes([9; 64]))
    };
    let action = |heads: Vec<_>| Action::Witness(Witness { heads });
    let one = action(vec![head(2, 9)]);
    assert_eq!(
        hex(&wire::encode(&one)),
        format!(
            "240101{}{}{}040509{}07{}{}",
            "01".repeat(16),
            "02".repeat(16),
            "03".repeat(32),
            "06".repeat(32),
            "08".repeat(32),
            "09".repeat(64)
        )
    );
    assert!(check::action(&one).is_ok());
    assert!(check::action(&action(vec![])).is_err(), "of something");
    assert!(
        check::action(&action(vec![head(2, 0)])).is_err(),
        "a bundle"
    );
    let good = |heads| check::action(&action(heads)).is_ok();
    assert!(good(vec![head(2, 9), head(3, 9)]));
    assert!(!good(vec![head(3, 9), head(2, 9)]), "in order");
    assert!(!good(vec![head(2, 8), head(2, 9)]), "each once");
    let many = |most: usize| (0..most).map(|n| head(n as u8, u64::MAX)).collect();
    assert!(!good(many(limits::WITNESSED_HEADS_MAX + 1)));
    // As much as there can be fits into a record.
    let full = action(many(limits::WITNESSED_HEADS_MAX));
    assert!(check::action(&full).is_ok());
    assert!(wire::encode(&full).len() < limits::RECORD_BYTES_MAX - 4_096);
}

#[test]
fn a_root_in_anothers_place_is_these_bytes_and_both_keys_sign_for_this_cluster_alone() {
    let cluster = ClusterId([1; 16]);
    let (names, next) = (
        SigningKey::from_bytes(&[7; 32]),
        SigningKey::from_bytes(&[8; 32]),
    );
    let former = AgentId([3; 32]);
    let word = RootWord::sign((&names, &next), cluster, 2, former, 300);
    assert_eq!(
        hex(&word.signed(cluster).0),
        "4856b17819c5249caef5919b386045434fbc978087490cb2c47af5f50c032d2b"
    );
    assert_ne!(word.signed(cluster), word.signed(ClusterId([2; 16])));
    let action = Action::Root(Box::new(word));
    assert_eq!(
        hex(&wire::encode(&action)),
        format!(
            "2502{}{}ac02{}{}",
            hex(&next.verifying_key().to_bytes()),
            "03".repeat(32),
            "d54c4539c8451b382d10d50abb735bd61a63db4e9dec9476a1a241752aab8602a40f2b0e03c3616874f31c361cecd6fb270a2c7c819400f2993c346ecd1cd60a",
            "6c59c18ba86cfc3888a4eabdf9d7cc998cc574e3e065a6c47289777a37228df89ed8fac464aaa28c2ecdbd486b86b7afc74b7a5c041c428463169c928a7c0909"
        )
    );
    assert!(check::action(&action).is_ok());
    let with = |change: fn(&mut RootWord)| {
        let mut changed = word;
        change(&mut changed);
        check::action(&Action::Root(Box::new(changed))).is_ok()
    };
    assert!(!with(|one| one.number = 0), "that is the founding's");
    assert!(!with(|one| one.number = limits::ROOT_NUMBER_MAX + 1));
    assert!(!with(|one| one.former = one.root));
}

#[test]
fn an_invite_and_its_use_are_these_bytes_and_the_authority_signs_for_this_cluster_alone() {
    let cluster = ClusterId([1; 16]);
    let authority = SigningKey::from_bytes(&[7; 32]);
    let (invite, maker) = (InviteKey([2; 32]), NodeId([3; 32]));
    let word = InviteWord::sign(&authority, cluster, invite, 300, maker);
    let key = hex(&authority.verifying_key().to_bytes());
    let signature = |one: Signature| hex(&one.to_bytes());
    assert_eq!(
        hex(&word.proof(cluster).0),
        "d86dd724ea6654180973fc21bf082be4b0a2954264b60761d8b3e4b10594a64e"
    );
    assert_eq!(
        hex(&wire::encode(&Action::Invite(Box::new(word)))),
        format!(
            "26{}ac02{}{key}{}",
            "02".repeat(32),
            "03".repeat(32),
            signature(word.signature)
        )
    );
    assert!(check::action(&Action::Invite(Box::new(word))).is_ok());
    let endless = InviteWord {
        expires_ms: 0,
        ..word
    };
    assert!(check::action(&Action::Invite(Box::new(endless))).is_err());

    let used = InviteUse::sign(&authority, cluster, invite, NodeId([4; 32]), maker);
    assert_eq!(
        hex(&used.proof(cluster).0),
        "9a5852a5d0c7d0374fe84850cf9953004564c598e79a2ea3965387493b51bc1d"
    );
    assert_eq!(
        hex(&used.rank(cluster).0),
        "b220975b11fbe0e75bd6ed4bad6ba9ee4bbb9f4c6b9fd7597f57e57486f23f96"
    );
    assert_eq!(
        hex(&wire::encode(&Action::InviteUsed(Box::new(used)))),
        format!(
            "27{}{}{}{key}{}",
            "02".repeat(32),
            "04".repeat(32),
            "03".repeat(32),
            signature(used.signature)
        )
    );
    let other = ClusterId([2; 16]);
    assert_ne!(word.proof(cluster), word.proof(other));
    assert_ne!(used.proof(cluster), used.proof(other));
}

#[test]
fn what_was_used_is_these_bytes_and_of_nothing_allotted_nothing_is_told() {
    let used = Used {
        resource: Resource::Tokens,
        until_ns: 9,
        actions: 2,
        used: 300,
        allotted: 5,
    };
    assert_eq!(hex(&wire::encode(&Action::Used(used))), "28040902ac0205");
    assert!(check::action(&Action::Used(used)).is_ok());
    let resources = [
        Resource::CpuMs,
        Resource::MemoryMib,
        Resource::DiskMib,
        Resource::NetworkKib,
        Resource::Tokens,
        Resource::Calls,
    ];
    for (number, resource) in (0_u8..).zip(resources) {
        assert_eq!(wire::encode(&resource), [number], "{resource:?}");
    }
    let with = |change: fn(&mut Used)| {
        let mut changed = used;
        change(&mut changed);
        check::action(&Action::Used(changed)).is_ok()
    };
    assert!(with(|one| one.used = 0), "nothing is no contradiction");
    assert!(!with(|one| one.allotted = 0));
    assert!(!with(|one| one.actions = 0));
    assert!(with(|one| one.actions = limits::USED_ACTIONS_MAX));
    assert!(!with(|one| one.actions = limits::USED_ACTIONS_MAX + 1));
    assert!(!with(|one| one.until_ns = 0));
    assert!(!with(|one| one.until_ns = limits::TIME_NS_MAX + 1));
    assert!(with(|one| {
        one.used = limits::USED_MAX;
        one.allotted = limits::USED_MAX;
    }));
    assert!(!with(|one| one.used = limits::USED_MAX + 1));
    assert!(!with(|one| one.allotted = limits::USED_MAX + 1));
}

#[test]
fn who_performs_is_these_bytes_and_without_a_rule_there_are_no_gains() {
    let performs = Performs {
        rule: CorrectionRule::Best,
        phase_ppm: 500_000,
        period_ppm: 12_500,
        holds_ms: 60_000,
    };
    assert_eq!(
        hex(&wire::encode(&Action::Performs(performs))),
        "2902a0c21ed461e0d403"
    );
    assert!(check::action(&Action::Performs(performs)).is_ok());
    let rules = [
        CorrectionRule::None,
        CorrectionRule::Seed,
        CorrectionRule::Best,
        CorrectionRule::Kalman,
    ];
    for (number, rule) in (0_u8..).zip(rules) {
        assert_eq!(wire::encode(&rule), [number], "{rule:?}");
    }
    let with = |change: fn(&mut Performs)| {
        let mut changed = performs;
        change(&mut changed);
        check::action(&Action::Performs(changed)).is_ok()
    };
    assert!(with(|one| one.phase_ppm = limits::GAIN_PPM_MAX));
    assert!(!with(|one| one.phase_ppm = limits::GAIN_PPM_MAX + 1));
    assert!(with(|one| one.period_ppm = limits::GAIN_PPM_MAX));
    assert!(!with(|one| one.period_ppm = limits::GAIN_PPM_MAX + 1));
    assert!(with(|one| one.holds_ms = 0), "it performs no more");
    assert!(with(|one| one.holds_ms = limits::PERFORMS_MS_MAX));
    assert!(!with(|one| one.holds_ms = limits::PERFORMS_MS_MAX + 1));
    assert!(!with(|one| one.rule = CorrectionRule::None));
    assert!(with(|one| {
        *one = Performs {
            rule: CorrectionRule::None,
            phase_ppm: 0,
            period_ppm: 0,
            ..*one
        };
    }));
    let (said_ns, holds_ns) = (7, 60_000_000_000);
    assert!(performs.holds(said_ns, said_ns + holds_ns));
    assert!(!performs.holds(said_ns, said_ns + holds_ns + 1));
    let ended = Performs {
        holds_ms: 0,
        ..performs
    };
    assert!(!ended.holds(said_ns, said_ns));
}
