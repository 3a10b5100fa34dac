//! Roles with a loop of their own: turns that are types, and which of them follows which.
//!
//! A role names its turns and says with [`Before`] what may follow what; a turn that may not follow
//! does not compile. Each turn is told as the agent's presence, so that others see where it stands.
//! Within a turn the agent goes through the common flow ([`super::flow`]).
//!
//! ```
//! # use unisono_api::client::{Actor, ClientError, rounds::{Rounds, player::{Advise, Idle, Play}}};
//! # async fn round(actor: Actor) -> Result<(), ClientError> {
//! let idle = Rounds::<Idle>::begin(actor, "waits for a build").await?;
//! let play = idle.go::<Play>("plays the build").await?;
//! let advise = play.go::<Advise>("says how it was").await?;
//! advise.go::<Idle>("waits for the next").await?;
//! # Ok(())
//! # }
//! ```
//!
//! A player does not advise on what it has not played:
//!
//! ```compile_fail
//! # use unisono_api::client::{Actor, ClientError, rounds::{Rounds, player::{Advise, Idle, Play}}};
//! # async fn round(actor: Actor) -> Result<(), ClientError> {
//! let idle = Rounds::<Idle>::begin(actor, "waits for a build").await?;
//! idle.go::<Advise>("says how it was").await?;
//! # Ok(())
//! # }
//! ```
//!
//! A role of one's own is some types and what may follow what; here a reviewer, who says yes or no to
//! what it has read, and reads again what it has said no to:
//!
//! ```
//! # use unisono_api::{client::{Actor, ClientError, rounds::{Before, First, Rounds, Turn}}, dto::StatusWord};
//! struct Waits;
//! struct Reads;
//! struct Judges;
//! impl Turn for Waits {
//!     const NAME: &'static str = "waits";
//!     const STATUS: StatusWord = StatusWord::Idle;
//! }
//! impl Turn for Reads {
//!     const NAME: &'static str = "reads";
//!     const STATUS: StatusWord = StatusWord::Active;
//! }
//! impl Turn for Judges {
//!     const NAME: &'static str = "judges";
//!     const STATUS: StatusWord = StatusWord::Thinking;
//! }
//! impl First for Waits {}
//! impl Before<Reads> for Waits {}
//! impl Before<Judges> for Reads {}
//! impl Before<Reads> for Judges {}
//! impl Before<Waits> for Judges {}
//!
//! async fn review(actor: Actor, change: &str) -> Result<Rounds<Waits>, ClientError> {
//!     let waits = Rounds::<Waits>::begin(actor, "waits for a change").await?;
//!     let reads = waits.go::<Reads>(change).await?;
//!     // What stands in its way it hears within its turn, by the common flow.
//!     let _sensing = reads.flow();
//!     let judges = reads.go::<Judges>("says whether it may go in").await?;
//!     Ok(judges.go::<Waits>("waits for the next").await?)
//! }
//! ```

use std::marker::PhantomData;

use super::flow::{Flow, Sensing};
use super::{Actor, ClientError};
use crate::dto::{ActionBody, PresenceBody, StatusWord};

/// One turn of a role's loop.
pub trait Turn {
    /// Its name, as others see it in the agent's focus.
    const NAME: &'static str;
    /// What an agent in it is about.
    const STATUS: StatusWord;
}

/// The turn with which a loop begins.
pub trait First: Turn {}

/// A turn that `Next` may follow.
pub trait Before<Next: Turn>: Turn {}

/// An agent at one turn of its role's loop.
#[derive(Debug)]
#[must_use = "an agent that is dropped here has left its loop"]
pub struct Rounds<T> {
    actor: Actor,
    turn: PhantomData<T>,
}

/// A turn that could not be begun: the agent stands at the one before.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Stuck<T> {
    /// Where it stands.
    pub rounds: Box<Rounds<T>>,
    /// Why.
    pub error: ClientError,
}

impl<T> From<Stuck<T>> for ClientError {
    fn from(stuck: Stuck<T>) -> Self {
        stuck.error
    }
}

impl<T: First> Rounds<T> {
    /// Begins the loop.
    ///
    /// # Errors
    /// The presence was refused, or no node answered.
    pub async fn begin(actor: impl Into<Actor>, intent: &str) -> Result<Self, ClientError> {
        let actor = actor.into();
        say::<T>(&actor, intent).await?;
        let turn = PhantomData;
        Ok(Self { actor, turn })
    }
}

impl<T: Turn> Rounds<T> {
    /// Goes on to the next turn, and says what it means to do there.
    ///
    /// # Errors
    /// The presence was refused, or no node answered; the agent stands where it stood.
    pub async fn go<Next: Turn>(self, intent: &str) -> Result<Rounds<Next>, Stuck<T>>
    where
        T: Before<Next>,
    {
        match say::<Next>(&self.actor, intent).await {
            Ok(()) => Ok(Rounds {
                actor: self.actor,
                turn: PhantomData,
            }),
            Err(error) => Err(Stuck {
                rounds: Box::new(self),
                error,
            }),
        }
    }

    /// The common flow, from its beginning.
    pub fn flow(&self) -> Flow<Sensing> {
        Flow::of(self.actor.clone())
    }

    /// The name of the turn.
    pub fn name(&self) -> &'static str {
        T::NAME
    }
}

async fn say<T: Turn>(actor: &Actor, intent: &str) -> Result<(), ClientError> {
    let body = PresenceBody {
        status: T::STATUS,
        intent: intent.to_owned(),
        focus: T::NAME.to_owned(),
    };
    actor.act(ActionBody::Presence(body)).await.map(|_| ())
}

/// The loop of a player: it waits for a build, plays it, and says how it was.
pub mod player {
    use super::{Before, First, Turn};
    use crate::dto::StatusWord;

    /// It waits for a build.
    #[derive(Debug)]
    pub struct Idle;

    /// It plays.
    #[derive(Debug)]
    pub struct Play;

    /// It says how it was.
    #[derive(Debug)]
    pub struct Advise;

    impl Turn for Idle {
        const NAME: &'static str = "idle";
        const STATUS: StatusWord = StatusWord::Idle;
    }

    impl Turn for Play {
        const NAME: &'static str = "play";
        const STATUS: StatusWord = StatusWord::Active;
    }

    impl Turn for Advise {
        const NAME: &'static str = "advise";
        const STATUS: StatusWord = StatusWord::Thinking;
    }

    impl First for Idle {}
    impl Before<Play> for Idle {}
    impl Before<Advise> for Play {}
    // Nothing to say is no advice.
    impl Before<Idle> for Play {}
    impl Before<Idle> for Advise {}
    impl Before<Play> for Advise {}
}
