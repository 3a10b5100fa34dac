//! How agents may vary on purpose, as JSON shows it: five settings that are set as one.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use unisono_core::ensemble::{Bounds, Stress};
use unisono_model::limits::{
    VARY_BEATS_MAX, VARY_RATE_PPM_MAX, VARY_RESOURCES_PPM_MAX, VARY_TIMING_MS_MAX,
};
use utoipa::ToSchema;

use super::action::SettingsBody;
use super::score::StressWord;
use super::words::SettingWord;

/// How agents may vary on purpose. What is left out may not vary; with nothing said, nothing may.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VariationBody {
    /// How far from its target an action may be: 1 to 60000 ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 60_000)]
    pub timing_ms: Option<OneTo<VARY_TIMING_MS_MAX>>,
    /// By how much of the tempo's rate an agent may act faster or slower, over four actions: 1 to 500000
    /// millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 500_000)]
    pub rate_ppm: Option<OneTo<VARY_RATE_PPM_MAX>>,
    /// By how much more than what is allotted to it an agent may use, whenever: 1 to 1000000 millionths of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    pub resources_ppm: Option<OneTo<VARY_RESOURCES_PPM_MAX>>,
    /// From which beats on actions may be off: any, coordination points, or major synchronisations.
    #[serde(default = "any")]
    pub at: StressWord,
    /// For how many beats from there on: 1 to 64.
    #[serde(default = "one")]
    #[schema(value_type = u32, minimum = 1, maximum = 64)]
    pub beats: OneTo<VARY_BEATS_MAX>,
}

/// A whole number from 1 to so many.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct OneTo<const MAX: u64>(u64);

impl<const MAX: u64> OneTo<MAX> {
    /// The number, if it is one of these.
    pub fn new(number: u64) -> Option<Self> {
        (1..=MAX).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl<'de, const MAX: u64> Deserialize<'de> for OneTo<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<const MAX: u64>;
        impl<const MAX: u64> Visitor<'_> for Read<MAX> {
            type Value = OneTo<MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from 1 to {MAX}")
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<OneTo<MAX>, E> {
                OneTo::new(number).ok_or_else(|| {
                    E::custom(format!("{number} is no whole number from 1 to {MAX}"))
                })
            }
        }
        deserializer.deserialize_u64(Read)
    }
}

fn any() -> StressWord {
    StressWord::Beat
}

fn one() -> OneTo<VARY_BEATS_MAX> {
    OneTo(1)
}

impl Default for VariationBody {
    /// Nothing may vary.
    fn default() -> Self {
        Self {
            timing_ms: None,
            rate_ppm: None,
            resources_ppm: None,
            at: any(),
            beats: one(),
        }
    }
}

impl VariationBody {
    /// Whether actions may be off, and not only what they use.
    pub fn moves(&self) -> bool {
        self.timing_ms.is_some() || self.rate_ppm.is_some()
    }
}

impl From<VariationBody> for SettingsBody {
    fn from(body: VariationBody) -> Self {
        let at = match body.at {
            StressWord::Beat => 0,
            StressWord::Point => 1,
            StressWord::Major => 2,
        };
        // All of them, so that what was set before does not stand beside it.
        Self {
            settings: BTreeMap::from([
                (
                    SettingWord::VaryTimingMs,
                    body.timing_ms.map_or(0, OneTo::get),
                ),
                (
                    SettingWord::VaryRatePpm,
                    body.rate_ppm.map_or(0, OneTo::get),
                ),
                (
                    SettingWord::VaryResourcesPpm,
                    body.resources_ppm.map_or(0, OneTo::get),
                ),
                (SettingWord::VaryAt, at),
                (SettingWord::VaryBeats, body.beats.get()),
            ]),
        }
    }
}

impl From<Bounds> for VariationBody {
    fn from(bounds: Bounds) -> Self {
        Self {
            timing_ms: bounds.timing_ms.and_then(|most| OneTo::new(most.into())),
            rate_ppm: bounds.rate_ppm.and_then(|most| OneTo::new(most.into())),
            resources_ppm: bounds
                .resources_ppm
                .and_then(|most| OneTo::new(most.into())),
            at: match bounds.at {
                Stress::Beat => StressWord::Beat,
                Stress::Point => StressWord::Point,
                Stress::Major => StressWord::Major,
            },
            beats: OneTo::new(bounds.beats.into()).unwrap_or(one()),
        }
    }
}
