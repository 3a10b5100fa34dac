//! What agents sense comes page by page, each signal once, in one order, whatever ends between pages.

use std::collections::BTreeSet;

use proptest::prelude::*;
use unisono_core::orchestra::Folds;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::view::{ClaimsWanted, SignalView, SignalsWanted};
use unisono_model::{Action, Digest, SignalKind, Stamp, Urgency};

use crate::interference::{claim, claim_rules, enrolments, fact, folded, read, signal};

const TOPICS: [&str; 5] = ["a", "b", "c", "src/x.rs", "src/**"];
const NOW_MS: u64 = 20_000;

fn said(kind: SignalKind, urgency: u8, topic: &str, lifetime_ms: u64) -> Action {
    let Action::Signal(mut said) = signal(kind, topic, "", lifetime_ms) else {
        unreachable!("a signal is a signal")
    };
    let levels = [Urgency::Low, Urgency::Normal, Urgency::High];
    said.urgency = levels[usize::from(urgency) % levels.len()];
    Action::Signal(said)
}

/// Who says or claims what: agent, kind, topic, urgency, and for how long it stands.
fn build(steps: &[(u8, u8, u8, u8, u16)]) -> Vec<Fact> {
    let mut facts = enrolments(4);
    for (index, (agent, kind, topic, urgency, lifetime_ms)) in steps.iter().enumerate() {
        let topic = TOPICS[usize::from(*topic) % TOPICS.len()];
        let kinds = [SignalKind::Intent, SignalKind::Need, SignalKind::Offer];
        let action = match kind % 4 {
            3 => claim(topic),
            kind => said(
                kinds[usize::from(kind)],
                *urgency,
                topic,
                u64::from(*lifetime_ms) + 1,
            ),
        };
        // Several stand at one time: their digests decide then.
        let at_ms = 2_000 + index as u64 / 3 * 100;
        facts.push(fact(index as u64 + 10, agent % 4 + 1, at_ms, action));
    }
    facts
}

/// All pages, one after the other. Between them the folds forget what has ended long ago.
fn paged(folds: &mut Folds, wanted: &SignalsWanted, page: usize) -> Vec<SignalView> {
    let mut told: Vec<SignalView> = Vec::new();
    loop {
        let wanted = SignalsWanted {
            after: told.last().map(SignalView::page_end),
            limit: Some(page),
            ..wanted.clone()
        };
        let next = read(folds, NOW_MS, |reading| reading.sense(&wanted));
        let last = next.len() < page;
        told.extend(next);
        folds.prune(Stamp::from_ms(NOW_MS - 1_000), &claim_rules());
        if last {
            return told;
        }
    }
}

fn key(view: &SignalView) -> Digest {
    view.place.record
}

proptest! {
    #[test]
    fn pages_tell_each_signal_once_in_the_order_of_the_whole(
        steps in prop::collection::vec(any::<(u8, u8, u8, u8, u16)>(), 0..60),
        page in 1..7_usize,
        agent in 1..5_u8,
        only_kind in any::<bool>(),
    ) {
        let facts = build(&steps);
        let name = format!("a{agent}");
        let wanted = SignalsWanted {
            agent: Some(name.clone()),
            kind: only_kind.then_some(SignalKind::Intent),
            ..SignalsWanted::default()
        };
        let mut folds = folded(&facts);
        let whole = read(&folds, NOW_MS, |reading| reading.sense(&wanted));
        let told = paged(&mut folds.clone(), &wanted, page);
        prop_assert_eq!(
            told.iter().map(key).collect::<Vec<_>>(),
            whole.iter().map(key).collect::<Vec<_>>()
        );
        // What concerns the agent, looked for one by one.
        let plain = SignalsWanted { kind: wanted.kind, ..SignalsWanted::default() };
        let all = read(&folds, NOW_MS, |reading| reading.sense(&plain));
        let unfiltered = read(&folds, NOW_MS, |reading| reading.sense(&SignalsWanted::default()));
        let holds = ClaimsWanted { holder: Some(name.clone()), ..ClaimsWanted::default() };
        let held = read(&folds, NOW_MS, |reading| reading.claims(&holds));
        let own: BTreeSet<String> = unfiltered
            .iter()
            .filter(|view| view.name == name)
            .map(|view| view.topic.clone())
            .chain(held.into_iter().map(|claim| claim.topic))
            .collect();
        let glob = own.contains("src/**");
        let mut expected: Vec<(bool, SignalView)> = all
            .into_iter()
            .map(|view| {
                let needed = unfiltered.iter().any(|one| {
                    one.topic == view.topic && one.kind == SignalKind::Need
                });
                let holds_glob = glob && read(&folds, NOW_MS, |reading| {
                    reading.claims(&ClaimsWanted::on("src/**"))
                }).iter().any(|claim| claim.name == name);
                let under = holds_glob && needed && view.topic == "src/x.rs";
                (view.name != name && (own.contains(&view.topic) || under), view)
            })
            .collect();
        expected.sort_by_key(|(near, view)| {
            (!near, core::cmp::Reverse((view.urgency, view.place)))
        });
        prop_assert_eq!(
            whole.iter().map(|view| (view.near, key(view))).collect::<Vec<_>>(),
            expected.iter().map(|(near, view)| (*near, key(view))).collect::<Vec<_>>()
        );
        // Only what concerns it; only one agent's.
        let near = SignalsWanted { only_near: true, ..wanted.clone() };
        let near = paged(&mut folds.clone(), &near, page);
        prop_assert_eq!(near.len(), whole.iter().filter(|view| view.near).count());
        let from = SignalsWanted { from: Some("a1".into()), ..wanted };
        let from = paged(&mut folds, &from, page);
        prop_assert_eq!(from.len(), whole.iter().filter(|view| view.name == "a1").count());
        prop_assert!(from.iter().all(|view| view.name == "a1"));
    }
}

/// A page went on after the signal at its end, by name: once that had run out, nobody could go on.
#[test]
fn a_page_goes_on_where_its_last_signal_has_ended() {
    let mut facts = enrolments(1);
    for number in 0..6 {
        let lifetime_ms = if number == 3 { 5_000 } else { 900_000 };
        let action = said(SignalKind::Intent, 1, "t", lifetime_ms);
        facts.push(fact(10 + number, 1, 2_000 + number, action));
    }
    let folds = folded(&facts);
    let first = SignalsWanted {
        limit: Some(3),
        ..SignalsWanted::default()
    };
    let page = read(&folds, 4_000, |reading| reading.sense(&first));
    let next = SignalsWanted {
        after: page.last().map(SignalView::page_end),
        ..SignalsWanted::default()
    };
    let rest = read(&folds, 60_000, |reading| reading.sense(&next));
    assert_eq!(
        (page.len(), rest.len()),
        (3, 3),
        "newest first: the third page-end was number 3"
    );
    let told: BTreeSet<Digest> = page.iter().chain(&rest).map(key).collect();
    assert_eq!(told.len(), 6);
}
