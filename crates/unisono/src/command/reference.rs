//! The reference pages: what the code knows about its commands, routes, settings and refusals, as
//! Markdown. Four pages of `docs/reference/` are what this prints, and a test compares them; the
//! other two, metrics and limits, that test writes (`tests/it/reference.rs`).

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory, ValueEnum};
use serde_json::Value;
use unisono_api::client::exit_of;
use unisono_api::server;
use unisono_model::Code;

use crate::cli::Cli;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output;

/// A page of the reference.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Page {
    /// Every command with its arguments
    Commands,
    /// Every HTTP route
    Http,
    /// Every setting
    Configuration,
    /// Every rule by which something is refused, and every exit code
    Codes,
}

/// Prints a page.
pub(crate) fn run(page: Page) -> Result<(), Failure> {
    let text = match page {
        Page::Commands => commands(),
        Page::Http => http(),
        Page::Configuration => configuration(),
        Page::Codes => codes(),
    };
    output::raw(&text)
}

macro_rules! line {
    // A string takes everything.
    ($out:expr, $($arg:tt)*) => { let _ = writeln!($out, $($arg)*); };
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn commands() -> String {
    let mut root = Cli::command();
    root.build();
    let mut out = String::from("# Commands\n\n");
    line!(out, "{}\n", told(&root));
    line!(out, "## Everywhere\n\nEvery command takes these.");
    arguments(&mut out, root.get_arguments(), true);
    for command in root.get_subcommands() {
        describe(&mut out, command, "unisono", 2);
    }
    out
}

fn told(command: &Command) -> String {
    let text = command.get_long_about().or_else(|| command.get_about());
    text.map(ToString::to_string).unwrap_or_default()
}

fn describe(out: &mut String, command: &Command, path: &str, level: usize) {
    if command.is_hide_set() {
        return;
    }
    let path = format!("{path} {}", command.get_name());
    line!(out, "\n{} {path}\n\n{}\n", "#".repeat(level), told(command));
    if !command.has_subcommands() {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage:").trim();
        line!(out, "```\n{usage}\n```");
    }
    arguments(out, command.get_arguments(), false);
    if let Some(example) = command.get_after_help() {
        let example = example.to_string();
        let lines = example.trim_start_matches("Example:").lines();
        let lines: Vec<&str> = lines.map(str::trim).filter(|one| !one.is_empty()).collect();
        line!(out, "\nFor example:\n\n```\n{}\n```", lines.join("\n"));
    }
    for inner in command.get_subcommands() {
        describe(out, inner, &path, level + 1);
    }
}

/// A table of arguments: those that stand everywhere, or the command's own.
fn arguments<'a>(out: &mut String, all: impl Iterator<Item = &'a Arg>, everywhere: bool) {
    let own = |arg: &&Arg| {
        let id = arg.get_id().as_str();
        !arg.is_hide_set() && !matches!(id, "help" | "version") && arg.is_global_set() == everywhere
    };
    let rows: Vec<&Arg> = all.filter(own).collect();
    if rows.is_empty() {
        return;
    }
    line!(out, "\n| argument | default | what it is |\n|---|---|---|");
    for arg in rows {
        let defaults = arg.get_default_values().iter();
        let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
        let help = arg.get_long_help().or_else(|| arg.get_help());
        let mut help = help.map(ToString::to_string).unwrap_or_default();
        let values = arg.get_possible_values();
        let values = values.iter().filter(|value| !value.is_hide_set());
        let names: Vec<&str> = values.map(clap::builder::PossibleValue::get_name).collect();
        let told = names.iter().all(|name| help.contains(name));
        if arg.get_action().takes_values() && !told {
            let _ = write!(help, " ({})", names.join(", "));
        }
        let name = cell(&arg.to_string());
        line!(
            out,
            "| `{name}` | {} | {} |",
            defaults.join(", "),
            cell(&help)
        );
    }
}

fn http() -> String {
    let mut out = String::from(
        "# HTTP\n\n\
         The same, for programs, is what a node serves under `/openapi.json`.\n\
         Every answer from the views of an orchestra bears `Unisono-Node`, `Unisono-As-Of`, `Unisono-Cursor` and `Unisono-Final`.\n\
         Refusals are `application/problem+json`: see `docs/reference/codes.md`.\n",
    );
    let api: Value = serde_json::from_str(&server::openapi_json()).unwrap_or_default();
    let paths = api["paths"].as_object().into_iter().flatten();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            line!(out, "\n## {} {path}\n", method.to_uppercase());
            let words = |key: &str| operation[key].as_str().unwrap_or("").trim().to_owned();
            line!(out, "{}", words("summary").replace('\n', " "));
            if !words("description").is_empty() {
                line!(out, "\n{}", words("description"));
            }
            parameters(&mut out, operation);
            bodies(&mut out, operation);
        }
    }
    out
}

fn parameters(out: &mut String, operation: &Value) {
    let all = operation["parameters"].as_array();
    let Some(all) = all.filter(|all| !all.is_empty()) else {
        return;
    };
    line!(out, "\n| parameter | where | what it is |\n|---|---|---|");
    for one in all {
        let text = |key: &str| one[key].as_str().unwrap_or("");
        let must = if one["required"] == true { "" } else { "?" };
        let about = cell(text("description"));
        line!(
            out,
            "| `{}`{must} | {} | {about} |",
            text("name"),
            text("in")
        );
    }
}

fn bodies(out: &mut String, operation: &Value) {
    let shape = |of: &Value| {
        let (media, content) = of["content"].as_object()?.iter().next()?;
        let name = content["schema"]["$ref"].as_str();
        let name = name.and_then(|name| name.rsplit('/').next());
        // No backticks: these are the names of the description, not of types.
        Some(name.map_or_else(|| media.clone(), |name| format!("{name} ({media})")))
    };
    if let Some(takes) = shape(&operation["requestBody"]) {
        line!(out, "\nTakes {takes}.");
    }
    let answers = operation["responses"].as_object().into_iter().flatten();
    for (status, answer) in answers.filter(|(status, _)| *status != "default") {
        let body = shape(answer).unwrap_or_else(|| "nothing".to_owned());
        line!(out, "\nAnswers {status}: {body}.");
    }
}

fn configuration() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         Files first, then the environment, then flags: what stands later counts more.\n\
         Files are `/etc/unisono/unisono.toml`, `~/.config/unisono/unisono.toml` and `./unisono.toml`, or the one that `--config` names.\n\
         `unisono config show --origin` says where each value came from.\n\n\
         | setting | environment | default | what it is |\n|---|---|---|---|\n",
    );
    for (name, variable, default, about) in Config::keys() {
        line!(
            out,
            "| `{name}` | `{variable}` | {default} | {} |",
            cell(about)
        );
    }
    out
}

fn codes() -> String {
    let mut out = String::from(
        "# Refusals and exit codes\n\n\
         ## Exit codes of commands\n\n| code | what it says |\n|---|---|\n",
    );
    line!(out, "| 0 | it was done, or holds |");
    for exit in Exit::ALL {
        line!(out, "| {} | {} |", exit as u8, exit.about());
    }
    line!(
        out,
        "\n## Rules of the node\n\nA refusal names its rule by this stable word.\n\n\
         | rule | HTTP | exit | what it is |\n|---|---|---|---|"
    );
    for code in Code::ALL {
        let status = server::status(code.category()).as_u16();
        let about = cell(code.about());
        line!(
            out,
            "| `{}` | {status} | {} | {about} |",
            code.as_str(),
            exit_of(status)
        );
    }
    out
}
