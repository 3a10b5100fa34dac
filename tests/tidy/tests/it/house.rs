//! The rules on this repository. One test, so that the tree is read once.

use tidy::{RULES, Tree};

#[test]
fn the_house_is_tidy() {
    let tree = Tree::here();
    assert!(tree.get("Cargo.toml").is_some(), "the tree has a root");
    let mut complaints = Vec::new();
    for (name, rule) in RULES {
        let found = rule(&tree);
        if !found.is_empty() {
            complaints.push(format!("{name}:\n  {}", found.join("\n  ")));
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
