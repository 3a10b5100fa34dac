//! What this process holds in memory stays there: keys among it. The kernel writes no image of it to
//! a disk when it dies, and lets no other process of the same user look into it.
//!
//! A program that a command starts is somebody else's, and gets back what this process was given.

use std::io;
use std::sync::OnceLock;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// How large an image might have been before (bytes; none: as large as it is).
static GIVEN: OnceLock<Option<u64>> = OnceLock::new();

/// Has this process leave no image of its memory behind. Where images are handed to a program instead
/// of written to a file, the limit alone would not keep the kernel from it; being no process that is
/// dumped does.
///
/// # Errors
/// What the system says: a sandbox can forbid it.
pub(crate) fn close() -> io::Result<()> {
    let limit = getrlimit(Resource::Core);
    GIVEN.get_or_init(|| limit.current);
    may_leave(Some(0))?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

fn may_leave(bytes: Option<u64>) -> io::Result<()> {
    let limit = Rlimit {
        current: bytes,
        ..getrlimit(Resource::Core)
    };
    Ok(setrlimit(Resource::Core, limit)?)
}

/// As this process was started, until it is dropped: for the start of somebody else's program.
#[derive(Debug)]
pub(crate) struct AsGiven(());

impl AsGiven {
    /// Goes back to that.
    pub(crate) fn begin() -> Self {
        if let Some(given) = GIVEN.get() {
            // What does not work leaves the program with less than it might have.
            let _ = may_leave(*given);
            let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
        }
        Self(())
    }
}

impl Drop for AsGiven {
    fn drop(&mut self) {
        if GIVEN.get().is_some() {
            // It worked once, and forbids less than it did then.
            let _ = close();
        }
    }
}
