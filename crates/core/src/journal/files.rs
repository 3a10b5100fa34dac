//! The names of the journal's files, and the one way to replace a file.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::disk::{Disk, DiskError};

/// A segment's file.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:016x}.segment")
}

/// The index file of a sealed segment.
pub(super) fn index_name(number: u64) -> String {
    format!("{number:016x}.index")
}

/// One version of a named blob.
pub(super) fn blob_name(name: &str, version: u64) -> String {
    format!("{name}.{version:016x}.blob")
}

/// The files of a directory, by what they are. Files that are none of ours are left alone.
#[derive(Default)]
pub(super) struct Directory {
    pub(super) segments: BTreeMap<u64, u64>,
    pub(super) indexes: BTreeMap<u64, u64>,
    /// Versions by blob, rising.
    pub(super) blobs: BTreeMap<String, Vec<u64>>,
    /// What an interrupted replacement left behind.
    pub(super) temporary: Vec<String>,
}

impl Directory {
    pub(super) fn read(disk: &impl Disk) -> Result<Self, DiskError> {
        let mut directory = Self::default();
        for (name, length) in disk.list()? {
            let Some((stem, extension)) = name.rsplit_once('.') else {
                continue;
            };
            match extension {
                "segment" => drop(number(stem).map(|n| directory.segments.insert(n, length))),
                "index" => drop(number(stem).map(|n| directory.indexes.insert(n, length))),
                "blob" => {
                    if let Some((blob, version)) = stem.rsplit_once('.')
                        && let Some(version) = number(version)
                    {
                        directory
                            .blobs
                            .entry(blob.to_string())
                            .or_default()
                            .push(version);
                    }
                }
                "temp" => directory.temporary.push(name),
                _ => {}
            }
        }
        for versions in directory.blobs.values_mut() {
            versions.sort_unstable();
        }
        Ok(directory)
    }
}

fn number(text: &str) -> Option<u64> {
    let canonical =
        text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    canonical
        .then(|| u64::from_str_radix(text, 16).ok())
        .flatten()
}

/// Why a file was not replaced.
pub(super) enum ReplaceError {
    /// The file is what it was.
    Before(DiskError),
    /// The new file may or may not be found under its name after a crash.
    Unknown(DiskError),
}

impl ReplaceError {
    pub(super) fn into_disk(self) -> DiskError {
        match self {
            Self::Before(error) | Self::Unknown(error) => error,
        }
    }
}

/// Puts a file in place, whole and durable, or not at all.
pub(super) fn replace(disk: &mut impl Disk, name: &str, bytes: &[u8]) -> Result<(), ReplaceError> {
    let temporary = format!("{name}.temp");
    let written = write_anew(disk, &temporary, bytes);
    if let Err(error) = written {
        // It is in nobody's way if it stays; opening removes it too.
        drop(disk.remove(&temporary));
        return Err(ReplaceError::Before(error));
    }
    disk.rename(&temporary, name)
        .map_err(ReplaceError::Unknown)?;
    disk.sync_directory().map_err(ReplaceError::Unknown)
}

fn write_anew(disk: &mut impl Disk, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
    match disk.remove(name) {
        Err(error) if !error.is_missing() => return Err(error),
        Ok(()) | Err(_) => {}
    }
    disk.append(name, bytes)?;
    disk.sync(name)
}

/// Reads a file of `length` bytes. Shorter if the disk gives less.
pub(super) fn read_whole(disk: &impl Disk, name: &str, length: u64) -> Result<Vec<u8>, DiskError> {
    const PIECE: u64 = 8 << 20;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < length {
        let at = bytes.len() as u64;
        let mut piece = disk.read(name, at, PIECE.min(length - at) as usize)?;
        if piece.is_empty() {
            break;
        }
        if bytes.is_empty() {
            bytes = piece;
        } else {
            bytes.append(&mut piece);
        }
    }
    Ok(bytes)
}
