//! What is within what, what no hand may hold together, and the most that each tier may have, by
//! `docs/protocol.md` ("Capability tokens"), field by field: written without the product's own.

use unisono_model::capability::{Grant, Operations, Rights, Scope, Tier};

/// Whether a grant hands on no more than another lets it.
pub(super) fn is_less(handed_on: &Grant, grant: &Grant) -> bool {
    let mut tiers = handed_on.tiers.iter();
    tiers.all(|tier| grant.tiers.contains(tier)) && is_within(&handed_on.rights, &grant.rights)
}

/// Whether rights are within others, in every field.
pub(super) fn is_within(less: &Rights, more: &Rights) -> bool {
    has_none_beyond(less.operations, more.operations)
        && covers(&more.read, &less.read)
        && covers(&more.write, &less.write)
        && lists(more.files.as_deref(), less.files.as_deref())
        && lists(more.phases.as_deref(), less.phases.as_deref())
        && less.complexity_max <= more.complexity_max
        && less.function_lines_max <= more.function_lines_max
        && less.file_bytes_max <= more.file_bytes_max
        && less.actions_per_minute_max <= more.actions_per_minute_max
}

/// Writing code, approving and bringing in agents are in three hands.
pub(super) fn are_in_three_hands(may: &Rights) -> bool {
    let duties = [
        Operations::WRITE_CODE,
        Operations::APPROVE,
        Operations::SPAWN,
    ];
    let held = duties.iter().filter(|one| may.operations.0 & one.0 != 0);
    held.count() <= 1
}

/// Whether rights are within the ceiling of a tier; a user's own has none.
pub(super) fn is_below_ceiling(tier: &Tier, may: &Rights) -> bool {
    let planning = [
        Operations::WRITE_PLAN,
        Operations::SPAWN,
        Operations::TERMINATE,
        Operations::FENCE,
    ];
    let one_project = may.read != Scope::Global && may.write != Scope::Global;
    match tier {
        Tier::Executive => does_only(may, &planning),
        Tier::Validation => does_only(may, &[Operations::APPROVE]),
        Tier::Implementation => {
            let writes = may.operations.0 & Operations::WRITE_CODE.0 != 0;
            does_only(may, &[Operations::WRITE_CODE])
                && one_project
                && may.complexity_max <= 8
                && may.function_lines_max <= 60
                && (may.files.is_some() || !writes)
        }
        Tier::Named(name) if name == "renewer" => {
            let functions = [may.complexity_max, may.function_lines_max];
            may.operations.0 == 0 && functions == [0, 0] && one_project
        }
        Tier::Named(_) => true,
    }
}

/// Whether nothing is done but these, and what every tier that ships may: to read, to coordinate and
/// to write reports.
fn does_only(may: &Rights, these: &[Operations]) -> bool {
    let everybody = Operations::READ.0 | Operations::COORDINATE.0 | Operations::WRITE_REPORT.0;
    let all = these.iter().fold(everybody, |all, one| all | one.0);
    has_none_beyond(may.operations, Operations(all))
}

fn has_none_beyond(less: Operations, more: Operations) -> bool {
    less.0 & !more.0 == 0
}

fn covers(more: &Scope, less: &Scope) -> bool {
    match (more, less) {
        (Scope::Global, _) | (_, Scope::Nowhere) => true,
        (Scope::Project(one), Scope::Project(other)) => one == other,
        (Scope::Project(_) | Scope::Nowhere, _) => false,
    }
}

/// What is left out stands for all of them.
fn lists<T: PartialEq>(more: Option<&[T]>, less: Option<&[T]>) -> bool {
    match (more, less) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(more), Some(less)) => less.iter().all(|one| more.contains(one)),
    }
}
