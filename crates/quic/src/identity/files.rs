//! Secret files: written whole or not at all, readable by their owner alone.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::Path,
};

use data_encoding::BASE64;
use rustix::{fs::OFlags, process::geteuid};

use super::{IdentityError, key::random};
use crate::limits;

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// Makes the directory, or tightens nothing and only checks it if it is there: nobody else reads in it.
pub(super) fn make_directory(path: &Path) -> Result<(), IdentityError> {
    let unwritable = |source| IdentityError::Unwritable {
        path: path.to_owned(),
        source,
    };
    match fs::metadata(path) {
        Ok(metadata) => {
            check_owner(path, &metadata)?;
            check_mode(path, &metadata, 0o077, DIRECTORY_MODE)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(path)
            .map_err(unwritable),
        Err(error) => Err(unwritable(error)),
    }
}

/// Writes `text` to `path`. A file with the same content is left alone, one with another content is
/// never overwritten, and a crash leaves either no file or the whole one.
pub(super) fn write(path: &Path, text: &str) -> Result<(), IdentityError> {
    match read(path) {
        Ok(present) if present == text => return Ok(()),
        Err(IdentityError::Missing { .. }) => {}
        Ok(_) => {
            return Err(IdentityError::Exists {
                path: path.to_owned(),
            });
        }
        Err(other) => return Err(other),
    }
    write_new(path, text).map_err(|source| IdentityError::Unwritable {
        path: path.to_owned(),
        source,
    })
}

/// Writes `text` over the file at `path`, whole or not at all. Only for what is no secret key, or one
/// that another has taken the place of.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), IdentityError> {
    let renamed = |temporary: &Path| fs::rename(temporary, path);
    write_aside(path, text, renamed).map_err(|source| IdentityError::Unwritable {
        path: path.to_owned(),
        source,
    })
}

/// Takes a file away; one that is not there is away already.
pub(super) fn remove(path: &Path) -> Result<(), IdentityError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(IdentityError::Unwritable {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    // A link fails where a rename would overwrite: two processes cannot both give a node its key.
    write_aside(path, text, |temporary| fs::hard_link(temporary, path))
}

fn write_aside(
    path: &Path,
    text: &str,
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let unique = u64::from_le_bytes(random());
    let temporary = path.with_extension(format!("{unique:016x}.part"));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&temporary)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    let placed = written.and_then(|()| place(&temporary));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // A rename has taken it away already.
        _ => placed?,
    }
    fs::File::open(directory)?.sync_all()
}

/// Reads a secret file: a plain file, of bounded size, this user's own and closed to others. What is
/// looked at is the file that was opened, whatever takes its name meanwhile.
pub(super) fn read(path: &Path) -> Result<String, IdentityError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => IdentityError::Missing {
            path: path.to_owned(),
        },
        _ => IdentityError::Unreadable {
            path: path.to_owned(),
            source,
        },
    };
    let not_plain = || IdentityError::Malformed {
        path: path.to_owned(),
        what: "a plain PEM file",
    };
    // No link is followed, and nobody waits for the other end of a pipe.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if fs::symlink_metadata(path).is_ok_and(|kind| kind.is_symlink()) => {
            drop(error);
            return Err(not_plain());
        }
        Err(error) => return Err(unreadable(error)),
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > limits::CREDENTIAL_FILE_BYTES_MAX {
        return Err(not_plain());
    }
    check_owner(path, &metadata)?;
    check_mode(path, &metadata, 0o077, FILE_MODE)?;
    let mut text = String::new();
    file.take(limits::CREDENTIAL_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    Ok(text)
}

/// Whoever can write in a directory can put other keys in the place of those that lie there.
pub(super) fn check_directory(path: &Path) -> Result<(), IdentityError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        // Its files say it better.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(IdentityError::Unreadable {
                path: path.to_owned(),
                source,
            });
        }
    };
    check_owner(path, &metadata)?;
    check_mode(path, &metadata, 0o022, DIRECTORY_MODE)
}

/// What belongs to somebody else can be changed by them, whatever its mode; what is the
/// administrator's only by those who can change everything.
fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), IdentityError> {
    let (owner, user) = (metadata.uid(), geteuid().as_raw());
    if owner == user || owner == 0 {
        return Ok(());
    }
    Err(IdentityError::OthersOwn {
        path: path.to_owned(),
        owner,
        user,
    })
}

fn check_mode(
    path: &Path,
    metadata: &fs::Metadata,
    closed: u32,
    wanted: u32,
) -> Result<(), IdentityError> {
    let mode = metadata.permissions().mode() & 0o777;
    if mode & closed == 0 {
        return Ok(());
    }
    Err(IdentityError::TooOpen {
        path: path.to_owned(),
        mode,
        wanted,
    })
}

/// PEM as RFC 7468 wants it: lines of 64.
pub(super) fn to_pem(label: &str, der: &[u8]) -> String {
    let body = BASE64.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        text.push_str(core::str::from_utf8(line).expect("base64 is ASCII"));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}
