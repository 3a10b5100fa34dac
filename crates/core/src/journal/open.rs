//! Opening: index files and the last segment are read, everything else stays where it is.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use super::damage::{TornTail, attribute};
use super::disk::Disk;
use super::error::{AppendError, OpenError};
use super::files::{Directory, index_name, read_whole, replace, segment_name};
use super::frame::{FORMAT_VERSION, HEAD_BYTES, Head, HeadFound};
use super::index::{IndexBuilder, IndexFound, ScannedSegment, SealedSegment, scan};
use super::limits::{BATCH_BYTES_MAX, CARRY_SHARE, INDEX_BYTES_MAX, SEGMENT_BYTES_MAX};
use super::{ActiveSegment, Journal, Options, State};

const SEGMENT_BYTES_LEAST: u32 = 4096;
/// Longer than any segment can become: nothing is read of such a file.
const FILE_BYTES_MAX: u64 = SEGMENT_BYTES_MAX as u64 + 2 * BATCH_BYTES_MAX as u64;

/// What the first look at the directory found.
struct Survey {
    directory: Directory,
    sealed: BTreeMap<u64, SealedSegment>,
    /// The heads of the last segment and of sealed ones without a good index.
    heads: BTreeMap<u64, Option<(Head, Vec<u32>)>>,
    /// Good indexes of segments whose file has another length by now: they still tell what is lost.
    former: BTreeMap<u64, SealedSegment>,
}

impl<D: Disk> Journal<D> {
    /// Opens the journal in the directory of `disk`, and makes one if there is none. A tail that an
    /// interrupted write left is dropped (see [`Journal::torn_tail`]); damage is told by
    /// [`Journal::damage`], and it is up to the caller whether to repair it or not to start.
    pub fn open(disk: D, options: Options) -> Result<Self, OpenError> {
        if !(SEGMENT_BYTES_LEAST..=SEGMENT_BYTES_MAX).contains(&options.segment_bytes) {
            let (least, most) = (SEGMENT_BYTES_LEAST, SEGMENT_BYTES_MAX);
            return Err(OpenError::SegmentBytes { least, most });
        }
        // Nothing is written before every refusal is behind us.
        let mut survey = survey(&disk, &options)?;
        let mut journal = Self::empty(disk, options);
        journal.blobs = mem::take(&mut survey.directory.blobs);
        journal.sealed = mem::take(&mut survey.sealed);
        match survey.directory.segments.keys().next_back().copied() {
            None => {
                journal.tidy(&survey);
                journal.begin(1, HEAD_BYTES)?;
            }
            Some(last) => {
                // What we see may be names that only the memory of a system knows whose last sync
                // of the directory failed. What is decided from them has to outlive a power cut.
                journal.disk.sync_directory()?;
                journal.tidy(&survey);
                journal.recover_sealed(&survey, last)?;
                journal.recover_last(&survey, last)?;
            }
        }
        journal.find_missing();
        journal.collect_holdings();
        match journal.settle() {
            // With a full disk everything can be read; appending carries over first.
            Ok(()) | Err(AppendError::Full(_)) => {}
            Err(AppendError::Io(error) | AppendError::SyncFailed(error)) => {
                return Err(OpenError::Disk(error));
            }
            Err(AppendError::TooLarge { .. } | AppendError::Poisoned) => {
                unreachable!("nothing was appended and nothing failed before")
            }
        }
        if journal.options.verify_bytes > 0 {
            journal.verify_newest()?;
        }
        Ok(journal)
    }

    fn empty(disk: D, options: Options) -> Self {
        let head = Head {
            cluster: options.cluster,
            number: 0,
            salt: options.salt,
            previous: 0,
        };
        Self {
            disk,
            options,
            sealed: BTreeMap::new(),
            active: ActiveSegment::new(head, &[], IndexBuilder::default()),
            state: State::Ready,
            logs: BTreeMap::new(),
            proofs: BTreeMap::new(),
            missing: Vec::new(),
            torn: None,
            blobs: BTreeMap::new(),
            verified: 0,
            buffer: Vec::new(),
        }
    }

    /// Removes what interrupted replacements left behind. Whatever cannot be removed is in nobody's
    /// way.
    fn tidy(&mut self, survey: &Survey) {
        for name in &survey.directory.temporary {
            drop(self.disk.remove(name));
        }
        for &number in survey.directory.indexes.keys() {
            if !self.sealed.contains_key(&number) {
                drop(self.disk.remove(&index_name(number)));
            }
        }
    }

    /// Begins segment `number`, behind one of `previous` bytes.
    fn begin(&mut self, number: u64, previous: u32) -> Result<(), OpenError> {
        let Options { cluster, salt, .. } = self.options;
        let head = Head {
            cluster,
            number,
            salt,
            previous,
        };
        let bytes = head.encode();
        replace(&mut self.disk, &segment_name(number), &bytes)
            .map_err(|error| OpenError::Disk(error.into_disk()))?;
        self.active = ActiveSegment::new(head, &bytes, IndexBuilder::default());
        Ok(())
    }

    /// Makes the indexes of the segments before the last one that have none.
    fn recover_sealed(&mut self, survey: &Survey, last: u64) -> Result<(), OpenError> {
        for (&number, found) in survey.heads.range(..last) {
            let name = segment_name(number);
            let length = survey.directory.segments[&number].min(FILE_BYTES_MAX);
            let next = self.sealed.get(&(number + 1)).map(|sealed| &sealed.head);
            let next = next.or_else(|| Some(&survey.heads.get(&(number + 1))?.as_ref()?.0));
            let counts = next.map_or(length, |next| u64::from(next.previous));
            if counts <= u64::from(HEAD_BYTES) {
                // All of it was carried over.
                drop(self.disk.remove(&name));
                continue;
            }
            if counts < length {
                self.cut(&name, counts)?;
            }
            let bytes = read_whole(&self.disk, &name, length.min(counts))?;
            let mut sealed = self.seal(number, found.as_ref(), &bytes, counts);
            if let Some(former) = survey.former.get(&number) {
                attribute(&former.index, &mut sealed.index);
            }
            self.write_index(&sealed);
            self.sealed.insert(number, sealed);
        }
        Ok(())
    }

    /// Describes a sealed segment that ought to have `counts` bytes.
    fn seal(
        &self,
        number: u64,
        found: Option<&(Head, Vec<u32>)>,
        bytes: &[u8],
        counts: u64,
    ) -> SealedSegment {
        let mut sealed = match found {
            Some((head, bad_heads)) => SealedSegment::scan(*head, bad_heads, bytes),
            None => SealedSegment::unreadable(self.options.cluster, number, bytes),
        };
        sealed.tell_shortage(counts);
        sealed
    }

    /// Takes up the last segment, which may have been interrupted in its last write.
    fn recover_last(&mut self, survey: &Survey, last: u64) -> Result<(), OpenError> {
        let length = survey.directory.segments[&last].min(FILE_BYTES_MAX);
        let bytes = read_whole(&self.disk, &segment_name(last), length)?;
        let Some((head, bad_heads)) = survey.heads.get(&last).and_then(Option::as_ref) else {
            // A segment comes into being with its head durable: this is damage, not a crash.
            let sealed = self.seal(last, None, &bytes, bytes.len() as u64);
            self.sealed.insert(last, sealed);
            return self.begin(last + 1, bytes.len() as u32);
        };
        let ScannedSegment {
            builder,
            bad,
            last: batch,
        } = scan(&head.seal(), &bytes);
        self.torn = bad
            .iter()
            .find(|region| batch.is_torn(region))
            .map(|region| TornTail {
                segment: last,
                offset: u64::from(region.start),
                bytes: bytes.len() as u64 - u64::from(region.start),
            });
        let whole = bad_heads.is_empty() && bad.iter().all(|region| batch.is_torn(region));
        self.active = ActiveSegment::new(*head, &bytes, builder);
        if !whole || bytes.len() > HEAD_BYTES as usize {
            // Damage has to stay where it is, or the next opening would know nothing of it.
            let most = self.options.segment_bytes / CARRY_SHARE;
            let small = whole && bytes.len() <= most as usize;
            self.state = State::Suspect {
                from: if small { HEAD_BYTES } else { batch.start },
            };
        }
        Ok(())
    }

    /// Notes the segments that others prove to have existed.
    fn find_missing(&mut self) {
        let heads = self
            .sealed
            .values()
            .map(|sealed| &sealed.head)
            .chain([&self.active.head]);
        self.missing = heads
            .filter(|head| head.previous > HEAD_BYTES)
            .map(|head| head.number - 1)
            .filter(|before| !self.sealed.contains_key(before))
            .collect();
    }
}

/// Looks at every file that opening depends on, and refuses what is not ours.
fn survey<D: Disk>(disk: &D, options: &Options) -> Result<Survey, OpenError> {
    let directory = Directory::read(disk)?;
    let mut sealed = BTreeMap::new();
    let mut heads = BTreeMap::new();
    let mut former = BTreeMap::new();
    let last = directory.segments.keys().next_back().copied();
    for (&number, &length) in &directory.segments {
        // The last segment has no index; if a file says otherwise, it is a leftover.
        let index = directory
            .indexes
            .get(&number)
            .filter(|_| Some(number) != last);
        let found = match index {
            Some(&length) => read_index(disk, options, number, length)?,
            None => None,
        };
        match found {
            Some(segment) if segment.length == length => {
                sealed.insert(number, segment);
                continue;
            }
            Some(segment) => drop(former.insert(number, segment)),
            None => {}
        }
        heads.insert(number, read_head(disk, options, number)?);
    }
    Ok(Survey {
        directory,
        sealed,
        heads,
        former,
    })
}

fn read_index<D: Disk>(
    disk: &D,
    options: &Options,
    number: u64,
    length: u64,
) -> Result<Option<SealedSegment>, OpenError> {
    if length > INDEX_BYTES_MAX {
        return Ok(None);
    }
    let name = index_name(number);
    let bytes = read_whole(disk, &name, length)?;
    match SealedSegment::decode(&bytes, options.cluster) {
        IndexFound::Good(segment) => Ok((segment.head.number == number).then_some(segment)),
        IndexFound::OtherCluster(found) => Err(other_cluster(found, options)),
        IndexFound::Newer(version) => Err(newer(name, version)),
        IndexFound::Bad => Ok(None),
    }
}

fn read_head<D: Disk>(
    disk: &D,
    options: &Options,
    number: u64,
) -> Result<Option<(Head, Vec<u32>)>, OpenError> {
    let name = segment_name(number);
    match Head::find(&disk.read(&name, 0, HEAD_BYTES as usize)?) {
        HeadFound::Good(head, _) if head.cluster != options.cluster => {
            Err(other_cluster(head.cluster, options))
        }
        HeadFound::Good(head, bad) => Ok((head.number == number).then_some((head, bad))),
        HeadFound::Newer(version) => Err(newer(name, version)),
        HeadFound::Bad => Ok(None),
    }
}

fn other_cluster(found: unisono_model::ClusterId, options: &Options) -> OpenError {
    OpenError::OtherCluster {
        found,
        expected: options.cluster,
    }
}

fn newer(file: String, found: u32) -> OpenError {
    OpenError::NewerVersion {
        file,
        found,
        known: FORMAT_VERSION,
    }
}
