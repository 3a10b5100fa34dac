//! Roots of rights that were named: each word is laid down in every orchestra that this node holds, so
//! that verdicts there rest on what that orchestra holds itself.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use unisono_model::{Action, AgentId, Code, OrchestraId, Rejection, RootWord};

use super::output::Output;
use super::{Node, limits};
use crate::context::Context;
use crate::orchestra::trust::Roots;

/// What this node has done about words that name roots.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// The words that the driver was told.
    told: Vec<RootWord>,
    /// When it is this node's turn to lay down what an orchestra lacks (ms).
    lacking: BTreeMap<OrchestraId, u64>,
}

impl Node {
    /// The words that name roots, as the cluster's own orchestra has them, the lowest number first.
    pub fn root_words(&self) -> Vec<RootWord> {
        let roots = self.cluster_roots();
        roots.map_or_else(Vec::new, |roots| roots.all().copied().collect())
    }

    fn cluster_roots(&self) -> Option<&Roots> {
        let cluster = self.spaces.get(&self.cluster)?;
        Some(cluster.folds.trust.laws().roots())
    }

    /// Every key that is or was the root, as far as is known.
    pub(super) fn roots(&self) -> Vec<AgentId> {
        let named = self.root_words();
        let named = named.into_iter().map(|word| word.root);
        self.config.root.into_iter().chain(named).collect()
    }

    /// Whether a key is the root by now.
    pub(super) fn is_root(&self, agent: AgentId) -> bool {
        let now_ms = self.clock.now(0).as_ms();
        let named = self.cluster_roots();
        let root = named.map_or(self.config.root, |roots| roots.at(self.config.root, now_ms));
        root == Some(agent)
    }

    /// What must be so before a word that names a root becomes a record.
    pub(super) fn may_name_root(
        &self,
        orchestra: OrchestraId,
        word: &RootWord,
    ) -> Result<(), Rejection> {
        if orchestra != self.cluster {
            let why = "roots are named in the cluster's own orchestra, and nodes lay the word down in all others; nothing changed";
            let hint = "send it to the orchestra `cluster`";
            return Err(Rejection::new(Code::Malformed, why).hint(hint));
        }
        let Some(roots) = self.cluster_roots() else {
            return Ok(());
        };
        if !crate::orchestra::trust::is_said(word, &self.fold_rules()) {
            let why = "the key that names roots has not signed this for this cluster, or the next root has not consented; nothing changed";
            let hint = "sign with recovery.key, which `init` made where the cluster was founded; in a cluster without one, with its first root.key";
            return Err(Rejection::new(Code::BadSignature, why).hint(hint));
        }
        let again = |last: &RootWord| last.number == word.number && last.root == word.root;
        let taken = roots
            .last()
            .filter(|last| last.number >= word.number && !(again(last) && word.outranks(last)));
        if let Some(last) = taken {
            let why = format!(
                "root number {} is named already: {}; nothing changed",
                last.number, last.root
            );
            let hint = "`unisono root show` says which root stands";
            return Err(Rejection::new(Code::RootTaken, why).hint(hint));
        }
        if self.config.root == Some(word.root)
            || roots
                .all()
                .any(|one| one.root == word.root && one.number != word.number)
        {
            let why = "a key that was the root once is not named again; nothing changed";
            return Err(Rejection::new(Code::RootTaken, why).hint("draw a new key"));
        }
        Ok(())
    }

    /// Lays down in each orchestra what its records do not say yet, and tells the driver. The members
    /// take turns, so that one of them does it where all are there.
    pub(super) fn spread_roots(&mut self, context: &Context<'_>, out: &mut Vec<Output>) {
        let words = self.root_words();
        if words.is_empty() {
            return;
        }
        for word in &words {
            if !self.named.told.contains(word) {
                self.named.told.push(*word);
                out.push(Output::Root(Box::new(*word)));
            }
        }
        let now_ms = context.now_ms();
        let patience_ms = self.turn_among_members() * limits::ROOT_TURN_MS;
        let lacks = |roots: &Roots| -> Vec<RootWord> {
            let missing = words.iter().filter(|word| roots.is_news(word));
            missing.copied().collect()
        };
        let missing: Vec<(OrchestraId, Vec<RootWord>)> = self
            .spaces
            .values()
            .map(|space| (space.id, lacks(space.folds.trust.laws().roots())))
            .filter(|(_, words)| !words.is_empty())
            .collect();
        let lacking = &mut self.named.lacking;
        lacking.retain(|id, _| missing.iter().any(|(other, _)| other == id));
        let mut due = Vec::new();
        for (orchestra, words) in missing {
            let due_ms = *lacking.entry(orchestra).or_insert(now_ms + patience_ms);
            if now_ms >= due_ms {
                // What is on its way to the disk is not said twice.
                lacking.insert(orchestra, now_ms + limits::ROOT_AGAIN_MS);
                due.push((orchestra, words));
            }
        }
        if self.is_frozen() || !self.is_member() {
            return;
        }
        for (orchestra, words) in due {
            self.enrol_self(context, orchestra);
            for word in words {
                let made = Self::own_record(context, orchestra, Action::Root(Box::new(word)));
                self.queue.push_back(made);
            }
        }
    }

    /// Lays the words down in an orchestra that is made here, beside its name: its root is asked for as
    /// soon as it is there, and the members' turns come later.
    pub(super) fn name_roots_in(&mut self, context: &Context<'_>, orchestra: OrchestraId) {
        if self.is_frozen() || !self.is_member() {
            return;
        }
        let words = self.root_words();
        if words.is_empty() {
            return;
        }
        // What is on its way to the disk is not said twice.
        let again_ms = context.now_ms() + limits::ROOT_AGAIN_MS;
        self.named.lacking.insert(orchestra, again_ms);
        for word in words {
            let made = Self::own_record(context, orchestra, Action::Root(Box::new(word)));
            self.queue.push_back(made);
        }
    }

    /// How many members' turn is before this node's.
    fn turn_among_members(&self) -> u64 {
        let members = self.current_members();
        let before = members.iter().filter(|(node, _)| *node < self.me.node);
        (before.count() as u64).min(limits::ROOT_TURNS_MAX)
    }
}
