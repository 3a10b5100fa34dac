//! The root of rights: which key it is, and another one in its place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use unisono_api::client::{AgentKey, Reply};
use unisono_api::dto::{ActionBody, RootBody, RootShown, Trust, parse_stamp};
use unisono_model::{AgentId, RootWord, Stamp};

use super::session::Session;
use crate::at_work;
use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::home::{self, Home, Membership, RECOVERY_KEY_FILE, ROOT_KEY_FILE, ROOT_NEXT_KEY_FILE};
use crate::output::{self, Format, Table};
use crate::sealed::{self, Unlocked};

/// How long the node may take to know the word.
const KNOWN_WITHIN: Duration = Duration::from_secs(15);
/// How often it is asked meanwhile.
const ASKED_EVERY: Duration = Duration::from_millis(200);

/// `root`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RootArgs {
    #[command(subcommand)]
    command: RootCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum RootCommand {
    /// Which key is the root of rights, and which ones were
    #[command(after_help = "Example:\n  unisono root show --data ./lab")]
    Show,
    /// Puts a new key in the place of root.key, by the word of the recovery key
    #[command(
        after_help = "Example:\n  unisono root rotate --data ./lab --recovery-key /media/stick/recovery.key"
    )]
    Rotate(RotateArgs),
}

#[derive(Clone, Debug, Args)]
struct RotateArgs {
    /// The key that names roots; recovery.key in the data folder if left out, and in a cluster that was
    /// founded without one its first root.key
    #[arg(long, value_name = "FILE")]
    recovery_key: Option<PathBuf>,
    /// What the former root has signed since then is void, too: its key has leaked (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Stamp>,
}

fn moment(text: &str) -> Result<Stamp, String> {
    parse_stamp(text).map_err(|error| error.to_string())
}

/// Does what is asked about the root.
pub(crate) async fn run(args: RootArgs, config: Config, mut global: Global) -> Result<(), Failure> {
    let home = Home::new(config.data());
    let membership = home.membership()?;
    let RootCommand::Rotate(args) = args.command else {
        let mut session = Session::new(config, global).await?;
        session.orchestra = "cluster".into();
        return show(&home, &membership, &session).await;
    };
    let Some(founding) = membership.root else {
        let words = "this cluster was founded before there were roots; nothing changed";
        return Err(Failure::new(Exit::Denied, "no_root", words)
            .hint("found a new cluster with this version, and let the nodes join it"));
    };
    if args
        .since
        .is_some_and(|since| since.as_ms() > home::now_ms())
    {
        let words =
            "--since lies ahead: a root ends now, or from when its key had leaked; nothing changed";
        return Err(Failure::usage(words).hint("leave it out where the key has not leaked"));
    }
    let names = naming_key(&args, &home, &membership)?;
    let _at_work = at_work::begin(&home)?;
    // On disk before anything is said: the same command again takes it.
    let next_file = home.directory().join(ROOT_NEXT_KEY_FILE);
    let next = next_key(&home, &next_file, &names)?;
    let names = names.key;
    global.key_file = Some(next_file);
    let mut session = Session::new(config, global).await?;
    // What concerns the cluster stands in its own orchestra, whichever one is worked in.
    session.orchestra = "cluster".into();
    let known = last(&session).await?;
    let is_said = known.is_some_and(|known| known.root == next.agent());
    let number = known.map_or(0, |known| known.number) + u32::from(!is_said);
    session.agent = Some(format!("root-{number}"));
    if !is_said {
        let former = known.map_or(founding, |known| known.root);
        let from_ms = args.since.map_or_else(home::now_ms, Stamp::as_ms);
        let keys = (names.signing(), next.signing());
        let word = RootWord::sign(keys, membership.cluster, number, former, from_ms);
        let body = ActionBody::Root(RootBody::from(word));
        let said = session.act(body, session.options()).await;
        said.map_err(|failure| failure.next("unisono root show"))?;
    }
    stands(&session, (&home, &membership), next.agent()).await?;
    put_in_place(&home, number)
        .map_err(|error| Failure::system(&home.directory().display().to_string(), &error))
        .map_err(|failure| failure.changed().hint("give the same command again"))?;
    show(&home, &membership, &session).await
}

/// The key whose word counts.
fn naming_key(
    args: &RotateArgs,
    home: &Home,
    membership: &Membership,
) -> Result<Unlocked, Failure> {
    let path = args.recovery_key.clone().unwrap_or_else(|| {
        let files = [
            RECOVERY_KEY_FILE.to_owned(),
            former_file(0),
            ROOT_KEY_FILE.to_owned(),
        ];
        let files = files.map(|file| home.directory().join(file));
        // One with a passphrase is asked for once it is known to be meant.
        let is_it = |path: &&PathBuf| {
            let key = AgentKey::load(path).ok();
            key.map(|key| key.agent()) == membership.names_roots()
        };
        let found = files.iter().find(is_it);
        found.unwrap_or(&files[0]).clone()
    });
    let hint = match membership.recovery {
        Some(_) => {
            "--recovery-key names the file that `init` or `up` made where the cluster was founded"
        }
        None => {
            "this cluster was founded before there were recovery keys: --recovery-key names its first root.key"
        }
    };
    let unlocked = sealed::unlocked(&path).map_err(|failure| failure.hint(hint))?;
    let key = &unlocked.key;
    if Some(key.agent()) == membership.names_roots() {
        return Ok(unlocked);
    }
    let words = format!(
        "{} holds the key {}, which names no roots here; nothing changed",
        path.display(),
        key.agent()
    );
    Err(Failure::new(Exit::Denied, "not_allowed", words).hint(hint))
}

/// The key that is to be the root's: protected where the one before is, or the one that names it. Its
/// passphrase may be another: the former one may be lost, and that be the reason.
fn next_key(home: &Home, file: &Path, names: &Unlocked) -> Result<AgentKey, Failure> {
    let former = home.directory().join(ROOT_KEY_FILE);
    let is_protected = names.passphrase.is_some() || sealed::is_sealed_file(&former);
    if !is_protected || file.symlink_metadata().is_ok() {
        return home.drawn_key(ROOT_NEXT_KEY_FILE);
    }
    sealed::agent_key_or_sealed(file, &sealed::new_passphrase(file)?)
}

/// What the node knows of roots, the first one first.
async fn named(session: &Session) -> Result<Vec<RootShown>, Failure> {
    let trust: Reply<Trust> = session.read("trust", &[]).await?;
    Ok(trust.body.roots)
}

async fn last(session: &Session) -> Result<Option<RootShown>, Failure> {
    Ok(named(session).await?.pop())
}

/// Waits until the node knows that this key is the root, and the data folder, where a node runs on it.
async fn stands(
    session: &Session,
    (home, membership): (&Home, &Membership),
    root: AgentId,
) -> Result<(), Failure> {
    let is_kept = || home.running().is_none() || home.root(membership).1 == Some(root);
    let known = async {
        loop {
            if let Ok(Some(last)) = last(session).await
                && last.root == root
                && is_kept()
            {
                return;
            }
            tokio::time::sleep(ASKED_EVERY).await;
        }
    };
    let known = tokio::time::timeout(KNOWN_WITHIN, known).await;
    known.map_err(|_| {
        let words = "the next root is named, and the node does not show it yet";
        Failure::new(Exit::TimedOut, "not_known", words)
            .changed()
            .hint("give the same command again: the key that was drawn is kept")
            .next("unisono root show")
    })
}

fn former_file(number: u32) -> String {
    format!("root.former.{number}.key")
}

/// Puts the key of the root that stands in the place of the one before it, which is kept. A crash
/// leaves both, under names by which the same command finds them.
fn put_in_place(home: &Home, number: u32) -> io::Result<()> {
    let file = |name: &str| home.directory().join(name);
    let (root, next) = (file(ROOT_KEY_FILE), file(ROOT_NEXT_KEY_FILE));
    if root.exists() {
        let former = file(&former_file(number.saturating_sub(1)));
        if !former.exists() {
            fs::rename(&root, former)?;
        }
    }
    fs::rename(next, root)?;
    synced(home.directory())
}

fn synced(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

const ROOTS: Table = Table {
    list: "roots",
    columns: &[
        ("NUMBER", "number"),
        ("STATE", "state"),
        ("FROM (MS)", "from_ms"),
        ("UNTIL (MS)", "until_ms"),
        ("KEY", "root"),
    ],
};

async fn show(home: &Home, membership: &Membership, session: &Session) -> Result<(), Failure> {
    let named = named(session).await?;
    let now_ms = home::now_ms();
    let founding = membership.root.map(|root| {
        let until_ms = named.iter().map(|one| one.from_ms).min();
        (0, root, 0, until_ms)
    });
    let named = named
        .iter()
        .map(|one| (one.number, one.root, one.from_ms, one.until_ms));
    let all = founding.into_iter().chain(named);
    let roots: Vec<Value> = all
        .map(|(number, root, from_ms, until_ms)| {
            let state = match until_ms {
                Some(until_ms) if until_ms <= now_ms || until_ms <= from_ms => "former",
                _ if from_ms > now_ms => "next",
                _ => "stands",
            };
            json!({
                "number": number,
                "root": root,
                "from_ms": from_ms,
                "until_ms": until_ms,
                "state": state,
            })
        })
        .collect();
    let shown = json!({
        "roots": roots,
        "named_by": membership.names_roots(),
        "recovery": membership.recovery.is_some(),
        "key_here": home.holds_root(membership),
    });
    let table = (session.global.output == Format::Table).then_some(ROOTS);
    output::answer(session.global.output, &shown, table)
}
