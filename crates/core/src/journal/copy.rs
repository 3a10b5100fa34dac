//! Copying a journal to another disk, verified on the way: what a backup and a restore are made of.

use alloc::boxed::Box;
use alloc::vec::Vec;

use unisono_model::ClusterId;

use super::blob;
use super::damage::Damage;
use super::disk::{Disk, DiskError};
use super::files::{Directory, blob_name, index_name, read_whole, replace, segment_name};
use super::frame::{Head, HeadFound};
use super::index::{IndexFound, SealedSegment, scan};
use super::limits::{BLOB_BYTES_MAX, INDEX_BYTES_MAX};

/// What was copied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CopyReport {
    /// How many segments.
    pub segments: u64,
    /// How many blobs.
    pub blobs: u64,
    /// How many bytes of segments and blobs.
    pub bytes: u64,
}

/// A journal could not be copied. The target holds part of a copy and is of no use.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CopyError {
    /// The source is damaged in a way that was not known; verify and repair it first.
    #[error("the copy is incomplete: {0}")]
    Damaged(Box<Damage>),
    /// There is no journal to copy.
    #[error("nothing was copied: there is no journal here")]
    Nothing,
    /// The source was written by a newer version.
    #[error("the copy is incomplete: a file has format version {0}, newer than this program")]
    NewerVersion(u32),
    /// A disk failed.
    #[error("the copy is incomplete: {0}")]
    Disk(#[from] DiskError),
}

/// Copies the journal from one disk to another, empty one. The source may be in use: sealed
/// segments do not change, and of the growing one the good prefix is taken. Nothing is copied that
/// was not verified.
pub fn copy(from: &impl Disk, to: &mut impl Disk) -> Result<CopyReport, CopyError> {
    let directory = Directory::read(from)?;
    let last = *directory
        .segments
        .keys()
        .next_back()
        .ok_or(CopyError::Nothing)?;
    let mut report = CopyReport::default();
    let mut cluster = None;
    for (&number, &length) in &directory.segments {
        let index = directory
            .indexes
            .get(&number)
            .copied()
            .filter(|_| number != last);
        let name = segment_name(number);
        let mut bytes = read_whole(from, &name, length)?;
        let head = match Head::find(&bytes) {
            HeadFound::Good(head, _) => Some(head),
            HeadFound::Newer(version) => return Err(CopyError::NewerVersion(version)),
            HeadFound::Bad => None,
        };
        cluster = cluster.or(head.map(|head| head.cluster));
        let index = copy_index(from, number, index, cluster, &bytes)?;
        if index.is_none() {
            let head = head.ok_or(Damage::of_bytes(number, 0, length));
            let head = head.map_err(damaged)?;
            let counts = next_counts(from, &directory, number)?;
            bytes.truncate(counts.unwrap_or(bytes.len()));
            let good = good_prefix(&head, &bytes, number == last)?;
            bytes.truncate(good);
        }
        put(to, &name, &bytes)?;
        if let Some(index) = index {
            put(to, &index_name(number), &index)?;
        }
        report.segments += 1;
        report.bytes += bytes.len() as u64;
    }
    if let Some(cluster) = cluster {
        copy_blobs(from, to, cluster, &mut report)?;
    }
    Ok(report)
}

/// The index file of a sealed segment whose bytes are what it says; `None` if there is none.
fn copy_index(
    from: &impl Disk,
    number: u64,
    length: Option<u64>,
    cluster: Option<ClusterId>,
    segment: &[u8],
) -> Result<Option<Vec<u8>>, CopyError> {
    let (Some(length), Some(cluster)) = (length, cluster) else {
        return Ok(None);
    };
    let index = read_whole(from, &index_name(number), length.min(INDEX_BYTES_MAX))?;
    let IndexFound::Good(sealed) = SealedSegment::decode(&index, cluster) else {
        return Ok(None);
    };
    if *blake3::hash(segment).as_bytes() == sealed.hash {
        return Ok(Some(index));
    }
    let mut now = SealedSegment::scan(sealed.head, &[], segment);
    super::damage::attribute(&sealed.index, &mut now.index);
    let whole = Damage::of_bytes(number, 0, segment.len() as u64);
    Err(damaged(
        now.index.damage.into_iter().next().unwrap_or(whole),
    ))
}

/// How much of segment `number` counts, if the segment behind it says so.
fn next_counts(
    from: &impl Disk,
    directory: &Directory,
    number: u64,
) -> Result<Option<usize>, DiskError> {
    if !directory.segments.contains_key(&(number + 1)) {
        return Ok(None);
    }
    match Head::find(&from.read(&segment_name(number + 1), 0, 128)?) {
        HeadFound::Good(head, _) => Ok(Some(head.previous as usize)),
        HeadFound::Newer(_) | HeadFound::Bad => Ok(None),
    }
}

/// How many bytes of a segment without an index are good. Only the last one may end badly.
fn good_prefix(head: &Head, bytes: &[u8], is_last: bool) -> Result<usize, CopyError> {
    let scanned = scan(&head.seal(), bytes);
    let mut good = bytes.len();
    for region in &scanned.bad {
        if !(is_last && scanned.last.is_torn(region)) {
            return Err(damaged(Damage::of_region(head.number, region)));
        }
        good = good.min(region.start as usize);
    }
    Ok(good)
}

/// Copies the newest good version of each blob. A version may vanish while we look, because a
/// newer one has replaced it: look again, then.
fn copy_blobs(
    from: &impl Disk,
    to: &mut impl Disk,
    cluster: ClusterId,
    report: &mut CopyReport,
) -> Result<(), CopyError> {
    const LOOKS: usize = 3;
    for name in Directory::read(from)?.blobs.keys() {
        for _ in 0..LOOKS {
            let now = Directory::read(from)?;
            let versions = now.blobs.get(name).map_or(&[][..], Vec::as_slice);
            let found = versions.iter().rev().find_map(|&version| {
                let file = blob_name(name, version);
                let bytes = read_whole(from, &file, BLOB_BYTES_MAX as u64 + 64).ok()?;
                blob::decode(cluster, bytes.clone()).map(|_| (file, bytes))
            });
            if let Some((file, bytes)) = found {
                put(to, &file, &bytes)?;
                report.blobs += 1;
                report.bytes += bytes.len() as u64;
                break;
            }
        }
    }
    Ok(())
}

fn put(to: &mut impl Disk, name: &str, bytes: &[u8]) -> Result<(), CopyError> {
    replace(to, name, bytes).map_err(|error| CopyError::Disk(error.into_disk()))
}

fn damaged(damage: Damage) -> CopyError {
    CopyError::Damaged(Box::new(damage))
}
