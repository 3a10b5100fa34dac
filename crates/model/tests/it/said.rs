//! The bytes of what agents say of themselves and of their keys, and from one orchestra in another.

use ed25519_dalek::SigningKey;
use unisono_model::{
    Across, Action, AgentId, AuthorityId, ClusterId, OrchestraId, Rotation, Seen, Signal,
    SignalKind, Succession, SuccessionWord, Urgency, check, limits, wire, wire::Blob,
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
