//! How much of rights is looked at, so that whatever arrives costs a bounded effort, the same
//! everywhere.

/// How often an agent may go on with another key in one orchestra: each verdict looks at the keys that
/// it had before. A key a month for five years.
pub const ROTATIONS_OF_AGENT_MAX: usize = 64;
/// Of the rotations that give up one key, and of those that lead to one, the lowest by place are
/// looked at, so many of each. An honest agent makes one, and one more on each side of a partition.
pub const ROTATIONS_NAMING_KEY_MAX: usize = 8;
