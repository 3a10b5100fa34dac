//! From a tree to numbers, in one pass and without recursion: however deep the tree is, the stack of
//! this program is not.

use tree_sitter::{Node, Tree, TreeCursor};

use crate::language::{Dialect, Language};
use crate::limits::{
    CHAIN_CALLS, CHAIN_CHARACTERS_MAX, LINE_CHARACTERS_MAX, LIST_CHARACTERS_MAX, NAME_BYTES_MAX,
    NODES_MAX, TREE_DEPTH_MAX,
};
use crate::macros::{Tokens, text_tally};
use crate::report::{Function, Refusal, Report, TOP_LEVEL};
use crate::rules::{
    BRACED, CASE, COMMENT, CONTAINER, DECISION, DECLARATION, FUNCTION, LINE, LIST, LOGICAL, MACRO,
    MACRO_TEXT, MAY_FAIL, PREPROCESSOR, PREPROCESSOR_BODY, Roles, SEQUENCE, SWITCH, TOKENS,
    decides, roles,
};

/// What has been counted so far; what a function holds is the difference between two of these.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) decisions: u32,
    pub(crate) lines: u32,
    pub(crate) characters: u32,
}

impl Tally {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            decisions: self.decisions + other.decisions,
            lines: self.lines + other.lines,
            characters: self.characters + other.characters,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            decisions: self.decisions - other.decisions,
            lines: self.lines - other.lines,
            characters: self.characters - other.characters,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// The file: what stands in functions and macros is not its own.
    Top,
    /// A macro outside of functions: what stands in its functions is not its own.
    Macro,
    /// A function: all in it is its own.
    Function,
}

/// Something that is being measured.
struct Frame {
    kind: Kind,
    /// Where its place among the results is.
    place: usize,
    at_start: Tally,
    /// What others in it have counted for themselves.
    others: Tally,
}

/// Something that has been measured, but for the lines, which are known in the end.
struct Measured {
    kind: Kind,
    name: String,
    rows: (usize, usize),
    tally: Tally,
    /// The rows of others in it.
    others: Vec<(usize, usize)>,
}

/// A node on the way from the root to where the walk is.
struct Step<'t> {
    node: Node<'t>,
    roles: Roles,
    opens: bool,
    /// Whether it would begin a line.
    begins: bool,
    /// How wide it is on one line, without what has lines of its own.
    width: usize,
    /// The commas right in it.
    commas: u32,
    /// The calls in it upon what another expression gives.
    links: u32,
    tokens: Tokens<'t>,
}

struct Walk<'t> {
    language: Language,
    text: &'t str,
    roles: Vec<Roles>,
    steps: Vec<Step<'t>>,
    frames: Vec<Frame>,
    measured: Vec<Measured>,
    tally: Tally,
    /// The rows with code on them.
    code: Vec<bool>,
}

/// Measures all functions of a tree that has no errors.
pub(crate) fn walk(dialect: Dialect, text: &str, tree: &Tree) -> Result<Report, Refusal> {
    let rows = text.split('\n').count();
    let mut walk = Walk {
        language: dialect.language(),
        text,
        roles: roles(dialect, &tree.language()),
        steps: Vec::new(),
        frames: Vec::new(),
        measured: Vec::new(),
        tally: Tally::default(),
        code: vec![false; rows],
    };
    walk.open(Kind::Top, TOP_LEVEL, (0, rows - 1));
    walk.nodes(&mut tree.walk())?;
    walk.close();
    Ok(walk.report())
}

impl<'t> Walk<'t> {
    fn nodes(&mut self, cursor: &mut TreeCursor<'t>) -> Result<(), Refusal> {
        for _ in 0..NODES_MAX {
            let line = cursor.node().start_position().row as u32 + 1;
            if self.steps.len() >= TREE_DEPTH_MAX {
                return Err(Refusal::TooDeep { line });
            }
            let descends = self.enter(cursor);
            if descends && cursor.goto_first_child() {
                continue;
            }
            loop {
                self.leave();
                if cursor.goto_next_sibling() {
                    break;
                }
                if !cursor.goto_parent() {
                    return Ok(());
                }
            }
        }
        let line = cursor.node().start_position().row as u32 + 1;
        Err(Refusal::TooMuchWork { line })
    }

    /// Counts a node and says whether to go into it.
    fn enter(&mut self, cursor: &TreeCursor<'t>) -> bool {
        let node = cursor.node();
        let roles = self.roles.get(usize::from(node.kind_id())).copied();
        let roles = roles.unwrap_or_default();
        let descends = !self.is_passed_over(cursor, node, roles);
        let begins = descends && self.begins_line(cursor, node, roles);
        let mut opens = false;
        if descends {
            self.tally.lines += u32::from(begins);
            opens = self.opens(node, roles);
            self.tally.decisions += u32::from(self.decides(node, roles));
            if node.child_count() == 0 {
                self.leaf(node, roles);
            }
        }
        self.steps.push(Step {
            node,
            roles,
            opens,
            begins,
            width: if node.child_count() == 0 {
                width(self.of(node))
            } else {
                0
            },
            commas: 0,
            links: u32::from(is_link(node)),
            tokens: Tokens::default(),
        });
        descends
    }

    fn leave(&mut self) {
        let Some(step) = self.steps.pop() else {
            return;
        };
        let (lines, width) = self.laid_out(&step);
        if !self.is_within(Kind::Top) {
            self.tally.lines += lines;
        }
        if step.opens {
            self.close();
        }
        if let Some(parent) = self.steps.last_mut() {
            parent.width += width;
            // A list and a block are one link each, whatever is in them.
            if !step.begins && !step.roles.has(LIST) && !step.roles.has(BRACED) {
                parent.links += step.links;
            }
            parent.commas += u32::from(step.node.kind() == ",");
        }
    }

    /// The lines that a formatter would add within a node, beyond those that its parts begin, and
    /// how much of it stays on the line where it stands.
    fn laid_out(&self, step: &Step<'t>) -> (u32, usize) {
        let parent = self.steps.last().map(|parent| parent.node);
        let closes = step.roles.has(SWITCH)
            || (step.roles.has(BRACED) && closes_line(self.language, step.node, parent));
        if closes {
            return (1, 2);
        }
        if step.roles.has(LIST) && step.width > LIST_CHARACTERS_MAX {
            return (step.commas + 2, 2);
        }
        if step.begins {
            let chain = step.links >= CHAIN_CALLS && step.width > CHAIN_CHARACTERS_MAX;
            let links = if chain { step.links } else { 0 };
            return (links.max((step.width / LINE_CHARACTERS_MAX) as u32), 0);
        }
        (0, step.width)
    }

    fn of(&self, node: Node<'t>) -> &'t str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn parent_has(&self, role: Roles) -> bool {
        self.steps.last().is_some_and(|step| step.roles.has(role))
    }

    fn is_within(&self, kind: Kind) -> bool {
        self.frames.last().is_some_and(|frame| frame.kind == kind)
    }

    /// Comments, the documentation of a Python function, and the conditions under which a header is
    /// compiled at all.
    fn is_passed_over(&self, cursor: &TreeCursor<'t>, node: Node<'t>, roles: Roles) -> bool {
        let header = self.is_within(Kind::Top)
            && self.parent_has(PREPROCESSOR)
            && cursor.field_name() == Some("condition");
        header || roles.has(COMMENT) || (self.language == Language::Python && is_lone_string(node))
    }

    fn begins_line(&self, cursor: &TreeCursor<'t>, node: Node<'t>, roles: Roles) -> bool {
        let Some(parent) = self.steps.last() else {
            return false;
        };
        if !node.is_named() {
            return node.kind() == "," && parent.roles.has(SEQUENCE);
        }
        let top = self.is_within(Kind::Top);
        if top && (roles.has(DECLARATION) || is_assignment(node)) {
            return false;
        }
        let listed = parent.roles.has(CONTAINER)
            || (parent.roles.has(PREPROCESSOR_BODY) && self.is_within(Kind::Function));
        if !listed {
            return roles.has(LINE);
        }
        let named = matches!(cursor.field_name(), Some("value" | "condition" | "name"));
        (!named && !self.may_stay_beside_its_brace()) || roles.has(LINE)
    }

    /// Whether the walk is in a block that a formatter may leave on one line.
    fn may_stay_beside_its_brace(&self) -> bool {
        let mut outwards = self.steps.iter().rev().peekable();
        outwards.next_if(|step| step.node.kind() == "statement_list");
        let block = outwards.next().filter(|step| step.roles.has(BRACED));
        let around = outwards.next().map(|step| step.node);
        block.is_some_and(|block| !closes_line(self.language, block.node, around))
    }

    fn decides(&self, node: Node<'t>, roles: Roles) -> bool {
        if !node.is_named() {
            return self.parent_has(LOGICAL) && decides(node.kind());
        }
        roles.has(DECISION)
            || (roles.has(CASE) && !self.is_default(node))
            || (roles.has(MAY_FAIL) && node.child_by_field_name("alternative").is_some())
            || (roles.has(PREPROCESSOR) && self.is_within(Kind::Function))
    }

    /// Whether a case is the one that is left when no other holds.
    fn is_default(&self, node: Node<'t>) -> bool {
        let is_rest = |child: Option<Node<'t>>| child.is_some_and(|child| self.of(child) == "_");
        match node.kind() {
            "match_arm" => is_rest(node.child_by_field_name("pattern")),
            "case_clause" => {
                is_rest(node.named_child(0)) && node.child_by_field_name("guard").is_none()
            }
            // `default`, and `case null, default`.
            _ => [0, node.child_count().saturating_sub(1)]
                .into_iter()
                .filter_map(|index| node.child(index))
                .any(|child| self.of(child) == "default"),
        }
    }

    /// Begins to measure what this node holds, if it is measured by itself.
    fn opens(&mut self, node: Node<'t>, roles: Roles) -> bool {
        let rows = (node.start_position().row, node.end_position().row);
        // `= default` and `= delete` declare.
        let declared =
            node.kind() == "function_definition" && node.child_by_field_name("body").is_none();
        if roles.has(FUNCTION) && !declared {
            let name = self.name(node);
            self.open(Kind::Function, &name, rows);
            return true;
        }
        if roles.has(MACRO) && !self.is_within(Kind::Function) {
            let name = self.macro_name(node);
            self.open(Kind::Macro, &name, rows);
            return true;
        }
        let group = self.of(node);
        let tokens = self.steps.last_mut().filter(|step| step.roles.has(TOKENS));
        if let Some(step) = tokens
            && roles.has(TOKENS)
            && let Some(name) = step.tokens.take_group(group)
        {
            self.open(Kind::Function, name, rows);
            return true;
        }
        false
    }

    fn open(&mut self, kind: Kind, name: &str, rows: (usize, usize)) {
        self.frames.push(Frame {
            kind,
            place: self.measured.len(),
            at_start: self.tally,
            others: Tally::default(),
        });
        self.measured.push(Measured {
            kind,
            name: shortened(name),
            rows,
            tally: Tally::default(),
            others: Vec::new(),
        });
    }

    fn close(&mut self) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let whole = self.tally.minus(frame.at_start);
        self.measured[frame.place].tally = whole.minus(frame.others);
        let rows = self.measured[frame.place].rows;
        if let Some(outer) = self.frames.last_mut()
            && outer.kind != Kind::Function
        {
            outer.others = outer.others.plus(whole);
            self.measured[outer.place].others.push(rows);
        }
    }

    /// A token: it makes its rows rows of code, and counts by itself where no tree says more.
    fn leaf(&mut self, node: Node<'t>, roles: Roles) {
        let text = self.of(node);
        let characters = text.chars().filter(|c| !c.is_whitespace()).count();
        if characters == 0 {
            return;
        }
        self.tally.characters += characters.min(LINE_CHARACTERS_MAX) as u32;
        let first = node.start_position().row;
        for (index, line) in text.split('\n').enumerate() {
            if let Some(code) = self.code.get_mut(first + index) {
                *code |= !line.trim().is_empty();
            }
        }
        if roles.has(MACRO_TEXT) {
            self.macro_text(node, text);
        } else if let Some(step) = self.steps.last_mut().filter(|step| step.roles.has(TOKENS)) {
            self.tally = self.tally.plus(step.tokens.take(text));
        }
    }

    /// A `#define` is a function of its own if it does more than name a value.
    fn macro_text(&mut self, node: Node<'t>, text: &str) {
        let Some(parent) = self.steps.last().map(|step| step.node) else {
            return;
        };
        let Some(name) = parent.child_by_field_name("name") else {
            return;
        };
        let tally = text_tally(self.language, text);
        let rows = (parent.start_position().row, node.end_position().row);
        if tally.decisions > 0 || tally.lines > 1 || rows.0 < rows.1 {
            self.measured.push(Measured {
                kind: Kind::Macro,
                name: shortened(self.of(name)),
                rows,
                tally,
                others: Vec::new(),
            });
        }
    }

    fn name(&self, node: Node<'t>) -> String {
        if let Some(name) = node.child_by_field_name("name") {
            return self.of(name).to_owned();
        }
        match node.kind() {
            "function_definition" => return self.declared_name(node),
            "static_initializer" | "class_static_block" => return "(static)".to_owned(),
            _ => {}
        }
        let parent = self.steps.last().map(|step| step.node);
        let named = parent.and_then(|parent| match parent.kind() {
            "variable_declarator" | "public_field_definition" => parent.child_by_field_name("name"),
            "field_definition" => parent.child_by_field_name("property"),
            "pair" => parent.child_by_field_name("key"),
            _ => None,
        });
        named.map_or("(closure)", |name| self.of(name)).to_owned()
    }

    /// In C the name stands within pointers, arrays and parentheses.
    fn declared_name(&self, node: Node<'t>) -> String {
        let mut here = node;
        for _ in 0..TREE_DEPTH_MAX {
            let inner = here.child_by_field_name("declarator").or_else(|| {
                let wraps = matches!(
                    here.kind(),
                    "parenthesized_declarator" | "reference_declarator" | "attributed_declarator"
                );
                wraps.then(|| here.named_child(0)).flatten()
            });
            match inner {
                Some(inner) if here.kind() != "operator_cast" => here = inner,
                _ => break,
            }
        }
        self.of(here).to_owned()
    }

    /// `name!`, told by the macro that is called or by the definition around a rule.
    fn macro_name(&self, node: Node<'t>) -> String {
        let definition = self.steps.last().map(|step| step.node);
        let name = node
            .child_by_field_name("macro")
            .or_else(|| definition?.child_by_field_name("name"));
        format!("{}!", name.map_or("", |name| self.of(name)))
    }

    fn report(&self) -> Report {
        // How many rows of code stand before each row.
        let mut before = vec![0_u32];
        for code in &self.code {
            before.push(before[before.len() - 1] + u32::from(*code));
        }
        let rows_of_code = |(first, last): (usize, usize)| {
            let end = (last + 1).min(self.code.len());
            before[end] - before[first.min(end)]
        };
        let (top, others) = self.measured.split_at(1);
        let functions: Vec<Function> = others
            .iter()
            .chain(
                top.iter()
                    .filter(|top| top.tally.decisions + top.tally.lines > 0),
            )
            .map(|measured| measured.function(rows_of_code))
            .collect();
        let complexities = functions.iter().map(|function| function.complexity);
        let lengths = functions.iter().map(|function| function.length);
        Report {
            language: self.language,
            complexity_max: complexities.max().unwrap_or(1),
            length_max: lengths.max().unwrap_or(0),
            lines: self.text.lines().count() as u32,
            functions,
        }
    }
}

impl Measured {
    fn function(&self, rows_of_code: impl Fn((usize, usize)) -> u32) -> Function {
        let others: u32 = self.others.iter().map(|rows| rows_of_code(*rows)).sum();
        let rows = rows_of_code(self.rows).saturating_sub(others);
        let full_lines = self.tally.characters.div_ceil(LINE_CHARACTERS_MAX as u32);
        let length = match self.kind {
            // Types, imports and data are no work.
            Kind::Top => self.tally.lines,
            // The head is a line too.
            Kind::Macro | Kind::Function => rows.max(self.tally.lines + 1).max(full_lines),
        };
        Function {
            name: self.name.clone(),
            first_line: self.rows.0 as u32 + 1,
            last_line: self.rows.1 as u32 + 1,
            complexity: self.tally.decisions + 1,
            length,
        }
    }
}

/// A closing brace has a line of its own where a formatter would not have left it on another. Some
/// leave a short function or closure on one line, Rust's a block without a semicolon.
fn closes_line(language: Language, block: Node<'_>, around: Option<Node<'_>>) -> bool {
    let list = block
        .named_child(0)
        .filter(|child| child.kind() == "statement_list");
    let holds = list.unwrap_or(block);
    match holds.named_child_count() {
        0 => return false,
        1 => {}
        _ => return true,
    }
    let around = around.map_or("", |node| node.kind());
    let ends = holds
        .named_child(0)
        .is_some_and(|only| matches!(only.kind(), "expression_statement" | "let_declaration"));
    match language {
        Language::Rust => ends || around == "function_item",
        Language::JavaScript | Language::TypeScript | Language::Java => true,
        _ => !matches!(
            around,
            "function_definition"
                | "lambda_expression"
                | "function_declaration"
                | "method_declaration"
                | "func_literal"
        ),
    }
}

/// Whether a method is called here.
fn is_link(node: Node<'_>) -> bool {
    let called = match node.kind() {
        "call_expression" | "call" => node.child_by_field_name("function"),
        "method_invocation" => return node.child_by_field_name("object").is_some(),
        _ => None,
    };
    called.is_some_and(|called| {
        matches!(
            called.kind(),
            "field_expression" | "member_expression" | "selector_expression" | "attribute"
        )
    })
}

/// How wide a token is, with the space that it would stand apart by.
fn width(token: &str) -> usize {
    let characters = token.chars().filter(|c| !c.is_whitespace()).count();
    let apart = token.starts_with(|c: char| c.is_alphanumeric() || c == '=' || c == '&');
    characters.min(LIST_CHARACTERS_MAX) + usize::from(apart)
}

/// A string that is a statement by itself, and does nothing.
fn is_lone_string(node: Node<'_>) -> bool {
    let alone = node.kind() == "expression_statement" && node.child_count() == 1;
    let Some(string) = node
        .child(0)
        .filter(|child| alone && child.kind() == "string")
    else {
        return false;
    };
    let mut cursor = string.walk();
    let does_something = string
        .children(&mut cursor)
        .any(|child| child.kind() == "interpolation");
    !does_something
}

/// `name = value` in Python.
fn is_assignment(node: Node<'_>) -> bool {
    node.kind() == "expression_statement"
        && node
            .child(0)
            .is_some_and(|child| child.kind() == "assignment")
}

fn shortened(name: &str) -> String {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}
