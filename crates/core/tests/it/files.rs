//! Files at a node's edge and in its folds: plan, phase, scope, what was seen of a content, what is
//! replaced, and who may approve.

use unisono_core::node::{Promise, Question, Ticket, Work, limits};
use unisono_core::orchestra::approvals::Worth;
use unisono_core::orchestra::view::{View, WriteView};
use unisono_model::wire::{self, Malformed};
use unisono_model::{
    Action, Approve, Code, Content, Digest, FileScope, Held, Judgement, Measure, Measured, Moved,
    PhaseState, Plan, PlanPhase, Project, RECORD_VERSION, RecordBody, Rejection, Reviewed, Who,
    Write,
};

use crate::capability::NOW_MS;
use crate::loopback::Loop;
use crate::rollback::{back_to, now, task};
use crate::trust::{History, folded, id_of, implementer, rules_of};

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
        for agent in ["ada", "bob", "cyd"] {
            world.enrol(0, agent);
        }
        world.run_ms(500);
        Self(world)
    }

    /// The same with a plan that lets everybody write everything.
    fn planned() -> Self {
        let mut stage = Self::new();
        let plan = plan(PhaseState::Active, &["**"]);
        stage.does("bob", plan).expect("planned");
        stage
    }

    /// What somebody has just written there.
    fn has_written(&mut self, path: &str) -> Content {
        let content = content("one", 1);
        let seen = Some(content.clone());
        self.writes(write(path, None, seen.clone()), seen)
            .expect("written");
        content
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
        self.writes_as("ada", write, seen)
    }

    fn writes_as(
        &mut self,
        agent: &str,
        write: Write,
        seen: Option<Content>,
    ) -> Result<(), Rejection> {
        let action = Action::Write(Box::new(write));
        let work = Box::new(Work::Act {
            agent: agent.into(),
            action,
            key: None,
        });
        let seen = Ok(seen);
        self.work(Work::File { seen, work })
    }

    /// Has an agent write a file while the disk does not answer.
    fn begins(&mut self, agent: &str, path: &str) -> Ticket {
        let seen = content(path, 1);
        let action = Action::Write(Box::new(write(path, None, Some(seen.clone()))));
        let work = Box::new(Work::Act {
            agent: agent.into(),
            action,
            key: None,
        });
        let seen = Ok(Some(seen));
        let work = Work::File { seen, work };
        let ticket = self.0.submit(0, "main", work, Promise::default());
        self.0.run_ms(20);
        ticket
    }

    fn answer(&mut self, ticket: Ticket) -> Result<(), Rejection> {
        self.0.reply(ticket).expect("an answer").map(drop)
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
    let mut stage = Stage::planned();
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

/// The incident: each was held against what is on the disk, so that two names which are one file where
/// disks fold case passed side by side.
#[test]
fn of_two_names_that_differ_in_case_alone_one_passes_though_they_come_at_once() {
    let mut stage = Stage::planned();
    stage.0.disks_hang = true;
    let one = stage.begins("ada", "src/größe.rs");
    let other = stage.begins("bob", "SRC/GRÖSSE.rs");
    let twin = stage.begins("cyd", "SRC/Größe.RS");
    stage.0.disks_go_on();
    stage.0.run_ms(300);
    stage.answer(one).expect("the first");
    stage.answer(other).expect("another name");
    let refused = stage.answer(twin).expect_err("the same but for the case");
    assert_eq!(refused.code, Code::PathNotPlain);
}

/// A node that lies can carry what its edge would have refused; to every replica that is no record.
#[test]
fn no_replica_reads_a_record_with_another_spelling_of_a_path() {
    let body = |path: &str| RecordBody {
        version: RECORD_VERSION,
        held: Held::Agent,
        agent_ms: NOW_MS,
        iteration: 1,
        key: None,
        predecessors: Vec::new(),
        token: None,
        action: Action::Write(Box::new(write(path, None, Some(content("one", 1))))),
    };
    let read = |path: &str| RecordBody::decode(&wire::encode(&body(path)));
    assert_eq!(read("src/größe.rs"), Ok(body("src/größe.rs")));
    let long = format!("src/{}", "a/".repeat(2_048));
    for path in [
        "src/../secret",
        "./src/a.rs",
        "src//a.rs",
        "/etc/passwd",
        "C:\\x",
        "src\\a.rs",
        "src/",
        "src/.",
        "src/a.rs.",
        "src/a\0.rs",
        "src/a\n.rs",
        &long,
        "src/gro\u{308}ße.rs",
        "src/\u{202e}sr.a",
        "src/\u{200b}a.rs",
        "src/CON",
        "src/nul.rs",
    ] {
        let refused = read(path).expect_err(path);
        assert!(matches!(refused, Malformed::Path(_)), "{path:?}: {refused}");
    }
}

/// The incident: a write passed by the plan that stood, while the one that takes its place was on its
/// way to the disk, before it in the log.
#[test]
fn a_write_waits_for_the_plan_that_its_node_has_taken() {
    let mut stage = Stage::new();
    stage
        .does("bob", plan(PhaseState::Active, &["src/a.rs"]))
        .expect("planned");
    stage.0.disks_hang = true;
    let next = plan(PhaseState::Active, &["src/b.rs"]);
    let planned = stage.0.begin(0, "bob", next, Promise::default());
    stage.0.run_ms(20);
    let former = stage.begins("ada", "src/a.rs");
    let allowed = stage.begins("cyd", "src/b.rs");
    stage.0.disks_go_on();
    stage.0.run_ms(300);
    stage.answer(planned).expect("planned");
    let refused = stage
        .answer(former)
        .expect_err("by the plan that stands now");
    assert_eq!(refused.code, Code::FileNotAllowed);
    stage.answer(allowed).expect("by the same");
}

/// Whoever lets more pass than a token says: what is written then counts on no replica.
#[test]
fn what_a_token_says_of_files_phases_and_figures_is_judged_by_every_replica() {
    let mut history = History::with_rights();
    let mut add = |write: Write| {
        let at_ms = NOW_MS + 2_000 + history.facts.len() as u64;
        let action = Action::Write(Box::new(write));
        history.add(implementer(), 2, at_ms, Some(id_of(2)), action);
    };
    let good = write("src/a.rs", None, Some(content("one", 8)));
    let mut long = content("two", 1);
    if let Measure::Known(measured) = &mut long.measure {
        measured.lines_max = 61;
    }
    let mut wide = content("three", 1);
    wide.bytes = (1 << 20) + 1;
    let mut hidden = content("four", 1);
    hidden.measure = Measure::Unmeasurable("macro".into());
    let later = Write {
        phase: 3,
        ..good.clone()
    };
    add(good.clone());
    add(write("src/a.rs", None, Some(content("two", 9))));
    for content in [long, wide, hidden] {
        add(write("src/a.rs", None, Some(content)));
    }
    add(later);
    add(write("src/c.rs", None, Some(content("one", 1))));
    add(write("src/a.rs", Some(Digest([1; 32])), None));
    let shown = folded(&history.facts);
    let mut rules = rules_of(&shown);
    rules.sort_unstable();
    let wanted = [
        "deletion_not_allowed",
        "file_not_allowed",
        "measure_refused",
        "measure_refused",
        "measure_refused",
        "measure_refused",
        "phase_not_active",
    ];
    assert_eq!(rules, wanted);
}

/// What an edge could not know at a cut is judged by nobody later on, and shown alike by everybody: what
/// was written under a plan that another had replaced, and what was written on one base at once.
#[test]
fn what_an_edge_could_not_know_is_shown_by_every_replica() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(3_000);
    for (node, agent) in [(0, "ada"), (1, "bob")] {
        world.enrol(node, agent);
    }
    world.run_ms(2_000);
    let (first, here, there) = (content("one", 1), content("two", 1), content("three", 1));
    let writes = |world: &mut Loop, node: usize, base: Option<Digest>, content: &Content| {
        let action = Action::Write(Box::new(write("a.rs", base, Some(content.clone()))));
        let work = Box::new(Work::Act {
            agent: if node == 0 { "ada" } else { "bob" }.into(),
            action,
            key: None,
        });
        let seen = Ok(Some(content.clone()));
        let ticket = world.submit(node, "main", Work::File { seen, work }, Promise::default());
        world.run_ms(300);
        world.reply(ticket).expect("an answer").expect("written");
    };
    world
        .act(0, "ada", plan(PhaseState::Active, &["a.rs"]))
        .expect("planned");
    writes(&mut world, 0, None, &first);
    world.run_ms(2_000);
    world.cut = vec![(0, 1)];
    world
        .act(0, "ada", plan(PhaseState::Active, &["*.rs"]))
        .expect("planned anew");
    writes(&mut world, 0, Some(first.digest), &here);
    writes(&mut world, 1, Some(first.digest), &there);
    world.cut.clear();
    world.run_ms(20_000);
    let shown = |world: &mut Loop, node: usize| {
        let Ok(View::File(Some(file))) = world.view(node, Question::File("a.rs".into())) else {
            panic!("no file")
        };
        let heads = core::iter::once(&file.holds).chain(&file.beside);
        let shown = |head: &WriteView| (head.content.clone().map(|one| one.digest), head.late);
        heads.map(shown).collect::<Vec<_>>()
    };
    let both = [(Some(there.digest), true), (Some(here.digest), false)];
    assert_eq!(shown(&mut world, 0), both);
    assert_eq!(shown(&mut world, 1), both);
}

#[test]
fn an_approval_is_about_what_is_there_until_that_changes_and_never_ones_own() {
    let mut stage = Stage::planned();
    let first = stage.has_written("a.rs");
    let seen = Some(first.clone());
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

/// The incident: whoever could move a file moved it to where its author had no hand, and the author, or
/// who had let it write, approved it there. Who wrote goes along, over as many moves as there are.
#[test]
fn a_file_that_was_moved_brings_its_authors_along() {
    let mut stage = Stage::planned();
    let first = stage.has_written("a.rs");
    let seen = Some(first.clone());
    for (from, to) in [("a.rs", "b.rs"), ("b.rs", "c.rs")] {
        let moved = Write {
            moved_from: Some(Moved {
                path: from.into(),
                base: first.digest,
            }),
            ..write(to, None, seen.clone())
        };
        stage.writes_as("bob", moved, seen.clone()).expect("moved");
    }
    let approve = || {
        Action::Approve(Approve {
            about: Reviewed::Path("c.rs".into()),
            content: first.digest,
            judgement: Judgement::Approved,
            reason: String::new(),
        })
    };
    for hand in ["ada", "bob"] {
        let own = stage.does(hand, approve()).expect_err("a hand in it");
        assert_eq!(own.code, Code::DutiesTogether, "{hand}");
    }
    stage.does("cyd", approve()).expect("no hand in it");
}

/// The incident: nothing bounded how often one agent approved and rejected one content, and all of it
/// stands in everybody's memory until the content changes.
#[test]
fn one_agent_says_eight_times_at_the_most_what_it_thinks_of_one_content() {
    let mut stage = Stage::planned();
    let (first, second) = (content("one", 1), content("two", 1));
    let writes = |stage: &mut Stage, base: Option<Digest>, content: &Content| {
        let write = write("a.rs", base, Some(content.clone()));
        stage.writes(write, Some(content.clone())).expect("written");
    };
    writes(&mut stage, None, &first);
    let think = |content: &Content, judgement: Judgement| {
        Action::Approve(Approve {
            about: Reviewed::Path("a.rs".into()),
            content: content.digest,
            judgement,
            reason: String::new(),
        })
    };
    for number in 0..limits::OPINIONS_MAX {
        let judgement = [Judgement::Approved, Judgement::Rejected][number % 2];
        stage.does("bob", think(&first, judgement)).expect("said");
    }
    let more = stage.does("bob", think(&first, Judgement::Approved));
    assert_eq!(more.expect_err("enough").code, Code::NotAllowed);
    let other = stage.does("cyd", think(&first, Judgement::Approved));
    other.expect("others have their own");
    writes(&mut stage, Some(first.digest), &second);
    stage
        .does("bob", think(&second, Judgement::Approved))
        .expect("it is another content");
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
