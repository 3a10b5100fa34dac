//! Reading a directory: all of it, before anything is done; what is wrong is named by file and line.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use unisono_model::Digest;

use super::{
    HISTORY, Layout, ORCHESTRA, OrchestraFile, RESONANCE, ResonanceFile, SummaryFile, UpperPhase,
};
use crate::failure::{Exit, Failure};
use crate::small_file;

/// Most that is read of all files together (bytes): they are held until all is known to be right.
const BYTES_MAX: u64 = 64 << 20;
/// The last iteration of EXECUTION where no setting says another.
const EXECUTION_ENDS: u32 = 8;
/// Most iterations that are read.
const ITERATIONS_MAX: u32 = 10_000;

/// The text of each file, to say where something stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts(BTreeMap<String, String>);

impl Texts {
    /// How many bytes may still be read.
    fn room(&self) -> u64 {
        let held: u64 = self.0.values().map(|text| text.len() as u64).sum();
        BYTES_MAX.saturating_sub(held)
    }

    /// What is wrong, at the line of a file on which a word stands first.
    pub(crate) fn wrong(&self, file: &str, word: &str, why: impl Display) -> Failure {
        let quoted = format!("{word:?}");
        let lines = self
            .0
            .get(file)
            .map(|text| text.lines())
            .into_iter()
            .flatten();
        let line = lines.enumerate().find(|(_, line)| line.contains(&quoted));
        let line = line.map_or(1, |(index, _)| index + 1);
        told(file, line, why)
    }

    /// A name for exactly these files: the same import, begun again, counts once.
    pub(crate) fn digest(&self) -> Digest {
        let parts: Vec<&[u8]> = self
            .0
            .iter()
            .flat_map(|(name, text)| [name.as_bytes(), text.as_bytes()])
            .collect();
        Digest::of("unisono/layout/v1", &parts)
    }
}

/// Reads a directory.
///
/// # Errors
/// The first thing that is wrong, with file and line.
pub(crate) fn read(directory: &Path) -> Result<(Layout, Texts), Failure> {
    let mut texts = Texts::default();
    let orchestra: OrchestraFile = parsed(directory, ORCHESTRA, &mut texts)?;
    let resonance = if directory.join(RESONANCE).exists() {
        parsed(directory, RESONANCE, &mut texts)?
    } else {
        ResonanceFile::default()
    };
    let mut history = Vec::new();
    let last = orchestra.iteration;
    if last == 0 || last > ITERATIONS_MAX {
        let why = format!("the iteration is a number from 1 to {ITERATIONS_MAX}");
        return Err(texts.wrong(ORCHESTRA, "iteration", why));
    }
    for iteration in 1..last {
        let name = format!("{HISTORY}/iteration-{iteration:03}.json");
        let summary: SummaryFile = parsed(directory, &name, &mut texts)?;
        if summary.iteration != iteration {
            let why = format!("this is the file of iteration {iteration}");
            return Err(texts.wrong(&name, "iteration", why));
        }
        history.push(summary);
    }
    let mut said: Vec<UpperPhase> = history.iter().map(|one| one.phase).collect();
    said.push(orchestra.phase);
    let ends = execution_ends(&said);
    for (iteration, phase) in (1..).zip(&said) {
        let file = if iteration == last {
            ORCHESTRA.to_owned()
        } else {
            format!("{HISTORY}/iteration-{iteration:03}.json")
        };
        in_phase(iteration, *phase, ends).map_err(|why| texts.wrong(&file, "phase", why))?;
    }
    let layout = Layout {
        orchestra,
        resonance,
        history,
        execution_ends: (ends != EXECUTION_ENDS).then_some(ends.into()),
    };
    Ok((layout, texts))
}

/// The last iteration of EXECUTION by the phases that are said, of which the first is that of
/// iteration 1: where none of REFLECTION follows, as the settings have it, or later.
fn execution_ends(said: &[UpperPhase]) -> u32 {
    let begins = said
        .iter()
        .position(|phase| *phase == UpperPhase::Reflection);
    match begins {
        // The position counts from 0: it is the number of the iteration before.
        Some(before) => before as u32,
        None => EXECUTION_ENDS.max(said.len() as u32),
    }
}

/// Phases follow from iterations and one setting.
fn in_phase(iteration: u32, said: UpperPhase, execution_ends: u32) -> Result<(), String> {
    let phase = match iteration {
        0 | 1 => UpperPhase::Design,
        later if later <= execution_ends => UpperPhase::Execution,
        _ => UpperPhase::Reflection,
    };
    if said == phase {
        return Ok(());
    }
    Err(format!("iteration {iteration} is one of {phase:?}"))
}

fn parsed<T: DeserializeOwned>(
    directory: &Path,
    name: &str,
    texts: &mut Texts,
) -> Result<T, Failure> {
    let path: PathBuf = directory.join(name);
    let failed = |error: io::Error| told(name, 1, format!("cannot be read: {error}"));
    // A pipe that nobody writes to would be opened for ever.
    if !std::fs::metadata(&path).map_err(failed)?.is_file() {
        return Err(told(name, 1, "is no regular file"));
    }
    let text = small_file::text(&path, texts.room()).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => told(
            name,
            1,
            format!("all files together may have {BYTES_MAX} bytes"),
        ),
        _ => failed(error),
    })?;
    let read = serde_json::from_str(&text)
        .map_err(|error| told(name, error.line().max(1), error.to_string()))?;
    texts.0.insert(name.to_owned(), text);
    Ok(read)
}

fn told(file: &str, line: usize, why: impl Display) -> Failure {
    let words = format!("{file}:{line}: {why}");
    Failure::new(Exit::Usage, "layout", words).hint("mend the file; nothing was imported")
}
