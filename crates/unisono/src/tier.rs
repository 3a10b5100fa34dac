//! Tiers as data: what an agent of a kind is given, read from a file that anybody can copy and
//! change. What no file can give is compiled in ([`unisono_core::capability::ceiling`]).

use std::path::Path;

use serde::Deserialize;
use unisono_core::capability::{ceiling, offends};
use unisono_model::capability::{Grant, Operations, Rights, Scope, Tier};

use crate::failure::{Exit, Failure};
use crate::small_file;

/// The tiers that ship, each as the file that it is.
pub(crate) const BUILT_IN: [(&str, &str); 4] = [
    ("executive", include_str!("../data/tiers/executive.toml")),
    (
        "implementation",
        include_str!("../data/tiers/implementation.toml"),
    ),
    ("validation", include_str!("../data/tiers/validation.toml")),
    ("renewer", include_str!("../data/tiers/renewer.toml")),
];

/// A tier's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TierFile {
    tier: String,
    life: String,
    renewable_for: Option<String>,
    #[serde(default)]
    links_after: u8,
    may: RightsFile,
    grant: Option<GrantFile>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RightsFile {
    operations: Vec<String>,
    read: Reach,
    write: Reach,
    #[serde(default)]
    files: Listed,
    #[serde(default)]
    phases: Listed,
    #[serde(default)]
    complexity_max: u16,
    #[serde(default)]
    function_lines_max: u16,
    #[serde(default)]
    file_bytes_max: u32,
    actions_per_minute_max: u16,
}

/// Rights with the tiers that they may be handed to. Read in two steps: a flattened field would let
/// every misspelt key pass, and one that is not understood may be the one that narrows.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "toml::Table")]
struct GrantFile {
    tiers: Vec<String>,
    rights: RightsFile,
}

impl TryFrom<toml::Table> for GrantFile {
    type Error = toml::de::Error;

    fn try_from(mut table: toml::Table) -> Result<Self, Self::Error> {
        let missing = || serde::de::Error::missing_field("tiers");
        Ok(Self {
            tiers: table.remove("tiers").ok_or_else(missing)?.try_into()?,
            rights: table.try_into()?,
        })
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reach {
    Nowhere,
    Project,
    Everywhere,
}

/// Whether the rights are bound to what is named when a token is made.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Listed {
    #[default]
    All,
    Given,
}

/// What is named when a token is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// The project: an orchestra's name.
    pub(crate) project: Option<String>,
    /// The files.
    pub(crate) files: Vec<String>,
    /// The phases.
    pub(crate) phases: Vec<u32>,
}

/// What a token of a tier says, but for whom it is for.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// The tier.
    pub(crate) tier: Tier,
    /// For how long it counts (ms).
    pub(crate) life_ms: u64,
    /// For how long from its beginning it may be renewed (ms); 0: not at all.
    pub(crate) renewable_ms: u64,
    /// How many links may follow.
    pub(crate) depth_left: u8,
    /// What its holder may do.
    pub(crate) may: Rights,
    /// What its holder may let others do.
    pub(crate) grant: Option<Grant>,
}

/// The text of a tier's file: one that ships, by its name, or any other, by its path.
pub(crate) fn text(name: &str) -> Result<String, Failure> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return Ok((*text).to_owned());
    }
    small_file::text(Path::new(name), small_file::BYTES_MAX).map_err(|error| {
        Failure::system(name, &error)
            .hint("a tier is executive, implementation, validation, renewer, or the path of a file like theirs")
            .next("unisono tier show executive > mine.toml")
    })
}

/// Reads a tier's file, and fills in what is given.
pub(crate) fn shape(name: &str, given: &Given) -> Result<Shape, Failure> {
    let file: TierFile =
        toml::from_str(&text(name)?).map_err(|error| wrong(name, &error.to_string()))?;
    let tier = Tier::of(&file.tier);
    tier.check()
        .map_err(|error| wrong(name, &error.to_string()))?;
    let bad = |words: String| wrong(name, &words);
    let shape = Shape {
        life_ms: duration_ms(&file.life).map_err(bad)?,
        renewable_ms: file
            .renewable_for
            .as_deref()
            .map_or(Ok(0), duration_ms)
            .map_err(bad)?,
        depth_left: file.links_after,
        may: rights(name, &file.may, given)?,
        grant: file
            .grant
            .as_ref()
            .map(|grant| {
                let mut tiers: Vec<Tier> = grant.tiers.iter().map(|word| Tier::of(word)).collect();
                tiers.sort_unstable();
                let rights = rights(name, &grant.rights, given)?;
                Ok::<_, Failure>(Grant { tiers, rights })
            })
            .transpose()?,
        tier,
    };
    let above = ceiling(&shape.tier).and_then(|ceiling| ceiling.exceeded_by(&shape.may));
    if let Some(field) = above {
        let words = format!("no {} may ever have this: {field}", shape.tier.word());
        return Err(wrong(name, &words));
    }
    match offends(&shape.may) {
        Some(what) => Err(wrong(name, &format!("duties that must stay apart: {what}"))),
        None => Ok(shape),
    }
}

fn rights(name: &str, file: &RightsFile, given: &Given) -> Result<Rights, Failure> {
    let mut operations = Operations::default();
    for word in &file.operations {
        let known = Operations::WORDS.iter().find(|(_, known)| known == word);
        let Some((operation, _)) = known else {
            let words: Vec<&str> = Operations::WORDS.iter().map(|(_, word)| *word).collect();
            let words = format!("no operation {word}; they are {}", words.join(", "));
            return Err(wrong(name, &words));
        };
        operations = operations.and(*operation);
    }
    let project = |what: &str| {
        given.project.clone().map(Scope::Project).ok_or_else(|| {
            Failure::usage(format!("this tier {what}s in one project: name it"))
                .hint("--project NAME; a project is the orchestra of that name")
        })
    };
    let scope = |reach, what| match reach {
        Reach::Nowhere => Ok(Scope::Nowhere),
        Reach::Everywhere => Ok(Scope::Global),
        Reach::Project => project(what),
    };
    let rights = Rights {
        operations,
        read: scope(file.read, "read")?,
        write: scope(file.write, "write")?,
        files: matches!(file.files, Listed::Given).then(|| sorted(&given.files)),
        phases: matches!(file.phases, Listed::Given).then(|| sorted(&given.phases)),
        complexity_max: file.complexity_max,
        function_lines_max: file.function_lines_max,
        file_bytes_max: file.file_bytes_max,
        actions_per_minute_max: file.actions_per_minute_max,
    };
    rights
        .check()
        .map_err(|error| Failure::usage(format!("what is given: {error}")))?;
    Ok(rights)
}

fn sorted<T: Ord + Clone>(given: &[T]) -> Vec<T> {
    let mut list = given.to_vec();
    list.sort_unstable();
    list.dedup();
    list
}

/// A duration in words: `90s`, `15m`, `24h`, `7d`; in milliseconds.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn duration_ms(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is no duration: 90s, 15m, 24h, 7d");
    let split = text.len().checked_sub(1).ok_or_else(bad)?;
    let (number, unit) = text.split_at_checked(split).ok_or_else(bad)?;
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 24 * 3_600_000,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number
        .checked_mul(unit_ms)
        .filter(|ms| *ms > 0)
        .ok_or_else(bad)
}

fn wrong(name: &str, words: &str) -> Failure {
    Failure::new(Exit::Usage, "tier_invalid", format!("tier {name}: {words}"))
        .hint("`unisono tier show executive` prints one that is right")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Given {
        Given {
            project: Some("alpha".into()),
            files: vec!["src/b.rs".into(), "src/a.rs".into(), "src/a.rs".into()],
            phases: vec![2, 1],
        }
    }

    #[test]
    fn every_tier_that_ships_is_within_its_ceiling() {
        for (name, _) in BUILT_IN {
            let shape = shape(name, &given()).expect(name);
            assert_eq!(shape.tier.word(), name);
        }
        let implementer = shape("implementation", &given()).expect("shape").may;
        let files = vec!["src/a.rs".to_owned(), "src/b.rs".to_owned()];
        assert_eq!(implementer.files, Some(files));
    }

    #[test]
    fn a_project_that_is_not_named_is_asked_for() {
        assert!(shape("implementation", &Given::default()).is_err());
    }

    /// `file` instead of `files` was passed over, and the grant was for every file.
    #[test]
    fn a_misspelt_key_of_a_grant_is_refused() {
        let good = BUILT_IN[0].1;
        let bad = good.replace("[grant]", "[grant]\nfile = \"given\"");
        assert!(toml::from_str::<TierFile>(good).is_ok());
        let refused = toml::from_str::<TierFile>(&bad).expect_err("an unknown key");
        assert!(refused.to_string().contains("file"), "{refused}");
    }

    #[test]
    fn durations_are_read_or_refused() {
        assert_eq!(duration_ms("24h"), Ok(86_400_000));
        for bad in [
            "",
            "h",
            "0s",
            "5",
            "-1h",
            "1w",
            "99999999999999999999d",
            "1é",
        ] {
            assert!(duration_ms(bad).is_err(), "{bad}");
        }
    }
}
