//! Playing together: the beat, corrections, notice, models, and what is refused.

mod adapting;
mod barriers;
mod channels;
mod correction;
mod confirming;
mod judging;
mod leads;
mod models;
mod nodes;
mod tempo;
