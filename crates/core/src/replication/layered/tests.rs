//! Copies of a layered map are like copies of a plain one, whoever changes or settles which.

use proptest::prelude::*;
use unisono_model::wire;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Set(usize, u8, u32),
    Copy(usize, usize),
    Settle(usize),
    Reload(usize),
}

const COPIES: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let copy = || 0..COPIES;
    prop_oneof![
        6 => (copy(), 0_u8..16, any::<u32>()).prop_map(|(at, key, value)| Step::Set(at, key, value)),
        2 => (copy(), copy()).prop_map(|(from, to)| Step::Copy(from, to)),
        2 => copy().prop_map(Step::Settle),
        1 => copy().prop_map(Step::Reload),
    ]
}

proptest! {
    #[test]
    fn copies_are_like_those_of_a_plain_map(steps in prop::collection::vec(step(), 0..60)) {
        let mut layered: [Layered<u8, u32>; COPIES] = Default::default();
        let mut plain: [BTreeMap<u8, u32>; COPIES] = Default::default();
        for step in steps {
            match step {
                Step::Set(at, key, value) => {
                    let stood = plain[at].entry(key).or_default();
                    prop_assert_eq!(&*layered[at].entry(key), &*stood);
                    *layered[at].entry(key) = value;
                    *stood = value;
                }
                Step::Copy(from, to) => {
                    layered[to] = layered[from].clone();
                    plain[to] = plain[from].clone();
                }
                Step::Settle(at) => layered[at].settle(),
                Step::Reload(at) => {
                    let bytes = wire::encode(&layered[at]);
                    prop_assert_eq!(&bytes, &wire::encode(&plain[at]));
                    layered[at] = wire::decode(&bytes, bytes.len()).expect("its own bytes");
                }
            }
            for (layered, plain) in layered.iter().zip(&plain) {
                for key in 0..16 {
                    prop_assert_eq!(layered.get(&key), plain.get(&key));
                }
            }
        }
    }
}
