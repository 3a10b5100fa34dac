//! The two channels: exact time and advance notice, and what is left where one of them is weak (TIME-7).

use unisono_core::ensemble::{ChannelLook, ChannelMode, ChannelReport, Channels};
use unisono_core::timing::Sync;

/// A minute of which each second is as it is told.
fn minute(mut told: impl FnMut(u64, &mut ChannelLook)) -> ChannelReport {
    let mut channels = Channels::default();
    for second in 0..60 {
        let mut look = ChannelLook {
            sync: Some(Sync::Synchronised),
            unsure_ns: Some(200e3),
            leader_way_ns: Some(80e6),
            asked: 5 * second,
            taken: 5 * second,
            known: 4,
            reached: 4,
            sent: 10 * second,
            dropped: 0,
            way_ns: Some(80e6),
        };
        told(second, &mut look);
        channels.look(look);
    }
    channels.report().expect("it has looked")
}

#[test]
fn nothing_is_told_before_the_first_look_and_a_node_alone_is_whole() {
    assert_eq!(Channels::default().report(), None);
    let alone = minute(|_, look| {
        *look = ChannelLook {
            sync: Some(Sync::Synchronised),
            unsure_ns: Some(0.0),
            ..ChannelLook::default()
        };
    });
    assert_eq!(alone.mode, ChannelMode::Whole);
    assert_eq!((alone.widen_ns, alone.notice_factor), (0.0, 1.0));
    assert!((alone.primary.delivery, alone.secondary.delivery) == (1.0, 1.0));
}

/// A node that had just been started said that time was degraded, for the second in which it had none.
#[test]
fn who_has_just_begun_is_not_weak() {
    let report = minute(|second, look| {
        if second < 2 {
            look.sync = None;
        }
    });
    assert_eq!(report.mode, ChannelMode::Whole, "{report:?}");
    assert!(report.primary.availability >= 1.0);
    let mut never = Channels::default();
    never.look(ChannelLook::default());
    assert_eq!(never.report(), None);
    (0..30).for_each(|_| never.look(ChannelLook::default()));
    let report = never.report().expect("it has begun long ago");
    assert_eq!(report.mode, ChannelMode::PrimaryDegraded);
}

#[test]
fn a_few_losses_degrade_nothing() {
    let report = minute(|second, look| look.taken = 5 * second - second / 2);
    assert_eq!(report.mode, ChannelMode::Whole, "{report:?}");
}

#[test]
fn time_that_is_known_badly_widens_windows_by_what_it_may_be_off() {
    let report = minute(|second, look| {
        if second >= 40 {
            look.sync = Some(Sync::Holdover);
            look.unsure_ns = Some(3e6);
        }
    });
    assert_eq!(report.mode, ChannelMode::PrimaryDegraded);
    assert_eq!((report.widen_ns, report.notice_factor), (3e6, 1.0));
    assert!((report.primary.availability - 40.0 / 60.0).abs() < 1e-9);
    let report = minute(|_, look| look.unsure_ns = Some(17e6));
    assert_eq!(
        (report.mode, report.widen_ns),
        (ChannelMode::PrimaryDegraded, 17e6)
    );
    let lossy = minute(|second, look| look.taken = 3 * second);
    assert_eq!(lossy.mode, ChannelMode::PrimaryDegraded);
    // Nobody can say by how much.
    let unset = minute(|_, look| (look.sync, look.unsure_ns) = (None, None));
    assert_eq!(
        (unset.mode, unset.widen_ns),
        (ChannelMode::PrimaryDegraded, 50e6)
    );
    let nonsense = minute(|_, look| look.unsure_ns = Some(f64::NAN));
    assert!((nonsense.widen_ns - 50e6).abs() < 1.0, "{nonsense:?}");
}

/// A node 240 ms from whoever leads has to fear 15 ms for good: its windows are wider, and it is told as
/// trouble only when something is worse than the way.
#[test]
fn what_is_feared_of_a_long_way_widens_windows_and_is_no_trouble() {
    let over = |way_ns: Option<f64>, unsure_ns: f64| {
        minute(|_, look| (look.leader_way_ns, look.unsure_ns) = (way_ns, Some(unsure_ns)))
    };
    let told = |report: ChannelReport| (report.mode, report.widen_ns);
    let far = Some(240e6);
    assert_eq!(told(over(far, 9e6)), (ChannelMode::Whole, 0.0));
    assert_eq!(told(over(far, 16e6)), (ChannelMode::Whole, 16e6));
    assert_eq!(told(over(far, 26e6)), (ChannelMode::PrimaryDegraded, 26e6));
    // Whoever leads is near, nobody knows, or the way is said to take hours.
    for (way_ns, unsure_ns) in [
        (Some(0.2e6), 16e6),
        (None, 16e6),
        (Some(f64::NAN), 16e6),
        (Some(1e13), 80e6),
    ] {
        let report = over(way_ns, unsure_ns);
        assert_eq!(told(report), (ChannelMode::PrimaryDegraded, unsure_ns));
    }
}

#[test]
fn notice_that_does_not_reach_all_is_given_earlier() {
    let report = minute(|second, look| look.reached = if second == 59 { 3 } else { 4 });
    assert_eq!(report.mode, ChannelMode::SecondaryDegraded);
    assert_eq!((report.widen_ns, report.notice_factor), (0.0, 2.0));
    assert!(
        (report.secondary.delivery - 0.75).abs() < 1e-9,
        "{report:?}"
    );
    let dropped = minute(|second, look| look.dropped = 2 * second);
    assert_eq!(dropped.mode, ChannelMode::SecondaryDegraded);
    let far = minute(|_, look| look.way_ns = Some(1.5e9));
    assert_eq!(far.mode, ChannelMode::SecondaryDegraded);
}

#[test]
fn where_both_are_weak_nothing_makes_up_for_the_other() {
    let report = minute(|_, look| {
        look.reached = 1;
        look.unsure_ns = Some(20e6);
    });
    assert_eq!(report.mode, ChannelMode::BothDegraded);
    assert_eq!((report.widen_ns, report.notice_factor), (40e6, 4.0));
}

#[test]
fn what_was_is_forgotten_after_a_minute() {
    let mut channels = Channels::default();
    for second in 0..130_u64 {
        channels.look(ChannelLook {
            sync: Some(if second < 60 {
                Sync::Holdover
            } else {
                Sync::Synchronised
            }),
            unsure_ns: Some(1e5),
            ..ChannelLook::default()
        });
    }
    assert_eq!(
        channels.report().expect("it has looked").mode,
        ChannelMode::Whole
    );
}
