//! An orchestra as files: what a directory would have said, had it been written by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde::Serialize;
use unisono_api::client::chronicle::{Chapter, Chronicle};
use unisono_api::client::compression;
use unisono_api::dto::{
    AgentKindWord, Agents, Claims, DecideWord, Interferences, Presences, Signals, Task,
    TaskStatusWord,
};

use super::{
    AUDIT, ArtifactFile, BlockerFile, ContextFile, DecisionFile, DeliverableFile, HISTORY, MISSION,
    ORCHESTRA, OrchestraFile, PresenceFile, RESOLVED, RESONANCE, ResonanceFile, SUMMARY, Short,
    SignalFile, SignalType, SummaryFile,
};
use crate::failure::{Exit, Failure};

/// What is known of an orchestra at one moment.
pub(crate) struct Known {
    /// Which run it is.
    pub(crate) run: u64,
    /// What became of its iterations.
    pub(crate) chronicle: Chronicle,
    /// Who is enrolled.
    pub(crate) agents: Agents,
    /// How they are.
    pub(crate) presences: Presences,
    /// What stands.
    pub(crate) signals: Signals,
    /// Who holds what.
    pub(crate) claims: Claims,
    /// Where they are in each other's way.
    pub(crate) interferences: Interferences,
    /// All tasks.
    pub(crate) tasks: Vec<Task>,
}

/// Writes the files into a directory that is empty or not there.
///
/// # Errors
/// A directory with something in it, or what the system refused.
pub(crate) fn write(directory: &Path, known: &Known) -> Result<usize, Failure> {
    let failed = |error: io::Error| Failure::system(&directory.display().to_string(), &error);
    std::fs::create_dir_all(directory).map_err(failed)?;
    if std::fs::read_dir(directory)
        .map_err(failed)?
        .next()
        .is_some()
    {
        let words = format!("{} is not empty", directory.display());
        return Err(Failure::new(Exit::Conflict, "not_empty", words)
            .hint("name a directory that is empty or not there; nothing was written"));
    }
    let (history, audit) = (directory.join(HISTORY), directory.join(AUDIT));
    std::fs::create_dir(&history).map_err(failed)?;
    std::fs::create_dir(&audit).map_err(failed)?;
    let chapters = known.chronicle.chapters();
    let current = &chapters[chapters.len() - 1];
    file(&directory.join(ORCHESTRA), &orchestra(known, current))?;
    file(&directory.join(RESONANCE), &resonance(known)?)?;
    for chapter in &chapters[..chapters.len() - 1] {
        let name = format!("iteration-{:03}.json", chapter.iteration);
        file(&history.join(name), &summary(chapter))?;
    }
    let diaries = diaries(&chapters);
    for (name, text) in &diaries {
        // A name can be anything; a file's cannot.
        let safe = |c: char| {
            if c.is_alphanumeric() || "-_".contains(c) {
                c
            } else {
                '_'
            }
        };
        let name: String = name.chars().map(safe).take(80).collect();
        std::fs::write(audit.join(format!(".focus.{name}.md")), text).map_err(failed)?;
    }
    Ok(1 + chapters.len() + diaries.len())
}

fn file(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(Exit::Failed, "unprintable", error.to_string()))?;
    let failed = |error: io::Error| Failure::system(&path.display().to_string(), &error);
    std::fs::write(path, text + "\n").map_err(failed)
}

fn orchestra(known: &Known, current: &Chapter) -> OrchestraFile {
    let nodes: BTreeSet<&str> = known
        .agents
        .agents
        .iter()
        .filter(|one| one.kind == AgentKindWord::Node)
        .map(|one| one.name.as_str())
        .collect();
    let people = known.presences.presence.iter();
    let people = people.filter(|one| !nodes.contains(one.name.as_str()));
    let agents = people.map(|one| {
        let presence = PresenceFile {
            role: one.role.clone(),
            status: one.status,
            intent: one.intent.clone(),
            focus: one.focus.clone(),
            last_action: Some(one.last_action.time.to_string()),
            contribution_count: Some(one.contributions),
        };
        (one.name.clone(), presence)
    });
    OrchestraFile {
        run_number: known.run,
        iteration: current.iteration,
        phase: current.phase.into(),
        agents: agents.collect(),
        context: context(known, current),
        history: Vec::new(),
        resonance: None,
    }
}

fn context(known: &Known, current: &Chapter) -> ContextFile {
    let deliverables = known
        .tasks
        .iter()
        .filter(|task| task.status != Some(TaskStatusWord::Deleted))
        .map(|task| DeliverableFile {
            name: task.task.clone(),
            title: task.title.clone(),
            status: task.status.unwrap_or(TaskStatusWord::Open),
        });
    let blockers = current
        .needs
        .iter()
        .filter(|one| one.blocking && !one.answered);
    let mission = tagged(current, MISSION).last();
    ContextFile {
        iteration: current.iteration,
        mission: mission.unwrap_or_default(),
        deliverables: deliverables.collect(),
        decisions: decisions(current).collect(),
        blockers: blockers
            .map(|one| BlockerFile {
                id: one.topic.clone(),
                text: one.text.clone(),
                by: Some(one.by.clone()),
                resolved: false,
            })
            .collect(),
        artifacts: artifacts(current, known).collect(),
    }
}

fn summary(chapter: &Chapter) -> SummaryFile {
    let said = tagged(chapter, SUMMARY).last();
    let mut resolved: Vec<String> = tagged(chapter, RESOLVED).collect();
    resolved.extend(chapter.resolutions.iter().map(|one| one.outcome.clone()));
    let artifacts = chapter.artifacts.iter().filter(|one| one.mark.is_some());
    SummaryFile {
        iteration: chapter.iteration,
        phase: chapter.phase.into(),
        one_sentence_summary: said.unwrap_or_else(|| compression::sentence(chapter)),
        key_decisions: decisions(chapter).map(Short::Whole).collect(),
        artifacts_produced: artifacts.map(artifact).map(Short::Whole).collect(),
        blockers_resolved: resolved,
        witness_mark_ids: chapter
            .marks
            .iter()
            .map(|one| one.record.to_string())
            .collect(),
    }
}

/// The texts of marks with a tag.
fn tagged<'a>(chapter: &'a Chapter, tag: &'a str) -> impl Iterator<Item = String> + 'a {
    let marks = chapter.marks.iter();
    let tagged = marks.filter(move |one| one.tags.iter().any(|has| has == tag));
    tagged.map(|one| one.text.clone())
}

fn decisions(chapter: &Chapter) -> impl Iterator<Item = DecisionFile> + '_ {
    let stand = chapter.decisions.iter().filter(|one| !one.superseded);
    stand.map(|one| DecisionFile {
        id: one.topic.clone(),
        kind: Some(one.kind).filter(|kind| *kind != DecideWord::Decision),
        text: one.text.clone(),
        by: Some(one.by.clone()),
        importance: one.importance,
    })
}

/// What was made in the current iteration; closed tasks stand among the deliverables.
fn artifacts<'a>(
    chapter: &'a Chapter,
    known: &'a Known,
) -> impl Iterator<Item = ArtifactFile> + 'a {
    let is_task = |name: &str| known.tasks.iter().any(|task| task.task == name);
    let made = chapter.artifacts.iter();
    let made = made.filter(move |one| one.mark.is_some() && !is_task(&one.name));
    made.map(artifact)
}

fn artifact(one: &unisono_api::client::chronicle::Artifact) -> ArtifactFile {
    ArtifactFile {
        path: one.name.clone(),
        text: one.text.clone(),
        by: Some(one.by.clone()),
        witness_mark_id: one.mark.map(|mark| mark.to_string()),
    }
}

fn resonance(known: &Known) -> Result<ResonanceFile, Failure> {
    let mut signals: Vec<SignalFile> = known
        .signals
        .signals
        .iter()
        .map(|one| SignalFile {
            source: one.name.clone(),
            kind: one.kind.into(),
            topic: one.topic.clone(),
            urgency: one.urgency,
            text: one.text.clone(),
            timestamp: Some(one.place.stamp.time.to_string()),
            expires_at: Some(one.expires.time.to_string()),
            evidence: one.evidence.map(|mark| mark.to_string()),
        })
        .collect();
    signals.extend(known.claims.claims.iter().map(|one| SignalFile {
        source: one.holder.clone(),
        kind: SignalType::Claim,
        topic: one.topic.clone(),
        urgency: unisono_api::dto::UrgencyWord::Normal,
        text: String::new(),
        timestamp: None,
        expires_at: Some(one.until.time.to_string()),
        evidence: None,
    }));
    // In an order that does not depend on when each was said.
    let order = |one: &SignalFile| {
        (
            one.source.clone(),
            format!("{:?}", one.kind),
            one.topic.clone(),
        )
    };
    signals.sort_by_cached_key(order);
    let unprintable =
        |error: serde_json::Error| Failure::new(Exit::Failed, "unprintable", error.to_string());
    let (mut interference, mut resolutions) = (Vec::new(), Vec::new());
    for one in &known.interferences.interferences {
        interference.push(serde_json::to_value(one).map_err(unprintable)?);
        if let Some(resolution) = &one.resolution {
            resolutions.push(serde_json::to_value(resolution).map_err(unprintable)?);
        }
    }
    Ok(ResonanceFile {
        active_signals: signals,
        interference,
        resolutions,
    })
}

/// What each agent did, one line a mark.
fn diaries(chapters: &[Chapter]) -> BTreeMap<String, String> {
    let mut diaries: BTreeMap<String, String> = BTreeMap::new();
    for chapter in chapters {
        for one in &chapter.marks {
            let diary = diaries.entry(one.by.clone()).or_default();
            let (about, text) = (
                compression::clipped(&one.about),
                compression::clipped(&one.text),
            );
            // Writing to a string cannot fail.
            let _ = writeln!(
                diary,
                "- iteration {}, {:.0}: {about}: {text}",
                chapter.iteration, one.at.time
            );
        }
    }
    diaries
}
