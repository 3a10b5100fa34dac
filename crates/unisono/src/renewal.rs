//! This node's certificate: the next one is asked for long before it ends, written, and shown, while
//! everything else goes on. A node that holds the authority's key signs its own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use unisono_api::dto::{
    AuthorityShown, AuthorityWord, CertificateTrouble, CertificateWord, NodeAuthority,
    NodeCertificate,
};
use unisono_model::NodeId;
use unisono_quic::Transport;
use unisono_quic::identity::{Authorities, Credentials, Validity};
use unisono_quic::limits::MOVE_SPREAD;
use unisono_quic::renew::{Renewal, RenewalError, RenewalRefusal};

use crate::home::{Home, Membership, drawn, now_ms};
use crate::standing::{self, Word};

/// Most members that are asked at one try: who can sign is found over several.
const ASKED_MAX: usize = 8;
/// Longest sleep before another look at the wall clock, which may be set meanwhile.
const LOOK: Duration = Duration::from_secs(60);
/// Shortest and longest pause after a try that failed, before jitter.
const PAUSE_MS: (u64, u64) = (500, 600_000);
/// The share of a life that passes between two tries, within [`PAUSE_MS`]: five minutes of a week.
const PAUSE_PART: u64 = 2_000;
/// Longest pause while the certificate is of a former authority (ms).
const MOVE_PAUSE_MS: u64 = 10_000;
/// Clocks that are so far apart are worth a word (ms).
pub(crate) const APART_MS: u64 = 60_000;

/// What whoever signs says of a node that is none of the cluster.
pub(crate) const NOT_MEMBER: &str = "not_member";

/// The keeper of the certificate, shared with whoever shows how it is.
#[derive(Clone, Debug)]
pub(crate) struct Renewing {
    transport: Transport,
    home: Home,
    /// Whom to ask before any other: the founder, then those whom this node was told of.
    known: Vec<NodeId>,
    told: Arc<Mutex<Told>>,
}

/// What has become of it in this process.
#[derive(Debug, Default)]
struct Told {
    signed_by: Option<NodeId>,
    clock_apart_ms: Option<i64>,
    trouble: Option<CertificateTrouble>,
}

impl Renewing {
    /// Keeps the certificate of `transport`, which lies in `home`, until `finish`.
    pub(crate) fn start(
        transport: &Transport,
        home: &Home,
        membership: &Membership,
        finish: watch::Receiver<bool>,
    ) -> Self {
        let seeds = membership.seeds.iter().map(|seed| seed.node);
        let renewing = Self {
            transport: transport.clone(),
            home: home.clone(),
            known: std::iter::once(membership.founder).chain(seeds).collect(),
            told: Arc::default(),
        };
        tokio::spawn(renewing.clone().run(finish));
        renewing
    }

    /// How the certificate is now.
    pub(crate) fn shown(&self) -> NodeCertificate {
        let validity = self.transport.certificate();
        let (now_ms, life_ms) = (now_ms(), self.transport.certificate_life_ms());
        let credentials = self.transport.credentials();
        let (own, authorities) = (credentials.signer().id, credentials.authorities());
        let told = self.told();
        NodeCertificate {
            state: word(validity, life_ms, now_ms),
            made_ms: validity.made_ms(),
            renews_from_ms: validity.renewal_begins_ms(life_ms),
            ends_ms: validity.until_ms,
            signs: self.transport.signs(),
            signed_by: told.signed_by,
            clock_apart_ms: told.clock_apart_ms,
            trouble: told.trouble.clone(),
            authority: own,
            authorities: authorities_shown(authorities, now_ms),
            seen: seen(&self.transport),
        }
    }

    /// Renews whenever it is time, until the process ends.
    async fn run(self, mut finish: watch::Receiver<bool>) {
        let mut learned = self.transport.authorities_learned();
        let keep = async {
            // A process before this one may have been cut off in between.
            self.settle().await;
            loop {
                tokio::select! {
                    () = self.until_due() => {}
                    Ok(()) = learned.changed() => {
                        self.settle().await;
                        continue;
                    }
                }
                if let Err(trouble) = self.renew().await {
                    self.remember(trouble);
                    tokio::select! {
                        () = tokio::time::sleep(self.pause()) => {}
                        Ok(()) = learned.changed() => self.settle().await,
                    }
                }
            }
        };
        tokio::select! {
            () = keep => {}
            _ = finish.wait_for(|&finish| finish) => {}
        }
    }

    /// Keeps what was learned of authorities, and puts the key of the one that signs in its place, if it
    /// was drawn here.
    async fn settle(&self) {
        let (transport, directory) = (self.transport.clone(), self.home.directory().to_owned());
        let settling = tokio::task::spawn_blocking(move || {
            transport.credentials().save_authorities(&directory)?;
            transport.promote_authority(&directory)
        });
        match settling.await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => {
                tracing::info!("this node signs certificates with the new authority's key");
            }
            Ok(Err(error)) => self.remember(Trouble::new("not_saved", error)),
            Err(error) => self.remember(Trouble::new("not_saved", error)),
        }
    }

    async fn until_due(&self) {
        if !self.transport.credentials().has_moved() {
            // Whoever signs goes first; the others need not all ask it at one moment.
            if !self.transport.signs() {
                tokio::time::sleep(MOVE_SPREAD.mul_f64(fraction())).await;
            }
            return;
        }
        let life_ms = self.transport.certificate_life_ms();
        let validity = self.transport.certificate();
        let spread_ms = Validity::spread_ms(life_ms) as f64 * fraction();
        let due_ms = validity.renewal_begins_ms(life_ms) + spread_ms as u64;
        loop {
            let now_ms = now_ms();
            // Whoever is late, or was off, does not wait for its turn.
            if now_ms >= due_ms || validity.is_overdue(life_ms, now_ms) {
                return;
            }
            let wait = Duration::from_millis(due_ms - now_ms);
            tokio::time::sleep(wait.min(LOOK)).await;
        }
    }

    async fn renew(&self) -> Result<(), Trouble> {
        if let Some(made) = self.transport.renewed_here() {
            let credentials = made.map_err(|error| Trouble::new("unmakeable", error))?;
            return self.take(credentials, None).await;
        }
        let mut ahead = VecDeque::from(self.candidates());
        let mut asked = Vec::new();
        let mut worst: Option<(NodeId, RenewalError)> = None;
        while let Some(member) = ahead.pop_front().filter(|_| asked.len() < ASKED_MAX) {
            asked.push(member);
            match self.transport.renewed_by(member).await {
                Ok(Renewal {
                    credentials,
                    clock_apart_ms,
                }) => {
                    let by = Some((member, clock_apart_ms));
                    return self.take(credentials, by).await;
                }
                Err(error) => {
                    tracing::debug!(%member, %error, "the certificate was not renewed there");
                    // Also one that was asked before, if another member knows better where it is.
                    if let Some(issuer) = first_issuer(&error)
                        && asked.iter().filter(|node| **node == issuer).count() < 2
                    {
                        ahead.push_front(issuer);
                    }
                    let more = |(_, told): &(_, RenewalError)| weight(told) < weight(&error);
                    if worst.as_ref().is_none_or(more) {
                        worst = Some((member, error));
                    }
                }
            }
        }
        Err(match worst {
            None => Trouble::new("no_signer", "no other member is known"),
            Some((member, error)) if weight(&error) <= NOBODY => {
                let count = asked.len();
                let words = format!(
                    "none of the {count} members that were asked can sign, or was reached; {member}: {error}"
                );
                Trouble::new("no_signer", words)
            }
            Some((member, error)) => Trouble::new(error.code(), format!("{member}: {error}")),
        })
    }

    /// On disk first: what was shown must be there after a start.
    async fn take(
        &self,
        credentials: Credentials,
        by: Option<(NodeId, i64)>,
    ) -> Result<(), Trouble> {
        let (directory, written) = (self.home.directory().to_owned(), credentials.clone());
        // Its authority's before it: a start has to find who has signed it.
        let saving = tokio::task::spawn_blocking(move || {
            written.save_authorities(&directory)?;
            written.save_certificate(&directory)
        });
        let saved = saving.await;
        // A full disk is no reason to let it end: a start finds the old one, and renews that.
        self.transport
            .show(credentials)
            .map_err(|error| Trouble::new("unusable", error))?;
        if let Some((_, apart_ms)) = by.filter(|(_, ms)| ms.unsigned_abs() > APART_MS) {
            tracing::warn!(
                apart_ms,
                "the clocks of this machine and of who signed are apart"
            );
        }
        let until_ms = self.transport.certificate().until_ms;
        tracing::info!(until_ms, "this node's certificate was renewed");
        standing::forget(&self.home, |known| known.word == Word::NotMember);
        let mut told = self.told();
        told.signed_by = by.map(|(member, _)| member);
        told.clock_apart_ms = by.map(|(_, apart_ms)| apart_ms);
        told.trouble = None;
        drop(told);
        match saved {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.remember(Trouble::new("not_saved", error)),
            Err(error) => self.remember(Trouble::new("not_saved", error)),
        }
        Ok(())
    }

    /// Who signed last, the founder and whom this node was told of, then others in any order: those
    /// that a connection stands to before those that would have to be called.
    fn candidates(&self) -> Vec<NodeId> {
        let own = self.transport.node();
        let mut candidates: Vec<NodeId> = self.told().signed_by.into_iter().collect();
        candidates.push(self.known[0]);
        let mut others: Vec<(bool, u64, NodeId)> = self
            .transport
            .peers()
            .into_iter()
            .filter(|peer| peer.connection.is_some() || !peer.addresses.is_empty())
            .map(|peer| (peer.connection.is_none(), draw(), peer.node))
            .collect();
        others.sort_unstable();
        candidates.extend(others.into_iter().map(|(_, _, node)| node));
        candidates.extend(&self.known[1..]);
        let mut asked = Vec::new();
        for node in candidates {
            if node != own && !asked.contains(&node) && asked.len() < ASKED_MAX {
                asked.push(node);
            }
        }
        asked
    }

    fn pause(&self) -> Duration {
        let life_ms = self.transport.certificate_life_ms();
        let mut pause_ms = (life_ms / PAUSE_PART).clamp(PAUSE_MS.0, PAUSE_MS.1);
        if !self.transport.credentials().has_moved() {
            // Others may turn the certificate of a former authority away before it ends.
            pause_ms = pause_ms.min(MOVE_PAUSE_MS);
        }
        Duration::from_millis(pause_ms).mul_f64(0.5 + fraction() / 2.0)
    }

    /// Says it in the log when it begins or changes, and not every five minutes.
    fn remember(&self, Trouble { code, detail }: Trouble) {
        let mut told = self.told();
        let before = told.trouble.take();
        let is_new = before.as_ref().is_none_or(|before| before.code != code);
        if is_new {
            tracing::warn!(code, detail, "this node's certificate was not renewed");
        }
        if is_new && code == NOT_MEMBER {
            standing::remember(&self.home, Word::NotMember, None, &detail);
        }
        told.trouble = Some(CertificateTrouble {
            code: code.to_owned(),
            detail,
            since_ms: before.map_or_else(now_ms, |before| before.since_ms),
        });
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a try failed.
#[derive(Debug)]
struct Trouble {
    code: &'static str,
    detail: String,
}

impl Trouble {
    fn new(code: &'static str, detail: impl ToString) -> Self {
        Self {
            code,
            detail: detail.to_string(),
        }
    }
}

fn authorities_shown(authorities: &Authorities, now_ms: u64) -> Vec<AuthorityShown> {
    let shown = authorities.all().iter().map(|known| {
        let ends_ms = authorities.end_ms(&known.id);
        AuthorityShown {
            number: known.rank().0,
            authority: known.id,
            fingerprint: known.certificate.fingerprint().to_string(),
            state: match ends_ms {
                None => AuthorityWord::Signs,
                Some(ends_ms) if now_ms <= ends_ms => AuthorityWord::Former,
                Some(_) => AuthorityWord::Ended,
            },
            ends_ms,
        }
    });
    shown.collect()
}

fn seen(transport: &Transport) -> Vec<NodeAuthority> {
    let seen = transport.signers_seen().into_iter();
    let mut seen: Vec<NodeAuthority> = seen
        .map(|(node, authority)| NodeAuthority { node, authority })
        .collect();
    seen.sort_unstable_by_key(|one| one.node);
    seen
}

/// Whom a member that cannot sign knows to have signed.
fn first_issuer(error: &RenewalError) -> Option<NodeId> {
    match error {
        RenewalError::Refused(RenewalRefusal::NotAnIssuer { issuers }) => {
            issuers.first().map(|(node, _)| *node)
        }
        _ => None,
    }
}

/// Up to here a failure says only that this member was the wrong one to ask.
const NOBODY: u8 = 1;

/// Which of two failures tells more: a no more than a wrong clock, that more than being put off.
fn weight(error: &RenewalError) -> u8 {
    match error {
        RenewalError::Unreachable(_) => 0,
        RenewalError::Refused(RenewalRefusal::NotAnIssuer { .. }) => 1,
        RenewalError::Refused(RenewalRefusal::NotReady | RenewalRefusal::TooOften { .. }) => 2,
        RenewalError::BadAnswer(_) => 3,
        RenewalError::Clock { .. } => 4,
        RenewalError::Refused(_) => 5,
    }
}

fn word(validity: Validity, life_ms: u64, now_ms: u64) -> CertificateWord {
    if validity.has_ended(now_ms) {
        CertificateWord::Ended
    } else if validity.is_overdue(life_ms, now_ms) {
        CertificateWord::Overdue
    } else if now_ms >= validity.renewal_begins_ms(life_ms) + Validity::spread_ms(life_ms) {
        CertificateWord::Due
    } else {
        CertificateWord::Fresh
    }
}

fn draw() -> u64 {
    // Without chance everybody asks at one time, and is answered all the same.
    drawn().map_or(0, u64::from_le_bytes)
}

fn fraction() -> f64 {
    draw() as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_fresh_due_overdue_and_ended_in_this_order() {
        const DAY_MS: u64 = 24 * 3_600_000;
        let made_ms = 100 * DAY_MS;
        let validity = Validity {
            from_ms: made_ms - DAY_MS,
            until_ms: made_ms + 7 * DAY_MS,
        };
        let at = |days: f64| {
            word(
                validity,
                7 * DAY_MS,
                made_ms + (days * DAY_MS as f64) as u64,
            )
        };
        assert_eq!(at(0.0), CertificateWord::Fresh);
        assert_eq!(at(2.8), CertificateWord::Fresh, "it waits for its turn");
        assert_eq!(at(3.0), CertificateWord::Due);
        assert_eq!(at(3.6), CertificateWord::Overdue);
        assert_eq!(at(6.9), CertificateWord::Overdue);
        assert_eq!(at(7.1), CertificateWord::Ended);
    }

    #[test]
    fn a_no_says_more_than_whoever_cannot_sign_and_that_more_than_silence() {
        let no = RenewalError::Refused(RenewalRefusal::NotAMember { why: String::new() });
        let issuers = Vec::new();
        let cannot = RenewalError::Refused(RenewalRefusal::NotAnIssuer { issuers });
        let silent = RenewalError::Unreachable(String::new());
        let clock = RenewalError::Clock { apart_ms: 1 };
        assert!(weight(&no) > weight(&clock) && weight(&clock) > weight(&cannot));
        assert!(weight(&cannot) > weight(&silent) && weight(&cannot) <= NOBODY);
    }
}
