//! Which language a path is written in, told by its ending alone.

use core::fmt;

/// A language whose functions can be measured.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Language {
    /// Rust.
    Rust,
    /// Python 3.
    Python,
    /// C.
    C,
    /// C++.
    Cpp,
    /// Go.
    Go,
    /// Java.
    Java,
    /// JavaScript, with JSX.
    JavaScript,
    /// TypeScript, with JSX in `.tsx`.
    TypeScript,
}

impl Language {
    /// Its stable name in plans and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Go => "go",
            Self::Java => "java",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A grammar: `<` means other things in TypeScript with and without JSX.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    Plain(Language),
    Tsx,
}

impl Dialect {
    pub(crate) fn language(self) -> Language {
        match self {
            Self::Plain(language) => language,
            Self::Tsx => Language::TypeScript,
        }
    }
}

#[cfg(all(test, feature = "grammars"))]
pub(crate) const ALL_DIALECTS: &[Dialect] = &[
    Dialect::Plain(Language::Rust),
    Dialect::Plain(Language::Python),
    Dialect::Plain(Language::C),
    Dialect::Plain(Language::Cpp),
    Dialect::Plain(Language::Go),
    Dialect::Plain(Language::Java),
    Dialect::Plain(Language::JavaScript),
    Dialect::Plain(Language::TypeScript),
    Dialect::Tsx,
];

/// Endings, and the grammars by which they are read, in the order in which they are tried. Endings
/// are taken as they are written: `.PY` is unknown, and what is unknown is refused, not let through.
const ENDINGS: &[(&str, &[Dialect])] = &[
    ("rs", &[Dialect::Plain(Language::Rust)]),
    ("py", &[Dialect::Plain(Language::Python)]),
    ("pyi", &[Dialect::Plain(Language::Python)]),
    ("c", &[Dialect::Plain(Language::C)]),
    (
        "h",
        &[Dialect::Plain(Language::Cpp), Dialect::Plain(Language::C)],
    ),
    ("cc", &[Dialect::Plain(Language::Cpp)]),
    ("cpp", &[Dialect::Plain(Language::Cpp)]),
    ("cxx", &[Dialect::Plain(Language::Cpp)]),
    ("hh", &[Dialect::Plain(Language::Cpp)]),
    ("hpp", &[Dialect::Plain(Language::Cpp)]),
    ("hxx", &[Dialect::Plain(Language::Cpp)]),
    ("go", &[Dialect::Plain(Language::Go)]),
    ("java", &[Dialect::Plain(Language::Java)]),
    ("js", &[Dialect::Plain(Language::JavaScript)]),
    ("jsx", &[Dialect::Plain(Language::JavaScript)]),
    ("mjs", &[Dialect::Plain(Language::JavaScript)]),
    ("cjs", &[Dialect::Plain(Language::JavaScript)]),
    ("ts", &[Dialect::Plain(Language::TypeScript)]),
    ("mts", &[Dialect::Plain(Language::TypeScript)]),
    ("cts", &[Dialect::Plain(Language::TypeScript)]),
    ("tsx", &[Dialect::Tsx]),
];

/// The language of a path, `None` if its ending is not known. It is known without grammars too; a
/// header is C++ here, of which C is nearly a part, and may turn out to be C when it is read.
pub fn language_of(path: &str) -> Option<Language> {
    dialects_of(path).first().map(|dialect| dialect.language())
}

pub(crate) fn dialects_of(path: &str) -> &'static [Dialect] {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some((stem, ending)) = name.rsplit_once('.') else {
        return &[];
    };
    if stem.is_empty() {
        return &[];
    }
    ENDINGS
        .iter()
        .find(|(known, _)| *known == ending)
        .map_or(&[], |(_, dialects)| dialects)
}
