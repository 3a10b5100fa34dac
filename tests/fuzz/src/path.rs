//! Paths of files as agents send them, and patterns that cover them.

use std::path::{Component, Path};

use unisono_model::path::{check, check_pattern, matches};

use crate::Seed;

/// A path, a line end, a pattern; or a path alone. What is plain stays within a folder, whatever a
/// file system makes of it.
pub(crate) fn feed(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let (path, pattern) = text.split_once('\n').unwrap_or((text, "**"));
    if check(path).is_err() {
        return false;
    }
    let stays = |component: Component| matches!(component, Component::Normal(_));
    assert!(
        Path::new(path).components().all(stays),
        "{path:?} leaves the folder"
    );
    let names: Vec<_> = Path::new(path).iter().collect();
    let again: Vec<&str> = path.split('/').collect();
    assert_eq!(names, again, "{path:?} is read in two ways");
    assert!(matches(path, path), "a path covers itself");
    assert!(matches("**", path), "everything covers it");
    if check_pattern(pattern).is_err() {
        return false;
    }
    if !pattern.contains('*') {
        assert_eq!(
            matches(pattern, path),
            pattern == path,
            "nothing is a prefix"
        );
    }
    true
}

pub(crate) fn seeds() -> Vec<Seed> {
    vec![
        ("plain", b"src/lib.rs".to_vec()),
        ("letters", "src/größe/日本.rs".as_bytes().to_vec()),
        ("folder", b"docs/a name with spaces.md\ndocs/**".to_vec()),
        ("stars", b"src/a/b/c/lib.rs\nsrc/**/l*b.*".to_vec()),
        ("exact", b"src/lib.rs\nsrc/lib.rs".to_vec()),
    ]
}
