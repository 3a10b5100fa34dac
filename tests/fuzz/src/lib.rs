//! What bytes from outside must not do: each decoder as a target for fuzzing, with valid values to
//! begin from, since a fuzzer that starts from nothing never gets behind the first check.
//!
//! A target takes any bytes and says whether they were accepted. It panics if a decoder breaks its
//! word: accepted bytes are the canonical ones, nothing comes back that nobody wrote.

#[cfg(feature = "http")]
mod audit;
mod disk;
mod document;
mod facts;
mod gossip;
#[cfg(feature = "http")]
mod http;
mod journal;
#[cfg(feature = "measure")]
mod measure;
mod path;
mod rights;
mod time;
#[cfg(feature = "quic")]
mod transport;

/// A named input.
pub type Seed = (&'static str, Vec<u8>);

/// One decoder under attack.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in `corpus`.
    pub name: &'static str,
    /// Feeds it bytes; true if it accepts them.
    pub feed: fn(&[u8]) -> bool,
    /// Values that it must accept.
    pub seeds: fn() -> Vec<Seed>,
}

/// Every decoder that sees bytes from a peer, a client or a node's disk. What the command line alone
/// reads, of its user's own files, is not among them: plans, tiers and layouts, and key files that a
/// passphrase protects.
pub const TARGETS: &[Target] = &[
    Target {
        name: "record_body",
        feed: facts::record_body,
        seeds: facts::record_bodies,
    },
    Target {
        name: "signed_record",
        feed: facts::signed_record,
        seeds: facts::signed_records,
    },
    Target {
        name: "timing_frame",
        feed: time::timing_frame,
        seeds: time::timing_frames,
    },
    Target {
        name: "token",
        feed: rights::token,
        seeds: rights::tokens,
    },
    Target {
        name: "session",
        feed: rights::session,
        seeds: rights::sessions,
    },
    Target {
        name: "bundle",
        feed: facts::bundle,
        seeds: facts::bundles,
    },
    Target {
        name: "fork_proof",
        feed: facts::fork_proof,
        seeds: facts::fork_proofs,
    },
    Target {
        name: "identifier",
        feed: facts::identifier,
        seeds: facts::identifiers,
    },
    Target {
        name: "cursor",
        feed: facts::cursor,
        seeds: facts::cursors,
    },
    Target {
        name: "frame",
        feed: facts::frame,
        seeds: facts::frames,
    },
    Target {
        name: "journal",
        feed: journal::feed,
        seeds: journal::seeds,
    },
    Target {
        name: "living_change",
        feed: document::living_change,
        seeds: document::changes,
    },
    Target {
        name: "saved_document",
        feed: document::saved,
        seeds: document::saves,
    },
    Target {
        name: "gossip",
        feed: gossip::feed,
        seeds: gossip::seeds,
    },
    Target {
        name: "path",
        feed: path::feed,
        seeds: path::seeds,
    },
    #[cfg(feature = "http")]
    Target {
        name: "audit_line",
        feed: audit::line,
        seeds: audit::lines,
    },
    #[cfg(feature = "http")]
    Target {
        name: "http_action",
        feed: http::action,
        seeds: http::actions,
    },
    #[cfg(feature = "http")]
    Target {
        name: "http_body",
        feed: http::body,
        seeds: http::bodies,
    },
    #[cfg(feature = "http")]
    Target {
        name: "dump_line",
        feed: http::dump_line,
        seeds: http::dump_lines,
    },
    #[cfg(feature = "measure")]
    Target {
        name: "measure",
        feed: measure::feed,
        seeds: measure::seeds,
    },
    #[cfg(feature = "quic")]
    Target {
        name: "invite",
        feed: transport::invite,
        seeds: transport::invites,
    },
    #[cfg(feature = "quic")]
    Target {
        name: "join_request",
        feed: unisono_quic::join::is_request,
        seeds: transport::join_requests,
    },
    #[cfg(feature = "quic")]
    Target {
        name: "join_passed",
        feed: unisono_quic::join::is_passed_request,
        seeds: transport::joins_passed,
    },
    #[cfg(feature = "quic")]
    Target {
        name: "join_answer",
        feed: unisono_quic::join::is_answer,
        seeds: transport::join_answers,
    },
    #[cfg(feature = "quic")]
    Target {
        name: "renewal_answer",
        feed: unisono_quic::renew::is_answer,
        seeds: transport::renewal_answers,
    },
    #[cfg(feature = "quic")]
    Target {
        name: "authority",
        feed: transport::authority,
        seeds: transport::authorities,
    },
    #[cfg(feature = "quic")]
    Target {
        name: "renewal_request",
        feed: unisono_quic::renew::is_request,
        seeds: transport::renewal_requests,
    },
    #[cfg(feature = "quic")]
    Target {
        name: "key_file",
        feed: transport::key_file,
        seeds: transport::key_files,
    },
    #[cfg(feature = "quic")]
    Target {
        name: "wire_frame",
        feed: transport::wire_frame,
        seeds: transport::wire_frames,
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
