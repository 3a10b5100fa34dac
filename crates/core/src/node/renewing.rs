//! Tokens that are renewed by this node: it holds a delegation that lets it do so and nothing else.
//! Whoever asks gets the token for longer, if the orchestra as it is known here would let it; agents
//! whose keys this node holds get it without asking.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ed25519_dalek::SigningKey;
use unisono_model::capability::{RENEWAL_VERSION, Renewal, Rights, Token};
use unisono_model::wire::Blob;
use unisono_model::{Action, AgentId, Code, Digest, Held, OrchestraId, Place, Rejection};

use super::batch::{Made, Source};
use super::input::{Ask, Question};
use super::{Node, Promise, limits, submit};
use crate::capability::{Anchor, Invalid, Verified, examine, exceeds};
use crate::context::{Context, StrictVerifier};
use crate::orchestra::trust::Verdict;
use crate::orchestra::view::{RenewedView, View};

/// What this node renews by, and what it has tried lately for agents whose keys it holds.
#[derive(Debug, Default)]
pub(super) struct Renewing {
    delegation: Option<Blob>,
    tried_ms: BTreeMap<(OrchestraId, Digest), u64>,
    next_ms: u64,
}

/// A token of an agent whose key this node holds, whose time for it has come.
struct Due {
    orchestra: OrchestraId,
    name: String,
    link: Digest,
    newest: Verified,
    source: Blob,
    retry_ms: u64,
}

impl Node {
    /// Lets this node renew tokens from now on.
    ///
    /// # Errors
    /// A token that does not let it: of another cluster, for another key, of another tier.
    pub fn entrust(&mut self, delegation: Vec<u8>) -> Result<(), Invalid> {
        let token = self.examined(&delegation)?;
        if token.leaf().audience.0 != self.me.node.0 || !token.leaf().tier.is_renewer() {
            return Err(Invalid::Renewal {
                what: "the delegation is not for this node's key, or not of the renewer's tier",
            });
        }
        self.renewing.delegation = Some(Blob(delegation));
        Ok(())
    }

    fn examined(&self, bytes: &[u8]) -> Result<Verified, Invalid> {
        let roots = self.roots();
        examine(bytes, self.config.cluster, &roots, &mut StrictVerifier)
    }

    /// A token that somebody shows, as it counts for longer.
    ///
    /// # Errors
    /// It is none, does not count any more, may not be renewed, or not by this node. Nothing changed.
    pub(super) fn renewed(&self, context: &Context<'_>, ask: &Ask) -> Result<View, Rejection> {
        let Question::Renewed { token: bytes, may } = &ask.question else {
            return Err(not_here("no token was shown"));
        };
        let token = self.examined(bytes).map_err(invalid)?;
        let (plain, _) =
            Token::decode(bytes).map_err(|words| invalid(Invalid::Malformed(words)))?;
        let longer = self.longer(
            context,
            ask.orchestra,
            (&token, plain.unrenewed()),
            may.as_ref(),
        );
        longer.map(View::Renewed)
    }

    /// A token as it counts for longer, with the rights that it has by now or with less.
    fn longer(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        (token, mut plain): (&Verified, Token),
        may: Option<&Rights>,
    ) -> Result<RenewedView, Rejection> {
        let Some(delegation) = &self.renewing.delegation else {
            return Err(not_here("this node holds no delegation to renew tokens"));
        };
        let now_ms = self.now(context).as_ms();
        self.counts_now(token, now_ms)?;
        self.not_fenced(context, orchestra, token)?;
        let links = self.examined(&plain.encode()).map_err(invalid)?;
        let (first, last) = (links.leaf(), token.leaf());
        self.renewed_lately(orchestra, &links, now_ms)?;
        // Clocks of others may be a little behind this one.
        let from_ms = now_ms.saturating_sub(limits::RENEWAL_AHEAD_MS);
        let from_ms = from_ms.max(first.not_before_ms);
        let life_ms = first.expires_ms - first.not_before_ms;
        let expires_ms = (from_ms + life_ms).min(first.renew_until_ms);
        if expires_ms <= last.expires_ms {
            return Err(no_longer(first.renew_until_ms, last.expires_ms));
        }
        // What it was narrowed to stays: a renewal is of what the token is now.
        let may = may.unwrap_or(&last.may);
        if let Some(field) = exceeds(may, &last.may) {
            let link = links.links().len() + 1;
            return Err(invalid(Invalid::Widens { link, field }));
        }
        let renewal = Renewal {
            version: RENEWAL_VERSION,
            cluster: self.config.cluster,
            renews: plain.id(),
            renewer: AgentId(self.me.node.0),
            from_ms,
            expires_ms,
            may: (*may != first.may).then(|| may.clone()),
            delegation: delegation.clone(),
        };
        let key = SigningKey::from_bytes(&self.config.secret);
        plain.links.push(renewal.sign(&key));
        let bytes = plain.encode();
        let renewed = self.examined(&bytes).map_err(|invalid| {
            let words = format!("this node cannot renew it: {invalid}");
            not_here(&words)
        })?;
        self.would_be_laid(context, orchestra, &renewed, &bytes)?;
        Ok(RenewedView {
            id: renewed.id(),
            expires_ms,
            renew_until_ms: first.renew_until_ms,
            token: bytes,
        })
    }

    /// Whoever has a token renewed and lays it down again and again fills every node's memory.
    fn renewed_lately(
        &self,
        orchestra: OrchestraId,
        links: &Verified,
        now_ms: u64,
    ) -> Result<(), Rejection> {
        let Some(space) = self.spaces.get(&orchestra) else {
            return Ok(());
        };
        let tokens = space.folds.trust.tokens();
        let renewed = tokens.filter(|one| one.renewed().is_some() && one.link() == links.link());
        let Some(latest_ms) = renewed.map(|one| one.leaf().not_before_ms).max() else {
            return Ok(());
        };
        let life_ms = links.leaf().expires_ms - links.leaf().not_before_ms;
        let again_ms =
            latest_ms + limits::RENEWAL_AHEAD_MS + life_ms / limits::RENEWALS_IN_A_LIFE_MAX;
        if now_ms >= again_ms {
            return Ok(());
        }
        let words = "it was renewed a moment ago, and what was laid down then counts longer";
        Err(Rejection::new(Code::NotRenewable, words)
            .hint("act under the renewed one, and have that renewed at half of its life")
            .retry_after(again_ms - now_ms))
    }

    fn counts_now(&self, token: &Verified, now_ms: u64) -> Result<(), Rejection> {
        let anchor = Anchor {
            cluster: self.config.cluster,
            roots: self.config.root.as_slice(),
            epoch: 0,
            at_ms: now_ms,
            enrolled: None,
        };
        token.stands(&anchor).map_err(|invalid| {
            let words = format!("only a token that counts is renewed: {invalid}");
            Rejection::new(Code::TokenTime, words)
                .hint("ask whoever issued it for a new one, and renew that before its end")
        })
    }

    /// Whether the orchestra, as it is known here, would take the renewed token from its agent, and
    /// let it act under it.
    fn would_be_laid(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        token: &Verified,
        bytes: &[u8],
    ) -> Result<(), Rejection> {
        let Some(space) = self.spaces.get(&orchestra) else {
            return Err(Rejection::new(
                Code::OrchestraUnknown,
                "no such orchestra here",
            ));
        };
        let now = self.now(context);
        let laws = space.folds.trust.laws();
        let key = laws
            .turns()
            .latest(token.leaf().audience, Place::end_of(now));
        let present = Action::Present(Blob(bytes.to_vec()));
        let body = submit::body(context, Held::Agent, 1, None, present);
        match self.judged(context, orchestra, key, &body, None) {
            Verdict::Counts(_) => {}
            Verdict::Awaits(awaited) => return Err(awaited.rejection()),
            Verdict::Void(void) => return Err(void.rejection()),
        }
        self.not_fenced(context, orchestra, token)
    }

    fn not_fenced(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        token: &Verified,
    ) -> Result<(), Rejection> {
        let space = self.spaces.get(&orchestra);
        let laws = space.map(|space| space.folds.trust.laws());
        if laws.is_some_and(|laws| laws.ends(token, self.now(context))) {
            let words = "a fence ends the token, and nothing renews what is fenced off";
            return Err(Rejection::new(Code::TokenFenced, words)
                .hint("ask for a new token; `unisono trust` shows the fence"));
        }
        Ok(())
    }

    /// Renews the tokens of agents whose keys this node holds, from half of their lives on.
    pub(super) fn renew_held(&mut self, context: &Context<'_>) {
        let now_ms = context.now_ms();
        if self.renewing.delegation.is_none() || now_ms < self.renewing.next_ms {
            return;
        }
        self.renewing.next_ms = now_ms + limits::RENEWALS_EVERY_MS;
        self.renewing.tried_ms.retain(|_, at| *at > now_ms);
        if self.may_write(context).is_err() || self.refusal_in_leaving().is_some() {
            return;
        }
        for due in self.due_renewals(context) {
            let tried = (due.orchestra, due.link);
            if self.renewing.tried_ms.contains_key(&tried) {
                continue;
            }
            self.renewing.tried_ms.insert(tried, now_ms + due.retry_ms);
            let Ok((plain, _)) = Token::decode(&due.source.0) else {
                continue;
            };
            let renewed = self.longer(context, due.orchestra, (&due.newest, plain), None);
            let Ok(renewed) = renewed else { continue };
            let key = self.remembered_key(due.orchestra, &due.name);
            let at = self.now(context);
            let space = self.spaces.get(&due.orchestra);
            let iteration = space.map_or(1, |space| space.folds.course.iteration(at));
            let iteration = iteration.min(unisono_model::limits::ITERATION_MAX);
            let present = Action::Present(Blob(renewed.token));
            self.queue.push_back(Made {
                ticket: None,
                orchestra: due.orchestra,
                source: Source::Held(key),
                body: submit::body(context, Held::Node, iteration, None, present),
                promise: Promise::default(),
                deadline_ms: now_ms,
                subjects: Vec::new(),
            });
        }
    }

    fn due_renewals(&self, context: &Context<'_>) -> Vec<Due> {
        let now = self.now(context);
        let now_ms = now.as_ms();
        let mut due = Vec::new();
        for space in self.spaces.values().filter(|space| !space.in_doubt()) {
            let trust = &space.folds.trust;
            let mut newest: BTreeMap<Digest, &Verified> = BTreeMap::new();
            for token in trust.tokens() {
                let link = token.link();
                let known = newest.entry(link).or_insert(token);
                if token.leaf().expires_ms > known.leaf().expires_ms {
                    *known = token;
                }
            }
            for (link, token) in newest {
                let leaf = token.leaf();
                let half_ms = leaf.not_before_ms / 2 + leaf.expires_ms / 2;
                let in_time = (half_ms..leaf.expires_ms).contains(&now_ms);
                let source = trust.token(&link).and_then(Verified::source);
                let Some(source) = source.filter(|_| in_time) else {
                    continue;
                };
                let agent = space.folds.identity(&leaf.audience);
                let state = space.folds.agents.read(&agent, now);
                let Some(state) = state.filter(|state| state.held == Held::Node) else {
                    continue;
                };
                let name = state.enrol.name.clone();
                if space.folds.identity(&self.held_agent(space.id, &name)) != agent {
                    continue;
                }
                due.push(Due {
                    orchestra: space.id,
                    name,
                    link,
                    newest: token.clone(),
                    source: source.clone(),
                    retry_ms: (leaf.expires_ms - leaf.not_before_ms) / 8,
                });
            }
        }
        due
    }
}

fn invalid(invalid: Invalid) -> Rejection {
    Rejection::new(Code::TokenInvalid, invalid.to_string())
        .hint("`unisono token explain TOKEN` says what it allows")
}

fn not_here(words: &str) -> Rejection {
    Rejection::new(Code::NotRenewable, words).hint(
        "ask another node, or give this one a delegation: `unisono token mint renewer --for NODE`, \
         kept as `renewer.token` in its data folder",
    )
}

fn no_longer(renew_until_ms: u64, expires_ms: u64) -> Rejection {
    let words = if renew_until_ms <= expires_ms {
        format!(
            "it counts until {expires_ms}, and its issuers let it be renewed until {renew_until_ms} (ms)"
        )
    } else {
        format!("it counts until {expires_ms} (ms), which is as long as it could by now")
    };
    Rejection::new(Code::NotRenewable, words)
        .hint("ask whoever issued it for a new one: `unisono token inspect TOKEN` shows until when each link may be renewed")
}
