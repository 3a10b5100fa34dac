//! What has become of this node's membership, kept in its directory (`standing.json`): a node that was
//! removed is told so by those who turn it away, and nobody can ask it later what that was.
//!
//! It is a memory, not a rule: whoever reads it says it, and nothing is refused because of it.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use unisono_model::NodeId;

use crate::home::{self, Home, replace};
use crate::limits::STANDING_BYTES_MAX;
use crate::small_file;

/// The file.
pub(crate) const STANDING_FILE: &str = "standing.json";

/// What has become of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// It has left, and others hold what it held.
    Left,
    /// Its root has removed it, as its own records say.
    Removed,
    /// Its invite has let in another node, which counts.
    InviteOutdone,
    /// Another node closes its door to it.
    TurnedAway,
    /// Whoever signs certificates says that it is no member.
    NotMember,
}

/// What is remembered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// In a word.
    pub(crate) word: Word,
    /// In a sentence, as it was told.
    pub(crate) detail: String,
    /// Who told it, where somebody did.
    pub(crate) by: Option<NodeId>,
    /// When it was written down (ms since 1970, by this machine's clock).
    pub(crate) at_ms: u64,
}

impl Word {
    /// What to do about it.
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            Self::Left => {
                "nothing, if that was meant; `unisono serve` makes this machine a member again"
            }
            Self::Removed | Self::TurnedAway | Self::NotMember => {
                "`unisono members` at a node that stays says what became of it; where it was removed, this \
                 machine comes back by an invite, as a new node with a directory of its own"
            }
            Self::InviteOutdone => {
                "to bring this machine back, join anew with another invite and a directory of its own; \
                 others hold what this node held"
            }
        }
    }

    /// Whether another one takes its place: what the cluster's records say tells more than a closed door.
    const fn weight(self) -> u8 {
        match self {
            Self::TurnedAway => 0,
            Self::NotMember => 1,
            Self::Left => 2,
            Self::Removed | Self::InviteOutdone => 3,
        }
    }
}

/// What is remembered in a directory, if it can be read.
pub(crate) fn of(home: &Home) -> Option<Standing> {
    let text = small_file::text(&path(home), STANDING_BYTES_MAX).ok()?;
    serde_json::from_str(&text).ok()
}

/// Remembers it, unless as much is remembered already. Without room for it nobody is worse off.
pub(crate) fn remember(home: &Home, word: Word, by: Option<NodeId>, detail: &str) {
    let known = of(home).map(|known| known.word.weight());
    if known.is_some_and(|known| known >= word.weight()) {
        return;
    }
    let standing = Standing {
        word,
        detail: detail.chars().take(1024).collect(),
        by,
        at_ms: home::now_ms(),
    };
    let written = serde_json::to_string(&standing)
        .map_err(std::io::Error::other)
        .and_then(|text| replace(&path(home), &(text + "\n")));
    if let Err(error) = written {
        tracing::warn!(%error, "what became of this node's membership could not be written down");
    }
}

/// Forgets what was remembered, if it is this: it holds no longer.
pub(crate) fn forget(home: &Home, is_over: impl FnOnce(&Standing) -> bool) {
    if of(home).is_some_and(|standing| is_over(&standing)) {
        // What stays is written over, or said once too often.
        let _ = fs::remove_file(path(home));
    }
}

fn path(home: &Home) -> PathBuf {
    home.directory().join(STANDING_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_more_takes_the_place_of_what_tells_less_and_not_the_other_way() {
        let place = tempfile::tempdir().expect("a place to write");
        let home = Home::new(place.path());
        let word = || of(&home).map(|standing| standing.word);
        assert_eq!(word(), None);
        remember(&home, Word::TurnedAway, Some(NodeId::default()), "a door");
        assert_eq!(word(), Some(Word::TurnedAway));
        remember(&home, Word::Removed, None, "the root's word");
        remember(&home, Word::NotMember, None, "less");
        assert_eq!(word(), Some(Word::Removed));
        forget(&home, |standing| standing.word == Word::TurnedAway);
        assert_eq!(word(), Some(Word::Removed));
        forget(&home, |standing| standing.word == Word::Removed);
        assert_eq!(word(), None);
    }
}
