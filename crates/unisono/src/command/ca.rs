//! The authority that signs the certificates of nodes: which ones count, and another one in its place.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use unisono_api::client::AgentKey;
use unisono_api::dto::{
    ActionBody, AuthorityShown, AuthorityWord, NodeCertificate, Status, SucceedBody,
};
use unisono_model::wire::Blob;
use unisono_model::{AgentId, AuthorityId, Code, Succession, SuccessionWord};
use unisono_quic::identity::{CA_KEY_FILE, ClusterAuthority, Credentials, NextAuthority, spoken};

use super::session::Session;
use crate::at_work;
use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::home::{self, Home, Membership, ROOT_KEY_FILE};
use crate::output::{self, Format, Table};
use crate::sealed;

/// For how long certificates of both authorities count where nobody says otherwise (hours): as long
/// as a certificate lives.
const BOTH_HOURS: u64 = 7 * 24;
/// The longest time for which both count (hours): nobody needs the former one for more than a year.
const BOTH_HOURS_MAX: i64 = 366 * 24;
/// How long the node may take to sign with the new key.
const SIGNS_WITHIN: Duration = Duration::from_secs(15);
/// How often it is asked meanwhile.
const ASKED_EVERY: Duration = Duration::from_millis(200);

/// `ca`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CaArgs {
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum CaCommand {
    /// Which authorities count, until when, and how many nodes have a certificate of the newest
    #[command(after_help = "Example:\n  unisono ca show")]
    Show,
    /// Puts a new authority in the place of the one that signs, on the node that has ca.key (roots only)
    #[command(after_help = "Example:\n  unisono ca rotate --data ./lab --root-key ./lab/root.key")]
    Rotate(Succeeding),
    /// The same where every ca.key is lost, on any node: that one signs from then on (roots only)
    #[command(
        after_help = "Example:\n  unisono ca recover --data ./lab2 --root-key /media/stick/root.key"
    )]
    Recover(Succeeding),
}

#[derive(Clone, Debug, Args)]
struct Succeeding {
    /// The root of rights; root.key in the data folder if left out
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
    /// For how long certificates of the former authority count beside those of the new one
    #[arg(long, value_name = "HOURS", default_value_t = BOTH_HOURS, conflicts_with = "now",
        value_parser = clap::value_parser!(u64).range(1..=BOTH_HOURS_MAX as u64))]
    both_for_hours: u64,
    /// The former authority counts no more from now on: its key has leaked
    #[arg(long)]
    now: bool,
}

/// Does what is asked about the authority.
pub(crate) async fn run(args: CaArgs, config: Config, mut global: Global) -> Result<(), Failure> {
    let (args, is_held) = match args.command {
        CaCommand::Show => return show(&Session::new(config, global).await?).await,
        CaCommand::Rotate(args) => (args, true),
        CaCommand::Recover(args) => (args, false),
    };
    let home = Home::new(config.data());
    // A slip of the path must not make a directory.
    home.membership()?;
    let _at_work = at_work::begin(&home).map_err(|failure| {
        if failure.report().code != at_work::UNDER_WAY {
            return failure;
        }
        under_way(&failure.report().error).hint("wait for its end")
    })?;
    let (membership, credentials, passphrase) = home.load_to_rotate()?;
    // An earlier try may have come so far that the key in its place is a former one.
    if is_held && credentials.authority().is_none() && !home.has_next_authority() {
        let words = if credentials.held().is_some() {
            "ca.key in this directory signs no more: another authority has taken its place; nothing changed"
        } else {
            "this directory holds no ca.key; nothing changed"
        };
        return Err(Failure::new(Exit::Denied, "not_an_issuer", words)
            .hint("give the command on the node that signs; where every ca.key is lost: `unisono ca recover`"));
    }
    let path = args.root_key.clone();
    let path = path.unwrap_or_else(|| home.directory().join(ROOT_KEY_FILE));
    let root = root_key(&path, &home, &membership)?;
    global.key_file = Some(path);
    let mut session = Session::new(config, global).await?;
    // What concerns the cluster stands in its own orchestra, whichever one is worked in.
    session.orchestra = "cluster".into();
    session.agent = Some("root".into());
    let change = Change {
        home: home.clone(),
        membership,
        credentials,
        root,
        args,
        session,
    };
    let made = change.make().await;
    match passphrase {
        Some(passphrase) => protected(&home, made, &passphrase),
        None => made,
    }
}

/// What came of a change where the former key was protected: so is the one in its place, as soon as the
/// node has taken it and keeps it in its memory.
fn protected(home: &Home, made: Result<(), Failure>, passphrase: &str) -> Result<(), Failure> {
    let file = home.directory().join(CA_KEY_FILE);
    let by_hand = format!("unisono key protect {}", file.display());
    if home.has_next_authority() {
        return made.map_err(|failure| failure.next(by_hand));
    }
    let sealed = home.protect_authority(passphrase);
    made?;
    sealed.map_err(|failure| {
        let hint = "the authority was changed, and its new key lies there without a passphrase";
        failure.changed().hint(hint).next(by_hand)
    })
}

fn root_key(
    path: &std::path::Path,
    home: &Home,
    membership: &Membership,
) -> Result<AgentKey, Failure> {
    let (_, Some(wanted)) = home.root(membership) else {
        let words = "this cluster was founded before there were roots: its authority cannot be \
            changed; nothing changed";
        return Err(Failure::new(Exit::Denied, "no_root", words)
            .hint("found a new cluster with this version, and let the nodes join it"));
    };
    let key = sealed::agent_key(path)
        .map_err(|failure| failure.hint("--root-key names the file that `init` or `up` made"))?;
    if key.agent() == wanted {
        return Ok(key);
    }
    let agent: AgentId = key.agent();
    let words = format!(
        "{} holds the key {agent}, the root of this cluster is {wanted}; nothing changed",
        path.display()
    );
    Err(Failure::new(Exit::Denied, "not_allowed", words)
        .hint("--root-key names the file that `init` or `up` made where the cluster was founded, or `root rotate` after that"))
}

/// A refusal, since the authority is being changed.
fn under_way(words: &str) -> Failure {
    Failure::new(Exit::Conflict, "rotation_under_way", words)
}

/// What a change of the authority needs.
struct Change {
    home: Home,
    membership: Membership,
    credentials: Credentials,
    root: AgentKey,
    args: Succeeding,
    session: Session,
}

impl Change {
    async fn make(self) -> Result<(), Failure> {
        let (status, certificate) = asked(&self.session).await?;
        if status.node != self.credentials.node() {
            let words = format!(
                "{} answers, which is not the node of {}; nothing changed",
                status.name,
                self.home.directory().display()
            );
            return Err(Failure::usage(words)
                .hint("the new key is drawn in the data folder of the node that is asked: give --data and --node of one"));
        }
        let current = current(&certificate)?;
        let drawn = NextAuthority::load(self.home.directory())?;
        let next = drawn.id();
        // An earlier try may have got so far, or further.
        if next != current.authority {
            let now_ms = home::now_ms();
            let kept = drawn.word().filter(|word| {
                let is_next = word.former == current.authority;
                is_next && !self.args.now && word.former_until_ms > now_ms
            });
            let word = kept.map_or_else(
                || {
                    self.may_begin(&certificate, &status)?;
                    Ok::<_, Failure>(self.word(current, next))
                },
                Ok,
            )?;
            // A node that was off knows the root of the founding, and reads here which one stands.
            let named = self.home.root_words(&self.membership);
            let named = named
                .iter()
                .rev()
                .find(|named| named.root == self.root.agent());
            let cluster = self.membership.cluster;
            let authority = drawn.keep(cluster, (&word, named), now_ms)?;
            match self.say(&word, &authority).await {
                // A try that was broken off has said it, and the node is about to sign with it.
                Err(failure) if kept.is_some() && failure.is_code(Code::AuthorityTaken) => {}
                Err(failure) if failure.is_code(Code::AuthorityTaken) => {
                    let words = "another change of the authority came first; nothing changed";
                    let hint = "wait until all nodes have moved";
                    return Err(under_way(words).hint(hint).next("unisono ca show"));
                }
                said => said?,
            }
        }
        self.signing(next).await?;
        show(&self.session).await
    }

    /// Refuses to begin where a change is under way.
    fn may_begin(&self, certificate: &NodeCertificate, status: &Status) -> Result<(), Failure> {
        let counts = |one: &&AuthorityShown| one.state == AuthorityWord::Former;
        let Some(former) = certificate.authorities.iter().find(counts) else {
            return Ok(());
        };
        if self.args.now {
            return Ok(());
        }
        let (moved, all) = moved(certificate, status);
        let left = former.ends_ms.unwrap_or_default();
        let left = spoken(left.saturating_sub(home::now_ms()));
        let words = format!(
            "the authority was changed already: {moved}/{all} nodes moved, and the former one counts \
             for another {left}; nothing changed"
        );
        Err(under_way(&words)
            .hint("wait until then; if a key has leaked, --now puts another one in the place of both, at once")
            .next("unisono ca show"))
    }

    fn word(&self, current: &AuthorityShown, next: AuthorityId) -> SuccessionWord {
        let both_ms = if self.args.now {
            0
        } else {
            self.args.both_for_hours * 3_600_000
        };
        let until_ms = home::now_ms().saturating_add(both_ms);
        let cluster = self.membership.cluster;
        let (number, former) = (current.number + 1, current.authority);
        SuccessionWord::sign(self.root.signing(), cluster, number, next, former, until_ms)
    }

    async fn say(
        &self,
        word: &SuccessionWord,
        authority: &ClusterAuthority,
    ) -> Result<(), Failure> {
        let certificate = Blob(authority.certificate().der().to_vec());
        let succession = Succession {
            word: *word,
            certificate,
        };
        let body = ActionBody::Succeed(SucceedBody::from(succession));
        let said = self.session.act(body, self.session.options()).await;
        // The key that was drawn is kept: the same command again takes it.
        said.map(drop)
            .map_err(|failure| failure.next("unisono ca show"))
    }

    /// Waits until the node has the new key in its place.
    async fn signing(&self, authority: AuthorityId) -> Result<(), Failure> {
        let signs = async {
            loop {
                if let Ok((_, certificate)) = asked(&self.session).await
                    && certificate.signs
                    && certificate.authority == authority
                {
                    return;
                }
                tokio::time::sleep(ASKED_EVERY).await;
            }
        };
        let signs = tokio::time::timeout(SIGNS_WITHIN, signs).await;
        signs.map_err(|_| {
            let words = "the new authority is said, and the node does not sign with it yet";
            Failure::new(Exit::TimedOut, "not_signing", words)
                .changed()
                .hint("look into the node's log, and start it again: it puts the key in its place then")
                .next("unisono ca show")
        })
    }
}

/// What the node says of itself and of its certificate.
async fn asked(session: &Session) -> Result<(Status, NodeCertificate), Failure> {
    let status = session.client.status().await?.body;
    match &status.certificate {
        Some(certificate) => {
            let certificate = certificate.clone();
            Ok((status, certificate))
        }
        None => Err(unknown()),
    }
}

fn current(certificate: &NodeCertificate) -> Result<&AuthorityShown, Failure> {
    certificate.authorities.first().ok_or_else(unknown)
}

fn unknown() -> Failure {
    let words = "the node says nothing of authorities; nothing changed";
    Failure::new(Exit::Unavailable, "no_authority", words)
        .hint("start the node with this version of the program")
}

/// How many of the members that stay have a certificate of the authority that signs, as far as this
/// node has seen, and how many there are.
fn moved(certificate: &NodeCertificate, status: &Status) -> (usize, usize) {
    let current = certificate.authorities.first().map(|one| one.authority);
    let staying: Vec<_> = status.members.iter().filter(|one| one.stays()).collect();
    let has_moved = |node| authority_of(certificate, status, node) == current;
    let moved = staying.iter().filter(|one| has_moved(one.node)).count();
    (moved, staying.len())
}

fn authority_of(
    certificate: &NodeCertificate,
    status: &Status,
    node: unisono_model::NodeId,
) -> Option<AuthorityId> {
    if node == status.node {
        return Some(certificate.authority);
    }
    let mut seen = certificate.seen.iter();
    seen.find(|one| one.node == node).map(|one| one.authority)
}

const NODES: Table = Table {
    list: "nodes",
    columns: &[("NAME", "name"), ("MOVED", "moved"), ("NODE", "node")],
};

async fn show(session: &Session) -> Result<(), Failure> {
    let (status, certificate) = asked(session).await?;
    let current = current(&certificate)?.authority;
    let (moved, all) = moved(&certificate, &status);
    let staying = status.members.iter().filter(|one| one.stays());
    let nodes: Vec<_> = staying
        .map(|one| {
            let authority = authority_of(&certificate, &status, one.node);
            let has_moved = authority.map(|authority| authority == current);
            json!({
                "name": one.name,
                "node": one.node,
                "authority": authority,
                "moved": has_moved,
            })
        })
        .collect();
    let shown = json!({
        "authorities": certificate.authorities,
        "signs": certificate.signs,
        "moved": moved,
        "members": all,
        "nodes": nodes,
    });
    if session.global.output != Format::Table {
        return output::answer(session.global.output, &shown, None);
    }
    for one in &certificate.authorities {
        output::raw(&authority_words(one, certificate.signs))?;
    }
    output::raw(&format!("{moved}/{all} nodes moved\n"))?;
    if moved < all {
        return output::answer(Format::Table, &shown, Some(NODES));
    }
    Ok(())
}

fn authority_words(one: &AuthorityShown, signs: bool) -> String {
    let now_ms = home::now_ms();
    let left = |ends_ms: u64| spoken(ends_ms.saturating_sub(now_ms));
    let state = match (one.state, one.ends_ms) {
        (AuthorityWord::Signs, _) if signs => "signs; this node holds its key".to_owned(),
        (AuthorityWord::Signs, _) => "signs, at another node".to_owned(),
        (AuthorityWord::Former, Some(ends_ms)) => {
            format!("former, counts for another {}", left(ends_ms))
        }
        (AuthorityWord::Former, None) => "former".to_owned(),
        (AuthorityWord::Ended, _) => "ended: good for a renewal, and for nothing else".to_owned(),
    };
    format!("authority {}  {}  {state}\n", one.number, one.fingerprint)
}
