//! Files at a node's edge and in its folds: plan, phase, scope, what was seen of a content, what is
//! replaced, and who may approve.

use unisono_core::node::{Promise, Question, Work};
use unisono_core::orchestra::approvals::Worth;
use unisono_core::orchestra::view::View;
use unisono_model::{
    Action, Approve, Code, Content, Digest, FileScope, Judgement, Measure, Measured, PhaseState,
    Plan, PlanPhase, Project, Rejection, Reviewed, Who, Write,
};

use crate::loopback::Loop;
use crate::rollback::{back_to, now, task};

fn plan(state: PhaseState, paths: &[&str]) -> Action {
    Action::Plan(Plan {
        projects: vec![Project {
            name: "p".into(),
            unmeasured: Vec::new(),
            phases: vec![PlanPhase {
                number: 1,
                name: "one".into(),
                state,
                scopes: vec![FileScope {
                    who: Who::Everybody,
                    paths: paths.iter().map(|&path| path.to_owned()).collect(),
                }],
            }],
        }],
    })
}

fn content(text: &str, complexity_max: u32) -> Content {
    Content {
        digest: Content::digest_of(text.as_bytes()),
        bytes: text.len() as u32,
        blank: false,
        measure: Measure::Known(Measured {
            language: "rust".into(),
            functions: 1,
            complexity_max,
            most_complex: "f".into(),
            lines_max: 3,
            longest: "f".into(),
        }),
    }
}

fn write(path: &str, base: Option<Digest>, content: Option<Content>) -> Write {
    Write {
        project: "p".into(),
        phase: 1,
        path: path.into(),
        base,
        content,
        moved_from: None,
        plan: Digest::default(),
    }
}

struct Stage(Loop);

impl Stage {
    fn new() -> Self {
        let mut world = Loop::new(1);
        world.open(0);
        world.run_ms(1_500);
        for agent in ["ada", "bob"] {
            world.enrol(0, agent);
        }
        world.run_ms(500);
        Self(world)
    }

    fn does(&mut self, agent: &str, action: Action) -> Result<(), Rejection> {
        let work = Work::Act {
            agent: agent.into(),
            action,
            key: None,
        };
        self.work(work)
    }

    fn writes(&mut self, write: Write, seen: Option<Content>) -> Result<(), Rejection> {
        let action = Action::Write(Box::new(write));
        let work = Box::new(Work::Act {
            agent: "ada".into(),
            action,
            key: None,
        });
        let seen = Ok(seen);
        self.work(Work::File { seen, work })
    }

    fn work(&mut self, work: Work) -> Result<(), Rejection> {
        let ticket = self.0.submit(0, "main", work, Promise::default());
        self.0.run_ms(300);
        self.0.reply(ticket).expect("an answer").map(drop)
    }

    fn code(&mut self, write: Write, seen: Option<Content>) -> Code {
        self.writes(write, seen).expect_err("refused").code
    }
}

#[test]
fn a_write_needs_a_plan_an_active_phase_a_scope_and_what_it_replaces() {
    let mut stage = Stage::new();
    let first = content("one", 2);
    let new = write("src/a.rs", None, Some(first.clone()));
    let seen = Some(first.clone());
    assert_eq!(stage.code(new.clone(), seen.clone()), Code::PlanMissing);
    stage
        .does("bob", plan(PhaseState::Planned, &["src/a.rs"]))
        .expect("planned");
    assert_eq!(stage.code(new.clone(), seen.clone()), Code::PhaseNotActive);
    stage
        .does("bob", plan(PhaseState::Active, &["src/a.rs"]))
        .expect("planned");
    let other = write("src/a.rs.old", None, seen.clone());
    assert_eq!(stage.code(other, seen.clone()), Code::FileNotAllowed);
    let mut later = new.clone();
    later.phase = 2;
    assert_eq!(stage.code(later, seen.clone()), Code::PhaseNotActive);
    let stale = Write {
        plan: Digest([9; 32]),
        ..new.clone()
    };
    assert_eq!(stage.code(stale, seen.clone()), Code::PlanStale);
    stage.writes(new.clone(), seen.clone()).expect("written");
    assert_eq!(stage.code(new, seen), Code::ContentConflict);
    let second = content("two", 2);
    let next = write("src/a.rs", Some(first.digest), Some(second.clone()));
    stage.writes(next, Some(second)).expect("written on top");
}

#[test]
fn what_a_record_says_of_its_content_is_what_the_edge_has_seen() {
    let mut stage = Stage::new();
    stage
        .does("bob", plan(PhaseState::Active, &["**"]))
        .expect("planned");
    let said = content("one", 3);
    let claim = write("a.rs", None, Some(said.clone()));
    let bare = stage.does("ada", Action::Write(Box::new(claim.clone())));
    assert_eq!(bare.expect_err("nothing seen").code, Code::ContentMismatch);
    assert_eq!(
        stage.code(claim.clone(), Some(content("two", 3))),
        Code::ContentMismatch
    );
    let lie = stage.writes(claim.clone(), Some(content("one", 12)));
    let lie = lie.expect_err("claimed 3, measured 12");
    assert_eq!(lie.code, Code::MeasureRefused);
    assert!(lie.detail.contains("complexity 3") && lie.detail.contains("complexity 12"));
    assert_eq!(stage.code(claim.clone(), None), Code::ContentMismatch);
    stage.writes(claim, Some(said)).expect("as it is");
}

#[test]
fn an_approval_is_about_what_is_there_until_that_changes_and_never_ones_own() {
    let mut stage = Stage::new();
    stage
        .does("bob", plan(PhaseState::Active, &["**"]))
        .expect("planned");
    let first = content("one", 1);
    let seen = Some(first.clone());
    stage
        .writes(write("a.rs", None, seen.clone()), seen.clone())
        .expect("written");
    let approve = |content: Digest| {
        Action::Approve(Approve {
            about: Reviewed::Path("a.rs".into()),
            content,
            judgement: Judgement::Approved,
            reason: String::new(),
        })
    };
    let own = stage.does("ada", approve(first.digest));
    assert_eq!(own.expect_err("its own").code, Code::DutiesTogether);
    let other = stage.does("bob", approve(Digest([1; 32])));
    assert_eq!(
        other.expect_err("nothing like it").code,
        Code::ContentConflict
    );
    stage.does("bob", approve(first.digest)).expect("approved");
    assert_eq!(worth(&mut stage), Worth::Stands);
    let second = Some(content("two", 1));
    stage
        .writes(
            write("a.rs", Some(first.digest), second.clone()),
            second.clone(),
        )
        .expect("changed");
    assert_eq!(worth(&mut stage), Worth::Stale);
    // What it was about comes back, and is another thing that happens to be the same.
    let base = second.map(|content| content.digest);
    stage
        .writes(write("a.rs", base, seen.clone()), seen)
        .expect("changed back");
    assert_eq!(worth(&mut stage), Worth::Stale);
}

fn worth(stage: &mut Stage) -> Worth {
    let answer = stage.0.view(0, Question::File("a.rs".into()));
    let Ok(View::File(Some(file))) = answer else {
        panic!("no file")
    };
    file.approvals[0].worth
}

#[test]
fn nobody_goes_back_behind_a_write_since_no_record_brings_a_file_back() {
    let mut stage = Stage::new();
    let active = plan(PhaseState::Active, &["src/a.rs"]);
    stage.does("bob", active).expect("planned");
    let before = now(&mut stage.0);
    stage.0.run_ms(50);
    let first = Some(content("one", 2));
    let new = write("src/a.rs", None, first.clone());
    stage.writes(new, first).expect("written");
    let after = now(&mut stage.0);
    stage.0.run_ms(50);
    stage.does("bob", task("t")).expect("made");
    let barred = stage.does("bob", back_to(before)).expect_err("refused");
    assert_eq!(barred.code, Code::RollbackBarred);
    assert!(barred.detail.contains("src/a.rs"), "{barred:?}");
    let known = |stage: &mut Stage| stage.0.view(0, Question::Task("t".into())).is_ok();
    assert!(known(&mut stage), "a refusal sets nothing aside");
    stage.does("bob", back_to(after)).expect("gone back");
    assert!(!known(&mut stage));
}
