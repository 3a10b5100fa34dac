//! Rotations decided one by one as they come, held against all of them decided at once.

use alloc::vec::Vec;

use unisono_model::LogId;

use super::*;

fn key(number: u8) -> AgentId {
    AgentId([number; 32])
}

fn wide(number: u16) -> AgentId {
    let mut key = [0; 32];
    key[..2].copy_from_slice(&number.to_be_bytes());
    AgentId(key)
}

fn at(time: u64) -> Place {
    Place {
        stamp: Stamp(time),
        record: Digest::default(),
    }
}

fn turn(time: u64, former: AgentId, next: AgentId) -> Turn {
    Turn {
        place: at(time),
        former,
        next,
        chain: ChainId {
            agent: former,
            log: LogId::default(),
        },
        seq: 1,
    }
}

#[derive(Clone, Copy, Debug)]
enum Came {
    Enrolled(AgentId, Place),
    Asked(Turn),
}

/// What counts of a whole set, from the lowest place on.
fn at_once(came: &[Came]) -> BTreeMap<AgentId, Turn> {
    let mut enrolled: BTreeMap<AgentId, Place> = BTreeMap::new();
    let mut asked: BTreeMap<Place, Turn> = BTreeMap::new();
    for one in came {
        match one {
            Came::Enrolled(key, place) => {
                let first = enrolled.entry(*key).or_insert(*place);
                *first = (*place).min(*first);
            }
            Came::Asked(turn) => drop(asked.insert(turn.place, *turn)),
        }
    }
    let most = limits::ROTATIONS_NAMING_KEY_MAX;
    let lowest = |all: &BTreeMap<Place, Turn>, of: fn(&Turn) -> AgentId| {
        let mut times: BTreeMap<AgentId, usize> = BTreeMap::new();
        let kept = all.iter().filter(|(_, turn)| {
            let times = times.entry(of(turn)).or_default();
            *times += 1;
            *times <= most
        });
        kept.map(|(place, turn)| (*place, *turn)).collect()
    };
    let asked: BTreeMap<Place, Turn> = lowest(&asked, |turn| turn.former);
    let looked_at: BTreeMap<Place, Turn> = lowest(&asked, |turn| turn.next);
    let mut counts: BTreeMap<AgentId, Turn> = BTreeMap::new();
    let mut behind: BTreeMap<AgentId, usize> = BTreeMap::new();
    for (place, turn) in looked_at {
        let is_somebodys = |key: &AgentId| {
            behind.contains_key(key) || enrolled.get(key).is_some_and(|first| *first < place)
        };
        let depth = behind.get(&turn.former).copied().unwrap_or_default();
        let free = is_somebodys(&turn.former) && !is_somebodys(&turn.next);
        if free && !counts.contains_key(&turn.former) && depth < limits::ROTATIONS_OF_AGENT_MAX {
            counts.insert(turn.former, turn);
            behind.insert(turn.next, depth + 1);
        }
    }
    counts
}

struct Draws(u64);

impl Draws {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[test]
fn in_any_order_those_count_that_count_of_the_whole_set() {
    for seed in 0..3_000 {
        let mut draws = Draws(seed);
        let keys = 2 + draws.below(5);
        let many = 1 + draws.below(60);
        let mut came: Vec<Came> = Vec::new();
        for time in 1..=many {
            let mut draw = || key(draws.below(keys) as u8);
            let (one, other) = (draw(), draw());
            came.push(if draws.below(8) == 0 {
                Came::Enrolled(one, at(time))
            } else {
                Came::Asked(turn(time, one, other))
            });
        }
        let wanted = at_once(&came);
        for _ in 0..4 {
            let mut turns = Turns::default();
            let mut before = BTreeMap::new();
            for end in (1..=came.len()).rev() {
                came.swap(end - 1, draws.below(end as u64) as usize);
            }
            for one in &came {
                let (change, own) = match one {
                    Came::Enrolled(key, place) => (turns.enrolled(*key, *place), None),
                    Came::Asked(turn) => (turns.asked(*turn), Some(turn)),
                };
                let mut alone = before.clone();
                let meant = if before == turns.by_former {
                    Change::Nothing
                } else if let Some(own) = own
                    && alone.insert(own.former, *own).is_none()
                    && alone == turns.by_former
                {
                    Change::Counts
                } else {
                    Change::Others
                };
                assert_eq!(change, meant, "seed {seed}");
                before.clone_from(&turns.by_former);
            }
            assert_eq!(turns.by_former, wanted, "seed {seed}");
            let by_next: Vec<Turn> = turns.by_next.values().copied().collect();
            let mut nexts: Vec<Turn> = wanted.values().copied().collect();
            nexts.sort_by_key(|turn| turn.next);
            assert_eq!(by_next, nexts, "seed {seed}");
        }
    }
}

/// All of them were decided again for each enrolment that one of them named: with thousands of
/// rotations each new agent cost a walk over all of them, twice.
#[test]
fn an_enrolment_and_a_rotation_look_at_those_alone_that_name_their_keys() {
    let mut turns = Turns::default();
    for number in 0..2_000 {
        let (former, next) = (wide(number), wide(10_000 + number));
        turns.enrol(former, at(1));
        assert_eq!(turns.ask(turn(2, former, next)).looked_at.min(1), 1);
        turns.asked.clear();
    }
    let mut turns = Turns::default();
    for number in 0..2_000_u16 {
        let (former, next) = (wide(number), wide(10_000 + number));
        let time = 10 + u64::from(number);
        assert!(turns.enrol(former, at(2)).looked_at <= 1);
        assert_eq!(turns.ask(turn(time, former, next)).looked_at, 1);
        assert!(turns.enrol(next, at(time + 1)).looked_at <= 1);
    }
    assert_eq!(turns.by_former.len(), 2_000);
    // One from below, among thousands: what it upsets is one.
    let decided = turns.enrol(wide(10_777), at(1));
    assert_eq!((decided.looked_at, decided.changed.len()), (1, 1));
}

#[test]
fn whatever_names_one_key_costs_a_bounded_effort() {
    let most = 2 * limits::ROTATIONS_NAMING_KEY_MAX;
    let (thief, hoard) = (wide(1), wide(2));
    let mut turns = Turns::default();
    // From the highest to the lowest, so that each comes below all before it.
    for number in (0..2_000_u16).rev() {
        let time = 100 + u64::from(number);
        let away = turns.ask(turn(2 * time, thief, wide(10_000 + number)));
        let to = turns.ask(turn(2 * time + 1, wide(20_000 + number), hoard));
        assert!(away.looked_at <= most && to.looked_at <= most);
    }
    for key in [thief, hoard] {
        assert!(turns.enrol(key, at(1)).looked_at <= most);
    }
    assert_eq!(turns.by_former.len(), 1);
    assert_eq!(
        turns.asked_of(thief).count(),
        limits::ROTATIONS_NAMING_KEY_MAX
    );
}

#[test]
fn an_agent_changes_its_key_as_often_as_it_may_and_no_more() {
    let most = limits::ROTATIONS_OF_AGENT_MAX as u16;
    let mut turns = Turns::default();
    for number in (0..2 * most).rev() {
        let one = turn(10 + u64::from(number), wide(number), wide(number + 1));
        assert!(turns.ask(one).changed.is_empty());
    }
    // All of them are held, and the enrolment comes last: it costs its own chain, as far as it counts.
    let decided = turns.enrol(wide(0), at(1));
    assert_eq!(decided.changed.len(), usize::from(most));
    assert!(decided.looked_at <= 2 * usize::from(most) + 2);
    assert_eq!(turns.lineage(wide(most)).count(), usize::from(most) + 1);
    let next = turn(10 + u64::from(most), wide(most), wide(most + 1));
    assert_eq!(turns.limit_of(&next), Some(Limit::OfAgent));
    assert_eq!(turns.to(&wide(most + 1)), None);
}
