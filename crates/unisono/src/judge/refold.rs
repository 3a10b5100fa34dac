//! A plain refold of a dump: one walk over the records in their order, sharing nothing with the
//! folds that it judges.

use std::collections::{BTreeMap, BTreeSet};

use unisono_api::dto::{
    ActionShown, Claim, FieldHeads, RecordEvent, RelationWord, Task, TaskStatusWord, ValueShown,
};
use unisono_model::{AgentId, Digest, Stamp};

use super::dump::Dump;

/// What the records come to at a stamp.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refolded {
    /// Who holds what.
    pub(crate) held: BTreeMap<String, Held>,
    /// Every grant there ever was: topic, claim, from, to.
    pub(crate) granted: Vec<(String, Digest, Stamp, Stamp)>,
    /// Claims that lost, with their topic and agent.
    pub(crate) lost: BTreeMap<Digest, (String, AgentId)>,
    /// The tasks.
    pub(crate) tasks: BTreeMap<String, TaskNow>,
    /// Records that count.
    pub(crate) counted: usize,
    /// Repetitions of a keyed request, which do not.
    pub(crate) repeated: usize,
}

/// A topic that is held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Held {
    claim: Digest,
    agent: AgentId,
    from: Stamp,
    token: Stamp,
    until: Stamp,
}

/// A topic while it is walked through.
#[derive(Debug, Default)]
struct Topic {
    held: Option<Held>,
    losers: Vec<(Digest, AgentId, Stamp)>,
    highest_loser: Stamp,
}

/// A task.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskNow {
    fields: BTreeMap<String, Vec<(Digest, ValueShown)>>,
    remarks: u64,
    changed: Option<Digest>,
    evidence: Option<Digest>,
}

/// Folds what a dump holds up to a stamp.
pub(crate) fn refold(dump: &Dump, at: Stamp) -> Refolded {
    let (records, repeated) = dump.counted(at);
    let mut folded = Refolded {
        counted: records.len(),
        repeated,
        ..Refolded::default()
    };
    let mut topics: BTreeMap<String, Topic> = BTreeMap::new();
    for record in records {
        match &record.action {
            ActionShown::Claim(body) => {
                let until = until(record, body.lease_ms);
                let topic = topics.entry(body.topic.clone()).or_default();
                folded.claim(&body.topic, topic, record, until);
            }
            ActionShown::Renew(body) => {
                let until = until(record, body.lease_ms);
                let topic = topics.entry(body.topic.clone()).or_default();
                folded.renew(&body.topic, topic, record, body.claim, until);
            }
            ActionShown::Release(body) => {
                let topic = topics.entry(body.topic.clone()).or_default();
                folded.release(&body.topic, topic, record, body.claim);
            }
            ActionShown::Task(change) => folded.task(record, change),
            _ => {}
        }
    }
    for (name, mut topic) in topics {
        folded.expire(&name, &mut topic, at);
        if let Some(held) = topic.held {
            folded
                .granted
                .push((name.clone(), held.claim, held.from, held.until));
            folded.held.insert(name, held);
        }
    }
    folded
}

fn until(record: &RecordEvent, lease_ms: Option<u64>) -> Stamp {
    record.stamp.stamp.plus_ms(lease_ms.unwrap_or_default())
}

impl Refolded {
    fn expire(&mut self, name: &str, topic: &mut Topic, now: Stamp) {
        if let Some(held) = topic.held.take_if(|held| held.until < now) {
            self.granted
                .push((name.to_owned(), held.claim, held.from, held.until));
        }
        topic.losers.retain(|(_, _, until)| *until >= now);
    }

    fn claim(&mut self, name: &str, topic: &mut Topic, record: &RecordEvent, until: Stamp) {
        let now = record.stamp.stamp;
        self.expire(name, topic, now);
        if topic.held.is_some() {
            topic.losers.push((record.record, record.agent, until));
            topic.highest_loser = topic.highest_loser.max(now);
            self.lost
                .insert(record.record, (name.to_owned(), record.agent));
            return;
        }
        topic.held = Some(Held {
            claim: record.record,
            agent: record.agent,
            from: now,
            token: now,
            until,
        });
    }

    fn renew(
        &mut self,
        name: &str,
        topic: &mut Topic,
        record: &RecordEvent,
        claim: Option<Digest>,
        until: Stamp,
    ) {
        let now = record.stamp.stamp;
        self.expire(name, topic, now);
        let own = |held: &&mut Held| Some(held.claim) == claim && held.agent == record.agent;
        match topic.held.as_mut().filter(own) {
            Some(held) => (held.token, held.until) = (now, until),
            None => topic.highest_loser = topic.highest_loser.max(now),
        }
    }

    fn release(
        &mut self,
        name: &str,
        topic: &mut Topic,
        record: &RecordEvent,
        claim: Option<Digest>,
    ) {
        let now = record.stamp.stamp;
        self.expire(name, topic, now);
        let own = |held: &mut Held| Some(held.claim) == claim && held.agent == record.agent;
        if let Some(held) = topic.held.take_if(own) {
            self.granted
                .push((name.to_owned(), held.claim, held.from, now));
        }
        let theirs = |lost: Digest, agent: AgentId| Some(lost) == claim && agent == record.agent;
        topic
            .losers
            .retain(|(lost, agent, _)| !theirs(*lost, *agent));
    }

    fn task(&mut self, record: &RecordEvent, change: &unisono_api::dto::TaskShown) {
        let task = self.tasks.entry(change.task.clone()).or_default();
        task.changed = Some(record.record);
        task.evidence = change.evidence.or(task.evidence);
        for field in &change.fields {
            if matches!(field.value, ValueShown::Remark(_)) {
                task.remarks += 1;
                continue;
            }
            let values = task.fields.entry(field_of(&field.value)).or_default();
            values.retain(|(name, _)| !field.replaces.contains(name));
            values.push((record.record, field.value.clone()));
        }
    }

    /// Whether no two of these claims held one topic at one time; says how many held at all.
    pub(crate) fn overlap(&self, claims: &BTreeSet<Digest>) -> Result<usize, String> {
        let mut held: Vec<_> = self
            .granted
            .iter()
            .filter(|(_, claim, ..)| claims.contains(claim))
            .collect();
        held.sort_by(|a, b| (&a.0, a.2).cmp(&(&b.0, b.2)));
        for pair in held.windows(2) {
            if pair[0].0 == pair[1].0 && pair[1].2 < pair[0].3 {
                let (topic, one, other) = (&pair[0].0, pair[0].1, pair[1].1);
                return Err(format!(
                    "{topic} was held by {one:?} and by {other:?} at one time"
                ));
            }
        }
        Ok(held.len())
    }

    /// Compares with the claims that a node shows.
    pub(crate) fn claims_match(&self, shown: &[Claim]) -> Result<(), String> {
        let topics: BTreeSet<&String> = shown.iter().map(|claim| &claim.topic).collect();
        let held: BTreeSet<&String> = self.held.keys().collect();
        if let Some(topic) = topics.symmetric_difference(&held).next() {
            let shown = if topics.contains(topic) {
                "shown as held, and free"
            } else {
                "shown as free, and held"
            };
            return Err(format!("topic {topic} is {shown} by the records"));
        }
        for claim in shown {
            let Some(held) = self.held.get(&claim.topic) else {
                continue;
            };
            let said = (
                claim.claim,
                claim.agent,
                claim.token.stamp,
                claim.until.stamp,
            );
            if said != (held.claim, held.agent, held.token, held.until) {
                return Err(format!(
                    "topic {} is shown as held by another claim",
                    claim.topic
                ));
            }
        }
        Ok(())
    }

    /// Compares with the tasks that a node shows.
    pub(crate) fn tasks_match(&self, shown: &[Task]) -> Result<(), String> {
        let names: BTreeSet<&String> = shown.iter().map(|task| &task.task).collect();
        if let Some(name) = self.tasks.keys().find(|name| !names.contains(name)) {
            return Err(format!("task {name} is not shown"));
        }
        for task in shown {
            let said = self
                .tasks
                .get(&task.task)
                .ok_or_else(|| format!("task {} is shown and was never made", task.task))?;
            said.matches(task)
                .map_err(|what| format!("task {}: {what} differs from the records", task.task))?;
        }
        Ok(())
    }
}

impl TaskNow {
    /// How many remarks count.
    pub(crate) fn remarks(&self) -> u64 {
        self.remarks
    }

    fn matches(&self, shown: &Task) -> Result<(), &'static str> {
        let same = |same: bool, what| if same { Ok(()) } else { Err(what) };
        same(self.remarks == shown.remarks, "the number of remarks")?;
        same(
            self.changed == shown.changed.as_ref().map(|head| head.record),
            "the latest change",
        )?;
        same(self.evidence == shown.evidence, "the evidence")?;
        let names = |values: &Vec<(Digest, ValueShown)>| {
            values
                .iter()
                .map(|(name, _)| *name)
                .collect::<BTreeSet<_>>()
        };
        let said: BTreeMap<&String, BTreeSet<Digest>> = self
            .fields
            .iter()
            .map(|(field, values)| (field, names(values)))
            .collect();
        let heads: BTreeMap<String, BTreeSet<Digest>> = shown
            .heads
            .iter()
            .filter(|heads| heads.field != "remark")
            .map(|heads| (name_of(heads), heads.records.iter().copied().collect()))
            .collect();
        let heads: BTreeMap<&String, BTreeSet<Digest>> = heads
            .iter()
            .map(|(field, names)| (field, names.clone()))
            .collect();
        same(said == heads, "which values stand")?;
        for value in self
            .fields
            .values()
            .filter_map(|values| values.first())
            .map(|(_, value)| value)
        {
            match value {
                ValueShown::Title(title) => same(*title == shown.title, "the title")?,
                ValueShown::Status(status) => same(Some(*status) == shown.status, "the status")?,
                ValueShown::Priority(number) => {
                    same(Some(*number) == shown.priority, "the priority")?;
                }
                ValueShown::Assignee(who) => same(*who == shown.assignee, "the assignee")?,
                ValueShown::Created(kind) => same(*kind == shown.kind, "the type")?,
                ValueShown::Labels(words) => same(*words == shown.labels, "the labels")?,
                ValueShown::Description(_) | ValueShown::Link(_) | ValueShown::Remark(_) => {}
            }
        }
        Ok(())
    }

    /// Whether its end stands.
    pub(crate) fn is_closed(&self) -> bool {
        let status = self.fields.get("status").and_then(|values| values.first());
        matches!(
            status,
            Some((_, ValueShown::Status(TaskStatusWord::Closed)))
        )
    }
}

fn field_of(value: &ValueShown) -> String {
    match value {
        ValueShown::Created(_) => "created".to_owned(),
        ValueShown::Title(_) => "title".to_owned(),
        ValueShown::Description(_) => "description".to_owned(),
        ValueShown::Status(_) => "status".to_owned(),
        ValueShown::Priority(_) => "priority".to_owned(),
        ValueShown::Assignee(_) => "assignee".to_owned(),
        ValueShown::Labels(_) => "labels".to_owned(),
        ValueShown::Remark(_) => "remark".to_owned(),
        ValueShown::Link(link) => link_name(link.relation, &link.on),
    }
}

fn name_of(heads: &FieldHeads) -> String {
    match &heads.link {
        Some(link) => link_name(link.relation, &link.on),
        None => heads.field.clone(),
    }
}

fn link_name(relation: RelationWord, on: &str) -> String {
    format!("link {relation:?} {on}")
}
