//! Which bundles are here, which are elsewhere, and how the difference is made up.

mod cursor;
mod frame;
mod layered;
mod log;
mod logs;

pub use cursor::{CURSOR_LOGS_MAX, Cursor, LogTag};
pub use frame::{
    FRAME_BYTES_MAX, Frame, PROOFS_MAX, RANGE_BYTES_MAX, SUMMARY_MAX, VECTOR_MAX, keep_id,
};
pub use log::{ChainTip, LogState, NotNext, Placed, SignedHeader};
pub use logs::{LogHead, Logs};
