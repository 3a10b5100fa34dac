//! Signals that are said in two orchestras: first in the other one, then here.
//!
//! There it may be refused, by the rights of who says it or because nobody knows the agent, and then
//! nothing has changed anywhere. Whoever asks again under the same key writes only what is missing.

use unisono_core::node::{Promise, Work};
use unisono_model::{Code, IdempotencyKey};

use super::edge::Edge;
use super::refusal::Refusal;
use crate::dto::{ActionBody, SignalBody};

/// Says a signal in the orchestra that it is addressed to, if it is addressed to one.
pub(super) async fn say_there(
    edge: &Edge,
    here: &str,
    (promise, key): (&Promise, Option<IdempotencyKey>),
    agent: &str,
    signal: &SignalBody,
) -> Result<(), Refusal> {
    if signal.to_orchestra.is_some() && signal.from_orchestra.is_some() {
        return Err(Refusal::malformed(
            "a signal goes to another orchestra or comes from one, not both".to_owned(),
        ));
    }
    let Some(there) = &signal.to_orchestra else {
        return Ok(());
    };
    if here.starts_with("id:") || there.starts_with("id:") {
        return Err(Refusal::malformed(
            "a signal to another orchestra names both orchestras, not their ids".to_owned(),
        ));
    }
    let to = edge.orchestra(there)?;
    if to == edge.orchestra(here)? {
        return Err(Refusal::malformed(
            "`to_orchestra` is this one: name another".to_owned(),
        ));
    }
    let body = SignalBody {
        to_orchestra: None,
        from_orchestra: Some(here.to_owned()),
        ..signal.clone()
    };
    let work = Work::Act {
        agent: agent.to_owned(),
        action: ActionBody::Emit(body).into_action(0),
        key,
    };
    // What the agent has seen here says nothing about what is there.
    let promise = Promise {
        min_cursor: None,
        ..promise.clone()
    };
    match edge.work(to, work, promise).await {
        Ok(_) => Ok(()),
        Err(mut refusal) => {
            let problem = refusal.problem_mut();
            problem.detail = format!("in {there}: {}", problem.detail);
            if problem.code == Code::AgentUnknown.as_str() {
                problem.hint =
                    format!("enrol it there: `unisono agent enrol {agent} --orchestra {there}`");
            }
            Err(refusal)
        }
    }
}

/// What was refused here stands in the other orchestra already.
pub(super) fn after_it_was_said(there: Option<&str>, mut refusal: Refusal) -> Refusal {
    if let Some(there) = there {
        let problem = refusal.problem_mut();
        problem.changed = Some(true);
        problem.detail = format!(
            "{}; in {there} it was said, and the same under the same key says it here alone",
            problem.detail
        );
    }
    refusal
}
