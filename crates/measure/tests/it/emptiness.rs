//! What is blank, and thereby a deletion.

use proptest::prelude::*;
use unisono_measure::blank;

#[test]
fn overwriting_with_nothing_is_seen() {
    for (path, content) in [
        ("a.rs", ""),
        ("a.rs", " \t\r\n\n\u{feff}\u{200b}\0"),
        ("a.rs", "// gone\n/* all /* of */ it */\n//! and this\n"),
        ("a.rs", "/* and never ended"),
        ("a.py", "# gone\n\n  # more"),
        ("a.py", "\"\"\"Gone.\"\"\"\npass\n'x'; pass"),
        ("a.c", "// gone \\\n int main;\n/* x */ ;;"),
        ("a.go", "/* x */ // y"),
        ("a.js", "#!/usr/bin/env node\n// gone\n;"),
        ("a.md", " \n\n"),
        ("unknown", "\u{a0}\u{2003}"),
    ] {
        assert!(blank(path, content.as_bytes()), "{path}: {content:?}");
    }
}

#[test]
fn what_does_something_is_not_blank() {
    for (path, content) in [
        ("a.rs", "fn f() {}"),
        ("a.rs", "/* x */ y"),
        ("a.rs", "\"//\""),
        ("a.py", "x = 1 # y"),
        ("a.py", "// no comment here"),
        ("a.c", "#if 0\n#endif"),
        ("a.js", "/x/"),
        ("a.md", "# A title is no comment"),
        ("a.toml", "# nor is this known to be one"),
    ] {
        assert!(!blank(path, content.as_bytes()), "{path}: {content:?}");
    }
    assert!(
        !blank("a.rs", &[0xff, 0xfe]),
        "what is no text is not blank"
    );
}

proptest! {
    #[test]
    fn no_bytes_break_it(path in "a\\.(rs|py|c|cpp|go|java|js|ts|md)", bytes: Vec<u8>) {
        blank(&path, &bytes);
    }

    #[test]
    fn no_text_breaks_it(path in "a\\.(rs|py|c|cpp|go|java|js|ts)", text in "[ \\n/*#\"'`\\\\rRé(){}x;0-9]{0,60}") {
        blank(&path, text.as_bytes());
    }
}
