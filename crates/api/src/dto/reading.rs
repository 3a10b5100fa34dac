//! Sessions as text: what stands in a header.

use data_encoding::BASE64URL_NOPAD;
use unisono_model::limits;

/// What a session's text begins with: its kind and the version of its format.
const SESSION_PREFIX: &str = "unises1.";

/// A session as text.
pub fn session_text(bytes: &[u8]) -> String {
    format!("{SESSION_PREFIX}{}", BASE64URL_NOPAD.encode(bytes))
}

/// The bytes of a session's text.
///
/// # Errors
/// What is wrong with the text. Whether the bytes are a session is not looked at.
pub fn parse_session(text: &str) -> Result<Vec<u8>, &'static str> {
    let Some(encoded) = text.trim().strip_prefix(SESSION_PREFIX) else {
        return Err("a session begins with `unises1.`");
    };
    if encoded.len() > limits::SESSION_BYTES_MAX * 4 / 3 + 4 {
        return Err("no session is so long");
    }
    let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes());
    bytes.map_err(|_| "a session is base64url after `unises1.`: a character is wrong or missing")
}
