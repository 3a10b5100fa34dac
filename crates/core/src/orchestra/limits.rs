//! What the folds over an orchestra keep that bound no single part with a file of its own.

/// Words on authorities that are kept: those of the highest ranks. What is dropped is long over, and
/// nobody is told of it any more.
pub const AUTHORITIES_KEPT_MAX: usize = 64;
