//! The verdict: one line for each property, with what was counted.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};
use unisono_model::Digest;

use super::cluster::REGIONS;
use super::evidence::{CONVERGE_WITHIN, Evidence, collect};
use super::scenes::Stage;
use crate::failure::Failure;
use crate::judge::{self, Dump};

/// Whether a property held.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    /// Which property.
    pub(super) property: &'static str,
    /// Whether it held.
    pub(super) ok: bool,
    /// What was counted.
    pub(super) figures: Value,
    /// What did not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) violations: Vec<String>,
}

/// Waits for the nodes to agree, collects what they show and what is on their disks, and judges.
pub(super) async fn judge(stage: &mut Stage) -> Result<Vec<Verdict>, Failure> {
    let evidence = collect(stage).await?;
    Ok(vec![
        converged(&evidence),
        refolded(&evidence),
        nothing_lost(&evidence, stage),
        one_holder(&evidence, stage),
        tokens_grew(stage),
        losers_told(&evidence, stage),
        signatures(&evidence),
        read_your_writes(stage),
        counted_once(&evidence, stage),
        leases_end(&evidence, stage),
        both_sides(stage),
    ])
}

fn verdict(property: &'static str, figures: Value, violations: Vec<String>) -> Verdict {
    Verdict {
        property,
        ok: violations.is_empty(),
        figures,
        violations,
    }
}

/// What a scene found against a property.
fn faults(stage: &Stage, property: &str) -> Vec<String> {
    let faults = stage.facts.faults.iter().filter(|(of, _)| *of == property);
    faults.map(|(_, words)| words.clone()).collect()
}

fn converged(evidence: &Evidence) -> Verdict {
    let mut violations = Vec::new();
    if evidence.converged_ms.is_none() {
        let within = CONVERGE_WITHIN.as_secs();
        violations.push(format!("the nodes hold different logs after {within} s"));
    }
    let first = &evidence.nodes[0];
    for (index, node) in evidence.nodes.iter().enumerate().skip(1) {
        let pair = format!("{} and {}", REGIONS[0], REGIONS[index]);
        if node.hashes.views != first.hashes.views {
            violations.push(format!("{pair} show different views at {}", evidence.at));
        }
        if node.hashes.documents != first.hashes.documents {
            violations.push(format!("{pair} have different document heads"));
        }
        let names = [&first.shown.dump.names, &node.shown.dump.names];
        let differ = names[0].symmetric_difference(names[1]).count();
        if differ > 0 {
            violations.push(format!("{pair} differ in {differ} records"));
        }
    }
    let figures = json!({
        "nodes": evidence.nodes.len(),
        "records": first.shown.dump.records.len(),
        "views": short(&first.hashes.views),
        "documents": short(&first.hashes.documents),
        "as_of": evidence.at.to_string(),
        "settled_ms": evidence.converged_ms,
    });
    verdict("converged", figures, violations)
}

fn refolded(evidence: &Evidence) -> Verdict {
    let mut violations = Vec::new();
    for (index, node) in evidence.nodes.iter().enumerate() {
        let folded = judge::refold(&node.shown.dump, evidence.at);
        let checks = [
            folded.claims_match(&node.shown.claims.claims),
            folded.tasks_match(&node.shown.tasks),
        ];
        let wrong = checks.into_iter().filter_map(Result::err);
        violations.extend(wrong.map(|what| format!("{}: {what}", REGIONS[index])));
    }
    let folded = &evidence.folded;
    let closed = folded
        .tasks
        .values()
        .filter(|task| task.is_closed())
        .count();
    let figures = json!({
        "records": folded.counted,
        "tasks": folded.tasks.len(),
        "closed": closed,
        "topics_held": folded.held.len(),
    });
    verdict("equal to a naive refold", figures, violations)
}

fn nothing_lost(evidence: &Evidence, stage: &Stage) -> Verdict {
    let dumps: Vec<Dump> = evidence
        .nodes
        .iter()
        .map(|node| node.shown.dump.clone())
        .collect();
    let mut names: BTreeSet<Digest> = evidence
        .histories
        .acknowledged
        .iter()
        .map(|told| told.record)
        .collect();
    let told_to_agents = stage.ledger.promised();
    names.extend(told_to_agents.iter().map(|(_, record)| *record));
    let mut violations = Vec::new();
    for (index, dump) in dumps.iter().enumerate() {
        let lost = names.difference(&dump.names).count();
        if lost > 0 {
            violations.push(format!(
                "{} lacks {lost} acknowledged records",
                REGIONS[index]
            ));
        }
        violations.extend(dump.stamps_rise().err());
    }
    let figures = json!({
        "acknowledged": names.len(),
        "told_to_agents": told_to_agents.len(),
        "refused": stage.ledger.refused(),
        "unknown_and_repeated": stage.ledger.retried.load(std::sync::atomic::Ordering::Relaxed),
    });
    verdict("nothing acknowledged lost", figures, violations)
}

fn one_holder(evidence: &Evidence, stage: &Stage) -> Verdict {
    let mut violations = faults(stage, "one confirmed holder");
    let confirmed = stage.seen.confirmed();
    for claim in confirmed
        .iter()
        .filter_map(|claim| evidence.folded.lost.get(claim))
    {
        violations.push(format!("{} was shown as confirmed, and lost", claim.0));
    }
    violations.extend(evidence.folded.overlap(&confirmed).err());
    violations.extend(stage.seen.overlap().err());
    let topics: BTreeSet<&String> = evidence
        .folded
        .granted
        .iter()
        .map(|grant| &grant.0)
        .collect();
    let figures = json!({
        "topics": topics.len(),
        "confirmed": confirmed.len(),
        "lost": evidence.folded.lost.len(),
        "looks": stage.seen.looks(),
    });
    verdict("one confirmed holder", figures, violations)
}

fn tokens_grew(stage: &Stage) -> Verdict {
    let facts = &stage.facts;
    let mut violations = faults(stage, "tokens only grow");
    if facts.tokens == 0 {
        violations.push("the guard was never asked".to_owned());
    }
    let figures = json!({ "accepted": facts.tokens, "losers_refused": facts.stale_refused });
    verdict("tokens only grow", figures, violations)
}

fn losers_told(evidence: &Evidence, stage: &Stage) -> Verdict {
    let mut violations = faults(stage, "losers told");
    for (claim, (topic, _)) in &evidence.folded.lost {
        if !stage.seen.was_told(claim) {
            violations.push(format!("nobody told the loser of {topic}"));
        }
    }
    if evidence.folded.lost.is_empty() {
        violations.push("nobody lost: nothing was shown".to_owned());
    }
    let figures = json!({
        "lost": evidence.folded.lost.len(),
        "told_who_holds_it": stage.facts.told_in_answer,
    });
    verdict("losers told", figures, violations)
}

fn signatures(evidence: &Evidence) -> Verdict {
    let mut violations = Vec::new();
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for (index, node) in evidence.nodes.iter().enumerate() {
        let region = REGIONS[index];
        let wrong = node.journal.violations.iter().take(3);
        violations.extend(wrong.map(|what| format!("{region}: {what}")));
        let none = BTreeSet::new();
        let verified = node
            .journal
            .records
            .get(&evidence.orchestra)
            .unwrap_or(&none);
        let unproven = node.shown.dump.names.difference(verified).count();
        if unproven > 0 {
            violations.push(format!(
                "{region} shows {unproven} records that its disk does not prove"
            ));
        }
        violations.extend(node.shown.dump.chains_are_whole().err());
        *counted.entry("signatures").or_default() += node.journal.signatures;
        *counted.entry("logs").or_default() += node.journal.logs;
        *counted.entry("chains").or_default() += node.journal.chains;
    }
    verdict(
        "signatures and chains verified offline",
        json!(counted),
        violations,
    )
}

fn read_your_writes(stage: &Stage) -> Verdict {
    let facts = &stage.facts;
    let figures =
        json!({ "read_back": facts.read_back, "said_behind_in_the_cut": facts.said_behind });
    verdict(
        "read your writes",
        figures,
        faults(stage, "read your writes"),
    )
}

fn counted_once(evidence: &Evidence, stage: &Stage) -> Verdict {
    let mut violations = faults(stage, "counted once");
    let task = &stage.facts.repeated_on;
    let folded = evidence.folded.tasks.get(task).map(judge::TaskNow::remarks);
    for (index, node) in evidence.nodes.iter().enumerate() {
        let mut tasks = node.shown.tasks.iter();
        let shown = tasks.find(|shown| shown.task == *task);
        let shown = shown.map(|task| task.remarks);
        if shown != Some(1) || folded != Some(1) {
            let shown = shown.unwrap_or_default();
            violations.push(format!("{} counts {shown} of one request", REGIONS[index]));
        }
    }
    if evidence.folded.repeated == 0 {
        violations.push("nothing was repeated: nothing was shown".to_owned());
    }
    verdict(
        "counted once",
        json!({ "repetitions": evidence.folded.repeated }),
        violations,
    )
}

fn leases_end(evidence: &Evidence, stage: &Stage) -> Verdict {
    let mut violations = faults(stage, "leases end");
    for (index, node) in evidence.nodes.iter().enumerate() {
        let claims = node.shown.claims.claims.iter();
        let over = claims.filter(|claim| claim.until.stamp < evidence.at);
        violations.extend(over.map(|claim| {
            format!(
                "{} shows {} as held beyond its lease",
                REGIONS[index], claim.topic
            )
        }));
    }
    let ended = evidence.folded.granted.len() - evidence.folded.held.len();
    verdict(
        "leases end",
        json!({ "granted": evidence.folded.granted.len(), "ended": ended }),
        violations,
    )
}

fn both_sides(stage: &Stage) -> Verdict {
    let facts = &stage.facts;
    let mut violations = faults(stage, "both sides went on");
    let [paris, oregon, tokyo] = facts.in_the_cut;
    if paris == 0 || tokyo == 0 {
        violations.push("a side of the cut stood still".to_owned());
    }
    if facts.provisional < 2 {
        violations.push("no topic was claimed on both sides".to_owned());
    }
    let figures = json!({
        "acknowledged_in_the_cut": { "paris": paris, "oregon": oregon, "tokyo": tokyo },
        "provisional_on_both_sides": facts.provisional,
    });
    verdict("both sides went on", figures, violations)
}

fn short(digest: &Digest) -> String {
    digest.to_string().chars().take(12).collect()
}
