//! What counts, for each language: the names that its grammar gives to the nodes of the tree. The
//! same table, in words, stands in `docs/measuring.md`.

use crate::language::{Dialect, Language};

/// The roles that nodes of one kind play. One kind may play several.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Roles(u32);

/// Has a body that is measured as a function.
pub(crate) const FUNCTION: Roles = Roles(1);
/// Is a decision.
pub(crate) const DECISION: Roles = Roles(1 << 1);
/// Is a decision unless it is the default.
pub(crate) const CASE: Roles = Roles(1 << 2);
/// Holds operators that decide, as signs or words.
pub(crate) const LOGICAL: Roles = Roles(1 << 3);
/// What stands in it would each begin a line.
pub(crate) const CONTAINER: Roles = Roles(1 << 4);
/// Would begin a line wherever it stands.
pub(crate) const LINE: Roles = Roles(1 << 5);
/// Is a comment.
pub(crate) const COMMENT: Roles = Roles(1 << 7);
/// Declares; outside of functions it is no work.
pub(crate) const DECLARATION: Roles = Roles(1 << 8);
/// Is a condition of the preprocessor: a decision within a function.
pub(crate) const PREPROCESSOR: Roles = Roles(1 << 9);
/// Holds tokens without a tree.
pub(crate) const TOKENS: Roles = Roles(1 << 10);
/// Is measured like a function where it stands outside of one.
pub(crate) const MACRO: Roles = Roles(1 << 11);
/// Is the text of a macro's body.
pub(crate) const MACRO_TEXT: Roles = Roles(1 << 12);
/// Is a decision if it has an alternative.
pub(crate) const MAY_FAIL: Roles = Roles(1 << 13);
/// Is a container within a function: a branch of the preprocessor.
pub(crate) const PREPROCESSOR_BODY: Roles = Roles(1 << 14);
/// Ends with a brace, on a line of its own unless a formatter may leave what is in it beside it.
pub(crate) const BRACED: Roles = Roles(1 << 15);
/// Each of its commas stands for the end of a statement.
pub(crate) const SEQUENCE: Roles = Roles(1 << 16);

/// A list in brackets, which is broken into a line for each element if it does not fit on one.
pub(crate) const LIST: Roles = Roles(1 << 17);
/// Ends with a brace that always has a line of its own.
pub(crate) const SWITCH: Roles = Roles(1 << 18);

impl Roles {
    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

type Table = &'static [(Roles, &'static [&'static str])];

const RUST: Table = &[
    (FUNCTION, &["function_item", "closure_expression"]),
    (
        DECISION,
        &[
            "if_expression",
            "while_expression",
            "for_expression",
            "loop_expression",
        ],
    ),
    (CASE, &["match_arm"]),
    (
        LOGICAL,
        &["binary_expression", "let_chain", "match_pattern"],
    ),
    (CONTAINER, &["block"]),
    (LINE, &["match_arm"]),
    (COMMENT, &["line_comment", "block_comment", "shebang"]),
    (BRACED, &["block"]),
    (TOKENS, &["token_tree", "token_repetition"]),
    (MACRO, &["macro_invocation", "macro_rule"]),
    (MAY_FAIL, &["let_declaration"]),
    (
        LIST,
        &[
            "arguments",
            "parameters",
            "array_expression",
            "tuple_expression",
            "field_initializer_list",
            "token_tree",
        ],
    ),
    (SWITCH, &["match_block"]),
];

const PYTHON: Table = &[
    (FUNCTION, &["function_definition", "lambda"]),
    (
        DECISION,
        &[
            "if_statement",
            "elif_clause",
            "for_statement",
            "while_statement",
            "except_clause",
            "conditional_expression",
            "for_in_clause",
            "if_clause",
        ],
    ),
    (CASE, &["case_clause"]),
    (LOGICAL, &["boolean_operator"]),
    (CONTAINER, &["module", "block"]),
    (
        LINE,
        &[
            "elif_clause",
            "else_clause",
            "except_clause",
            "finally_clause",
            "decorator",
        ],
    ),
    (COMMENT, &["comment"]),
    (
        DECLARATION,
        &[
            "import_statement",
            "import_from_statement",
            "future_import_statement",
            "type_alias_statement",
            "class_definition",
            "function_definition",
            "decorated_definition",
            "decorator",
            "pass_statement",
        ],
    ),
    (
        LIST,
        &[
            "argument_list",
            "parameters",
            "list",
            "dictionary",
            "set",
            "tuple",
        ],
    ),
];

const C: Table = &[
    (FUNCTION, &["function_definition"]),
    (
        DECISION,
        &[
            "if_statement",
            "for_statement",
            "while_statement",
            "do_statement",
            "conditional_expression",
            "seh_except_clause",
        ],
    ),
    (CASE, &["case_statement"]),
    (LOGICAL, &["binary_expression"]),
    (CONTAINER, &["compound_statement", "case_statement"]),
    (SEQUENCE, &["comma_expression"]),
    (COMMENT, &["comment"]),
    (
        PREPROCESSOR,
        &[
            "preproc_if",
            "preproc_ifdef",
            "preproc_elif",
            "preproc_elifdef",
        ],
    ),
    (
        PREPROCESSOR_BODY,
        &[
            "preproc_if",
            "preproc_ifdef",
            "preproc_elif",
            "preproc_elifdef",
            "preproc_else",
        ],
    ),
    (BRACED, &["compound_statement"]),
    (MACRO_TEXT, &["preproc_arg"]),
    (
        LIST,
        &["argument_list", "parameter_list", "initializer_list"],
    ),
];

const CPP: Table = &[
    (FUNCTION, &["lambda_expression"]),
    (DECISION, &["for_range_loop", "catch_clause"]),
];

const GO: Table = &[
    (
        FUNCTION,
        &["function_declaration", "method_declaration", "func_literal"],
    ),
    (
        DECISION,
        &[
            "if_statement",
            "for_statement",
            "expression_case",
            "type_case",
            "communication_case",
        ],
    ),
    (LOGICAL, &["binary_expression"]),
    (CONTAINER, &["statement_list"]),
    (BRACED, &["block"]),
    (
        LINE,
        &[
            "expression_case",
            "type_case",
            "communication_case",
            "default_case",
        ],
    ),
    (COMMENT, &["comment"]),
    (LIST, &["argument_list", "parameter_list", "literal_value"]),
    (
        SWITCH,
        &[
            "expression_switch_statement",
            "type_switch_statement",
            "select_statement",
        ],
    ),
];

const JAVA: Table = &[
    (
        FUNCTION,
        &[
            "method_declaration",
            "constructor_declaration",
            "compact_constructor_declaration",
            "lambda_expression",
            "static_initializer",
        ],
    ),
    (
        DECISION,
        &[
            "if_statement",
            "for_statement",
            "enhanced_for_statement",
            "while_statement",
            "do_statement",
            "ternary_expression",
            "catch_clause",
            "guard",
        ],
    ),
    (CASE, &["switch_label"]),
    (LOGICAL, &["binary_expression"]),
    (
        CONTAINER,
        &["block", "constructor_body", "switch_block_statement_group"],
    ),
    (LINE, &["switch_rule"]),
    (BRACED, &["block", "constructor_body"]),
    (COMMENT, &["line_comment", "block_comment"]),
    (
        LIST,
        &["argument_list", "formal_parameters", "array_initializer"],
    ),
    (SWITCH, &["switch_block"]),
];

const SCRIPT: Table = &[
    (
        FUNCTION,
        &[
            "function_declaration",
            "function_expression",
            "generator_function",
            "generator_function_declaration",
            "arrow_function",
            "method_definition",
            "class_static_block",
        ],
    ),
    (
        DECISION,
        &[
            "if_statement",
            "for_statement",
            "for_in_statement",
            "while_statement",
            "do_statement",
            "switch_case",
            "ternary_expression",
            "catch_clause",
        ],
    ),
    (
        LOGICAL,
        &["binary_expression", "augmented_assignment_expression"],
    ),
    (
        CONTAINER,
        &[
            "program",
            "statement_block",
            "switch_body",
            "switch_case",
            "switch_default",
        ],
    ),
    (SEQUENCE, &["sequence_expression"]),
    (BRACED, &["statement_block"]),
    (COMMENT, &["comment", "html_comment", "hash_bang_line"]),
    (
        DECLARATION,
        &[
            "import_statement",
            "export_statement",
            "lexical_declaration",
            "variable_declaration",
            "class_declaration",
            "abstract_class_declaration",
            "function_declaration",
            "generator_function_declaration",
            "function_signature",
            "interface_declaration",
            "type_alias_declaration",
            "enum_declaration",
            "ambient_declaration",
            "import_alias",
        ],
    ),
    (LIST, &["arguments", "formal_parameters", "array", "object"]),
    (SWITCH, &["switch_body"]),
];

/// Operators that decide, within a node that is `LOGICAL`. The `if` is a guard's.
pub(crate) fn decides(sign: &str) -> bool {
    matches!(
        sign,
        "&&" | "||" | "and" | "or" | "??" | "&&=" | "||=" | "??=" | "if"
    )
}

/// What a token decides that has no tree around it, and whether a formatter would begin a line.
pub(crate) fn bare_token(language: Language, token: &str) -> (bool, bool) {
    match (language, token) {
        (_, "if" | "while" | "for") => (true, true),
        (_, "&&" | "||") => (true, false),
        (_, ";") => (false, true),
        (Language::Rust, "loop" | "=>") => (true, true),
        (Language::Rust, _) => (false, false),
        (_, "case" | "catch") => (true, true),
        (_, "?") => (true, false),
        (_, "default" | "do") => (false, true),
        _ => (false, false),
    }
}

fn tables(dialect: Dialect) -> &'static [Table] {
    match dialect.language() {
        Language::Rust => &[RUST],
        Language::Python => &[PYTHON],
        Language::C => &[C],
        Language::Cpp => &[C, CPP],
        Language::Go => &[GO],
        Language::Java => &[JAVA],
        Language::JavaScript | Language::TypeScript => &[SCRIPT],
    }
}

/// The roles of every kind of node in a grammar, by the number of the kind. One name may belong to
/// several numbers.
pub(crate) fn roles(dialect: Dialect, grammar: &tree_sitter::Language) -> Vec<Roles> {
    let of_name = |name: &str| {
        let rows = tables(dialect).iter().copied().flatten();
        rows.filter(|(_, kinds)| kinds.contains(&name))
            .fold(Roles::default(), |all, (role, _)| all.and(*role))
    };
    (0..grammar.node_kind_count() as u16)
        .map(|number| match grammar.node_kind_for_id(number) {
            Some(name) if grammar.node_kind_is_named(number) => of_name(name),
            _ => Roles::default(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::ALL_DIALECTS;
    use crate::parser::grammar;

    /// Nodes that only some of the dialects which share a table have.
    const NOT_EVERYWHERE: &[&str] = &[
        "abstract_class_declaration",
        "ambient_declaration",
        "enum_declaration",
        "function_signature",
        "import_alias",
        "interface_declaration",
        "type_alias_declaration",
    ];

    /// A grammar that renames a node would otherwise make it count for nothing.
    #[test]
    fn every_name_in_the_tables_is_one_of_the_grammar() {
        for dialect in ALL_DIALECTS {
            let grammar = grammar(*dialect);
            for (_, kinds) in tables(*dialect).iter().copied().flatten() {
                for kind in *kinds {
                    let known = grammar.id_for_node_kind(kind, true) != 0;
                    let excused =
                        dialect.language() == Language::JavaScript && NOT_EVERYWHERE.contains(kind);
                    assert!(known || excused, "{dialect:?} has no {kind}");
                }
            }
        }
    }
}
