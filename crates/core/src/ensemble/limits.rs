//! Every limit and every tuned figure of the ensemble, in one place.
//!
//! `docs/timing.md` says in which worlds they were found, and in which they were judged.

use unisono_model::PARTS_PER_BEAT;

/// The tempo where nobody has set one: a beat every 500 ms (TIME-3), millionths of a beat a minute.
pub const TEMPO_UBPM_DEFAULT: u64 = 120_000_000;
/// Beats from coordination point to coordination point where nobody has said otherwise (TIME-3).
pub const POINT_EVERY_DEFAULT: u16 = 4;
/// Beats from major synchronisation to major synchronisation where nobody has said otherwise.
pub const MAJOR_EVERY_DEFAULT: u16 = 64;
/// An exponential curve is halved so often: 64 straight pieces follow a doubling of the rate to
/// 15 millionths.
pub const CURVE_HALVINGS: u32 = 6;
/// Two maps that are a millionth of a beat apart are one: programs that speak JSON may round.
pub const BEATS_APART_PARTS: u64 = PARTS_PER_BEAT / 1_000_000;

/// From which mean asynchrony on somebody is to be watched, and looked after, ms (TIME-15).
pub const MEAN_MS: (f64, f64) = (30.0, 100.0);
/// The same for one standard deviation, ms.
pub const SPREAD_MS: (f64, f64) = (20.0, 50.0);
/// The same for drift, ms a minute.
pub const DRIFT_MS_PER_MINUTE: (f64, f64) = (10.0, 30.0);
/// A drift counts beyond so many of its standard errors: one false alarm in 700 looks.
pub const DRIFT_SIGMAS: f64 = 3.0;
