//! How much of what was learned is kept in memory and told; the logs have all of it.

/// Decisions of one kind and importance that are kept: the latest. So a flood of what is only good
/// to know pushes out nothing that everybody has to know.
pub const DECISIONS_KEPT_MAX: usize = 512;
/// Decisions that are named as having taken the place of one.
pub const SUPERSEDERS_MAX: usize = 8;
/// Remedies that are kept: the latest.
pub const REMEDIES_KEPT_MAX: usize = 2_048;
/// Longest text of an error, or of a question, that is looked at (bytes): what went wrong stands in a
/// few lines.
pub const ASKED_BYTES_MAX: usize = 64 * 1024;
/// How alike an error has to be to one of another kind for its remedy to be told (‰). Chosen on one
/// half of the kinds of `tests/errors`, judged on the other.
pub const LIKENESS_MIN: u16 = 650;
/// What a remedy for the same kind of error counts for where the names differ (‰).
pub const KIND_PERMILLE: u64 = 800;
/// What one for an error that is only alike counts for, times its likeness (‰).
pub const ALIKE_PERMILLE: u64 = 600;
/// Decisions of high importance that a brief tells: as many as marks that bind.
pub const BINDING_TOLD_MAX: usize = 128;
/// Decisions of less importance that a brief tells.
pub const OTHERS_TOLD_MAX: usize = 32;
