//! What an agent needs to know to go on, packed into a budget of tokens.
//!
//! Everything that may matter is gathered from indexes by the agent's name, so that the work follows
//! from what concerns the agent and not from how much has happened. Then what is pinned goes in
//! first, then the rest by usefulness, as long as it fits; what does not fit is counted.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Reverse;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Digest, Place, Stamp, TaskStatus};

use super::Reading;
use super::interference::limits::LIKENESS_FLOOR;
use super::interference::view::{InterferenceKind, InterferenceView};
use super::interference::words::files;
use super::tasks::Circles;
use super::view::{ConflictView, Phase, TaskView};

mod lately;
mod over;
mod pack;

use pack::ranked;

/// Most tasks at hand that are looked at.
const TASKS_MAX: usize = 16;
/// Of these, most that are told with their description: of the others the title says what they are,
/// and `task show` the rest.
const TASKS_FULL_MAX: usize = 1;
/// Most tasks that may be next and are looked at, most urgent first.
const NEXT_LOOKED_MAX: usize = 512;
/// Most of these that are told.
const NEXT_TOLD_MAX: usize = 3;
/// Most interferences that are told.
const INTERFERENCES_MAX: usize = 16;
/// Most agents nearby that are told.
const NEAR_MAX: usize = 8;
/// Most files that are told.
const FILES_MAX: usize = 24;
/// Most characters of one free text: the beginning says what it is about.
const TEXT_CHARS_MAX: usize = 280;
/// Most characters of what another means to do: which topic it is about stands before it.
const NEAR_CHARS_MAX: usize = 80;
/// The smallest budget that is taken (tokens): less than the first line costs.
pub const TOKENS_MIN: u64 = 40;
/// The largest budget that is taken (tokens).
pub const TOKENS_MAX: u64 = 100_000;

/// The parts of a brief, in the order in which they are shown.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum BriefPart {
    /// Who and where the agent is.
    You,
    /// What is decided and binds everybody.
    Decisions,
    /// What was tried and leads nowhere.
    DeadEnds,
    /// The task at hand.
    Task,
    /// What the agent holds, and for how long.
    Held,
    /// What keeps it from going on.
    Blockers,
    /// Where it is in somebody's way.
    Interferences,
    /// What goes wrong where it plays together with others.
    Together,
    /// What others need of it.
    Asked,
    /// What has ended since then.
    Over,
    /// What it touched last.
    Lately,
    /// What it did.
    Done,
    /// Files that it touched.
    Files,
    /// Who else is near.
    Near,
    /// What could be next.
    Next,
}

impl BriefPart {
    /// Its heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::You => "You",
            Self::Decisions => "Decided",
            Self::DeadEnds => "Leads nowhere",
            Self::Task => "Task at hand",
            Self::Held => "You hold",
            Self::Blockers => "Blocked by",
            Self::Interferences => "In the way",
            Self::Together => "Playing together",
            Self::Asked => "Asked of you",
            Self::Over => "Over since then",
            Self::Lately => "Lately",
            Self::Done => "Done",
            Self::Files => "Files",
            Self::Near => "Near you",
            Self::Next => "Next",
        }
    }

    /// How useful one more line of it is, at first; each further line is worth a little less.
    fn worth(self) -> u32 {
        match self {
            Self::You => 1_000,
            Self::Task => 900,
            Self::Interferences => 850,
            Self::Together => 840,
            Self::Held => 800,
            Self::Blockers => 750,
            Self::Lately => 720,
            Self::Asked => 700,
            Self::Decisions => 650,
            Self::DeadEnds => 600,
            Self::Over => 680,
            Self::Done => 500,
            Self::Near => 400,
            Self::Next => 350,
            Self::Files => 300,
        }
    }

    /// After how many lines of it one more is worth half of the first: many short lines tell more than
    /// a few long ones.
    fn half_at(self) -> u32 {
        match self {
            Self::Lately => 40,
            _ => 10,
        }
    }
}

/// One line of a brief.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct BriefLine {
    /// Where it stands.
    pub part: BriefPart,
    /// What it says, on one line.
    pub text: String,
    /// Whether it goes in before all that is not.
    pub pinned: bool,
    /// The record that it comes from, where there is one.
    pub record: Option<Digest>,
    /// Since when it is so.
    pub since: Stamp,
    /// Its place among all that was gathered, in the order in which they are shown.
    pub order: u32,
}

/// What an agent needs to know to go on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct BriefView {
    /// The agent's name.
    pub agent: String,
    /// Whether an agent of that name is enrolled.
    pub known: bool,
    /// The lines: the most useful first until it is packed, then in the order in which they are
    /// shown.
    pub lines: Vec<BriefLine>,
    /// How many lines did not fit, by part.
    pub left_out: BTreeMap<BriefPart, u64>,
    /// About how many tokens the text has.
    pub tokens: u64,
    /// How many it might have.
    pub tokens_max: u64,
    /// Only what is new since this stamp, where that was asked for and could be told.
    pub since: Option<Stamp>,
}

/// About how many tokens a text has: one for each three and a half bytes, rounded up.
pub fn tokens(text: &str) -> u64 {
    (text.len() as u64 * 2).div_ceil(7)
}

impl BriefView {
    /// The brief as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let mut part = None;
        for line in &self.lines {
            if part != Some(line.part) {
                part = Some(line.part);
                text.push_str(&heading(line.part));
            }
            text.push_str(&shown(&line.text));
        }
        text
    }
}

fn heading(part: BriefPart) -> String {
    format!("## {}\n", part.heading())
}

fn shown(text: &str) -> String {
    format!("- {text}\n")
}

/// What an agent holds, with the claims.
type Held = BTreeMap<String, Place>;

/// What is gathered.
#[derive(Default)]
pub(super) struct Lines(Vec<BriefLine>);

impl Lines {
    pub(super) fn add(&mut self, part: BriefPart, text: String, place: Option<Place>) {
        self.0.push(BriefLine {
            part,
            text: one_line(&text, 2 * TEXT_CHARS_MAX),
            pinned: false,
            record: place.map(|place| place.record),
            since: place.map_or(Stamp::MIN, |place| place.stamp),
            order: self.0.len() as u32,
        });
    }

    /// The same of what no single record says.
    pub(super) fn add_since(&mut self, part: BriefPart, text: String, since: Stamp) {
        self.add(part, text, None);
        if let Some(line) = self.0.last_mut() {
            line.since = since;
        }
    }

    /// The line that was added last goes in before all that is not pinned.
    pub(super) fn pin(&mut self) {
        if let Some(line) = self.0.last_mut() {
            line.pinned = true;
        }
    }
}

impl Reading<'_> {
    /// What the agents of a name need to know to go on: at most so many tokens, counted by bytes, of
    /// what is new since a stamp or of all.
    pub fn brief(&self, name: &str, tokens_max: u64, since: Option<Stamp>) -> BriefView {
        self.gather(name, since).packed(tokens_max, &tokens)
    }

    /// All that may be told, the most useful first: what fits is for whoever counts tokens, and a
    /// node's loop has no time for that.
    pub fn gather(&self, name: &str, since: Option<Stamp>) -> BriefView {
        let agents = self.named(name);
        let mut lines = Lines::default();
        self.brief_you(name, &agents, &mut lines);
        self.brief_decisions(&mut lines);
        let tasks = self.brief_tasks(name, &mut lines);
        let held = self.brief_held(&agents, &mut lines);
        self.brief_interferences(&agents, &mut lines);
        self.brief_together(&agents, &mut lines);
        self.brief_asked(&agents, &mut lines);
        // With a stamp a line told elsewhere may be older than what is asked for.
        let told = tasks.iter().chain(held.keys()).map(String::as_str);
        let told = told.filter(|_| since.is_none()).collect();
        self.brief_lately(&agents, &told, &mut lines);
        self.brief_done(&agents, &held, &mut lines);
        self.brief_near(&agents, &held, &mut lines);
        self.brief_next(&tasks, &mut lines);
        if let Some(since) = since {
            lines
                .0
                .retain(|line| line.part == BriefPart::You || line.since >= since);
            self.brief_over(name, since, &held, &tasks, &mut lines);
        }
        BriefView {
            agent: name.to_string(),
            known: !agents.is_empty(),
            lines: ranked(lines.0),
            left_out: BTreeMap::new(),
            tokens: 0,
            tokens_max: TOKENS_MAX,
            since,
        }
    }

    fn brief_you(&self, name: &str, agents: &BTreeSet<AgentId>, lines: &mut Lines) {
        let iteration = self.iteration();
        let phase = match self.folds.course.phase(iteration, self.at) {
            Phase::Design => "DESIGN",
            Phase::Execution => "EXECUTION",
            Phase::Reflection => "REFLECTION",
        };
        let orchestra = one_line(&self.folds.name, 80);
        let mut words = format!("{name}, iteration {iteration} ({phase})");
        if !orchestra.is_empty() {
            words = format!("{words} of {orchestra}");
        }
        let states = agents
            .iter()
            .filter_map(|agent| self.folds.agents.read(agent, self.at));
        // Of two of one name, the one that acted last says how it is.
        match states.max_by_key(|state| state.last_action) {
            None => words.push_str("; nobody of this name is enrolled"),
            Some(state) => {
                if let Some(presence) = state.presence {
                    let status = format!("{:?}", presence.status).to_lowercase();
                    words = format!("{words}; {status}: {}", clipped(&presence.intent));
                }
            }
        }
        lines.add(BriefPart::You, words, None);
    }

    /// The tasks at hand; gives their names.
    fn brief_tasks(&self, name: &str, lines: &mut Lines) -> BTreeSet<String> {
        let (none, when) = (Circles::new(), self.when());
        let assigned = self.folds.tasks.assigned(name);
        let closed_too = self.folds.interference.sabotage.closed_at_hand;
        let mut tasks: Vec<TaskView> = assigned
            .filter(|task| {
                let status = self.folds.tasks.status(task, when);
                !matches!(status, Some(TaskStatus::Closed | TaskStatus::Deleted)) || closed_too
            })
            .filter_map(|task| self.folds.tasks.read(task, when, &none))
            .filter(|view| view.assignee == name)
            .collect();
        tasks.sort_by_key(|view| {
            let idle = view.status != Some(TaskStatus::InProgress);
            (idle, view.priority.unwrap_or(u8::MAX), view.task.clone())
        });
        tasks.truncate(TASKS_MAX);
        for (place, view) in tasks.iter().enumerate() {
            let words = format!(
                "{}: {}",
                view.task,
                task_words(view, place < TASKS_FULL_MAX)
            );
            lines.add(BriefPart::Task, words, view.changed);
            for other in &view.blocked_by {
                let words = format!("{} waits for task {other}", view.task);
                lines.add(BriefPart::Blockers, words, view.changed);
            }
            for split in view.conflicts.iter().filter(|split| !split.decided) {
                lines.add(
                    BriefPart::Blockers,
                    self.split_words(view, split),
                    view.changed,
                );
            }
        }
        tasks.into_iter().map(|view| view.task).collect()
    }

    /// A field of a task that waits for somebody to say what it is.
    fn split_words(&self, view: &TaskView, split: &ConflictView) -> String {
        let names: BTreeSet<String> = split
            .values
            .iter()
            .map(|(_, agent, _)| self.folds.agents.name(agent))
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        let field = split.field.to_lowercase();
        let (task, by) = (&view.task, clipped(&names.join(", ")));
        format!("{task}: its {field} was written at once by {by}: write which counts")
    }

    /// What it holds; gives the topics with their claims.
    fn brief_held(&self, agents: &BTreeSet<AgentId>, lines: &mut Lines) -> Held {
        let mut held = Held::new();
        for agent in agents {
            for topic in self.held_by(agent) {
                let state = self.topic(topic);
                let Some(holding) = state.holding.filter(|held| held.agent == *agent) else {
                    continue;
                };
                let left = span(self.at, holding.until);
                let renew = if state.token_valid() {
                    ""
                } else {
                    "; renew it before you go on"
                };
                let words = format!("{topic} for {left} more{renew}");
                lines.add(BriefPart::Held, words, Some(holding.token));
                held.insert(topic.to_string(), holding.claim);
            }
        }
        held
    }

    fn brief_interferences(&self, agents: &BTreeSet<AgentId>, lines: &mut Lines) {
        let found = self.interferences(Some(agents), INTERFERENCES_MAX);
        // What others need of it is told in words of its own.
        let names_it = |one: &&InterferenceView| {
            let mut sides = one.sides.iter();
            sides.any(|side| agents.contains(&side.agent))
        };
        for one in found.interferences.iter().filter(names_it) {
            let part = match (one.kind, one.is_open()) {
                (InterferenceKind::Unanswered, true) => BriefPart::Blockers,
                _ => BriefPart::Interferences,
            };
            let last = one.sides.iter().map(|side| side.place).max();
            lines.add(part, interference_words(one, agents), last);
            if let Some(line) = lines.0.last_mut() {
                line.since = match &one.resolution {
                    Some(resolution) => resolution.place.stamp,
                    None => one.since,
                };
            }
        }
    }

    fn brief_asked(&self, agents: &BTreeSet<AgentId>, lines: &mut Lines) {
        let moment = self.moment();
        for topic in self.asked_of(agents) {
            let asked = self.folds.interference.asked(topic, moment, NEAR_MAX);
            for (agent, place) in asked.iter().filter(|(agent, _)| !agents.contains(agent)) {
                let said = self.folds.signals.get(place);
                let words = said.map_or_else(String::new, |one| clipped(&one.signal.text));
                let name = self.folds.agents.name(agent);
                let words = format!("{name} needs {topic}: {words}");
                lines.add(BriefPart::Asked, words, Some(*place));
            }
        }
    }

    fn brief_done(&self, agents: &BTreeSet<AgentId>, held: &Held, lines: &mut Lines) {
        let own = agents
            .iter()
            .flat_map(|agent| self.folds.agents.marks_of(agent, self.at));
        let files_held = held.iter().filter(|(topic, _)| topic.contains('/'));
        let mut touched: Vec<(String, Option<Place>)> = files_held
            .map(|(topic, claim)| (topic.clone(), Some(*claim)))
            .collect();
        for (place, one) in own {
            let words = format!("{}: {}", one.mark.about, clipped(&one.mark.text));
            lines.add(BriefPart::Done, words, Some(place));
            for text in [&one.mark.about, &one.mark.text] {
                let files = files(text).into_iter();
                touched.extend(files.map(|file| (file, Some(place))));
            }
        }
        let mut told = BTreeSet::new();
        touched.retain(|(file, _)| told.insert(file.clone()));
        touched.truncate(FILES_MAX);
        for (file, place) in touched {
            lines.add(BriefPart::Files, file, place);
        }
    }

    fn brief_near(&self, agents: &BTreeSet<AgentId>, held: &Held, lines: &mut Lines) {
        let mut near: BTreeMap<AgentId, (Place, String)> = BTreeMap::new();
        for own in agents {
            for one in self.folds.interference.alike(own, self.at) {
                let (agent, place) = if one.first_agent == *own {
                    (one.second_agent, one.second)
                } else {
                    (one.first_agent, one.first)
                };
                debug_assert!(one.likeness >= LIKENESS_FLOOR, "less alike is not kept");
                near.entry(agent).or_insert_with(|| {
                    let said = self.folds.signals.get(&place);
                    let words = said.map_or_else(String::new, |said| {
                        let topic = &said.signal.topic;
                        let text = one_line(&said.signal.text, NEAR_CHARS_MAX);
                        format!("means to work on {topic}: {text}")
                    });
                    (place, words)
                });
            }
        }
        for topic in held.keys() {
            for other in self.folds.interference.topics_beside(topic, self.at) {
                if let Some(holding) = self.topic(other).holding {
                    let words = format!("holds {other}");
                    near.entry(holding.agent).or_insert((holding.claim, words));
                }
            }
        }
        let others = near
            .into_iter()
            .filter(|(agent, _)| !agents.contains(agent));
        let mut others: Vec<_> = others.collect();
        others.sort_by_key(|(_, (place, _))| Reverse(*place));
        for (agent, (place, words)) in others.into_iter().take(NEAR_MAX) {
            let words = format!("{} {words}", self.folds.agents.name(&agent));
            lines.add(BriefPart::Near, words, Some(place));
        }
    }

    fn brief_next(&self, own: &BTreeSet<String>, lines: &mut Lines) {
        let (none, when) = (Circles::new(), self.when());
        // The index remembers what was open once, on some nodes longer than on others.
        let open = self.folds.tasks.may_be_open();
        let open = open.filter(|(priority, name)| {
            self.folds.tasks.status(name, when) == Some(TaskStatus::Open)
                && self.folds.tasks.priority(name, when).unwrap_or(u8::MAX) == *priority
        });
        let open = open.take(NEXT_LOOKED_MAX);
        let mut told = BTreeSet::new();
        for (_, name) in open {
            if told.len() >= NEXT_TOLD_MAX {
                break;
            }
            let Some(view) = self.folds.tasks.read(name, when, &none) else {
                continue;
            };
            let free = view.assignee.is_empty() && view.blocked_by.is_empty();
            if free && !own.contains(name) && told.insert(name) {
                let words = format!("{name}: {}", task_words(&view, false));
                lines.add(BriefPart::Next, words, view.changed);
            }
        }
    }
}

fn task_words(view: &TaskView, full: bool) -> String {
    let mut words = clipped(&view.title);
    if let Some(priority) = view.priority {
        words = format!("{words} [priority {priority}]");
    }
    if full && !view.description.is_empty() {
        words = format!("{words} — {}", clipped(&view.description));
    }
    words
}

fn interference_words(one: &InterferenceView, agents: &BTreeSet<AgentId>) -> String {
    let kind = match one.kind {
        InterferenceKind::Contested => "contested claim",
        InterferenceKind::Overlap => "overlapping claims",
        InterferenceKind::Unanswered => "nobody offers",
        InterferenceKind::Collision => "like intentions",
    };
    let others = one
        .sides
        .iter()
        .filter(|side| !agents.contains(&side.agent));
    let mut others: Vec<String> = others
        .map(|side| format!("{} ({})", side.name, side.topic))
        .collect();
    if others.is_empty() {
        others.extend(one.sides.iter().map(|side| side.topic.clone()));
    }
    let mut words = format!("{kind}: {}", others.join(", "));
    if let Some(winner) = &one.decided_for {
        words = format!("{words}; {winner} goes on");
    }
    match &one.resolution {
        Some(resolution) => format!(
            "{words}; resolved by {}: {}",
            resolution.name,
            clipped(&resolution.outcome)
        ),
        None if one.blocking => format!("{words}; blocks until resolved: {}", one.id),
        // An id is as long as three short lines, and who need not resolve it can look it up.
        None => words,
    }
}

/// The beginning of a text, on one line.
pub(super) fn clipped(text: &str) -> String {
    one_line(text, TEXT_CHARS_MAX)
}

fn one_line(text: &str, chars_max: usize) -> String {
    let mut words = String::new();
    for (chars, c) in text.trim().chars().enumerate() {
        if chars == chars_max {
            words.push('…');
            break;
        }
        // What turns the direction of writing or hides could make a line look like another.
        let hides = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        words.push(if c.is_control() {
            ' '
        } else if hides {
            '\u{fffd}'
        } else {
            c
        });
    }
    words
}

/// How long it is from one stamp to another, in words.
fn span(from: Stamp, until: Stamp) -> String {
    let seconds = until.as_ms().saturating_sub(from.as_ms()) / 1_000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}
