//! The command line: what there is, and one runnable example for each.

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use unisono_core::election::Class;

use crate::command;
use crate::config::Flags;
use crate::output::Format;

/// One shared state for a fleet of agents: on one machine, or on many that keep working when
/// machines, disks or networks do not.
#[derive(Debug, Parser)]
#[command(name = "unisono", version, disable_help_subcommand = true)]
#[command(after_help = "Example:\n  unisono up")]
pub(crate) struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// A node to ask; may stand several times; also UNISONO_NODE [default: http://127.0.0.1:7420]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) node: Vec<String>,
    /// The orchestra [default: main]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) orchestra: Option<String>,
    /// The agent that acts
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// The agent's own key: it signs by itself; made if it is not there
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// A file with the capability token under which a self-signing agent acts
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// How answers are printed: table, json, ndjson
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub(crate) output: Format,
    /// Reads speak of this moment: a time (RFC 3339) or a stamp
    #[arg(long, global = true, value_name = "MOMENT")]
    pub(crate) as_of: Option<String>,
    /// Writes are answered when they are on the disks of so many nodes
    #[arg(long, global = true, value_name = "N")]
    pub(crate) durable_on: Option<u16>,
    /// The same words make a repeated write count once
    #[arg(long, global = true, value_name = "WORDS")]
    pub(crate) idempotency_key: Option<String>,
    /// Only answers that have seen at least this
    // A cursor is base64 and may begin with a hyphen.
    #[arg(long, global = true, value_name = "CURSOR", allow_hyphen_values = true)]
    pub(crate) min_cursor: Option<String>,
    /// How long the node may wait for what was asked for (ms)
    #[arg(long, global = true, value_name = "MS")]
    pub(crate) wait_ms: Option<u64>,
    /// The data directory [default: ./.unisono]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// This configuration file instead of those in the usual places
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A file with the token that every HTTP request must bear
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) http_token_file: Option<PathBuf>,
}

/// How a node is served.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Listen {
    /// The node's name that people read
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Where agents are served [default: 127.0.0.1:7420]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) http: Option<String>,
    /// Where peers knock, UDP [default: 127.0.0.1:7421]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) peer: Option<String>,
    /// What peers are told instead, HOST:PORT; may stand several times
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Vec<String>,
    /// What is logged: error, warn, info, debug, trace
    #[arg(long, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// Records every request that changes something, and its answer, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// The workspace of the agents here: files are recorded only if they lie in it as they were sent
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
    /// Binds the endpoint that injects faults
    #[arg(long, hide = true)]
    pub(crate) test_faults: bool,
    /// Leaves out what makes writes durable: the control of the power-cut test
    #[arg(long, hide = true)]
    pub(crate) no_fsync: bool,
    /// Breaks a rule on purpose
    #[arg(long, hide = true, value_name = "NAME")]
    pub(crate) sabotage: Vec<String>,
    /// Who leads the cluster's time: the lesser, 128 if nobody says
    #[arg(long, value_name = "0..255")]
    pub(crate) clock_priority: Option<u8>,
    /// What this machine's clock is synchronised to: the better leads among equals
    #[arg(long, value_enum, value_name = "CLASS")]
    pub(crate) clock_class: Option<ClockClass>,
    /// The way to a region takes so many ms longer than the way back (negative: less); may stand
    /// several times
    #[arg(long, value_name = "REGION=MS", allow_hyphen_values = true)]
    pub(crate) path_asymmetry_ms: Vec<String>,
    /// The ways to a region and back differ by so many ms at the most, beyond what is stated of them; an
    /// eighth of the round trip is feared if nobody says. May stand several times
    #[arg(long, value_name = "REGION=MS", allow_hyphen_values = true)]
    pub(crate) asymmetry_bound_ms: Vec<String>,
    /// For tests: certificates live so long
    #[arg(long, hide = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(2..))]
    pub(crate) certificate_seconds: Option<u64>,
    /// For tests: the timing plane's own clock is off by so much
    #[arg(
        long,
        hide = true,
        value_name = "MS",
        default_value_t = 0,
        allow_hyphen_values = true
    )]
    pub(crate) clock_offset_ms: i64,
    /// For tests: the timing plane's own clock runs wrong by so many millionths
    #[arg(
        long,
        hide = true,
        value_name = "PPM",
        default_value_t = 0,
        allow_hyphen_values = true
    )]
    pub(crate) clock_drift_ppm: i64,
    /// For tests: the rate of the timing plane's own clock sways by so many billionths
    #[arg(
        long,
        hide = true,
        value_name = "PPB",
        default_value_t = 0,
        allow_hyphen_values = true
    )]
    pub(crate) clock_wander_ppb: i64,
}

/// What a machine's clock is synchronised to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ClockClass {
    /// A receiver of satellites, or another primary reference
    Gps,
    /// A server on the network
    Ntp,
    /// Nothing
    Free,
}

impl From<ClockClass> for Class {
    fn from(class: ClockClass) -> Self {
        match class {
            ClockClass::Gps => Self::Gps,
            ClockClass::Ntp => Self::Ntp,
            ClockClass::Free => Self::Free,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves a node alone: founds a cluster if there is none here, makes the orchestra `main`
    #[command(after_help = "Example:\n  unisono up --data ./lab")]
    Up(command::node::UpArgs),
    /// Serves the node of this data directory
    #[command(after_help = "Example:\n  unisono serve --http 127.0.0.1:7430 --peer 127.0.0.1:7431")]
    Serve(command::node::ServeArgs),
    /// Founds a cluster: its authority, and this node as its first member
    #[command(after_help = "Example:\n  unisono init --region eu-west-1 --name lab-1")]
    Init(command::node::InitArgs),
    /// Prints one string that lets one node in
    #[command(after_help = "Example:\n  unisono invite --valid-minutes 10")]
    Invite(command::node::InviteArgs),
    /// Joins the cluster of an invite; then `unisono serve` connects
    #[command(after_help = "Example:\n  unisono join unisono1.abc… --data ./lab2")]
    Join(command::node::JoinArgs),
    /// Has this machine's node leave the cluster: nothing is lost, and nobody waits for it any more
    #[command(after_help = "Example:\n  unisono leave --data ./lab2")]
    Leave(command::leave::LeaveArgs),
    /// Nodes: remove a member for good, give this one another key
    #[command(
        after_help = "Example:\n  unisono node remove lab-3 --as root --key-file ./lab/root.key"
    )]
    Node(command::remove::NodeArgs),
    /// The authority that signs nodes' certificates: which ones count, and another one in its place
    #[command(after_help = "Example:\n  unisono ca rotate --data ./lab --root-key ./lab/root.key")]
    Ca(command::ca::CaArgs),
    /// Key files: protect one with a passphrase, or take that away
    #[command(after_help = "Example:\n  unisono key protect ./lab/root.key")]
    Key(command::key::KeyArgs),
    /// The root of rights: which key it is, and another one in its place
    #[command(
        after_help = "Example:\n  unisono root rotate --data ./lab --recovery-key /media/stick/recovery.key"
    )]
    Root(command::root::RootArgs),
    /// How the node is
    #[command(after_help = "Example:\n  unisono status -o json")]
    Status,
    /// Looks for what goes wrong on machines: keys, certificate, ports, disk, clocks, versions
    #[command(after_help = "Example:\n  unisono doctor --data ./.unisono")]
    Doctor,
    /// The members of the cluster
    #[command(after_help = "Example:\n  unisono members")]
    Members,
    /// The orchestras that the node holds
    #[command(after_help = "Example:\n  unisono orchestras")]
    Orchestras,
    /// What time it is in the cluster, how sure that is, and who leads
    #[command(after_help = "Example:\n  unisono clock -o json")]
    Clock,
    /// Runs a command at a time of the cluster: here, or on other machines what each stands by with
    #[command(
        after_help = "Example:\n  unisono at +2s -- echo now\n  unisono at +5s --on ada,eve --word switch --as boss"
    )]
    At(command::at::AtArgs),
    /// Stands by for cues of a name: says that it is ready, runs a command here at their time, and tells
    /// how punctual that was and how the command ended
    #[command(after_help = "Example:\n  unisono stand-by switch --as ada --from boss -- ./switch")]
    StandBy(command::stand_by::StandByArgs),
    /// Plays along with the beat: a command gets a line for each beat, as much earlier as it is late as a
    /// rule, and the orchestra is told how punctual it was
    #[command(after_help = "Example:\n  unisono perform --as ada --every point -- ./play")]
    Perform(command::perform::PerformArgs),
    /// The tempo that the orchestra plays at: show it, change it along a curve
    #[command(after_help = "Example:\n  unisono tempo set 90 --over 10s --as ada")]
    Tempo(command::tempo::TempoArgs),
    /// Waits until so many agents wait, and goes on at one time; without a name, shows who waits
    #[command(after_help = "Example:\n  unisono barrier deploy --of 3 --as ada -- ./switch")]
    Barrier(command::barrier::BarrierArgs),
    /// What is to be done together when: list and follow it, give a cue, answer one, play one, see how
    /// much notice agents need
    #[command(after_help = "Example:\n  unisono schedule cue switch --for ada --as eve")]
    Schedule(command::schedule::ScheduleArgs),
    /// How punctual everybody is who told of an action, and what goes wrong: rushing, dragging, drift, split
    #[command(after_help = "Example:\n  unisono ensemble --minutes")]
    Ensemble(command::ensemble::EnsembleArgs),
    /// When the next event of a source comes and how sure that is; prepares for it, or reacts
    #[command(
        after_help = "Example:\n  unisono foretell --agent ada --kind mark --within-ms 500 -o json\n  unisono foretell --topic build --prepare-ms 2000 -- ./warm-up"
    )]
    Foretell(command::foretell::ForetellArgs),
    /// Agents: enrol one, list them
    #[command(after_help = "Example:\n  unisono agent enrol ada --role builder")]
    Agent(command::agent::AgentArgs),
    /// How the agents are, or how this one is
    #[command(
        after_help = "Example:\n  unisono presence --as ada active --intent \"build the index\""
    )]
    Presence(command::agent::PresenceArgs),
    /// The signals that stand
    #[command(after_help = "Example:\n  unisono sense index")]
    Sense(command::signal::SenseArgs),
    /// Emits a signal
    #[command(
        after_help = "Example:\n  unisono emit need index --as ada --urgency high \"who has the corpus?\""
    )]
    Emit(command::signal::EmitArgs),
    /// Where agents get in each other's way: list it, resolve it
    #[command(after_help = "Example:\n  unisono interference list --as ada")]
    Interference(command::resonance::InterferenceArgs),
    /// How far agents have come apart: a score, its terms, and who breaks them
    #[command(after_help = "Example:\n  unisono coherence --explain context")]
    Coherence(command::resonance::CoherenceArgs),
    /// Where an agent stands in the flow: it senses, works, yields to what blocks and names it
    #[command(after_help = "Example:\n  unisono flow --as ada")]
    Flow,
    /// What an agent needs to know to go on, in a budget of tokens
    #[command(after_help = "Example:\n  unisono continue --as ada --max-tokens 600")]
    Continue(command::resonance::ContinueArgs),
    /// Records what an agent has seen, by the cursor of what it read
    #[command(after_help = "Example:\n  unisono seen kQx1… --as ada")]
    Seen(command::resonance::SeenArgs),
    /// The orchestra as a directory of files: written, or made of one
    #[command(after_help = "Example:\n  unisono layout export ./run-023")]
    Layout(command::layout::LayoutArgs),
    /// What differs between two moments
    #[command(after_help = "Example:\n  unisono diff 2026-11-01T08:00:00Z 2026-11-01T09:00:00Z")]
    Diff(command::difference::DiffArgs),
    /// The addresses of the protocol's draft, each another name of a route
    #[command(after_help = "Example:\n  unisono address self.orchestra.coherence")]
    Address(command::address::AddressArgs),
    /// Goes back to an earlier time: what was agreed on since is set aside, nothing is erased
    #[command(after_help = "Example:\n  unisono rollback --to 2026-01-31T09:00:00Z --dry-run")]
    Rollback(command::rollback::RollbackArgs),
    /// What became of the iterations, in a budget of tokens: the nearer, the more of it
    #[command(after_help = "Example:\n  unisono history --max-tokens 5000")]
    History(command::history::HistoryArgs),
    /// Gives back all that belongs to an iteration, and whether its marks prove it
    #[command(after_help = "Example:\n  unisono recover 3 -o json")]
    Recover(command::history::RecoverArgs),
    /// What a role is told at the beginning of an iteration, from a template
    #[command(after_help = "Example:\n  unisono prompt --as ada --template mine.md")]
    Prompt(command::history::PromptArgs),
    /// Where the orchestra stands, from a template
    #[command(after_help = "Example:\n  unisono outline > outline.md")]
    Outline(command::history::OutlineArgs),
    /// Records what was decided, or what leads nowhere
    #[command(
        after_help = "Example:\n  unisono decide storage \"one file a segment\" --reason \"fsync is per file\" --rejected \"a database=too large\" --as ada"
    )]
    Decide(command::lesson::DecideArgs),
    /// What was decided, and what leads nowhere
    #[command(after_help = "Example:\n  unisono decisions --topic storage")]
    Decisions(command::lesson::DecisionsArgs),
    /// What may help against an error; records what does, and whether it did
    #[command(after_help = "Example:\n  cargo build 2>&1 | unisono fix -")]
    Fix(command::lesson::FixArgs),
    /// Claims a topic; without one, shows who holds what
    #[command(after_help = "Example:\n  unisono claim index --as ada --confirm --wait-ms 2000")]
    Claim(command::claim::ClaimArgs),
    /// Prolongs a lease
    #[command(after_help = "Example:\n  unisono renew index --as ada --lease-ms 600000")]
    Renew(command::claim::RenewArgs),
    /// Gives a topic back, or gives up a claim that lost
    #[command(after_help = "Example:\n  unisono release index --as ada")]
    Release(command::claim::ReleaseArgs),
    /// Witness marks: make one, list them, verify one from a file
    #[command(
        after_help = "Example:\n  unisono mark make --as ada --about index \"indexed the corpus\""
    )]
    Mark(command::mark::MarkArgs),
    /// Tasks
    #[command(
        after_help = "Example:\n  unisono task create build-index --as ada --title \"Index the corpus\""
    )]
    Task(command::task::TaskArgs),
    /// Capability tokens: make, narrow, inspect, compare, explain, lay down, list
    #[command(after_help = "Example:\n  unisono token mint executive --for 3b6a… --data ./lab")]
    Token(command::token::TokenArgs),
    /// Tiers: what a kind of agent is given, as files
    #[command(after_help = "Example:\n  unisono tier show executive > mine.toml")]
    Tier(command::trust::TierArgs),
    /// From now on every action in the orchestra needs a token (roots only, for good)
    #[command(
        after_help = "Example:\n  unisono guard --as root --key-file ./lab/root.key --orchestra alpha"
    )]
    Guard,
    /// Ends what tokens or a key allowed
    #[command(
        after_help = "Example:\n  unisono fence --key 77aa… --reason \"lost laptop\" --as root --key-file root.key"
    )]
    Fence(command::trust::FenceArgs),
    /// Ends every token of an epoch before one, as `fence --epoch` does (roots only)
    #[command(
        after_help = "Example:\n  unisono epoch 2 --reason \"all tokens anew\" --as root --key-file root.key"
    )]
    Epoch(command::trust::EpochArgs),
    /// What was fenced off; with -o json also tokens, void records, refusals
    #[command(after_help = "Example:\n  unisono trust -o json")]
    Trust,
    /// Says of a record who did what, by whose grace, and whether it counts
    #[command(after_help = "Example:\n  unisono explain 01ca085c")]
    Explain(command::explain::ExplainArgs),
    /// The latest records that do not count, and why
    #[command(after_help = "Example:\n  unisono voided")]
    Voided,
    /// The latest refusals for want of a right
    #[command(after_help = "Example:\n  unisono incidents --follow --as boss")]
    Incidents(command::incident::IncidentsArgs),
    /// The plan: who may write which files in which phase; set it, show it, check a workspace
    #[command(after_help = "Example:\n  unisono plan set plan.toml --as boss")]
    Plan(command::plan::PlanArgs),
    /// Has a file of the workspace measured and recorded
    #[command(after_help = "Example:\n  unisono write src/a.rs --project alpha --phase 1 --as ivy")]
    Write(command::file::WriteArgs),
    /// The files that were written, and what was said about them
    #[command(after_help = "Example:\n  unisono files src/a.rs -o json")]
    Files(command::file::FilesArgs),
    /// Approves or rejects what a file holds, or how a task stands
    #[command(
        after_help = "Example:\n  unisono approve src/a.rs --content 5f0c… --reason \"tests pass\" --as vera"
    )]
    Approve(command::file::ApproveArgs),
    /// Shared notes
    #[command(after_help = "Example:\n  unisono note set plan --as ada \"first the index\"")]
    Note(command::note::NoteArgs),
    /// Shared configuration of the orchestra
    #[command(after_help = "Example:\n  unisono conf set model.name small --as ada")]
    Conf(command::note::ConfArgs),
    /// Settings of the orchestra that folds read
    #[command(after_help = "Example:\n  unisono settings set claim_lease_ms=600000 --as ada")]
    Settings(command::note::SettingsArgs),
    /// Sessions: sign one, by which a program reads for a few minutes where an orchestra asks who reads
    #[command(after_help = "Example:\n  unisono session open --as ada --key-file ada.key")]
    Session(command::reading::SessionArgs),
    /// The iteration: show it, end it
    #[command(after_help = "Example:\n  unisono iteration advance --as ada")]
    Iteration(command::state::IterationArgs),
    /// The orchestra in numbers
    #[command(after_help = "Example:\n  unisono state --create --orchestra lab")]
    State(command::state::StateArgs),
    /// Records as they come
    #[command(after_help = "Example:\n  unisono log --follow")]
    Log(command::record::LogArgs),
    /// What happens: records as they come, or with --security refusals for want of a right alone
    #[command(after_help = "Example:\n  unisono events --security --follow --as boss")]
    Events(command::record::EventsArgs),
    /// Every record, one JSON object a line, in the order of everything
    #[command(after_help = "Example:\n  unisono dump > records.ndjson")]
    Dump(command::record::DumpArgs),
    /// Verifies a data directory, an export of one or a dump, without a node
    #[command(after_help = "Example:\n  unisono verify ./.unisono")]
    Verify(command::verify::VerifyArgs),
    /// Every signed byte, exported and verified without a node
    #[command(after_help = "Example:\n  unisono audit export > audit.jsonl")]
    Audit(command::audit::AuditArgs),
    /// Copies a data directory that may be in use, verified on the way
    #[command(after_help = "Example:\n  unisono backup ./backup-1")]
    Backup(command::backup::BackupArgs),
    /// Makes a data directory from a backup
    #[command(after_help = "Example:\n  unisono restore ./backup-1 --data ./restored")]
    Restore(command::backup::RestoreArgs),
    /// Runs the simulator: a cluster in virtual time, from a seed
    #[command(after_help = "Example:\n  unisono sim --seeds 1..20")]
    Sim(command::sim::SimArgs),
    /// Plays a recorded fleet's work into a cluster
    #[command(after_help = "Example:\n  unisono replay fleet-trace.jsonl")]
    Replay(crate::replay::ReplayArgs),
    /// Measures a cluster under load
    #[command(after_help = "Example:\n  unisono bench --writers 4 --seconds 10")]
    Bench(crate::bench::BenchArgs),
    /// Draws a recorded run of `bench` as SVG
    #[command(after_help = "Example:\n  unisono plot run.json > run.svg")]
    Plot(command::plot::PlotArgs),
    /// Three regions, a cut network, a killed node: does it hold?
    #[command(after_help = "Example:\n  unisono demo")]
    Demo(crate::demo::DemoArgs),
    /// Judges what nodes recorded by what they dump: is everything there that was promised?
    #[command(after_help = "Example:\n  unisono judge --history node1.jsonl --dump dump1.ndjson")]
    Judge(crate::judge::JudgeArgs),
    /// Writes to a node whatever happens, and writes down what it was told
    #[command(hide = true)]
    Load(crate::judge::load::LoadArgs),
    /// The configuration of this program
    #[command(after_help = "Example:\n  unisono config show --origin")]
    Config(command::config::ConfigArgs),
    /// Completions for a shell
    #[command(after_help = "Example:\n  unisono completions bash > /etc/bash_completion.d/unisono")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// A page of the reference, as Markdown: what this program knows about itself
    #[command(after_help = "Example:\n  unisono reference codes")]
    Reference {
        /// Which page
        page: command::reference::Page,
    },
}

/// Reads the command line.
///
/// # Errors
/// Why it is wrong, or the help that was asked for.
pub(crate) fn read() -> Result<Cli, clap::Error> {
    let words = taking_numbers(Cli::command()).try_get_matches()?;
    Cli::from_arg_matches(&words)
}

/// The same command, with what stands behind an option taken for its value also where that is a number
/// below zero: why it cannot be is then said by who reads it, and not that it is no option.
fn taking_numbers(command: clap::Command) -> clap::Command {
    let options = |arg: clap::Arg| {
        let takes = !arg.is_positional() && arg.get_action().takes_values();
        // Whatever begins with a hyphen is allowed there already.
        if takes && !arg.is_allow_hyphen_values_set() {
            arg.allow_negative_numbers(true)
        } else {
            arg
        }
    };
    command.mut_args(options).mut_subcommands(taking_numbers)
}

impl Global {
    /// What these flags say about the configuration.
    pub(crate) fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        if !self.node.is_empty() {
            flags.push(("node", self.node.clone()));
        }
        flags.extend(
            self.orchestra
                .iter()
                .map(|name| ("orchestra", vec![name.clone()])),
        );
        flags.extend(self.agent.iter().map(|name| ("as", vec![name.clone()])));
        flags.extend(self.data.iter().map(|path| ("data", vec![text(path)])));
        let token = self.http_token_file.iter();
        flags.extend(token.map(|path| ("http_token_file", vec![text(path)])));
        flags
    }
}

impl Listen {
    /// What these flags say about the configuration.
    pub(crate) fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        let one = |name: &'static str, value: &Option<String>| {
            value.as_ref().map(|value| (name, vec![value.clone()]))
        };
        flags.extend(one("name", &self.name));
        flags.extend(one("http", &self.http));
        flags.extend(one("peer", &self.peer));
        flags.extend(one("log", &self.log));
        if !self.advertise.is_empty() {
            flags.push(("advertise", self.advertise.clone()));
        }
        flags
    }
}
