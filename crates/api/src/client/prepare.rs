//! Acting together for programs: asking others to prepare, saying that one is ready, acting at the time.

use std::time::Duration;

use unisono_model::Digest;

use super::{Actor, ClientError, ClusterClock, Fired, Reply};
use crate::dto::{
    ActionBody, AnswerBody, CueAnswerWord, CueBody, CueList, CueShown, CueStageWord, CueTurn,
    Digits, PlayedBody, Recorded,
};

/// How soon a cue that was to be decided just now is looked at again.
const DECIDED_LOOK_EVERY: Duration = Duration::from_millis(20);
/// And at the latest: clocks are put right meanwhile.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(10);

/// What became of a cue for whoever wanted to act on it.
#[derive(Clone, Debug)]
pub enum Played<T> {
    /// It was acted at the time, and the orchestra was told how punctual that was.
    Fired(T, Fired),
    /// The cue is off, and nothing was run: who was not ready, by names.
    Off(Vec<String>),
}

impl Actor {
    /// Asks others to prepare for something that is done together: gives a cue. With a target of 0 the node
    /// names the time, by how much notice those need who are meant, and with a window of 0 how wide that is;
    /// `cue` of the answer says when it is, for whom that is too soon, and who is known to miss cues.
    /// [`Client::cues`](super::Client::cues) tells what becomes of it.
    ///
    /// # Errors
    /// What every write may fail with; whoever signs by itself has to name a time.
    pub async fn prepare(&self, cue: CueBody) -> Result<Reply<Recorded>, ClientError> {
        self.act(ActionBody::Cue(cue)).await
    }

    /// Answers a cue: that it is ready, that the notice was too short, or that it will not take part.
    ///
    /// # Errors
    /// What every write may fail with.
    pub async fn ack(
        &self,
        cue: Digest,
        word: CueAnswerWord,
        text: &str,
    ) -> Result<Reply<Recorded>, ClientError> {
        let text = text.to_owned();
        self.act(ActionBody::Answer(AnswerBody { cue, word, text }))
            .await
    }

    /// Acts at the target of a cue, and tells the orchestra how punctual that was. Waits until it is decided
    /// whether the cue is on; the action is armed as [`ClusterClock::at`] does. Whoever is meant has to have
    /// said that it is ready ([`Self::ack`]): under the rule `go` those go who are.
    ///
    /// # Errors
    /// What reads and writes may fail with; [`ClientError::Usage`], with nothing run, where no such cue is
    /// held, its time is past, or this agent is meant and was not ready in time.
    pub async fn play<T: Send + 'static>(
        &self,
        clock: &ClusterClock,
        cue: Digest,
        act: impl FnOnce(&Fired) -> T + Send + 'static,
    ) -> Result<Played<T>, ClientError> {
        let shown = self.decided(clock, cue).await?;
        if shown.stage == CueStageWord::Off {
            return Ok(Played::Off(shown.lacking));
        }
        let (done, fired) = clock.at(shown.cue.target_ns.0, act)?.await?;
        self.act(ActionBody::Played(PlayedBody {
            cue: Some(cue),
            target_ns: Digits(fired.target_ns),
            late_ns: fired.late_ns,
            unsure_ns: fired.unsure_ns,
        }))
        .await?;
        Ok(Played::Fired(done, fired))
    }

    /// A cue once it is known what it is to this agent.
    async fn decided(&self, clock: &ClusterClock, cue: Digest) -> Result<CueShown, ClientError> {
        loop {
            let client = self.client();
            let cues: Reply<CueList> = client.read(self.orchestra(), "cues", &[]).await?;
            let mut held = cues.body.cues.into_iter();
            let shown = held.find(|one| one.record == cue).ok_or_else(|| {
                ClientError::Usage(format!("no cue {cue} is held here; nothing was run"))
            })?;
            match shown.turn_of(self.name()) {
                CueTurn::Acts | CueTurn::Off => return Ok(shown),
                CueTurn::NotReady => {
                    let words = "this agent is meant and was not ready in time; nothing was run";
                    return Err(ClientError::Usage(words.to_owned()));
                }
                CueTurn::Waits => {}
            }
            let left_ns = shown.answer_by_ns.0.saturating_sub(clock.now().estimate_ns);
            let left = Duration::from_nanos(left_ns);
            tokio::time::sleep(left.clamp(DECIDED_LOOK_EVERY, LOOK_EVERY_MAX)).await;
        }
    }
}
