//! The files of the repository, as the rules see them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::code::mask;

/// A file: its path from the root, with `/`, and its bytes.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Path from the repository's root.
    pub path: String,
    /// Everything in it.
    pub bytes: Vec<u8>,
    /// Kept, because five rules ask for it.
    code: OnceLock<String>,
}

/// All files that are tracked or would be.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The files, sorted by path.
    pub files: Vec<File>,
}

impl File {
    /// A file at this path with this content.
    pub fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            bytes: bytes.into(),
            code: OnceLock::new(),
        }
    }

    /// The text without comments and strings; see [`mask`].
    pub fn code(&self) -> &str {
        self.code.get_or_init(|| mask(self.text()))
    }

    /// The text, or nothing for a binary file.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// Whether the file's name ends with a dot and this.
    pub fn has_extension(&self, extension: &str) -> bool {
        self.path
            .rsplit_once('.')
            .is_some_and(|(_, last)| last == extension)
    }

    /// The part of the path after the last `/`.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl Tree {
    /// A tree made up for a test.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| File::new(*path, *text))
            .collect();
        Self { files }
    }

    /// The repository in which this crate lies. New files count before they are committed.
    pub fn here() -> Self {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let mut paths = listed_by_git(root).unwrap_or_else(|| walked(root));
        paths.sort();
        paths.dedup();
        let files = paths
            .into_iter()
            // A file may be listed and gone: deleted and not committed yet.
            .filter_map(|path| Some(File::new(path.clone(), fs::read(root.join(&path)).ok()?)))
            .collect();
        Self { files }
    }

    /// The file at this path.
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.has_extension("rs"))
    }

    /// The files below a folder, which is named with its final `/`.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a File> {
        self.files
            .iter()
            .filter(move |file| file.path.starts_with(folder))
    }
}

fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let arguments = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .output()
        .ok()?;
    let list = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<_> = list.split_terminator('\0').map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

/// Where there is no git, in an unpacked archive, say.
fn walked(root: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(root.join(&folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = folder.join(entry.file_name());
            let name = entry.file_name().to_string_lossy().into_owned();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    if name != ".git" && !name.starts_with("target") {
                        folders.push(path);
                    }
                }
                Ok(kind) if kind.is_file() => {
                    paths.push(path.to_string_lossy().replace('\\', "/"));
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
    paths
}
