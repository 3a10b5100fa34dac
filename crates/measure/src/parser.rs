//! Bytes into a syntax tree, with a bound on the steps that it may take.
//!
//! The grammars are tree-sitter's, in C. What keeps them from hurting: the size of the file, its
//! nesting (`nesting.rs`), and the steps and readings that are counted here. Who stops them is never a clock.

use core::cell::Cell;
use core::ops::ControlFlow;

use tree_sitter::{ParseOptions, ParseState, Parser, Tree};

use crate::language::{Dialect, Language};
use crate::limits::{CHUNK_BYTES, CHUNKS_READ_MAX, PARSER_HUNDREDS_MAX};
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

/// Why the parser was told to stop, and how far it had come.
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
    let reads = Cell::new(0_usize);
    let mut hundreds = 0_usize;
    let mut stop = None;
    let mut watch = |state: &ParseState| {
        hundreds += 1;
        let at = state.current_byte_offset();
        if state.has_error() {
            stop = Some(Stop::Error(at));
        } else if hundreds > PARSER_HUNDREDS_MAX || reads.get() > CHUNKS_READ_MAX {
            stop = Some(Stop::Work(at));
        }
        match stop {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    };
    let mut read = |at: usize, _| {
        reads.set(reads.get() + 1);
        // Nobody can be told to stop here, but there can be no more to read.
        if reads.get() > CHUNKS_READ_MAX {
            return "".as_bytes();
        }
        chunk(text, at)
    };
    let options = ParseOptions::new().progress_callback(&mut watch);
    let tree = parser.parse_with_options(&mut read, None, Some(options));
    if stop.is_none() && reads.get() > CHUNKS_READ_MAX {
        stop = Some(Stop::Work(0));
    }
    let line = |at| crate::line_at(text.as_bytes(), at);
    match (tree, stop) {
        (_, Some(Stop::Error(at))) => Err(Refusal::Unparsable { line: line(at) }),
        (_, Some(Stop::Work(at))) => Err(Refusal::TooMuchWork { line: line(at) }),
        (Some(tree), None) => first_error(&tree).map_or(Ok(tree), Err),
        (None, None) => Err(Refusal::Unparsable { line: 1 }),
    }
}

/// What is read at once from here: whole characters, at least one until the end.
fn chunk(text: &str, at: usize) -> &[u8] {
    let bytes = text.as_bytes();
    let at = at.min(bytes.len());
    let mut end = (at + CHUNK_BYTES).min(bytes.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    &bytes[at..end]
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
