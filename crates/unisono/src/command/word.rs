//! Words of closed lists on the command line, as JSON has them.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads one word of a list; the error names them all.
pub(crate) fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let word = text.replace('-', "_");
    serde_json::from_value(word.into()).map_err(|error| {
        // `unknown variant `x`, expected one of …`
        error.to_string().replace("unknown variant", "unknown word")
    })
}

/// A word of a list as JSON and queries have it.
pub(crate) fn said<T: Serialize>(word: T) -> String {
    match serde_json::to_value(word) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("the words of a list are strings: {other:?}"),
    }
}
