//! The cluster's clock, as people read it.

use serde_json::{Value, json};
use unisono_api::client::Reply;
use unisono_api::dto::{ChannelModeWord, ChannelShown, ChannelsShown, Clock, SyncWord, TimingRole};

use super::session::Session;
use crate::failure::Failure;
use crate::output::{self, Format, Table};

const SOURCES: Table = Table {
    list: "sources",
    columns: &[
        ("SOURCE", "node"),
        ("FOLLOWED", "followed"),
        ("OFFSET US", "offset_us"),
        ("SIGMA US", "sigma_us"),
        ("ROUND TRIP US", "round_trip_us"),
        ("ASYMMETRY AT MOST US", "asymmetry_us"),
        ("PROBES", "probes"),
        ("HEARD MS AGO", "heard_ms_ago"),
    ],
};

/// Shows what time it is, how sure that is, and whose clocks say so.
pub(crate) async fn clock(session: &Session) -> Result<(), Failure> {
    let reply: Reply<Clock> = session.client.clock().await?;
    if session.global.output != Format::Table {
        return session.show(&reply, None);
    }
    let clock = &reply.body;
    let named = |node: Option<unisono_model::NodeId>| {
        node.map_or("nobody yet".to_owned(), |node| node.to_string())
    };
    let time = clock
        .estimate_ms
        .map_or("not known yet".to_owned(), |ms| format!("{ms:.4} ms"));
    let corrected = clock.correction_ns as f64 / 1e3;
    output::raw(&format!(
        "time      {time} since 1970\nstate     {}\nleader    {} in epoch {}\n\
         backup    {}\nregion    {}\ncorrected {corrected:.1} us by what leaders have measured of one another\n",
        words(clock),
        named(clock.leader),
        clock.epoch_known,
        named(clock.backup),
        named(clock.region_leader),
    ))?;
    if let Some(channels) = &clock.channels {
        output::raw(&format!("channels  {}\n", channels_words(channels)))?;
    }
    let sources: Vec<Value> = clock.sources.iter().map(source).collect();
    output::answer(Format::Table, &json!({ "sources": sources }), Some(SOURCES))
}

/// How the clock is, in a line.
pub(crate) fn words(clock: &Clock) -> String {
    let state = match clock.state {
        SyncWord::Unset => "not set: no leader was heard yet",
        SyncWord::Synchronised => "synchronised",
        SyncWord::Holdover => "holdover",
        SyncWord::FreeRunning => "free-running",
    };
    let role = match clock.role {
        TimingRole::ClusterLeader => "leads the cluster",
        TimingRole::RegionLeader => "leads its region",
        TimingRole::Member => "follows",
    };
    let ns = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u64>().ok());
    let half = match (ns(&clock.earliest_ns), ns(&clock.latest_ns)) {
        (Some(earliest), Some(latest)) => {
            format!(
                ", certain to {:.1} us",
                latest.saturating_sub(earliest) as f64 / 2e3
            )
        }
        _ => String::new(),
    };
    let sigma = clock
        .three_sigma_ns
        .map_or(String::new(), |ns| format!(", 3 sigma {:.1} us", ns / 1e3));
    format!("{state}, {role}{half}{sigma}")
}

/// How the two channels are, in a line: what can be relied on, and what follows.
pub(crate) fn channels_words(channels: &ChannelsShown) -> String {
    let how = |name: &str, channel: &ChannelShown| {
        let precision = channel.precision_ms;
        let precision = precision.map_or("unknown".to_owned(), |ms| format!("{ms:.3} ms"));
        format!(
            "{name} {}: {:.0} % arrive, within {precision}, there {:.0} % of the time",
            if channel.degraded {
                "degraded"
            } else {
                "sound"
            },
            100.0 * channel.delivery,
            100.0 * channel.availability,
        )
    };
    let advice = match channels.mode {
        ChannelModeWord::Whole if channels.widen_ms <= 0.0 => String::new(),
        ChannelModeWord::Whole | ChannelModeWord::PrimaryDegraded => {
            format!("; windows are to be wider by {:.1} ms", channels.widen_ms)
        }
        ChannelModeWord::SecondaryDegraded if channels.widen_ms <= 0.0 => {
            format!("; give {:.0} times as much notice", channels.notice_factor)
        }
        ChannelModeWord::SecondaryDegraded => format!(
            "; windows wider by {:.1} ms, {:.0} times as much notice",
            channels.widen_ms, channels.notice_factor
        ),
        ChannelModeWord::BothDegraded => format!(
            "; do less together: windows wider by {:.1} ms, {:.0} times as much notice",
            channels.widen_ms, channels.notice_factor
        ),
    };
    let time = how("time", &channels.primary);
    let notice = how("notice", &channels.secondary);
    format!("{time}; {notice}{advice}")
}

fn source(source: &unisono_api::dto::ClockSource) -> Value {
    let us = |ns: f64| format!("{:.1}", ns / 1e3);
    json!({
        "node": source.node.to_string()[..8],
        "followed": source.followed,
        "offset_us": source.offset_ns.map(|ns| us(ns as f64)),
        "sigma_us": source.deviation_ns.map(us),
        "round_trip_us": source.round_trip_ns.map(|ns| us(ns as f64)),
        "asymmetry_us": source.asymmetry_bound_ns.map(|ns| us(ns as f64)),
        "probes": source.probes,
        "heard_ms_ago": source.heard_ms_ago,
    })
}
