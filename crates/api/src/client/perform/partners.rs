//! Who else performs, and by how much each of them corrects: asked for in the background, taken without waiting.

use std::sync::{Arc, Mutex, PoisonError};

use unisono_core::ensemble::Gains;
use unisono_model::AgentId;

use super::super::kept::Asks;
use super::super::{Actor, ClientError};
use super::Performance;
use crate::dto::CorrectionWord;
use crate::limits::PERFORM_HEARS_EVERY;

/// Another agent that performs, by its latest word.
#[derive(Clone, Debug, PartialEq)]
pub struct Partner {
    /// Its key.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// By which rule it corrects its errors.
    pub rule: CorrectionWord,
    /// By how much.
    pub gains: Gains,
}

/// Who performs beside somebody, as that takes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Partners {
    /// The others, by key.
    pub others: Vec<Partner>,
    /// How many players correct towards one another: as many as was said, or those of the others who correct, and
    /// this one.
    pub players: u32,
}

impl Performance {
    /// The same with the number of players that is counted, where none was said: of the others those who correct
    /// their errors, and this one.
    pub fn among(&self, others: &[Partner]) -> Self {
        Self {
            players: self.players.or(Some(counted(others))),
            ..self.clone()
        }
    }
}

/// Of the others those who correct their errors, and whoever asks.
pub(super) fn counted(others: &[Partner]) -> u32 {
    let players = correcting(others).count().saturating_add(1);
    u32::try_from(players).unwrap_or(u32::MAX)
}

/// Those who correct their errors.
pub(super) fn correcting(others: &[Partner]) -> impl Iterator<Item = &Partner> {
    let corrects = |one: &&Partner| one.rule != CorrectionWord::None;
    others.iter().filter(corrects)
}

/// What is heard of the others.
#[derive(Debug)]
pub(super) struct KeptPartners {
    news: Arc<Mutex<Option<Vec<Partner>>>>,
    _asks: Asks,
}

impl KeptPartners {
    /// Begins with what is known.
    pub(super) fn new(actor: &Actor, others: Vec<Partner>) -> Self {
        let news = Arc::new(Mutex::new(Some(others)));
        let (actor, kept) = (actor.clone(), Arc::clone(&news));
        let asks = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PERFORM_HEARS_EVERY).await;
                // Whoever hears nothing goes on with what it knows.
                if let Ok(others) = actor.partners().await {
                    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(others);
                }
            }
        });
        Self {
            news,
            _asks: Asks(asks),
        }
    }

    /// What was heard since it was asked for last.
    pub(super) fn take(&self) -> Option<Vec<Partner>> {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.take()
    }
}

impl Actor {
    /// Who else performs in its orchestra now, and by how much each corrects, by key.
    ///
    /// # Errors
    /// What every read may fail with.
    pub async fn partners(&self) -> Result<Vec<Partner>, ClientError> {
        let told = self.client().performing(self.orchestra()).await?.body;
        let others = told.performers.into_iter().filter(|one| match self {
            Self::Signing(agent) => one.agent != agent.agent(),
            Self::Held { name, .. } => one.name != *name && one.agent.to_string() != *name,
        });
        let others = others.map(|one| Partner {
            agent: one.agent,
            name: one.name,
            rule: one.rule,
            gains: Gains {
                phase: one.phase,
                period: one.period,
            },
        });
        Ok(others.collect())
    }
}
