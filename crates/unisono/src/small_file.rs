//! Texts that somebody names by a path: a token, a tier. Whatever the path turns out to be, only so
//! much of it is read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Longest text that is read (bytes): the longest token as text is a sixth of it.
const TEXT_BYTES_MAX: u64 = 64 * 1024;

/// The text in a file.
///
/// # Errors
/// What the system says, or that there is more than any such text is long.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(TEXT_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        let words = format!("more than {TEXT_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
    }
    Ok(text)
}
