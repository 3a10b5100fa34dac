//! Iterations that are over: told in a budget of tokens, or given back whole; what a role is told at
//! the beginning of one, and the outline of all.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use unisono_api::client::chronicle::{Chapter, Chronicle};
use unisono_api::client::compression::{self, Budget, History};
use unisono_api::client::recovery;
use unisono_api::dto::{ActionShown, RecordEvent, VerdictWord, parse_stamp};
use unisono_core::replication::Placed;
use unisono_model::{AgentId, Digest, Stamp};

use super::recovered;
use super::scene;
use super::session::Session;
use super::verify;
use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};
use crate::prompt::{self, Template};
use crate::tokens::Counter;

/// How tokens are counted.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Counting {
    /// At most so many tokens for all iterations together; what is pinned is told in any case
    #[arg(long, default_value_t = 5_000)]
    max_tokens: u64,
    /// Counts a token for each three and a half bytes instead of loading a tokenizer
    #[arg(long)]
    by_bytes: bool,
}

/// `history`.
#[derive(Clone, Debug, Args)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    counting: Counting,
}

/// `recover`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecoverArgs {
    /// Which
    iteration: u32,
    /// Also holds every record that is given back against what its agent signed: a data directory, or
    /// a file of `audit export`
    #[arg(long, value_name = "PATH")]
    against: Option<PathBuf>,
    /// Asks no node: gives the iteration back from a file of `audit export`, or a data directory,
    /// once all of it is verified
    #[arg(long, value_name = "PATH", conflicts_with = "against")]
    from: Option<PathBuf>,
    /// The cluster's root of rights, on which what a file says of tokens rests: a directory knows it
    #[arg(long, value_name = "KEY", requires = "from")]
    root: Option<AgentId>,
    /// The key that names other roots, where the cluster has one: a directory knows it
    #[arg(long, value_name = "KEY", requires = "root")]
    recovery: Option<AgentId>,
}

impl RecoverArgs {
    /// Whether no node is asked.
    pub(super) fn is_offline(&self) -> bool {
        self.from.is_some()
    }
}

/// `prompt`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PromptArgs {
    #[command(flatten)]
    counting: Counting,
    /// A template of one's own for all of it
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// A template of one's own for the mission
    #[arg(long, value_name = "FILE")]
    mission: Option<PathBuf>,
    /// Shows what templates can name, instead
    #[arg(long)]
    known: bool,
}

/// `outline`.
#[derive(Clone, Debug, Args)]
pub(crate) struct OutlineArgs {
    /// A template of one's own
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
}

impl Counting {
    pub(super) fn counter(self) -> Counter {
        if self.by_bytes {
            Counter::by_bytes()
        } else {
            Counter::load()
        }
    }

    pub(super) fn compress(self, chronicle: &Chronicle, counter: &Counter) -> History {
        let budget = Budget {
            total: self.max_tokens,
            ..Budget::default()
        };
        compression::compress(chronicle, budget, &|text| counter.count(text))
    }
}

/// Tells all iterations, as much of each as is near.
pub(crate) async fn history(args: HistoryArgs, session: &Session) -> Result<(), Failure> {
    let chronicle = chronicle(session).await?;
    let counter = args.counting.counter();
    let told = args.counting.compress(&chronicle, &counter);
    if session.global.output == Format::Table {
        return output::raw(&told.markdown());
    }
    let mut answer = value(&told)?;
    answer["counted_with"] = json!(counter.counted_with());
    answer["markdown"] = json!(told.markdown());
    output::answer(session.global.output, &answer, None)
}

/// Gives back all that belongs to an iteration, and says whether its marks prove it.
pub(crate) async fn recover(args: RecoverArgs, session: &Session) -> Result<(), Failure> {
    let (client, name) = (&session.client, &session.orchestra);
    let at = moment(session)?;
    let chronicle = Chronicle::read_keeping(client, name, at, args.iteration).await?;
    has_begun(&chronicle, args.iteration)?;
    let signed = match &args.against {
        None => None,
        Some(path) => Some(held_against(path, args.iteration, session).await?),
    };
    given_back(&chronicle, args.iteration, signed, session.global.output)
}

/// The same from what lies on a disk, without a node.
pub(crate) fn recover_from(
    args: &RecoverArgs,
    config: &Config,
    global: &Global,
) -> Result<(), Failure> {
    let path = args.from.as_deref().unwrap_or(Path::new("."));
    let at = global.as_of.as_deref().map(parse_stamp).transpose();
    let at = at.map_err(|error| Failure::usage(format!("--as-of: {error}")))?;
    let name = config.text("orchestra").unwrap_or(crate::config::ORCHESTRA);
    let recovered = recovered::from(path, name, (args.root, args.recovery), (at, args.iteration))?;
    has_begun(&recovered.chronicle, args.iteration)?;
    let signed = recovered.signed.get(&args.iteration).copied();
    let signed = Some(signed.unwrap_or_default());
    given_back(&recovered.chronicle, args.iteration, signed, global.output)
}

fn has_begun(chronicle: &Chronicle, iteration: u32) -> Result<(), Failure> {
    let current = chronicle.iteration();
    if (1..=current).contains(&iteration) {
        return Ok(());
    }
    let words = format!("there was no iteration {iteration}: the current one is {current}");
    Err(Failure::new(Exit::NotFound, "iteration_unknown", words)
        .hint("the first is 1; `unisono history` tells them all"))
}

fn given_back(
    chronicle: &Chronicle,
    iteration: u32,
    signed: Option<usize>,
    format: Format,
) -> Result<(), Failure> {
    let chapter = chronicle.chapter(iteration);
    let known = chronicle.marks();
    let proofs = chapter.proofs();
    let missing: Vec<&(String, Digest)> = proofs
        .iter()
        .filter(|(_, mark)| !known.contains(mark))
        .collect();
    if format == Format::Table {
        let verdict = format!(
            "{} of {} marks prove it\n",
            proofs.len() - missing.len(),
            proofs.len()
        );
        let signed = signed.map_or_else(String::new, |records| {
            format!("{records} records are as their agents signed them\n")
        });
        output::raw(&(recovery::whole(&chapter) + &verdict + &signed))?;
    } else {
        let mut answer = value(&chapter)?;
        let missing: Vec<Value> = missing
            .iter()
            .map(|(what, mark)| json!({ "of": what, "mark": mark }))
            .collect();
        answer["verified"] =
            json!({ "marks": proofs.len(), "missing": missing, "signed_records": signed });
        output::answer(format, &answer, None)?;
    }
    let Some((what, mark)) = missing.first() else {
        return Ok(());
    };
    let words = format!(
        "{} of {} marks are not here, or do not count: {mark} of {what}",
        missing.len(),
        proofs.len()
    );
    Err(Failure::new(Exit::Verification, "not_verified", words).next("unisono verify"))
}

/// Whether every record that counts and bears an iteration stands in a directory or an export, signed
/// by its agent and saying the same; how many these are.
async fn held_against(path: &Path, iteration: u32, session: &Session) -> Result<usize, Failure> {
    let mut told: Vec<RecordEvent> = Vec::new();
    let client = &session.client;
    let mut dump = client
        .dump_as_of(&session.orchestra, None, moment(session)?)
        .await?;
    while let Some(record) = dump.next().await? {
        if record.iteration == iteration && record.verdict == VerdictWord::Valid {
            told.push(record);
        }
    }
    let wanted = told.iter().map(|one| one.record).collect();
    let signed = verify::signed(path, wanted)?;
    let shown = path.display();
    for one in &told {
        let wrong = match signed.get(&one.record) {
            None => Some("does not stand there"),
            Some(placed) if !placed.good => Some("is not borne out by its signature or its chain"),
            Some(placed) => (!says_the_same(one, placed)).then_some("says something else there"),
        };
        if let Some(wrong) = wrong {
            let words = format!("{shown}: record {} of {} {wrong}", one.record, one.name);
            return Err(Failure::new(Exit::Verification, "not_signed", words)
                .hint("a directory or an export of a node that holds all of it; nothing changed"));
        }
    }
    Ok(told.len())
}

fn says_the_same(told: &RecordEvent, signed: &Placed) -> bool {
    let Some(body) = &signed.body else {
        return false;
    };
    let (one, other) = (
        serde_json::to_value(&told.action).ok(),
        serde_json::to_value(ActionShown::from(body.action.clone())).ok(),
    );
    told.agent == signed.agent
        && told.stamp.stamp == signed.place.stamp
        && told.iteration == body.iteration
        && one.is_some()
        && one == other
}

/// Tells a role what there is to do, from a template.
pub(crate) async fn prompt(args: PromptArgs, session: &Session) -> Result<(), Failure> {
    let mission = Template::read(args.mission.as_deref(), prompt::MISSION)?;
    let template = Template::read(args.template.as_deref(), prompt::PROMPT)?;
    let chronicle = chronicle(session).await?;
    let counter = args.counting.counter();
    let told = args.counting.compress(&chronicle, &counter);
    let mut known = scene::of_role(session, &chronicle, &told).await?;
    known["counted_with"] = json!(counter.counted_with());
    known["mission"] = json!(mission.render(&known)?.trim());
    if args.known {
        return output::answer(Format::Json, &known, None);
    }
    let text = template.render(&known)?;
    if session.global.output == Format::Table {
        return output::raw(&ended(text));
    }
    let answer = json!({
        "agent": known["agent"],
        "iteration": known["iteration"],
        "mission": known["mission"],
        "tokens": counter.count(&text),
        "counted_with": counter.counted_with(),
        "text": text,
    });
    output::answer(session.global.output, &answer, None)
}

/// Tells where the orchestra stands, from a template: never edited, so never stale.
pub(crate) async fn outline(args: OutlineArgs, session: &Session) -> Result<(), Failure> {
    let template = Template::read(args.template.as_deref(), prompt::OUTLINE)?;
    let chronicle = chronicle(session).await?;
    let mut known = scene::of_all(session).await?;
    let chapters = chronicle.chapters();
    let iterations: Vec<Value> = chapters.iter().map(short).collect();
    known["iterations"] = json!(iterations);
    let text = template.render(&known)?;
    if session.global.output == Format::Table {
        return output::raw(&ended(text));
    }
    known["text"] = json!(text);
    output::answer(session.global.output, &known, None)
}

fn short(chapter: &Chapter) -> Value {
    json!({
        "iteration": chapter.iteration,
        "phase": scene::phase(chapter.phase),
        "ended": chapter.ended.is_some(),
        "sentence": compression::sentence(chapter),
    })
}

/// Every record that the node holds, up to the moment that was asked for.
pub(super) async fn chronicle(session: &Session) -> Result<Chronicle, Failure> {
    let at = moment(session)?;
    Ok(Chronicle::read(&session.client, &session.orchestra, at).await?)
}

fn moment(session: &Session) -> Result<Option<Stamp>, Failure> {
    let read = session.as_of().map(parse_stamp).transpose();
    read.map_err(|error| Failure::usage(format!("--as-of: {error}")))
}

fn value(of: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(of)
        .map_err(|error| Failure::new(Exit::Failed, "unprintable", error.to_string()))
}

/// A text that ends its last line.
fn ended(mut text: String) -> String {
    if !text.ends_with('\n') {
        // Writing to a string cannot fail.
        let _ = writeln!(text);
    }
    text
}
