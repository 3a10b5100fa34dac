//! Whether somebody may look at an orchestra: asked at the edge, of what is held now. No replica asks
//! it of any other, since whoever holds the records has read them.

use alloc::format;

use unisono_model::{OrchestraId, Place};

use super::{Awaited, Code, Digest, Short, Trust, Verdict, void};
use crate::capability::allows_read;
use crate::orchestra::FoldRules;
use crate::orchestra::fact::Fact;

impl Trust {
    /// The verdict on reading, by the agent of a fact and under the token that it names, at its place.
    /// The fact stands behind everything of its chain, so each fence that is about it cuts it off.
    pub fn may_read(&self, orchestra: OrchestraId, fact: &Fact, rules: &FoldRules) -> Verdict {
        let court = self.court(orchestra, fact, rules);
        // The root needs to see what it ends, and no token is above it.
        if court.is_root() {
            return Verdict::Counts(super::Lesson::Nothing);
        }
        let verdict = court
            .root_in_its_time()
            .and_then(|()| court.key_not_fenced())
            .and_then(|()| court.key_not_rotated())
            .and_then(|()| court.reading(fact.body.token, fact.place));
        match verdict {
            Ok(()) => Verdict::Counts(super::Lesson::Nothing),
            Err(Short::Awaits(awaited)) => Verdict::Awaits(awaited),
            Err(Short::Void(void)) => Verdict::Void(void),
        }
    }
}

impl super::Court<'_> {
    fn reading(&self, token: Option<Digest>, place: Place) -> Result<(), Short> {
        if self.laws().binding(&self.fact.agent).is_none() {
            return Err(Short::Awaits(Awaited::Enrolment(self.fact.agent)));
        }
        let Some(id) = token else {
            if self.laws().is_guarded(place) {
                return Err(void(
                    Code::TokenMissing,
                    "this orchestra is guarded, and who reads it names no token",
                ));
            }
            return Ok(());
        };
        let token = self.token(id)?;
        allows_read(&token.leaf().may, self.rules.cluster, self.orchestra).map_err(|denied| {
            let (asked, allowed) = (denied.asked, denied.allowed);
            void(
                denied.code,
                format!("asked: {asked}; the token allows: {allowed}"),
            )
        })?;
        self.not_fenced(Some(token), false)
    }
}
