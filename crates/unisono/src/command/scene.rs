//! What templates can name: an orchestra as one role sees it, and as all do.

use serde_json::{Value, json};
use unisono_api::client::Reply;
use unisono_api::client::chronicle::Chronicle;
use unisono_api::client::compression::{History, clipped, sentence};
use unisono_api::dto::{
    Agents, Claims, Coherence, Decisions, FlowShown, Interferences, PhaseWord, Presences,
    SettingWord, Settings, Signal, SignalKindWord, Signals, State, UrgencyWord,
};

use super::session::Session;
use crate::failure::Failure;

/// How many iterations back what was accomplished is told.
const ACCOMPLISHED: u32 = 3;

/// What one role is told.
pub(super) async fn of_role(
    session: &Session,
    chronicle: &Chronicle,
    told: &History,
) -> Result<Value, Failure> {
    let agent = session.agent()?;
    let own = [("as", agent)];
    let flow: Reply<FlowShown> = session.read("flow", &own).await?;
    let signals: Reply<Signals> = session.read("signals", &own).await?;
    let agents: Reply<Agents> = session.read_whole("agents", &[]).await?;
    let (flow, signals) = (flow.body, signals.body.signals);
    let role = agents.body.agents.into_iter().find(|one| one.name == agent);
    let role = role.map(|one| one.role).unwrap_or_default();
    let iteration = chronicle.iteration();
    let recent = iteration.saturating_sub(ACCOMPLISHED).max(1)..iteration;
    let accomplished: Vec<String> = recent
        .map(|before| sentence(&chronicle.chapter(before)))
        .collect();
    let blocks = |one: &Signal| one.urgency == UrgencyWord::Blocking;
    let needs = |one: &Signal| one.kind == SignalKindWord::Need;
    let offers: Vec<&Signal> = signals
        .iter()
        .filter(|one| one.kind == SignalKindWord::Offer)
        .collect();
    let answered = |need: &Signal| {
        let mut offers = offers.iter();
        offers.any(|offer| offer.topic == need.topic && offer.name != need.name)
    };
    let open: Vec<&Signal> = signals
        .iter()
        .filter(|one| needs(one) && !answered(one))
        .collect();
    let yields_to = flow.yields_to.iter().map(|one| {
        let side = one
            .interference
            .sides
            .iter()
            .find(|side| side.name != agent);
        let side = side.or(one.interference.sides.first());
        json!({
            "id": one.interference.id,
            "kind": one.interference.kind,
            "by": side.map(|side| side.name.as_str()),
            "topic": side.map(|side| clipped(&side.topic)),
            "text": side.map(|side| clipped(&side.text)),
            "own_topic": clipped(&one.own_topic),
        })
    });
    Ok(json!({
        "agent": agent,
        "role": clipped(&role),
        "orchestra": session.orchestra,
        "iteration": flow.iteration,
        "iteration_last": flow.iteration_last,
        "phase": phase(flow.phase),
        "place": flow.place,
        "accomplished": accomplished,
        "context": told.markdown(),
        "tokens": told.tokens,
        "signals": shown(signals.iter()),
        "offers": shown(offers.iter().copied()),
        "blocking": shown(open.iter().copied().filter(|one| blocks(one))),
        "pending": shown(open.iter().copied().filter(|one| one.name == agent)),
        "yields_to": yields_to.collect::<Vec<Value>>(),
        "holds": flow.holds.iter().map(|topic| clipped(topic)).collect::<Vec<_>>(),
    }))
}

/// What all are told.
pub(super) async fn of_all(session: &Session) -> Result<Value, Failure> {
    let state: Reply<State> = session.read("state", &[]).await?;
    let settings: Reply<Settings> = session.read("settings", &[]).await?;
    let presence: Reply<Presences> = session.read_whole("presence", &[]).await?;
    let coherence: Reply<Coherence> = session.read("coherence", &[]).await?;
    let decisions: Reply<Decisions> = session.read("decisions", &[]).await?;
    let claims: Reply<Claims> = session.read_whole("claims", &[]).await?;
    let interference: Reply<Interferences> = session.read("interference", &[]).await?;
    let signals: Reply<Signals> = session.read_whole("signals", &[]).await?;
    let (state, signals) = (state.body, signals.body.signals);
    let last = settings
        .body
        .settings
        .get(&SettingWord::IterationLast)
        .copied();
    let present = presence.body.presence.iter().filter(|one| !one.stale);
    let needs = signals
        .iter()
        .filter(|one| one.kind == SignalKindWord::Need);
    let decisions = decisions.body.decisions.iter().filter(|one| one.stands);
    Ok(json!({
        "orchestra": session.orchestra,
        "iteration": state.iteration,
        "iteration_last": last,
        "phase": phase(state.phase),
        "coherence": format!("{:.2}", coherence.body.coherence),
        "agents": present.map(|one| json!({
            "name": clipped(&one.name),
            "role": clipped(&one.role),
            "status": one.status,
            "intent": clipped(&one.intent),
        })).collect::<Vec<_>>(),
        "tasks": state.tasks,
        "decisions": decisions.map(|one| json!({
            "topic": clipped(&one.topic),
            "text": clipped(&one.text),
            "importance": one.importance,
            "iteration": one.iteration,
        })).collect::<Vec<_>>(),
        "claims": claims.body.claims.iter().map(|one| json!({
            "topic": clipped(&one.topic),
            "by": clipped(&one.holder),
        })).collect::<Vec<_>>(),
        "needs": shown(needs),
        "open_interferences": interference.body.open,
    }))
}

/// A phase as the protocol writes it.
pub(super) fn phase(phase: PhaseWord) -> &'static str {
    match phase {
        PhaseWord::Design => "DESIGN",
        PhaseWord::Execution => "EXECUTION",
        PhaseWord::Reflection => "REFLECTION",
    }
}

/// Signals for a template: what others wrote stands on one line.
fn shown<'a>(signals: impl Iterator<Item = &'a Signal>) -> Vec<Value> {
    signals
        .map(|one| {
            let kind = match one.kind {
                SignalKindWord::Intent => "INTENT",
                SignalKindWord::Need => "NEED",
                SignalKindWord::Offer => "OFFER",
            };
            json!({
                "kind": kind,
                "topic": clipped(&one.topic),
                "by": clipped(&one.name),
                "text": clipped(&one.text),
                "urgency": one.urgency,
                "blocking": one.urgency == UrgencyWord::Blocking,
            })
        })
        .collect()
}
