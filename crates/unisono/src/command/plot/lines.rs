//! What went on over time: each value in a drawing of its own, one below the other, along one axis.

use std::fmt::Write as _;

use serde_json::Value;

use super::escaped;

/// Widths and heights, in the drawing's own units.
const LEFT_WIDE: f64 = 60.0;
const CHART_WIDE: f64 = 860.0;
const CHART_HIGH: f64 = 110.0;
const GAP_HIGH: f64 = 34.0;
/// What is drawn at most.
const LINES_MAX: usize = 16;
/// Columns of a drawing: of more points the least and the most in each are drawn.
const COLUMNS: usize = 430;

/// One value over time.
pub(super) struct Line {
    name: String,
    across: String,
    points: Vec<(f64, f64)>,
}

/// The lines of a run that have these words in their names.
pub(super) fn read(lines: &Value, only: &str) -> Vec<Line> {
    let lines = lines.as_array().map_or(&[][..], Vec::as_slice);
    let named = lines.iter().filter_map(|line| {
        let points = line["points"].as_array()?.iter();
        let points = points.filter_map(|point| Some((point[0].as_f64()?, point[1].as_f64()?)));
        let points: Vec<_> = points
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect();
        Some(Line {
            name: line["name"].as_str()?.to_owned(),
            across: line["across"].as_str().unwrap_or_default().to_owned(),
            points,
        })
    });
    let drawn = named.filter(|line| line.name.contains(only) && line.points.len() > 1);
    drawn.take(LINES_MAX).collect()
}

// A string takes everything, so what writing to one says is of no interest below.

/// All of them.
pub(super) fn svg(lines: &[Line]) -> String {
    let all = || lines.iter().flat_map(|line| &line.points);
    let from = all().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let to = all().map(|(x, _)| *x).fold(f64::NEG_INFINITY, f64::max);
    let span = (to - from).max(1e-9);
    let wide = LEFT_WIDE + CHART_WIDE + 20.0;
    let tall = (CHART_HIGH + GAP_HIGH) * lines.len() as f64 + 30.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {tall}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{wide}\" height=\"{tall}\" fill=\"white\"/>\n"
    );
    for (index, line) in lines.iter().enumerate() {
        let top = GAP_HIGH + (CHART_HIGH + GAP_HIGH) * index as f64;
        draw(line, top, |x| (x - from) / span, &mut text);
    }
    if let Some(line) = lines.first() {
        let _ = writeln!(
            text,
            "<text x=\"{LEFT_WIDE}\" y=\"{:.1}\">{}: {from:.0} to {to:.0}</text>",
            tall - 10.0,
            escaped(&line.across)
        );
    }
    text.push_str("</svg>\n");
    text
}

fn draw(line: &Line, top: f64, share: impl Fn(f64) -> f64, text: &mut String) {
    let most = line
        .points
        .iter()
        .map(|(_, y)| *y)
        .fold(0.0, f64::max)
        .max(1e-9);
    let bottom = top + CHART_HIGH;
    let _ = writeln!(
        text,
        "<text x=\"{LEFT_WIDE}\" y=\"{:.1}\">{}</text>\n\
         <rect x=\"{LEFT_WIDE}\" y=\"{top:.1}\" width=\"{CHART_WIDE}\" height=\"{CHART_HIGH}\" fill=\"none\" stroke=\"#ccc\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
         <text x=\"{:.1}\" y=\"{bottom:.1}\" text-anchor=\"end\">0</text>",
        top - 5.0,
        escaped(&line.name),
        LEFT_WIDE - 6.0,
        top + 10.0,
        short(most),
        LEFT_WIDE - 6.0,
    );
    let mut columns: Vec<Option<(f64, f64)>> = vec![None; COLUMNS];
    for (x, y) in &line.points {
        let at = (share(*x) * (COLUMNS - 1) as f64).round().max(0.0) as usize;
        let column = &mut columns[at.min(COLUMNS - 1)];
        let (least, greatest) = column.unwrap_or((*y, *y));
        *column = Some((least.min(*y), greatest.max(*y)));
    }
    let high = |y: f64| bottom - CHART_HIGH * (y / most).clamp(0.0, 1.0);
    let mut path = String::new();
    for (at, column) in columns.iter().enumerate() {
        let Some((least, greatest)) = column else {
            continue;
        };
        let x = LEFT_WIDE + CHART_WIDE * at as f64 / (COLUMNS - 1) as f64;
        for y in [*least, *greatest] {
            let _ = write!(path, "{x:.1},{:.1} ", high(y));
        }
    }
    let _ = writeln!(
        text,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#2b6ca3\" stroke-width=\"1\"/>",
        path.trim_end()
    );
}

fn short(value: f64) -> String {
    if value >= 10.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_drawn_and_odd_points_do_no_harm() {
        let run = json!([
            {"name": "coherence", "across": "hours", "points": [[0, 1.0], [5, 0.5], [9, 0.9]]},
            {"name": "a<b", "across": "hours", "points": [[0, 0], [1, 0], ["x", 1], [2]]},
            {"name": "one point", "across": "hours", "points": [[0, 0]]},
            {"name": 7},
        ]);
        let lines = read(&run, "");
        assert_eq!(lines.len(), 2);
        let text = svg(&lines);
        assert!(text.starts_with("<svg") && text.ends_with("</svg>\n"));
        assert!(
            text.contains("a&lt;b") && text.contains("hours: 0 to 9"),
            "{text}"
        );
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(read(&json!(null), "").is_empty());
        assert_eq!(read(&run, "coher").len(), 1);
    }
}
