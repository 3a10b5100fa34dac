//! Playing together: the beat, corrections, notice, models, and what is refused.

mod barriers;
mod correction;
mod leads;
mod models;
mod nodes;
mod tempo;
