//! Ceilings: what no token can give an agent of a tier, and what no hand may hold together.
//!
//! Tiers are policy, and a user's own have no ceiling but the separation of duties. Those that
//! ship have one compiled in: it applies whatever a token says, so a mistake in a policy file
//! cannot make an executive write code.

use unisono_model::capability::{Operations, Rights, Scope, Tier};

use super::lattice::Field;

/// The most that an agent of a tier may ever have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ceiling {
    /// The tier's word.
    pub tier: &'static str,
    /// What it may do at most.
    pub operations: Operations,
    /// The greatest complexity of a function that it may write.
    pub complexity_max: u16,
    /// The most lines of a function that it may write.
    pub function_lines_max: u16,
    /// Whether it reads one project only.
    pub one_project: bool,
    /// Whether the files that it writes must be listed.
    pub files_listed: bool,
}

const EXECUTIVE: Ceiling = Ceiling {
    tier: "executive",
    operations: Operations::READ
        .and(Operations::COORDINATE)
        .and(Operations::WRITE_PLAN)
        .and(Operations::WRITE_REPORT)
        .and(Operations::SPAWN)
        .and(Operations::TERMINATE)
        .and(Operations::FENCE),
    complexity_max: u16::MAX,
    function_lines_max: u16::MAX,
    one_project: false,
    files_listed: false,
};

const IMPLEMENTATION: Ceiling = Ceiling {
    tier: "implementation",
    operations: Operations::READ
        .and(Operations::COORDINATE)
        .and(Operations::WRITE_CODE)
        .and(Operations::WRITE_REPORT),
    complexity_max: 8,
    function_lines_max: 60,
    one_project: true,
    files_listed: true,
};

const VALIDATION: Ceiling = Ceiling {
    tier: "validation",
    operations: Operations::READ
        .and(Operations::COORDINATE)
        .and(Operations::WRITE_REPORT)
        .and(Operations::APPROVE),
    complexity_max: u16::MAX,
    function_lines_max: u16::MAX,
    one_project: false,
    files_listed: false,
};

const RENEWER: Ceiling = Ceiling {
    tier: unisono_model::capability::RENEWER,
    operations: Operations(0),
    complexity_max: 0,
    function_lines_max: 0,
    one_project: true,
    files_listed: false,
};

/// The ceiling of a tier; a user's own tier has none.
pub fn ceiling(tier: &Tier) -> Option<&'static Ceiling> {
    match tier {
        Tier::Executive => Some(&EXECUTIVE),
        Tier::Implementation => Some(&IMPLEMENTATION),
        Tier::Validation => Some(&VALIDATION),
        tier if tier.is_renewer() => Some(&RENEWER),
        Tier::Named(_) => None,
    }
}

impl Ceiling {
    /// The first field in which rights are above it.
    pub fn exceeded_by(&self, rights: &Rights) -> Option<Field> {
        let one = |scope: &Scope| *scope != Scope::Global;
        let writes = rights.operations.contains(Operations::WRITE_CODE);
        let above = [
            (
                Field::Operations,
                !self.operations.contains(rights.operations),
            ),
            (Field::Read, self.one_project && !one(&rights.read)),
            (Field::Write, self.one_project && !one(&rights.write)),
            (
                Field::Files,
                self.files_listed && writes && rights.files.is_none(),
            ),
            (
                Field::Complexity,
                rights.complexity_max > self.complexity_max,
            ),
            (
                Field::FunctionLines,
                rights.function_lines_max > self.function_lines_max,
            ),
        ];
        let mut above = above.into_iter().filter(|(_, above)| *above);
        above.next().map(|(field, _)| field)
    }
}

/// Duties that no token of any tier may hold together: whoever writes neither approves nor makes
/// those who do.
pub fn offends(rights: &Rights) -> Option<&'static str> {
    let both = |one: Operations, other: Operations| {
        rights.operations.contains(one) && rights.operations.contains(other)
    };
    if both(Operations::WRITE_CODE, Operations::APPROVE) {
        Some("writing code and approving it")
    } else if both(Operations::WRITE_CODE, Operations::SPAWN) {
        Some("writing code and bringing in agents")
    } else if both(Operations::SPAWN, Operations::APPROVE) {
        Some("bringing in agents and approving what they make")
    } else {
        None
    }
}
