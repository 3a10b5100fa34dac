//! The order of rights is a partial order with greatest lower bounds, and chains only narrow.

use proptest::prelude::*;
use unisono_core::capability::{Comparison, compare, exceeds, meet};
use unisono_model::capability::{Operations, Rights, Scope, Tier};

use super::{NOW_MS, chain, judge, links};

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Nowhere),
        Just(Scope::Global),
        (0_u8..2).prop_map(|n| Scope::Project(format!("p{n}"))),
    ]
}

fn rights() -> impl Strategy<Value = Rights> {
    let lists = (
        prop::option::of(prop::collection::btree_set(0_u8..4, 0..3)),
        prop::option::of(prop::collection::btree_set(0_u32..4, 0..3)),
    );
    let numbers = (0_u16..3, 0_u16..3, 0_u32..3, 0_u16..3);
    (0_u32..8, scope(), scope(), lists, numbers).prop_map(
        |(operations, read, write, (files, phases), (complexity, lines, bytes, rate))| Rights {
            operations: Operations(operations),
            read,
            write,
            files: files.map(|files| files.iter().map(|n| format!("f{n}")).collect()),
            phases: phases.map(|phases| phases.into_iter().collect()),
            complexity_max: complexity,
            function_lines_max: lines,
            file_bytes_max: bytes,
            actions_per_minute_max: rate,
        },
    )
}

fn within(one: &Rights, other: &Rights) -> bool {
    exceeds(one, other).is_none()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn order(one in rights(), two in rights(), three in rights()) {
        prop_assert!(within(&one, &one));
        if within(&one, &two) && within(&two, &one) {
            prop_assert_eq!(&one, &two);
        }
        if within(&one, &two) && within(&two, &three) {
            prop_assert!(within(&one, &three));
        }
        let mut listless = one.clone();
        listless.files = None;
        listless.phases = None;
        prop_assert!(within(&Rights::none(), &listless));
        prop_assert!(within(&one, &Rights::all()));
    }

    #[test]
    fn greatest_lower_bound(one in rights(), two in rights(), three in rights()) {
        let both = meet(&one, &two);
        prop_assert!(within(&both, &one) && within(&both, &two));
        prop_assert_eq!(&both, &meet(&two, &one));
        if within(&three, &one) && within(&three, &two) {
            prop_assert!(within(&three, &both));
        }
    }

    #[test]
    fn comparisons_mirror(one in rights(), two in rights()) {
        let mirrored = match compare(&two, &one) {
            Comparison::Narrower(fields) => Comparison::Wider(fields),
            Comparison::Wider(fields) => Comparison::Narrower(fields),
            Comparison::Neither { more, less } => Comparison::Neither { more: less, less: more },
            Comparison::Equal => Comparison::Equal,
        };
        prop_assert_eq!(compare(&one, &two), mirrored);
    }

    #[test]
    fn a_chain_that_counts_only_narrows(one in rights(), two in rights()) {
        let mut both = links();
        both[0].tier = Tier::Named("maker".into());
        both[1].tier = Tier::Named("made".into());
        let grant = both[0].grant.as_mut().expect("a grant");
        grant.tiers = vec![Tier::Named("made".into())];
        grant.rights = one.clone();
        both[1].may = two.clone();
        let token = chain(both, &[1, 2]);
        let counts = judge(&token.encode(), NOW_MS, None).is_ok();
        prop_assert_eq!(counts, within(&two, &one));
    }
}
