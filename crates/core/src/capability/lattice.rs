//! The order of rights: what is within what, what two have in common, and why not.
//!
//! Rights are a product of fields, each with its own order, so the whole is a lattice: narrower
//! means narrower or equal in every field, and the greatest common part is that of each field.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use unisono_model::capability::{Grant, Operations, Rights, Scope};

/// A field of rights or of a grant, as refusals name it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Field {
    /// `may.operations`.
    Operations,
    /// `may.read`.
    Read,
    /// `may.write`.
    Write,
    /// `may.files`.
    Files,
    /// `may.phases`.
    Phases,
    /// `may.complexity_max`.
    Complexity,
    /// `may.function_lines_max`.
    FunctionLines,
    /// `may.file_bytes_max`.
    FileBytes,
    /// `may.actions_per_minute_max`.
    ActionsPerMinute,
    /// `tier`.
    Tier,
    /// `grant`, which the link before has none of.
    Grant,
    /// `grant.tiers`.
    GrantTiers,
    /// `depth_left`.
    Depth,
}

impl Field {
    /// The field's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Operations => "operations",
            Self::Read => "read",
            Self::Write => "write",
            Self::Files => "files",
            Self::Phases => "phases",
            Self::Complexity => "complexity_max",
            Self::FunctionLines => "function_lines_max",
            Self::FileBytes => "file_bytes_max",
            Self::ActionsPerMinute => "actions_per_minute_max",
            Self::Tier => "tier",
            Self::Grant => "grant",
            Self::GrantTiers => "grant.tiers",
            Self::Depth => "depth_left",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How two sets of rights stand to each other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Comparison {
    /// The same.
    Equal,
    /// The first is within the second; in these fields it is less.
    Narrower(Vec<Field>),
    /// The second is within the first; in these fields it is less.
    Wider(Vec<Field>),
    /// Neither: the first is less in some fields, and more in others.
    Neither {
        /// Where the first is not within the second.
        more: Vec<Field>,
        /// Where the second is not within the first.
        less: Vec<Field>,
    },
}

/// Compares two sets of rights.
pub fn compare(one: &Rights, other: &Rights) -> Comparison {
    let (more, less) = (exceeding(one, other), exceeding(other, one));
    match (more.is_empty(), less.is_empty()) {
        (true, true) => Comparison::Equal,
        (true, false) => Comparison::Narrower(less),
        (false, true) => Comparison::Wider(more),
        (false, false) => Comparison::Neither { more, less },
    }
}

/// The first field in which `one` is not within `other`; none if it is within.
pub fn exceeds(one: &Rights, other: &Rights) -> Option<Field> {
    exceeding(one, other).into_iter().next()
}

/// The first field in which a grant is not within another.
pub fn grant_exceeds(one: &Grant, other: &Grant) -> Option<Field> {
    let tiers = one.tiers.iter().all(|tier| other.tiers.contains(tier));
    if tiers {
        exceeds(&one.rights, &other.rights)
    } else {
        Some(Field::GrantTiers)
    }
}

fn exceeding(one: &Rights, other: &Rights) -> Vec<Field> {
    let within = [
        (Field::Operations, other.operations.contains(one.operations)),
        (Field::Read, scope_within(&one.read, &other.read)),
        (Field::Write, scope_within(&one.write, &other.write)),
        (
            Field::Files,
            list_within(one.files.as_ref(), other.files.as_ref()),
        ),
        (
            Field::Phases,
            list_within(one.phases.as_ref(), other.phases.as_ref()),
        ),
        (
            Field::Complexity,
            one.complexity_max <= other.complexity_max,
        ),
        (
            Field::FunctionLines,
            one.function_lines_max <= other.function_lines_max,
        ),
        (Field::FileBytes, one.file_bytes_max <= other.file_bytes_max),
        (
            Field::ActionsPerMinute,
            one.actions_per_minute_max <= other.actions_per_minute_max,
        ),
    ];
    let outside = within.into_iter().filter(|(_, within)| !within);
    outside.map(|(field, _)| field).collect()
}

/// What two sets of rights have in common: the most that is within both.
pub fn meet(one: &Rights, other: &Rights) -> Rights {
    Rights {
        operations: Operations::common(one.operations, other.operations),
        read: scope_meet(&one.read, &other.read),
        write: scope_meet(&one.write, &other.write),
        files: list_meet::<String>(one.files.as_ref(), other.files.as_ref()),
        phases: list_meet(one.phases.as_ref(), other.phases.as_ref()),
        complexity_max: one.complexity_max.min(other.complexity_max),
        function_lines_max: one.function_lines_max.min(other.function_lines_max),
        file_bytes_max: one.file_bytes_max.min(other.file_bytes_max),
        actions_per_minute_max: one.actions_per_minute_max.min(other.actions_per_minute_max),
    }
}

fn scope_within(one: &Scope, other: &Scope) -> bool {
    *one == Scope::Nowhere || *other == Scope::Global || one == other
}

fn scope_meet(one: &Scope, other: &Scope) -> Scope {
    if scope_within(one, other) {
        one.clone()
    } else if scope_within(other, one) {
        other.clone()
    } else {
        Scope::Nowhere
    }
}

/// No list is every list: only what has one itself is within one.
fn list_within<T: Ord>(one: Option<&Vec<T>>, other: Option<&Vec<T>>) -> bool {
    match (one, other) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(one), Some(other)) => one.iter().all(|item| other.binary_search(item).is_ok()),
    }
}

fn list_meet<T: Ord + Clone>(one: Option<&Vec<T>>, other: Option<&Vec<T>>) -> Option<Vec<T>> {
    match (one, other) {
        (None, None) => None,
        (Some(list), None) | (None, Some(list)) => Some(list.clone()),
        (Some(one), Some(other)) => {
            let common = one.iter().filter(|item| other.binary_search(item).is_ok());
            Some(common.cloned().collect())
        }
    }
}
