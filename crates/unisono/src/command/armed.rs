//! A command that is made ready before its time: a process that exists already, sleeps until an
//! absolute time, and becomes the command then; or the command itself, which waits for a line.
//!
//! What wakes up at the time is one thread with real-time priority, where that is allowed, and it does
//! nothing but read the clock (and write that line), and give the priority back. The command does not
//! have it, unless somebody else gave that to `unisono at`: it could keep a processor from everybody.

use std::env;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Signal, set_parent_process_death_signal};
use unisono_api::client::timer::{Rank, sleep_until};

use crate::timing::{monotonic_ns, raw_ns};
use crate::undumped::AsGiven;

/// The first word of a process that is made ready. People do not write it.
pub(crate) const PROCESS: &str = "armed-process";
/// The first word of a command for benchmarks: it waits for a line and says when that came.
pub(crate) const WITNESS: &str = "armed-witness";

/// A process that says nothing for so long after its start is not waited for: the command is then
/// started when its time has come.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks whether it has ended meanwhile.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};
/// What a program is called to end with that could not be run (as shells do).
const NOT_RUN: u8 = 127;

/// What is to be done at the time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Act {
    /// Nothing but to know that it has come.
    Nothing,
    /// A program is run then.
    Run(Vec<String>),
    /// A program is run at once, and gets a line on its standard input then.
    Release(Vec<String>),
}

impl Act {
    /// Runs these words, if there are any.
    pub(super) fn run(words: Vec<String>) -> Self {
        if words.is_empty() {
            Self::Nothing
        } else {
            Self::Run(words)
        }
    }
}

/// How an action went, up to its beginning.
#[derive(Debug)]
pub(super) struct Acted {
    /// When it was released, by this machine's steady clock, ns.
    pub(super) at_ns: u64,
    /// Right before the system was asked to run the program, by the same clock, ns.
    pub(super) runs_ns: Option<u64>,
    /// Whether the thread that released it had real-time priority.
    pub(super) real_time: bool,
    /// What goes on now, and ends some time.
    pub(super) running: Running,
}

/// What was released.
#[derive(Debug)]
pub(super) enum Running {
    /// Nothing that takes time.
    Nothing,
    /// A program.
    Program(Child),
}

impl Running {
    /// Waits for the program's end, if there is one, and says how it was.
    pub(super) fn end(self) -> io::Result<Option<ExitStatus>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Program(mut child) => child.wait().map(Some),
        }
    }
}

/// What stands ready.
#[derive(Debug)]
pub(super) struct Armed {
    ready: Ready,
}

#[derive(Debug)]
enum Ready {
    Nothing,
    /// To be started when its time has come.
    Words(Vec<String>),
    /// A process that becomes the command.
    Process {
        child: Child,
        says: BufReader<io::PipeReader>,
        hears: io::PipeWriter,
        real_time: bool,
    },
    /// The command, which waits for a line.
    Waiting(Child),
}

impl Armed {
    /// Makes ready what can be in the time that is left; without any, the command is started at the time.
    ///
    /// # Errors
    /// Where a program that is to be released cannot be started.
    pub(super) fn new(act: Act, time_left: Duration) -> io::Result<Self> {
        let ready = match act {
            Act::Nothing => Ready::Nothing,
            Act::Run(words) if time_left.is_zero() => Ready::Words(words),
            // Where it cannot be done, the command is started when its time has come.
            Act::Run(words) => process(&words, time_left).unwrap_or(Ready::Words(words)),
            Act::Release(words) => {
                let _given = AsGiven::begin();
                Ready::Waiting(command(&words).stdin(Stdio::piped()).spawn()?)
            }
        };
        Ok(Self { ready })
    }

    /// Waits until the steady clock shows the time (ns), and releases.
    ///
    /// # Errors
    /// Where the program could not be run.
    pub(super) fn fire(self, fires_ns: u64, target_ns: u64) -> io::Result<Acted> {
        match self.ready {
            Ready::Nothing => {
                let rank = Rank::take();
                let real_time = rank.is_real_time();
                rank.sleep_until(fires_ns);
                let at_ns = monotonic_ns();
                rank.give_back();
                Ok(Acted {
                    at_ns,
                    runs_ns: None,
                    real_time,
                    running: Running::Nothing,
                })
            }
            Ready::Words(words) => {
                sleep_until(fires_ns);
                let at_ns = monotonic_ns();
                let given = AsGiven::begin();
                let begun = command(&words).spawn();
                drop(given);
                Ok(Acted {
                    at_ns,
                    runs_ns: Some(at_ns),
                    real_time: false,
                    running: Running::Program(begun?),
                })
            }
            Ready::Process {
                child,
                says,
                hears,
                real_time,
            } => follow(child, says, hears, fires_ns, real_time),
            Ready::Waiting(child) => Ok(release(child, fires_ns, target_ns)),
        }
    }

    /// Gives up what was made ready: nothing is run, and no process stays.
    pub(super) fn disarm(self) {
        match self.ready {
            Ready::Nothing | Ready::Words(_) => {}
            // It ends when nobody can tell it a time any more.
            Ready::Process {
                mut child, hears, ..
            } => {
                drop(hears);
                let _ = child.wait();
            }
            Ready::Waiting(mut child) => {
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// Whether there is a program of this name that may be run: at a path, or where a shell would look.
///
/// # Errors
/// Why there is none.
pub(super) fn startable(words: &[String]) -> io::Result<()> {
    let program = words.first().map_or("", String::as_str);
    let runs = |path: &Path| {
        let known = path.metadata();
        known.is_ok_and(|known| known.is_file() && known.permissions().mode() & 0o111 != 0)
    };
    let found = if program.contains('/') {
        runs(Path::new(program))
    } else {
        let places = env::var_os("PATH").unwrap_or_default();
        !program.is_empty() && env::split_paths(&places).any(|place| runs(&place.join(program)))
    };
    if found {
        return Ok(());
    }
    let words = format!("no program {program:?} is there that may be run");
    Err(io::Error::new(io::ErrorKind::NotFound, words))
}

/// A program with its arguments, not started yet.
pub(super) fn command(words: &[String]) -> Command {
    let (program, arguments) = words
        .split_first()
        .map_or(("", &[][..]), |(program, rest)| (program.as_str(), rest));
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Writes the line that a program waits for.
fn release(mut child: Child, fires_ns: u64, target_ns: u64) -> Acted {
    let line = format!("{target_ns}\n");
    let mut input = child.stdin.take();
    let rank = Rank::take();
    let real_time = rank.is_real_time();
    rank.sleep_until(fires_ns);
    let at_ns = monotonic_ns();
    // A program that does not listen any more has ended, and its status says how.
    let _ = input.as_mut().map(|input| input.write_all(line.as_bytes()));
    // Others are due as well, and what is left to do has time.
    rank.give_back();
    drop(input);
    Acted {
        at_ns,
        runs_ns: None,
        real_time,
        running: Running::Program(child),
    }
}

/// Starts this program once more, as a process that becomes the command. It opens the two pipes by
/// their place among this process's open files, so that the command inherits nothing but what it would.
fn process(words: &[String], time_left: Duration) -> Option<Ready> {
    let (says, its_word) = io::pipe().ok()?;
    let (its_ear, hears) = io::pipe().ok()?;
    let place = |number: i32| format!("/proc/{}/fd/{number}", std::process::id());
    // Not by its path: it may have been replaced by a newer version meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("unisono").arg(PROCESS);
    command.arg(std::process::id().to_string());
    command.args([place(its_word.as_raw_fd()), place(its_ear.as_raw_fd())]);
    // Until it says that it has opened them: nobody looks among the files of a process that is closed.
    let _given = AsGiven::begin();
    let mut child = command.args(words).spawn().ok()?;
    let mut says = BufReader::new(says);
    let begun = Instant::now();
    while begun.elapsed() < READY_WITHIN.min(time_left) && matches!(child.try_wait(), Ok(None)) {
        let mut looked = [PollFd::new(says.get_ref(), PollFlags::IN)];
        if !matches!(poll(&mut looked, Some(&LOOK)), Ok(1)) {
            continue;
        }
        let mut line = String::new();
        says.read_line(&mut line).ok()?;
        let real_time = line.strip_prefix("ready ")?.trim() == "1";
        // From now on the end of either process is the end of the pipe for the other.
        drop((its_word, its_ear));
        return Some(Ready::Process {
            child,
            says,
            hears,
            real_time,
        });
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Tells a process that is ready when, and hears how it went.
fn follow(
    mut child: Child,
    mut says: BufReader<io::PipeReader>,
    mut hears: io::PipeWriter,
    fires_ns: u64,
    real_time: bool,
) -> io::Result<Acted> {
    let told = writeln!(hears, "{fires_ns}");
    let mut text = String::new();
    // The pipe ends when the command begins: it does not inherit it.
    let heard = told.and_then(|()| says.read_to_string(&mut text));
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().parse::<u64>().ok())
    };
    let failed = text.lines().find_map(|line| line.strip_prefix("failed "));
    let at_ns = match (failed, number("fired "), heard) {
        (None, Some(at_ns), Ok(_)) => at_ns,
        (failed, _, heard) => {
            let _ = child.wait();
            heard?;
            let words = failed.unwrap_or("the process that was made ready has ended");
            return Err(io::Error::other(words.to_owned()));
        }
    };
    Ok(Acted {
        at_ns,
        runs_ns: number("runs "),
        real_time,
        running: Running::Program(child),
    })
}

/// The life of a process that is made ready: who has started it, where it speaks, where it listens, and
/// what it becomes.
pub(crate) fn process_main(mut words: impl Iterator<Item = OsString>) -> ExitCode {
    let starter: Option<u32> = words.next().and_then(|word| word.to_str()?.parse().ok());
    let places = (words.next(), words.next(), words.next());
    let (Some(starter), (Some(says), Some(hears), Some(program))) = (starter, places) else {
        return ExitCode::from(2);
    };
    // It must not act when nobody waits for it any more.
    let bound = set_parent_process_death_signal(Some(Signal::KILL));
    if bound.is_err() || parent_id() != starter {
        return ExitCode::from(NOT_RUN);
    }
    let says = OpenOptions::new().write(true).open(says);
    let (Ok(mut says), Ok(hears)) = (says, File::open(hears)) else {
        return ExitCode::from(NOT_RUN);
    };
    // Pages that it has touched stay where they are, if that is allowed.
    let _ = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    let mut command = Command::new(program);
    command.args(words);
    let Some(fired_ns) = wait(&mut says, hears) else {
        return ExitCode::from(NOT_RUN);
    };
    // Whoever has started it may end from now on: what was begun goes on.
    let _ = set_parent_process_death_signal(None);
    let runs_ns = monotonic_ns();
    let _ = write!(says, "fired {fired_ns}\nruns {runs_ns}\n");
    let error = command.exec();
    let _ = writeln!(says, "failed {error}");
    ExitCode::from(NOT_RUN)
}

/// Waits with real-time priority, if that is allowed, and says when its time had come (ns). It does so on the
/// one thread that there is, and gives the priority back at once: to wake up another, and sleep, would take
/// longer than all of this, and others wait who are due as well.
fn wait(says: &mut File, hears: File) -> Option<u64> {
    let rank = Rank::take();
    writeln!(says, "ready {}", u8::from(rank.is_real_time())).ok()?;
    let mut line = String::new();
    BufReader::new(hears).read_line(&mut line).ok()?;
    let fires_ns: u64 = line.trim().parse().ok()?;
    rank.sleep_until(fires_ns);
    let fired_ns = monotonic_ns();
    // The command must not have it: it could keep a processor from everybody.
    rank.give_back().then_some(fired_ns)
}

/// Says when a line came, on the machine's raw clock (ns), and a while later, so that the others who are
/// released at the same time find a processor.
pub(crate) fn witness_main() -> ExitCode {
    let mut byte = [0];
    let read = io::stdin().lock().read(&mut byte);
    let released_ns = raw_ns();
    thread::sleep(Duration::from_millis(200));
    if !matches!(read, Ok(1)) {
        return ExitCode::FAILURE;
    }
    println!("{released_ns}");
    ExitCode::SUCCESS
}
