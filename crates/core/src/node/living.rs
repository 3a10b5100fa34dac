//! Notes and configuration: living Automerge values, signed by the node alone and never consulted
//! for authority.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_document::{
    Actor, ConfigTree, ConfigValue, DocumentId, Edit, Kind, LivingDocument, Poisoned, WriteError,
    actor_id,
};
use unisono_model::{
    Code, Digest, LogId, NodeId, OrchestraId, Rejection, Stamp, check, wire::Blob,
};

use super::Node;
use super::input::{Ask, LivingEdit, Question, Submit};
use super::output::{AnswerBody, Output};
use super::overdue::Asker;
use crate::context::Context;
use crate::orchestra::view::{ConfigView, NoteView, View};
use crate::replication::Logs;

/// Where the saved form of a living document stands, in a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    heads: Vec<Digest>,
    /// Changes, by actor, that wait for others.
    waiting: Vec<([u8; 16], Blob)>,
}

/// The living document of an orchestra on one node.
#[derive(Debug)]
pub(super) struct Living {
    id: DocumentId,
    document: LivingDocument,
    /// Local changes that wait for the next batch, and who asked for them.
    pub(super) queue: Vec<(Asker, Blob)>,
    /// Who asked for the local changes that are on their way to disk.
    pub(super) in_flight: Vec<Asker>,
    /// Differs from what was saved.
    pub(super) dirty: bool,
    /// A write failed or Automerge broke: it must be built again before it is used.
    pub(super) broken: bool,
}

impl Living {
    pub(super) fn new(orchestra: OrchestraId) -> Self {
        let id = DocumentId {
            orchestra,
            kind: Kind::Living,
            part: 0,
        };
        Self {
            id,
            document: LivingDocument::new(id),
            queue: Vec::new(),
            in_flight: Vec::new(),
            dirty: false,
            broken: false,
        }
    }

    /// The saved form's name.
    pub(super) fn blob_name(orchestra: OrchestraId) -> String {
        format!("living-{orchestra}")
    }

    /// Takes the saved form, if it stands where it was said to.
    pub(super) fn restore(&mut self, bytes: &[u8], saved: &Saved) -> bool {
        match LivingDocument::load(self.id, bytes, &saved.heads) {
            Ok(document) => {
                self.document = document;
                self.await_again(saved);
                true
            }
            Err(_) => false,
        }
    }

    /// Takes back what waited for dependencies: its bundles count as taken in, and nobody sends them
    /// again.
    pub(super) fn await_again(&mut self, saved: &Saved) {
        for (actor, change) in &saved.waiting {
            let taken = self.document.apply_remote(&Actor(*actor), &change.0);
            self.broken |= taken.is_err();
        }
    }

    /// What a checkpoint says of the saved form.
    pub(super) fn saved(&self) -> Saved {
        let waiting = self.document.waiting();
        Saved {
            heads: self.document.heads(),
            waiting: waiting
                .map(|(actor, bytes)| (actor.0, Blob(bytes.to_vec())))
                .collect(),
        }
    }

    /// Whether the saved form would be this one.
    pub(super) fn stands_at(&self, saved: &Saved) -> bool {
        self.document.heads() == saved.heads
    }

    pub(super) fn save(&self) -> Option<Vec<u8>> {
        self.document.save().ok()
    }

    /// Takes a change that a log carries. Own changes of this life are applied already.
    pub(super) fn apply(&mut self, log: &LogId, change: &Blob) {
        let actor = actor_id(log.incarnation, &log.node, &self.id);
        self.dirty = true;
        if self.document.apply_remote(&actor, &change.0).is_err() {
            self.broken = true;
        }
    }

    /// Notes read while a change is on its way would show what is not on disk yet.
    pub(super) fn runs_ahead(&self) -> bool {
        !self.queue.is_empty() || !self.in_flight.is_empty()
    }

    fn edit(&mut self, log: &LogId, edit: &LivingEdit) -> Result<Option<Edit>, WriteError> {
        let actor = actor_id(log.incarnation, &log.node, &self.id);
        match edit {
            LivingEdit::NoteText { name, text } => self.document.note_set(&actor, name, text),
            LivingEdit::NoteSplice {
                name,
                position,
                delete,
                insert,
            } => self
                .document
                .note_splice(&actor, name, *position, *delete, insert),
            LivingEdit::Config {
                key,
                value: Some(value),
            } => self
                .document
                .config_put(&actor, key, &ConfigValue::Text(value.clone())),
            LivingEdit::Config { key, value: None } => self.document.config_delete(&actor, key),
        }
    }

    /// The configuration; `name` says who writes a log.
    fn config(
        &self,
        logs: &Logs,
        name: impl Fn(&NodeId) -> String,
    ) -> Result<Vec<ConfigView>, Poisoned> {
        let mut views = Vec::new();
        flatten(&self.document.config()?, "", &mut views);
        let conflicts = self.document.config_conflicts()?;
        for view in &mut views {
            let Some(conflict) = conflicts.iter().find(|one| one.path == view.key) else {
                continue;
            };
            let values = conflict.values.iter().map(|(actor, value)| {
                let writes =
                    |log: &&LogId| actor_id(log.incarnation, &log.node, &self.id) == *actor;
                let log = logs.iter().map(|(log, _)| log).find(writes);
                let writer = log.map_or_else(|| format!("{actor:?}"), |log| name(&log.node));
                (shown(value), writer)
            });
            view.concurrent = values.collect();
        }
        Ok(views)
    }
}

fn flatten(tree: &ConfigTree, path: &str, views: &mut Vec<ConfigView>) {
    if let Some(value) = &tree.value {
        let (key, value) = (path.to_string(), shown(value));
        views.push(ConfigView {
            key,
            value,
            concurrent: Vec::new(),
        });
    }
    for (segment, below) in &tree.children {
        let path = if path.is_empty() {
            segment.clone()
        } else {
            format!("{path}/{segment}")
        };
        flatten(below, &path, views);
    }
}

fn shown(value: &ConfigValue) -> String {
    match value {
        ConfigValue::Boolean(yes) => format!("{yes}"),
        ConfigValue::Integer(number) => format!("{number}"),
        ConfigValue::Number(number) => format!("{number}"),
        ConfigValue::Text(text) => text.clone(),
        ConfigValue::Bytes(bytes) => format!("{} bytes", bytes.len()),
    }
}

impl Node {
    /// Changes a note or the configuration. The answer comes when it is on disk.
    pub(super) fn edit_living(
        &mut self,
        context: &mut Context<'_>,
        submit: &Submit,
        agent: &str,
        edit: &LivingEdit,
        out: &mut Vec<Output>,
    ) -> Result<(), Rejection> {
        check::name("agent name", agent)?;
        let orchestra = submit.orchestra;
        self.check_editor(context, orchestra, agent)?;
        let held = self.held_agent(orchestra, agent);
        let me = self.me;
        let at = self.now(context);
        let horizon = self.horizon(orchestra);
        let Some(space) = self.spaces.get_mut(&orchestra) else {
            return Ok(());
        };
        let agents = &space.folds.agents;
        if agents.named(agent, at).is_none() && !agents.is_enrolled(&held) {
            return Err(
                Rejection::new(Code::AgentUnknown, "no such agent is enrolled here")
                    .hint("enrol it first: `unisono agent enrol NAME`"),
            );
        }
        match space.living.edit(&me, edit) {
            Ok(Some(made)) => {
                space.living.dirty = true;
                let asker = Asker {
                    ticket: Some(submit.ticket),
                    deadline_ms: context.now_ms().saturating_add(submit.promise.deadline_ms),
                };
                space.living.queue.push((asker, Blob(made.bytes)));
                Ok(())
            }
            Ok(None) => {
                let answer = self.answer(orchestra, at, &horizon, AnswerBody::Edited);
                out.push(Output::Reply {
                    ticket: submit.ticket,
                    result: Ok(answer),
                });
                Ok(())
            }
            Err(WriteError::Refused(refusal)) => {
                // An edit whose change came out too large.
                space.living.broken |= space.living.document.is_poisoned();
                let words = format!("{refusal}; nothing changed");
                Err(Rejection::new(Code::Malformed, words))
            }
            Err(WriteError::Poisoned(_)) => {
                space.living.broken = true;
                Err(
                    Rejection::new(Code::Unknown, "the document is being built again")
                        .hint("ask again")
                        .retry_after(500),
                )
            }
        }
    }

    /// What people call a node: the name of its latest life.
    fn node_name(&self, node: &NodeId) -> String {
        let cluster = self.spaces.get(&self.cluster);
        let all = cluster.map(|space| space.folds.members.all(Stamp::MAX));
        let named = all
            .into_iter()
            .flatten()
            .filter(|member| member.admit.node == *node);
        let latest = named.max_by_key(|member| member.admit.incarnation);
        latest.map_or_else(|| format!("{node:?}"), |member| member.admit.name.clone())
    }

    pub(super) fn living_view(&self, ask: &Ask) -> Result<View, Rejection> {
        let Some(space) = self.spaces.get(&ask.orchestra) else {
            return Err(super::answer::unknown_orchestra());
        };
        let document = &space.living.document;
        let view = match &ask.question {
            Question::Note(name) => document.note(name).map(|text| {
                text.map(|text| {
                    View::Note(NoteView {
                        name: name.clone(),
                        text,
                    })
                })
            }),
            Question::Config => space
                .living
                .config(&space.logs, |node| self.node_name(node))
                .map(|views| Some(View::Config(views))),
            _ => Ok(Some(View::Notes(document.notes()))),
        };
        match view {
            Ok(Some(view)) => Ok(view),
            Ok(None) => Err(
                Rejection::new(Code::NoteUnknown, "there is no note of this name")
                    .hint("list them with `unisono note list`"),
            ),
            Err(_) => Err(
                Rejection::new(Code::Unknown, "the document is being built again")
                    .hint("ask again")
                    .retry_after(500),
            ),
        }
    }

    /// The changes of a batch are on disk, or not.
    pub(super) fn living_written(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        written: bool,
        out: &mut Vec<Output>,
    ) {
        let Some(space) = self.spaces.get_mut(&orchestra) else {
            return;
        };
        let mut askers = core::mem::take(&mut space.living.in_flight);
        if !written {
            // Automerge has made the change by applying it: that copy is worth nothing now, nor is
            // what was made upon it.
            space.living.broken = true;
            askers.extend(space.living.queue.drain(..).map(|(asker, _)| asker));
        }
        let at = self.now(context);
        let horizon = self.horizon(orchestra);
        for ticket in askers.into_iter().filter_map(|asker| asker.ticket) {
            let result = if written {
                Ok(self.answer(orchestra, at, &horizon, AnswerBody::Edited))
            } else {
                Err(super::batch::full())
            };
            out.push(Output::Reply { ticket, result });
        }
    }
}
