//! What was measured, beside what it should be.

use std::fmt::Write as _;

use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Format};

/// One figure; the name ends with its unit.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// What was measured, with its unit.
    pub(crate) name: String,
    /// What came out.
    pub(crate) measured: f64,
    /// What it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<f64>,
    /// Whether it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ok: Option<bool>,
}

/// All figures of one run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// In the order in which they were measured.
    pub(crate) figures: Vec<Figure>,
    /// What went on over time, for `unisono plot`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) lines: Vec<Line>,
}

/// One value as something goes on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// What it is.
    pub(crate) name: String,
    /// What it goes along, with its unit.
    pub(crate) across: String,
    /// Where, and how much.
    pub(crate) points: Vec<[f64; 2]>,
}

impl Figures {
    /// A figure that nothing is held against.
    pub(crate) fn tell(&mut self, figure: impl Into<String>, measured: f64) {
        self.push(figure.into(), measured, None, true);
    }

    /// A figure that should not be higher.
    pub(crate) fn at_most(&mut self, figure: impl Into<String>, measured: f64, budget: f64) {
        self.push(figure.into(), measured, Some(budget), measured <= budget);
    }

    /// The same where there is an aim; else a figure that nothing is held against.
    pub(crate) fn within(&mut self, figure: String, measured: f64, budget: Option<f64>) {
        match budget {
            Some(budget) => self.at_most(figure, measured, budget),
            None => self.tell(figure, measured),
        }
    }

    /// A figure that should not be lower.
    pub(crate) fn at_least(&mut self, figure: impl Into<String>, measured: f64, budget: f64) {
        self.push(figure.into(), measured, Some(budget), measured >= budget);
    }

    fn push(&mut self, name: String, measured: f64, budget: Option<f64>, ok: bool) {
        output::say(&format!("  {name}: {}", shown(measured)));
        let ok = budget.map(|_| ok);
        self.figures.push(Figure {
            name,
            measured,
            budget,
            ok,
        });
    }

    /// Prints them all.
    pub(crate) fn print(&self, format: Format) -> Result<(), Failure> {
        if format != Format::Table {
            return output::answer(format, self, None);
        }
        let name = |figure: &Figure| figure.name.len();
        let width = self.figures.iter().map(name).max().unwrap_or(0);
        let mut text = format!(
            "{:<width$}  {:>12}  {:>10}\n",
            "figure", "measured", "budget"
        );
        for figure in &self.figures {
            let measured = shown(figure.measured);
            let budget = figure.budget.map(shown).unwrap_or_default();
            let ok = match figure.ok {
                Some(true) => "  ok",
                Some(false) => "  MISSED",
                None => "",
            };
            let name = &figure.name;
            // A string takes everything.
            let _ = writeln!(text, "{name:<width$}  {measured:>12}  {budget:>10}{ok}");
        }
        output::raw(&text)
    }
}

/// Three digits that say something.
fn shown(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        v if v.abs() >= 100.0 => format!("{v:.0}"),
        v if v.abs() >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.3}"),
    }
}

/// The value below which so many of a thousand lie; sorts.
pub(crate) fn permille(values: &mut [u64], of_thousand: usize) -> f64 {
    values.sort_unstable();
    let index = (values.len() * of_thousand / 1_000).min(values.len().saturating_sub(1));
    values.get(index).copied().unwrap_or(0) as f64
}
