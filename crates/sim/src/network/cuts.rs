//! Shapes of partitions: which directions between machines are cut.

use crate::chance::Chance;

/// Directions that are cut.
pub type Directions = Vec<(usize, usize)>;

/// A partition of some shape among the first `hosts` machines, `regions[i]` being the region of
/// machine `i`.
pub fn draw(chance: &mut Chance, hosts: usize, regions: &[usize]) -> Directions {
    let sides: Vec<u64> = match chance.below(4) {
        0 => one_alone(chance, hosts),
        1 => one_region(chance, hosts, regions),
        2 => return random_graph(chance, hosts),
        _ => halves(chance, hosts),
    };
    let one_way = chance.percent(25);
    let mut cut = Vec::new();
    for a in 0..hosts {
        for b in 0..hosts {
            if sides[a] < sides[b] || (!one_way && sides[a] > sides[b]) {
                cut.push((a, b));
            }
        }
    }
    cut
}

/// This machine and the rest, in both directions.
pub fn alone(host: usize, hosts: usize) -> Directions {
    let others = (0..hosts).filter(|other| *other != host);
    others
        .flat_map(|other| [(host, other), (other, host)])
        .collect()
}

/// Some machine and the rest.
fn one_alone(chance: &mut Chance, hosts: usize) -> Vec<u64> {
    let alone = chance.below(hosts as u64) as usize;
    (0..hosts).map(|host| u64::from(host == alone)).collect()
}

/// One region and the rest; where there is but one region, two halves.
fn one_region(chance: &mut Chance, hosts: usize, regions: &[usize]) -> Vec<u64> {
    let cut_off = regions[chance.below(hosts as u64) as usize];
    let sides: Vec<u64> = regions
        .iter()
        .take(hosts)
        .map(|r| u64::from(*r == cut_off))
        .collect();
    if sides.contains(&0) {
        sides
    } else {
        halves(chance, hosts)
    }
}

/// Two sides, neither of them empty.
fn halves(chance: &mut Chance, hosts: usize) -> Vec<u64> {
    let mut sides: Vec<u64> = (0..hosts).map(|_| chance.below(2)).collect();
    if let (true, Some(first)) = (
        sides.windows(2).all(|pair| pair[0] == pair[1]),
        sides.first_mut(),
    ) {
        *first = 1 - *first;
    }
    sides
}

/// Each pair of machines on its own.
fn random_graph(chance: &mut Chance, hosts: usize) -> Directions {
    let mut cut = Vec::new();
    for a in 0..hosts {
        for b in a + 1..hosts {
            if chance.percent(45) {
                cut.extend([(a, b), (b, a)]);
            }
        }
    }
    cut
}
