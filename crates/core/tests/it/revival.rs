//! A node that ends of itself again and again waits longer each time.

use unisono_core::node::limits::{REVIVAL_PAUSE_MS_MAX, REVIVAL_PAUSE_MS_MIN, REVIVED_FOR_GOOD_MS};
use unisono_core::node::revival::Revival;

#[test]
fn short_lives_pause_ever_longer() {
    let mut revival = Revival::default();
    let pauses: Vec<u64> = (0..12).map(|_| revival.pause_ms(10)).collect();
    assert_eq!(pauses[..3], [REVIVAL_PAUSE_MS_MIN, 200, 400]);
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert_eq!(pauses.last(), Some(&REVIVAL_PAUSE_MS_MAX));
    assert_eq!(revival.pause_ms(REVIVED_FOR_GOOD_MS), 0, "that life lasted");
    assert_eq!(revival.pause_ms(10), REVIVAL_PAUSE_MS_MIN, "it begins anew");
}
