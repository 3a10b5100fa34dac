//! Configuration: files, then the environment, then flags; what stands later counts more, and each
//! value knows where it came from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::failure::{Exit, Failure};

/// Where agents are served when nobody says.
pub(crate) const HTTP: &str = "127.0.0.1:7420";
/// Where peers are served when nobody says.
pub(crate) const PEER: &str = "127.0.0.1:7421";
/// The data directory when nobody says.
pub(crate) const DATA: &str = "./.unisono";
/// The orchestra when nobody says.
pub(crate) const ORCHESTRA: &str = "main";

/// What a setting holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    Text,
    Address,
    Addresses,
    Urls,
    Region,
    Webhook,
    Milliseconds,
}

/// One setting.
struct Key {
    name: &'static str,
    shape: Shape,
    default: &'static str,
    about: &'static str,
}

const KEYS: &[Key] = &[
    Key {
        name: "name",
        shape: Shape::Text,
        default: "",
        about: "the node's name that people read",
    },
    Key {
        name: "region",
        shape: Shape::Region,
        default: "local",
        about: "the group of near nodes",
    },
    Key {
        name: "data",
        shape: Shape::Text,
        default: DATA,
        about: "where all state lies",
    },
    Key {
        name: "http",
        shape: Shape::Address,
        default: HTTP,
        about: "where agents are served",
    },
    Key {
        name: "peer",
        shape: Shape::Address,
        default: PEER,
        about: "where peers knock (UDP)",
    },
    Key {
        name: "advertise",
        shape: Shape::Addresses,
        default: "",
        about: "what peers are told instead of `peer`, host:port",
    },
    Key {
        name: "http_token_file",
        shape: Shape::Text,
        default: "",
        about: "a file with the token that every request must bear",
    },
    Key {
        name: "node",
        shape: Shape::Urls,
        default: HTTP,
        about: "the nodes that commands ask",
    },
    Key {
        name: "orchestra",
        shape: Shape::Text,
        default: ORCHESTRA,
        about: "the orchestra that commands speak of",
    },
    Key {
        name: "as",
        shape: Shape::Text,
        default: "",
        about: "the agent that commands act as",
    },
    Key {
        name: "incident_webhook",
        shape: Shape::Webhook,
        default: "",
        about: "where incidents are posted that no executive acknowledges",
    },
    Key {
        name: "incident_webhook_after_ms",
        shape: Shape::Milliseconds,
        default: "30000",
        about: "how long an executive has for that (ms)",
    },
    Key {
        name: "log",
        shape: Shape::Text,
        default: "info",
        about: "what is logged",
    },
];

/// A value with its origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Setting {
    /// The values; one, unless the setting is a list.
    pub(crate) values: Vec<String>,
    /// Where it was said: `file:line`, an environment variable, a flag, or `default`.
    pub(crate) origin: String,
}

/// All settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    settings: BTreeMap<&'static str, Setting>,
    problems: Vec<String>,
}

/// What flags said: the setting's name and its values.
pub(crate) type Flags = Vec<(&'static str, Vec<String>)>;

impl Config {
    /// Reads everything. Problems are kept, so that all of them can be told at once.
    pub(crate) fn read(file: Option<&Path>, flags: Flags) -> Self {
        let mut config = Self::default();
        for key in KEYS {
            let values = if key.default.is_empty() {
                vec![]
            } else {
                vec![key.default.to_owned()]
            };
            config.settings.insert(
                key.name,
                Setting {
                    values,
                    origin: "default".to_owned(),
                },
            );
        }
        match file {
            Some(file) => config.take_file(file, true),
            None => places()
                .iter()
                .for_each(|file| config.take_file(file, false)),
        }
        for key in KEYS {
            let variable = variable(key);
            if let Some(value) = std::env::var(&variable)
                .ok()
                .filter(|value| !value.is_empty())
            {
                let values = match key.shape {
                    Shape::Urls | Shape::Addresses => {
                        value.split(',').map(|one| one.trim().to_owned()).collect()
                    }
                    Shape::Text
                    | Shape::Address
                    | Shape::Region
                    | Shape::Webhook
                    | Shape::Milliseconds => vec![value],
                };
                config.set(key, values, variable);
            }
        }
        for (name, values) in flags {
            if let Some(key) = KEYS.iter().find(|key| key.name == name) {
                config.set(key, values, format!("--{}", name.replace('_', "-")));
            }
        }
        config
    }

    /// The same, or all that is wrong with it.
    pub(crate) fn checked(self) -> Result<Self, Failure> {
        match self.problems.as_slice() {
            [] => Ok(self),
            problems => Err(Failure::new(Exit::Usage, "config", problems.join("; "))
                .hint("every place is named; `unisono config show --origin` shows what counts")
                .next("unisono config check")),
        }
    }

    /// What is wrong, each with its place.
    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Each setting with its name and what it is about.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, &Setting)> {
        KEYS.iter()
            .filter_map(|key| Some((key.name, key.about, self.settings.get(key.name)?)))
    }

    /// Each setting: its name, its variable in the environment, its default, and what it is about.
    pub(crate) fn keys() -> impl Iterator<Item = (&'static str, String, &'static str, &'static str)>
    {
        let keys = KEYS.iter();
        keys.map(|key| (key.name, variable(key), key.default, key.about))
    }

    /// Whether nobody has said anything of a setting.
    pub(crate) fn is_default(&self, name: &str) -> bool {
        let setting = self.settings.get(name);
        setting.is_none_or(|setting| setting.origin == "default")
    }

    /// The same, with another value of one setting.
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        let setting = Setting {
            values: vec![value],
            origin: "found".to_owned(),
        };
        self.settings.insert(name, setting);
        self
    }

    /// The value of a setting, where it has one.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.settings.get(name)?.values.first().map(String::as_str)
    }

    /// The values of a list.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.settings
            .get(name)
            .map(|setting| setting.values.clone())
            .unwrap_or_default()
    }

    /// The value of a setting that is an address.
    pub(crate) fn address(&self, name: &str) -> Result<SocketAddr, Failure> {
        let text = self.text(name).unwrap_or_default();
        text.parse()
            .map_err(|_| Failure::usage(format!("{name}: {text:?} is no address (ip:port)")))
    }

    /// Where all state lies.
    pub(crate) fn data(&self) -> PathBuf {
        PathBuf::from(self.text("data").unwrap_or(DATA))
    }

    fn set(&mut self, key: &Key, values: Vec<String>, origin: String) {
        for value in &values {
            if let Some(problem) = wrong(key.shape, value) {
                self.problems
                    .push(format!("{origin}: {}: {problem}", key.name));
            }
        }
        self.settings.insert(key.name, Setting { values, origin });
    }

    fn take_file(&mut self, path: &Path, needed: bool) {
        let shown = path.display();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if !needed && error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.problems.push(format!("{shown}: {error}")),
        };
        let place = |start: usize| format!("{shown}:{}", line_of(&text, start));
        let table = match DeTable::parse(&text) {
            Ok(table) => table,
            Err(error) => {
                let start = error.span().map_or(0, |span| span.start);
                let words = error.message().to_owned();
                return self.problems.push(format!("{}: {words}", place(start)));
            }
        };
        for (name, value) in table.get_ref() {
            let origin = place(name.span().start);
            let Some(key) = KEYS.iter().find(|key| key.name == name.get_ref().as_ref()) else {
                let known: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
                self.problems.push(format!(
                    "{origin}: unknown setting {:?}; there are {}",
                    name.get_ref(),
                    known.join(", ")
                ));
                continue;
            };
            if let Some(values) = values_of(key.shape, value.get_ref()) {
                self.set(key, values, origin);
            } else {
                let problem = format!("{origin}: {}: {}", key.name, wanted(key.shape));
                self.problems.push(problem);
            }
        }
    }
}

/// Where configuration files are looked for; later ones count more.
fn places() -> Vec<PathBuf> {
    let home = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
    let mut places = vec![PathBuf::from("/etc/unisono/unisono.toml")];
    places.extend(home.map(|home| home.join("unisono/unisono.toml")));
    places.push(PathBuf::from("unisono.toml"));
    places
}

fn variable(key: &Key) -> String {
    format!("UNISONO_{}", key.name.to_uppercase())
}

fn values_of(shape: Shape, value: &DeValue<'_>) -> Option<Vec<String>> {
    match (shape, value) {
        (_, DeValue::String(text)) => Some(vec![text.to_string()]),
        (Shape::Urls | Shape::Addresses, DeValue::Array(items)) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

fn wrong(shape: Shape, value: &str) -> Option<String> {
    let good = match shape {
        Shape::Text => true,
        Shape::Address => value.parse::<SocketAddr>().is_ok(),
        Shape::Addresses => {
            let port = value.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            // Nobody can be called at port 0.
            port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
        }
        Shape::Urls => !value.is_empty() && !value.starts_with("https://"),
        Shape::Region => value.parse::<unisono_quic::identity::Region>().is_ok(),
        Shape::Webhook => {
            let rest = ["http://", "https://"]
                .into_iter()
                .find_map(|scheme| value.strip_prefix(scheme))
                .unwrap_or_default();
            !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(|c| c.is_ascii_graphic())
        }
        Shape::Milliseconds => value.parse::<u32>().is_ok(),
    };
    (!good).then(|| format!("{value:?} is not {}", wanted(shape)))
}

fn wanted(shape: Shape) -> &'static str {
    match shape {
        Shape::Text => "a text",
        Shape::Address => "an address such as 127.0.0.1:7420",
        Shape::Addresses => "host:port with a port from 1 to 65535, or a list of these",
        Shape::Urls => "http://host:port, or a list of these",
        Shape::Region => "a region: 1 to 63 of a-z, 0-9 and -",
        Shape::Webhook => "http://host[:port][/path], or https://",
        Shape::Milliseconds => "a number of milliseconds, such as \"30000\"",
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at.min(text.len())].matches('\n').count() + 1
}
