//! Configuration as the outside sees it: paths, values, the tree, and writes that met.
//!
//! In the document the configuration is one flat map from whole paths to values. Nested maps would
//! have to be created, and two sides that create one map at once would lose one side's content.

use std::collections::BTreeMap;

use automerge::{ScalarValue, ScalarValueRef};

use crate::error::Refusal;
use crate::id::Actor;
use crate::limits::{CONFIG_DEPTH_MAX, CONFIG_PATH_BYTES_MAX, CONFIG_VALUE_BYTES_MAX};

/// What a configuration key can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigValue {
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Number(f64),
    /// A text of at most [`CONFIG_VALUE_BYTES_MAX`] bytes.
    Text(String),
    /// At most [`CONFIG_VALUE_BYTES_MAX`] bytes.
    Bytes(Vec<u8>),
}

/// One place of the configuration tree. It can have a value and children at once, because two sides
/// may write `a` and `a/b` without knowing of each other; neither is lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigTree {
    /// The value at this path, if one was put there; of several that met, the one that all replicas
    /// take.
    pub value: Option<ConfigValue>,
    /// What lies below, by the next segment of the path.
    pub children: BTreeMap<String, ConfigTree>,
}

/// Writes to one key that did not know of each other.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigConflict {
    /// The key, its segments joined by slashes.
    pub path: String,
    /// At least two values with their writers; the first is the one that the tree shows.
    pub values: Vec<(Actor, ConfigValue)>,
}

impl ConfigTree {
    pub(crate) fn insert(&mut self, path: &str, value: ConfigValue) {
        let mut place = self;
        for segment in path.split('/') {
            place = place.children.entry(segment.to_owned()).or_default();
        }
        place.value = Some(value);
    }
}

impl ConfigValue {
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let bytes = match self {
            Self::Boolean(_) | Self::Integer(_) => 0,
            Self::Number(number) if number.is_finite() => 0,
            Self::Number(_) => return Err(Refusal::Shape("number")),
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        };
        if bytes > CONFIG_VALUE_BYTES_MAX {
            return Err(Refusal::TooLarge("bytes of a value"));
        }
        Ok(())
    }

    pub(crate) fn scalar(&self) -> ScalarValue {
        match self {
            Self::Boolean(value) => ScalarValue::Boolean(*value),
            Self::Integer(value) => ScalarValue::Int(*value),
            Self::Number(value) => ScalarValue::F64(*value),
            Self::Text(value) => ScalarValue::Str(value.as_str().into()),
            Self::Bytes(value) => ScalarValue::Bytes(value.clone()),
        }
    }

    /// `None` for the kinds of values that a configuration does not hold.
    pub(crate) fn of(value: &ScalarValue) -> Option<Self> {
        match value {
            ScalarValue::Boolean(value) => Some(Self::Boolean(*value)),
            ScalarValue::Int(value) => Some(Self::Integer(*value)),
            ScalarValue::F64(value) => Some(Self::Number(*value)),
            ScalarValue::Str(value) => Some(Self::Text(value.to_string())),
            ScalarValue::Bytes(value) => Some(Self::Bytes(value.clone())),
            ScalarValue::Uint(_)
            | ScalarValue::Counter(_)
            | ScalarValue::Timestamp(_)
            | ScalarValue::Unknown { .. }
            | ScalarValue::Null => None,
        }
    }

    pub(crate) fn of_ref(value: &ScalarValueRef<'_>) -> Option<Self> {
        match value {
            ScalarValueRef::Boolean(value) => Some(Self::Boolean(*value)),
            ScalarValueRef::Int(value) => Some(Self::Integer(*value)),
            ScalarValueRef::F64(value) => Some(Self::Number(*value)),
            ScalarValueRef::Str(value) => Some(Self::Text(value.to_string())),
            ScalarValueRef::Bytes(value) => Some(Self::Bytes(value.to_vec())),
            ScalarValueRef::Uint(_)
            | ScalarValueRef::Counter(_)
            | ScalarValueRef::Timestamp(_)
            | ScalarValueRef::Unknown { .. }
            | ScalarValueRef::Null => None,
        }
    }
}

/// A path is segments joined by slashes: none of them empty, no control characters, within limits.
pub(crate) fn check_path(path: &str) -> Result<(), Refusal> {
    if path.len() > CONFIG_PATH_BYTES_MAX || path.chars().any(char::is_control) {
        return Err(Refusal::Shape("path"));
    }
    let depth = path.split('/').count();
    if depth > CONFIG_DEPTH_MAX || path.split('/').any(str::is_empty) {
        return Err(Refusal::Shape("path"));
    }
    Ok(())
}
