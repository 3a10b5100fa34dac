//! The behaviour of the measure, from outside.

#[cfg(feature = "grammars")]
mod abuse;
#[cfg(feature = "grammars")]
mod bounds;
mod emptiness;
#[cfg(feature = "grammars")]
mod languages;
#[cfg(feature = "grammars")]
mod properties;

/// The functions of a file as (name, complexity, length).
#[cfg(feature = "grammars")]
fn functions(path: &str, source: &str) -> Vec<(String, u32, u32)> {
    let report = unisono_measure::measure(path, source.as_bytes())
        .unwrap_or_else(|refusal| panic!("{path}: {refusal}\n{source}"));
    report
        .functions
        .into_iter()
        .map(|function| (function.name, function.complexity, function.length))
        .collect()
}

/// What a file is refused for.
fn refusal(path: &str, content: &[u8]) -> unisono_measure::Refusal {
    match unisono_measure::measure(path, content) {
        Ok(report) => panic!("{path} was measured: {report:?}"),
        Err(refusal) => refusal,
    }
}

/// Without grammars no language is known, and nothing else changes.
#[cfg(not(feature = "grammars"))]
#[test]
fn without_grammars_every_language_is_unknown() {
    for path in [
        "a.rs", "a.py", "a.c", "a.cpp", "a.go", "a.java", "a.js", "a.ts",
    ] {
        assert!(unisono_measure::language_of(path).is_some());
        assert_eq!(refusal(path, b"").code(), "unknown_language");
    }
    assert_eq!(refusal("a.rs", &[0xff]).code(), "not_utf8");
}
