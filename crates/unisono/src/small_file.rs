//! Texts that somebody names by a path: a token, a tier, a template. Whatever the path turns out to
//! be, a device without end among them, only so much of it is read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Longest text of a token, a tier or a plan (bytes): the longest token as text is a sixth of it.
pub(crate) const BYTES_MAX: u64 = 64 * 1024;

/// The text in a file of at most so many bytes.
///
/// # Errors
/// What the system says, that it is no text, or that there is more.
pub(crate) fn text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(bytes_max + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        let words = format!("more than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
    }
    Ok(text)
}
