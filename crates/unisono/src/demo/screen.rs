//! What the audience sees: a story line by line, and in a terminal one living line below it.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::output::Format;

/// Where the story is told.
#[derive(Debug)]
pub(super) struct Screen {
    began: Instant,
    /// The answer is JSON on standard output: the story goes to standard error.
    aside: bool,
    /// Whether a line may be drawn anew.
    live: bool,
    colour: bool,
    status: Mutex<String>,
}

impl Screen {
    /// A screen for answers in this format.
    pub(super) fn new(format: Format) -> Self {
        let aside = format != Format::Table;
        let terminal = if aside {
            io::stderr().is_terminal()
        } else {
            io::stdout().is_terminal()
        };
        let live = terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let colour = live && std::env::var_os("NO_COLOR").is_none();
        Self {
            began: Instant::now(),
            aside,
            live,
            colour,
            status: Mutex::default(),
        }
    }

    /// How long it has been going on (s).
    pub(super) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// The next line of the story.
    pub(super) fn say(&self, text: &str) {
        let seconds = self.seconds();
        let time = self.paint("2", &format!("{seconds:5.1} s"));
        self.line(&format!("{time}  {text}"));
    }

    /// A line without the time.
    pub(super) fn line(&self, text: &str) {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let erase = if self.live { "\r\x1b[K" } else { "" };
        self.write(&format!("{erase}{text}\n{status}"));
    }

    /// The line that changes; only in a terminal.
    pub(super) fn status(&self, text: &str) {
        if !self.live {
            return;
        }
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        *status = self.paint("2", text);
        self.write(&format!("\r\x1b[K{status}"));
    }

    /// The living line goes away.
    pub(super) fn still(&self) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if !status.is_empty() {
            status.clear();
            self.write("\r\x1b[K");
        }
    }

    /// The text in a colour, where there are colours.
    pub(super) fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn write(&self, text: &str) {
        // Whoever closed the terminal does not want to see it.
        let _ = if self.aside {
            io::stderr().lock().write_all(text.as_bytes())
        } else {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        };
    }
}
