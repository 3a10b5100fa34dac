//! What is edited together: notes, the orchestra's configuration; and the settings that folds read.

use std::collections::BTreeMap;
use std::io::Read;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use unisono_api::client::Reply;
use unisono_api::dto::{ActionBody, Done, NoteSpliceBody, SettingWord, SettingsBody};
use unisono_model::Setting;

use super::session::{Session, encoded};
use super::word::word;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table};

/// `note`.
#[derive(Clone, Debug, Args)]
pub(crate) struct NoteArgs {
    #[command(subcommand)]
    command: NoteCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum NoteCommand {
    /// A note's text
    #[command(after_help = "Example:\n  unisono note show plan")]
    Show {
        /// Its name
        name: String,
    },
    /// Makes a note's text this; only what differs is changed
    #[command(after_help = "Example:\n  unisono note set plan --as ada < plan.md")]
    Set {
        /// Its name
        name: String,
        /// The text; read from standard input if left out
        text: Option<String>,
    },
    /// Replaces a stretch of a note
    #[command(after_help = "Example:\n  unisono note edit plan --as ada --position 0 \"Plan: \"")]
    Edit {
        /// Its name
        name: String,
        /// From which character on
        #[arg(long)]
        position: usize,
        /// How many characters go
        #[arg(long, default_value_t = 0)]
        delete: usize,
        /// What comes
        #[arg(default_value = "")]
        insert: String,
    },
    /// The notes' names
    #[command(after_help = "Example:\n  unisono note list")]
    List,
}

/// `conf`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfArgs {
    #[command(subcommand)]
    command: ConfCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum ConfCommand {
    /// All values, or one
    #[command(after_help = "Example:\n  unisono conf get model.name")]
    Get {
        /// The key, with dots
        key: Option<String>,
    },
    /// Sets a value
    #[command(after_help = "Example:\n  unisono conf set model.name small --as ada")]
    Set {
        /// The key, with dots
        key: String,
        /// The value
        value: String,
    },
    /// Takes a value away
    #[command(after_help = "Example:\n  unisono conf unset model.name --as ada")]
    Unset {
        /// The key, with dots
        key: String,
    },
}

/// `settings`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SettingsArgs {
    #[command(subcommand)]
    command: SettingsCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum SettingsCommand {
    /// The settings that count
    #[command(after_help = "Example:\n  unisono settings show")]
    Show,
    /// Sets some
    #[command(after_help = "Example:\n  unisono settings set claim_lease_ms=600000 --as ada")]
    Set {
        /// NAME=NUMBER; of what several write at once also NAME=ask, first, last or merge; who may read is
        /// reading=open or reading=sessions. Milliseconds where the name ends in _ms: presence_stale_ms,
        /// intent_lifetime_ms, need_lifetime_ms (1 to 34560000000), claim_lease_ms (100 to 86400000),
        /// remove_silent_after_ms (0: never), need_patience_ms, context_stale_ms, vary_timing_ms (0 to 60000).
        /// Counted: emit_per_minute_max, design_ends, execution_ends, iteration_last, run, vary_beats (1 to
        /// 64). Shares: collision_permille (thousandths), vary_rate_ppm (millionths, 0 to 500000). Choices:
        /// advance_needs_resolved and vary_at (0, 1, 2). `settings show` has what counts now
        #[arg(required = true, value_parser = setting)]
        settings: Vec<(SettingWord, u64)>,
    },
}

/// Does what is to be done about a note.
pub(crate) async fn run(args: NoteArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        NoteCommand::Show { name } => {
            let reply: Reply<Value> = session
                .read(&format!("notes/{}", encoded(&name)), &[])
                .await?;
            match reply.body.get("text").and_then(Value::as_str) {
                // A note is a text, and to people it is shown as one.
                Some(text) if session.global.output == Format::Table => {
                    output::raw(&format!("{}\n", text.trim_end_matches('\n')))
                }
                _ => session.show(&reply, None),
            }
        }
        NoteCommand::Set { name, text } => {
            let text = match text {
                Some(text) => text,
                None => standard_input()?,
            };
            session.is_now()?;
            let agent = session.agent()?;
            let done = session
                .client
                .put_note(&session.orchestra, agent, &name, &text)
                .await?;
            kept(session, &format!("note {name}"), &done)
        }
        NoteCommand::Edit {
            name,
            position,
            delete,
            insert,
        } => {
            let splice = NoteSpliceBody {
                position,
                delete,
                insert,
            };
            session.is_now()?;
            let agent = session.agent()?;
            let done = session
                .client
                .splice_note(&session.orchestra, agent, &name, &splice)
                .await?;
            kept(session, &format!("note {name}"), &done)
        }
        NoteCommand::List => {
            let reply: Reply<Value> = session.read("notes", &[]).await?;
            let names = reply.body.get("notes").and_then(Value::as_array).cloned();
            let items = names
                .unwrap_or_default()
                .into_iter()
                .map(|name| json!({ "note": name }));
            let body = json!({ "notes": items.collect::<Vec<_>>() });
            let table = Table {
                list: "notes",
                columns: &[("NOTE", "note")],
            };
            output::answer(session.global.output, &body, Some(table))
        }
    }
}

/// Shows that an edit is on disk: to people in a line, to programs in full.
fn kept(session: &Session, what: &str, done: &Reply<Done>) -> Result<(), Failure> {
    if session.global.output != Format::Table {
        return session.show(done, None);
    }
    output::raw(&format!("{what} is written, and on disk\n"))
}

/// Does what is to be done about the orchestra's configuration.
pub(crate) async fn conf(args: ConfArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        ConfCommand::Get { key } => {
            let columns = &[
                ("KEY", "key"),
                ("VALUE", "value"),
                ("WRITTEN AT ONCE", "concurrent"),
            ];
            let table = Table {
                list: "config",
                columns,
            };
            let Some(key) = key else {
                return session.show_read("config", &[], Some(table)).await;
            };
            let mut reply: Reply<Value> = session.read("config", &[]).await?;
            let items = reply.body.get_mut("config").and_then(Value::as_array_mut);
            let found = items.and_then(|items| {
                items
                    .iter()
                    .position(|item| item["key"] == key.as_str())
                    .map(|at| items.remove(at))
            });
            let Some(found) = found else {
                let words = format!("the orchestra's configuration has no {key:?}");
                return Err(
                    Failure::new(Exit::NotFound, "config_unknown", words).next("unisono conf get")
                );
            };
            output::answer(session.global.output, &found, None)
        }
        ConfCommand::Set { key, value } => {
            session.is_now()?;
            let agent = session.agent()?;
            let done = session
                .client
                .set_config(&session.orchestra, agent, &key, &value)
                .await?;
            kept(session, &key, &done)
        }
        ConfCommand::Unset { key } => {
            session.is_now()?;
            let agent = session.agent()?;
            let done = session
                .client
                .remove_config(&session.orchestra, agent, &key)
                .await?;
            kept(session, &key, &done)
        }
    }
}

/// Shows or sets the settings.
pub(crate) async fn settings(args: SettingsArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        SettingsCommand::Show => session.show_read("settings", &[], None).await,
        SettingsCommand::Set { settings } => {
            let settings: BTreeMap<SettingWord, u64> = settings.into_iter().collect();
            session
                .show_act(ActionBody::Settings(SettingsBody { settings }))
                .await
        }
    }
}

fn setting(text: &str) -> Result<(SettingWord, u64), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=NUMBER is wanted")?;
    let name: SettingWord = word(name)?;
    let strategies = ["ask", "first", "last", "merge"];
    let mut wanted = "a number";
    if Setting::from(name).is_conflict() {
        let named = strategies.iter().position(|one| *one == value);
        if let Some(number) = named {
            return Ok((name, number as u64));
        }
        wanted = "ask, first, last or merge";
    }
    if name == SettingWord::Reading {
        let named = ["open", "sessions"].iter().position(|one| *one == value);
        if let Some(number) = named {
            return Ok((name, number as u64));
        }
        wanted = "open or sessions";
    }
    let number = value.parse();
    let number = number.map_err(|_| format!("{value:?} is not {wanted}"))?;
    Ok((name, number))
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().take(1 << 20).read_to_string(&mut text);
    read.map_err(|error| Failure::system("standard input", &error))?;
    Ok(text)
}
