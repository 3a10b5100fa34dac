//! What each command does. Those that serve are in `serve`; the rest ask a node, or read files.

pub(crate) mod address;
pub(crate) mod agent;
pub(crate) mod armed;
pub(crate) mod at;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod barrier;
pub(crate) mod ca;
pub(crate) mod claim;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod difference;
pub(crate) mod doctor;
mod elsewhere;
pub(crate) mod ensemble;
pub(crate) mod explain;
pub(crate) mod file;
mod fire;
pub(crate) mod foretell;
pub(crate) mod history;
pub(crate) mod incident;
mod instrument;
pub(crate) mod key;
pub(crate) mod layout;
pub(crate) mod leave;
pub(crate) mod lesson;
pub(crate) mod mark;
pub(crate) mod node;
pub(crate) mod note;
pub(crate) mod perform;
pub(crate) mod plan;
pub(crate) mod plot;
pub(crate) mod reading;
pub(crate) mod record;
mod recover;
mod recovered;
pub(crate) mod reference;
pub(crate) mod remove;
pub(crate) mod resonance;
pub(crate) mod rollback;
pub(crate) mod root;
mod rotate;
mod scene;
pub(crate) mod schedule;
pub(crate) mod session;
pub(crate) mod signal;
pub(crate) mod sim;
pub(crate) mod stand_by;
pub(crate) mod state;
pub(crate) mod task;
pub(crate) mod tempo;
pub(crate) mod token;
mod token_words;
pub(crate) mod trust;
pub(crate) mod verify;
mod witnessed;
mod word;

use std::future::Future;

use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::failure::Failure;
use crate::output;
use session::Session;

/// Runs a command to its end.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    let mut flags = global.flags();
    flags.extend(listening(&command));
    let config = Config::read(global.config.as_deref(), flags);
    if let Command::Config(args) = &command {
        return config::run(args, &config, global.output);
    }
    if let Command::Completions { shell } = &command {
        let mut text = Vec::new();
        clap_complete::generate(*shell, &mut Cli::command(), "unisono", &mut text);
        return output::raw(&String::from_utf8_lossy(&text));
    }
    if let Command::Reference { page } = command {
        return reference::run(page);
    }
    let config = config.checked()?;
    match command {
        Command::Up(args) => block_on(node::up(args, config, global))?,
        Command::Serve(args) => block_on(node::serve(args, config, global))?,
        Command::Init(args) => node::init(&args, &config, &global),
        Command::Invite(args) => node::invite(&args, &config, &global),
        Command::Join(args) => block_on(node::join(args, config, global))?,
        Command::Leave(args) => block_on(leave::leave(args, config, global))?,
        Command::Node(args) => block_on(remove::run(args, config, global))?,
        Command::Key(args) => key::run(&args, &global),
        Command::Ca(args) => block_on(ca::run(args, config, global))?,
        Command::Root(args) => block_on(root::run(args, config, global))?,
        Command::Mark(mark::MarkArgs {
            command: mark::MarkCommand::Export { record },
        }) => mark::export(record, &config, &global),
        Command::Mark(mark::MarkArgs {
            command: mark::MarkCommand::Verify { file },
        }) => mark::verify(&file, &global),
        Command::Verify(args) => verify::run(&args, &global),
        Command::Audit(args) => audit::run(&args, &config, &global),
        Command::Backup(args) => backup::backup(&args, &config, &global),
        Command::Restore(args) => backup::restore(&args, &config, &global),
        Command::Sim(args) => sim::run(&args, &global),
        Command::Plot(args) => plot::run(&args),
        Command::Tier(args) => trust::tiers(&args, &global),
        Command::Token(token::TokenArgs { command })
            if !matches!(
                command,
                token::TokenCommand::Present { .. }
                    | token::TokenCommand::Renew { .. }
                    | token::TokenCommand::List
            ) =>
        {
            token::offline(&command, &config, &global)
        }
        Command::Doctor => block_on(doctor::run(config, global))?,
        Command::Replay(args) => block_on(crate::replay::run(args, config, global))?,
        Command::Bench(args) => block_on(crate::bench::run(args, config, global))?,
        Command::Load(args) => block_on(crate::judge::load::run(args, config, global))?,
        Command::Judge(args) => crate::judge::run(&args, &global),
        Command::Recover(args) if args.is_offline() => {
            history::recover_from(&args, &config, &global)
        }
        Command::Demo(args) => block_on(crate::demo::run(args, config, global))?,
        asking => block_on(async move { ask(asking, Session::new(config, global).await?).await })?,
    }
}

/// What a serving command's flags say about the configuration.
fn listening(command: &Command) -> crate::config::Flags {
    match command {
        Command::Up(args) => {
            let mut flags = args.listen.flags();
            flags.extend(
                args.region
                    .iter()
                    .map(|region| ("region", vec![region.clone()])),
            );
            flags
        }
        Command::Serve(args) => args.listen.flags(),
        Command::Init(args) => args.flags(),
        Command::Invite(args) => args.flags(),
        Command::Join(args) => args.flags(),
        _ => Vec::new(),
    }
}

/// Commands that ask a node.
async fn ask(command: Command, session: Session) -> Result<(), Failure> {
    knows_as_of(&command, &session)?;
    match command {
        Command::Status => state::status(&session).await,
        Command::Members => state::members(&session).await,
        Command::Orchestras => state::orchestras(&session).await,
        Command::Clock => clock::clock(&session).await,
        Command::At(args) => at::at(args, &session).await,
        Command::Tempo(args) => tempo::run(args, &session).await,
        Command::Perform(args) => perform::perform(args, &session).await,
        Command::StandBy(args) => stand_by::stand_by(args, session).await,
        Command::Barrier(args) => barrier::barrier(args, &session).await,
        Command::Schedule(args) => schedule::schedule(args, &session).await,
        Command::Ensemble(args) => ensemble::ensemble(&args, &session).await,
        Command::Foretell(args) => foretell::foretell(args, &session).await,
        Command::Agent(args) => agent::run(args, &session).await,
        Command::Presence(args) => agent::presence(args, &session).await,
        Command::Sense(args) => signal::sense(args, &session).await,
        Command::Interference(args) => resonance::interference(args, &session).await,
        Command::Coherence(args) => resonance::coherence(args, &session).await,
        Command::Flow => resonance::flow(&session).await,
        Command::Layout(args) => layout::run(args, &session).await,
        Command::Diff(args) => difference::diff(args, &session).await,
        Command::Address(args) => address::address(args, &session).await,
        Command::Rollback(args) => rollback::rollback(args, &session).await,
        Command::History(args) => history::history(args, &session).await,
        Command::Recover(args) => history::recover(args, &session).await,
        Command::Prompt(args) => history::prompt(args, &session).await,
        Command::Outline(args) => history::outline(args, &session).await,
        Command::Continue(args) => resonance::go_on(args, &session).await,
        Command::Seen(args) => resonance::seen(args, &session).await,
        Command::Emit(args) => signal::emit(args, &session).await,
        Command::Decide(args) => lesson::decide(args, &session).await,
        Command::Decisions(args) => lesson::decisions(args, &session).await,
        Command::Fix(args) => lesson::fix(args, &session).await,
        Command::Claim(args) => claim::claim(args, &session).await,
        Command::Renew(args) => claim::renew(args, &session).await,
        Command::Release(args) => claim::release(args, &session).await,
        Command::Mark(args) => mark::run(args, &session).await,
        Command::Task(args) => task::run(args, &session).await,
        Command::Token(args) => token::run(args, &session).await,
        Command::Guard => trust::guard(&session).await,
        Command::Fence(args) => trust::fence(args, &session).await,
        Command::Epoch(args) => trust::epoch(args, &session).await,
        Command::Trust => trust::trust(&session).await,
        Command::Explain(args) => explain::explain(args, &session).await,
        Command::Voided => trust::voided(&session).await,
        Command::Incidents(args) => incident::incidents(args, &session).await,
        Command::Plan(args) => plan::run(args, &session).await,
        Command::Write(args) => file::write(args, &session).await,
        Command::Files(args) => file::files(args, &session).await,
        Command::Approve(args) => file::approve(args, &session).await,
        Command::Note(args) => note::run(args, &session).await,
        Command::Conf(args) => note::conf(args, &session).await,
        Command::Settings(args) => note::settings(args, &session).await,
        Command::Session(args) => reading::run(args, &session).await,
        Command::Iteration(args) => state::iteration(args, &session).await,
        Command::State(args) => state::state(args, &session).await,
        Command::Log(args) => record::log(args, &session).await,
        Command::Events(args) => record::events(args, &session).await,
        Command::Dump(args) => record::dump(args, &session).await,
        // Dispatched before a session is made.
        _ => Err(Failure::usage("this command asks no node")),
    }
}

/// Whether a command that is asked as of a time can be.
fn knows_as_of(command: &Command, session: &Session) -> Result<(), Failure> {
    let present = matches!(
        command,
        Command::Status
            | Command::Members
            | Command::Orchestras
            | Command::Clock
            | Command::Rollback(_)
            | Command::At(_)
            | Command::StandBy(_)
            | Command::Foretell(_)
            | Command::Perform(_)
    );
    if present && session.as_of().is_some() {
        return Err(
            Failure::usage("this command knows no --as-of: it shows what is there now")
                .hint("views of an orchestra take --as-of, and so do `log` and `dump`"),
        );
    }
    Ok(())
}

fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::system("the runtime", &error))?;
    Ok(runtime.block_on(future))
}
