//! Walks the bytes of a segment: good frames, and the regions between them that are none.

use super::frame::{FRAME_BYTES, FrameHeader, FrameKey, FrameSeal, HEAD_BYTES};

/// A good frame in a segment.
pub(super) struct FoundFrame<'a> {
    pub(super) key: FrameKey,
    pub(super) offset: u32,
    pub(super) payload: &'a [u8],
}

/// Bytes in which no good frame begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BadRegion {
    pub(super) start: u32,
    pub(super) end: u32,
    /// What stood there, if the header could still be read.
    pub(super) key: Option<FrameKey>,
}

/// One step of a walk.
pub(super) enum Step<'a> {
    Frame(FoundFrame<'a>),
    Bad(BadRegion),
}

/// Where the last good batch of a walk lies. A batch is one write with one sync, and the next one
/// begins only after that sync: so everything before the last batch was acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct LastBatch {
    /// Where it begins; the end of the head if there is none.
    pub(super) start: u32,
    /// Where its last good frame begins.
    pub(super) last_frame: u32,
}

impl LastBatch {
    /// Whether a bad region is what an interrupted last write leaves behind, and not damage to
    /// something that was once acknowledged. Sectors of one write may reach the disk in any order,
    /// so good frames of the same batch may follow.
    pub(super) fn is_torn(self, region: &BadRegion) -> bool {
        self.last_frame < region.start || self.start <= region.start
    }
}

/// Walks over `bytes`, a segment from its first byte, beginning at the frame at `from`.
pub(super) fn walk<'a>(
    seal: &FrameSeal,
    bytes: &'a [u8],
    from: u32,
    mut visit: impl FnMut(Step<'a>),
) -> LastBatch {
    let mut last = LastBatch {
        start: HEAD_BYTES,
        last_frame: 0,
    };
    let mut at = from as usize;
    while at < bytes.len() {
        match frame_at(seal, bytes, at) {
            Ok((header, payload)) => {
                last = LastBatch {
                    start: header.batch,
                    last_frame: at as u32,
                };
                visit(Step::Frame(FoundFrame {
                    key: header.key,
                    offset: at as u32,
                    payload,
                }));
                at += header.frame_bytes();
            }
            Err(header) => {
                // A good header says how far the damage goes at most; nothing inside the payload
                // is worth a look. Without one, every place may be the next frame's beginning.
                let skip = header.map_or(1, |header| header.frame_bytes());
                let end = next_frame(seal, bytes, at.saturating_add(skip));
                visit(Step::Bad(BadRegion {
                    start: at as u32,
                    end: end as u32,
                    key: header.map(|header| header.key),
                }));
                at = end;
            }
        }
    }
    last
}

/// The whole good frame at `at`; otherwise its header, if at least that is good.
fn frame_at<'a>(
    seal: &FrameSeal,
    bytes: &'a [u8],
    at: usize,
) -> Result<(FrameHeader, &'a [u8]), Option<FrameHeader>> {
    let header = seal.header(&bytes[at..], at as u32).ok_or(None)?;
    let frame = bytes
        .get(at..at + header.frame_bytes())
        .ok_or(Some(header))?;
    let payload = seal.payload(frame).ok_or(Some(header))?;
    Ok((header, payload))
}

/// Where the next good header stands, from `from` on; the end of the bytes if nowhere. A good
/// header ends a region even if its payload is bad, so that each lost frame is told by its name.
fn next_frame(seal: &FrameSeal, bytes: &[u8], from: usize) -> usize {
    (from..bytes.len().saturating_sub(FRAME_BYTES - 1))
        .find(|&at| seal.header(&bytes[at..], at as u32).is_some())
        .unwrap_or(bytes.len())
}
