//! How coherent orchestras are: explained term by term, and as gauges for whoever watches the node.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use unisono_core::node::Question;
use unisono_core::orchestra::view::{
    CoherenceView, DriftKind, PlayersView, Severity, TermKind, View,
};
use unisono_model::OrchestraId;

use super::edge::Edge;
use super::metrics::{head, line};
use super::refusal::Refusal;
use super::terms::{Names, ReadParams, ReadTerms, Terms};
use crate::dto::{self, DriftWord, SeverityWord, TermWord};
use crate::limits::{ORCHESTRAS_MEASURED_MAX, ORCHESTRAS_MEASURED_WITHIN};

/// The terms of coherence, one by one: what each is, what it counts, and who lowers it by what.
#[utoipa::path(get, path = "/v1/orchestras/{o}/coherence/explained", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("term" = Option<String>, Query,
            description = "Only iteration, phase, context, fresh, intent or unblocked"),
        ReadParams),
    responses((status = 200, body = dto::CoherenceExplained)))]
pub(crate) async fn explained(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Result<Response, Refusal> {
    let term = terms.text("term")?.map(|word| term_of(&word)).transpose()?;
    let asked = edge.ask(
        edge.orchestra(&o)?,
        Question::Explained(term),
        terms.read()?,
    );
    let (told, View::Explained(view)) = asked.await? else {
        return Err(Refusal::mismatch());
    };
    Ok(told.json::<dto::CoherenceExplained>(StatusCode::OK, &view.into()))
}

fn term_of(word: &str) -> Result<TermKind, Refusal> {
    let term: Result<TermWord, _> = serde_json::from_value(word.into());
    term.map(Into::into).map_err(|_| {
        Refusal::malformed(format!(
            "`term` is {word:?}: it is iteration, phase, context, fresh, intent or unblocked"
        ))
    })
}

/// What is measured of one orchestra.
struct Measured {
    /// As a label: what would end it early is escaped.
    name: String,
    coherence: CoherenceView,
    open: u64,
    players: PlayersView,
}

/// Gauges of the first orchestras by name. What cannot be told in time is left out and counted.
pub(super) async fn write_gauges(edge: &Edge, out: &mut String) {
    let asked = edge.ask(OrchestraId::default(), Question::Orchestras, terms());
    let Ok((_, View::Orchestras(views))) = asked.await else {
        return;
    };
    let mut names: Vec<String> = views.into_iter().map(|one| one.name).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    let all = names.len();
    let begun = Instant::now();
    let mut measured = Vec::new();
    for name in names.into_iter().take(ORCHESTRAS_MEASURED_MAX) {
        if begun.elapsed() > ORCHESTRAS_MEASURED_WITHIN {
            break;
        }
        measured.extend(measure(edge, &name).await);
    }
    write_measured(&measured, all - measured.len(), out);
    let each = measured.iter().map(|one| (one.name.as_str(), &one.players));
    super::playing::write_gauges(&each.collect::<Vec<_>>(), out);
}

fn terms() -> ReadTerms {
    ReadTerms {
        deadline_ms: Duration::from_secs(1).as_millis() as u64,
        ..ReadTerms::default()
    }
}

async fn measure(edge: &Edge, name: &str) -> Option<Measured> {
    let id = edge.orchestra(name).ok()?;
    let asked = edge.ask(id, Question::Coherence, terms());
    let Ok((_, View::Coherence(coherence))) = asked.await else {
        return None;
    };
    let question = Question::Interference {
        agent: None,
        limit: 1,
    };
    let Ok((_, View::Interference(found))) = edge.ask(id, question, terms()).await else {
        return None;
    };
    let Ok((_, View::Players(players))) = edge.ask(id, Question::Players, terms()).await else {
        return None;
    };
    Some(Measured {
        name: name.replace('\\', "\\\\").replace('"', "\\\""),
        coherence,
        open: found.open,
        players,
    })
}

fn write_measured(measured: &[Measured], left_out: usize, out: &mut String) {
    let mut gauge = |name: &str, help: &str, each: &dyn Fn(&Measured) -> Vec<(String, f64)>| {
        head(out, name, "gauge", help);
        for one in measured {
            for (labels, value) in each(one) {
                let orchestra = &one.name;
                line(
                    out,
                    format_args!("{name}{{orchestra=\"{orchestra}\"{labels}}} {value}"),
                );
            }
        }
    };
    let whole = |value: f64| vec![(String::new(), value)];
    gauge(
        "orchestra_coherence",
        "How coherent an orchestra is, from 0 to 1.",
        &|one| whole(one.coherence.score as f64 / 1e3),
    );
    gauge(
        "orchestra_agents",
        "Agents that take part in an orchestra.",
        &|one| whole(one.coherence.agents as f64),
    );
    gauge(
        "orchestra_interferences_open",
        "Interferences in an orchestra that nobody has resolved.",
        &|one| whole(one.open as f64),
    );
    gauge(
        "orchestra_condition",
        "Whether a gluing condition of an orchestra holds.",
        &conditions,
    );
    gauge(
        "orchestra_drift",
        "Drifts in an orchestra, by kind and severity.",
        &drifts,
    );
    let name = "orchestras_unmeasured";
    head(
        out,
        name,
        "gauge",
        "Orchestras whose coherence is not among these figures.",
    );
    line(out, format_args!("{name} {left_out}"));
}

/// In the order of [`CoherenceView::gluing`].
const CONDITIONS: [&str; 4] = ["iteration", "phase", "unblocked", "score"];

fn conditions(one: &Measured) -> Vec<(String, f64)> {
    let each = CONDITIONS.iter().zip(&one.coherence.gluing);
    each.map(|(name, gluing)| {
        let holds = if gluing.holds { 1.0 } else { 0.0 };
        (format!(",condition=\"{name}\""), holds)
    })
    .collect()
}

fn drifts(one: &Measured) -> Vec<(String, f64)> {
    let mut counts: BTreeMap<(DriftKind, Severity), u64> = BTreeMap::new();
    for drift in &one.coherence.drift {
        *counts.entry((drift.kind, drift.severity)).or_default() += 1;
    }
    let each = counts.into_iter().map(|((kind, severity), count)| {
        let (kind, severity) = (DriftWord::from(kind), SeverityWord::from(severity));
        let mut labels = String::new();
        write!(
            labels,
            ",kind=\"{}\",severity=\"{}\"",
            word(&kind),
            word(&severity)
        )
        .expect("a string takes everything");
        (labels, count as f64)
    });
    each.collect()
}

fn word<T: serde::Serialize>(word: &T) -> String {
    let word = serde_json::to_value(word).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}
