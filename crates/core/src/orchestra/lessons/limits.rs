//! How much of what was learned is kept in memory and told; the logs have all of it.

/// Decisions of one kind and importance that are kept: the latest. So a flood of what is only good
/// to know pushes out nothing that everybody has to know.
pub const DECISIONS_KEPT_MAX: usize = 512;
/// Decisions that are named as having taken the place of one.
pub const SUPERSEDERS_MAX: usize = 8;
/// Remedies that are kept: the latest.
pub const REMEDIES_KEPT_MAX: usize = 2_048;
/// Decisions of high importance that a brief tells: as many as marks that bind.
pub const BINDING_TOLD_MAX: usize = 128;
/// Decisions of less importance that a brief tells.
pub const OTHERS_TOLD_MAX: usize = 32;
