//! What is said at the edge of a verdict that is none in somebody's favour.

use unisono_model::{Code, Rejection};

use super::{Awaited, Void};

impl Awaited {
    /// The refusal at the edge, where nothing waits for it.
    pub fn rejection(self) -> Rejection {
        match self {
            Self::Enrolment(_) => {
                Rejection::new(Code::AgentUnknown, "no such agent is enrolled here")
                    .hint("enrol it first: `unisono agent enrol NAME`")
            }
            Self::Tier(_) => Rejection::new(
                Code::TokenBinding,
                "this agent is enrolled for no tier, so no token counts for it",
            )
            .hint("enrol it for its tier: `unisono agent enrol NAME --tier TIER`"),
            Self::Token(_) => Rejection::new(
                Code::TokenUnknown,
                "this token has not been laid before the orchestra",
            )
            .hint("lay it down first: `unisono token present TOKEN`"),
            Self::Rooted(_) => Rejection::new(
                Code::RootRotated,
                "a former root of rights has issued this, and it was not laid before the orchestra while that was the root",
            )
            .hint("ask for a token of the root that stands: `unisono root show` says which"),
        }
    }
}

impl Void {
    /// The refusal at the edge.
    pub fn rejection(self) -> Rejection {
        let hint = match self.code {
            Code::TokenMissing => {
                "ask an executive for a token, and lay it down: `unisono token present TOKEN`"
            }
            Code::TokenTime => {
                "renew a token before its end (`unisono token renew`); after it, ask whoever issued it for a new one"
            }
            Code::TokenFenced => "ask for a new token; `unisono trust` shows the fence",
            Code::NotAllowed
            | Code::FileNotAllowed
            | Code::DeletionNotAllowed
            | Code::PhaseNotActive => {
                "`unisono token explain TOKEN` says what it allows, and who may grant more"
            }
            Code::MeasureRefused => "write smaller functions: split the one that is named",
            Code::KeyRotated => {
                "sign with the key that the agent has now, or ask for a token that was issued with it; `unisono agent list` shows it"
            }
            Code::RootRotated => "sign with the root that stands: `unisono root show` says which",
            Code::KeyTaken => "draw a new key: `unisono agent rotate --key-out FILE` does",
            Code::RotationLimit => {
                "enrol a new agent with a key of its own, or draw another next key where that one was named too often"
            }
            Code::BadSignature => "sign the proof of this cluster, orchestra and key anew",
            Code::TokenBinding => {
                "a key has one tier for life: use the key that is enrolled for this one"
            }
            _ => "",
        };
        Rejection::new(self.code, self.detail).hint(hint)
    }
}
