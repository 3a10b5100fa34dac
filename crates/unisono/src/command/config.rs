//! The configuration of this program: what counts and where it was said, and what is wrong.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table};

/// `config`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum ConfigCommand {
    /// What counts
    #[command(after_help = "Example:\n  unisono config show --origin")]
    Show {
        /// Also where each value was said
        #[arg(long)]
        origin: bool,
    },
    /// What is wrong, each with its place
    #[command(after_help = "Example:\n  unisono config check")]
    Check,
}

/// Shows or checks the configuration.
pub(crate) fn run(args: &ConfigArgs, config: &Config, format: Format) -> Result<(), Failure> {
    match args.command {
        ConfigCommand::Show { origin } => show(config, origin, format),
        ConfigCommand::Check => match config.problems() {
            [] => output::answer(format, &json!({ "ok": true }), None),
            problems => {
                for problem in problems {
                    output::say(problem);
                }
                let words = format!(
                    "{} settings are wrong: {}",
                    problems.len(),
                    problems.join("; ")
                );
                Err(Failure::new(Exit::Usage, "config", words))
            }
        },
    }
}

fn show(config: &Config, origin: bool, format: Format) -> Result<(), Failure> {
    let each = config.each().map(|(name, about, setting)| {
        let mut line = Map::new();
        line.insert("setting".to_owned(), name.into());
        line.insert("value".to_owned(), setting.values.join(",").into());
        if origin {
            line.insert("origin".to_owned(), setting.origin.clone().into());
        }
        line.insert("about".to_owned(), about.into());
        Value::Object(line)
    });
    let body = json!({ "settings": each.collect::<Vec<_>>() });
    let with = &[
        ("SETTING", "setting"),
        ("VALUE", "value"),
        ("ORIGIN", "origin"),
        ("ABOUT", "about"),
    ];
    let without = &[
        ("SETTING", "setting"),
        ("VALUE", "value"),
        ("ABOUT", "about"),
    ];
    let columns: &'static [(&str, &str)] = if origin { with } else { without };
    output::answer(
        format,
        &body,
        Some(Table {
            list: "settings",
            columns,
        }),
    )
}
