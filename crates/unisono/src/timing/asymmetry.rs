//! Ways that are known to be longer there than back, as an operator states them.

use unisono_core::timekeeper::limits::ASYMMETRY_NS_MAX;
use unisono_quic::identity::Region;

use crate::failure::Failure;

/// Reads `REGION=MS` several times: by how much the way to a region takes longer than the way back, ns.
///
/// # Errors
/// A usage error that says what is wrong with which of them.
pub(crate) fn asymmetries(words: &[String]) -> Result<Vec<(Region, i64)>, Failure> {
    let mut stated: Vec<(Region, i64)> = Vec::new();
    for word in words {
        let (region, by_ns) = asymmetry(word).map_err(|why| refused(word, &why))?;
        if stated.iter().any(|(other, _)| *other == region) {
            return Err(refused(word, "the region was stated before"));
        }
        stated.push((region, by_ns));
    }
    Ok(stated)
}

fn asymmetry(word: &str) -> Result<(Region, i64), String> {
    let (region, ms) = word.split_once('=').ok_or("there is no = in it")?;
    let region: Region = region
        .parse()
        .map_err(|_| format!("{region:?} is no region (1 to 63 of a-z, 0-9 and -)"))?;
    let ms: f64 = ms.parse().map_err(|_| format!("{ms:?} is no number"))?;
    let most_ms = ASYMMETRY_NS_MAX as f64 / 1e6;
    // What is no number is within no bounds.
    if !(-most_ms..=most_ms).contains(&ms) {
        return Err(format!("{ms} ms is not from -{most_ms} to {most_ms}"));
    }
    Ok((region, (ms * 1e6).round() as i64))
}

fn refused(word: &str, why: &str) -> Failure {
    Failure::usage(format!(
        "--path-asymmetry-ms {word}: {why}; nothing was started"
    ))
    .hint(
        "--path-asymmetry-ms eu-west-1=-3.5, if the way there is 3.5 ms shorter than the way back",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_read_and_nonsense_is_refused() {
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            asymmetries(&words).ok()
        };
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
}
