//! What an action needs, and whether a token has it.

use alloc::format;
use alloc::string::{String, ToString};

use unisono_model::capability::{Operations, Rights, Scope};
use unisono_model::{Action, ClusterId, Code, Content, Measure, OrchestraId, Write};

/// What has to be allowed for an action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// Nothing: it proves itself, or says nothing about anybody else.
    Nothing,
    /// A token with this kind of deed.
    Operation(Operations),
    /// That it ends what the signer may end: see [`crate::orchestra::trust`].
    Authority,
    /// That a root of the cluster signs.
    Root,
    /// That the node which carries it signs, for itself.
    Node,
}

/// What an action needs. Closed: a new action does not compile until it stands here.
pub fn need(action: &Action) -> Need {
    match action {
        Action::Enrol(_) | Action::Present(_) | Action::Rotate(_) | Action::Root(_) => {
            Need::Nothing
        }
        Action::Presence(_)
        | Action::Signal(_)
        | Action::Across(_)
        | Action::Claim { .. }
        | Action::Renew { .. }
        | Action::Release { .. }
        | Action::Mark(_)
        | Action::Task(_)
        | Action::Resolve(_)
        | Action::Arrive(_)
        | Action::Cue(_)
        | Action::Answer(_)
        | Action::Played(_)
        | Action::Used(_)
        | Action::Performs(_)
        | Action::Decide(_)
        | Action::Remedy(_)
        | Action::Outcome(_)
        | Action::Seen(_) => Need::Operation(Operations::COORDINATE),
        Action::Settings(_)
        | Action::Advance { .. }
        | Action::Plan(_)
        | Action::Tempo(_)
        | Action::Rollback(_) => Need::Operation(Operations::WRITE_PLAN),
        Action::Write(write) => Need::Operation(write.operations()),
        Action::Approve(_) => Need::Operation(Operations::APPROVE),
        Action::Fence(_) => Need::Authority,
        Action::Guard | Action::Remove(_) | Action::Succeed(_) => Need::Root,
        Action::Open { .. }
        | Action::Admit(_)
        | Action::VoteView(_)
        | Action::Leave(_)
        | Action::Incident(_)
        | Action::Witness(_)
        | Action::Invite(_)
        | Action::InviteUsed(_) => Need::Node,
    }
}

/// Why rights do not allow something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denied {
    /// The rule.
    pub code: Code,
    /// What was asked.
    pub asked: String,
    /// What the rights allow instead.
    pub allowed: String,
}

/// Whether rights allow a kind of deed in an orchestra. A project is the orchestra of its name.
///
/// # Errors
/// What was asked, and what is allowed.
pub fn allows(
    rights: &Rights,
    operation: Operations,
    cluster: ClusterId,
    orchestra: OrchestraId,
) -> Result<(), Denied> {
    if !rights.operations.contains(operation) {
        let lacks = operation.without(rights.operations);
        let deletes = lacks.contains(Operations::DELETE);
        return Err(Denied {
            code: if deletes {
                Code::DeletionNotAllowed
            } else {
                Code::NotAllowed
            },
            asked: words(operation),
            allowed: words(rights.operations),
        });
    }
    match &rights.write {
        Scope::Global => Ok(()),
        Scope::Project(name) if OrchestraId::of(cluster, name) == orchestra => Ok(()),
        Scope::Project(name) => Err(Denied {
            code: Code::NotAllowed,
            asked: String::from("to write in this orchestra"),
            allowed: format!("to write in {name}"),
        }),
        Scope::Nowhere => Err(Denied {
            code: Code::NotAllowed,
            asked: String::from("to write"),
            allowed: String::from("to write nowhere"),
        }),
    }
}

/// Whether rights allow looking at an orchestra. A project is the orchestra of its name.
///
/// # Errors
/// What was asked, and what is allowed.
pub fn allows_read(
    rights: &Rights,
    cluster: ClusterId,
    orchestra: OrchestraId,
) -> Result<(), Denied> {
    let denied = |asked: &str, allowed: String| Denied {
        code: Code::NotAllowed,
        asked: String::from(asked),
        allowed,
    };
    if !rights.operations.contains(Operations::READ) {
        return Err(denied("read", words(rights.operations)));
    }
    match &rights.read {
        Scope::Global => Ok(()),
        Scope::Project(name) if OrchestraId::of(cluster, name) == orchestra => Ok(()),
        Scope::Project(name) => Err(denied(
            "to read in this orchestra",
            format!("to read in {name}"),
        )),
        Scope::Nowhere => Err(denied("to read", String::from("to read nowhere"))),
    }
}

/// Whether rights allow a write, beyond the kind of deed: its files, its phase, its measure. What is
/// asked of a file that nobody can measure is asked of the plan.
///
/// # Errors
/// The rule, what was asked, and what these rights allow instead.
pub fn allows_write(rights: &Rights, write: &Write) -> Result<(), Denied> {
    if let Some(files) = &rights.files {
        let listed = |path: &str| files.iter().any(|file| file == path);
        if let Some(path) = write.paths().find(|path| !listed(path)) {
            return Err(Denied {
                code: Code::FileNotAllowed,
                asked: format!("to write {path}"),
                allowed: join(files),
            });
        }
    }
    if let Some(phases) = &rights.phases
        && !phases.contains(&write.phase)
    {
        let numbers: alloc::vec::Vec<String> = phases.iter().map(ToString::to_string).collect();
        return Err(Denied {
            code: Code::PhaseNotActive,
            asked: format!("to write in phase {}", write.phase),
            allowed: format!("phases {}", join(&numbers)),
        });
    }
    match &write.content {
        Some(content) => measures_well(rights, content),
        None => Ok(()),
    }
}

/// Whether anything is asked of the functions that somebody writes.
pub fn limits_functions(rights: &Rights) -> bool {
    rights.complexity_max < u16::MAX || rights.function_lines_max < u16::MAX
}

fn measures_well(rights: &Rights, content: &Content) -> Result<(), Denied> {
    let exceeded = |asked: String, allowed: String| {
        let code = Code::MeasureRefused;
        Err(Denied {
            code,
            asked,
            allowed,
        })
    };
    let Rights { file_bytes_max, .. } = rights;
    if content.bytes > *file_bytes_max {
        let asked = format!("a file of {} bytes", content.bytes);
        return exceeded(asked, format!("at most {file_bytes_max}"));
    }
    if !limits_functions(rights) {
        return Ok(());
    }
    let (complexity, lines) = (rights.complexity_max, rights.function_lines_max);
    match &content.measure {
        Measure::Known(measured) if measured.complexity_max > u32::from(complexity) => exceeded(
            format!(
                "{} of complexity {}",
                measured.most_complex, measured.complexity_max
            ),
            format!("at most {complexity}"),
        ),
        Measure::Known(measured) if measured.lines_max > u32::from(lines) => exceeded(
            format!("{} of {} lines", measured.longest, measured.lines_max),
            format!("at most {lines}"),
        ),
        Measure::Known(_) | Measure::UnknownLanguage => Ok(()),
        Measure::Unmeasurable(reason) => exceeded(
            format!("a file that cannot be measured ({reason})"),
            format!("functions of complexity {complexity} and {lines} lines at most"),
        ),
    }
}

/// A list in a sentence, as long as it can be read.
fn join(items: &[String]) -> String {
    const SHOWN_MAX: usize = 16;
    let mut text = items[..items.len().min(SHOWN_MAX)].join(", ");
    if items.len() > SHOWN_MAX {
        text = format!("{text} and {} more", items.len() - SHOWN_MAX);
    }
    if text.is_empty() {
        text.push_str("nothing");
    }
    text
}

fn words(operations: Operations) -> String {
    let mut text = String::new();
    for word in operations.words() {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(word);
    }
    if text.is_empty() {
        text.push_str("nothing");
    }
    text
}
