//! Who is told of incidents: whoever was refused learns which record tells of it, and executives are
//! told of what they have not acknowledged.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use unisono_model::capability::{Operations, Tier};
use unisono_model::{Action, AgentId, Code, Digest, Place, Rejection, Stamp};

use super::batch::{Placement, Source};
use super::input::Ticket;
use super::output::Output;
use super::rights::Kind;
use super::{Node, limits};
use crate::capability::allows;
use crate::context::Context;
use crate::orchestra::view::{AlertsView, IncidentView, View};
use crate::orchestra::{Folds, Reading};

/// Somebody who was refused, and whose incident is on its way to disk: nothing is named to anybody
/// before it is there.
#[derive(Debug)]
pub(super) struct Refused {
    kind: Kind,
    ticket: Ticket,
    rejection: Rejection,
    /// When it is answered all the same (ms).
    pub(super) due_ms: u64,
}

/// Refusals that are about to be told.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The incident that the request under way has become part of.
    pub(super) noted: Option<Kind>,
    /// Who is answered once the incident is on disk.
    pub(super) waiting: Vec<Refused>,
}

impl Node {
    /// Answers a request that was refused, with the incident that tells of it if there is one.
    pub(super) fn refuse(
        &mut self,
        context: &Context<'_>,
        ticket: Ticket,
        deadline_ms: u64,
        rejection: Rejection,
        out: &mut Vec<Output>,
    ) {
        let kind = self.refusals.noted.take();
        let known = kind.and_then(|kind| Some((kind, self.incidents.get(&kind)?.record)));
        match known {
            Some((_, Some(record))) => Self::reject(Some(ticket), rejection.told_by(record), out),
            Some((kind, None)) if self.refusals.waiting.len() < limits::REFUSED_WAITING_MAX => {
                let due_ms = context.now_ms() + limits::INCIDENT_WAIT_MS;
                self.refusals.waiting.push(Refused {
                    kind,
                    ticket,
                    rejection,
                    due_ms: due_ms.min(deadline_ms),
                });
            }
            Some(_) | None => Self::reject(Some(ticket), rejection, out),
        }
    }

    /// An incident is on disk: whoever waits for it is answered.
    pub(super) fn incident_written(&mut self, placement: &Placement, out: &mut Vec<Output>) {
        let (made, record) = (&placement.made, placement.placed.place.record);
        let (Source::Own, Action::Incident(incident)) = (&made.source, &made.body.action) else {
            return;
        };
        let of_agent = self
            .incidents
            .iter_mut()
            .filter(|((orchestra, agent, _), _)| {
                *orchestra == made.orchestra && *agent == incident.agent
            });
        // What is counted together stands under a rule of its own.
        let word = |code: Code| match code {
            Code::Busy => "others",
            code => code.as_str(),
        };
        let told = of_agent
            .into_iter()
            .find(|((.., code), _)| word(*code) == incident.rule);
        let Some((kind, repeated)) = told else { return };
        repeated.record = Some(record);
        let kind = *kind;
        self.answer_refused(|refused| refused.kind == kind, Some(record), out);
    }

    /// Answers those who were refused and wait, if they are meant.
    pub(super) fn answer_refused(
        &mut self,
        meant: impl Fn(&Refused) -> bool,
        record: Option<Digest>,
        out: &mut Vec<Output>,
    ) {
        for refused in self
            .refusals
            .waiting
            .extract_if(.., |refused| meant(refused))
        {
            let mut rejection = refused.rejection;
            rejection.incident = record;
            Self::reject(Some(refused.ticket), rejection, out);
        }
    }

    /// What an executive has not acknowledged; without a name, what no executive has.
    ///
    /// # Errors
    /// Nobody of this name or key is an executive here.
    pub(super) fn alerts(
        &self,
        reading: &Reading<'_>,
        agent: Option<&str>,
    ) -> Result<View, Rejection> {
        let (folds, at) = (reading.folds, reading.at);
        let trust = &folds.trust;
        let heeds = trust.heeds();
        let executive = |agent: &AgentId| self.is_executive(folds, agent, at);
        let asking = match agent {
            Some(name) => {
                let mut named = reading.named(name);
                named.extend(name.parse::<AgentId>().map(|key| folds.identity(&key)));
                named.retain(executive);
                if named.is_empty() {
                    return Err(no_executive(name));
                }
                named
            }
            None => BTreeSet::new(),
        };
        let untold = |incident: &Digest| match agent {
            Some(_) => asking.iter().any(|agent| !heeds.has(*incident, *agent)),
            None => !heeds.of(*incident).any(|agent| executive(&agent)),
        };
        let mut incidents: Vec<IncidentView> = trust
            .incidents(at)
            .filter(|(place, ..)| untold(&place.record))
            .map(|(place, node, incident)| IncidentView {
                place,
                node,
                name: folds.name_of(&incident.agent),
                incident: incident.clone(),
                acknowledged_by: heeds.of(place.record).collect(),
            })
            .collect();
        incidents.reverse();
        // Whoever has acknowledged the oldest that is kept was told of what is older.
        let oldest = trust.incidents(at).last().map(|(place, ..)| place);
        let behind = oldest == incidents.first().map(|one| one.place);
        let beyond = trust.incidents_from().filter(|_| behind);
        let beyond = beyond.map(|place| place.stamp);
        Ok(View::Alerts(AlertsView { incidents, beyond }))
    }

    /// Whether an agent is told of incidents: a key of the executive's tier; where the orchestra is
    /// guarded, under a token that would let it acknowledge them now.
    fn is_executive(&self, folds: &Folds, agent: &AgentId, at: Stamp) -> bool {
        let (trust, now_ms) = (&folds.trust, at.as_ms());
        let laws = trust.laws();
        let key = laws.turns().latest(*agent, Place::end_of(at));
        if laws.tier_of(&key) != Some(&Tier::Executive) {
            return false;
        }
        let (cluster, deed) = (self.config.cluster, Operations::COORDINATE);
        !laws.is_guarded(Place::end_of(at))
            || trust.tokens_of(agent).into_iter().any(|token| {
                let leaf = token.leaf();
                leaf.tier == Tier::Executive
                    && (leaf.not_before_ms..leaf.expires_ms).contains(&now_ms)
                    && !laws.ends(token, at)
                    && allows(&leaf.may, deed, cluster, folds.id()).is_ok()
            })
    }
}

fn no_executive(name: &str) -> Rejection {
    let words = format!(
        "{name} is no executive here: incidents are told to keys enrolled for that tier, and in a \
         guarded orchestra under a token of it that counts; nothing changed"
    );
    Rejection::new(Code::NotAllowed, words)
        .hint("`unisono incidents` shows the latest to everybody; `unisono token present TOKEN` lays a token down")
}
