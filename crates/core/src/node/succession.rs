//! Authorities that a root has put in the place of others: the driver, which knows certificates, is
//! told of them.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;
use core::cmp::Reverse;

use unisono_model::{
    Action, AgentId, AuthorityId, Code, OrchestraId, Rejection, Succession, SuccessionWord,
};

use super::Node;
use super::output::Output;

/// The words that the driver was told.
pub(super) type Told = BTreeSet<(u32, AuthorityId, Reverse<u64>)>;

impl Node {
    /// What the root's words come to: which authority signs, where it is not the founder's any more.
    pub fn authority(&self) -> Option<SuccessionWord> {
        let cluster = self.spaces.get(&self.cluster)?;
        cluster.folds.members.authorities().current().copied()
    }

    /// Tells the driver which authorities there are: each word once in each process.
    pub(super) fn tell_authorities(&mut self, out: &mut Vec<Output>) {
        let Some(cluster) = self.spaces.get(&self.cluster) else {
            return;
        };
        for succession in cluster.folds.members.authorities().all() {
            if self.succeeded.insert(succession.word.precedence()) {
                out.push(Output::Succession(Box::new(succession.clone())));
            }
        }
    }

    /// What must be so before a root's word on members or authorities becomes a record.
    pub(super) fn root_says(
        &self,
        orchestra: OrchestraId,
        agent: AgentId,
        action: Action,
    ) -> Result<Action, Rejection> {
        match &action {
            Action::Remove(expulsion) => self.may_expel(orchestra, agent, expulsion)?,
            Action::Succeed(succession) => self.may_succeed(orchestra, agent, succession)?,
            _ => {}
        }
        Ok(action)
    }

    fn may_succeed(
        &self,
        orchestra: OrchestraId,
        agent: AgentId,
        succession: &Succession,
    ) -> Result<(), Rejection> {
        let refused = |code, why: &str, hint: &str| {
            Err(Rejection::new(code, format!("{why}; nothing changed")).hint(hint))
        };
        if !self.is_root(agent) {
            let why = "only a root of the cluster says which authority signs";
            let hint = "sign with the key of the root that stands: `unisono root show` says which";
            return refused(Code::NotAllowed, why, hint);
        }
        if orchestra != self.cluster {
            let why = "authorities are named in the cluster's own orchestra";
            return refused(Code::Malformed, why, "send it to the orchestra `cluster`");
        }
        let word = &succession.word;
        let Some(current) = self.authority() else {
            return Ok(());
        };
        // The same authority may be said again, to let the former ones end earlier.
        let again = word.rank() == current.rank();
        if again && word.former_until_ms >= current.former_until_ms {
            let why = "this authority signs already";
            return refused(
                Code::AuthorityTaken,
                why,
                "`unisono ca show` says which ones count",
            );
        }
        if !again && (word.number <= current.number || word.former != current.authority) {
            let why = "another authority has taken that place meanwhile";
            return refused(
                Code::AuthorityTaken,
                why,
                "`unisono ca show` says which one signs",
            );
        }
        Ok(())
    }
}
