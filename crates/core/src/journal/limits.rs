//! Every limit of the journal, in one place.

/// Largest payload of one frame, bytes.
pub const PAYLOAD_BYTES_MAX: usize = 8 << 20;
/// Largest batch that one append may write, frames and payloads together, bytes.
pub const BATCH_BYTES_MAX: usize = 32 << 20;
/// A segment is sealed before it grows beyond this, bytes, unless the options say otherwise.
pub const SEGMENT_BYTES: u32 = 16 << 20;
/// The options may not ask for larger segments than this: a scan holds one segment in memory.
pub const SEGMENT_BYTES_MAX: u32 = 256 << 20;
/// A log has an index mark at least every so many of its entries.
pub const MARK_ENTRIES: u32 = 32;
/// A log has an index mark wherever its last one lies so many bytes back.
pub const MARK_BYTES: u32 = 64 << 10;
/// Opening carries a last segment of up to this share of a full one over whole, so that restarts do
/// not leave a trail of tiny segments: one sixteenth.
pub const CARRY_SHARE: u32 = 16;
/// How much a read fetches from the disk at once, bytes.
pub const READ_BYTES: usize = 64 << 10;
/// Largest index file that opening is willing to read, bytes.
pub const INDEX_BYTES_MAX: u64 = 64 << 20;
/// Largest named blob, bytes.
pub const BLOB_BYTES_MAX: usize = 256 << 20;
/// Longest name of a blob, characters.
pub const BLOB_NAME_MAX: usize = 120;

// Offsets in a segment are 32 bits wide; the largest segment plus one batch has to fit.
const _: () = assert!(SEGMENT_BYTES_MAX as u64 + BATCH_BYTES_MAX as u64 + 4096 < u32::MAX as u64);
