//! What was built on records that do not count, for somebody to look at: a fence takes back what an
//! agent did, and not what honest others have made of it since.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use unisono_model::Digest;

use super::{Client, ClientError, Reply};
use crate::dto::{ActionShown, Moment, RecordEvent, Trust, VerdictWord, VoidedShown};
use crate::limits::BUILT_ON_TOLD_MAX;

/// The latest records that do not count, newest first.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Voided {
    /// Each, and what rests on it.
    pub voided: Vec<Reviewed>,
}

/// A record that does not count, and what rests on it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Reviewed {
    /// The record, and why it does not count.
    #[serde(flatten)]
    pub void: VoidedShown,
    /// Whether anything that counts was built on it: then somebody has to look.
    pub review: bool,
    /// What was, in the order of the node that was asked; at most [`BUILT_ON_TOLD_MAX`](crate::limits::BUILT_ON_TOLD_MAX).
    pub built_on: Vec<BuiltOn>,
    /// How many more there are.
    pub more: u64,
}

/// A record that counts and names a void one, what that one wrote, or something of this list.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct BuiltOn {
    /// The record.
    pub record: Digest,
    /// Its stamp.
    pub stamp: Moment,
    /// Who did it.
    pub name: String,
    /// What was done.
    pub deed: String,
    /// What of the former it names: a record, or the content of a file.
    pub through: Digest,
}

impl Client {
    /// The latest void records, newest first, each with what was built on it: records that count and
    /// name it, replace or approve the content that it wrote, or do so with one of these. Reads the
    /// whole orchestra twice where anything is void, and nothing else where nothing is.
    pub async fn reviewed(&self, orchestra: &str) -> Result<Reply<Voided>, ClientError> {
        let reply: Reply<Trust> = self.trust(orchestra).await?;
        let mut search = Search::of(&reply.body.voided);
        if !reply.body.voided.is_empty() {
            let mut records = self.dump(orchestra, None).await?;
            while let Some(record) = records.next().await? {
                search.products_of(&record);
            }
            let mut records = self.dump(orchestra, None).await?;
            while let Some(record) = records.next().await? {
                search.look_at(&record);
            }
        }
        let voided = search.done(reply.body.voided);
        Ok(Reply {
            body: Voided { voided },
            node: reply.node,
            as_of: reply.as_of,
            is_final: reply.is_final,
            cursor: reply.cursor,
        })
    }
}

/// What is looked for, and what was found.
struct Search {
    /// The void records, by record and by content, and what was found to rest on them: from each to
    /// the void records at the bottom.
    roots: BTreeMap<Digest, BTreeSet<Digest>>,
    found: BTreeMap<Digest, (Vec<BuiltOn>, u64)>,
}

impl Search {
    fn of(voided: &[VoidedShown]) -> Self {
        let own = |void: &VoidedShown| (void.record, BTreeSet::from([void.record]));
        Self {
            roots: voided.iter().map(own).collect(),
            found: BTreeMap::new(),
        }
    }

    /// A void write's content is as void as itself.
    fn products_of(&mut self, record: &RecordEvent) {
        let Some(bottom) = self.roots.get(&record.record).cloned() else {
            return;
        };
        if let Some(content) = content_of(&record.action) {
            self.roots.entry(content).or_default().extend(bottom);
        }
    }

    fn look_at(&mut self, record: &RecordEvent) {
        if record.verdict != VerdictWord::Valid || self.roots.contains_key(&record.record) {
            return;
        }
        let mut bottom = BTreeSet::new();
        for used in used_by(&record.action) {
            for root in self.roots.get(&used).into_iter().flatten() {
                if bottom.insert(*root) {
                    let (told, more) = self.found.entry(*root).or_default();
                    if told.len() < BUILT_ON_TOLD_MAX {
                        told.push(built_on(record, used));
                    } else {
                        *more += 1;
                    }
                }
            }
        }
        if bottom.is_empty() {
            return;
        }
        for product in content_of(&record.action)
            .into_iter()
            .chain([record.record])
        {
            self.roots.entry(product).or_default().extend(&bottom);
        }
    }

    fn done(mut self, voided: Vec<VoidedShown>) -> Vec<Reviewed> {
        let reviewed = voided.into_iter().map(|void| {
            let (built_on, more) = self.found.remove(&void.record).unwrap_or_default();
            Reviewed {
                review: !built_on.is_empty(),
                void,
                built_on,
                more,
            }
        });
        reviewed.collect()
    }
}

fn built_on(record: &RecordEvent, through: Digest) -> BuiltOn {
    let action = serde_json::to_value(&record.action).unwrap_or_default();
    BuiltOn {
        record: record.record,
        stamp: record.stamp,
        name: record.name.clone(),
        deed: action["do"].as_str().unwrap_or_default().to_owned(),
        through,
    }
}

/// The content that a write leaves.
fn content_of(action: &ActionShown) -> Option<Digest> {
    match action {
        ActionShown::Write(write) => Some(write.content.as_ref()?.content),
        _ => None,
    }
}

/// Every name of a record or a content that stands in an action, but for the content that it leaves:
/// that two come to the same file is no work on one another's.
fn used_by(action: &ActionShown) -> BTreeSet<Digest> {
    let mut shown = serde_json::to_value(action).unwrap_or_default();
    if matches!(action, ActionShown::Write(_)) {
        shown["content"].take();
    }
    let mut used = BTreeSet::new();
    let mut ways = vec![&shown];
    while let Some(value) = ways.pop() {
        match value {
            Value::String(text) => used.extend(text.parse::<Digest>()),
            Value::Array(items) => ways.extend(items),
            Value::Object(fields) => ways.extend(fields.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    used
}
