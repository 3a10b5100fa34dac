//! Notes and configuration: living Automerge values, signed by the node alone and never consulted
//! for authority.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_document::{
    Actor, ConfigTree, ConfigValue, DocumentId, Edit, Kind, LivingDocument, Poisoned, WriteError,
    actor_id,
};
use unisono_model::{
    BundleHeader, Code, Digest, LogId, NodeId, OrchestraId, Rejection, Stamp, check, wire::Blob,
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
    /// Something else waits that there was no room for.
    lacks: bool,
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
    /// A change was dropped for want of room while it waited for others, before the last start.
    lacks: bool,
    /// Something that waited came in while other changes were dropped: what those waited for may be
    /// here now.
    released: bool,
    /// Changes of logs that are read one after the other: each may follow one of a log whose turn is
    /// still to come, and only so many can wait in the document. By their bundles' stamps, which rise
    /// from what is followed to what follows.
    shelf: BTreeMap<(Stamp, LogId, usize), Blob>,
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
            lacks: false,
            released: false,
            shelf: BTreeMap::new(),
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
        self.lacks = saved.lacks;
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
            lacks: self.lacks(),
        }
    }

    /// Whether it says less than the logs for want of room.
    pub(super) fn lacks(&self) -> bool {
        self.lacks || self.document.lacks()
    }

    /// Whether changes of this very log are not in it yet: the next one would be taken for one of
    /// those.
    pub(super) fn lags_behind(&self, log: &LogId) -> bool {
        let actor = actor_id(log.incarnation, &log.node, &self.id);
        self.document.lags_behind(&actor)
    }

    /// Whether something that waited has come in since the document was built, so that building it
    /// again may bring in what was dropped.
    pub(super) fn released(&self) -> bool {
        self.released
    }

    /// Puts the changes of a bundle aside until all logs are read.
    pub(super) fn shelve(&mut self, header: &BundleHeader, changes: &[Blob]) {
        for (place, change) in changes.iter().enumerate() {
            let key = (header.stamp, header.log, place);
            self.shelf.insert(key, change.clone());
        }
    }

    /// Takes what was put aside. Stamps rise from what is followed to what follows, but where clocks
    /// were apart by more than a stamp gives way to: there some wait, and are offered again.
    pub(super) fn unshelve(&mut self) {
        if self.shelf.is_empty() {
            return;
        }
        let shelf = core::mem::take(&mut self.shelf).into_iter();
        let changes: Vec<(Actor, Vec<u8>)> = shelf
            .map(|((_, log, _), change)| (actor_id(log.incarnation, &log.node, &self.id), change.0))
            .collect();
        self.dirty = true;
        let (waited, _) = self.document.held();
        match self.document.apply_all(&changes) {
            Ok(outcome) => {
                let released = outcome.applied.len() > changes.len() || outcome.held < waited;
                self.released |= released;
            }
            Err(Poisoned) => self.broken = true,
        }
    }

    /// Whether the saved form would be this one.
    pub(super) fn stands_at(&self, saved: &Saved) -> bool {
        self.document.heads() == saved.heads
    }

    pub(super) fn save(&self) -> Option<Vec<u8>> {
        self.document.save().ok()
    }

    /// Answers somebody with whatever is written last.
    fn hang_on(&mut self, asker: Asker) {
        if self.queue.is_empty() {
            self.in_flight.push(asker);
        } else {
            self.queue.push((asker, Blob::default()));
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
        names: impl FnOnce() -> BTreeMap<NodeId, String>,
    ) -> Result<Vec<ConfigView>, Poisoned> {
        let mut views = Vec::new();
        flatten(&self.document.config()?, "", &mut views);
        let conflicts = self.document.config_conflicts()?;
        if conflicts.is_empty() {
            return Ok(views);
        }
        let names = names();
        let writers: BTreeMap<Actor, String> = logs
            .iter()
            .map(|(log, _)| {
                let name = names.get(&log.node).cloned();
                let name = name.unwrap_or_else(|| format!("{:?}", log.node));
                (actor_id(log.incarnation, &log.node, &self.id), name)
            })
            .collect();
        for view in &mut views {
            let Some(conflict) = conflicts.iter().find(|one| one.path == view.key) else {
                continue;
            };
            let values = conflict.values.iter().map(|(actor, value)| {
                let writer = writers.get(actor);
                let writer = writer.map_or_else(|| format!("{actor:?}"), String::clone);
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
        if space.living.broken || space.living.lags_behind(&me) {
            return Err(being_built_again());
        }
        let asker = Asker {
            ticket: Some(submit.ticket),
            deadline_ms: context.now_ms().saturating_add(submit.promise.deadline_ms),
        };
        match space.living.edit(&me, edit) {
            Ok(Some(made)) => {
                space.living.dirty = true;
                space.living.queue.push((asker, Blob(made.bytes)));
            }
            // What is there already may still be on its way to disk: this is told with that.
            Ok(None) if space.living.runs_ahead() => space.living.hang_on(asker),
            Ok(None) => {
                let answer = self.answer(orchestra, at, &horizon, AnswerBody::Edited);
                out.push(Output::Reply {
                    ticket: submit.ticket,
                    result: Ok(answer),
                });
            }
            Err(WriteError::Refused(refusal)) => {
                // An edit whose change came out too large.
                space.living.broken |= space.living.document.is_poisoned();
                let words = format!("{refusal}; nothing changed");
                return Err(Rejection::new(Code::Malformed, words).hint(
                    "look at what is there now; docs/reference/limits.md says how much fits into a note, and into an edit",
                ));
            }
            Err(WriteError::Poisoned(_)) => {
                space.living.broken = true;
                return Err(being_built_again());
            }
        }
        Ok(())
    }

    /// What people call the nodes: the names of their latest lives.
    fn node_names(&self) -> BTreeMap<NodeId, String> {
        let cluster = self.spaces.get(&self.cluster);
        let all = cluster.map(|space| space.folds.members.all(Stamp::MAX));
        let mut members: Vec<_> = all.into_iter().flatten().collect();
        members.sort_by_key(|member| member.admit.incarnation);
        let named = members.into_iter();
        named
            .map(|member| (member.admit.node, member.admit.name.clone()))
            .collect()
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
                .config(&space.logs, || self.node_names())
                .map(|views| Some(View::Config(views))),
            _ => Ok(Some(View::Notes(document.notes()))),
        };
        match view {
            Ok(Some(view)) => Ok(view),
            Ok(None) => Err(
                Rejection::new(Code::NoteUnknown, "there is no note of this name")
                    .hint("list them with `unisono note list`"),
            ),
            Err(_) => Err(being_built_again()),
        }
    }

    /// Whether somebody waits for an edit that is on its way to disk.
    pub(super) fn edits_are_in_flight(&self, orchestra: &OrchestraId) -> bool {
        let space = self.spaces.get(orchestra);
        space.is_some_and(|space| !space.living.in_flight.is_empty())
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

/// Notes and configuration are neither read nor edited meanwhile.
pub(super) fn being_built_again() -> Rejection {
    let words = "notes and configuration are being built again; nothing changed";
    let busy = Rejection::new(Code::Busy, words).hint("ask again");
    busy.retry_after(500)
}
