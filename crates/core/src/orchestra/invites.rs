//! Which invites there are, and whom they have let in: what every holder of the authority's key goes
//! by.
//!
//! A word counts if an authority that this cluster knows has signed it before its end. Of each node
//! that carries words the latest are kept, whoever signed them: so which are kept follows from the
//! set of records alone, and nobody pushes out what others carry. Of several uses of one invite the
//! one of the lowest rank counts ([`InviteUse::rank`]); whoever came by another one is *outdone*.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{
    AuthorityId, Digest, InviteKey, InviteUse, InviteWord, NodeId, Place, Stamp, SuccessionWord,
};

use super::FoldRules;
use super::authorities::Authorities;
use super::limits::{INVITE_LIFE_MS_MAX, INVITE_USES_KEPT_MAX, INVITES_KEPT_MAX};
use super::view::InviteView;

/// Words of one kind, by the node that carries them.
type Carried<T> = BTreeMap<NodeId, BTreeMap<Place, T>>;

/// The fold over invites and their uses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Invites {
    made: Carried<InviteWord>,
    used: Carried<InviteUse>,
    /// Derived: what each invite has come to.
    #[serde(skip)]
    standing: BTreeMap<InviteKey, InviteView>,
    /// Derived: the nodes that came by a use which does not count.
    #[serde(skip)]
    outdone: BTreeMap<NodeId, Outdone>,
}

/// Why a node is to leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outdone {
    /// The invite that it came by.
    pub invite: InviteKey,
    /// The node that the invite has let in.
    pub by: NodeId,
}

impl Invites {
    /// Takes in that an invite was made.
    pub fn insert(&mut self, carrier: NodeId, place: Place, word: &InviteWord) {
        keep(&mut self.made, carrier, place, *word, INVITES_KEPT_MAX);
    }

    /// Takes in that an invite was used.
    pub fn insert_use(&mut self, carrier: NodeId, place: Place, word: &InviteUse) {
        keep(&mut self.used, carrier, place, *word, INVITE_USES_KEPT_MAX);
    }

    /// Derives what the words come to: after loading, and after each word of an invite or of an
    /// authority.
    pub fn derive(&mut self, authorities: &Authorities, rules: &FoldRules) {
        let known = Known::new(authorities, rules);
        self.standing.clear();
        let made = self.made.values().flatten();
        for (place, word) in made.filter(|(place, word)| known.counts(&word.authority, place)) {
            let most_ms = place.stamp.as_ms().saturating_add(INVITE_LIFE_MS_MAX);
            let one = self.standing.entry(word.invite).or_default();
            // Of several words about one invite the earliest end stands.
            let ends_ms = word.expires_ms.min(most_ms);
            one.expires_ms = Some(one.expires_ms.map_or(ends_ms, |other| other.min(ends_ms)));
        }
        let mut ranked: BTreeMap<InviteKey, BTreeMap<Digest, NodeId>> = BTreeMap::new();
        let used = self.used.values().flatten();
        for (_, word) in used.filter(|(place, word)| known.counts(&word.authority, place)) {
            let uses = ranked.entry(word.invite).or_default();
            uses.insert(word.rank(rules.cluster), word.node);
        }
        self.outdone.clear();
        for (invite, uses) in ranked {
            let Some(by) = uses.first_key_value().map(|(_, node)| *node) else {
                continue;
            };
            self.standing.entry(invite).or_default().used_by = Some(by);
            // The founder came by no invite, whatever somebody signs.
            let others = uses
                .values()
                .filter(|node| **node != by && **node != rules.founder);
            let outdone = others.map(|node| (*node, Outdone { invite, by }));
            self.outdone.extend(outdone);
        }
    }

    /// What an invite has come to; none if nothing is known of it.
    pub fn of(&self, invite: &InviteKey) -> Option<&InviteView> {
        self.standing.get(invite)
    }

    /// How many invites let somebody in still (ms since the Unix epoch).
    pub fn open(&self, now_ms: u64) -> usize {
        let open = |one: &&InviteView| one.used_by.is_none() && one.expires_ms > Some(now_ms);
        self.standing.values().filter(open).count()
    }

    /// The nodes that came by a use of an invite which does not count.
    pub fn outdone(&self) -> &BTreeMap<NodeId, Outdone> {
        &self.outdone
    }
}

fn keep<T>(all: &mut Carried<T>, carrier: NodeId, place: Place, word: T, most: usize) {
    let own = all.entry(carrier).or_default();
    own.insert(place, word);
    if own.len() > most {
        own.pop_first();
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

/// The authorities that there were, each with its number and its end.
struct Known {
    ends_ms: BTreeMap<AuthorityId, Option<u64>>,
}

impl Known {
    fn new(authorities: &Authorities, rules: &FoldRules) -> Self {
        let words = || authorities.all().map(|said| &said.word);
        let first = words().filter(|word| word.number == 1);
        // Whose place the first one takes made the cluster: whoever joined later knows it by that.
        let founding = first.map(|word| word.former).chain(rules.authority);
        let ranks = founding.map(|key| (0, key));
        let ranks = ranks.chain(words().map(SuccessionWord::rank));
        let ends = ranks.map(|rank| (rank.1, SuccessionWord::end_ms(words(), rank)));
        Self {
            ends_ms: ends.collect(),
        }
    }

    fn counts(&self, authority: &AuthorityId, place: &Place) -> bool {
        self.speaks(authority, place.stamp)
    }

    fn speaks(&self, authority: &AuthorityId, at: Stamp) -> bool {
        let end_ms = self.ends_ms.get(authority);
        end_ms.is_some_and(|end_ms| end_ms.is_none_or(|end_ms| at.as_ms() < end_ms))
    }
}
