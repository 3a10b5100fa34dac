//! The network alone: what must arrive does, in its order; what may be lost is; and a connection
//! that hears nothing is given up.

use unisono_core::node::Class;
use unisono_sim::network::{CALL_NS, Care, Fate, IDLE_NS, Network, QUEUE_FRAMES_MAX, Weather};

const SECOND: u64 = 1_000_000_000;

fn connected(weather: Weather) -> Network {
    let mut network = Network::new(7, &[0, 1], weather);
    assert!(matches!(network.review(0, 0, 1, true), Care::ConnectAt(..)));
    assert_eq!(network.connect(0, 1, true), (true, false));
    network
}

#[test]
fn a_lossy_link_delays_pushes_in_order_and_loses_datagrams() {
    let mut network = connected(Weather {
        loss: 300_000,
        ..Weather::default()
    });
    let (mut last, mut lost, mut late) = (0, 0, 0);
    for n in 0..200_u64 {
        match network.send(n * 1_000_000, (0, 1), true, Class::Push, vec![0; 100]) {
            Fate::Flies(at, flight) => {
                assert!(at > last, "frame {n} overtakes");
                late += u64::from(at > n * 1_000_000 + 20_000_000);
                last = at;
                assert!(network.arrive(flight).is_some());
            }
            other => panic!("{other:?}"),
        }
        let datagram = network.send(n * 1_000_000, (0, 1), true, Class::Membership, vec![0; 100]);
        lost += u64::from(matches!(datagram, Fate::Lost));
    }
    assert!(
        late > 20 && (30..100).contains(&lost),
        "{late} late, {lost} lost"
    );
}

#[test]
fn a_short_cut_delays_and_a_long_one_ends_the_connection() {
    let mut network = connected(Weather::default());
    network.cut(&[(0, 1)], true);
    let Care::LookAt(at, epoch) = network.review(SECOND, 0, 1, true) else {
        panic!("nobody notices the cut")
    };
    assert_eq!(at, SECOND + IDLE_NS);
    assert!(matches!(
        network.send(SECOND, (0, 1), true, Class::Push, vec![1]),
        Fate::Waits
    ));
    assert!(matches!(
        network.send(SECOND, (0, 1), true, Class::Membership, vec![1]),
        Fate::Lost
    ));
    assert!(!network.gives_up(SECOND * 5, 0, 1, epoch));
    network.cut(&[(0, 1)], false);
    assert_eq!(network.review(5 * SECOND, 0, 1, true), Care::Resume);
    assert_eq!(network.release(5 * SECOND, 0, 1).len(), 1);
    network.cut(&[(1, 0)], true);
    let Care::LookAt(at, epoch) = network.review(6 * SECOND, 0, 1, true) else {
        panic!("nobody notices the one-way cut")
    };
    assert!(network.gives_up(at, 0, 1, epoch));
    assert!(matches!(
        network.send(at, (0, 1), true, Class::Push, vec![1]),
        Fate::Kept(_)
    ));
}

#[test]
fn what_is_sent_without_a_connection_is_kept_while_the_other_is_called() {
    let mut network = Network::new(7, &[0, 1], Weather::default());
    let mut send =
        |now: u64, knows, class| network.send(now * SECOND, (0, 1), knows, class, vec![1]);
    assert!(matches!(send(0, false, Class::Push), Fate::Unconnected));
    let Fate::Kept(Some((at, call))) = send(0, true, Class::Push) else {
        panic!("the first frame is not kept")
    };
    assert_eq!(at, CALL_NS);
    assert!(matches!(send(0, true, Class::Membership), Fate::Kept(None)));
    assert!(network.unanswered(0, 1, call), "nobody answered");
    assert!(!network.unanswered(0, 1, call), "it is told once");
    for (second, class) in [
        (4, Class::Membership),
        (5, Class::Push),
        (6, Class::Membership),
    ] {
        let fate = network.send(second * SECOND, (0, 1), true, class, vec![second as u8]);
        assert!(matches!(fate, Fate::Kept(_)));
    }
    assert!(!network.unanswered(0, 1, call), "that call is over");
    let kept = network.take_kept(6 * SECOND + SECOND / 2, 0, 1);
    let kept: Vec<u8> = kept.iter().map(|kept| kept.bytes[0]).collect();
    assert_eq!(kept, [5, 6], "an old datagram is worth nothing");
}

#[test]
fn the_survivor_of_a_connection_speaks_to_nobody_and_the_other_calls_anew() {
    let mut network = connected(Weather::default());
    network.lose(1, 0);
    assert!(matches!(
        network.send(0, (0, 1), true, Class::Push, vec![1]),
        Fate::Lost
    ));
    assert!(matches!(
        network.send(0, (1, 0), true, Class::Push, vec![1]),
        Fate::Kept(Some(_))
    ));
    network.lose(1, 0);
    assert!(network.take_kept(0, 0, 1).is_empty(), "it lost power again");
}

#[test]
fn a_queue_has_an_end() {
    let mut network = connected(Weather::default());
    let refused = (0..2_000)
        .filter(|_| {
            matches!(
                network.send(0, (0, 1), true, Class::Repair, vec![0; 64]),
                Fate::Refused
            )
        })
        .count();
    assert_eq!(refused, 2_000 - QUEUE_FRAMES_MAX);
}

#[test]
fn what_was_on_its_way_to_a_life_that_ended_is_lost() {
    let mut network = connected(Weather::default());
    let Fate::Flies(_, flight) = network.send(0, (0, 1), true, Class::Push, vec![1]) else {
        panic!("it does not fly")
    };
    network.lose(0, 1);
    assert!(network.arrive(flight).is_none());
    assert!(matches!(
        network.review(SECOND, 0, 1, true),
        Care::ConnectAt(..)
    ));
    assert_eq!(
        network.connect(0, 1, true),
        (true, true),
        "the survivor hears of both"
    );
}
