//! What came of rights in a run: a campaign in which nothing was ever void by a rule has not shown that
//! the rule holds.

use unisono_core::orchestra::view::TrustView;
use unisono_model::capability::Token;
use unisono_model::{Action, AgentId, Code, FenceTarget, Stamp};

use super::World;
use crate::agents::rights;
use crate::oracle::{Fact, Reading};

impl World {
    /// Counts what was forged and is held, fences and renewals that stand, and what was void, by which
    /// rule, as one node says: all of them are held against the logs elsewhere.
    pub(super) fn count_rights(&mut self, work: &Reading, at: Stamp) {
        self.count_forged(work);
        let fences = work.facts.iter();
        let fences = fences.filter(|fact| matches!(fact.body.action, Action::Fence(_)));
        self.counters
            .add_many("fences by the logs", fences.count() as u64);
        let renewals = work.facts.iter().filter(|fact| is_renewal(fact));
        self.counters
            .add_many("renewals by the logs", renewals.count() as u64);
        if self.plan.rights && self.have_ended_each_other(work) {
            self.counters.add("executives ended each other");
        }
        for host in 0..self.scenario.nodes {
            if self.lies(host) || self.hosts[host].gone {
                continue;
            }
            if let Some(trust) = self.trust(host, self.workplace, at) {
                self.count_void(&trust);
                return;
            }
        }
    }

    /// Whether fences of both executives stand, each of the other's key or of all that it has handed on.
    fn have_ended_each_other(&self, work: &Reading) -> bool {
        let of = |number: usize| {
            let key = rights::key(self.seed, number as u64);
            AgentId(key.verifying_key().to_bytes())
        };
        let link = |number: usize| {
            let rights = self.agents.get(number)?.rights.as_ref()?;
            rights.token.as_ref().map(|(link, _)| *link)
        };
        let ends = |by: usize, other: usize| {
            work.facts.iter().any(|fact| match &fact.body.action {
                Action::Fence(fence) if fact.agent == of(by) => match fence.target {
                    FenceTarget::Key(key) => key == of(other),
                    FenceTarget::Link(ended) => Some(ended) == link(other),
                    FenceTarget::Epoch(_) => false,
                },
                _ => false,
            })
        };
        ends(0, 1) && ends(1, 0)
    }

    fn count_void(&mut self, trust: &TrustView) {
        for voided in &trust.voided {
            let rule = match &voided.rule {
                rule if rule == Code::TokenFenced.as_str() => "void by a fence",
                rule if rule == Code::TokenTime.as_str() => "void by a token's end",
                rule if rule == Code::TokenMissing.as_str() => "void by a guard",
                rule if rule == Code::KeyRotated.as_str() => "void by a rotation",
                rule if rule == Code::RootRotated.as_str() => "void by a former root",
                rule if rule == Code::TokenInvalid.as_str() => "tokens void by the logs",
                _ => "void by another rule",
            };
            self.counters.add(rule);
            if voided.deed == "fence" {
                self.counters.add("fences void by the logs");
            }
        }
    }
}

/// Whether a record lays a renewed token down.
fn is_renewal(fact: &Fact) -> bool {
    let Action::Present(bytes) = &fact.body.action else {
        return false;
    };
    Token::decode(&bytes.0).is_ok_and(|(token, _)| token.unrenewed().encode() != bytes.0)
}
