//! The one way to Automerge: every call survives a panic, and saved bytes are checked before they
//! are parsed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use automerge::transaction::Transactable;
use automerge::{Automerge, AutomergeError, Change, ChangeHash, ObjId, SaveOptions, ScalarValue};
use unisono_model::Digest;

use crate::error::{LoadError, Poisoned};
use crate::id::DocumentId;

const MAGIC: &[u8; 8] = b"unidoc\x00\x01";
const FRAME_BYTES: usize = 8 + 32 + 16;

/// An Automerge document that is dropped when a call into it panics or fails.
#[derive(Debug)]
pub(crate) struct Door {
    automerge: Automerge,
    /// An atomic, because reading can break a document too and readers hold it shared.
    poisoned: AtomicBool,
}

impl Door {
    /// The empty document of facts. It is made once: its 256 maps cost as much as a hundred entries.
    pub(crate) fn empty() -> Self {
        static EMPTY: OnceLock<Automerge> = OnceLock::new();
        let empty = EMPTY.get_or_init(|| Self::new(crate::genesis::facts()).automerge);
        Self {
            automerge: empty.clone(),
            poisoned: AtomicBool::new(false),
        }
    }

    /// A document that consists of this change.
    pub(crate) fn new(genesis: Change) -> Self {
        let automerge = Automerge::new().with_actor(automerge::ActorId::from([0u8; 16]));
        let mut door = Self {
            automerge,
            poisoned: AtomicBool::new(false),
        };
        door.apply(vec![genesis])
            .expect("the genesis is a fixed change that applies");
        door
    }

    /// Takes what `save` wrote. Answers also the two numbers that the writer put aside.
    pub(crate) fn load(id: &DocumentId, saved: &[u8]) -> Result<(Self, [u64; 2]), LoadError> {
        let (numbers, payload) = unframe(id, saved).ok_or(LoadError::Damaged)?;
        let automerge = catch_unwind(AssertUnwindSafe(|| Automerge::load(payload)))
            .map_err(|_| LoadError::Damaged)?
            .map_err(|_| LoadError::Damaged)?;
        Ok((
            Self {
                automerge,
                poisoned: AtomicBool::new(false),
            },
            numbers,
        ))
    }

    /// The whole document, framed so that `load` recognises damage, with two numbers put aside.
    pub(crate) fn save(&self, id: &DocumentId, numbers: [u64; 2]) -> Result<Vec<u8>, Poisoned> {
        let payload = self.read(|automerge| {
            automerge.save_with_options(SaveOptions {
                deflate: true,
                retain_orphans: false,
            })
        })?;
        let mut bytes = Vec::with_capacity(FRAME_BYTES + payload.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&checksum(id, numbers, &payload).0);
        for number in numbers {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&payload);
        Ok(bytes)
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Relaxed)
    }

    pub(crate) fn read<T>(&self, work: impl FnOnce(&Automerge) -> T) -> Result<T, Poisoned> {
        if self.is_poisoned() {
            return Err(Poisoned);
        }
        catch_unwind(AssertUnwindSafe(|| work(&self.automerge))).map_err(|_| {
            self.poisoned.store(true, Ordering::Relaxed);
            Poisoned
        })
    }

    /// Changes the document. Only what cannot fail is done here, so that an error means that the
    /// document is not what we believe, and it is given up like after a panic.
    pub(crate) fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Automerge) -> Result<T, AutomergeError>,
    ) -> Result<T, Poisoned> {
        if self.is_poisoned() {
            return Err(Poisoned);
        }
        let automerge = &mut self.automerge;
        match catch_unwind(AssertUnwindSafe(|| work(automerge))) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(self.poison()),
        }
    }

    /// Prepares a document that was just loaded for being written.
    ///
    /// A loaded document keeps each column in one piece. The first call that writes at many places
    /// splits the pieces over and over, copying them: with 8,000 entries of 200 bytes, 1,280 more
    /// at once took 149 ms and 195 MB. A few writes, then a few more, each taken back, split them
    /// first; with that the same takes 15 ms and 5 MB. The values must have a size, or the column
    /// of values stays whole.
    pub(crate) fn warm(&mut self, places: &[ObjId]) -> Result<(), Poisoned> {
        let heads = self.heads()?;
        self.write(|automerge| {
            // An actor that sorts last, so that its coming and going moves no other.
            automerge.set_actor(automerge::ActorId::from([0xff; 16]));
            for step in [64, 16, 4] {
                let mut taken_back = automerge.transaction();
                for place in places.iter().step_by(step) {
                    taken_back.put(place, "warm", ScalarValue::Bytes(vec![0]))?;
                }
                taken_back.rollback();
            }
            Ok(())
        })?;
        if self.heads()? == heads {
            Ok(())
        } else {
            Err(self.poison())
        }
    }

    pub(crate) fn apply(&mut self, changes: Vec<Change>) -> Result<(), Poisoned> {
        self.write(|automerge| automerge.apply_changes(changes))
    }

    pub(crate) fn heads(&self) -> Result<Vec<Digest>, Poisoned> {
        self.read(|automerge| automerge.get_heads().into_iter().map(digest).collect())
    }

    /// Loses what the document holds without noticing.
    pub(crate) fn forget(&mut self) {
        self.automerge = Automerge::new();
    }

    /// Gives the document up and frees its memory.
    pub(crate) fn poison(&mut self) -> Poisoned {
        self.automerge = Automerge::new();
        self.poisoned.store(true, Ordering::Relaxed);
        Poisoned
    }
}

pub(crate) fn digest(hash: ChangeHash) -> Digest {
    Digest(hash.0)
}

pub(crate) fn hash(digest: &Digest) -> ChangeHash {
    ChangeHash(digest.0)
}

fn checksum(id: &DocumentId, numbers: [u64; 2], payload: &[u8]) -> Digest {
    let (first, second) = (numbers[0].to_be_bytes(), numbers[1].to_be_bytes());
    Digest::of(
        "unisono/saved-document/v1",
        &[&id.to_bytes(), &first, &second, payload],
    )
}

fn unframe<'a>(id: &DocumentId, saved: &'a [u8]) -> Option<([u64; 2], &'a [u8])> {
    let (magic, rest) = saved.split_at_checked(8)?;
    let (sum, rest) = rest.split_at_checked(32)?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (second, payload) = rest.split_first_chunk::<8>()?;
    let numbers = [u64::from_be_bytes(*first), u64::from_be_bytes(*second)];
    let sound = magic == MAGIC && sum == checksum(id, numbers, payload).0;
    sound.then_some((numbers, payload))
}

#[cfg(test)]
mod tests {
    use unisono_model::OrchestraId;

    use super::Door;
    use crate::error::Poisoned;
    use crate::id::{DocumentId, Kind};

    #[test]
    fn a_panic_or_an_error_inside_poisons_the_document_and_nothing_else() {
        let id = DocumentId {
            orchestra: OrchestraId([1; 16]),
            kind: Kind::Score,
            part: 0,
        };
        let new = || Door::new(crate::genesis::facts());
        let mut door = new();
        assert_eq!(
            door.write(|_| -> Result<(), _> { panic!("as Automerge might") }),
            Err(Poisoned)
        );
        assert_eq!(door.heads(), Err(Poisoned));
        assert_eq!(door.save(&id, [0, 0]), Err(Poisoned));
        let mut door = new();
        let error = || automerge::AutomergeError::Fail;
        assert_eq!(door.write(|_| Err::<(), _>(error())), Err(Poisoned));
        assert!(door.is_poisoned());
        let door = new();
        assert_eq!(
            door.read(|_| -> u8 { panic!("as Automerge might") }),
            Err(Poisoned)
        );
        assert!(door.is_poisoned());
    }
}
