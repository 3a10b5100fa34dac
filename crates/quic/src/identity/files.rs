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

use super::{IdentityError, key::random};
use crate::limits;

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// Makes the directory, or tightens nothing and only checks it if it is there.
pub(super) fn make_directory(path: &Path) -> Result<(), IdentityError> {
    let unwritable = |source| IdentityError::Unwritable {
        path: path.to_owned(),
        source,
    };
    match fs::metadata(path) {
        Ok(_) => check_mode(path, DIRECTORY_MODE),
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

/// Reads a secret file: a plain file, of bounded size, closed to others.
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
    let kind = fs::symlink_metadata(path).map_err(unreadable)?;
    if !kind.is_file() || kind.len() > limits::CREDENTIAL_FILE_BYTES_MAX {
        return Err(IdentityError::Malformed {
            path: path.to_owned(),
            what: "a plain PEM file",
        });
    }
    check_mode(path, FILE_MODE)?;
    let mut text = String::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(limits::CREDENTIAL_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    Ok(text)
}

fn check_mode(path: &Path, wanted: u32) -> Result<(), IdentityError> {
    let metadata = fs::metadata(path).map_err(|source| IdentityError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let mode = metadata.mode() & 0o777;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(IdentityError::TooOpen {
            path: path.to_owned(),
            mode,
            wanted,
        });
    }
    Ok(())
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
