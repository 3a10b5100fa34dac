//! What must be so before something is learned: what it names is there, and nothing has taken its
//! place.

use alloc::format;

use unisono_model::{Action, Code, Decide, Outcome, Rejection};

use crate::orchestra::Reading;

/// Whether a decision or an outcome may be recorded now.
pub(super) fn lesson_precondition(
    reading: &Reading<'_>,
    action: Action,
) -> Result<Action, Rejection> {
    match &action {
        Action::Decide(decide) => may_decide(reading, decide)?,
        Action::Outcome(outcome) => may_tell(reading, outcome)?,
        _ => {}
    }
    Ok(action)
}

fn may_decide(reading: &Reading<'_>, decide: &Decide) -> Result<(), Rejection> {
    let decisions = &reading.folds.lessons.decisions;
    for former in &decide.supersedes {
        let Some(place) = decisions.find(former, reading.at) else {
            let words = format!("no decision {former} is held here; nothing changed");
            return Err(Rejection::new(Code::DecisionUnknown, words)
                .hint("`unisono decisions` lists those that stand, `--all` the others too"));
        };
        if let Some(by) = decisions.superseders(&place, reading.at).next() {
            let words = format!(
                "{} has taken the place of {former} already; nothing changed",
                by.record
            );
            return Err(
                Rejection::new(Code::DecisionSuperseded, words).hint("supersede that one instead")
            );
        }
    }
    Ok(())
}

fn may_tell(reading: &Reading<'_>, outcome: &Outcome) -> Result<(), Rejection> {
    let remedies = &reading.folds.lessons.remedies;
    if remedies.knows(&outcome.remedy, reading.at) {
        return Ok(());
    }
    let words = format!("no remedy {} is held here; nothing changed", outcome.remedy);
    Err(Rejection::new(Code::RemedyUnknown, words)
        .hint("`unisono fix \"<the error>\"` lists those that may help, with their ids"))
}
