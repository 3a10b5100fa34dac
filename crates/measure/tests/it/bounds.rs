//! What is refused, with which code, and that the bounds hold where a parser would not.

use unisono_measure::limits::{FILE_BYTES_MAX, NESTING_MAX};
use unisono_measure::{Refusal, measure};

use crate::refusal;

#[test]
fn codes_are_stable() {
    let line = 1;
    for (refusal, code) in [
        (Refusal::UnknownLanguage, "unknown_language"),
        (Refusal::TooLarge(1), "too_large"),
        (Refusal::NotUtf8 { line }, "not_utf8"),
        (Refusal::TooDeep { line }, "too_deep"),
        (Refusal::TooMuchWork { line }, "too_much_work"),
        (Refusal::Unparsable { line }, "unparsable"),
    ] {
        assert_eq!(refusal.code(), code);
    }
}

#[test]
fn an_unparsable_file_is_refused_with_its_line() {
    for (path, source) in [
        ("a.rs", "fn a() {}\n\nfn b( {}\n"),
        ("a.py", "x = 1\n\ndef f(:\n"),
        ("a.c", "int a;\n\nint f( { }\n"),
        ("a.cpp", "int a;\n\nint f( { }\n"),
        ("a.go", "package p\n\nfunc f( { }\n"),
        ("a.java", "class A {}\n\nclass { }\n"),
        ("a.js", "let a;\n\nlet = ;\n"),
        ("a.ts", "let a;\n\nlet b: = 1;\n"),
        ("a.tsx", "let a;\n\nlet b = <a>;\n"),
    ] {
        let found = refusal(path, source.as_bytes());
        assert_eq!(found, Refusal::Unparsable { line: 3 }, "{path}");
    }
}

#[test]
fn a_missing_brace_is_an_error_too() {
    assert_eq!(
        refusal("a.c", b"int f(void) { return 1; \n").code(),
        "unparsable"
    );
    assert_eq!(refusal("a.rs", b"fn f() { 1; \n").code(), "unparsable");
}

#[test]
fn a_file_of_one_byte_too_many_is_refused() {
    let mut content = vec![b'\n'; FILE_BYTES_MAX];
    assert!(measure("a.rs", &content).is_ok());
    content.push(b'\n');
    assert_eq!(
        refusal("a.rs", &content),
        Refusal::TooLarge(FILE_BYTES_MAX + 1)
    );
}

#[test]
fn what_is_not_utf8_is_refused_with_its_line() {
    let found = refusal("a.rs", b"fn a() {}\n// \xff\n");
    assert_eq!(found, Refusal::NotUtf8 { line: 2 });
}

#[test]
fn an_unknown_language_is_said_to_be_unknown() {
    for path in ["a.sh", "Makefile", "a.RS", ""] {
        assert_eq!(refusal(path, b"x"), Refusal::UnknownLanguage);
    }
}

#[test]
fn nesting_is_bounded_before_a_parser_sees_it() {
    let nested = |depth: usize| {
        format!(
            "fn f() {{ let x = {}1{}; }}\n",
            "(".repeat(depth),
            ")".repeat(depth)
        )
    };
    assert!(measure("a.rs", nested(NESTING_MAX - 1).as_bytes()).is_ok());
    assert_eq!(
        refusal("a.rs", nested(NESTING_MAX).as_bytes()),
        Refusal::TooDeep { line: 1 }
    );
}

#[test]
fn a_tree_may_be_deep_without_brackets_and_is_bounded_too() {
    for (path, head, link, tail) in [
        ("a.rs", "fn f() { ", "!", "x; }"),
        ("a.c", "int f(int a) { ", "if (a) ", "return 1; }"),
        ("a.py", "x = ", "not ", "y"),
        ("a.js", "", "a ? b : ", "c;"),
        ("a.java", "class A { int f() { return ", "-+", "1; } }"),
        ("a.go", "package p\nvar x = ", "!", "y\n"),
    ] {
        let source = format!("{head}{}{tail}", link.repeat(2000));
        assert_eq!(
            refusal(path, source.as_bytes()),
            Refusal::TooDeep {
                line: source.lines().count() as u32
            },
            "{path}"
        );
        assert!(
            measure(path, format!("{head}{}{tail}", link.repeat(200)).as_bytes()).is_ok(),
            "{path}"
        );
    }
}

/// Each of these took gigabytes, many seconds, or both, when the parser was let at it unbounded.
#[test]
fn files_made_to_cost_are_refused_early() {
    for (path, piece, code) in [
        ("a.java", "a<", "too_deep"),
        ("a.java", "a</*>*/", "too_deep"),
        ("a.java", "a<// >\n", "too_deep"),
        ("a.java", "a<'>'", "too_deep"),
        ("a.cpp", "a<", "too_deep"),
        ("a.cpp", "a</*;*/", "too_deep"),
        ("a.ts", "a<", "too_deep"),
        ("a.c", "f(", "too_deep"),
        ("a.c", "f(/*)*/", "too_deep"),
        ("a.go", "f(", "too_deep"),
        ("a.rs", "\"", "too_much_work"),
        ("a.rs", "if(a)", "too_much_work"),
        // Each of them is looked for to the end of the file.
        ("a.rs", "r#\"\na+\n|a|\n", "too_much_work"),
    ] {
        let source = piece.repeat(FILE_BYTES_MAX / piece.len());
        assert_eq!(
            refusal(path, source.as_bytes()).code(),
            code,
            "{path}: {piece}"
        );
    }
}
