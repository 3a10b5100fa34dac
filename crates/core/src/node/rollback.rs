//! What must be so before an orchestra goes back to an earlier time.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{Action, Code, LogEnd, Rejection, Rollback, Stamp, limits};

use super::space::Space;
use crate::orchestra::rollbacks::GoingBack;

/// Whether what was done after a time can be set aside, and how far each log was seen: filled in
/// where the request leaves it out.
pub(super) fn rollback_precondition(
    space: &Space,
    now: Stamp,
    mut rollback: Rollback,
) -> Result<Action, Rejection> {
    let folds = &space.folds;
    if rollback.to >= now {
        return Err(
            Rejection::new(Code::CursorInvalid, "that time has not come yet")
                .hint("go back to a time that is past"),
        );
    }
    let names_logs = !rollback.seen.is_empty();
    if !names_logs {
        rollback.seen = seen_above(space, rollback.to);
    }
    let held = |end: &LogEnd| {
        let mut logs = space.logs.iter();
        logs.any(|(log, state)| log.incarnation == end.incarnation && end.seq <= state.seq)
    };
    if !rollback.seen.iter().all(held) {
        return Err(Rejection::new(
            Code::Behind,
            "it names what this node does not hold; nothing changed",
        )
        .hint("ask the node that showed it, or ask this one what would be set aside"));
    }
    if folds.rollbacks.is_empty(&rollback) {
        let named = if names_logs {
            "in the logs that it names "
        } else {
            ""
        };
        return Err(Rejection::new(
            Code::RollbackEmpty,
            format!("{named}nothing that can be set aside was done since; nothing changed"),
        )
        .hint("tasks, signals, decisions, remedies, resolutions, settings, plans and the iteration go back; claims, rights, marks, files and notes stay"));
    }
    if folds.rollbacks.count() >= limits::ROLLBACKS_MAX {
        return Err(barred(
            &format!(
                "an orchestra goes back at most {} times",
                limits::ROLLBACKS_MAX
            ),
            "change back what is wrong, one by one",
        ));
    }
    if let Some(guard) = folds.trust.laws().guarded_from()
        && guard.stamp > rollback.to
    {
        return Err(barred(
            "rights were asked for since then, and nobody can take that back",
            "go back to a time after the guard",
        ));
    }
    if let Some(path) = folds.written_after(rollback.to) {
        return Err(barred(
            &format!("{path} was written since then, and no record brings a file on a disk back"),
            "go back to a time after the last write, or write the files anew and change the plan",
        ));
    }
    if rollback.seen.len() > limits::ROLLBACK_LOGS_MAX {
        return Err(barred(
            &format!("{} logs were written since then", rollback.seen.len()),
            &format!("one rollback names at most {}", limits::ROLLBACK_LOGS_MAX),
        ));
    }
    Ok(Action::Rollback(rollback.into()))
}

/// What going back to a time would do now, by the same rules.
pub(super) fn going_back(space: &Space, now: Stamp, to: Stamp) -> GoingBack {
    let rollback = Rollback {
        to,
        seen: Vec::new(),
        reason: String::new(),
    };
    let refused = rollback_precondition(space, now, rollback.clone()).err();
    let seen = seen_above(space, to);
    let before = space.folds.rollbacks.clone();
    let named = Rollback {
        seen: seen.clone(),
        ..rollback
    };
    GoingBack {
        refused,
        seen,
        after: before.with(named, now),
        before,
    }
}

/// How far each log goes that says anything above a stamp.
fn seen_above(space: &Space, to: Stamp) -> Vec<LogEnd> {
    let above = space.logs.iter().filter(|(_, state)| state.stamp > to);
    let mut seen: Vec<LogEnd> = above
        .map(|(log, state)| LogEnd {
            incarnation: log.incarnation,
            seq: state.cut.map_or(state.seq, |cut| state.seq.min(cut - 1)),
        })
        .filter(|end| end.seq > 0)
        .collect();
    seen.sort_unstable();
    seen.dedup_by_key(|end| end.incarnation);
    seen
}

fn barred(why: &str, instead: &str) -> Rejection {
    Rejection::new(Code::RollbackBarred, format!("{why}; nothing changed")).hint(instead)
}
