//! The flow of an agent: sense, work, emit, and yield where something that blocks names it.
//!
//! ```text
//!            nothing blocks             it made something
//!  Sensing ────────────────► Working ────────────────────► Emitting
//!   ▲ │ │                       │                              │
//!   │ │ └─ the last iteration   └─ it made nothing ─► Sensing  └─ it is offered ─► Sensing
//!   │ │     is over ─► Complete
//!   │ └─ something that blocks names it ─► Yielding ─┐
//!   └──────────── it is resolved, or time is up ─────┘
//! ```
//!
//! Each place is a type of its own, and a step is a method that takes the place and gives the next,
//! so that a step that is not in the picture does not compile. An agent in the flow never waits for
//! another one: sensing asks a node once, a need is said and work goes on, and yielding ends after
//! the time that its caller gives it.
//!
//! ```no_run
//! # use unisono_api::client::{Actor, ClientError, flow::{Flow, Sensed}};
//! # use unisono_api::dto::MarkBody;
//! # async fn turn(actor: Actor, mark: MarkBody) -> Result<(), ClientError> {
//! let Sensed::Clear(working) = Flow::of(actor).sense().await? else { return Ok(()) };
//! let emitting = working.produced(mark).await?;
//! emitting.offer("mood-board", "a first one").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing can be offered that was not made:
//!
//! ```compile_fail
//! # use unisono_api::client::{Actor, ClientError, flow::{Flow, Sensed}};
//! # use unisono_api::dto::MarkBody;
//! # async fn turn(actor: Actor, mark: MarkBody) -> Result<(), ClientError> {
//! let Sensed::Clear(working) = Flow::of(actor).sense().await? else { return Ok(()) };
//! working.offer("mood-board", "a first one").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Whoever yields does not work on:
//!
//! ```compile_fail
//! # use unisono_api::client::{Actor, ClientError, flow::{Flow, Sensed}};
//! # use unisono_api::dto::MarkBody;
//! # async fn turn(actor: Actor, mark: MarkBody) -> Result<(), ClientError> {
//! let Sensed::Blocked(yielding) = Flow::of(actor).sense().await? else { return Ok(()) };
//! yielding.produced(mark).await?;
//! # Ok(())
//! # }
//! ```
//!
//! No place is used twice, and none is made up:
//!
//! ```compile_fail
//! # use unisono_api::client::{Actor, ClientError, flow::{Flow, Sensed}};
//! # use unisono_api::dto::MarkBody;
//! # async fn turn(actor: Actor, mark: MarkBody) -> Result<(), ClientError> {
//! let Sensed::Clear(working) = Flow::of(actor).sense().await? else { return Ok(()) };
//! let emitting = working.produced(mark.clone()).await?;
//! working.produced(mark).await?;
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use tokio::time::Instant;
use unisono_model::Digest;

use super::{Actor, ClientError, Reply};
use crate::dto::{
    ActionBody, Brief, FlowShown, FlowWord, MarkBody, Recorded, ResolutionWord, ResolveBody,
    SeenBody, Signal, SignalBody, SignalKindWord, Signals, UrgencyWord, Yielded,
};

/// Between two looks of whoever yields.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An agent at one place of the flow.
#[derive(Debug)]
#[must_use = "an agent that is dropped here has left the flow"]
pub struct Flow<P> {
    actor: Actor,
    place: P,
}

/// It looks around.
#[derive(Debug)]
pub struct Sensing(());

/// It makes something; it knows what it sensed.
#[derive(Debug)]
pub struct Working {
    seen: Seen,
}

/// It has made something that a mark proves, and says so.
#[derive(Debug)]
pub struct Emitting {
    mark: Reply<Recorded>,
}

/// Something that blocks names it.
#[derive(Debug)]
pub struct Yielding {
    seen: Seen,
}

/// The last iteration is over.
#[derive(Debug)]
pub struct Complete {
    seen: Seen,
}

/// What an agent sensed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where it stands, and what it yields to.
    pub flow: FlowShown,
    /// The signals that stand, those that concern it first.
    pub signals: Vec<Signal>,
}

/// Where sensing led.
#[derive(Debug)]
pub enum Sensed {
    /// Nothing that blocks names it.
    Clear(Flow<Working>),
    /// Something does.
    Blocked(Flow<Yielding>),
    /// There is nothing to do any more.
    Over(Flow<Complete>),
}

/// A step that could not be taken: the agent stands where it stood. [`ClientError::Unknown`] aside,
/// nothing changed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Halted<P> {
    /// Where it stands.
    pub flow: Box<Flow<P>>,
    /// Why.
    pub error: ClientError,
}

impl<P> From<Halted<P>> for ClientError {
    fn from(halted: Halted<P>) -> Self {
        halted.error
    }
}

impl<P> Flow<P> {
    /// Who it is.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Reads what it needs to know to go on, in at most about so many tokens, and records that it has
    /// seen it: what binds it and was there by then is not held against it as context divergence.
    ///
    /// # Errors
    /// What the node refused, or that none answered; the agent stands where it stood.
    pub async fn brief(&self, tokens_max: u64) -> Result<Reply<Brief>, ClientError> {
        let (client, orchestra) = (self.actor.client(), self.actor.orchestra());
        let brief = client.go_on(orchestra, self.actor.name(), tokens_max);
        let brief = brief.await?;
        if let Some(cursor) = brief.cursor.clone() {
            self.actor
                .act(ActionBody::Seen(SeenBody { cursor }))
                .await?;
        }
        Ok(brief)
    }

    fn to<N>(self, place: N) -> Flow<N> {
        let actor = self.actor;
        Flow { actor, place }
    }

    fn halted(self, error: ClientError) -> Halted<P> {
        let flow = Box::new(self);
        Halted { flow, error }
    }

    /// Asks the node once; what others do elsewhere is not waited for.
    async fn look(&self) -> Result<Seen, ClientError> {
        let (client, orchestra) = (self.actor.client(), self.actor.orchestra());
        let own = [("as", self.actor.name())];
        let flow: Reply<FlowShown> = client.read(orchestra, "flow", &own).await?;
        let signals: Reply<Signals> = client.read(orchestra, "signals", &own).await?;
        self.actor.seen_iteration(flow.body.iteration).await;
        Ok(Seen {
            flow: flow.body,
            signals: signals.body.signals,
        })
    }
}

impl Flow<Sensing> {
    /// An agent that begins to look around.
    pub fn of(actor: impl Into<Actor>) -> Self {
        Self {
            actor: actor.into(),
            place: Sensing(()),
        }
    }

    /// Looks around once.
    ///
    /// # Errors
    /// What the node refused, or that none answered; the agent can sense again.
    pub async fn sense(self) -> Result<Sensed, Halted<Sensing>> {
        let seen = match self.look().await {
            Ok(seen) => seen,
            Err(error) => return Err(self.halted(error)),
        };
        Ok(match seen.flow.place {
            FlowWord::Complete => Sensed::Over(self.to(Complete { seen })),
            FlowWord::Yielding => Sensed::Blocked(self.to(Yielding { seen })),
            FlowWord::Sensing | FlowWord::Working => Sensed::Clear(self.to(Working { seen })),
        })
    }
}

impl Flow<Working> {
    /// What it sensed before it began.
    pub fn seen(&self) -> &Seen {
        &self.place.seen
    }

    /// Says what it means to do.
    pub async fn intend(&self, topic: &str, text: &str) -> Result<Reply<Recorded>, ClientError> {
        let body = signal(SignalKindWord::Intent, UrgencyWord::Normal, topic, text);
        self.actor.act(ActionBody::Emit(body)).await
    }

    /// Says what it lacks, and goes on: whoever is asked yields if that blocks.
    pub async fn need(
        &self,
        topic: &str,
        urgency: UrgencyWord,
        text: &str,
    ) -> Result<Reply<Recorded>, ClientError> {
        let body = signal(SignalKindWord::Need, urgency, topic, text);
        self.actor.act(ActionBody::Emit(body)).await
    }

    /// It made something: the mark is left that proves it.
    ///
    /// # Errors
    /// The mark was refused, or no node answered; it still stands at work.
    pub async fn produced(self, mark: MarkBody) -> Result<Flow<Emitting>, Halted<Working>> {
        match self.actor.act(ActionBody::Mark(mark)).await {
            Ok(mark) => Ok(self.to(Emitting { mark })),
            Err(error) => Err(self.halted(error)),
        }
    }

    /// It made nothing, and looks around again.
    pub fn produced_nothing(self) -> Flow<Sensing> {
        self.to(Sensing(()))
    }
}

impl Flow<Emitting> {
    /// The record of the mark that proves what was made.
    pub fn mark(&self) -> Digest {
        self.place.mark.body.record
    }

    /// Offers what was made, with its mark.
    ///
    /// # Errors
    /// The offer was refused, or no node answered; the mark stands, and can be offered again.
    pub async fn offer(self, topic: &str, text: &str) -> Result<Flow<Sensing>, Halted<Emitting>> {
        let mut body = signal(SignalKindWord::Offer, UrgencyWord::Normal, topic, text);
        body.evidence = Some(self.mark());
        match self.actor.act(ActionBody::Emit(body)).await {
            Ok(_) => Ok(self.to(Sensing(()))),
            Err(error) => Err(self.halted(error)),
        }
    }

    /// Keeps it: the mark says enough.
    pub fn keep(self) -> Flow<Sensing> {
        self.to(Sensing(()))
    }
}

impl Flow<Yielding> {
    /// What it sensed.
    pub fn seen(&self) -> &Seen {
        &self.place.seen
    }

    /// What it yields to, oldest first.
    pub fn yields_to(&self) -> &[Yielded] {
        &self.place.seen.flow.yields_to
    }

    /// Resolves one of them, with a mark that proves it.
    ///
    /// # Errors
    /// The mark or the resolution was refused (somebody else may have been first), or no node
    /// answered; it still yields.
    pub async fn resolve(
        self,
        interference: Digest,
        how: ResolutionWord,
        outcome: &str,
        mark: MarkBody,
    ) -> Result<Flow<Sensing>, Halted<Yielding>> {
        let mark = match self.actor.act(ActionBody::Mark(mark)).await {
            Ok(mark) => mark.body.record,
            Err(error) => return Err(self.halted(error)),
        };
        let body = ResolveBody {
            interference,
            how,
            outcome: outcome.to_owned(),
            mark: Some(mark),
        };
        match self.actor.act(ActionBody::Resolve(body)).await {
            Ok(_) => Ok(self.to(Sensing(()))),
            Err(error) => Err(self.halted(error)),
        }
    }

    /// Waits until nothing that blocks names it, at most so long, and looks around again.
    ///
    /// # Errors
    /// What the node refused, or that none answered; it still yields.
    pub async fn wait(self, at_most: Duration) -> Result<Flow<Sensing>, Halted<Yielding>> {
        let end = Instant::now() + at_most;
        loop {
            match self.look().await {
                Ok(seen) if seen.flow.place != FlowWord::Yielding => break,
                Ok(_) if Instant::now() + LOOK_EVERY > end => break,
                Ok(_) => tokio::time::sleep(LOOK_EVERY).await,
                Err(error) => return Err(self.halted(error)),
            }
        }
        Ok(self.to(Sensing(())))
    }
}

impl Flow<Complete> {
    /// What it saw at the end.
    pub fn seen(&self) -> &Seen {
        &self.place.seen
    }
}

fn signal(kind: SignalKindWord, urgency: UrgencyWord, topic: &str, text: &str) -> SignalBody {
    SignalBody {
        kind,
        topic: topic.to_owned(),
        urgency,
        text: text.to_owned(),
        lifetime_ms: None,
        evidence: None,
        to_orchestra: None,
        from_orchestra: None,
    }
}
