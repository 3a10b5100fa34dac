//! Rights at the edge: the verdict that every replica will give, given before there is a record; and
//! what is refused becomes an incident that the orchestra sees.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use unisono_model::capability::Tier;
use unisono_model::{
    Action, AgentId, Code, Digest, Enrol, Held, Incident, OrchestraId, Place, RecordBody,
    Rejection, Stamp,
};

use super::space::as_agent;
use super::{Node, limits, submit};
use crate::capability::Verified;
use crate::context::Context;
use crate::orchestra::fact::Fact;
use crate::orchestra::trust::{Binding, Lesson, Verdict, is_held_to_token};

/// A sentence within its limit: what an agent wrote may be in it.
fn shortened(detail: &str) -> String {
    let most = unisono_model::limits::REASON_BYTES_MAX;
    let end = (0..=most.min(detail.len()))
        .rev()
        .find(|end| detail.is_char_boundary(*end));
    let text = detail[..end.unwrap_or(0)].chars();
    text.filter(|c| !c.is_control()).collect()
}

/// What was refused lately, and how often since it was told last.
pub(super) type Incidents = BTreeMap<Kind, Repeated>;

/// Refusals that are told together: of one agent, by one rule.
pub(super) type Kind = (OrchestraId, AgentId, Code);

/// One kind of refusal, gathered.
#[derive(Debug)]
pub(super) struct Repeated {
    told_ms: u64,
    untold: Option<Incident>,
    /// The record that told of it last; none before the first is on disk.
    pub(super) record: Option<Digest>,
}

/// Actions under one token in the current minute.
pub(super) type TokenMinutes = BTreeMap<(OrchestraId, Digest), (u64, u16)>;

impl Node {
    /// Whether an agent may do something, and under which token its record will name it: the one
    /// that it named, or, for an agent whose key is held here, the first of its own that allows it.
    ///
    /// # Errors
    /// The rule, with what was asked and what is allowed. Nothing was done, and the orchestra is
    /// told.
    pub(super) fn check_rights(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: AgentId,
        body: &RecordBody,
    ) -> Result<Option<Digest>, Rejection> {
        let verdict = self.right(context, orchestra, agent, body);
        if let Err(rejection) = &verdict {
            self.note_incident(context, orchestra, agent, body, rejection);
        }
        verdict
    }

    fn right(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: AgentId,
        body: &RecordBody,
    ) -> Result<Option<Digest>, Rejection> {
        // What needs no token names none, and uses up nothing.
        let held_to = is_held_to_token(&body.action);
        let mut candidates = Vec::from([body.token]);
        if held_to && body.held == Held::Node && body.token.is_none() {
            candidates = self.tokens_of(orchestra, &agent);
            candidates.push(None);
        }
        let mut refused = None;
        for token in candidates {
            let rejection = match self.judged(context, orchestra, agent, body, token) {
                Verdict::Counts(_) if !held_to => return Ok(token),
                Verdict::Counts(_) => match self.in_time(context, orchestra, token) {
                    Ok(token) => return Ok(token),
                    Err(rejection) => rejection,
                },
                Verdict::Awaits(awaited) => awaited.rejection(),
                Verdict::Void(void) => void.rejection(),
            };
            refused.get_or_insert(rejection);
        }
        Err(refused.unwrap_or_else(|| Rejection::new(Code::TokenMissing, "no token")))
    }

    /// The one tier that a key is enrolled for, if it is.
    pub(super) fn bound_tier(&self, orchestra: OrchestraId, agent: &AgentId) -> Option<&Tier> {
        let space = self.spaces.get(&orchestra)?;
        match space.folds.trust.laws().binding(agent)? {
            Binding::Bound(tier) => Some(tier),
            Binding::Unbound | Binding::Contradicted => None,
        }
    }

    /// Keeps a key from being enrolled for a second tier: it would have none then, for good.
    pub(super) fn check_tier(
        &self,
        orchestra: OrchestraId,
        agent: &AgentId,
        enrol: &Enrol,
    ) -> Result<(), Rejection> {
        let space = self.spaces.get(&orchestra);
        let binding = space.and_then(|space| space.folds.trust.laws().binding(agent));
        let detail = match (binding, &enrol.tier) {
            (Some(Binding::Bound(bound)), Some(tier)) if bound != tier => alloc::format!(
                "this key is enrolled for the tier {}; for {} as well it would have neither",
                bound.word(),
                tier.word()
            ),
            (Some(Binding::Contradicted), Some(_)) => {
                String::from("this key is enrolled for two tiers, so it has none")
            }
            (None | Some(Binding::Unbound | Binding::Bound(_) | Binding::Contradicted), _) => {
                return Ok(());
            }
        };
        Err(Rejection::new(Code::TokenBinding, detail)
            .hint("a key has one tier for life: use another key, under another name"))
    }

    /// The refusal of who is enrolled under this name, with a key that this node does not hold.
    pub(super) fn held_elsewhere(&self, orchestra: OrchestraId, name: &str) -> Option<Rejection> {
        let agents = &self.spaces.get(&orchestra)?.folds.agents;
        let (_, state) = agents.named(name, Stamp::MAX)?;
        let (who, instead) = match state.held {
            Held::Node => ("another node holds", "ask that node"),
            Held::Agent => (
                "the agent holds itself",
                "sign with that key (`--key-file`)",
            ),
        };
        let words = format!("{name} is enrolled with a key that {who}; nothing changed");
        let hint = format!(
            "{instead}, or enrol the name here too, as an agent of its own: `unisono agent enrol {name}`"
        );
        Some(Rejection::new(Code::NotHeld, words).hint(hint))
    }

    pub(super) fn tokens_of(&self, orchestra: OrchestraId, agent: &AgentId) -> Vec<Option<Digest>> {
        let space = self.spaces.get(&orchestra);
        let own = space.map(|space| space.folds.trust.tokens_of(agent));
        let own = own.into_iter().flatten();
        own.map(|token| Some(token.id())).collect()
    }

    /// The verdict on a record as it would be made now under a token.
    pub(super) fn judged(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: AgentId,
        body: &RecordBody,
        token: Option<Digest>,
    ) -> Verdict {
        let fact = Fact {
            // After everything of this instant: the record will bear a later stamp.
            place: Place::end_of(self.now(context)),
            agent,
            log: self.me,
            bundle: 0,
            seq: self.chain_tip(orchestra, agent).seq + 1,
            body: RecordBody {
                token,
                ..body.clone()
            },
        };
        let mut rules = self.fold_rules();
        rules.sabotage.fences_at_the_edge_alone = false;
        match self.spaces.get(&orchestra) {
            Some(space) => space.folds.trust.judge(orchestra, &fact, &rules),
            // Nothing was ever said there.
            None => Verdict::Counts(Lesson::Nothing),
        }
    }

    /// Whether the token's share of this minute is not used up.
    fn in_time(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        token: Option<Digest>,
    ) -> Result<Option<Digest>, Rejection> {
        let Some(id) = token else { return Ok(None) };
        let space = self.spaces.get(&orchestra);
        let known = space.and_then(|space| space.folds.trust.token(&id));
        let most = known.map_or(0, |token| token.leaf().may.actions_per_minute_max);
        // A renewal brings no share of its own.
        let id = known.map_or(id, Verified::link);
        let minute = context.now_ms() / 60_000;
        let count = self.token_minutes.entry((orchestra, id)).or_default();
        if count.0 != minute {
            *count = (minute, 0);
        }
        if count.1 >= most {
            let wait_ms = (minute + 1) * 60_000 - context.now_ms();
            return Err(Rejection::new(
                Code::TokenRate,
                alloc::format!("this token allows {most} actions a minute here"),
            )
            .hint("wait, or ask for a token with a higher rate")
            .retry_after(wait_ms));
        }
        count.1 += 1;
        Ok(token)
    }

    /// Somebody who is known here was refused: told at once, and then once for all that comes
    /// within [`limits::INCIDENT_EVERY_MS`].
    pub(super) fn note_incident(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: AgentId,
        body: &RecordBody,
        rejection: &Rejection,
    ) {
        let deed = body.action.name().to_string();
        self.note_refusal(context, orchestra, (agent, body.token), deed, rejection);
    }

    /// The same, of whatever was asked.
    pub(super) fn note_refusal(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        (agent, token): (AgentId, Option<Digest>),
        deed: String,
        rejection: &Rejection,
    ) {
        // What has not been shown yet is no misdeed: whoever asks lays it down and asks again.
        if rejection.code == Code::TokenUnknown {
            return;
        }
        let space = self.spaces.get(&orchestra);
        // Strangers add to the rejections that are counted and leave no other trace: else anybody could
        // fill every disk.
        if !space.is_some_and(|space| space.folds.is_enrolled(&agent)) {
            return;
        }
        let now_ms = context.now_ms();
        let mut key = (orchestra, agent, rejection.code);
        let mut incident = Incident {
            agent,
            token,
            deed,
            rule: rejection.code.as_str().to_string(),
            detail: shortened(&rejection.detail),
            times: 1,
        };
        let full = self.incidents.len() >= limits::INCIDENT_KINDS_MAX;
        if full && !self.incidents.contains_key(&key) {
            // Whoever has many agents refused at once hides nobody behind them: who else was is
            // counted together.
            let own = as_agent(self.me.node);
            key = (orchestra, own, Code::Busy);
            incident = Incident {
                agent: own,
                token: None,
                deed: "others".into(),
                rule: "others".into(),
                detail: "of too many kinds at once to be told one by one".into(),
                times: 1,
            };
        }
        self.refusals.noted = Some(key);
        let Some(known) = self.incidents.get_mut(&key) else {
            let repeated = Repeated {
                told_ms: now_ms,
                untold: None,
                record: None,
            };
            self.incidents.insert(key, repeated);
            self.tell_incident(context, orchestra, incident);
            return;
        };
        let untold = known.untold.get_or_insert(Incident {
            times: 0,
            ..incident.clone()
        });
        *untold = Incident {
            times: untold.times.saturating_add(1),
            ..incident
        };
    }

    /// Tells what has gathered, and forgets what has been quiet.
    pub(super) fn tell_incidents(&mut self, context: &Context<'_>) {
        let now_ms = context.now_ms();
        let mut due = Vec::new();
        self.incidents.retain(|(orchestra, ..), repeated| {
            if now_ms < repeated.told_ms + limits::INCIDENT_EVERY_MS {
                return true;
            }
            repeated.told_ms = now_ms;
            let untold = repeated.untold.take();
            let again = untold.is_some();
            due.extend(untold.map(|incident| (*orchestra, incident)));
            again
        });
        for (orchestra, incident) in due {
            self.tell_incident(context, orchestra, incident);
        }
        let minute = now_ms / 60_000;
        self.token_minutes.retain(|_, (at, _)| *at == minute);
    }

    fn tell_incident(&mut self, context: &Context<'_>, orchestra: OrchestraId, incident: Incident) {
        self.enrol_self(context, orchestra);
        let made = Self::own_record(context, orchestra, Action::Incident(incident));
        self.queue.push_back(made);
    }

    /// Whether an agent may change notes and configuration, which are no records: in a guarded
    /// orchestra only one whose key is held here, under a token that lets it coordinate.
    pub(super) fn check_editor(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        name: &str,
    ) -> Result<(), Rejection> {
        let guarded = self.spaces.get(&orchestra).is_some_and(|space| {
            let laws = space.folds.trust.laws();
            laws.guarded_from().is_some()
        });
        if !guarded {
            return Ok(());
        }
        let agent = self.held_agent(orchestra, name);
        // What an edit would be if it were a record: a word about the work.
        let remark = Action::Release {
            topic: String::from(name),
            claim: Digest::default(),
        };
        let body = submit::body(context, Held::Node, 1, None, remark);
        self.check_rights(context, orchestra, agent, &body)
            .map(drop)
    }
}
