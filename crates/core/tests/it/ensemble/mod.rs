//! Playing together: the beat, corrections, notice, models, and what is refused.

mod acting;
mod adapting;
mod barriers;
mod channels;
mod confirming;
mod correction;
mod judging;
mod leads;
mod models;
mod nodes;
mod performing;
mod tempo;
mod using;
mod varying;
