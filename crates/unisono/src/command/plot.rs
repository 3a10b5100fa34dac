//! Draws a recorded run of `unisono bench` as SVG: what went on over time, line by line; or clock
//! errors and asynchrony, mean and 99th percentile, on one logarithmic scale.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::output;

mod lines;

/// `plot`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlotArgs {
    /// What `unisono bench … -o json` printed
    run: PathBuf,
    /// Only figures or lines that have this in their name
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
}

/// Widths and heights of the drawing, in its own units.
const LABEL_WIDE: f64 = 330.0;
const CHART_WIDE: f64 = 560.0;
const LINE_HIGH: f64 = 18.0;
const TOP_HIGH: f64 = 44.0;
/// What is drawn at most: a run has some hundred.
const BARS_MAX: usize = 400;

/// Draws it on standard output.
pub(crate) fn run(args: &PlotArgs) -> Result<(), Failure> {
    let path = args.run.display().to_string();
    let text =
        std::fs::read_to_string(&args.run).map_err(|error| Failure::system(&path, &error))?;
    let wrong = |words: String| {
        Failure::new(Exit::Usage, "run_unreadable", format!("{path}: {words}"))
            .hint("unisono bench ensemble -o json > run.json")
    };
    let run: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let only = args.only.as_deref().unwrap_or_default();
    let lines = lines::read(&run["lines"], only);
    if !lines.is_empty() {
        return output::raw(&lines::svg(&lines));
    }
    let figures = run["figures"].as_array();
    let figures = figures.ok_or_else(|| wrong("no figures stand in it".to_owned()))?;
    let bars = bars(figures, only);
    if bars.is_empty() {
        return Err(wrong(
            "no line, and no mean or 99th percentile in ms or us stands in it".to_owned(),
        ));
    }
    output::raw(&svg(&bars))
}

/// Mean and 99th percentile (ms) by what they are of.
type Bars = BTreeMap<String, (Option<f64>, Option<f64>)>;

fn bars(figures: &[Value], only: &str) -> Bars {
    let mut bars = Bars::new();
    for figure in figures {
        let (Some(name), Some(value)) = (figure["name"].as_str(), figure["measured"].as_f64())
        else {
            continue;
        };
        if !name.contains(only) || !value.is_finite() || bars.len() >= BARS_MAX {
            continue;
        }
        for (mean, p99, in_ms) in [("_mean_ms", "_p99_ms", 1.0), ("_mean_us", "_p99_us", 1e-3)] {
            if let Some(of) = name.strip_suffix(mean) {
                bars.entry(of.to_owned()).or_default().0 = Some(value * in_ms);
            } else if let Some(of) = name.strip_suffix(p99) {
                bars.entry(of.to_owned()).or_default().1 = Some(value * in_ms);
            }
        }
    }
    bars
}

// A string takes everything, so what writing to one says is of no interest below.

fn svg(bars: &Bars) -> String {
    let values = bars
        .values()
        .flat_map(|(mean, p99)| [*mean, *p99])
        .flatten();
    let positive = values.filter(|value| *value > 0.0);
    let (least, most) = positive.fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
        (least.min(value), most.max(value))
    });
    let low = least.min(most).max(1e-9).log10().floor();
    let high = most.max(1e-8).log10().ceil().max(low + 1.0);
    let across = |ms: f64| {
        let share = (ms.max(1e-9).log10() - low) / (high - low);
        LABEL_WIDE + CHART_WIDE * share.clamp(0.0, 1.0)
    };
    let (wide, tall) = (
        LABEL_WIDE + CHART_WIDE + 90.0,
        TOP_HIGH + LINE_HIGH * bars.len() as f64 + 10.0,
    );
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {tall}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{wide}\" height=\"{tall}\" fill=\"white\"/>\n\
         <text x=\"8\" y=\"16\">error, ms: mean (dark) and 99th percentile (light)</text>\n"
    );
    for power in low as i32..=high as i32 {
        let x = across(10_f64.powi(power));
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"{TOP_HIGH}\" x2=\"{x:.1}\" y2=\"{tall}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"36\" text-anchor=\"middle\">{}</text>",
            10_f64.powi(power)
        );
    }
    for (index, (name, (mean, p99))) in bars.iter().enumerate() {
        let y = TOP_HIGH + LINE_HIGH * index as f64;
        let _ = writeln!(
            text,
            "<text x=\"8\" y=\"{:.1}\">{}</text>",
            y + 12.0,
            escaped(name)
        );
        for (value, colour) in [(p99, "#b9d3ea"), (mean, "#2b6ca3")] {
            let Some(value) = value else { continue };
            let long = across(*value) - LABEL_WIDE;
            let _ = writeln!(
                text,
                "<rect x=\"{LABEL_WIDE}\" y=\"{:.1}\" width=\"{long:.1}\" height=\"11\" fill=\"{colour}\"/>",
                y + 3.0
            );
        }
        let end = across(p99.or(*mean).unwrap_or_default()) + 4.0;
        let shown = mean.map_or(String::new(), |mean| format!("{mean:.3}"));
        let _ = writeln!(
            text,
            "<text x=\"{end:.1}\" y=\"{:.1}\">{shown}</text>",
            y + 12.0
        );
    }
    text.push_str("</svg>\n");
    text
}

fn escaped(name: &str) -> String {
    name.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('_', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_is_drawn_and_names_do_no_harm() {
        let figures = json!([
            {"name": "clock_WAN_mean_ms", "measured": 0.036},
            {"name": "clock_WAN_p99_ms", "measured": 0.18},
            {"name": "a<b&c_mean_ms", "measured": 0.0},
            {"name": "ratio", "measured": 1.0},
            {"name": "x_mean_ms", "measured": "NaN"},
        ]);
        let bars = bars(figures.as_array().map_or(&[], Vec::as_slice), "");
        assert_eq!(bars.len(), 2);
        let text = svg(&bars);
        assert!(text.starts_with("<svg") && text.ends_with("</svg>\n"));
        assert!(
            text.contains("a&lt;b&amp;c") && text.contains("clock WAN"),
            "{text}"
        );
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
