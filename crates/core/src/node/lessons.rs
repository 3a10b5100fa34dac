//! What must be so before something is learned: what it names is there, and nothing has taken its
//! place.

use alloc::format;

use unisono_model::{Action, Code, Decide, Outcome, Rejection, Remedy};

use super::input::Question;
use crate::orchestra::Reading;
use crate::orchestra::lessons::error::{ErrorForm, FORM_VERSION};
use crate::orchestra::lessons::limits::ASKED_BYTES_MAX;
use crate::orchestra::view::{DecisionsWanted, View};

/// Whether a decision or an outcome may be recorded now.
pub(super) fn lesson_precondition(
    reading: &Reading<'_>,
    action: Action,
) -> Result<Action, Rejection> {
    match &action {
        Action::Decide(decide) => may_decide(reading, decide)?,
        Action::Remedy(remedy) => may_know(remedy)?,
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

/// Whether a remedy bears the form of its error: another text would be found by nobody who asks, and
/// one of another version would be taken for what it is not.
fn may_know(remedy: &Remedy) -> Result<(), Rejection> {
    may_ask(&remedy.error)?;
    let form = ErrorForm::of(&remedy.error).text();
    if remedy.form == FORM_VERSION && remedy.error == form {
        return Ok(());
    }
    let words = format!(
        "the error is not in its form of version {FORM_VERSION}, which is {form:?}; nothing changed"
    );
    Err(Rejection::new(Code::Malformed, words)
        .hint("sign that form, or post the error's text to `fixes`: the node makes the form"))
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

/// What was learned, as far as a question asks for it.
pub(super) fn learned(question: &Question, reading: &Reading<'_>) -> Result<View, Rejection> {
    match question {
        Question::Fixes { error, limit } => {
            may_ask(error)?;
            Ok(View::Fixes(reading.fixes(error, *limit)))
        }
        Question::Decisions(wanted) => {
            may_search(wanted)?;
            Ok(View::Decisions(reading.decisions(wanted)))
        }
        Question::Remedies { limit } => Ok(View::Remedies(reading.remedies(*limit))),
        _ => Err(Rejection::new(
            Code::Malformed,
            "not about what was learned",
        )),
    }
}

/// Whether a text says of an error what it is.
fn may_ask(error: &str) -> Result<(), Rejection> {
    bounded("the error", error)?;
    if ErrorForm::of(error).is_empty() {
        let words = "nothing in this text says what went wrong; nothing changed";
        return Err(Rejection::new(Code::Malformed, words)
            .hint("give what the tool printed, with the line that names the error"));
    }
    Ok(())
}

/// Whether there is anything to search for.
fn may_search(wanted: &DecisionsWanted) -> Result<(), Rejection> {
    let Some(words) = &wanted.search else {
        return Ok(());
    };
    bounded("the question", words)?;
    if words.chars().any(char::is_alphanumeric) {
        return Ok(());
    }
    Err(Rejection::new(
        Code::Malformed,
        "there is no word in the question",
    ))
}

fn bounded(what: &str, text: &str) -> Result<(), Rejection> {
    if text.len() <= ASKED_BYTES_MAX {
        return Ok(());
    }
    let words = format!(
        "{what} has {} bytes; at most {ASKED_BYTES_MAX} are looked at",
        text.len()
    );
    Err(Rejection::new(Code::Malformed, words).hint("give the lines that matter"))
}
