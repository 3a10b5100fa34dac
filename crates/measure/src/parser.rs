//! Bytes into a syntax tree, with a bound on the steps that it may take.
//!
//! The grammars are tree-sitter's, in C. Three things keep them from hurting: the size of the file,
//! its nesting (`nesting.rs`), and the steps that are counted here. Who stops them is never a clock.

use core::ops::ControlFlow;

use tree_sitter::{ParseOptions, ParseState, Parser, Tree};

use crate::language::{Dialect, Language};
use crate::limits::PARSER_HUNDREDS_MAX;
use crate::report::Refusal;

pub(crate) fn grammar(dialect: Dialect) -> tree_sitter::Language {
    let function = match dialect {
        Dialect::Plain(Language::Rust) => tree_sitter_rust::LANGUAGE,
        Dialect::Plain(Language::Python) => tree_sitter_python::LANGUAGE,
        Dialect::Plain(Language::C) => tree_sitter_c::LANGUAGE,
        Dialect::Plain(Language::Cpp) => tree_sitter_cpp::LANGUAGE,
        Dialect::Plain(Language::Go) => tree_sitter_go::LANGUAGE,
        Dialect::Plain(Language::Java) => tree_sitter_java::LANGUAGE,
        Dialect::Plain(Language::JavaScript) => tree_sitter_javascript::LANGUAGE,
        Dialect::Plain(Language::TypeScript) => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        Dialect::Tsx => tree_sitter_typescript::LANGUAGE_TSX,
    };
    function.into()
}

/// Why the parser was told to stop.
#[derive(Clone, Copy)]
enum Stop {
    Work(usize),
    /// Every reading of the file so far is in error, so every tree would hold one.
    Error(usize),
}

/// The tree of a text without errors, as far as the tree's own flag says so.
pub(crate) fn parse(dialect: Dialect, text: &str) -> Result<Tree, Refusal> {
    let mut parser = Parser::new();
    // Only a grammar for another version of the library is refused; a test loads them all.
    if parser.set_language(&grammar(dialect)).is_err() {
        return Err(Refusal::UnknownLanguage);
    }
    let mut hundreds = 0_usize;
    let mut stop = None;
    let mut watch = |state: &ParseState| {
        hundreds += 1;
        let at = state.current_byte_offset();
        if state.has_error() {
            stop = Some(Stop::Error(at));
        } else if hundreds > PARSER_HUNDREDS_MAX {
            stop = Some(Stop::Work(at));
        }
        match stop {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    };
    let bytes = text.as_bytes();
    let mut read = |at: usize, _| &bytes[at.min(bytes.len())..];
    let options = ParseOptions::new().progress_callback(&mut watch);
    let tree = parser.parse_with_options(&mut read, None, Some(options));
    match (tree, stop) {
        (Some(tree), None) => first_error(&tree).map_or(Ok(tree), Err),
        (_, Some(Stop::Error(at))) => Err(Refusal::Unparsable {
            line: crate::line_at(bytes, at),
        }),
        (_, Some(Stop::Work(at))) => Err(Refusal::TooMuchWork {
            line: crate::line_at(bytes, at),
        }),
        (None, None) => Err(Refusal::Unparsable { line: 1 }),
    }
}

/// Goes down where errors are, to the first one.
fn first_error(tree: &Tree) -> Option<Refusal> {
    if !tree.root_node().has_error() {
        return None;
    }
    let mut cursor = tree.walk();
    loop {
        let node = cursor.node();
        let line = node.start_position().row as u32 + 1;
        if node.is_error() || node.is_missing() {
            return Some(Refusal::Unparsable { line });
        }
        let deeper = node.has_error() && cursor.goto_first_child();
        if !deeper && !cursor.goto_next_sibling() {
            return Some(Refusal::Unparsable { line });
        }
    }
}
