//! What is told of the run: steps, and what each was held against.

use std::sync::Arc;

use serde::Serialize;

use crate::demo::screen::Screen;

/// One thing that somebody did.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    iteration: u32,
    who: &'static str,
    does: String,
    checks: Vec<Check>,
}

/// One thing that must be so after it.
#[derive(Clone, Debug, Serialize)]
struct Check {
    what: String,
    ok: bool,
    found: String,
}

/// The steps so far.
#[derive(Debug)]
pub(super) struct Story {
    screen: Arc<Screen>,
    iteration: u32,
    steps: Vec<Step>,
}

impl Story {
    pub(super) fn new(screen: Arc<Screen>) -> Self {
        Self {
            screen,
            iteration: 0,
            steps: Vec::new(),
        }
    }

    /// An iteration begins.
    pub(super) fn begin(&mut self, iteration: u32) {
        self.iteration = iteration;
        let head = self.screen.paint("1", &format!("[iteration {iteration}]"));
        self.screen.line(&format!("\n{head}"));
    }

    /// Somebody does something.
    pub(super) fn step(&mut self, who: &'static str, does: impl Into<String>) {
        let does = does.into();
        self.screen
            .say(&format!("{:<12} {does}", who.to_uppercase()));
        self.steps.push(Step {
            iteration: self.iteration,
            who,
            does,
            checks: Vec::new(),
        });
    }

    /// What must be so after the latest step, and what was found.
    pub(super) fn check(&mut self, what: &str, ok: bool, found: impl Into<String>) {
        let found = found.into();
        let line = if ok {
            self.screen.paint("32", &format!("ok  {what}"))
        } else {
            self.screen
                .paint("1;31", &format!("FAILED  {what}: {found}"))
        };
        self.screen.line(&format!("{:22}{line}", ""));
        if let Some(step) = self.steps.last_mut() {
            step.checks.push(Check {
                what: what.to_owned(),
                ok,
                found,
            });
        }
    }

    /// The same, where two values must be equal.
    pub(super) fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: T, wanted: T) {
        self.check(what, found == wanted, format!("{found:?}"));
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn checks(&self) -> usize {
        self.steps.iter().map(|step| step.checks.len()).sum()
    }

    /// What did not hold.
    pub(super) fn failed(&self) -> Vec<String> {
        let checks = self.steps.iter().flat_map(|step| &step.checks);
        let failed = checks.filter(|check| !check.ok);
        failed
            .map(|check| format!("{} ({})", check.what, check.found))
            .collect()
    }
}
