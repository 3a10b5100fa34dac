//! What may be done: a closed vocabulary with a partial order, no language. Whether one set of
//! rights is within another is decided field by field, so a refusal can name the field.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::Malformed;
use crate::{check, limits, path};

/// Kinds of deeds, as a set.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Operations(pub u32);

impl Operations {
    /// Looks at an orchestra.
    pub const READ: Self = Self(1);
    /// Coordinates: presence, signals, claims, tasks, marks, notes.
    pub const COORDINATE: Self = Self(1 << 1);
    /// Writes files.
    pub const WRITE_CODE: Self = Self(1 << 2);
    /// Removes, renames, empties files.
    pub const DELETE: Self = Self(1 << 3);
    /// Writes the plan, decisions, settings; ends iterations.
    pub const WRITE_PLAN: Self = Self(1 << 4);
    /// Writes reports.
    pub const WRITE_REPORT: Self = Self(1 << 5);
    /// Brings in other agents.
    pub const SPAWN: Self = Self(1 << 6);
    /// Ends other agents' work.
    pub const TERMINATE: Self = Self(1 << 7);
    /// Revokes tokens.
    pub const FENCE: Self = Self(1 << 8);
    /// Approves and rejects what others have made.
    pub const APPROVE: Self = Self(1 << 9);

    /// Each kind with its word.
    pub const WORDS: [(Self, &'static str); 10] = [
        (Self::READ, "read"),
        (Self::COORDINATE, "coordinate"),
        (Self::WRITE_CODE, "write-code"),
        (Self::DELETE, "delete"),
        (Self::WRITE_PLAN, "write-plan"),
        (Self::WRITE_REPORT, "write-report"),
        (Self::SPAWN, "spawn"),
        (Self::TERMINATE, "terminate"),
        (Self::FENCE, "fence"),
        (Self::APPROVE, "approve"),
    ];
    /// All of them.
    pub const ALL: Self = Self((1 << 10) - 1);

    /// Both together.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in both.
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that the other lacks.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` are in.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their words, in order.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let named = Self::WORDS.into_iter();
        named
            .filter(move |(one, _)| self.contains(*one))
            .map(|(_, word)| word)
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.words()).finish()
    }
}

/// Where something may be done.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Scope {
    /// Nowhere.
    Nowhere,
    /// In one project.
    Project(String),
    /// Everywhere.
    Global,
}

/// What kind of agent somebody is. What each may be given at most is a policy
/// (`unisono_core::capability`); for the first three a ceiling is compiled in.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Tier {
    /// Reads everything, plans, brings in and ends agents; never writes code.
    Executive,
    /// Writes listed files of one project; never deletes.
    Implementation,
    /// Reads everything, reports, approves; never writes code.
    Validation,
    /// A tier of the user's own policy.
    Named(String),
}

/// What somebody may do.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Rights {
    /// Which kinds of deeds.
    pub operations: Operations,
    /// Where it may look.
    pub read: Scope,
    /// Where it may change things.
    pub write: Scope,
    /// The files that it may write, sorted; all in scope if left out.
    pub files: Option<Vec<String>>,
    /// The phases in which it may write, sorted; all if left out.
    pub phases: Option<Vec<u32>>,
    /// The greatest cyclomatic complexity of a function that it may write.
    pub complexity_max: u16,
    /// The most lines of a function that it may write.
    pub function_lines_max: u16,
    /// The largest file that it may write (bytes).
    pub file_bytes_max: u32,
    /// How many actions it may take in a minute.
    pub actions_per_minute_max: u16,
}

/// What somebody may let others do.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The tiers of those others, sorted.
    pub tiers: Vec<Tier>,
    /// The most that each may be given.
    pub rights: Rights,
}

impl Rights {
    /// Nothing at all.
    pub const fn none() -> Self {
        Self {
            operations: Operations(0),
            read: Scope::Nowhere,
            write: Scope::Nowhere,
            files: None,
            phases: None,
            complexity_max: 0,
            function_lines_max: 0,
            file_bytes_max: 0,
            actions_per_minute_max: 0,
        }
    }

    /// Everything that can be said.
    pub const fn all() -> Self {
        Self {
            operations: Operations::ALL,
            read: Scope::Global,
            write: Scope::Global,
            files: None,
            phases: None,
            complexity_max: u16::MAX,
            function_lines_max: u16::MAX,
            file_bytes_max: u32::MAX,
            actions_per_minute_max: u16::MAX,
        }
    }

    /// Whether the fields are in their one form.
    ///
    /// # Errors
    /// Unknown operations, names outside their limits, lists that are too long, unsorted or name
    /// something twice, paths that are not plain.
    pub fn check(&self) -> Result<(), Malformed> {
        if !self.operations.without(Operations::ALL).is_empty() {
            return Err(Malformed::Contradiction("an unknown operation"));
        }
        self.read.check()?;
        self.write.check()?;
        if let Some(files) = &self.files {
            sorted("files", files, limits::TOKEN_FILES_MAX)?;
            for file in files {
                path::check(file)
                    .map_err(|_| Malformed::Contradiction("a path that is not plain"))?;
            }
        }
        if let Some(phases) = &self.phases {
            sorted("phases", phases, limits::TOKEN_PHASES_MAX)?;
        }
        Ok(())
    }
}

impl Grant {
    /// Whether the fields are in their one form.
    ///
    /// # Errors
    /// As [`Rights::check`].
    pub fn check(&self) -> Result<(), Malformed> {
        sorted("tiers", &self.tiers, limits::TOKEN_TIERS_MAX)?;
        for tier in &self.tiers {
            tier.check()?;
        }
        self.rights.check()
    }
}

impl Tier {
    /// The tier's word.
    pub fn word(&self) -> &str {
        match self {
            Self::Executive => "executive",
            Self::Implementation => "implementation",
            Self::Validation => "validation",
            Self::Named(name) => name,
        }
    }

    /// The tier of a word.
    pub fn of(word: &str) -> Self {
        match word {
            "executive" => Self::Executive,
            "implementation" => Self::Implementation,
            "validation" => Self::Validation,
            name => Self::Named(name.into()),
        }
    }

    /// Whether it is said in its one form: a tier of the user's own bears none of the built-in
    /// words, and only letters, digits and hyphens.
    ///
    /// # Errors
    /// Any other name.
    pub fn check(&self) -> Result<(), Malformed> {
        let Self::Named(name) = self else {
            return Ok(());
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let short = !name.is_empty() && name.len() <= limits::TIER_BYTES_MAX;
        let good = short && name.chars().all(plain);
        if good && matches!(Self::of(name), Self::Named(_)) {
            Ok(())
        } else {
            Err(Malformed::Limit("the name of a tier"))
        }
    }
}

impl Scope {
    fn check(&self) -> Result<(), Malformed> {
        match self {
            // Shown in terminals: as any other name.
            Self::Project(name) => check::name("the name of a project", name),
            Self::Nowhere | Self::Global => Ok(()),
        }
    }
}

/// Lists stand for sets: one order, nothing twice.
fn sorted<T: Ord>(what: &'static str, list: &[T], max: usize) -> Result<(), Malformed> {
    if list.len() > max {
        Err(Malformed::Limit(what))
    } else if list.is_sorted_by(|one, next| one < next) {
        Ok(())
    } else {
        Err(Malformed::NotCanonical)
    }
}
