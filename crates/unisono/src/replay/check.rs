//! Whether what the nodes show is what their records come to: each node's dump, refolded naively,
//! against its tables, and every record that was acknowledged in every dump.

use std::collections::BTreeSet;

use serde::Serialize;
use unisono_api::client::{self, Client};
use unisono_model::{Digest, Stamp};

use crate::failure::Failure;
use crate::judge::{self, Shown};

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Checked {
    /// Whether everything held.
    pub(crate) ok: bool,
    /// Records in the first node's dump.
    pub(crate) records: usize,
    /// Records that were acknowledged to the player.
    pub(crate) acknowledged: usize,
    /// Tasks whose every field was compared, on each node.
    pub(crate) tasks: usize,
    /// What did not hold.
    pub(crate) violations: Vec<String>,
}

impl Checked {
    /// For people.
    pub(crate) fn words(&self) -> String {
        let mut text = format!(
            "checked: {} records dumped, {} acknowledged, {} tasks: {}\n",
            self.records,
            self.acknowledged,
            self.tasks,
            if self.ok {
                "equal to a naive refold on every node, nothing lost"
            } else {
                "NOT what the nodes show"
            }
        );
        for violation in &self.violations {
            text.push_str("  ");
            text.push_str(violation);
            text.push('\n');
        }
        text
    }
}

/// Holds each node's tables against its dump, and its dump against what was acknowledged.
pub(crate) async fn check(
    nodes: &[String],
    token: Option<&str>,
    orchestra: &str,
    at: Stamp,
    acknowledged: &BTreeSet<Digest>,
) -> Result<Checked, Failure> {
    let mut checked = Checked {
        acknowledged: acknowledged.len(),
        ..Checked::default()
    };
    let mut first: Option<BTreeSet<Digest>> = None;
    for node in nodes {
        let mut config = client::Config::new([node.as_str()]);
        config.token = token.map(str::to_owned);
        let client = Client::offline(config)?;
        let Shown {
            claims,
            tasks,
            dump,
        } = judge::shown(&client, orchestra, at).await?;
        let folded = judge::refold(&dump, at);
        let faults = [
            folded.claims_match(&claims.claims).err(),
            folded.tasks_match(&tasks).err(),
            dump.stamps_rise().err(),
            dump.chains_are_whole().err(),
        ];
        let faults = faults.into_iter().flatten();
        checked
            .violations
            .extend(faults.map(|what| format!("{node}: {what}")));
        let lost = acknowledged.difference(&dump.names).count();
        if lost > 0 {
            let what = format!("{node} lacks {lost} acknowledged records");
            checked.violations.push(what);
        }
        if first.is_none() {
            (checked.records, checked.tasks) = (dump.records.len(), tasks.len());
        }
        let names = first.get_or_insert_with(|| dump.names.clone());
        let differ = names.symmetric_difference(&dump.names).count();
        if differ > 0 {
            let what = format!("{node} differs from {} in {differ} records", nodes[0]);
            checked.violations.push(what);
        }
    }
    checked.ok = checked.violations.is_empty();
    Ok(checked)
}
