//! Reading a directory: all of it, before anything is done; what is wrong is named by file and line.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use unisono_core::orchestra::course::PhaseMap;
use unisono_core::orchestra::view::Phase;
use unisono_model::Digest;

use super::{
    HISTORY, Layout, ORCHESTRA, OrchestraFile, RESONANCE, ResonanceFile, SummaryFile, UpperPhase,
};
use crate::failure::{Exit, Failure};
use crate::small_file;

/// Most that is read of all files together (bytes): they are held until all is known to be right.
const BYTES_MAX: u64 = 64 << 20;
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
    let resonance = resonance(directory, &orchestra, &mut texts)?;
    let mut history: Vec<SummaryFile> = Vec::new();
    let last = orchestra.iteration;
    if last == 0 || last > ITERATIONS_MAX {
        let why = format!("the iteration is a number from 1 to {ITERATIONS_MAX}");
        return Err(texts.wrong(ORCHESTRA, "iteration", why));
    }
    for iteration in 1..last {
        history.push(summary(directory, &orchestra, iteration, &mut texts)?);
    }
    let beyond = orchestra
        .history
        .iter()
        .find(|one| one.iteration == 0 || one.iteration >= last);
    if let Some(one) = beyond {
        let why = format!(
            "iteration {} is not over: the current one is {last}",
            one.iteration
        );
        return Err(texts.wrong(ORCHESTRA, "history", why));
    }
    let mut said: Vec<UpperPhase> = history.iter().map(|one| one.phase).collect();
    said.push(orchestra.phase);
    let phases = phases(&said);
    for (iteration, phase) in (1..).zip(&said) {
        let file = if iteration == last {
            ORCHESTRA.to_owned()
        } else {
            format!("{HISTORY}/iteration-{iteration:03}.json")
        };
        in_phase(iteration, *phase, phases).map_err(|why| texts.wrong(&file, "phase", why))?;
    }
    let layout = Layout {
        orchestra,
        resonance,
        history,
        phases,
    };
    Ok((layout, texts))
}

/// The map by which the phases are those that are said, of which the first is that of iteration 1:
/// where one that follows is not said, it begins as the settings have it, or later.
fn phases(said: &[UpperPhase]) -> PhaseMap {
    let usual = PhaseMap::default();
    // The position counts from 0: it is the number of the iteration before.
    let before = |phase: &dyn Fn(UpperPhase) -> bool| {
        let first = said.iter().position(|one| phase(*one));
        first.map(|before| before as u64)
    };
    let whole = said.len() as u64;
    let reflects = before(&|phase| phase == UpperPhase::Reflection);
    PhaseMap {
        design_ends: before(&|phase| phase != UpperPhase::Design)
            .unwrap_or_else(|| usual.design_ends.max(whole)),
        execution_ends: reflects.unwrap_or_else(|| usual.execution_ends.max(whole)),
    }
}

/// Phases follow from iterations and two settings: each is said in one stretch, one after the other.
fn in_phase(iteration: u32, said: UpperPhase, phases: PhaseMap) -> Result<(), String> {
    let phase = match phases.phase(iteration) {
        Phase::Design => UpperPhase::Design,
        Phase::Execution => UpperPhase::Execution,
        Phase::Reflection => UpperPhase::Reflection,
    };
    if said == phase {
        return Ok(());
    }
    Err(format!(
        "iteration {iteration} is one of {phase:?}: DESIGN comes first, then EXECUTION, then REFLECTION"
    ))
}

/// The signals: of their own file, or of the state's.
fn resonance(
    directory: &Path,
    orchestra: &OrchestraFile,
    texts: &mut Texts,
) -> Result<ResonanceFile, Failure> {
    if !directory.join(RESONANCE).exists() {
        return Ok(orchestra.resonance.clone().unwrap_or_default());
    }
    let own: ResonanceFile = parsed(directory, RESONANCE, texts)?;
    agree(texts, "resonance", &own, orchestra.resonance.as_ref())?;
    Ok(own)
}

/// What is said of an iteration that is over: in its own file, or in the state's.
fn summary(
    directory: &Path,
    orchestra: &OrchestraFile,
    iteration: u32,
    texts: &mut Texts,
) -> Result<SummaryFile, Failure> {
    let mut within = orchestra
        .history
        .iter()
        .filter(|one| one.iteration == iteration);
    let within = (within.next(), within.next());
    if within.1.is_some() {
        let why = format!("iteration {iteration} stands there twice");
        return Err(texts.wrong(ORCHESTRA, "history", why));
    }
    let name = format!("{HISTORY}/iteration-{iteration:03}.json");
    if let Some(within) = within.0
        && !directory.join(&name).exists()
    {
        return Ok(within.clone());
    }
    let own: SummaryFile = parsed(directory, &name, texts)?;
    if own.iteration != iteration {
        let why = format!("this is the file of iteration {iteration}");
        return Err(texts.wrong(&name, "iteration", why));
    }
    agree(texts, "history", &own, within.0)?;
    Ok(own)
}

/// What stands in a file of its own and in the state's is the same, or nobody knows which was meant.
fn agree<T: Serialize>(
    texts: &Texts,
    field: &str,
    own: &T,
    within: Option<&T>,
) -> Result<(), Failure> {
    let value = |one: &T| serde_json::to_value(one).unwrap_or_default();
    if within.is_none_or(|within| value(within) == value(own)) {
        return Ok(());
    }
    let why = "it says something else than the file of its own does: take one of them away";
    Err(texts.wrong(ORCHESTRA, field, why))
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
