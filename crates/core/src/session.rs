//! Sessions as they come in: checked offline, by what they say and by whoever signed them.

use unisono_model::wire::Malformed;
use unisono_model::{ClusterId, Code, OrchestraId, ReadSession, Rejection, SignedSession, limits};

use crate::context::Verifier;

/// Why bytes are no session of this cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSession {
    /// Bytes in another form.
    #[error("{0}")]
    Malformed(Malformed),
    /// It was made for another cluster.
    #[error("it is for another cluster")]
    Cluster,
    /// Its agent did not sign it, or with a key for which any signature is good.
    #[error("its agent has not signed it")]
    Signature,
}

impl InvalidSession {
    /// The rule's word, for verifiers in other languages.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Cluster => "cluster",
            Self::Signature => "signature",
        }
    }
}

/// A session of this cluster that its agent has signed. Made by [`examine`] alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Examined(ReadSession);

/// Checks all of a session that does not change with time. Cheap refusals come first.
///
/// # Errors
/// The first rule that it breaks. Nothing is kept of it.
pub fn examine(
    bytes: &[u8],
    cluster: ClusterId,
    verifier: &mut dyn Verifier,
) -> Result<Examined, InvalidSession> {
    let (signed, session) = SignedSession::decode(bytes).map_err(InvalidSession::Malformed)?;
    if session.cluster != cluster {
        return Err(InvalidSession::Cluster);
    }
    let id = ReadSession::id_of(&signed.body.0);
    if !verifier.verify(&session.agent.0, &id, &signed.signature) {
        return Err(InvalidSession::Signature);
    }
    Ok(Examined(session))
}

impl Examined {
    /// What it says.
    pub fn session(&self) -> &ReadSession {
        &self.0
    }

    /// Whether it counts for an orchestra at a time (ms since the Unix epoch).
    ///
    /// # Errors
    /// It is over, was made later than now, or is for another orchestra.
    pub fn counts(&self, orchestra: OrchestraId, now_ms: u64) -> Result<(), Rejection> {
        let ReadSession {
            issued_ms, ends_ms, ..
        } = self.0;
        if now_ms >= ends_ms {
            let late_ms = now_ms - ends_ms;
            let words = alloc::format!("the session ended {late_ms} ms ago, by this node's clock");
            return Err(Rejection::new(Code::SessionEnded, words)
                .hint("sign a new one; who signs must have a clock that is right to the minute"));
        }
        if issued_ms > now_ms.saturating_add(limits::SESSION_AHEAD_MS_MAX) {
            let ahead_ms = issued_ms - now_ms;
            let words = alloc::format!(
                "the session was made {ahead_ms} ms later than it is, by this node's clock"
            );
            return Err(Rejection::new(Code::SessionInvalid, words)
                .hint("set the clock of whoever signs it right, to the minute"));
        }
        if self.0.orchestra.is_some_and(|one| one != orchestra) {
            let words = "the session is for another orchestra";
            return Err(Rejection::new(Code::SessionInvalid, words)
                .hint("sign one for this orchestra, or for all"));
        }
        Ok(())
    }
}
