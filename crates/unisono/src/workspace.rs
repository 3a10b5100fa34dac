//! Files as the node sees them: what a content measures, and what lies in the workspace.
//!
//! The node writes no file. An agent writes in the workspace, and asks the node to record what it
//! wrote; a node that is told of the workspace opens the file itself, beneath the workspace and
//! through no link, and takes it only if it holds what was sent. What is recorded is the digest of
//! the bytes that were measured, so nothing is won by exchanging a folder in between.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use unisono_api::server::Inspector;
use unisono_measure::Refusal;
use unisono_model::{Code, Content, Digest, Measure, Measured, Rejection, limits};

/// What looks at files for a node.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    root: Option<OwnedFd>,
}

impl Workspace {
    /// Looks at contents, and at a folder where one is named.
    ///
    /// # Errors
    /// What the system says about the folder.
    pub(crate) fn new(root: Option<&Path>) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let open = |path: &Path| rustix::fs::open(path, flags, Mode::empty());
        Ok(Self {
            root: root.map(open).transpose()?,
        })
    }

    /// What a file of the workspace holds; none where there is none.
    ///
    /// # Errors
    /// That the path leads through a link or to something else than a file with one name, or what
    /// the system says.
    pub(crate) fn content(&self, path: &str) -> Result<Option<Vec<u8>>, Rejection> {
        let Some(root) = &self.root else {
            return Ok(None);
        };
        let file = match open_beneath(root, path) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::XDEV | Errno::NOTDIR | Errno::NXIO) => {
                return Err(escapes("it leads through a link, or to no file"));
            }
            Err(error) => return Err(unreadable(&io::Error::from(error))),
        };
        let about = file.metadata().map_err(|error| unreadable(&error))?;
        if !about.is_file() {
            return Err(escapes("there is something else than a file"));
        }
        if about.nlink() > 1 {
            return Err(escapes("the file has a second name elsewhere"));
        }
        let mut bytes = Vec::new();
        file.take(limits::CONTENT_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(&error))?;
        Ok(Some(bytes))
    }
}

impl Inspector for Workspace {
    fn measure(&self, path: &str, content: &[u8]) -> Content {
        measured(path, content)
    }

    fn look(&self, path: &str, holds: Option<&Digest>) -> Result<(), Rejection> {
        if self.root.is_none() {
            return Ok(());
        }
        let there = self.content(path)?;
        let there = there.map(|bytes| Content::digest_of(&bytes));
        if there.as_ref() == holds {
            return Ok(());
        }
        let words = match there {
            Some(_) => format!("the workspace has another content at {path}"),
            None => format!("the workspace has nothing at {path}"),
        };
        Err(Rejection::new(Code::ContentMismatch, words)
            .hint("write the file in the workspace first; then have it recorded"))
    }
}

/// What a record says of a content.
pub(crate) fn measured(path: &str, content: &[u8]) -> Content {
    let measure = match unisono_measure::measure(path, content) {
        Ok(report) => {
            let functions = || report.functions.iter();
            let name = |one: Option<&unisono_measure::Function>| {
                let name = one.map_or("", |one| one.name.as_str());
                name.chars().filter(|c| !c.is_control()).collect()
            };
            Measure::Known(Measured {
                language: report.language.name().to_owned(),
                functions: u32::try_from(report.functions.len()).unwrap_or(u32::MAX),
                complexity_max: report.complexity_max,
                most_complex: name(functions().max_by_key(|one| one.complexity)),
                lines_max: report.length_max,
                longest: name(functions().max_by_key(|one| one.length)),
            })
        }
        Err(Refusal::UnknownLanguage) => Measure::UnknownLanguage,
        Err(refusal) => Measure::Unmeasurable(refusal.code().to_owned()),
    };
    Content {
        digest: Content::digest_of(content),
        bytes: u32::try_from(content.len()).unwrap_or(u32::MAX),
        blank: unisono_measure::blank(path, content),
        measure,
    }
}

/// Opens a file for reading below a folder: no link on the way, no way out. A plain path has no
/// `..`, so walking name by name says the same where the system has no `openat2`.
fn open_beneath(root: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            // Some sandboxes forbid calls that they do not know.
            Err(Errno::NOSYS | Errno::PERM) => {}
            opened => return opened,
        }
    }
    walk(root, path, flags)
}

fn walk(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut folder = root.try_clone().map_err(|_| Errno::MFILE)?;
    for step in folders.split('/').filter(|step| !step.is_empty()) {
        let flags = flags | OFlags::DIRECTORY;
        folder = rustix::fs::openat(&folder, step, flags, Mode::empty())?;
    }
    rustix::fs::openat(&folder, name, flags, Mode::empty())
}

fn escapes(words: &str) -> Rejection {
    Rejection::new(Code::PathEscapes, words)
        .hint("only files of the workspace itself are taken: no links, one name each")
}

/// What the system says is about this machine, and nobody's business.
fn unreadable(error: &io::Error) -> Rejection {
    tracing::warn!(%error, "a file of the workspace cannot be read");
    Rejection::new(
        Code::ContentMismatch,
        "the node cannot read this file in its workspace",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(workspace: &Workspace, path: &str) -> Option<&'static str> {
        let looked = workspace.content(path);
        looked.err().map(|rejection| rejection.code.as_str())
    }

    #[test]
    fn no_link_of_any_kind_leads_out_whichever_way_files_are_opened() {
        let place = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (place.path().join("in"), place.path().join("out"));
        std::fs::create_dir_all(inside.join("src")).expect("a folder");
        std::fs::create_dir_all(&outside).expect("a folder");
        std::fs::write(outside.join("secret"), "s").expect("a file");
        std::fs::write(inside.join("src/a.rs"), "fn a() {}").expect("a file");
        let link = |to: &Path, at: &Path| std::os::unix::fs::symlink(to, at);
        link(&outside.join("secret"), &inside.join("src/file")).expect("a link");
        link(&outside, &inside.join("folder")).expect("a link");
        link(Path::new("a.rs"), &inside.join("src/near.rs")).expect("a link");
        std::fs::hard_link(outside.join("secret"), inside.join("hard")).expect("a second name");
        let workspace = Workspace::new(Some(&inside)).expect("a workspace");
        assert_eq!(
            workspace.content("src/a.rs"),
            Ok(Some(b"fn a() {}".to_vec()))
        );
        assert_eq!(workspace.content("src/none.rs"), Ok(None));
        for path in ["src/file", "folder/secret", "src/near.rs", "hard", "src"] {
            assert_eq!(code(&workspace, path), Some("path_escapes"), "{path}");
        }
        let root = workspace.root.as_ref().expect("it has one");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        assert!(walk(root, "src/a.rs", flags).is_ok());
        for path in ["src/file", "folder/secret", "src/near.rs"] {
            assert!(walk(root, path, flags).is_err(), "{path}");
        }
        // The folder is exchanged for a link after it was looked at.
        std::fs::rename(inside.join("src"), inside.join("old")).expect("moved");
        link(&outside, &inside.join("src")).expect("a link");
        assert_eq!(code(&workspace, "src/secret"), Some("path_escapes"));
    }
}
