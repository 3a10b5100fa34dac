//! Faults on demand over HTTP, for the demo and for tests: bound only with `--test-faults`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use unisono_core::sabotage::Sabotage;
use unisono_model::NodeId;
use unisono_quic::{Direction, Transport};
use unisono_sim::Scenario;

use crate::driver::{Clock, Order};

/// What the endpoint can reach.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// The network.
    pub(crate) transport: Transport,
    /// The clocks.
    pub(crate) clock: Arc<Clock>,
    /// Whether syncs are left out.
    pub(crate) no_sync: Arc<AtomicBool>,
    /// The way to the driver.
    pub(crate) orders: mpsc::Sender<Order>,
}

/// What goes wrong from now on; what is left out stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FaultsBody {
    /// Peers with which nothing is exchanged any more.
    pub(crate) block: Vec<NodeId>,
    /// Peers with which it is again.
    pub(crate) unblock: Vec<NodeId>,
    /// Which way `block` works: `in`, `out`, or `both` (if left out).
    pub(crate) direction: Option<Way>,
    /// How long every packet to a peer is held back (ms).
    pub(crate) delay_ms: Option<u64>,
    /// To which peers `delay_ms` applies; all that are known if left out.
    pub(crate) delay_to: Vec<NodeId>,
    /// How wrong the time is that the node goes by (ms).
    pub(crate) clock_offset_ms: Option<i64>,
    /// How wrong it runs (millionths).
    pub(crate) clock_drift_ppm: Option<i64>,
    /// Whether syncs are left out.
    pub(crate) no_fsync: Option<bool>,
    /// Rules to break; the node is made anew with exactly these.
    pub(crate) sabotage: Option<Vec<String>>,
    /// Ends all faults of the network.
    pub(crate) clear: bool,
}

/// A direction of packets, seen from this node.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// From the peer to here.
    In,
    /// From here to the peer.
    Out,
    /// Both ways.
    Both,
}

/// The route, to be merged with the edge's.
pub(crate) fn router(reach: Reach) -> Router {
    Router::new()
        .route("/v1/test/faults", post(change))
        .with_state(reach)
}

/// The rules that the names break, in the simulator's words.
pub(crate) fn sabotage(names: &[String]) -> Result<Sabotage, String> {
    let mut all = Sabotage::default();
    for name in names {
        let scenario = Scenario {
            sabotage: Some(name.clone()),
            ..Scenario::default()
        };
        let one = scenario.switches();
        if one == Sabotage::default() {
            return Err(format!("no rule is broken by the name {name:?}"));
        }
        all = all.and(one);
    }
    Ok(all)
}

async fn change(
    State(reach): State<Reach>,
    Json(body): Json<FaultsBody>,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let refused = |words: String| (StatusCode::BAD_REQUEST, Json(json!({ "detail": words })));
    let Some(faults) = reach.transport.faults() else {
        return Err(refused("the network was bound without faults".to_owned()));
    };
    if let Some(names) = &body.sabotage {
        let sabotage = sabotage(names).map_err(refused)?;
        let sent = reach.orders.send(Order::Sabotage(sabotage)).await;
        sent.map_err(|_| refused("the node is stopping".to_owned()))?;
    }
    if body.clear {
        faults.clear();
    }
    let direction = match body.direction {
        Some(Way::In) => Direction::In,
        Some(Way::Out) => Direction::Out,
        Some(Way::Both) | None => Direction::Both,
    };
    for node in &body.block {
        faults.block(*node, direction);
    }
    for node in &body.unblock {
        faults.unblock(*node);
    }
    if let Some(ms) = body.delay_ms {
        let known = reach.transport.peers().into_iter().map(|peer| peer.node);
        let to: Vec<NodeId> = if body.delay_to.is_empty() {
            known.collect()
        } else {
            body.delay_to.clone()
        };
        for node in to {
            faults.delay(node, Duration::from_millis(ms));
        }
    }
    if let Some(ms) = body.clock_offset_ms {
        reach.clock.set_offset_ms(ms);
    }
    if let Some(ppm) = body.clock_drift_ppm {
        reach.clock.set_drift_ppm(ppm);
    }
    if let Some(on) = body.no_fsync {
        reach.no_sync.store(on, Ordering::Relaxed);
    }
    Ok(Json(json!({ "done": true })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use unisono_sim::Planted;

    /// Of 21 faults that the simulator knows, a real node broke twelve: for the others an honest
    /// node ran, and whoever looked for the fault found none.
    #[test]
    fn every_planted_fault_is_planted_in_a_real_node() {
        let mut names = Vec::new();
        for planted in Planted::ALL {
            let name = planted.name.to_owned();
            let scenario = Scenario {
                sabotage: Some(name.clone()),
                ..Scenario::default()
            };
            if scenario.switches() == Sabotage::default() {
                continue;
            }
            let one = sabotage(std::slice::from_ref(&name));
            assert_eq!(one, Ok(scenario.switches()), "{name}");
            names.push(name);
        }
        let all = sabotage(&names).unwrap_or_default();
        for name in names {
            let one = sabotage(&[name]).unwrap_or_default();
            assert_eq!(all.and(one), all);
        }
    }
}
