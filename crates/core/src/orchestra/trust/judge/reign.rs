//! The root of rights at the time of a record: what it has signed, and what another one has.

use alloc::format;
use alloc::vec::Vec;

use unisono_model::{Action, AgentId, Code, Digest, Place, RootWord};

use super::{Awaited, Court, Lesson, Short, void};
use crate::capability::Verified;
use crate::orchestra::trust::roots;

impl Court<'_> {
    /// The root of a record's time.
    pub(super) fn root(&self) -> Option<AgentId> {
        let at_ms = self.fact.place.stamp.as_ms();
        self.laws().roots().at(self.rules.root, at_ms)
    }

    /// A key that is a root at another time signs nothing at this one, but who it is, and what proves
    /// itself: neither a former root, nor one whose time has not come.
    pub(super) fn root_in_its_time(&self) -> Result<(), Short> {
        let (agent, roots) = (self.fact.agent, self.laws().roots());
        let by_anybody = matches!(self.fact.body.action, Action::Enrol(_) | Action::Root(_));
        if by_anybody || self.is_root() || !roots.knows(self.rules.root, agent) {
            return Ok(());
        }
        let now = self.root().unwrap_or_default();
        let detail = format!("another key is the root of rights at that time: {now}");
        Err(void(Code::RootRotated, detail))
    }

    /// What a root has signed is offline and bears no date that could be believed: a link of a former
    /// root's counts if it was laid down while that was the root. Says which ones are by this one.
    pub(super) fn rooted_in_time(&self, token: &Verified) -> Result<Vec<Digest>, Short> {
        let roots = self.laws().roots();
        let was_root =
            |place: Place, issuer| roots.at(self.rules.root, place.stamp.as_ms()) == Some(issuer);
        let mut rooted = Vec::new();
        for (link, issuer) in signed_by_roots(token) {
            if was_root(self.fact.place, issuer) {
                rooted.push(link);
                continue;
            }
            let laid = self.laws().rooted_at(&link);
            let in_time = laid.is_some_and(|laid| was_root(laid, issuer));
            if !in_time && !self.rules.sabotage.former_root_issues {
                return Err(Short::Awaits(Awaited::Rooted(link)));
            }
        }
        Ok(rooted)
    }

    /// A word that names a root, which counts wherever it is carried: what the record is worth changes
    /// nothing about that.
    pub(super) fn root_word(&self, word: &RootWord) -> Result<Lesson, Short> {
        if roots::is_said(word, self.rules) {
            return Ok(Lesson::Nothing);
        }
        let words = "the key that names roots has not signed this, or the next root has not";
        Err(void(Code::BadSignature, words))
    }
}

/// The links of a token that a root has signed: its first one, and that of its delegation.
fn signed_by_roots(token: &Verified) -> impl Iterator<Item = (Digest, AgentId)> + '_ {
    let first = token.links().first().map(|(id, link)| (*id, link.issuer));
    let renewed = token.renewed();
    let delegated = renewed.and_then(|renewed| renewed.delegation.first().copied());
    first.into_iter().chain(delegated)
}
