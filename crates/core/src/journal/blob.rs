//! Named blobs: caches and small metadata, replaced whole.
//!
//! ```text
//! magic 8 · version 4 · cluster 16 · bytes · BLAKE3 of all before 32
//! ```

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Bound;

use unisono_model::ClusterId;

use super::Journal;
use super::disk::{Disk, DiskError};
use super::error::BlobError;
use super::files::{ReplaceError, blob_name, read_whole, replace};
use super::frame::FORMAT_VERSION;
use super::limits::{BLOB_BYTES_MAX, BLOB_NAME_MAX};

const MAGIC: [u8; 8] = *b"unisonob";
const HEAD_BYTES: usize = 28;
const HASH_BYTES: usize = 32;

impl<D: Disk> Journal<D> {
    /// Replaces the blob, atomically and durably. The version before is removed only when the new
    /// one has been read back and is what was written.
    pub fn put_blob(&mut self, name: &str, bytes: &[u8]) -> Result<(), BlobError> {
        check_name(name)?;
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(BlobError::TooLarge {
                bytes: bytes.len(),
                limit: BLOB_BYTES_MAX,
            });
        }
        let versions = self.blobs.get(name).map_or(&[][..], Vec::as_slice);
        let version = versions.last().map_or(1, |last| last.saturating_add(1));
        let file = blob_name(name, version);
        match replace(&mut self.disk, &file, &encode(self.options.cluster, bytes)) {
            Ok(()) => {}
            Err(ReplaceError::Before(error)) => return Err(error.into()),
            Err(ReplaceError::Unknown(error)) => {
                drop(self.disk.remove(&file));
                return Err(error.into());
            }
        }
        if read_blob(&self.disk, self.options.cluster, &file)?.as_deref() != Some(bytes) {
            drop(self.disk.remove(&file));
            return Err(BlobError::ReadBack(name.to_owned()));
        }
        let versions = self.blobs.entry(name.to_owned()).or_default();
        for old in versions.drain(..) {
            // If it comes back after a crash, it is still the older one.
            drop(self.disk.remove(&blob_name(name, old)));
        }
        versions.push(version);
        Ok(())
    }

    /// The newest good version of the blob.
    pub fn get_blob(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        for &version in self.blobs.get(name).into_iter().flatten().rev() {
            let found = read_blob(&self.disk, self.options.cluster, &blob_name(name, version))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Removes the blob, durably. Not an error if there is none.
    pub fn remove_blob(&mut self, name: &str) -> Result<(), DiskError> {
        let Some(versions) = self.blobs.get(name).cloned() else {
            return Ok(());
        };
        // Oldest first, each durable before the next: a crash must not bring back an older version
        // in place of a newer one.
        for version in versions {
            match self.disk.remove(&blob_name(name, version)) {
                Err(error) if !error.is_missing() => return Err(error),
                Ok(()) | Err(_) => self.disk.sync_directory()?,
            }
        }
        self.blobs.remove(name);
        Ok(())
    }

    /// The names of the blobs that begin with `prefix`, in order.
    pub fn list_blobs(&self, prefix: &str) -> Vec<String> {
        let from = self
            .blobs
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let from = from.map(|(name, _)| name);
        from.take_while(|name| name.starts_with(prefix))
            .cloned()
            .collect()
    }
}

fn check_name(name: &str) -> Result<(), BlobError> {
    let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > BLOB_NAME_MAX || !name.bytes().all(plain) {
        return Err(BlobError::Name(name.to_owned()));
    }
    Ok(())
}

fn encode(cluster: ClusterId, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + bytes.len() + HASH_BYTES);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&cluster.0);
    out.extend_from_slice(bytes);
    let hash = blake3::hash(&out);
    out.extend_from_slice(hash.as_bytes());
    out
}

/// The content of a blob file, if it is whole and of this cluster and version.
pub(super) fn decode(cluster: ClusterId, mut file: Vec<u8>) -> Option<Vec<u8>> {
    let end = file
        .len()
        .checked_sub(HASH_BYTES)
        .filter(|&end| end >= HEAD_BYTES)?;
    let known = file[..8] == MAGIC
        && file[8..12] == FORMAT_VERSION.to_le_bytes()
        && file[12..HEAD_BYTES] == cluster.0;
    if !known || *blake3::hash(&file[..end]).as_bytes() != file[end..] {
        return None;
    }
    file.truncate(end);
    file.drain(..HEAD_BYTES);
    Some(file)
}

fn read_blob(
    disk: &impl Disk,
    cluster: ClusterId,
    file: &str,
) -> Result<Option<Vec<u8>>, DiskError> {
    let most = (BLOB_BYTES_MAX + HEAD_BYTES + HASH_BYTES) as u64;
    match read_whole(disk, file, most) {
        Ok(bytes) => Ok(decode(cluster, bytes)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}
