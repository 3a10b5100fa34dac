//! `docs/reference/` is what the program says of itself: a page that differs fails, and is written
//! anew by running these tests with `UNISONO_WRITE_REFERENCE=1`.

use std::fmt::Write;
use std::path::Path;

use crate::process::{Place, root};

/// Compares a page with what stands in the repository, or writes it there.
fn compare(page: &str, text: &str) {
    let path = root().join("docs/reference").join(page);
    if std::env::var_os("UNISONO_WRITE_REFERENCE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = text
        .lines()
        .zip(stands.lines())
        .find(|(now, then)| now != then);
    assert!(
        text == stands,
        "docs/reference/{page} is not what the code says (first: {differs:?}); \
         write it anew: UNISONO_WRITE_REFERENCE=1 cargo test -p unisono --profile ci reference"
    );
}

#[test]
fn the_pages_of_the_reference_are_what_the_program_says() {
    let place = Place::new();
    for page in ["commands", "http", "configuration", "codes"] {
        let said = place.run(&["reference", page]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.out.lines().count() > 15, "{page}: {}", said.out);
        compare(&format!("{page}.md"), &said.out);
    }
}

#[test]
fn the_page_of_metrics_is_what_a_node_shows() {
    let place = Place::new();
    place.found("solo");
    let node = place.serve("solo", &[]);
    let (_, text) = node.get("/metrics");
    let mut page = String::from(
        "# Metrics\n\nWhat a node shows under `/metrics`, as Prometheus reads it.\n\n\
         | name | kind | what it is |\n|---|---|---|\n",
    );
    let mut rows: Vec<String> = Vec::new();
    let mut help = String::new();
    for line in text.lines() {
        if let Some(said) = line.strip_prefix("# HELP ") {
            said.split_once(' ')
                .unwrap_or((said, ""))
                .1
                .clone_into(&mut help);
        } else if let Some(said) = line.strip_prefix("# TYPE ") {
            let (name, kind) = said.split_once(' ').unwrap();
            rows.push(format!("| `{name}` | {kind} | {help} |"));
            help.clear();
        }
    }
    rows.sort();
    rows.dedup();
    assert!(rows.len() > 20, "{text}");
    page.push_str(&rows.join("\n"));
    page.push('\n');
    compare("metrics.md", &page);
}

#[test]
fn the_page_of_limits_is_what_the_code_says() {
    let mut page = String::from(
        "# Limits\n\nWhat is bounded, by how much, and why. A crate keeps its limits in one file, \
         and so does each part of the core; some that bound a single part stand in its code instead.\n",
    );
    let mut files = Vec::new();
    find_limits(&root().join("crates"), &mut files);
    files.sort();
    assert!(files.len() > 8, "{files:?}");
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let name = file.strip_prefix(root()).unwrap_or(file);
        write!(
            page,
            "\n## `{}`\n\n",
            name.display().to_string().replace('\\', "/")
        )
        .unwrap();
        page.push_str("| limit | value | what and why |\n|---|---|---|\n");
        page.push_str(&constants(&text));
    }
    compare("limits.md", &page);
}

fn find_limits(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_limits(&path, found);
        } else if path.file_name().is_some_and(|name| name == "limits.rs") {
            found.push(path);
        }
    }
}

/// A row for each constant with the comment above it.
fn constants(text: &str) -> String {
    let mut rows = String::new();
    let (mut about, mut open) = (String::new(), String::new());
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            about.push_str(words);
        } else if !open.is_empty() || line.starts_with("pub") && line.contains("const ") {
            open.push_str(line);
            open.push(' ');
            if line.ends_with(';') {
                let (_, constant) = open.split_once("const ").unwrap();
                let (name, rest) = constant.split_once(':').unwrap_or((constant, ""));
                let value = rest.split_once('=').map_or("", |(_, value)| value);
                let value = value.trim().trim_end_matches(';').trim();
                let value = value.replace('|', "\\|");
                let words = about.trim().replace('|', "\\|");
                writeln!(rows, "| `{name}` | `{value}` | {words} |").unwrap();
                about.clear();
                open.clear();
            }
        } else {
            about.clear();
        }
    }
    rows
}
