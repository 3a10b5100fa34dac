//! Frames on the wire: classes, lengths, and compression that cannot be turned against us.
//!
//! A stream begins with one byte that names what it carries, and then holds frames:
//!
//! ```text
//! length: u32, big endian, of the body | codec: u8, 0 plain or 1 LZ4 | body
//! body of codec 1: raw length: u32, big endian | one LZ4 block
//! ```
//!
//! A datagram is one byte that names its kind (0 membership, 3 timing), then the frame.

use lz4_flex::block;

use crate::limits;

/// What a frame is for. Each class has its own queue, so that none holds up another.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Who is there: small, frequent, worthless when late. A QUIC datagram (RFC 9221): unordered, may
    /// be lost, at most [`limits::DATAGRAM_BYTES_MAX`].
    Membership,
    /// What just happened: a stream, in order while a connection lasts.
    Push,
    /// What a peer missed: a stream of its own, of lower priority.
    Repair,
}

impl Class {
    /// All of them, in order of importance.
    pub const ALL: [Self; 3] = [Self::Membership, Self::Push, Self::Repair];

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Membership => 0,
            Self::Push => 1,
            Self::Repair => 2,
        }
    }

    /// The first byte of a stream of this class.
    pub(crate) fn tag(self) -> u8 {
        self.index() as u8
    }

    /// The class of a frame stream that begins with this byte.
    pub(crate) fn of_stream(tag: u8) -> Option<Self> {
        match tag {
            1 => Some(Self::Push),
            2 => Some(Self::Repair),
            _ => None,
        }
    }

    /// The largest frame of this class (bytes).
    pub fn frame_bytes_max(self) -> usize {
        match self {
            Self::Membership => limits::DATAGRAM_BYTES_MAX,
            Self::Push | Self::Repair => limits::FRAME_BYTES_MAX,
        }
    }
}

/// The first byte of the stream on which the answering side says that it accepts the connection.
pub(crate) const WELCOME_TAG: u8 = 0;
/// The first byte of a datagram of the timing plane.
pub(crate) const TIMING_TAG: u8 = 3;
/// Bytes before a frame's body.
pub(crate) const HEADER_BYTES: usize = 5;

const PLAIN: u8 = 0;
const LZ4: u8 = 1;

/// What a peer must not send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Violation(pub(crate) &'static str);

/// A frame's header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) body_bytes: usize,
    codec: u8,
}

/// The wire form of a frame of at most [`limits::FRAME_BYTES_MAX`].
pub(crate) fn encode(frame: &[u8]) -> Vec<u8> {
    if frame.len() > limits::COMPRESS_BYTES_MIN {
        let packed = block::compress(frame);
        if packed.len() + 4 < frame.len() {
            let mut wire = header(packed.len() + 4, LZ4);
            wire.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            wire.extend_from_slice(&packed);
            return wire;
        }
    }
    let mut wire = header(frame.len(), PLAIN);
    wire.extend_from_slice(frame);
    wire
}

fn header(body_bytes: usize, codec: u8) -> Vec<u8> {
    let mut wire = Vec::with_capacity(HEADER_BYTES + body_bytes);
    wire.extend_from_slice(&(body_bytes as u32).to_be_bytes());
    wire.push(codec);
    wire
}

impl Header {
    pub(crate) fn read(bytes: [u8; HEADER_BYTES]) -> Result<Self, Violation> {
        let [length @ .., codec] = bytes;
        let body_bytes = u32::from_be_bytes(length) as usize;
        if body_bytes > limits::FRAME_BYTES_MAX {
            return Err(Violation("a frame above the limit"));
        }
        if codec > LZ4 {
            return Err(Violation("a frame in an unknown codec"));
        }
        Ok(Self { body_bytes, codec })
    }
}

/// The frame in a body. What a compressed one claims is bounded before anything is allocated for it,
/// and must be exactly what comes out.
pub(crate) fn decode(header: Header, body: Vec<u8>) -> Result<Vec<u8>, Violation> {
    if header.codec == PLAIN {
        return Ok(body);
    }
    let (length, packed) = body
        .split_first_chunk::<4>()
        .ok_or(Violation("a compressed frame without a length"))?;
    let claimed = u32::from_be_bytes(*length) as usize;
    if claimed > limits::FRAME_BYTES_MAX {
        return Err(Violation("a compressed frame that unpacks above the limit"));
    }
    if claimed > packed.len().saturating_mul(limits::COMPRESSION_RATIO_MAX) {
        return Err(Violation(
            "a compressed frame that claims more than it can hold",
        ));
    }
    let mut frame = vec![0; claimed];
    match block::decompress_into(packed, &mut frame) {
        Ok(unpacked) if unpacked == claimed => Ok(frame),
        Ok(_) | Err(_) => Err(Violation("a compressed frame that does not unpack")),
    }
}

/// A frame as it stands on a stream: length of the body (4 bytes, big endian), codec (0 plain, 1 LZ4
/// with the unpacked length in 4 bytes before it), body.
pub fn to_wire(frame: &[u8]) -> Vec<u8> {
    encode(frame)
}

/// The frame that these bytes of a stream are, whole and nothing behind; `None` if a peer that sent
/// them would be cut off.
pub fn from_wire(wire: &[u8]) -> Option<Vec<u8>> {
    let (header, body) = wire.split_first_chunk::<HEADER_BYTES>()?;
    let header = Header::read(*header).ok()?;
    if header.body_bytes != body.len() {
        return None;
    }
    decode(header, body.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_wire(wire: &[u8]) -> Result<Vec<u8>, Violation> {
        let (head, body) = wire.split_first_chunk().expect("a header");
        let header = Header::read(*head)?;
        assert_eq!(header.body_bytes, body.len());
        decode(header, body.to_vec())
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(frame in proptest::collection::vec(0u8..4, 0..5000)) {
            prop_assert_eq!(decode_wire(&encode(&frame)), Ok(frame));
        }

        #[test]
        fn noise_is_refused_without_a_panic(codec in 0u8..3, body in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut wire = header(body.len(), codec);
            wire.extend_from_slice(&body);
            if let Ok(frame) = decode_wire(&wire) {
                prop_assert!(frame.len() <= limits::FRAME_BYTES_MAX);
            }
        }
    }

    #[test]
    fn bombs_are_refused_by_what_they_claim() {
        let claim = |claimed: u32, packed: &[u8]| {
            let mut body = claimed.to_be_bytes().to_vec();
            body.extend_from_slice(packed);
            decode(
                Header {
                    body_bytes: body.len(),
                    codec: LZ4,
                },
                body,
            )
        };
        assert!(claim(u32::MAX, &[0; 64]).is_err());
        assert!(claim(limits::FRAME_BYTES_MAX as u32, &[0; 64]).is_err());
        assert!(claim(100, &block::compress(&[7; 200])).is_err());
        assert!(claim(300, &block::compress(&[7; 200])).is_err());
        assert_eq!(claim(200, &block::compress(&[7; 200])), Ok(vec![7; 200]));
    }
}
