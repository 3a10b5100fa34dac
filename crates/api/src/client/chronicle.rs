//! What became of each iteration, told from its records: derived, never stored, the same in
//! whichever order the records come.
//!
//! Views forget what has ended (an offer ends with its iteration); records do not. A [`Chronicle`]
//! takes them in one by one, and [`Chronicle::chapter`] gives back all that belongs to an iteration.
//! [`super::compression`] makes what fits a budget of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use unisono_core::orchestra::course::PhaseMap;
use unisono_model::{AgentId, Digest, IdempotencyKey, Setting, Stamp};

use super::{Client, ClientError};
use crate::dto::{
    ActionShown, DecideBody, DecideWord, ImportanceWord, MarkBody, Moment, PhaseWord, RecordEvent,
    RejectedBody, ResolveBody, SignalBody, SignalKindWord, TaskStatusWord, UrgencyWord, ValueShown,
    VerdictWord,
};

/// The words on a mark that keep it from being dropped.
pub const PINNING: [&str; 3] = ["decision", "pinned", "dead-end"];

/// Records of an orchestra, by iteration.
#[derive(Clone, Debug, Default)]
pub struct Chronicle {
    /// What tells something of an iteration, in the order of everything.
    facts: BTreeMap<(Stamp, Digest), RecordEvent>,
    /// Every record that counts, so that each counts once.
    known: BTreeMap<Digest, u32>,
    /// Of each request, the record that counts: the lowest.
    keyed: BTreeMap<(AgentId, IdempotencyKey), (Stamp, Digest)>,
    /// When each iteration was ended, by whomever.
    ended: BTreeMap<u32, BTreeMap<(Stamp, Digest), Moment>>,
    /// How many records there were of each.
    records: BTreeMap<u32, u64>,
    phases: PhaseMap,
    /// As of when it is told; none: now.
    at: Option<Stamp>,
    /// Of one iteration everything is kept, whether a chapter tells of it or not.
    whole: Option<u32>,
}

/// All that belongs to one iteration, each list in the order of everything.
#[derive(Clone, Debug, Serialize)]
pub struct Chapter {
    /// Which.
    pub iteration: u32,
    /// Its phase.
    pub phase: PhaseWord,
    /// When it began; none: with the orchestra.
    pub began: Option<Moment>,
    /// When it ended; none: it has not.
    pub ended: Option<Moment>,
    /// Who acted in it.
    pub agents: BTreeSet<String>,
    /// What was decided, or found to lead nowhere.
    pub decisions: Vec<Decided>,
    /// What was offered, written or closed.
    pub artifacts: Vec<Artifact>,
    /// What somebody needed.
    pub needs: Vec<Needed>,
    /// Interferences that were resolved.
    pub resolutions: Vec<Resolved>,
    /// Marks: what was done, and what proves it.
    pub marks: Vec<Marked>,
    /// How many records that count bear this iteration.
    pub records: u64,
    /// All of these, where they were kept ([`Chronicle::keeping`]).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deeds: Vec<RecordEvent>,
}

/// A decision or a dead end.
#[derive(Clone, Debug, Serialize)]
pub struct Decided {
    /// Its record.
    pub record: Digest,
    /// When.
    pub at: Moment,
    /// By whom.
    pub by: String,
    /// Decision or dead end.
    pub kind: DecideWord,
    /// About what.
    pub topic: String,
    /// What it says.
    pub text: String,
    /// The question that was open.
    pub question: String,
    /// Why.
    pub reason: String,
    /// How sure whoever decided was (‰).
    pub confidence_permille: u16,
    /// What was looked at and not taken.
    pub rejected: Vec<RejectedBody>,
    /// Whose places it takes.
    pub supersedes: Vec<Digest>,
    /// How much it matters.
    pub importance: ImportanceWord,
    /// Whether a later one has taken its place.
    pub superseded: bool,
}

/// Something that was made.
#[derive(Clone, Debug, Serialize)]
pub struct Artifact {
    /// The record that says so.
    pub record: Digest,
    /// When.
    pub at: Moment,
    /// By whom.
    pub by: String,
    /// The topic of the offer, the path of the file, the name of the task.
    pub name: String,
    /// In words.
    pub text: String,
    /// The mark that proves it; a file is measured instead.
    pub mark: Option<Digest>,
}

/// Something that somebody needed.
#[derive(Clone, Debug, Serialize)]
pub struct Needed {
    /// Its record.
    pub record: Digest,
    /// When.
    pub at: Moment,
    /// By whom.
    pub by: String,
    /// About what.
    pub topic: String,
    /// In words.
    pub text: String,
    /// Whether it kept them from going on.
    pub blocking: bool,
    /// Whether somebody else offered it in this iteration, from then on or before.
    pub answered: bool,
}

/// How an interference was resolved.
#[derive(Clone, Debug, Serialize)]
pub struct Resolved {
    /// Its record.
    pub record: Digest,
    /// When.
    pub at: Moment,
    /// By whom.
    pub by: String,
    /// Which interference.
    pub interference: Digest,
    /// What was decided.
    pub outcome: String,
    /// The mark that proves it.
    pub mark: Option<Digest>,
}

/// A mark.
#[derive(Clone, Debug, Serialize)]
pub struct Marked {
    /// Its record.
    pub record: Digest,
    /// When.
    pub at: Moment,
    /// By whom.
    pub by: String,
    /// About what.
    pub about: String,
    /// What was done.
    pub text: String,
    /// Why.
    pub reasoning: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// What proves it.
    pub evidence: Vec<Digest>,
}

impl Decided {
    /// Whether it may not be dropped: it binds, and matters much.
    pub fn is_pinned(&self) -> bool {
        !self.superseded && self.importance >= ImportanceWord::High
    }
}

impl Marked {
    /// Whether it may not be dropped: whoever made it said so.
    pub fn is_pinned(&self) -> bool {
        self.tags.iter().any(|tag| PINNING.contains(&tag.as_str()))
    }
}

impl Chronicle {
    /// An empty one; the phases are those of the orchestra's settings.
    pub fn new(phases: PhaseMap) -> Self {
        Self {
            phases,
            ..Self::default()
        }
    }

    /// An empty one that is told as of a moment, or as of now: it is handed records up to then and
    /// later ones, which it passes over.
    pub fn as_of(phases: PhaseMap, at: Option<Stamp>) -> Self {
        Self {
            at,
            ..Self::new(phases)
        }
    }

    /// The same, that keeps every record of an iteration as it stands: who meant, claimed, made and
    /// closed what.
    #[must_use]
    pub fn keeping(self, iteration: u32) -> Self {
        let whole = Some(iteration);
        Self { whole, ..self }
    }

    /// Reads every record that a node holds of an orchestra, up to a moment or all.
    ///
    /// # Errors
    /// What the node refused, or that its dump broke off.
    pub async fn read(
        client: &Client,
        orchestra: &str,
        at: Option<Stamp>,
    ) -> Result<Self, ClientError> {
        Self::read_into(client, orchestra, at, None).await
    }

    /// The same, that keeps every record of an iteration ([`Chronicle::keeping`]).
    ///
    /// # Errors
    /// As of [`Chronicle::read`].
    pub async fn read_keeping(
        client: &Client,
        orchestra: &str,
        at: Option<Stamp>,
        iteration: u32,
    ) -> Result<Self, ClientError> {
        Self::read_into(client, orchestra, at, Some(iteration)).await
    }

    async fn read_into(
        client: &Client,
        orchestra: &str,
        at: Option<Stamp>,
        whole: Option<u32>,
    ) -> Result<Self, ClientError> {
        let moment = at.map(|at| at.to_string());
        let query: Vec<(&str, &str)> = moment.iter().map(|at| ("as_of", at.as_str())).collect();
        // Asked with what the caller has seen: the dump that follows knows at least as much.
        let settings = client
            .read::<crate::dto::Settings>(orchestra, "settings", &query)
            .await?;
        let said = |setting: Setting| settings.body.settings.get(&setting.into()).copied();
        let mut chronicle = Self::as_of(PhaseMap::of(said), at);
        chronicle.whole = whole;
        let mut dump = client.dump_as_of(orchestra, None, at).await?;
        while let Some(record) = dump.next().await? {
            chronicle.insert(record);
        }
        Ok(chronicle)
    }

    /// Takes in a record. One that does not count tells nothing, nor does one that was set aside by
    /// the time that is told of; of several under one key the lowest counts, as in the views.
    pub fn insert(&mut self, record: RecordEvent) {
        let aside = record.set_aside_by;
        let stood = aside.is_some_and(|by| self.at.is_some_and(|at| by.stamp.stamp > at));
        let counts = match record.verdict {
            VerdictWord::Valid => true,
            VerdictWord::SetAside => stood,
            VerdictWord::Pending | VerdictWord::Void => false,
        };
        let place = (record.stamp.stamp, record.record);
        let later = self.at.is_some_and(|at| place.0 > at);
        if !counts || later || self.known.contains_key(&record.record) {
            return;
        }
        if let Some(key) = record.key {
            let lowest = self.keyed.entry((record.agent, key)).or_insert(place);
            if *lowest < place {
                return;
            }
            let former = std::mem::replace(lowest, place);
            self.take_out(former);
        }
        self.known.insert(record.record, record.iteration);
        *self.records.entry(record.iteration).or_default() += 1;
        if let ActionShown::Advance(body) = &record.action {
            let ends = self.ended.entry(body.from).or_default();
            ends.insert(place, record.stamp);
        }
        if tells(&record.action) || self.whole == Some(record.iteration) {
            self.facts.insert(place, record);
        }
    }

    fn take_out(&mut self, place: (Stamp, Digest)) {
        if let Some(iteration) = self.known.remove(&place.1) {
            *self.records.entry(iteration).or_default() -= 1;
        }
        self.facts.remove(&place);
        self.ended.retain(|_, ends| {
            ends.remove(&place);
            !ends.is_empty()
        });
    }

    /// When an iteration was ended first.
    fn end_of(&self, iteration: u32) -> Option<Moment> {
        let ends = self.ended.get(&iteration)?;
        ends.values().next().copied()
    }

    /// The current iteration: the longest run of ended ones from 1, and one.
    pub fn iteration(&self) -> u32 {
        let mut iteration = 1;
        while self.ended.contains_key(&iteration) {
            iteration += 1;
        }
        iteration
    }

    /// The phase of an iteration.
    pub fn phase(&self, iteration: u32) -> PhaseWord {
        self.phases.phase(iteration).into()
    }

    /// All that belongs to an iteration; of one that has not begun nothing does.
    pub fn chapter(&self, iteration: u32) -> Chapter {
        let mut chapters = self.chapters_from(iteration, iteration);
        chapters.pop().unwrap_or_else(|| self.blank(iteration))
    }

    /// The chapters of all iterations up to the current one.
    pub fn chapters(&self) -> Vec<Chapter> {
        self.chapters_from(1, self.iteration())
    }

    /// Every mark that counts, by its record.
    pub fn marks(&self) -> BTreeSet<Digest> {
        let facts = self.facts.values();
        let marks = facts.filter(|fact| matches!(fact.action, ActionShown::Mark(_)));
        marks.map(|fact| fact.record).collect()
    }

    fn chapters_from(&self, first: u32, last: u32) -> Vec<Chapter> {
        let superseded = self.superseded();
        let mut chapters: Vec<Chapter> = (first..=last).map(|n| self.blank(n)).collect();
        for fact in self.facts.values() {
            let place = fact.iteration.checked_sub(first);
            let chapter = place.and_then(|place| chapters.get_mut(place as usize));
            if let Some(chapter) = chapter {
                chapter.take(fact, &superseded);
                if self.whole == Some(chapter.iteration) {
                    chapter.deeds.push(fact.clone());
                }
            }
        }
        for chapter in &mut chapters {
            chapter.answer();
        }
        chapters
    }

    fn blank(&self, iteration: u32) -> Chapter {
        let before = iteration.checked_sub(1);
        Chapter {
            iteration,
            phase: self.phase(iteration),
            began: before.and_then(|before| self.end_of(before)),
            ended: self.end_of(iteration),
            agents: BTreeSet::new(),
            decisions: Vec::new(),
            artifacts: Vec::new(),
            needs: Vec::new(),
            resolutions: Vec::new(),
            marks: Vec::new(),
            records: self.records.get(&iteration).copied().unwrap_or_default(),
            deeds: Vec::new(),
        }
    }

    fn superseded(&self) -> BTreeSet<Digest> {
        // In the order of everything: what stands before a decision cannot take its place.
        let (mut told, mut superseded) = (BTreeSet::new(), BTreeSet::new());
        for fact in self.facts.values() {
            if let ActionShown::Decide(body) = &fact.action {
                let former = body.supersedes.iter().filter(|one| told.contains(*one));
                superseded.extend(former.copied());
                told.insert(fact.record);
            }
        }
        superseded
    }
}

impl Chapter {
    /// The marks by which what was offered, closed or resolved is proven, each with what it proves.
    pub fn proofs(&self) -> Vec<(String, Digest)> {
        let artifacts = self.artifacts.iter();
        let mut proofs: Vec<(String, Digest)> = artifacts
            .filter_map(|one| Some((one.name.clone(), one.mark?)))
            .collect();
        let resolved = self.resolutions.iter();
        proofs.extend(resolved.filter_map(|one| Some((one.outcome.clone(), one.mark?))));
        proofs
    }

    fn take(&mut self, fact: &RecordEvent, superseded: &BTreeSet<Digest>) {
        let name = fact.name.clone();
        self.agents.insert(name.clone());
        match &fact.action {
            ActionShown::Decide(body) => {
                let gone = superseded.contains(&fact.record);
                self.decisions.push(decided(fact, body, gone));
            }
            ActionShown::Emit(body) => self.take_signal(fact, body),
            ActionShown::Resolve(body) => self.take_resolution(fact, body),
            ActionShown::Mark(body) => self.marks.push(marked(fact, body)),
            ActionShown::Task(body) => {
                let closes = |value: &ValueShown| {
                    matches!(value, ValueShown::Status(TaskStatusWord::Closed))
                };
                if body.fields.iter().any(|field| closes(&field.value)) {
                    let task = body.task.clone();
                    self.artifacts
                        .push(artifact(fact, task, "closed", body.evidence));
                }
            }
            ActionShown::Write(body) => {
                let path = body.path.clone();
                self.artifacts.push(artifact(fact, path, "written", None));
            }
            _ => {}
        }
    }

    fn take_signal(&mut self, fact: &RecordEvent, body: &SignalBody) {
        match body.kind {
            SignalKindWord::Offer => {
                let topic = body.topic.clone();
                self.artifacts
                    .push(artifact(fact, topic, &body.text, body.evidence));
            }
            SignalKindWord::Need => self.needs.push(Needed {
                record: fact.record,
                at: fact.stamp,
                by: fact.name.clone(),
                topic: body.topic.clone(),
                text: body.text.clone(),
                blocking: body.urgency == UrgencyWord::Blocking,
                answered: false,
            }),
            SignalKindWord::Intent => {}
        }
    }

    fn take_resolution(&mut self, fact: &RecordEvent, body: &ResolveBody) {
        // The first by stamp stands.
        let known = |one: &Resolved| one.interference == body.interference;
        if self.resolutions.iter().any(known) {
            return;
        }
        self.resolutions.push(Resolved {
            record: fact.record,
            at: fact.stamp,
            by: fact.name.clone(),
            interference: body.interference,
            outcome: body.outcome.clone(),
            mark: body.mark,
        });
    }

    /// Which needs somebody else offered.
    fn answer(&mut self) {
        for need in &mut self.needs {
            let mut offers = self.artifacts.iter();
            need.answered = offers.any(|one| one.name == need.topic && one.by != need.by);
        }
    }
}

/// Whether an action tells something of its iteration.
fn tells(action: &ActionShown) -> bool {
    matches!(
        action,
        ActionShown::Decide(_)
            | ActionShown::Emit(_)
            | ActionShown::Resolve(_)
            | ActionShown::Mark(_)
            | ActionShown::Task(_)
            | ActionShown::Write(_)
    )
}

fn decided(fact: &RecordEvent, body: &DecideBody, superseded: bool) -> Decided {
    Decided {
        record: fact.record,
        at: fact.stamp,
        by: fact.name.clone(),
        kind: body.kind,
        topic: body.topic.clone(),
        text: body.text.clone(),
        question: body.question.clone(),
        reason: body.reason.clone(),
        confidence_permille: body.confidence_permille,
        rejected: body.rejected.clone(),
        supersedes: body.supersedes.clone(),
        importance: body.importance,
        superseded,
    }
}

fn marked(fact: &RecordEvent, body: &MarkBody) -> Marked {
    Marked {
        record: fact.record,
        at: fact.stamp,
        by: fact.name.clone(),
        about: body.about.clone(),
        text: body.text.clone(),
        reasoning: body.reasoning.clone(),
        tags: body.tags.clone(),
        evidence: body.evidence.clone(),
    }
}

fn artifact(fact: &RecordEvent, name: String, text: &str, mark: Option<Digest>) -> Artifact {
    Artifact {
        record: fact.record,
        at: fact.stamp,
        by: fact.name.clone(),
        name,
        text: text.to_owned(),
        mark,
    }
}
