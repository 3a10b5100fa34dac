//! Which invites there are, and whom they have let in: what every holder of the authority's key goes
//! by.
//!
//! A word counts if an authority that this cluster knows has signed it before its end, and a use if it
//! was said before the end of its invite. Of each node that carries words the latest are kept, whoever
//! signed them: so which are kept follows from the set of records alone, and nobody pushes out what
//! others carry. Of several uses of one invite, by nodes that were admitted, the one of the lowest rank
//! counts ([`InviteUse::rank`]); who came by another one is *outdone*. A node that was let in and never
//! came outdoes nobody: perhaps its answer was lost, and it began anew with another key.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{
    AuthorityId, ClusterId, Digest, InviteKey, InviteUse, InviteWord, NodeId, Place, Stamp,
};

use super::FoldRules;
use super::authorities::Authorities;
use super::limits::{
    INVITE_LATE_MS_MAX, INVITE_LIFE_MS_MAX, INVITE_USES_KEPT_MAX, INVITES_KEPT_MAX,
};
use super::view::InviteView;
use carried::Carried;
use known::Known;

mod carried;
mod known;

/// The fold over invites and their uses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Invites {
    made: BTreeMap<NodeId, Carried<InviteWord>>,
    used: BTreeMap<NodeId, Carried<InviteUse>>,
    /// Derived: the authorities whose words count.
    #[serde(skip)]
    known: Option<Known>,
    /// Derived: the words that count, by invite.
    #[serde(skip)]
    about: BTreeMap<InviteKey, About>,
    /// Derived: the invites by which each node was let in.
    #[serde(skip)]
    came_by: BTreeMap<NodeId, BTreeSet<InviteKey>>,
    /// Derived: what each invite has come to.
    #[serde(skip)]
    standing: BTreeMap<InviteKey, Judged>,
    /// Derived: the nodes that came by a use which does not count, and who did instead.
    #[serde(skip)]
    outdone: BTreeMap<NodeId, BTreeMap<InviteKey, NodeId>>,
}

/// Why a node is to leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outdone {
    /// The invite that it came by.
    pub invite: InviteKey,
    /// The node that the invite has let in.
    pub by: NodeId,
}

/// What words on invites are held against.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The authorities that a root has named.
    pub authorities: &'a Authorities,
    /// Whether a node was ever admitted.
    pub admitted: &'a dyn Fn(&NodeId) -> bool,
    /// The rules of the cluster.
    pub rules: &'a FoldRules,
}

/// The words that count about one invite, by what they say and by who carries them.
#[derive(Clone, Debug, Default)]
struct About {
    made: BTreeMap<(Digest, NodeId), Made>,
    used: BTreeMap<(Digest, NodeId), Used>,
}

/// What an invite has come to.
#[derive(Clone, Debug)]
struct Judged {
    view: InviteView,
    /// Who came by a use that does not count.
    outdone: BTreeSet<NodeId>,
}

#[derive(Clone, Copy, Debug)]
struct Made {
    ends_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Used {
    by: NodeId,
    at: Stamp,
}

impl Invites {
    /// Takes in that an invite was made.
    pub fn insert(&mut self, carrier: NodeId, place: Place, word: &InviteWord, around: Around<'_>) {
        let said = what_is_said(word, around.rules.cluster);
        let own = self.made.entry(carrier).or_default();
        if let Some((gone, word)) = own.keep(said, place, *word, INVITES_KEPT_MAX) {
            self.hear_made(carrier, gone, word.invite, around);
        }
        self.hear_made(carrier, said, word.invite, around);
    }

    /// Takes in that an invite was used.
    pub fn insert_use(
        &mut self,
        carrier: NodeId,
        place: Place,
        word: &InviteUse,
        around: Around<'_>,
    ) {
        let used_by = self.of(&word.invite).and_then(|one| one.used_by);
        if around.rules.sabotage.invite_by_arrival && used_by.is_some_and(|by| by != word.node) {
            return;
        }
        let rank = word.rank(around.rules.cluster);
        let own = self.used.entry(carrier).or_default();
        if let Some((gone, word)) = own.keep(rank, place, *word, INVITE_USES_KEPT_MAX) {
            self.hear_use(carrier, gone, word.invite, around);
        }
        self.hear_use(carrier, rank, word.invite, around);
    }

    /// A node was admitted that was not before.
    pub fn admitted(&mut self, node: &NodeId, around: Around<'_>) {
        for invite in self.came_by.get(node).cloned().unwrap_or_default() {
            self.judge(invite, around);
        }
    }

    /// Derives what the words come to: after loading, and after each word of an authority.
    pub fn derive(&mut self, around: Around<'_>) {
        let (made, used) = (
            core::mem::take(&mut self.made),
            core::mem::take(&mut self.used),
        );
        *self = Self {
            made,
            used,
            ..Self::default()
        };
        let words = self.made.iter().flat_map(|(carrier, own)| {
            own.iter()
                .map(|(said, word)| (*carrier, *said, word.invite))
        });
        for (carrier, said, invite) in words.collect::<Vec<_>>() {
            self.note_made(carrier, said, invite, around);
        }
        let words = self.used.iter().flat_map(|(carrier, own)| {
            own.iter()
                .map(|(rank, word)| (*carrier, *rank, word.invite))
        });
        for (carrier, rank, invite) in words.collect::<Vec<_>>() {
            self.note_use(carrier, rank, invite, around);
        }
        let invites: Vec<InviteKey> = self.about.keys().copied().collect();
        for invite in invites {
            self.judge(invite, around);
        }
    }

    fn hear_made(&mut self, carrier: NodeId, said: Digest, invite: InviteKey, around: Around<'_>) {
        self.note_made(carrier, said, invite, around);
        self.judge(invite, around);
    }

    fn hear_use(&mut self, carrier: NodeId, rank: Digest, invite: InviteKey, around: Around<'_>) {
        self.note_use(carrier, rank, invite, around);
        self.judge(invite, around);
    }

    /// Notes the word that a carrier says, or that it says it no more.
    fn note_made(&mut self, carrier: NodeId, said: Digest, invite: InviteKey, around: Around<'_>) {
        let known = known(&mut self.known, around);
        let word = self.made.get(&carrier).and_then(|own| own.get(&said));
        let counts = word.filter(|(place, word)| known.speaks(&word.authority, place.stamp));
        let about = self.about.entry(invite).or_default();
        match counts {
            Some((place, word)) => {
                let most_ms = place.stamp.as_ms().saturating_add(INVITE_LIFE_MS_MAX);
                let ends_ms = word.expires_ms.min(most_ms);
                about.made.insert((said, carrier), Made { ends_ms });
            }
            None => drop(about.made.remove(&(said, carrier))),
        }
    }

    fn note_use(&mut self, carrier: NodeId, rank: Digest, invite: InviteKey, around: Around<'_>) {
        let known = known(&mut self.known, around);
        let word = self.used.get(&carrier).and_then(|own| own.get(&rank));
        let counts = word.filter(|(place, word)| {
            // The founder came by no invite, whatever somebody signs.
            known.speaks(&word.authority, place.stamp) && word.node != around.rules.founder
        });
        let about = self.about.entry(invite).or_default();
        if let Some((place, word)) = counts {
            let (by, at) = (word.node, place.stamp);
            about.used.insert((rank, carrier), Used { by, at });
            self.came_by.entry(by).or_default().insert(invite);
            return;
        }
        let gone = about.used.remove(&(rank, carrier)).map(|used| used.by);
        let gone = gone.filter(|by| about.used.values().all(|used| used.by != *by));
        if let Some(invites) = gone.and_then(|by| self.came_by.get_mut(&by)) {
            invites.remove(&invite);
        }
    }

    /// Judges one invite by the words that count.
    fn judge(&mut self, invite: InviteKey, around: Around<'_>) {
        let before = self.standing.remove(&invite);
        for node in before.into_iter().flat_map(|judged| judged.outdone) {
            if let Some(invites) = self.outdone.get_mut(&node) {
                invites.remove(&invite);
                if invites.is_empty() {
                    self.outdone.remove(&node);
                }
            }
        }
        let Some(about) = self.about.get(&invite).filter(|about| !about.is_empty()) else {
            self.about.remove(&invite);
            return;
        };
        let in_time: Vec<NodeId> = about.in_time().collect();
        let came = in_time.iter().find(|node| (around.admitted)(node)).copied();
        let view = InviteView {
            expires_ms: about.expires_ms(),
            used_by: came.or(in_time.first().copied()),
        };
        let mut outdone = BTreeSet::new();
        if let Some(by) = came {
            outdone.extend(in_time.into_iter().filter(|node| *node != by));
            for node in &outdone {
                self.outdone.entry(*node).or_default().insert(invite, by);
            }
        }
        self.standing.insert(invite, Judged { view, outdone });
    }

    /// What an invite has come to; none if nothing is known of it.
    pub fn of(&self, invite: &InviteKey) -> Option<&InviteView> {
        self.standing.get(invite).map(|judged| &judged.view)
    }

    /// How many invites let somebody in still (ms since the Unix epoch).
    pub fn open(&self, now_ms: u64) -> usize {
        let open = |one: &&InviteView| one.used_by.is_none() && one.expires_ms > Some(now_ms);
        let views = self.standing.values().map(|judged| &judged.view);
        views.filter(open).count()
    }

    /// Why a node is to leave: a use of an invite that does not count is what it came by.
    pub fn outdone(&self, node: &NodeId) -> Option<Outdone> {
        let (invite, by) = self.outdone.get(node)?.first_key_value()?;
        Some(Outdone {
            invite: *invite,
            by: *by,
        })
    }

    /// The nodes that are to leave.
    pub fn all_outdone(&self) -> impl Iterator<Item = &NodeId> {
        self.outdone.keys()
    }
}

impl About {
    fn is_empty(&self) -> bool {
        self.made.is_empty() && self.used.is_empty()
    }

    /// Of several words the earliest end stands (ms since the Unix epoch).
    fn expires_ms(&self) -> Option<u64> {
        self.made.values().map(|made| made.ends_ms).min()
    }

    /// Whom it let in before its end, the lowest rank first. One that nobody has made known ends as
    /// long after its first use as one lasts at the most.
    fn in_time(&self) -> impl Iterator<Item = NodeId> {
        let first = self.used.values().map(|used| used.at.as_ms()).min();
        let ends_ms = self
            .expires_ms()
            .or(first.map(|ms| ms.saturating_add(INVITE_LIFE_MS_MAX)));
        let last_ms = ends_ms.map_or(0, |ms| ms.saturating_add(INVITE_LATE_MS_MAX));
        let in_time = self
            .used
            .values()
            .filter(move |used| used.at.as_ms() <= last_ms);
        in_time.map(|used| used.by)
    }
}

/// Whether an authority is one whose words on invites count at a stamp.
pub fn speaks(
    authorities: &Authorities,
    rules: &FoldRules,
    authority: &AuthorityId,
    at: Stamp,
) -> bool {
    Known::new(authorities, rules).speaks(authority, at)
}

fn known<'a>(known: &'a mut Option<Known>, around: Around<'_>) -> &'a Known {
    known.get_or_insert_with(|| Known::new(around.authorities, around.rules))
}

/// What tells one word of an invite's making from another one.
fn what_is_said(word: &InviteWord, cluster: ClusterId) -> Digest {
    let signature = word.signature.to_bytes();
    let proof = word.proof(cluster);
    Digest::of("unisono/invite-word/v1", &[&proof.0, &signature])
}
