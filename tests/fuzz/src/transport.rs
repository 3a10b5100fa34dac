//! What the transport reads: keys and certificates from the disk, invites and joins before anybody is
//! authenticated, renewals and frames after.

use ed25519_dalek::SigningKey;
use unisono_model::{AgentId, AuthorityId, ClusterId, NodeId, RootWord, SuccessionWord, wire};
use unisono_quic::identity::{
    Authorities, Certificate, ClusterAuthority, Credentials, Fingerprint, NodeKey, Vouched,
};
use unisono_quic::join::Invite;

use crate::Seed;

pub(crate) fn invite(bytes: &[u8]) -> bool {
    let Some(invite) = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.parse::<Invite>().ok())
    else {
        return false;
    };
    let again = invite.to_text().parse::<Invite>();
    assert_eq!(
        again.map(|again| again.id()),
        Ok(invite.id()),
        "an invite survives its text"
    );
    true
}

/// An invite's secret is drawn at random, so the file in the corpus is another one than this.
pub(crate) fn invites() -> Vec<Seed> {
    let addresses = vec!["10.0.0.7:7322".to_owned()];
    let fresh = Invite::new(
        ClusterId([1; 16]),
        Fingerprint([2; 32]),
        addresses,
        u64::MAX,
    );
    let fresh = fresh.expect("a good address").to_text().into();
    vec![("fresh", fresh)]
}

/// A request with signatures that nobody made.
pub(crate) fn join_requests() -> Vec<Seed> {
    let (cluster, node) = (ClusterId([1; 16]), NodeId([2; 32]));
    let addresses = vec!["10.0.0.7:7322".to_owned()];
    let request = (
        1_u16,
        cluster,
        [3_u8; 32],
        node,
        "ada".to_owned(),
        addresses,
    );
    let proofs = (vec![4_u8; 64], vec![5_u8; 64]);
    let envelope = (wire::encode(&request), proofs.0, proofs.1);
    vec![("request", wire::encode(&envelope))]
}

/// Any node's; the transport says who asks.
pub(crate) fn renewal_requests() -> Vec<Seed> {
    let request = (1_u16, ClusterId([1; 16]), NodeId([2; 32]));
    vec![("request", wire::encode(&request))]
}

/// The same as a member passes it on that cannot sign.
pub(crate) fn joins_passed() -> Vec<Seed> {
    let requests = join_requests().into_iter();
    let passed = |(name, bytes): Seed| (name, [b"join".as_slice(), &[6; 32], &bytes].concat());
    requests.map(passed).collect()
}

/// Somebody is let in, and somebody is not: the first of two, and the third of many.
pub(crate) fn join_answers() -> Vec<Seed> {
    let admitted = (0_u8, b"a certificate".to_vec(), b"members".to_vec());
    vec![
        ("admitted", wire::encode(&admitted)),
        ("refused", vec![1, 3]),
    ]
}

/// A certificate, and why there is none.
pub(crate) fn renewal_answers() -> Vec<Seed> {
    let signed = (0_u8, b"a certificate".to_vec(), 1_800_000_000_000_u64);
    vec![("signed", wire::encode(&signed))]
}

/// An authority as a peer shows it beside its own certificate, with the root's words in it.
pub(crate) fn authority(bytes: &[u8]) -> bool {
    let shown = Certificate::from_der(bytes.to_vec());
    let Ok(cluster) = shown.authority_cluster() else {
        return false;
    };
    let (word, named) = (shown.succession(), shown.root_word());
    assert!(word.is_ok() && named.is_ok(), "they stand in one text");
    let founder = Authorities::of(founder(cluster).authority_certificate().clone());
    let Ok(mut known) = founder else {
        return false;
    };
    let taken = known.take(shown.clone(), Vouched::Recorded);
    assert_eq!(
        taken.is_ok_and(|is_news| is_news),
        known.all().len() == 2,
        "it is one more, or none"
    );
    word.is_ok_and(|word| word.is_some())
}

fn founder(cluster: ClusterId) -> Credentials {
    let region = "north".parse().expect("a region");
    let key = NodeKey::from_seed([7; 32]);
    Credentials::found(cluster, key, &region, 1_800_000_000_000).expect("a good key")
}

/// One that the first root names, and one that a root names which was named itself.
pub(crate) fn authorities() -> Vec<Seed> {
    let (cluster, now_ms) = (ClusterId([1; 16]), 1_800_000_000_000);
    let key = NodeKey::from_seed([8; 32]);
    let [root, recovery, next] = [9, 10, 11].map(|seed| SigningKey::from_bytes(&[seed; 32]));
    let first = AgentId(root.verifying_key().to_bytes());
    let named = RootWord::sign((&recovery, &next), cluster, 1, first, now_ms);
    let made = |by: &SigningKey, named: Option<&RootWord>| {
        let (own, former) = (AuthorityId(key.id().0), AuthorityId([4; 32]));
        let word = SuccessionWord::sign(by, cluster, 1, own, former, now_ms);
        let made = ClusterAuthority::succeeding(cluster, key.clone(), (&word, named), now_ms);
        made.expect("a good word").certificate().der().to_vec()
    };
    vec![
        ("first", made(&root, None)),
        ("named", made(&next, Some(&named))),
    ]
}

/// How a private key's text begins and ends, and how it does in the corpus: no file of the repository
/// may look like one.
const KEY_LABELS: (&str, &str) = (" PRIVATE KEY-----", " FUZZED KEY-----");

/// A key or a certificate in PEM, as both lie in a node's directory.
pub(crate) fn key_file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let text = text.replace(KEY_LABELS.1, KEY_LABELS.0);
    if let Some(key) = NodeKey::from_pem(&text) {
        let again = NodeKey::from_pem(&key.to_pem()).map(|again| again.id());
        assert_eq!(again, Some(key.id()), "a key survives its text");
        return true;
    }
    let Some(certificate) = Certificate::from_pem(&text) else {
        return false;
    };
    let again = Certificate::from_pem(&certificate.to_pem());
    assert_eq!(again.as_ref(), Some(&certificate), "it survives its text");
    let named = certificate.identity().is_ok() || certificate.authority_cluster().is_ok();
    let validity = certificate.validity();
    if let Ok(validity) = validity {
        assert!(validity.made_ms() <= validity.until_ms);
    }
    named && validity.is_ok()
}

/// What a founder has in its directory. The authority's key is drawn, so the files in the corpus are
/// others than these.
pub(crate) fn key_files() -> Vec<Seed> {
    let key = NodeKey::from_seed([7; 32]);
    let region = "north".parse().expect("a region");
    let founded = Credentials::found(ClusterId([1; 16]), key.clone(), &region, 1_800_000_000_000);
    let founded = founded.expect("a good key");
    let authority = founded.authority_certificate().to_pem();
    vec![
        (
            "key",
            key.to_pem().replace(KEY_LABELS.0, KEY_LABELS.1).into(),
        ),
        ("node", founded.certificate().to_pem().into()),
        ("authority", authority.into()),
    ]
}

pub(crate) fn wire_frame(bytes: &[u8]) -> bool {
    let Some(frame) = unisono_quic::from_wire(bytes) else {
        return false;
    };
    assert!(frame.len() <= unisono_quic::limits::FRAME_BYTES_MAX);
    let again = unisono_quic::from_wire(&unisono_quic::to_wire(&frame));
    assert_eq!(again, Some(frame), "a frame survives its wire form");
    true
}

/// One that is too short to be packed, and one that is packed.
pub(crate) fn wire_frames() -> Vec<Seed> {
    let long: Vec<u8> = b"unisono ".repeat(200);
    vec![
        ("plain", unisono_quic::to_wire(b"a short frame")),
        ("packed", unisono_quic::to_wire(&long)),
    ]
}
