//! Playing together: the beat, and how punctual everybody is.

mod health;
pub mod limits;
mod tempo;

pub use health::{Health, Punctuality};
pub use tempo::{Beat, Change, Position, Stress, TempoError, TempoMap};
