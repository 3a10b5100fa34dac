//! Another key for the node of a data directory, as files: the next identity is made ready beside the
//! one that serves, and takes its place when that one has left. Nothing is overwritten or removed but
//! what says how far that has come.
//!
//! ```text
//! next/           the identity that is to be: a data directory without a journal
//! rotation.lock   held by the command that is at it; whoever serves waits for it
//! rotation.draft  there until the former identity has left: what `rotation.json` says then
//! rotation.json   there while files change places: who was, who is to be, how far it has come
//! former.N/       the identity before it with its journal: a data directory by itself
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use unisono_model::NodeId;
use unisono_quic::identity::{
    CA_CERTIFICATE_FILE, CA_KEY_FILE, Credentials, NODE_CERTIFICATE_FILE, NODE_KEY_FILE,
};
use unisono_store::{FileDisk, OpenDiskError};

use crate::failure::{Exit, Failure};
use crate::home::{self, Home, RENEWER_TOKEN_FILE, ROOTS_FILE, ROTATION_FILE};
use crate::small_file;
use crate::standing::STANDING_FILE;

/// Where the identity that is to be is made ready.
const NEXT: &str = "next";
/// What is to be decided when the former identity has left.
const DRAFT_FILE: &str = "rotation.draft";
/// The lock of the command that is at it.
const LOCK_FILE: &str = "rotation.lock";
/// What is one identity's, and goes aside with it.
const OF_ONE_IDENTITY: [&str; 11] = [
    "cluster.toml",
    NODE_KEY_FILE,
    NODE_CERTIFICATE_FILE,
    CA_CERTIFICATE_FILE,
    ROOTS_FILE,
    RENEWER_TOKEN_FILE,
    "run.json",
    "webhook.json",
    STANDING_FILE,
    "journal",
    "caches",
];
/// What a join has written. The last one says that a directory is a node's, so it comes last.
const OF_A_JOIN: [&str; 5] = [
    NODE_KEY_FILE,
    NODE_CERTIFICATE_FILE,
    CA_CERTIFICATE_FILE,
    ROOTS_FILE,
    "cluster.toml",
];
/// Most identities that are kept aside in one directory: whoever has so many may take some away.
const FORMER_MAX: u32 = 1000;
/// How long a process that is to serve waits for a command that changes its key: longer than such a
/// command takes to have the node leave and move a few files.
const SETTLED_WITHIN: Duration = Duration::from_secs(600);
/// How often it looks meanwhile.
const LOOKED_EVERY: Duration = Duration::from_millis(100);

/// What stands in `rotation.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moving {
    /// Who the node was.
    pub(crate) former: NodeId,
    /// Who it is to be.
    pub(crate) next: NodeId,
    /// The name of the directory that holds the former identity.
    pub(crate) aside: String,
    /// Whether the authority's key goes aside as well: the next identity knows no such authority.
    authority_aside: bool,
    step: Step,
}

/// How far the files have come.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// The former identity goes aside.
    Aside,
    /// It is aside, and the next one takes its place.
    In,
}

/// The right to change the key of a directory's node: one command at a time has it, and no process
/// begins to serve meanwhile. It ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Rotation {
    home: Home,
    _lock: File,
}

impl Rotation {
    /// Takes it.
    pub(crate) fn begin(home: &Home) -> Result<Self, Failure> {
        // A slip of the path must not make a directory.
        if !home.is_member() {
            home.membership()?;
        }
        let lock = locked(home)?.ok_or_else(|| {
            let data = home.directory().display();
            let words = format!("another command changes the key of {data}; nothing changed");
            Failure::new(Exit::Conflict, "rotation_under_way", words).hint("wait for its end")
        })?;
        let home = home.clone();
        Ok(Self { home, _lock: lock })
    }

    /// The directory of the identity that is to be.
    pub(crate) fn next(&self) -> Home {
        Home::new(self.home.directory().join(NEXT))
    }

    /// The identity that is to be, if it has joined and its certificate counts.
    pub(crate) fn ready(&self) -> Result<Option<Credentials>, Failure> {
        let next = self.next();
        if !next.is_member() {
            return Ok(None);
        }
        let (_, credentials) = next.load()?;
        let counts = credentials.validity().until_ms > home::now_ms();
        Ok(counts.then_some(credentials))
    }

    /// Removes what a join has left that did not come to its end, or whose certificate has ended. The
    /// key stays: agents may have been taken to those that follow from it.
    pub(crate) fn forget_join(&self) -> Result<(), Failure> {
        let next = self.next();
        for name in OF_A_JOIN
            .iter()
            .rev()
            .filter(|name| **name != NODE_KEY_FILE)
        {
            let path = next.directory().join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Failure::system(&path.display().to_string(), &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether all that has to be moved can be: what is mounted there by itself cannot, nor a link that
    /// leads elsewhere from where it is moved to.
    pub(crate) fn can_move(&self) -> Result<(), Failure> {
        OF_ONE_IDENTITY
            .iter()
            .try_for_each(|name| self.can_move_one(name))
    }

    /// The same of the authority's key, where the next identity knows no such authority.
    pub(crate) fn can_move_authority(
        &self,
        former: &Credentials,
        next: &Credentials,
    ) -> Result<(), Failure> {
        if knows_authority(former, next) {
            return Ok(());
        }
        self.can_move_one(CA_KEY_FILE)
    }

    fn can_move_one(&self, name: &str) -> Result<(), Failure> {
        let directory = self.home.directory();
        let path = directory.join(name);
        let failed = |error: io::Error| Failure::system(&path.display().to_string(), &error);
        let found = match path.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let is_near = found.is_symlink() && fs::read_link(&path).map_err(failed)?.is_relative();
        let (there, here) = (mount_id(&path), mount_id(directory));
        let why = if there.map_err(failed)? != here.map_err(failed)? {
            "is mounted by itself"
        } else if is_near {
            "is a link that would lead elsewhere from there"
        } else {
            return Ok(());
        };
        let path = path.display();
        let words = format!("{path} {why}, and could not be put aside; no file was moved");
        Err(Failure::new(Exit::Denied, "not_movable", words).hint(
            "mount the whole data directory instead, or let the node leave and join with a new one",
        ))
    }

    /// What a command before this one has begun to move.
    pub(crate) fn moving(&self) -> Result<Option<Moving>, Failure> {
        moving(&self.home).map_err(|error| unmoved(&self.home, &error))
    }

    /// Writes down what is to be decided, while the former identity still serves: what can be refused of
    /// it is refused then, and not when that one has left.
    pub(crate) fn draft(
        &self,
        former: &Credentials,
        next: &Credentials,
    ) -> Result<Moving, Failure> {
        let is_free = |name: &String| {
            let path = self.home.directory().join(name);
            path.symlink_metadata().is_err()
        };
        let mut names = (1..=FORMER_MAX).map(|number| format!("former.{number}"));
        let aside = names.find(is_free).ok_or_else(|| {
            let words = format!("there are {FORMER_MAX} former identities in the data directory");
            Failure::new(Exit::Conflict, "former_limit", words)
                .hint("take some away, and give the same command again")
        })?;
        let moving = Moving {
            former: former.node(),
            next: next.node(),
            aside,
            authority_aside: !knows_authority(former, next),
            step: Step::Aside,
        };
        write(&self.home, DRAFT_FILE, &moving).map_err(|error| unmoved(&self.home, &error))?;
        Ok(moving)
    }

    /// Says that the next identity takes the place of the former one, which has left: whoever serves the
    /// directory from now on does that first, and nobody brings the former one back.
    pub(crate) fn decide(&self) -> Result<(), Failure> {
        let directory = self.home.directory();
        let decided = fs::rename(directory.join(DRAFT_FILE), directory.join(ROTATION_FILE));
        let decided = decided.and_then(|()| synced(directory));
        decided.map_err(|error| unmoved(&self.home, &error))
    }

    /// Moves what has to be moved, or what a command before this one has left of it, once the process of
    /// the former identity has ended.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        finish(&self.home).map_err(|error| unmoved(&self.home, &error))
    }

    /// Where a former identity lies.
    pub(crate) fn aside(&self, moving: &Moving) -> PathBuf {
        self.home.directory().join(&moving.aside)
    }
}

/// Whether a next key lies in the directory that is not in its place.
pub(crate) fn is_begun(home: &Home) -> bool {
    home.directory().join(NEXT).exists() || home.is_moving()
}

/// Waits for a command that is about to change the key of a directory's node, and finishes what one
/// has begun to move that was broken off: called before anything of an identity is read.
pub(crate) async fn settled(home: &Home) -> Result<(), Failure> {
    if !is_begun(home) {
        return Ok(());
    }
    let looks = SETTLED_WITHIN.as_millis() / LOOKED_EVERY.as_millis();
    for _ in 0..looks {
        if let Some(_lock) = locked(home)? {
            let begun = moving(home).map_err(|error| unmoved(home, &error))?;
            if begun.is_none() {
                return Ok(());
            }
            // A process that ends may still write there: it is waited for as well.
            if let Some(_journal) = released(home)? {
                return finish(home).map_err(|error| unmoved(home, &error));
            }
        }
        tokio::time::sleep(LOOKED_EVERY).await;
    }
    let data = home.directory().display();
    let words = format!("a command changes the key of {data} and does not end; nothing is served");
    Err(Failure::new(Exit::TimedOut, "rotation_under_way", words)
        .hint("look for `unisono node rotate` on this machine; it can be given again"))
}

/// The lock, unless another process has it.
fn locked(home: &Home) -> Result<Option<File>, Failure> {
    let path = home.directory().join(LOCK_FILE);
    let failed = |error: io::Error| Failure::system(&path.display().to_string(), &error);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(&path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// A journal that is kept from every other process.
#[derive(Debug)]
pub(crate) enum Released {
    /// It is held.
    Held(#[expect(dead_code, reason = "held for its lock")] FileDisk),
    /// There is none (any more).
    Aside,
}

/// Keeps other processes from the journal; nothing while one has it.
pub(crate) fn released(home: &Home) -> Result<Option<Released>, Failure> {
    match home.journal().symlink_metadata() {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(Released::Aside));
        }
        Err(error) => {
            return Err(Failure::system(
                &home.journal().display().to_string(),
                &error,
            ));
        }
    }
    match FileDisk::open(home.journal()) {
        Ok(journal) => Ok(Some(Released::Held(journal))),
        Err(OpenDiskError::InUse(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Which mount a path lies on: one that is mounted from the same disk is another one.
fn mount_id(path: &Path) -> io::Result<u64> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match statx(CWD, path, flags, StatxFlags::MNT_ID) {
        Ok(found) if found.stx_mask & StatxFlags::MNT_ID.bits() != 0 => Ok(found.stx_mnt_id),
        // A kernel before 5.8 or a sandbox that knows it not: then disks have to do.
        Ok(_) | Err(Errno::NOSYS | Errno::INVAL) => Ok(path.symlink_metadata()?.dev()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the authority's key that lies here is one of those that the next identity knows; where a
/// passphrase hides which one it is, whether it knows all of them.
fn knows_authority(former: &Credentials, next: &Credentials) -> bool {
    let known = next.authorities();
    if let Some(held) = former.held() {
        return known.find(&held.id()).is_some();
    }
    let mut all = former.authorities().all().iter();
    all.all(|one| known.find(&one.id).is_some())
}

fn moving(home: &Home) -> io::Result<Option<Moving>> {
    let path = home.directory().join(ROTATION_FILE);
    match small_file::text(&path, small_file::BYTES_MAX) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(home: &Home, name: &str, moving: &Moving) -> io::Result<()> {
    let text = serde_json::to_string(moving).map_err(io::Error::other)?;
    home::replace(&home.directory().join(name), &(text + "\n"))
}

/// Moves what is left to be moved. To be called again wherever it was broken off.
fn finish(home: &Home) -> io::Result<()> {
    let Some(mut moving) = moving(home)? else {
        return Ok(());
    };
    let directory = home.directory();
    let next = directory.join(NEXT);
    if moving.step == Step::Aside {
        let aside = directory.join(&moving.aside);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&aside);
        made?;
        let authority = moving.authority_aside.then_some(CA_KEY_FILE);
        // In this step the directory holds nothing of the next identity yet.
        for name in OF_ONE_IDENTITY.into_iter().chain(authority) {
            moved(&directory.join(name), &aside.join(name))?;
        }
        synced(&aside)?;
        synced(directory)?;
        moving.step = Step::In;
        write(home, ROTATION_FILE, &moving)?;
    }
    for name in OF_A_JOIN {
        moved(&next.join(name), &directory.join(name))?;
    }
    synced(directory)?;
    match fs::remove_dir_all(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_file(directory.join(ROTATION_FILE))?;
    synced(directory)
}

/// Moves what is there.
fn moved(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn synced(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn unmoved(home: &Home, error: &io::Error) -> Failure {
    let data = home.directory().display();
    let words = format!("the next identity of {data} is not in place yet: {error}");
    Failure::new(Exit::Failed, "system", words)
        .changed()
        .hint("nothing is lost: see to the disk, and give the same command again")
}

#[cfg(test)]
mod tests;
