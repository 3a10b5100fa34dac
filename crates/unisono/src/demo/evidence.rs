//! What is judged: what every node shows at one stamp, its records, and the bytes on its disk.

use std::time::{Duration, Instant};

use unisono_api::dto::Hashes;
use unisono_model::{OrchestraId, Stamp};

use super::cluster::REGIONS;
use super::fleet::{self, ORCHESTRA};
use super::scenes::Stage;
use crate::failure::{Exit, Failure};
use crate::judge::{self, Histories, Inspected, Refolded, Shown};

/// How long the nodes may take until they show the same.
pub(super) const CONVERGE_WITHIN: Duration = Duration::from_secs(12);

/// What there is of one node.
pub(super) struct OfNode {
    /// Digests of everything at the common stamp.
    pub(super) hashes: Hashes,
    /// What it shows at the common stamp, and all its records.
    pub(super) shown: Shown,
    /// What its disk proves.
    pub(super) journal: Inspected,
}

/// Everything that is judged.
pub(super) struct Evidence {
    /// The common stamp.
    pub(super) at: Stamp,
    /// How long the nodes took to hold the same; none if they never did.
    pub(super) converged_ms: Option<u64>,
    /// By region.
    pub(super) nodes: Vec<OfNode>,
    /// What the nodes wrote down of their promises.
    pub(super) histories: Histories,
    /// A plain refold of the first node's dump.
    pub(super) folded: Refolded,
    /// Which orchestra.
    pub(super) orchestra: OrchestraId,
}

/// Waits for the nodes to agree, and collects everything.
pub(super) async fn collect(stage: &Stage) -> Result<Evidence, Failure> {
    let (at, converged_ms) = settle(stage).await?;
    let mut nodes = Vec::new();
    let mut histories = Histories::default();
    for index in 0..REGIONS.len() {
        nodes.push(of_node(stage, index, at).await?);
        histories.read(&stage.cluster.history(index))?;
    }
    let folded = judge::refold(&nodes[0].shown.dump, at);
    let orchestra = OrchestraId::of(stage.cluster.id, ORCHESTRA);
    Ok(Evidence {
        at,
        converged_ms,
        nodes,
        histories,
        folded,
        orchestra,
    })
}

/// Waits until all nodes hold the same logs; gives a stamp that all of them have passed.
async fn settle(stage: &Stage) -> Result<(Stamp, Option<u64>), Failure> {
    let began = Instant::now();
    loop {
        let mut asked = tokio::task::JoinSet::new();
        for node in &stage.cluster.nodes {
            let client = fleet::client(&[node.http.as_str()])?;
            asked.spawn(async move { client.hash(ORCHESTRA).await });
        }
        let told: Vec<_> = asked
            .join_all()
            .await
            .into_iter()
            .filter_map(Result::ok)
            .collect();
        let same = told.windows(2).all(|pair| {
            let [one, other] = [&pair[0].body, &pair[1].body];
            (one.vector, one.documents) == (other.vector, other.documents)
        });
        let at = told.iter().filter_map(|told| told.as_of).min();
        let all = told.len() == REGIONS.len();
        if let (Some(at), true, true) = (at, all, same) {
            return Ok((at, Some(began.elapsed().as_millis() as u64)));
        }
        if began.elapsed() >= CONVERGE_WITHIN {
            let at = at.filter(|_| all).ok_or_else(|| {
                Failure::new(
                    Exit::Unavailable,
                    "demo_silent",
                    "not every node answers at the end",
                )
            })?;
            return Ok((at, None));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn of_node(stage: &Stage, index: usize, at: Stamp) -> Result<OfNode, Failure> {
    let node = &stage.cluster.nodes[index];
    let client = fleet::client(&[node.http.as_str()])?;
    let text = at.to_string();
    let as_of = [("as_of", text.as_str())];
    let hashes = client.read::<Hashes>(ORCHESTRA, "hash", &as_of).await?.body;
    let shown = judge::shown(&client, ORCHESTRA, at).await?;
    let copy = stage
        .cluster
        .directory
        .join(format!("{}.copy", node.region));
    let (journal, cluster) = (node.data.join("journal"), stage.cluster.id);
    let inspected = tokio::task::spawn_blocking(move || judge::inspect(&journal, &copy, cluster));
    let inspected = inspected.await.map_err(|error| {
        Failure::new(
            Exit::Failed,
            "internal",
            format!("the inspection ended: {error}"),
        )
    })?;
    Ok(OfNode {
        hashes,
        shown,
        journal: inspected?,
    })
}
