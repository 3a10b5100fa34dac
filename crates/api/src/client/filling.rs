//! What an action leaves out, and the node knows: durations, the claim, the heads that a change replaces,
//! what a content measures.

use std::collections::BTreeMap;

use unisono_model::{Action, AgentId, Code, Digest, Field};

use super::agent::{Chain, Inner};
use super::{ClientError, Reply, SigningAgent};
use crate::dto::{ActionBody, Claim, LeadsShown, MeasureBody, Session};

impl SigningAgent {
    /// The action with what was left out. Its token is laid down before where that may be read under it
    /// alone.
    pub(super) async fn filled(
        &self,
        body: &ActionBody,
        claims: &BTreeMap<String, Digest>,
        chain: &mut Chain,
        presented: &mut bool,
    ) -> Result<Action, ClientError> {
        match self.fill(body, claims, &chain.session).await {
            Err(refused) if refused.is_code(Code::TokenUnknown) && !*presented => {
                *presented = self.present(chain).await?.is_none();
                self.fill(body, claims, &chain.session).await
            }
            filled => filled,
        }
    }

    /// The action with what was left out: durations, the claim, the heads that a change replaces.
    async fn fill(
        &self,
        body: &ActionBody,
        claims: &BTreeMap<String, Digest>,
        session: &Session,
    ) -> Result<Action, ClientError> {
        let Inner {
            client, orchestra, ..
        } = &*self.inner;
        let filling = match body.missing() {
            Some(setting) => {
                let settings = client.settings(orchestra).await?.body.settings;
                settings
                    .get(&setting)
                    .copied()
                    .unwrap_or_else(|| setting.default_value())
            }
            None => 0,
        };
        let mut action = body.clone().into_action(filling);
        match &mut action {
            Action::Renew { topic, claim, .. } | Action::Release { topic, claim }
                if *claim == Digest::default() =>
            {
                *claim = match claims.get(topic) {
                    Some(known) => *known,
                    None => self.find_claim(topic, session).await?,
                };
            }
            // What its content measures is for a node to say, and which plan stands.
            Action::Write(write) => {
                let Some(content) = content_of(body)? else {
                    write.plan = client
                        .plan(orchestra)
                        .await?
                        .body
                        .record
                        .unwrap_or_default();
                    return Ok(action);
                };
                let body = MeasureBody::new(&write.path, &content);
                let measured = client.measure_content(orchestra, &body).await?.body;
                write.plan = measured.plan.unwrap_or_default();
                write.content = Some(measured.content.into());
            }
            Action::Cue(cue) if cue.window_ms == 0 => {
                cue.window_ms = self.find_window_ms(&cue.parties).await?;
            }
            Action::Task(change) => {
                let heads = match client.task(orchestra, &change.task).await {
                    Ok(task) => task.body.heads,
                    Err(error) if error.is_code(Code::TaskUnknown) => Vec::new(),
                    Err(error) => return Err(error),
                };
                for field in &mut change.fields {
                    let wanted = field.value.field();
                    // Remarks are never replaced.
                    let heads = heads.iter().filter(|heads| {
                        wanted != Field::Remark && heads.field().as_ref() == Some(&wanted)
                    });
                    field.replaces = heads.flat_map(|heads| heads.records.clone()).collect();
                }
            }
            _ => {}
        }
        Ok(action)
    }

    /// The window within which those who are meant act (ms): everybody, where nobody is.
    async fn find_window_ms(&self, parties: &[AgentId]) -> Result<u32, ClientError> {
        let Inner {
            client, orchestra, ..
        } = &*self.inner;
        let agents: Vec<String> = parties.iter().map(ToString::to_string).collect();
        let agents = agents.join(",");
        let of: &[(&str, &str)] = if parties.is_empty() {
            &[("limit", "1")]
        } else {
            &[("agents", &agents), ("limit", "1")]
        };
        let leads: Reply<LeadsShown> = client.read(orchestra, "leads", of).await?;
        Ok(u32::try_from(leads.body.window_ms).unwrap_or(u32::MAX))
    }

    async fn find_claim(&self, topic: &str, session: &Session) -> Result<Digest, ClientError> {
        let Inner {
            client, orchestra, ..
        } = &*self.inner;
        let claims: Reply<crate::dto::Claims> = client
            .read(orchestra, "claims", &[("topic", topic)])
            .await?;
        let held = claims.body.claims.iter().find_map(|claim: &Claim| {
            let lost = claim.losers.iter().find(|lost| session.is_own(lost.agent));
            let mine = session.is_own(claim.agent).then_some(claim.claim);
            mine.or(lost.map(|lost| lost.claim))
        });
        held.ok_or_else(|| {
            ClientError::Usage(format!(
                "this agent has no claim on {topic:?} that could be changed"
            ))
        })
    }
}

pub(super) fn content_of(body: &ActionBody) -> Result<Option<Vec<u8>>, ClientError> {
    match body {
        ActionBody::Write(write) => write
            .content()
            .map_err(|words| ClientError::Usage(words.to_owned())),
        _ => Ok(None),
    }
}
