//! Another authority in the place of the one that signs, by the word of the cluster's root.

use std::{fs, path::Path, sync::Arc};

use ed25519_dalek::SigningKey;
use tempfile::TempDir;
use unisono_model::{AgentId, AuthorityId, RootWord, SuccessionWord};
use unisono_quic::{
    Class, Config,
    identity::{
        Authorities, CA_CERTIFICATE_FILE, CA_KEY_FILE, CA_NEXT_CERTIFICATE_FILE, CA_NEXT_KEY_FILE,
        CertificateError, ClusterAuthority, Credentials, NextAuthority, NodeKey, Vouched,
    },
    join::{Admission, Answer, Invite, JoinError, JoinRequest, Joiner, MayRenew, Refusal, join},
    renew::RenewalRefusal,
};

use crate::world::{Node, eventually, founder, member, now_ms, region};

const HOUR_MS: u64 = 3_600_000;

fn root() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn root_id() -> AgentId {
    AgentId(root().verifying_key().to_bytes())
}

/// The directory of a founder, and its credentials, in a cluster with a root.
fn signer() -> (TempDir, Credentials) {
    let directory = tempfile::tempdir().unwrap();
    let credentials = founder(1).under(Some(root_id()));
    credentials.save(&keys(&directory)).unwrap();
    (directory, credentials)
}

fn keys(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("keys")
}

/// Draws the next authority in a directory, with the word of `root`.
fn drawn(
    path: &Path,
    credentials: &Credentials,
    root: &SigningKey,
    until_ms: u64,
) -> ClusterAuthority {
    let next = NextAuthority::load(path).unwrap();
    let current = credentials.authorities().current();
    let word = SuccessionWord::sign(
        root,
        credentials.cluster(),
        current.rank().0 + 1,
        next.id(),
        current.id,
        until_ms,
    );
    next.keep(credentials.cluster(), (&word, None), now_ms())
        .unwrap()
}

#[derive(Debug)]
struct Rule(bool);

impl Admission for Rule {
    fn admit(&self, _request: JoinRequest) -> Answer<'_> {
        Box::pin(async { Err(Refusal::InviteUnknown) })
    }

    fn renews(&self, _node: unisono_model::NodeId) -> MayRenew<'_> {
        let lets_in = self.0;
        let why = "nobody has admitted it".to_owned();
        Box::pin(async move {
            lets_in
                .then_some(())
                .ok_or(RenewalRefusal::NotAMember { why })
        })
    }

    fn issuers(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A signer that has moved to an authority whose former one counts until then.
fn moved(path: &Path, credentials: &Credentials, until_ms: u64) -> Node {
    let next = drawn(path, credentials, &root(), until_ms);
    let node = Node::start(credentials, Config::default());
    let der = next.certificate().der().to_vec();
    assert_eq!(node.transport.learn_authority(der.clone()), Ok(true));
    assert_eq!(node.transport.learn_authority(der), Ok(false), "once");
    assert!(!node.transport.signs(), "its key is not in its place yet");
    assert!(node.transport.promote_authority(path).unwrap());
    assert!(node.transport.signs());
    let renewed = node.transport.renewed_here().unwrap().unwrap();
    assert!(renewed.has_moved());
    node.transport.show(renewed).unwrap();
    node
}

#[test]
fn an_authority_is_believed_by_the_word_of_the_root_alone() {
    let (directory, credentials) = signer();
    let path = keys(&directory);
    let until_ms = now_ms() + HOUR_MS;
    let former = credentials.authorities().clone();
    let next = drawn(&path, &credentials, &root(), until_ms);
    let certificate = next.certificate().clone();

    let mut known = former.clone();
    assert_eq!(known.take(certificate.clone(), Vouched::Shown), Ok(true));
    assert_eq!(known.take(certificate.clone(), Vouched::Shown), Ok(false));
    assert_eq!(known.current().id, next.id());
    assert_eq!(known.end_ms(&former.current().id), Some(until_ms));
    assert_eq!(known.end_ms(&next.id()), None);
    assert_eq!(known.end_ms(&AuthorityId([1; 32])), Some(0), "a stranger");

    // Nobody else's word counts, nor any where there is no root.
    let other = SigningKey::from_bytes(&[8; 32]);
    let forged = tempfile::tempdir().unwrap();
    let forged = drawn(forged.path(), &credentials, &other, until_ms);
    let untrusted = |outcome| matches!(outcome, Err(CertificateError::Untrusted(_)));
    assert!(untrusted(
        known.take(forged.certificate().clone(), Vouched::Shown)
    ));
    let mut rootless = former.clone().under(None);
    assert!(untrusted(
        rootless.take(certificate.clone(), Vouched::Shown)
    ));
    // One that says nothing of itself is another's, unless a word names it as the one before.
    let stranger = founder(1).authority_certificate().clone();
    assert!(untrusted(known.take(stranger, Vouched::Shown)));
    let mut newcomer = Authorities::of(certificate).unwrap().under(Some(root_id()));
    let first = former.current().certificate.clone();
    assert_eq!(newcomer.take(first, Vouched::Shown), Ok(true));
    assert_eq!(newcomer, known);
    // Nor does it count in another cluster.
    let mut elsewhere = founder(2).under(Some(root_id())).authorities().clone();
    let outcome = elsewhere.take(next.certificate().clone(), Vouched::Shown);
    assert!(matches!(outcome, Err(CertificateError::OtherCluster(_))));
}

/// A node that was off while the root was changed, and then the authority by the next root, knows the
/// root of the founding alone, and the key that names others.
#[test]
fn an_authority_bears_the_word_that_names_the_root_which_names_it() {
    let (directory, credentials) = signer();
    let path = keys(&directory);
    let (recovery, next_root) = (
        SigningKey::from_bytes(&[5; 32]),
        SigningKey::from_bytes(&[6; 32]),
    );
    let recovery_id = AgentId(recovery.verifying_key().to_bytes());
    let cluster = credentials.cluster();
    let named = RootWord::sign((&recovery, &next_root), cluster, 1, root_id(), now_ms());
    let current = credentials.authorities().current().id;
    let made = |path: &Path, by: &SigningKey, number, named: Option<&RootWord>| {
        let next = NextAuthority::load(path).unwrap();
        let until_ms = now_ms() + HOUR_MS;
        let word = SuccessionWord::sign(by, cluster, number, next.id(), current, until_ms);
        let made = next.keep(cluster, (&word, named), now_ms()).unwrap();
        made.certificate().clone()
    };
    let shown = made(&path, &next_root, 1, Some(&named));
    assert_eq!(shown.root_word(), Ok(Some(named)));
    let knows = credentials
        .authorities()
        .clone()
        .named_by(Some(recovery_id));
    let mut known = knows.clone();
    assert_eq!(known.take(shown.clone(), Vouched::Shown), Ok(true));
    assert_eq!(known.root(), Some(named.root));
    // Where nobody, or another key, names roots, it is believed by nobody.
    let untrusted = |outcome| matches!(outcome, Err(CertificateError::Untrusted(_)));
    let mut other = credentials.authorities().clone();
    assert!(untrusted(other.take(shown, Vouched::Shown)));
    // Once the next root is known, the former one makes no authority that anybody believes by its
    // bytes; what records say was judged by its stamp.
    let place = tempfile::tempdir().unwrap();
    let late = made(place.path(), &root(), 2, None);
    assert!(untrusted(known.take(late.clone(), Vouched::Shown)));
    let mut unaware = knows.clone();
    assert_eq!(unaware.take(late.clone(), Vouched::Shown), Ok(true));
    let mut told = knows;
    assert!(told.hear(&named));
    assert!(!told.hear(&named));
    assert!(untrusted(told.take(late.clone(), Vouched::Shown)));
    assert_eq!(told.take(late, Vouched::Recorded), Ok(true));
}

#[test]
fn of_two_words_with_one_number_the_same_one_counts_in_any_order() {
    let (_directory, credentials) = signer();
    let until_ms = now_ms() + HOUR_MS;
    let places = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let made = places
        .each_ref()
        .map(|place| drawn(place.path(), &credentials, &root(), until_ms));
    let taken = |order: [usize; 2]| {
        let mut known = credentials.authorities().clone();
        for index in order {
            let certificate = made[index].certificate().clone();
            assert_eq!(known.take(certificate, Vouched::Shown), Ok(true));
        }
        known
    };
    let known = taken([0, 1]);
    assert_eq!(known, taken([1, 0]));
    let [one, other] = made.each_ref().map(ClusterAuthority::id);
    assert_eq!(known.current().id, one.max(other));
    assert_eq!(known.end_ms(&one.min(other)), Some(until_ms));
}

#[tokio::test]
async fn a_node_that_knows_the_former_authority_alone_learns_of_the_next_by_a_handshake() {
    let (directory, credentials) = signer();
    let path = keys(&directory);
    let mut north = moved(&path, &credentials, now_ms() + HOUR_MS);
    north.transport.serve_joins(Arc::new(Rule(true)));
    let south = member(&credentials, "south").under(Some(root_id()));
    let mut south = Node::start(&south, Config::default());
    south.knows(&north);
    south.send(&north, Class::Push, b"hello");
    assert_eq!(north.frame(Class::Push, b"hello").await, south.id());
    north.send(&south, Class::Push, b"both count");
    south.frame(Class::Push, b"both count").await;
    let before = south.transport.credentials();
    assert!(!before.has_moved(), "it has heard of the next one");
    assert_eq!(
        north.transport.signers_seen(),
        [(south.id(), before.signer().id)]
    );

    let renewal = south.transport.renewed_by(north.id()).await.unwrap();
    assert!(renewal.credentials.has_moved());
    south.transport.show(renewal.credentials).unwrap();
    let id = south.transport.credentials().signer().id;
    let is_seen = || north.transport.signers_seen() == [(south.id(), id)];
    eventually("its next certificate is shown", is_seen).await;
}

#[tokio::test]
async fn after_its_end_a_former_authoritys_certificate_is_good_for_a_renewal_and_nothing_else() {
    let (directory, credentials) = signer();
    let path = keys(&directory);
    let mut north = moved(&path, &credentials, now_ms() - 1000);
    let former = member(&credentials, "south").under(Some(root_id()));
    let south = Node::start(&former, Config::default());
    south.knows(&north);
    south.send(&north, Class::Push, b"unheard");
    let refused = || north.transport.endpoint_counters().ended_refused > 0;
    eventually("it is turned away", refused).await;

    // Whoever has the former key makes certificates, and is no member for that.
    north.transport.serve_joins(Arc::new(Rule(false)));
    let error = south.transport.renewed_by(north.id()).await.unwrap_err();
    assert_eq!(error.code(), "not_member");
    north.transport.serve_joins(Arc::new(Rule(true)));
    let renewal = south.transport.renewed_by(north.id()).await.unwrap();
    south.transport.show(renewal.credentials).unwrap();
    south.send(&north, Class::Push, b"heard");
    assert_eq!(north.frame(Class::Push, b"heard").await, south.id());
}

/// Who has not moved itself takes the former certificates of others; a thief with the former key would
/// use that to let in nodes that it makes up.
#[tokio::test]
async fn whoever_was_not_known_before_is_never_taken_with_the_word_of_an_ended_authority() {
    let (directory, credentials) = signer();
    let path = keys(&directory);
    let next = drawn(&path, &credentials, &root(), now_ms() - 2_000);
    let mut north = Node::start(&credentials, Config::default());
    let der = next.certificate().der().to_vec();
    assert_eq!(north.transport.learn_authority(der), Ok(true));
    let south = member(&credentials, "south").under(Some(root_id()));
    let made_up = member(&credentials, "south").under(Some(root_id()));
    let south = Node::start(&south, Config::default());
    let made_up = Node::start(&made_up, Config::default());
    made_up.knows(&north);
    made_up.send(&north, Class::Push, b"unheard");
    let refused = || north.transport.endpoint_counters().ended_refused > 0;
    eventually("it is turned away", refused).await;
    north.knows(&south);
    south.knows(&north);
    south.send(&north, Class::Push, b"heard");
    assert_eq!(north.frame(Class::Push, b"heard").await, south.id());
}

#[tokio::test]
async fn a_connection_ends_with_the_authority_on_which_it_stands() {
    let (directory, credentials) = signer();
    let path = keys(&directory);
    let mut north = Node::start(&credentials, Config::default());
    let former = member(&credentials, "south").under(Some(root_id()));
    let south = Node::start(&former, Config::default());
    south.knows(&north);
    south.send(&north, Class::Push, b"hello");
    north.frame(Class::Push, b"hello").await;

    let next = drawn(&path, &credentials, &root(), now_ms() + 2_000);
    let der = next.certificate().der().to_vec();
    assert_eq!(north.transport.learn_authority(der), Ok(true));
    assert!(north.transport.promote_authority(&path).unwrap());
    let renewed = north.transport.renewed_here().unwrap().unwrap();
    north.transport.show(renewed).unwrap();
    let closed = || north.transport.endpoint_counters().ended_refused > 0;
    eventually("it is closed", closed).await;
}

#[tokio::test]
async fn a_key_of_a_former_authority_signs_nothing_more() {
    let (directory, credentials) = signer();
    let path = keys(&directory);
    let next = drawn(&path, &credentials, &root(), now_ms() + HOUR_MS);
    let north = Node::start(&credentials, Config::default());
    north.transport.serve_joins(Arc::new(Rule(true)));
    let south = member(&credentials, "south").under(Some(root_id()));
    let south = Node::start(&south, Config::default());
    south.knows(&north);
    let der = next.certificate().der().to_vec();
    assert_eq!(south.transport.learn_authority(der.clone()), Ok(true));
    // Who has not heard of the change signs on, and who has takes nothing of that.
    let error = south.transport.renewed_by(north.id()).await.unwrap_err();
    assert_eq!(error.code(), "bad_answer", "{error}");
    assert_eq!(north.transport.learn_authority(der), Ok(true));
    let error = south.transport.renewed_by(north.id()).await.unwrap_err();
    assert_eq!(error.code(), "not_an_issuer");
    assert!(north.transport.renewed_here().is_none());
}

#[test]
fn a_crash_between_two_files_leaves_a_directory_that_can_be_read_and_finished() {
    let (directory, credentials) = signer();
    let path = keys(&directory);
    let former = fs::read(path.join(CA_KEY_FILE)).unwrap();
    let until_ms = now_ms() + HOUR_MS;
    let next = drawn(&path, &credentials, &root(), until_ms);
    let load = || {
        Credentials::load(&path, None)
            .unwrap()
            .under(Some(root_id()))
    };
    assert!(load().authority().is_some(), "nothing was said yet");
    let again = drawn(&path, &credentials, &root(), until_ms);
    assert_eq!(again.certificate(), next.certificate(), "it is kept");

    // The certificates are there, and the former key.
    let known = credentials.taking(next.certificate().clone(), Vouched::Shown);
    known.unwrap().unwrap().save_authorities(&path).unwrap();
    let loaded = load();
    assert_eq!(loaded.held().unwrap().id(), credentials.signer().id);
    assert!(loaded.authority().is_none(), "it signs nothing more");
    assert!(!loaded.has_moved());
    // The next key is in its place, and its first one is there still.
    fs::copy(path.join(CA_NEXT_KEY_FILE), path.join(CA_KEY_FILE)).unwrap();
    assert_eq!(load().authority().unwrap().id(), next.id());
    // Its certificate alone was taken away.
    fs::write(path.join(CA_KEY_FILE), &former).unwrap();
    fs::remove_file(path.join(CA_NEXT_CERTIFICATE_FILE)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let node = Node::start(&load(), Config::default());
        assert!(node.transport.promote_authority(&path).unwrap());
        assert!(!node.transport.promote_authority(&path).unwrap(), "once");
    });
    assert_eq!(load().authority().unwrap().id(), next.id());
    assert!(!path.join(CA_NEXT_KEY_FILE).exists());

    // A file with certificates of two clusters, or with half of one, is none.
    let file = path.join(CA_CERTIFICATE_FILE);
    let text = fs::read_to_string(&file).unwrap();
    let foreign = founder(2).authority_certificate().to_pem();
    for broken in [text.clone() + &foreign, text[..text.len() - 40].to_owned()] {
        fs::write(&file, broken).unwrap();
        Credentials::load(&path, None).unwrap_err();
    }
}

#[tokio::test]
async fn an_invite_from_before_is_told_as_such() {
    let (directory, credentials) = signer();
    let former = credentials.authority_certificate().fingerprint();
    let north = moved(&keys(&directory), &credentials, now_ms() + HOUR_MS);
    north.transport.serve_joins(Arc::new(Rule(true)));
    let addresses = vec![north.addr().to_string()];
    let expires_ms = now_ms() + HOUR_MS;
    let invite = Invite::new(credentials.cluster(), former, addresses, expires_ms).unwrap();
    let joiner = Joiner {
        key: NodeKey::generate(),
        region: region("south"),
        addresses: Vec::new(),
    };
    let error = join(&invite, &joiner, now_ms()).await.unwrap_err();
    assert!(matches!(error, JoinError::WrongAuthority { .. }), "{error}");
    assert!(
        error.to_string().contains("ask for a new invite"),
        "{error}"
    );
}
