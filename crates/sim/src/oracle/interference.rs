//! Who gets in whose way, naively: every pair is looked at. Of the node's own code only two pure
//! functions of one record or two are used: the words of an intention and the name of a pair.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::orchestra::interference::limits::{LIKENESS_FLOOR, NEIGHBOURS_MAX};
use unisono_core::orchestra::interference::view::InterferenceKind;
use unisono_core::orchestra::interference::words::Words;
use unisono_model::{Action, AgentId, Digest, Place, Setting, SignalKind, Stamp};

use super::claims::Held;
use super::course::{began, iteration};
use super::logs::Fact;

/// What every replica must show of an interference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Meeting {
    /// Its kind.
    pub kind: InterferenceKind,
    /// The records of its sides with whose they are: one of a NEED, else two.
    pub sides: BTreeSet<(Place, AgentId)>,
    /// The record that resolved it.
    pub resolution: Option<Digest>,
    /// The side for which the rule has decided.
    pub wins: Option<Digest>,
}

/// Interferences by their names.
pub type Told = BTreeMap<Digest, Meeting>;

struct Said {
    place: Place,
    agent: AgentId,
    topic: String,
    until: Stamp,
    iteration: u32,
    words: Words,
}

/// The interferences that stand at a stamp.
pub fn interferences(facts: &[&Fact], held: &BTreeMap<String, Held>, at: Stamp) -> Told {
    let by_record: BTreeMap<Digest, (Place, AgentId)> = facts
        .iter()
        .map(|fact| (fact.place.record, (fact.place, fact.agent)))
        .collect();
    let mut told = Told::new();
    let mut add = |kind: InterferenceKind, one: &Digest, two: &Digest, wins: Option<Digest>| {
        let meeting = Meeting {
            kind,
            sides: [one, two]
                .into_iter()
                .filter_map(|record| by_record.get(record).copied())
                .collect(),
            resolution: None,
            wins,
        };
        told.insert(kind.id(one, two), meeting);
    };
    for (topic, holder) in held {
        for (loser, agent) in &holder.losers {
            if *agent != holder.agent && holder.token <= loser.stamp {
                let winner = &holder.claim.record;
                add(
                    InterferenceKind::Contested,
                    winner,
                    &loser.record,
                    Some(*winner),
                );
            }
        }
        for (other, theirs) in held.range(topic.clone()..).skip(1) {
            if theirs.agent != holder.agent && meet(topic, other) {
                let (one, two) = (&holder.claim.record, &theirs.claim.record);
                let first = holder.claim.min(theirs.claim);
                add(InterferenceKind::Overlap, one, two, Some(first.record));
            }
        }
    }
    for ((one, two), wins) in collisions(facts, held, at) {
        add(InterferenceKind::Collision, &one, &two, wins);
    }
    for need in unanswered(facts, at) {
        add(InterferenceKind::Unanswered, &need, &need, None);
    }
    for fact in facts {
        if let Action::Resolve(resolve) = &fact.body.action
            && let Some(meeting) = told.get_mut(&resolve.interference)
        {
            meeting.resolution.get_or_insert(fact.place.record);
        }
    }
    told
}

pub(super) fn setting(facts: &[&Fact], wanted: Setting, default: u64) -> u64 {
    let said = facts.iter().flat_map(|fact| match &fact.body.action {
        Action::Settings(changes) => changes.as_slice(),
        _ => &[],
    });
    let mut values = said.filter(|(setting, _)| *setting == wanted);
    values.next_back().map_or(default, |(_, value)| *value)
}

fn said(facts: &[&Fact], kind: SignalKind) -> Vec<Said> {
    let signals = facts
        .iter()
        .filter_map(|fact| match fact.body.action.signal() {
            Some(signal) if signal.kind == kind => Some(Said {
                place: fact.place,
                agent: fact.agent,
                topic: signal.topic.clone(),
                until: fact.place.stamp.plus_ms(signal.lifetime_ms),
                iteration: fact.body.iteration,
                words: Words::of(&signal.topic, &signal.text),
            }),
            _ => None,
        });
    signals.collect()
}

/// Two INTENTs, and the one for which a claim has decided.
type Collisions = BTreeMap<(Digest, Digest), Option<Digest>>;

/// Every pair of INTENTs that is near on some word, stands, and is alike.
fn collisions(facts: &[&Fact], held: &BTreeMap<String, Held>, at: Stamp) -> Collisions {
    let least = setting(facts, Setting::CollisionPermille, 250);
    let intents = said(facts, SignalKind::Intent);
    let keys: BTreeSet<u64> = intents
        .iter()
        .flat_map(|one| one.words.keys().iter().copied())
        .collect();
    let mut found = Collisions::new();
    for key in keys {
        let bearers: Vec<&Said> = intents
            .iter()
            .filter(|one| one.words.keys().contains(&key))
            .collect();
        for (index, one) in bearers.iter().enumerate() {
            for two in bearers.iter().skip(index + 1).take(NEIGHBOURS_MAX) {
                let likeness = one.words.likeness(&two.words);
                let alike = likeness >= LIKENESS_FLOOR && u64::from(likeness) >= least;
                let stand = one.until >= at && two.until >= at;
                if alike && stand && one.agent != two.agent {
                    let pair = (one.place.record, two.place.record);
                    found.insert(pair, first_to_claim([one, two], held));
                }
            }
        }
    }
    found
}

/// Of two INTENTs that of the agent which first claimed a topic of theirs, and holds it.
fn first_to_claim(two: [&Said; 2], held: &BTreeMap<String, Held>) -> Option<Digest> {
    let mut first: Option<(Place, Digest)> = None;
    for holder in two.iter().filter_map(|one| held.get(&one.topic)) {
        let own = two.iter().find(|one| one.agent == holder.agent);
        let Some(own) = own else { continue };
        if first.is_none_or(|(claim, _)| holder.claim < claim) {
            first = Some((holder.claim, own.place.record));
        }
    }
    first.map(|(_, record)| record)
}

/// The first standing NEED of each agent on each topic, where nobody else's OFFER stands.
fn unanswered(facts: &[&Fact], at: Stamp) -> Vec<Digest> {
    let patience_ms = setting(facts, Setting::NeedPatienceMs, 600_000);
    let (now, began) = (iteration(facts), began(facts));
    let stands = |one: &Said| one.until >= at && one.iteration >= now && one.place.stamp >= began;
    let offers = said(facts, SignalKind::Offer);
    let mut first: BTreeMap<(String, AgentId), Place> = BTreeMap::new();
    for need in said(facts, SignalKind::Need)
        .iter()
        .filter(|one| stands(one))
    {
        let key = (need.topic.clone(), need.agent);
        first.entry(key).or_insert(need.place);
    }
    first.retain(|(topic, agent), place| {
        let met = |one: &Said| one.topic == *topic && one.agent != *agent && stands(one);
        place.stamp.plus_ms(patience_ms) <= at && !offers.iter().any(met)
    });
    first.into_values().map(|place| place.record).collect()
}

/// Whether some path matches both patterns, of which at least one is a glob.
pub fn meet(one: &str, two: &str) -> bool {
    let names = |topic: &str| -> Vec<String> {
        let mut names: Vec<String> = topic.split('/').map(String::from).collect();
        names.retain(|name| !name.is_empty() && name != ".");
        if topic.ends_with('/') {
            names.push("**".into());
        }
        names
    };
    let (one, two) = (names(one), names(two));
    let wild = |names: &[String]| names.iter().any(|name| name.contains(['*', '?']));
    (wild(&one) || wild(&two)) && paths_meet(&one, &two)
}

fn paths_meet(one: &[String], two: &[String]) -> bool {
    match (one, two) {
        ([], []) => true,
        ([first, rest @ ..], _) if first == "**" => {
            paths_meet(rest, two) || (!two.is_empty() && paths_meet(one, &two[1..]))
        }
        (_, [first, ..]) if first == "**" => paths_meet(two, one),
        ([a, one @ ..], [b, two @ ..]) => {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            names_meet(&a, &b) && paths_meet(one, two)
        }
        ([], _) | (_, []) => false,
    }
}

fn names_meet(one: &[char], two: &[char]) -> bool {
    match (one, two) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            names_meet(rest, two) || (!two.is_empty() && names_meet(one, &two[1..]))
        }
        (_, ['*', ..]) => names_meet(two, one),
        ([a, one @ ..], [b, two @ ..]) => {
            (a == b || *a == '?' || *b == '?') && names_meet(one, two)
        }
        ([], _) | (_, []) => false,
    }
}
