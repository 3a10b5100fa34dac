//! What a clever implementer would try, each with the number that stops it. The limits of an
//! implementer are a complexity of 8 and a length of 60.

use std::fmt::Write as _;

use unisono_measure::{Report, measure};

use crate::{functions, refusal};

const COMPLEXITY_MAX: u32 = 8;
const LENGTH_MAX: u32 = 60;

fn report(path: &str, source: &str) -> Report {
    measure(path, source.as_bytes()).unwrap_or_else(|refusal| panic!("{path}: {refusal}\n{source}"))
}

fn ifs(count: usize) -> String {
    (0..count).fold(String::new(), |mut all, n| {
        let _ = write!(all, "if a{n} {{ b{n}(); }} ");
        all
    })
}

/// A function of so many lines in each language, and how its lines are joined.
fn long(path: &str, statements: usize, joint: &str) -> String {
    let call = |indent: &str, end: &str| {
        (0..statements)
            .map(|n| format!("{indent}call{n}(){end}"))
            .collect::<Vec<_>>()
            .join(joint)
    };
    match path {
        "a.rs" => format!("fn f() {{{joint}{}{joint}}}", call("", ";")),
        "a.py" if joint == "\n" => format!("def f():\n{}\n", call("    ", "")),
        "a.py" => format!("def f(): {}\n", call("", ";")),
        "a.c" | "a.cpp" => format!("void f(void) {{{joint}{}{joint}}}", call("", ";")),
        "a.go" => format!("package p\nfunc f() {{{joint}{}{joint}}}\n", call("", ";")),
        "a.java" => format!("class A {{ void f() {{{joint}{}{joint}}} }}", call("", ";")),
        _ => format!("function f() {{{joint}{}{joint}}}", call("", ";")),
    }
}

const PATHS: &[&str] = &[
    "a.rs", "a.py", "a.c", "a.cpp", "a.go", "a.java", "a.js", "a.ts",
];

#[test]
fn complexity_nine_is_nine() {
    for n in [7, 8] {
        let source = format!("fn f() {{ {} }}", ifs(n));
        assert_eq!(report("a.rs", &source).complexity_max as usize, n + 1);
    }
    let nine = report("a.rs", &format!("fn f() {{ {} }}", ifs(8)));
    assert!(nine.complexity_max > COMPLEXITY_MAX);
}

#[test]
fn a_function_of_61_lines_is_61() {
    for path in PATHS {
        let braces = usize::from(*path != "a.py");
        for lines in [60, 61] {
            let source = long(path, lines - 1 - braces, "\n");
            let found = report(path, &source);
            assert_eq!(found.length_max as usize, lines, "{path}");
        }
    }
}

#[test]
fn lines_squeezed_onto_one_count_as_they_would_be_formatted() {
    for path in PATHS {
        let braces = usize::from(*path != "a.py");
        let source = long(path, 60 - braces, " ");
        assert!(source.lines().count() <= 2, "{path}");
        assert_eq!(report(path, &source).length_max, LENGTH_MAX + 1, "{path}");
    }
}

#[test]
fn blank_lines_and_comments_make_no_function_longer() {
    let source = "fn f() {\n\n    // one\n    /* two\n\n    three */\n    a();\n\n}\n";
    assert_eq!(report("a.rs", source).length_max, 3);
}

#[test]
fn one_expression_of_6100_characters_is_more_than_60_lines() {
    let sum = vec!["abcdefgh"; 680].join("+");
    let found = functions("a.rs", &format!("fn f(){{{sum}}}"));
    assert!(found[0].2 > LENGTH_MAX);
    let text = "x".repeat(10_000);
    let found = functions(
        "a.rs",
        &format!("fn f() -> &'static str {{\n    \"{text}\"\n}}"),
    );
    assert_eq!(found[0].2, 3, "a long text is one line");
}

#[test]
fn statements_joined_by_commas_count_each() {
    let joined = vec!["a()"; 60].join(", ");
    for path in ["a.c", "a.cpp"] {
        assert!(report(path, &format!("void f(void) {{ {joined}; }}")).length_max >= LENGTH_MAX);
    }
    assert!(report("a.js", &format!("function f() {{ {joined}; }}")).length_max >= LENGTH_MAX);
}

#[test]
fn complexity_in_closures_is_counted_to_them_and_to_what_holds_them() {
    for (path, source) in [
        (
            "a.rs",
            "fn f() { let g = |x| { if x && y { 1 } else { 2 } }; if g(1) {} }",
        ),
        (
            "a.py",
            "def f():\n    g = lambda x: 1 if x and y else 2\n    if g(1): pass\n",
        ),
        (
            "a.cpp",
            "void f() { auto g = [](int x) { if (x && y) { } }; if (g(1)) {} }",
        ),
        (
            "a.go",
            "package p\nfunc f() { g := func(x int) { if x && y { } }; if g(1) { } }\n",
        ),
        (
            "a.java",
            "class A { void f() { G g = x -> x && y ? 1 : 2; if (g(1)) {} } }",
        ),
        (
            "a.js",
            "function f() { const g = (x) => x && y ? 1 : 2; if (g(1)) {} }",
        ),
        (
            "a.ts",
            "function f() { const g = (x: T) => x && y ? 1 : 2; if (g(1)) {} }",
        ),
    ] {
        let found: Vec<u32> = functions(path, source).iter().map(|f| f.1).collect();
        assert_eq!(found, [4, 3], "{path}");
    }
}

#[test]
fn complexity_in_nested_functions_and_classes_is_not_hidden() {
    for (path, source) in [
        ("a.rs", "fn f() { fn g() { if x && y {} } if z {} }"),
        (
            "a.py",
            "def f():\n    def g():\n        if x and y: pass\n    if z: pass\n",
        ),
        (
            "a.py",
            "def f():\n    class A:\n        def g(self):\n            if x and y: pass\n    if z: pass\n",
        ),
        (
            "a.cpp",
            "void f() { struct A { void g() { if (x && y) {} } }; if (z) {} }",
        ),
        (
            "a.java",
            "class A { void f() { new B() { void g() { if (x && y) {} } }; if (z) {} } }",
        ),
        (
            "a.js",
            "function f() { class A { g() { if (x && y) {} } } if (z) {} }",
        ),
        (
            "a.js",
            "const f = { f() { function g() { if (x && y) {} } if (z) {} } };",
        ),
    ] {
        let found: Vec<u32> = functions(path, source).iter().map(|f| f.1).collect();
        assert_eq!(found, [4, 3], "{path}");
    }
}

#[test]
fn a_function_in_a_rust_macro_is_found_by_its_name() {
    let source = format!(
        "macro_rules! m {{ ($n:ident) => {{ fn hidden(x: u8) -> u8 {{ {} 1 }} }} }}",
        ifs(8)
    );
    let found = functions("a.rs", &source);
    assert!(found.contains(&("hidden".into(), 9, 19)), "{found:?}");
    let source = format!(
        "proptest! {{ #[test] fn hidden(x in 0..9) {{ {} }} fn plain() {{}} }}",
        ifs(8)
    );
    let found = functions("a.rs", &source);
    assert_eq!(found[1].1, 9, "{found:?}");
    assert_eq!(found[2].0, "plain");
    assert_eq!(
        found[0].1, 1,
        "what stands in its functions is not the macro's: {found:?}"
    );
}

#[test]
fn a_branching_macro_is_a_function_of_its_own() {
    let source = format!(
        "macro_rules! m {{ ($x:expr) => {{ {} }}; () => {{ 0 }}; }}",
        ifs(8)
    );
    let found = functions("a.rs", &source);
    assert_eq!((found[0].0.as_str(), found[0].1), ("m!", 9));
    assert_eq!((found[1].0.as_str(), found[1].1), ("m!", 1));
    let source = format!("build! {{ {} }}", ifs(8));
    assert_eq!(functions("a.rs", &source)[0].1, 9);
}

#[test]
fn a_macro_called_in_a_function_hides_nothing_there() {
    let source = "fn f() { run!(if a && b { 1 } else { match c { 1 => 2, 2 if d => 4, _ => 3 } }); assert!(a || b); }";
    // if, &&, two arms, a guard, ||.
    assert_eq!(report("a.rs", source).complexity_max, 7);
    let many = format!("fn f() {{ all!({}); }}", "a();".repeat(61));
    assert!(report("a.rs", &many).length_max > LENGTH_MAX);
}

#[test]
fn a_function_in_a_c_macro_is_measured() {
    let branches = "if (x) y(); ".repeat(8);
    for path in ["a.c", "a.cpp", "a.h"] {
        let source =
            format!("#define RUN(x) do {{ {branches} }} while (0)\nvoid f(void) {{ RUN(1); }}\n");
        let found = functions(path, &source);
        assert_eq!((found[0].0.as_str(), found[0].1), ("RUN", 10), "{path}");
        let source = format!("#define RUN {}\n", "x(); ".repeat(61));
        assert!(report(path, &source).length_max > LENGTH_MAX);
    }
    let lines = format!("#define RUN{}\n", " \\\n x()".repeat(61));
    assert!(report("a.c", &lines).length_max > LENGTH_MAX);
    let words = "#define NAME \"if (a && b) ? 1 : 2; for (;;)\" /* if while */\n";
    assert!(functions("a.c", words).is_empty(), "words are no code");
}

#[test]
fn a_branch_of_the_preprocessor_counts_in_a_function_and_not_around_it() {
    let source = "#ifndef A_H\n#define A_H\n#if defined(X) && defined(Y)\nint a;\n#endif\nint f(void) {\n#if A && B\n    x();\n#elif C\n    y();\n#else\n    z();\n#endif\n}\n#endif\n";
    assert_eq!(functions("a.h", source), [("f".to_owned(), 4, 9)]);
}

#[test]
fn code_outside_of_functions_is_measured_too() {
    for (path, source) in [
        ("a.py", "if a and b:\n    c()\nfor d in e:\n    f(d)\n"),
        (
            "a.js",
            "if (a && b) { c(); }\nfor (const d of e) { f(d); }\n",
        ),
        (
            "a.ts",
            "if (a && b) { c(); }\nfor (const d of e) { f(d); }\n",
        ),
    ] {
        assert_eq!(
            functions(path, source),
            [("(top level)".to_owned(), 4, 4)],
            "{path}"
        );
    }
    for (path, source) in [
        ("a.rs", "const A: u8 = if X && Y { 1 } else { 2 };"),
        ("a.java", "class A { int a = x && y ? 1 : 2; }"),
        ("a.c", "int a = X && Y ? 1 : 2;"),
        ("a.go", "package p\nvar a = x && y || z\n"),
        ("a.py", "class A:\n    a = 1 if x and y else 2\n"),
    ] {
        assert_eq!(report(path, source).complexity_max, 3, "{path}");
    }
}

#[test]
fn sixty_one_statements_at_the_top_are_61_lines() {
    for (path, statement) in [("a.py", "run()\n"), ("a.js", "run();"), ("a.ts", "run();")] {
        assert_eq!(report(path, &statement.repeat(61)).length_max, 61, "{path}");
    }
    let data = "import os\nA = 1\nB: int = 2\n".repeat(61);
    assert_eq!(
        report("a.py", &data).length_max,
        0,
        "imports and data are no work"
    );
}

#[test]
fn names_that_look_like_a_default_are_none() {
    let arms = (0..9).fold(String::new(), |mut all, n| {
        let _ = write!(all, "other{n} => {n}, ");
        all
    });
    assert_eq!(
        report("a.rs", &format!("fn f() {{ match x {{ {arms} }} }}")).complexity_max,
        10
    );
    let guarded = "fn f() { match x { _ if a => 1, _ if b => 2, _ => 3 } }";
    assert_eq!(report("a.rs", guarded).complexity_max, 5);
    let python = "def f():\n    match x:\n        case _ if a: pass\n        case y: pass\n";
    assert_eq!(report("a.py", python).complexity_max, 4);
}

#[test]
fn code_in_a_docstring_position_that_runs_is_counted() {
    let source = "def f():\n    f\"{a() if b else c()}\"\n    \"\"\"if for while\"\"\"\n";
    assert_eq!(functions("a.py", source), [("f".to_owned(), 2, 2)]);
}

#[test]
fn an_unparsable_file_has_no_measure_at_all() {
    let mut source = format!("fn f() {{ {} }}\n", ifs(8));
    source.push_str("fn g( {}\n");
    assert_eq!(refusal("a.rs", source.as_bytes()).code(), "unparsable");
}
