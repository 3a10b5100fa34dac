//! Texts rendered from templates: the house's own, or one that a user brings. A template can loop or
//! fail; it cannot go on for ever, write without end, or read a file.

use std::io::{self, Write};
use std::path::Path;

use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::small_file;

/// What an agent is told to do in an iteration.
pub(crate) const MISSION: (&str, &str) =
    ("mission.md", include_str!("../data/templates/mission.md"));
/// All that a role is told at the beginning of an iteration.
pub(crate) const PROMPT: (&str, &str) = ("prompt.md", include_str!("../data/templates/prompt.md"));
/// Where the orchestra stands.
pub(crate) const OUTLINE: (&str, &str) =
    ("outline.md", include_str!("../data/templates/outline.md"));

/// How many steps a template may take: the house's own take a few thousand.
const FUEL: u64 = 1_000_000;
/// How deep a template may call itself.
const RECURSION_MAX: usize = 32;
/// Longest template that is read (bytes).
const TEMPLATE_BYTES_MAX: u64 = 256 << 10;
/// Longest text that a template may write (bytes): far more than anybody reads.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// A template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    name: String,
    source: String,
}

impl Template {
    /// The one in a file, or the house's own.
    ///
    /// # Errors
    /// A file that cannot be read, is too long, or is no text.
    pub(crate) fn read(file: Option<&Path>, own: (&str, &str)) -> Result<Self, Failure> {
        let Some(file) = file else {
            let (name, source) = (own.0.to_owned(), own.1.to_owned());
            return Ok(Self { name, source });
        };
        let name = file.display().to_string();
        match small_file::text(file, TEMPLATE_BYTES_MAX) {
            Ok(source) => Ok(Self { name, source }),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(broken(&format!("{name}: {error}")))
            }
            Err(error) => Err(Failure::system(&name, &error)),
        }
    }

    /// The text that it makes of what is known.
    ///
    /// # Errors
    /// Where the template is wrong, with its line; nothing was written.
    pub(crate) fn render(&self, known: &impl Serialize) -> Result<String, Failure> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(RECURSION_MAX);
        // A name that is not known is an error, not an empty place in what an agent is told.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        let told = |error: minijinja::Error| self.told(&error);
        let template = environment
            .template_from_named_str(&self.name, &self.source)
            .map_err(told)?;
        let mut text = Bounded(Vec::new());
        let known = minijinja::value::Serde(known);
        let written = template.render_captured_to(known, &mut text).map(drop);
        written.map_err(told)?;
        String::from_utf8(text.0).map_err(|_| broken(&format!("{}: wrote no text", self.name)))
    }

    fn told(&self, error: &minijinja::Error) -> Failure {
        let line = error
            .line()
            .map_or_else(String::new, |line| format!(":{line}"));
        let kind = error.kind();
        let detail = match error.detail() {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        };
        let detail = match kind {
            minijinja::ErrorKind::OutOfFuel => {
                format!("it takes more than {FUEL} steps: does it loop?")
            }
            minijinja::ErrorKind::WriteFailure => {
                format!("it writes more than {TEXT_BYTES_MAX} bytes")
            }
            _ => detail,
        };
        broken(&format!("{}{line}: {detail}", self.name))
    }
}

fn broken(words: &str) -> Failure {
    Failure::new(Exit::Usage, "template", words)
        .hint("see what a template can name, then mend it; templates are those of Jinja")
        .next("unisono prompt --known")
}

/// What a template writes, up to a bound.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > TEXT_BYTES_MAX {
            return Err(io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(source: &str) -> String {
        let template = Template {
            name: "mine.md".to_owned(),
            source: source.to_owned(),
        };
        let failure = template.render(&serde_json::json!({ "agent": "ada" }));
        failure.expect_err("it is wrong").report().error.clone()
    }

    #[test]
    fn a_template_that_loops_ends() {
        let nested = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert!(fails(nested).contains("does it loop?"), "{}", fails(nested));
        let deep = "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}";
        assert!(fails(deep).starts_with("mine.md"), "{}", fails(deep));
        let long = "{% for a in range(9999) %}".to_owned() + &"x".repeat(200) + "{% endfor %}";
        assert!(fails(&long).contains("bytes"), "{}", fails(&long));
    }

    #[test]
    fn a_template_that_fails_says_where() {
        assert!(fails("ok\n{{ nobody }}").starts_with("mine.md:2: "));
        assert!(fails("ok\n\n{% for %}").starts_with("mine.md:3: "));
        assert!(fails("{% include \"/etc/hostname\" %}").starts_with("mine.md:1: "));
    }

    #[test]
    fn what_is_known_is_written_as_it_is() {
        let source = "{{ agent }} <{{ 1 + 1 }}>".to_owned();
        let name = "mine.md".to_owned();
        let template = Template { name, source };
        let known = serde_json::json!({ "agent": "a<b>" });
        assert_eq!(template.render(&known).expect("it is right"), "a<b> <2>");
    }
}
