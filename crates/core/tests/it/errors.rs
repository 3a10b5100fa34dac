//! Fingerprints of errors, measured on errors that real tools have made (`tests/errors`): which share
//! of repeated ones is recognised, and which share of others is taken for them.
//! `cargo test -p unisono-core --profile ci errors -- --nocapture` prints the table.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use unisono_core::orchestra::lessons::error::ErrorForm;
use unisono_core::orchestra::lessons::limits::LIKENESS_MIN;

struct Made {
    chain: String,
    kind: String,
    form: ErrorForm,
}

/// What is counted of a tool chain.
#[derive(Clone, Copy, Default)]
struct Count {
    errors: u64,
    pairs: u64,
    same: u64,
    first: u64,
    mistaken: u64,
    alike: u64,
}

fn corpus() -> Vec<Made> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/errors/corpus.jsonl");
    #[allow(clippy::disallowed_methods, reason = "a test reads its corpus")]
    let text = std::fs::read_to_string(path).expect("the corpus is in the repository");
    let lines = text.lines().map(|line| {
        let value: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        let field = |name: &str| value[name].as_str().expect("a text").to_owned();
        Made {
            kind: format!("{}/{}", field("chain"), field("kind")),
            chain: field("chain"),
            form: ErrorForm::of(&field("text")),
        }
    });
    lines.collect()
}

/// Half of the kinds were looked at while the form was made; the other half judges it.
fn judges(kind: &str) -> bool {
    let sum = kind.bytes().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    (sum >> 7).is_multiple_of(2)
}

/// How much one error is like another: the same kind goes before all that is alike.
fn score(one: &ErrorForm, other: &ErrorForm) -> u16 {
    let likeness = one.likeness(other);
    if one.is_kind_of(other) {
        2_000 + likeness
    } else {
        likeness
    }
}

/// Each error is looked up among one other of its kind and one of every other kind.
fn measured(all: &[Made]) -> BTreeMap<(bool, String), Count> {
    let mut kinds: BTreeMap<&str, Vec<&Made>> = BTreeMap::new();
    for made in all {
        kinds.entry(&made.kind).or_default().push(made);
    }
    let mut table: BTreeMap<(bool, String), Count> = BTreeMap::new();
    for (kind, list) in kinds.iter().filter(|(_, list)| list.len() > 1) {
        for (index, made) in list.iter().enumerate() {
            let own = score(&made.form, &list[(index + 1) % list.len()].form);
            let others = kinds.iter().filter(|(other, _)| *other != kind);
            let best = others
                .map(|(_, list)| score(&made.form, &list[index % list.len()].form))
                .max()
                .unwrap_or(0);
            let later = list[index + 1..].iter();
            for chain in [made.chain.clone(), "all".to_owned()] {
                let count = table.entry((judges(kind), chain)).or_default();
                count.errors += 1;
                count.pairs += later.len() as u64;
                let same = later.clone();
                count.same += same
                    .filter(|other| other.form.fingerprint() == made.form.fingerprint())
                    .count() as u64;
                count.first += u64::from(own >= LIKENESS_MIN && own > best);
                count.mistaken += u64::from(best >= 2_000);
                count.alike += u64::from(best >= LIKENESS_MIN);
            }
        }
    }
    table
}

#[test]
fn repeated_errors_of_real_tools_are_recognised_and_others_seldom_taken_for_them() {
    let all = corpus();
    let table = measured(&all);
    let permille = |part: u64, whole: u64| part * 1_000 / whole.max(1);
    println!("half   chain     errors  same ‰  first ‰  mistaken ‰  alike ‰");
    for ((judging, chain), count) in &table {
        println!(
            "{}  {chain:9} {:6} {:7} {:8} {:11} {:8}",
            if *judging { "judge" } else { "tuned" },
            count.errors,
            permille(count.same, count.pairs),
            permille(count.first, count.errors),
            permille(count.mistaken, count.errors),
            permille(count.alike, count.errors),
        );
    }
    let judged = table[&(true, "all".to_owned())];
    assert!(all.len() >= 500 && table.len() > 2 * 4, "{}", all.len());
    assert!(permille(judged.same, judged.pairs) >= 940);
    assert!(permille(judged.first, judged.errors) >= 900);
    assert!(permille(judged.mistaken, judged.errors) <= 100);
}

#[test]
fn the_form_of_a_form_is_that_form() {
    for made in corpus() {
        let text = made.form.text();
        assert_eq!(ErrorForm::of(&text), made.form, "{}: {text}", made.kind);
    }
}

#[test]
fn places_numbers_and_colours_do_not_matter_and_names_matter_little() {
    let one = ErrorForm::of("error[E0382]: borrow of moved value: `queue`\n --> src/a.rs:4:20\n");
    let two = ErrorForm::of(
        "   Compiling x v0.1.0\n\u{1b}[1m\u{1b}[31merror[E0382]\u{1b}[0m: borrow of moved value: \
         `queue`\n --> /build/7/lib.rs:112:9\nerror: aborting due to 1 previous error\n",
    );
    let other = ErrorForm::of("error[E0382]: borrow of moved value: `index_2`\n");
    assert_eq!(one, two);
    assert_eq!(one.text(), "error E0382 borrow of moved value 'queue'");
    assert_ne!(one, other);
    assert_eq!(one.fingerprint(), other.fingerprint());
    let code = ErrorForm::of("error[E0505]: borrow of moved value: `queue`");
    assert_ne!(one.fingerprint(), code.fingerprint());
}

#[test]
fn the_form_of_any_form_is_that_form() {
    let long = "word ".repeat(600);
    for text in [
        "thread 'main' panicked at src/main.rs:4:5:\ninvalid_state",
        "İstanbul is closed",
        "alpha_beta gamma_delta",
        "error: 'one_two' 'Three Four'",
        &long,
    ] {
        let form = ErrorForm::of(text);
        assert_eq!(ErrorForm::of(&form.text()), form, "{text}: {}", form.text());
    }
}

#[test]
fn what_ends_lines_and_what_colours_them_does_not_matter() {
    let text = "thread 'main' panicked at src/main.rs:4:5:\nthe queue is empty\n";
    let form = ErrorForm::of(text);
    assert!(form.text().contains("empty"), "{}", form.text());
    assert_eq!(ErrorForm::of(&text.replace('\n', "\r\n")), form);
    let reset = "\u{1b}(B\u{1b}[m";
    let colours = text.replace("the queue", &format!("\u{1b}[31mthe queue{reset}"));
    assert_eq!(ErrorForm::of(&colours), form);
}

#[test]
fn the_heading_of_a_failed_test_is_no_error_and_a_bare_error_no_kind() {
    let told = |raised: &str| {
        let text = format!(
            "E\n======\nERROR: test_move (tests.Queue.test_move)\n------\n\
             Traceback (most recent call last):\n  File \"a.py\", line 3, in test_move\n{raised}\n"
        );
        ErrorForm::of(&text)
    };
    let (one, two) = (told("ValueError: no room"), told("KeyError: 'queue'"));
    assert_ne!(one.fingerprint(), two.fingerprint());
    assert!(one.text().contains("valueerror"), "{}", one.text());
    let (one, two) = (
        ErrorForm::of("fatal error: 'a'"),
        ErrorForm::of("fatal error: 'b'"),
    );
    assert_eq!(one.fingerprint(), two.fingerprint());
    assert!(
        !one.is_kind_of(&two),
        "that something is fatal says nothing"
    );
}

#[test]
fn texts_from_hell_have_a_form_or_none() {
    for text in [
        "",
        "\0\0",
        "!!!! ????",
        "\u{202e}\u{feff}",
        "''''\"\"``",
        "\u{1b}]0;",
        "12:30:01",
    ] {
        assert!(ErrorForm::of(text).is_empty(), "{text:?}");
    }
    assert!(!ErrorForm::of(&"é'x ".repeat(30_000)).text().is_empty());
    assert!(ErrorForm::of(&"error: word ".repeat(30_000)).text().len() <= 2_048);
}

proptest! {
    #[test]
    fn no_text_is_too_much(text in "(?s).{0,300}", line in "[-a-zE:'\"`/.0-9 \\[\\]()é>\u{1b}]{0,120}") {
        for text in [&text, &line] {
            let form = ErrorForm::of(text);
            prop_assert!(form.text().len() <= 2_048);
            prop_assert_eq!(ErrorForm::of(&form.text()), form);
        }
    }
}
