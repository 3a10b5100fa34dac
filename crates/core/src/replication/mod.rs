//! Which bundles are here, which are elsewhere, and how the difference is made up.

mod cursor;

pub use cursor::{CURSOR_LOGS_MAX, Cursor, LogTag};
