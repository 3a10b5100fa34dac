//! Files: an executive plans, implementers write, a validator approves what it has looked at.

use unisono_core::node::{Question, Work};
use unisono_core::orchestra::view::{FileView, PlanView};
use unisono_model::capability::Tier;
use unisono_model::{
    Action, Approve, Content, Digest, FileScope, Judgement, Measure, Measured, PhaseState, Plan,
    PlanPhase, Project, Reviewed, Who, Write,
};

use super::{Agent, Wish};

/// Files that the plan names.
const FILES: [&str; 4] = ["src/f0", "src/f1", "src/f2", "src/f3"];
/// A file that tokens list and no plan names: its name begins like that of another.
const BESIDE: &str = "src/f0.old";

/// What an agent has looked at before it writes or approves.
#[derive(Clone, Debug, Default)]
pub(super) struct Desk {
    plan: Option<Digest>,
    file: Option<(String, Option<Digest>)>,
}

/// The files that an implementer's token lists, in order.
pub(super) fn listed() -> Vec<String> {
    let mut files: Vec<String> = FILES.iter().map(|&file| file.to_owned()).collect();
    files.push(BESIDE.to_owned());
    files.sort();
    files
}

/// A letter's work: a write goes with what its node would have seen of the content.
pub(super) fn work(bytes: Vec<u8>, action: &Action) -> Work {
    let work = Work::Record(bytes);
    match action {
        Action::Write(write) => Work::File {
            seen: Ok(write.content.clone()),
            work: Box::new(work),
        },
        _ => work,
    }
}

impl Agent {
    /// What it does about files now, by its tier; nothing for whoever has none.
    pub(super) fn handle_files(&mut self) -> Option<Wish> {
        match self.rights.as_ref()?.tier.clone()? {
            Tier::Executive => self.chance.percent(6).then(|| self.plan()),
            Tier::Implementation if self.chance.percent(40) => Some(self.write()),
            Tier::Validation if self.chance.percent(40) => Some(self.approve()),
            _ => None,
        }
    }

    fn plan(&mut self) -> Wish {
        let mut phase = |number: u32| PlanPhase {
            number,
            name: format!("phase {number}"),
            state: match self.chance.below(5) {
                0 => PhaseState::Done,
                1 => PhaseState::Planned,
                _ => PhaseState::Active,
            },
            scopes: vec![FileScope {
                who: Who::Everybody,
                paths: FILES.iter().map(|&file| file.to_owned()).collect(),
            }],
        };
        let phases = vec![phase(1), phase(2)];
        Wish::Act(Action::Plan(Plan {
            projects: vec![Project {
                name: "engine".into(),
                unmeasured: Vec::new(),
                phases,
            }],
        }))
    }

    fn write(&mut self) -> Wish {
        let Some(plan) = self.desk.plan else {
            return Wish::Look(Question::Plan, None);
        };
        let Some((path, base)) = self.desk.file.take() else {
            return self.look_at_file();
        };
        self.desk.plan = None;
        // Now and then it removes what is there, which no implementer may.
        let removes = base.is_some() && self.chance.percent(5);
        let content = (!removes).then(|| self.content());
        Wish::Act(Action::Write(Box::new(Write {
            project: "engine".into(),
            phase: 1 + self.chance.below(2) as u32,
            path,
            base,
            content,
            moved_from: None,
            plan,
        })))
    }

    fn approve(&mut self) -> Wish {
        let Some((path, Some(content))) = self.desk.file.take() else {
            return self.look_at_file();
        };
        Wish::Act(Action::Approve(Approve {
            about: Reviewed::Path(path),
            content,
            judgement: if self.chance.percent(70) {
                Judgement::Approved
            } else {
                Judgement::Rejected
            },
            reason: "looked at it".into(),
        }))
    }

    fn look_at_file(&mut self) -> Wish {
        let path = if self.chance.percent(15) {
            BESIDE
        } else {
            self.chance.pick(&FILES).copied().unwrap_or(BESIDE)
        };
        self.desk.file = Some((path.to_owned(), None));
        Wish::Look(Question::File(path.to_owned()), None)
    }

    fn content(&mut self) -> Content {
        let digest = Digest::of("unisono/sim-content/v1", &[&self.chance.bytes16()]);
        Content {
            digest,
            bytes: self.chance.between(1, 4_000) as u32,
            blank: self.chance.percent(3),
            measure: Measure::Known(Measured {
                language: "rust".into(),
                functions: 3,
                // Some are beyond what the token lets.
                complexity_max: self.chance.between(1, 9) as u32,
                most_complex: "f".into(),
                lines_max: 20,
                longest: "f".into(),
            }),
        }
    }

    /// It has looked at the plan.
    pub(super) fn see_plan(&mut self, view: Option<&PlanView>) {
        self.desk.plan = view.map(|view| view.place.record);
    }

    /// It has looked at a file.
    pub(super) fn see_file(&mut self, view: Option<&FileView>) {
        if let Some((path, holds)) = self.desk.file.as_mut() {
            *holds = view
                .filter(|view| view.path == *path)
                .and_then(|view| view.holds.content.as_ref())
                .map(|content| content.digest);
        }
    }
}
