//! What is printed: answers on standard output as a table, JSON or one JSON object a line; everything
//! else on standard error.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use crate::failure::{Failure, Report};

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON value.
    Json,
    /// One JSON object a line; lists item by item.
    Ndjson,
}

/// How a list is shown as a table: where it stands in the answer, and its columns, each a title and
/// the way to the value (`until.time`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    /// The field that holds the list.
    pub(crate) list: &'static str,
    /// Titles and ways.
    pub(crate) columns: &'static [(&'static str, &'static str)],
}

/// Prints one answer.
pub(crate) fn answer<T: Serialize>(
    format: Format,
    body: &T,
    table: Option<Table>,
) -> Result<(), Failure> {
    let value = serde_json::to_value(body).map_err(|error| {
        Failure::new(
            crate::failure::Exit::Failed,
            "unprintable",
            error.to_string(),
        )
    })?;
    let list = table
        .and_then(|table| value.get(table.list))
        .and_then(Value::as_array);
    let text = match (format, table, list) {
        (Format::Json, ..) => format!("{value:#}\n"),
        (Format::Ndjson, _, Some(items)) => lines(items),
        (Format::Ndjson, ..) => format!("{value}\n"),
        (Format::Table, Some(table), Some(items)) => rows(table, items),
        (Format::Table, ..) => pairs(&value),
    };
    raw(&text)
}

/// Prints a text as it is.
pub(crate) fn raw(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        // Whoever reads has seen enough: that is no failure of ours.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(|error| Failure::system("standard output", &error)),
    }
}

/// Says something to whoever watches; never part of the answer.
pub(crate) fn say(text: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints why a command ends badly.
pub(crate) fn failure(format: Format, failure: &Failure) {
    let report = failure.report();
    if format == Format::Table {
        return say(&words(report));
    }
    say(&serde_json::to_string(report).unwrap_or_else(|_| words(report)));
}

// A string takes everything, so what writing to one says is of no interest below.

fn words(report: &Report) -> String {
    let bold = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (on, off) = if bold {
        ("\x1b[1;31m", "\x1b[0m")
    } else {
        ("", "")
    };
    let mut text = format!("{on}{}{off}: {}", report.code, report.error);
    if let Some(held) = &report.held_by {
        let until = held.until.time;
        let _ = write!(text, "\n  held by {} until {until:.3}", held.holder);
    }
    // Who holds it, and until when, says that already.
    if let (Some(wait_ms), None) = (report.retry_after_ms, &report.held_by) {
        let _ = write!(text, "\n  again in {wait_ms} ms");
    }
    if !report.hint.is_empty() {
        let _ = write!(text, "\n  hint: {}", report.hint);
    }
    for command in &report.next {
        let _ = write!(text, "\n  next: {command}");
    }
    text
}

fn lines(items: &[Value]) -> String {
    let mut text = String::new();
    for item in items {
        let _ = writeln!(text, "{item}");
    }
    text
}

fn rows(table: Table, items: &[Value]) -> String {
    let titles: Vec<String> = table
        .columns
        .iter()
        .map(|(title, _)| (*title).to_owned())
        .collect();
    let mut lines = vec![titles];
    for item in items {
        lines.push(
            table
                .columns
                .iter()
                .map(|(_, way)| cell(at(item, way)))
                .collect(),
        );
    }
    let mut widths = vec![0; table.columns.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(row, "{cell:<width$}  ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

fn pairs(value: &Value) -> String {
    let Some(fields) = value.as_object() else {
        return format!("{}\n", cell(value));
    };
    let shown = fields.iter().filter(|(_, value)| !value.is_null());
    let width = shown.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in shown {
        let _ = writeln!(text, "{name:<width$}  {}", cell(value));
    }
    text
}

fn at<'a>(value: &'a Value, way: &str) -> &'a Value {
    way.split('.')
        .fold(value, |value, step| value.get(step).unwrap_or(&Value::Null))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => short_time(text).unwrap_or_else(|| in_a_line(text)),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(cell).collect();
            items.join(",")
        }
        // A moment is its time, to people.
        Value::Object(fields) => {
            if let Some(time) = fields.get("time") {
                return cell(time);
            }
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name}={}", cell(value)));
            fields.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// A text that cannot look like another line, nor move where the next one is written.
pub(crate) fn in_a_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

/// A time to the millisecond: people compare no nanoseconds.
fn short_time(text: &str) -> Option<String> {
    let (seconds, fraction) = text.strip_suffix('Z')?.split_once('.')?;
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let time = seconds.len() == 19 && seconds.as_bytes()[10] == b'T' && digits;
    time.then(|| format!("{seconds}.{fraction:0<3.3}Z"))
}
