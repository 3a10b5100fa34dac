//! What holds for every file.

use proptest::prelude::*;
use unisono_measure::measure;

/// A function with as many decisions as are asked for, each token apart from the next.
const TOKENS: &[(&str, &[&str])] = &[
    (
        "a.rs",
        &[
            "fn", "f", "(", ")", "{", "if", "a", "&&", "b", "{", "c", "(", ")", ";", "}", "for",
            "d", "in", "e", "{", "}", "}",
        ],
    ),
    (
        "a.c",
        &[
            "int", "f", "(", "void", ")", "{", "if", "(", "a", "&&", "b", ")", "c", "(", ")", ";",
            "for", "(", ";", ";", ")", "{", "}", "}",
        ],
    ),
    (
        "a.cpp",
        &[
            "int", "f", "(", ")", "{", "if", "(", "a", "and", "b", ")", "c", "(", ")", ";", "for",
            "(", "int", "d", ":", "e", ")", "{", "}", "}",
        ],
    ),
    (
        "a.java",
        &[
            "class", "A", "{", "int", "f", "(", ")", "{", "if", "(", "a", "&&", "b", ")", "c", "(",
            ")", ";", "for", "(", ";", ";", ")", "{", "}", "}", "}",
        ],
    ),
    (
        "a.js",
        &[
            "function", "f", "(", ")", "{", "if", "(", "a", "&&", "b", ")", "c", "(", ")", ";",
            "for", "(", "d", "of", "e", ")", "{", "}", "}",
        ],
    ),
    (
        "a.ts",
        &[
            "function", "f", "(", ")", "{", "if", "(", "a", "&&", "b", ")", "c", "(", ")", ";",
            "for", "(", "d", "of", "e", ")", "{", "}", "}",
        ],
    ),
];

const ENDINGS: &str = "a\\.(rs|py|c|h|cpp|go|java|js|ts|tsx|md)";

/// Pieces of code from which files grow that get behind the first token.
const PIECES: &[&str] = &[
    "fn f",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    ";",
    ",",
    ":",
    "\n",
    "\n    ",
    "if ",
    "else ",
    "for ",
    "while ",
    "match ",
    "case ",
    "default",
    "=> ",
    "&& ",
    "|| ",
    "? ",
    "a ",
    "1 ",
    "\"",
    "'",
    "`",
    "//",
    "/*",
    "*/",
    "#",
    "def ",
    "class ",
    "lambda ",
    "x = ",
    "func ",
    "package p\n",
    "macro_rules! m ",
    "#define X ",
    "\\\n",
    "return ",
    "try ",
    "catch ",
    "${",
    "é",
    "\0",
    "r#\"",
    "R\"x(",
    "f\"{",
];

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(path in ENDINGS, bytes: Vec<u8>) {
        let _ = measure(&path, &bytes);
    }

    #[test]
    fn arbitrary_code_never_panics_and_is_measured_alike_twice(
        path in ENDINGS,
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60),
    ) {
        let source = pieces.concat();
        let once = measure(&path, source.as_bytes());
        prop_assert_eq!(&once, &measure(&path, source.as_bytes()));
        if let Ok(report) = once {
            let complexities = report.functions.iter().map(|one| one.complexity);
            prop_assert_eq!(report.complexity_max, complexities.max().unwrap_or(1));
        }
    }

    #[test]
    fn white_space_and_comments_do_not_change_complexity(
        (path, tokens) in prop::sample::select(TOKENS),
        gaps in prop::collection::vec(prop::sample::select(&[" ", "\n", "\n\n  \t", " /* if (x) && y */ ", " // for while\n"][..]), 40),
    ) {
        let mut source = String::new();
        for (token, gap) in tokens.iter().zip(&gaps) {
            source.push_str(gap);
            source.push_str(token);
        }
        let report = measure(path, source.as_bytes());
        let report = report.map_err(|refusal| TestCaseError::fail(format!("{refusal}: {source}")))?;
        prop_assert_eq!(report.complexity_max, 4, "{}", source);
        prop_assert_eq!(report.functions.len(), 1);
    }

    #[test]
    fn python_may_be_spread_and_commented_too(
        gaps in prop::collection::vec(prop::sample::select(&["\n", "\n\n", "  # if x and y\n", "\n        # for\n"][..]), 5),
        inner in prop::sample::select(&[" ", "\n        ", "  # while\n          "][..]),
    ) {
        let lines = ["def f():", &format!("    if (a{inner}and{inner}b):"), "        c()", "    for d in e:", "        pass"];
        let source: String = lines.iter().zip(&gaps).flat_map(|(line, gap)| [*line, *gap]).collect();
        let report = measure("a.py", source.as_bytes());
        let report = report.map_err(|refusal| TestCaseError::fail(format!("{refusal}: {source}")))?;
        prop_assert_eq!(report.complexity_max, 4, "{}", source);
    }

    #[test]
    fn a_file_is_never_less_than_one_of_its_functions(count in 1_usize..12, spread: bool) {
        let joint = if spread { "\n" } else { " " };
        let body = vec!["if a { b(); }"; count].join(joint);
        let source = format!("fn small() {{}}{joint}fn f() {{{joint}{body}{joint}}}");
        let report = measure("a.rs", source.as_bytes());
        let report = report.map_err(|refusal| TestCaseError::fail(format!("{refusal}: {source}")))?;
        prop_assert_eq!(report.complexity_max as usize, count + 1);
    }
}
