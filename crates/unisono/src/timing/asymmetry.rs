//! Ways that are known to be longer there than back, and by how much they may be, as an operator states
//! them.

use unisono_core::timekeeper::limits::ASYMMETRY_NS_MAX;
use unisono_quic::identity::Region;

use crate::failure::Failure;

const ASYMMETRY: &str = "--path-asymmetry-ms";
const BOUND: &str = "--asymmetry-bound-ms";
const MOST_MS: f64 = ASYMMETRY_NS_MAX as f64 / 1e6;

/// Reads `REGION=MS` several times: by how much the way to a region takes longer than the way back, ns.
///
/// # Errors
/// A usage error that says what is wrong with which of them.
pub(crate) fn asymmetries(words: &[String]) -> Result<Vec<(Region, i64)>, Failure> {
    let hint = "eu-west-1=-3.5, if the way there is 3.5 ms shorter than the way back";
    stated(words, -MOST_MS).map_err(|(word, why)| refused(ASYMMETRY, word, &why, hint))
}

/// Reads `REGION=MS` several times: by how much the ways to a region and back differ at the most, ns.
///
/// # Errors
/// The same.
pub(crate) fn asymmetry_bounds(words: &[String]) -> Result<Vec<(Region, u64)>, Failure> {
    let hint = "eu-west-1=5, if the ways there and back differ by 5 ms at the most";
    let stated = stated(words, 0.0).map_err(|(word, why)| refused(BOUND, word, &why, hint))?;
    let bounds = stated.into_iter();
    Ok(bounds
        .map(|(region, by_ns)| (region, by_ns.unsigned_abs()))
        .collect())
}

/// Each region once, with ns from those of `least_ms` on; or which word is wrong, and why.
fn stated(words: &[String], least_ms: f64) -> Result<Vec<(Region, i64)>, (&str, String)> {
    let mut stated: Vec<(Region, i64)> = Vec::new();
    for word in words {
        let (region, by_ns) = way(word, least_ms).map_err(|why| (word.as_str(), why))?;
        if stated.iter().any(|(other, _)| *other == region) {
            return Err((word, "the region was stated before".to_owned()));
        }
        stated.push((region, by_ns));
    }
    Ok(stated)
}

fn way(word: &str, least_ms: f64) -> Result<(Region, i64), String> {
    let (region, ms) = word.split_once('=').ok_or("there is no = in it")?;
    let region: Region = region
        .parse()
        .map_err(|_| format!("{region:?} is no region (1 to 63 of a-z, 0-9 and -)"))?;
    let ms: f64 = ms.parse().map_err(|_| format!("{ms:?} is no number"))?;
    // What is no number is within no bounds.
    if !(least_ms..=MOST_MS).contains(&ms) {
        return Err(format!("{ms} ms is not from {least_ms} to {MOST_MS}"));
    }
    Ok((region, (ms * 1e6).round() as i64))
}

fn refused(flag: &str, word: &str, why: &str, hint: &str) -> Failure {
    Failure::usage(format!("{flag} {word}: {why}; nothing was started"))
        .hint(format!("{flag} {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn ways_are_read_and_nonsense_is_refused() {
        let read = |stated: &[&str]| asymmetries(&words(stated)).ok();
        let stated = read(&["eu=3.5", "us=-0.25"]).expect("two ways");
        let stated: Vec<_> = stated
            .iter()
            .map(|(region, ns)| (region.as_str(), *ns))
            .collect();
        assert_eq!(stated, [("eu", 3_500_000), ("us", -250_000)]);
        for bad in [
            "eu", "eu=", "=1", "EU=1", "eu=NaN", "eu=inf", "eu=1001", "eu=1e300", "eu=1ms",
        ] {
            assert!(read(&[bad]).is_none(), "{bad}");
        }
        assert!(read(&["eu=1", "eu=2"]).is_none(), "twice");
    }

    #[test]
    fn a_bound_is_nothing_or_more() {
        let read = |stated: &[&str]| asymmetry_bounds(&words(stated)).ok();
        let stated = read(&["eu=0", "us=12.5"]).expect("two bounds");
        let stated: Vec<u64> = stated.iter().map(|(_, ns)| *ns).collect();
        assert_eq!(stated, [0, 12_500_000]);
        for bad in ["eu=-1", "eu=NaN", "eu=1001", "eu"] {
            assert!(read(&[bad]).is_none(), "{bad}");
        }
    }
}
