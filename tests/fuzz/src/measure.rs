//! Source files from an implementer. The first byte chooses the language, the rest is the file.

use unisono_measure::{blank, measure};

use crate::Seed;

/// Endings, by the first byte.
const PATHS: &[&str] = &[
    "a.rs", "a.py", "a.c", "a.h", "a.cpp", "a.go", "a.java", "a.js", "a.ts", "a.tsx",
];

/// A file that is measured holds no decision if it is blank: what takes code for a comment would let a deletion pass, or hide brackets from a bound.
pub(crate) fn feed(bytes: &[u8]) -> bool {
    let Some((choice, content)) = bytes.split_first() else {
        return false;
    };
    let path = PATHS[usize::from(*choice) % PATHS.len()];
    let is_blank = blank(path, content);
    let Ok(report) = measure(path, content) else {
        return false;
    };
    let complexities = report.functions.iter().map(|function| function.complexity);
    let lengths = report.functions.iter().map(|function| function.length);
    assert_eq!(report.complexity_max, complexities.max().unwrap_or(1));
    assert_eq!(report.length_max, lengths.max().unwrap_or(0));
    for function in &report.functions {
        assert!(function.first_line <= function.last_line, "{function:?}");
        assert!(function.complexity > 0, "{function:?}");
    }
    assert!(
        !is_blank || report.complexity_max == 1,
        "{path} is blank and decides: {report:?}"
    );
    true
}

pub(crate) fn seeds() -> Vec<Seed> {
    let files = [
        (
            "rust",
            0,
            "fn f(a: u8) -> u8 {\n    let g = |x: u8| x > 1 && x < 9; // one\n    match a {\n        0 if g(1) => r#\"{\"#.len() as u8,\n        _ => m!(if a { 'b' } else { 'c' }),\n    }\n}\nmacro_rules! m { ($x:expr) => { fn h() { $x; } } }\n",
        ),
        (
            "python",
            1,
            "\"\"\"Doc.\"\"\"\nimport os\n@d\ndef f(a, *b):\n    for x in [y for y in b if y]:\n        try:\n            print(f\"{x!r:>{a}}\" if x and a else '')\n        except E:\n            pass\n    match a:\n        case [1, *c] if c: pass\n        case _: return lambda q: q or 1\nif f: f()\n",
        ),
        (
            "c",
            2,
            "#include <a.h>\n#define M(x) do { if (x) \\\n  f(); } while (0)\n#ifdef A\nstatic int *f(int a[3])\n{\n  switch (a[0]) { case 1: break; default: ; }\n  for (;;) { if (a && 'x' || \"y\") return 0; }\n}\n#endif\n",
        ),
        (
            "header",
            3,
            "#ifndef H\n#define H\nint f(void);\nstruct s { int a; };\n#endif\n",
        ),
        (
            "cpp",
            4,
            "template <class T> struct S { S() = default; int f() const { auto l = [&](T x) -> bool { return x and R\"x(()x\"; }; try { for (auto &a : b) ; } catch (...) {} return 1'000; } };\n",
        ),
        (
            "go",
            5,
            "package p\nfunc (s *S) f(c <-chan int) error {\n\tselect {\n\tcase x := <-c:\n\t\tgo func() { if x > 0 && y { g(`\\`) } }()\n\tdefault:\n\t}\n\treturn nil\n}\n",
        ),
        (
            "java",
            6,
            "class A<T extends B<T>> { static { f(); } @C int f(Object o) { return switch (o) { case String s when s.isEmpty() -> 1; default -> g(x -> x < 1 ? 2 : 3); }; } }\n",
        ),
        (
            "javascript",
            7,
            "#!/usr/bin/env node\nexport const f = async (a = /[/]\"/) => { for await (const x of a?.b ?? []) { x ||= `${a && x}`; } };\nclass B { #p; static { f(); } }\nconst V = () => <b on={() => 1}>x</b>;\n",
        ),
        (
            "typescript",
            8,
            "type C<T> = T extends string ? T : never;\nexport class A<T> { constructor(private x: T) {} f = <U,>(u: U): u is NonNullable<U> => u != null && this.x !== u; }\nnamespace n { enum E { A } }\n",
        ),
        (
            "tsx",
            9,
            "export const V = <T,>(p: { on: T }) => <b a={1} {...p}>{p.on ? 1 : <i/>}</b>;\n",
        ),
    ];
    let file = |(name, choice, text): (&'static str, u8, &str)| {
        let mut bytes = vec![choice];
        bytes.extend_from_slice(text.as_bytes());
        (name, bytes)
    };
    files.into_iter().map(file).collect()
}
