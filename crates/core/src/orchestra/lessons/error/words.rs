//! Which words say something about the kind of an error. Each list stands in order.

/// Say nothing: articles, forms of to be, what stands before a place.
pub(super) const STOP: [&str; 24] = [
    "a",
    "an",
    "and",
    "are",
    "arguments",
    "at",
    "be",
    "col",
    "column",
    "does",
    "has",
    "have",
    "is",
    "it",
    "its",
    "line",
    "near",
    "position",
    "that",
    "the",
    "this",
    "to",
    "was",
    "were",
];

/// Numbers behind these say what kind of error it is.
pub(super) const COUNTED: [&str; 8] = [
    "code", "errno", "error", "exit", "exited", "http", "signal", "status",
];

/// Say that something went wrong, and not what.
pub(super) const GENERIC: [&str; 14] = [
    "caused",
    "cmd",
    "critical",
    "err",
    "error",
    "errors",
    "exception",
    "failed",
    "failure",
    "fatal",
    "internal",
    "main",
    "panic",
    "runtime",
];

/// Programs that put their name before what they say.
pub(super) const TOOLS: [&str; 40] = [
    "ar", "awk", "bash", "cargo", "cat", "cc", "chmod", "collect2", "cp", "curl", "dash", "find",
    "gawk", "gcc", "git", "go", "grep", "java", "javac", "jq", "ld", "ls", "make", "mawk", "mkdir",
    "mv", "node", "npm", "openssl", "perl", "python", "python3", "rm", "rustc", "sed", "sh",
    "sqlite3", "ssh", "tar", "tsc",
];

/// Single words between colons that are no names.
pub(super) const KNOWN: [&str; 12] = [
    "content",
    "declaration",
    "invalid",
    "note",
    "redefinition",
    "symbol",
    "types",
    "undeclared",
    "undefined",
    "unexpected",
    "unknown",
    "warning",
];

/// Words of programming languages: between quotes they say what kind of error it is, not where.
const LANGUAGE: [&str; 96] = [
    "any",
    "array",
    "async",
    "await",
    "bigint",
    "bool",
    "boolean",
    "break",
    "byte",
    "bytes",
    "case",
    "char",
    "class",
    "const",
    "continue",
    "def",
    "dict",
    "do",
    "done",
    "double",
    "elif",
    "else",
    "end",
    "enum",
    "eof",
    "esac",
    "except",
    "f32",
    "f64",
    "false",
    "fi",
    "finally",
    "float",
    "fn",
    "for",
    "from",
    "func",
    "function",
    "generator",
    "i128",
    "i16",
    "i32",
    "i64",
    "i8",
    "if",
    "impl",
    "import",
    "in",
    "int",
    "integer",
    "isize",
    "let",
    "list",
    "long",
    "match",
    "mut",
    "newline",
    "nil",
    "none",
    "nonetype",
    "null",
    "number",
    "object",
    "option",
    "result",
    "return",
    "self",
    "set",
    "short",
    "signed",
    "size_t",
    "static",
    "str",
    "string",
    "struct",
    "symbol",
    "then",
    "trait",
    "true",
    "try",
    "tuple",
    "type",
    "u128",
    "u16",
    "u32",
    "u64",
    "u8",
    "undefined",
    "unsigned",
    "use",
    "usize",
    "utf-8",
    "void",
    "while",
    "with",
    "yield",
];

/// Endings of files.
pub(super) const EXTENSIONS: [&str; 58] = [
    "a", "awk", "bash", "bat", "bin", "c", "cc", "cfg", "class", "conf", "cpp", "cs", "css", "csv",
    "cxx", "db", "dll", "exe", "gz", "h", "hpp", "html", "ini", "jar", "java", "js", "json", "jsx",
    "lock", "log", "lua", "md", "mjs", "mk", "o", "php", "pid", "pl", "pm", "proto", "py", "pyc",
    "rb", "rs", "s", "sh", "so", "sql", "sqlite", "tar", "tmp", "toml", "ts", "tsx", "txt", "xml",
    "yaml", "yml",
];

/// Whether a word stands in a list that is in order.
pub(super) fn is_listed(list: &[&str], word: &str) -> bool {
    list.binary_search(&word).is_ok()
}

/// Whether it is a word of some programming language.
pub(super) fn is_word_of_a_language(word: &str) -> bool {
    let small = word.trim_start_matches(['&', '*']).to_lowercase();
    is_listed(&LANGUAGE, &small)
}

/// Whether it is the name of a kind of error.
pub(super) fn is_exception(word: &str) -> bool {
    let ends = ["Error", "Exception", "Interrupt", "Exit", "Iteration"];
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && ends.iter().any(|end| word.ends_with(end))
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_stand_in_order_and_no_word_says_nothing_and_something() {
        let lists: [&[&str]; 7] = [
            &STOP,
            &COUNTED,
            &GENERIC,
            &TOOLS,
            &KNOWN,
            &LANGUAGE,
            &EXTENSIONS,
        ];
        for list in lists {
            assert!(list.is_sorted_by(|one, next| one < next), "{list:?}");
        }
        assert!(!STOP.iter().any(|word| is_word_of_a_language(word)));
    }
}
