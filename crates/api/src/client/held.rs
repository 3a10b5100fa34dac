//! The capability token that an agent acts under, renewed while it counts.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use unisono_model::capability::Token;
use unisono_model::wire::Blob;
use unisono_model::{Action, AgentId, ClusterId, Digest};

use super::agent::Inner;
use super::{ClientError, SigningAgent};
use crate::dto::token_text;

/// Into how many parts of its life a token's renewal is tried again after one that failed.
const TRIES_IN_A_LIFE: u64 = 16;

/// A token with what its bytes say of its time.
#[derive(Clone, Debug)]
pub(super) struct HeldToken {
    /// Its name.
    pub(super) id: Digest,
    /// Whom it is for.
    pub(super) audience: AgentId,
    /// The cluster that it counts in.
    pub(super) cluster: ClusterId,
    /// The tier that its agent enrols for.
    pub(super) tier: String,
    pub(super) bytes: Blob,
    from_ms: u64,
    expires_ms: u64,
    renew_until_ms: u64,
    /// Not before then (ms): a node has refused, or was not there.
    next_ms: u64,
    /// Where it is kept.
    file: Option<PathBuf>,
}

impl HeldToken {
    pub(super) fn read(bytes: Vec<u8>) -> Result<Self, ClientError> {
        let none = |words: String| ClientError::Usage(format!("no token: {words}"));
        let (token, links) = Token::decode(&bytes).map_err(|error| none(error.to_string()))?;
        let renewal = token.renewal().map_err(|error| none(error.to_string()))?;
        let leaf = links.last().ok_or_else(|| none("it has no link".into()))?;
        let (from_ms, expires_ms) = match &renewal {
            Some(renewal) => (renewal.from_ms, renewal.expires_ms),
            None => (leaf.not_before_ms, leaf.expires_ms),
        };
        Ok(Self {
            id: token.id(),
            audience: leaf.audience,
            cluster: leaf.cluster,
            tier: leaf.tier.word().to_owned(),
            from_ms,
            expires_ms,
            renew_until_ms: leaf.renew_until_ms,
            next_ms: 0,
            file: None,
            bytes: Blob(bytes),
        })
    }

    pub(super) fn keep_in(&mut self, file: PathBuf) {
        self.file = Some(file);
    }

    /// Whether it is time to have it renewed: half of its life is over, and it may be.
    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        let half_ms = self.from_ms / 2 + self.expires_ms / 2;
        let renewable = self.renew_until_ms > self.expires_ms;
        renewable && (half_ms.max(self.next_ms)..self.expires_ms).contains(&now_ms)
    }

    /// It was not renewed: later again.
    pub(super) fn put_off(&mut self, now_ms: u64) {
        let life_ms = self.expires_ms.saturating_sub(self.from_ms);
        self.next_ms = now_ms + life_ms / TRIES_IN_A_LIFE;
    }

    /// The renewed one takes its place, in its file too, if it has one.
    pub(super) fn replace(&mut self, bytes: Vec<u8>) -> Result<(), ClientError> {
        let mut renewed = Self::read(bytes)?;
        if renewed.audience != self.audience {
            return Err(ClientError::Unreadable("another agent's token".to_owned()));
        }
        renewed.file = self.file.take();
        *self = renewed;
        // Where it cannot be kept, the next one to begin with the file has it renewed again.
        let _ = self.file.as_ref().map(|file| self.keep(file));
        Ok(())
    }

    fn keep(&self, file: &PathBuf) -> std::io::Result<()> {
        let mut aside = file.clone().into_os_string();
        aside.push(format!(".{}.temp", std::process::id()));
        let text = token_text(&self.bytes.0) + "\n";
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let mut written = options.open(&aside)?;
        written.write_all(text.as_bytes())?;
        written.sync_all()?;
        std::fs::rename(&aside, file)
    }
}

impl SigningAgent {
    /// The same agent, whose token is written into this file whenever it was renewed.
    #[must_use]
    pub fn keeping_token_in(self, file: PathBuf) -> Self {
        if let Some(token) = &mut *self.token() {
            token.keep_in(file);
        }
        self
    }

    pub(super) fn token(&self) -> MutexGuard<'_, Option<HeldToken>> {
        let token = self.inner.token.lock();
        token.unwrap_or_else(PoisonError::into_inner)
    }

    /// Has its token renewed where half of its life is over. A node that refuses, or that nobody can
    /// reach, is no reason not to act: while the token counts, it counts.
    pub(super) async fn renew_token(&self) {
        let now_ms = wall_ms();
        let due = self
            .token()
            .as_ref()
            .filter(|token| token.is_due(now_ms))
            .map(|token| token.bytes.clone());
        let Some(bytes) = due else { return };
        let Inner {
            client, orchestra, ..
        } = &*self.inner;
        let renewed = client.renew_token(orchestra, &bytes).await;
        if let Some(token) = &mut *self.token() {
            let taken = renewed.and_then(|reply| token.replace(reply.body.token.0));
            match (taken, client.reader()) {
                (Ok(()), Some(reader)) => reader.under(token.id),
                (Ok(()), None) => {}
                (Err(_), _) => token.put_off(now_ms),
            }
        }
    }

    /// The token that a record of this action names: what introduces an agent or its token names
    /// none.
    pub(super) fn names_token(&self, action: &Action) -> Option<Digest> {
        let free = matches!(
            action,
            Action::Enrol(_)
                | Action::Present(_)
                | Action::Guard
                | Action::Remove(_)
                | Action::Rotate(_)
                | Action::Succeed(_)
                | Action::Root(_)
        );
        self.token()
            .as_ref()
            .map(|token| token.id)
            .filter(|_| !free)
    }
}

pub(super) fn wall_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
