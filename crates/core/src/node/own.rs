//! What a node says for itself: as an agent that it makes known where it speaks.

use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{Action, Held, OrchestraId};

use super::Node;
use super::batch::{Made, Source, Subject};
use super::space::as_agent;
use super::submit::body;
use crate::context::Context;

impl Node {
    /// A record that this node makes for itself.
    pub(super) fn own_record(
        context: &Context<'_>,
        orchestra: OrchestraId,
        action: Action,
    ) -> Made {
        Made {
            ticket: None,
            orchestra,
            source: Source::Own,
            body: body(context, Held::Agent, 1, None, action),
            promise: super::Promise::default(),
            deadline_ms: context.now_ms(),
            subjects: Vec::new(),
        }
    }

    /// Makes this node known to an orchestra as the agent that it is when it acts for itself.
    pub(super) fn enrol_self(&mut self, context: &Context<'_>, orchestra: OrchestraId) {
        let agent = as_agent(self.me.node);
        let known = self
            .spaces
            .get(&orchestra)
            .is_some_and(|s| s.folds.agents.is_enrolled(&agent));
        let subject = Subject::Agent(orchestra, agent);
        if known || self.blocked.contains_key(&subject) {
            return;
        }
        let enrol = unisono_model::Enrol {
            name: self.config.name.clone(),
            role: String::from("node"),
            kind: unisono_model::AgentKind::Node,
            tier: None,
        };
        let mut made = Self::own_record(context, orchestra, Action::Enrol(enrol));
        made.subjects.push(subject);
        self.block(&made.subjects);
        self.queue.push_back(made);
    }
}
