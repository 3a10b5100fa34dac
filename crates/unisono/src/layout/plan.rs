//! What is to be done so that a new orchestra is what a directory says: all of it, checked by the
//! rules of the vocabulary, before the first of it is done.

use std::collections::{BTreeMap, BTreeSet};

use unisono_api::dto::{
    ActionBody, AdvanceBody, ClaimBody, DecideBody, DecideWord, MarkBody, PresenceBody,
    SettingWord, SettingsBody, SignalBody, SignalKindWord, TaskBody, TaskStatusWord, UrgencyWord,
};
use unisono_core::orchestra::course::PhaseMap;
use unisono_model::{Action, AgentKind, Digest, Enrol, check};

use super::read::Texts;
use super::{
    ArtifactFile, DecisionFile, HISTORY, Layout, MISSION, ORCHESTRA, RESOLVED, RESONANCE, SUMMARY,
    SignalFile, SignalType,
};
use crate::failure::Failure;

/// One thing to be done.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// By whom.
    pub(crate) by: String,
    /// What.
    pub(crate) action: ActionBody,
    /// Whether the mark of the step before proves it.
    pub(crate) proven: bool,
    /// Whether its time was over when the import began: it keeps its place and is not done, so that an
    /// import that goes on later knows the others by their places.
    pub(crate) expired: bool,
}

/// Everything, in its order.
#[derive(Clone, Debug)]
pub(crate) struct Plan<'a> {
    /// The steps.
    pub(crate) steps: Vec<Step>,
    /// How many marks of the directory were not taken: what they prove is not here.
    pub(crate) marks_not_taken: usize,
    /// How many signals of it had expired.
    pub(crate) expired: usize,
    layout: &'a Layout,
    texts: &'a Texts,
    /// What has been offered in the current iteration, by whom.
    offered: BTreeSet<(String, String)>,
    claimed: BTreeSet<String>,
    tasks: BTreeSet<String>,
    needed: BTreeSet<(String, String)>,
}

/// Plans it.
///
/// # Errors
/// What breaks a rule, with file and line.
pub(crate) fn plan<'a>(layout: &'a Layout, texts: &'a Texts) -> Result<Plan<'a>, Failure> {
    let mut plan = Plan {
        steps: Vec::new(),
        marks_not_taken: 0,
        expired: 0,
        layout,
        texts,
        offered: BTreeSet::new(),
        claimed: BTreeSet::new(),
        tasks: BTreeSet::new(),
        needed: BTreeSet::new(),
    };
    if layout.orchestra.agents.is_empty() {
        return Err(texts.wrong(ORCHESTRA, "agents", "nobody takes part"));
    }
    plan.agents()?;
    plan.settings()?;
    plan.history()?;
    plan.context()?;
    let now = jiff::Timestamp::now();
    let signals = &layout.resonance.active_signals;
    for (index, signal) in signals.iter().enumerate() {
        if is_over(signal, &signals[index + 1..]) {
            plan.expired += 1;
            continue;
        }
        let from = plan.steps.len();
        plan.signal(signal)?;
        let expired = plan.has_expired(signal, now)?;
        for step in &mut plan.steps[from..] {
            step.expired = expired;
        }
        plan.expired += usize::from(expired);
    }
    plan.presences()?;
    Ok(plan)
}

/// Whether a signal is a claim that its source has released since.
fn is_over(signal: &SignalFile, later: &[SignalFile]) -> bool {
    let ends = |other: &SignalFile| {
        other.kind == SignalType::Release
            && (&other.source, &other.topic) == (&signal.source, &signal.topic)
    };
    signal.kind == SignalType::Claim && later.iter().any(ends)
}

impl Plan<'_> {
    /// Whether each can be enrolled.
    fn agents(&self) -> Result<(), Failure> {
        for (name, one) in &self.layout.orchestra.agents {
            let enrol = Action::Enrol(Enrol {
                name: name.clone(),
                role: one.role.clone(),
                kind: AgentKind::Ai,
                tier: None,
            });
            let wrong = |malformed| self.texts.wrong(ORCHESTRA, name, malformed);
            check::action(&enrol).map_err(wrong)?;
        }
        Ok(())
    }

    fn settings(&mut self) -> Result<(), Failure> {
        let run = self.layout.orchestra.run_number;
        let run = (run > 0).then_some((SettingWord::Run, run));
        let (said, usual) = (self.layout.phases, PhaseMap::default());
        let ends = [
            (SettingWord::DesignEnds, said.design_ends, usual.design_ends),
            (
                SettingWord::ExecutionEnds,
                said.execution_ends,
                usual.execution_ends,
            ),
        ];
        let ends = ends.into_iter().filter(|(_, said, usual)| said != usual);
        let ends = ends.map(|(setting, said, _)| (setting, said));
        let settings: BTreeMap<SettingWord, u64> = run.into_iter().chain(ends).collect();
        if settings.is_empty() {
            return Ok(());
        }
        let action = ActionBody::Settings(SettingsBody { settings });
        self.add(ORCHESTRA, "phase", None, action, false)
    }

    fn history(&mut self) -> Result<(), Failure> {
        for summary in self.layout.history.clone() {
            let file = format!("{HISTORY}/iteration-{:03}.json", summary.iteration);
            for one in summary.key_decisions {
                self.decide(&file, one.whole())?;
            }
            for one in summary.artifacts_produced {
                self.offer(&file, one.whole())?;
            }
            for text in summary.blockers_resolved {
                self.mark(&file, "", text, RESOLVED)?;
            }
            let text = summary.one_sentence_summary;
            self.mark(&file, "", text, SUMMARY)?;
            self.marks_not_taken += summary.witness_mark_ids.len();
            let action = ActionBody::Advance(AdvanceBody {
                from: summary.iteration,
            });
            self.add(&file, "iteration", None, action, false)?;
        }
        // What was offered before ended with its iteration.
        self.offered.clear();
        Ok(())
    }

    fn context(&mut self) -> Result<(), Failure> {
        let context = self.layout.orchestra.context.clone();
        if !context.mission.is_empty() {
            self.mark(ORCHESTRA, "", context.mission, MISSION)?;
        }
        for one in context.deliverables {
            if !self.tasks.insert(one.name.clone()) {
                let why = format!("the deliverable {} stands twice", one.name);
                return Err(self.texts.wrong(ORCHESTRA, &one.name, why));
            }
            let closed = one.status == TaskStatusWord::Closed;
            if closed {
                let text = format!("closed {}", one.name);
                self.mark(ORCHESTRA, &one.name, text, "imported")?;
            }
            let body = TaskBody {
                task: one.name.clone(),
                kind: Some("task".to_owned()),
                title: Some(one.title),
                status: Some(one.status),
                ..TaskBody::default()
            };
            self.add(ORCHESTRA, &one.name, None, ActionBody::Task(body), closed)?;
        }
        for one in context.decisions {
            self.decide(ORCHESTRA, one)?;
        }
        for one in context.artifacts {
            self.offer(ORCHESTRA, one)?;
        }
        for one in context.blockers.into_iter().filter(|one| !one.resolved) {
            let by = self.who(ORCHESTRA, one.by.as_deref())?;
            self.need(ORCHESTRA, by, one.id, one.text, UrgencyWord::Blocking)?;
        }
        Ok(())
    }

    fn signal(&mut self, signal: &SignalFile) -> Result<(), Failure> {
        let SignalFile {
            source,
            topic,
            text,
            ..
        } = signal.clone();
        let by = self.who(RESONANCE, Some(&source))?;
        match signal.kind {
            SignalType::Offer => {
                let artifact = ArtifactFile {
                    path: topic,
                    text,
                    by: Some(by),
                    witness_mark_id: signal.evidence.clone(),
                };
                self.offer(RESONANCE, artifact)
            }
            SignalType::Need => self.need(RESONANCE, by, topic, text, signal.urgency),
            SignalType::Intent => {
                let urgency = signal.urgency;
                let body = said(SignalKindWord::Intent, topic.clone(), urgency, text);
                self.add(RESONANCE, &topic, Some(by), ActionBody::Emit(body), false)
            }
            // What it ends was not made.
            SignalType::Release => Ok(()),
            SignalType::Claim => {
                if !self.claimed.insert(topic.clone()) {
                    let why = format!("{topic} is claimed twice; one topic has one holder");
                    return Err(self.texts.wrong(RESONANCE, &topic, why));
                }
                let lease_ms = None;
                let body = ClaimBody {
                    topic: topic.clone(),
                    lease_ms,
                };
                self.add(RESONANCE, &topic, Some(by), ActionBody::Claim(body), false)
            }
        }
    }

    fn has_expired(&self, signal: &SignalFile, now: jiff::Timestamp) -> Result<bool, Failure> {
        let Some(at) = &signal.expires_at else {
            return Ok(false);
        };
        let time: jiff::Timestamp = at.parse().map_err(|error| {
            let why = format!("expires_at is no time such as 2026-01-31T12:00:00Z: {error}");
            self.texts.wrong(RESONANCE, at, why)
        })?;
        Ok(time <= now)
    }

    fn presences(&mut self) -> Result<(), Failure> {
        for (name, one) in self.layout.orchestra.agents.clone() {
            let body = PresenceBody {
                status: one.status,
                intent: one.intent,
                focus: one.focus,
            };
            let action = ActionBody::Presence(body);
            self.add(ORCHESTRA, &name, Some(name.clone()), action, false)?;
        }
        Ok(())
    }

    fn decide(&mut self, file: &str, one: DecisionFile) -> Result<(), Failure> {
        let by = self.who(file, one.by.as_deref())?;
        let body = DecideBody {
            kind: one.kind.unwrap_or(DecideWord::Decision),
            topic: one.id.clone(),
            question: String::new(),
            text: one.text,
            reason: String::new(),
            importance: one.importance,
            confidence_permille: 1_000,
            rejected: Vec::new(),
            supersedes: Vec::new(),
        };
        let action = ActionBody::Decide(body);
        self.add(file, &one.id, Some(by), action, false)
    }

    /// A mark, and the offer that it proves.
    fn offer(&mut self, file: &str, one: ArtifactFile) -> Result<(), Failure> {
        let by = self.who(file, one.by.as_deref())?;
        self.marks_not_taken += usize::from(one.witness_mark_id.is_some());
        if !self.offered.insert((by.clone(), one.path.clone())) {
            return Ok(());
        }
        let mark = marked(&one.path, format!("made {}", one.path), "imported");
        let mark = ActionBody::Mark(mark);
        self.add(file, &one.path, Some(by.clone()), mark, false)?;
        let normal = UrgencyWord::Normal;
        let body = said(SignalKindWord::Offer, one.path.clone(), normal, one.text);
        self.add(file, &one.path, Some(by), ActionBody::Emit(body), true)
    }

    fn need(
        &mut self,
        file: &str,
        by: String,
        topic: String,
        text: String,
        urgency: UrgencyWord,
    ) -> Result<(), Failure> {
        if !self.needed.insert((by.clone(), topic.clone())) {
            return Ok(());
        }
        let body = said(SignalKindWord::Need, topic.clone(), urgency, text);
        self.add(file, &topic, Some(by), ActionBody::Emit(body), false)
    }

    fn mark(&mut self, file: &str, about: &str, text: String, tag: &str) -> Result<(), Failure> {
        let word = text.clone();
        let action = ActionBody::Mark(marked(about, text, tag));
        self.add(file, &word, None, action, false)
    }

    /// Who does it: whoever is named, or the first of all.
    fn who(&self, file: &str, by: Option<&str>) -> Result<String, Failure> {
        let agents = &self.layout.orchestra.agents;
        match by {
            Some(by) if agents.contains_key(by) => Ok(by.to_owned()),
            Some(by) => {
                let why = format!("{by} is none of the agents in {ORCHESTRA}");
                Err(self.texts.wrong(file, by, why))
            }
            None => Ok(agents.keys().next().cloned().unwrap_or_default()),
        }
    }

    fn add(
        &mut self,
        file: &str,
        word: &str,
        by: Option<String>,
        action: ActionBody,
        proven: bool,
    ) -> Result<(), Failure> {
        let by = match by {
            Some(by) => by,
            None => self.who(file, None)?,
        };
        // The same rules as at the node's door; a duration that is left out is a setting there.
        let judged = proving(action.clone(), proven.then(Digest::default));
        check::action(&judged.into_action(60_000))
            .map_err(|malformed| self.texts.wrong(file, word, malformed))?;
        self.steps.push(Step {
            by,
            action,
            proven,
            expired: false,
        });
        Ok(())
    }
}

/// The action with the mark that proves it.
pub(crate) fn proving(action: ActionBody, mark: Option<Digest>) -> ActionBody {
    match action {
        ActionBody::Emit(body) if mark.is_some() => ActionBody::Emit(SignalBody {
            evidence: mark,
            ..body
        }),
        ActionBody::Task(body) if mark.is_some() => ActionBody::Task(TaskBody {
            evidence: mark,
            ..body
        }),
        other => other,
    }
}

fn said(kind: SignalKindWord, topic: String, urgency: UrgencyWord, text: String) -> SignalBody {
    SignalBody {
        kind,
        topic,
        urgency,
        text,
        lifetime_ms: None,
        evidence: None,
        to_orchestra: None,
        from_orchestra: None,
    }
}

fn marked(about: &str, text: String, tag: &str) -> MarkBody {
    MarkBody {
        about: about.to_owned(),
        text,
        reasoning: String::new(),
        tags: vec![tag.to_owned()],
        evidence: Vec::new(),
    }
}
