//! Doing what the node asks for, in its order.

use std::net::SocketAddr;

use unisono_api::dto::RootBody;
use unisono_core::node::{Class, Input, Note, Output};
use unisono_model::{NodeId, RootWord, Succession};
use unisono_quic::SendError;

use super::disk::Read;
use super::{Driver, Restart};
use crate::standing::{self, Word};

impl Driver {
    /// Does everything that was asked for. Nothing is done for a life that has ended.
    pub(super) fn perform_all(&mut self) {
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            if self.restart.is_none() {
                self.perform(output);
            }
        }
        self.outputs = outputs;
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Persist {
                batch,
                entries,
                proofs,
            } => self.disk.append(batch, entries, proofs),
            Output::Load {
                load,
                orchestra,
                log,
                from_seq,
                bytes_max,
            } => {
                self.disk.read(Read {
                    load,
                    orchestra,
                    log,
                    from_seq,
                    bytes_max,
                });
            }
            Output::SaveBlob { name, bytes } => self.disk.keep(name, bytes),
            Output::LoadBlob { load, name } => self.disk.load(load, name),
            Output::Send { to, class, bytes } => self.send(to, class, bytes),
            Output::Reply { ticket, result } => {
                let Some(answer) = self.waiting.remove(&ticket) else {
                    return;
                };
                if let Some(history) = &mut self.history {
                    history.completed(ticket.0, self.clock.time_ns(), Some(&result));
                }
                // The agent may have gone away.
                let _ = answer.send(result);
            }
            Output::Publish { orchestra } => {
                // Nobody may be following.
                let _ = self.doors.published.send(orchestra);
            }
            Output::Address { node, address } => self.address(node, &address),
            Output::Exclude { node } => {
                tracing::warn!(%node, "this node is none of the cluster any more: it is turned away");
                self.excluded.insert(node);
                self.doors.transport.exclude(node);
                // What one that is none itself says of this node means nothing.
                standing::forget(&self.identity.home, |known| {
                    known.word == Word::TurnedAway && known.by == Some(node)
                });
            }
            Output::Succession(succession) => self.succession(*succession),
            Output::Root(word) => self.root(&word),
            Output::Note(note) => self.note(&note),
            Output::Restart { reason } => self.restart = Some(Restart::Wanted(reason)),
        }
    }

    /// Goes by the root that was named, and remembers it for the next process.
    fn root(&self, word: &RootWord) {
        let (number, root) = (word.number, word.root);
        if self.doors.transport.hear_root(word) {
            tracing::warn!(number, %root, from_ms = word.from_ms, "another root of rights was named");
        }
        let words: Vec<RootBody> = self.node.root_words().into_iter().map(Into::into).collect();
        if let Err(error) = self.identity.home.write_roots(&words) {
            tracing::error!(%error, "the words that name roots could not be kept; they are in the log");
        }
    }

    fn succession(&self, succession: Succession) {
        let authority = succession.word.authority;
        let learned = self
            .doors
            .transport
            .learn_authority(succession.certificate.0);
        if let Err(error) = learned {
            tracing::error!(%authority, %error, "the root has named an authority that cannot be believed");
        }
    }

    /// Another node has closed its door to this one. Written down once: the next process may hear nobody.
    pub(super) fn turned_away(&mut self, by: NodeId) {
        if self.excluded.contains(&by) || !self.closed_by.insert(by) {
            return;
        }
        let words = format!("node {by} turned this node away: there it is no member any more");
        tracing::error!("{words}");
        standing::remember(&self.identity.home, Word::TurnedAway, Some(by), &words);
    }

    /// A node is connected that may have closed its door before.
    pub(super) fn let_in_again(&mut self, by: NodeId) {
        self.closed_by.remove(&by);
        standing::forget(&self.identity.home, |known| {
            known.word == Word::TurnedAway && known.by == Some(by)
        });
    }

    fn send(&mut self, to: NodeId, class: Class, bytes: Vec<u8>) {
        let class = match class {
            Class::Membership => unisono_quic::Class::Membership,
            Class::Push => unisono_quic::Class::Push,
            Class::Repair => unisono_quic::Class::Repair,
        };
        match self.doors.transport.send(to, None, class, bytes) {
            Ok(()) => {}
            Err(SendError::QueueFull) => {
                self.metrics.send_refused();
                self.following.push_back(Input::Refused { to });
            }
            Err(error @ SendError::TooLarge { .. }) => {
                tracing::error!(%error, ?class, "a frame was not sent");
                self.metrics.send_refused();
                self.following.push_back(Input::Refused { to });
            }
            Err(
                SendError::NoAddress
                | SendError::Excluded
                | SendError::ToMyself
                | SendError::TooManyPeers
                | SendError::Closed,
            ) => self.metrics.send_dropped(),
        }
    }

    /// Learns where a member is reached. A name is looked up aside, since that takes time.
    pub(super) fn address(&mut self, node: NodeId, address: &str) {
        if node == self.node.id() {
            return;
        }
        if let Ok(address) = address.parse::<SocketAddr>() {
            know(&self.doors.transport, node, &[address]);
            return;
        }
        let (transport, address) = (self.doors.transport.clone(), address.to_owned());
        tokio::spawn(async move {
            match tokio::net::lookup_host(&address).await {
                Ok(found) => know(&transport, node, &found.collect::<Vec<_>>()),
                Err(error) => tracing::warn!(%node, address, %error, "the address is not known"),
            }
        });
    }

    fn note(&mut self, note: &Note) {
        self.metrics.note(note);
        if let Note::Disk { full } = note {
            self.disk_full = *full;
            self.tell_readiness();
        }
    }
}

fn know(transport: &unisono_quic::Transport, node: NodeId, addresses: &[SocketAddr]) {
    if let Err(error) = transport.set_address(node, addresses) {
        tracing::warn!(%node, %error, "the address was not taken");
    }
}
