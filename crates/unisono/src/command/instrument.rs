//! A command as the instrument of a performance: it runs from the beginning on, gets a line for each beat, and
//! answers with one when it has acted. What it says is read a little at a time, however much it is.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use unisono_api::client::perform::{Answers, Effect, Instrument, Meter};
use unisono_api::client::timer::monotonic_ns;
use unisono_api::dto::{OneTo, ResourceWord, VariationBody};

use super::armed::command;
use crate::undumped::AsGiven;

/// So much of a line is read as a time (bytes): the digits of one, and spaces around them. The rest of a longer
/// line is passed over.
const LINE_BYTES_MAX: usize = 64;
/// In so much time no more is read than the next two say: whoever floods waits.
const FLOOD_WITHIN: Duration = Duration::from_millis(100);
/// Lines: four times as many as there are beats in it at the fastest tempo.
const FLOOD_LINES_MAX: usize = 40;
/// Bytes.
const FLOOD_BYTES_MAX: usize = 64 * 1024;
/// How long a command has to end when it gets no lines any more. Then it is ended.
const END_WITHIN: Duration = Duration::from_secs(2);
/// Clock ticks a second in `/proc/PID/stat`: Linux shows 100 to programs, whatever it uses itself.
const TICKS_PER_SECOND: u64 = 100;
/// Between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A command that plays. It is ended with this.
#[derive(Debug)]
pub(super) struct Playing(Child);

/// What a command is told before it begins, and what is allotted to it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    /// How it may vary on purpose, and from every so many-th beat on; nothing where actions may not.
    pub(super) varies: Option<(VariationBody, u16)>,
    /// Time of processors for each action (ms), if what it uses is to be told.
    pub(super) cpu_ms: Option<u64>,
}

impl Given {
    /// As the environment of a command; what is nothing is taken out of it.
    fn environment(&self) -> [(&'static str, Option<u64>); 4] {
        let varies = self.varies.as_ref();
        let of =
            |number: fn(&VariationBody) -> Option<u64>| varies.and_then(|(one, _)| number(one));
        [
            (
                "UNISONO_VARY_EVERY",
                varies.map(|(_, every)| u64::from(*every)),
            ),
            ("UNISONO_VARY_BEATS", of(|one| Some(one.beats.get()))),
            (
                "UNISONO_VARY_TIMING_MS",
                of(|one| one.timing_ms.map(OneTo::get)),
            ),
            (
                "UNISONO_VARY_RATE_PPM",
                of(|one| one.rate_ppm.map(OneTo::get)),
            ),
        ]
    }
}

impl Playing {
    /// Starts a command.
    ///
    /// # Errors
    /// It could not be started.
    pub(super) fn start(words: &[String], told: Given) -> io::Result<(Self, Instrument)> {
        let given = AsGiven::begin();
        let mut asked = command(words);
        for (name, value) in told.environment() {
            match value {
                Some(value) => asked.env(name, value.to_string()),
                None => asked.env_remove(name),
            };
        }
        let begun = asked.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        drop(given);
        let mut child = begun?;
        let missing = || io::Error::other("the command has no input or no output");
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let id = child.id();
        let playing = Self(child);
        let input = input.ok_or_else(missing)?;
        let output = output.ok_or_else(missing)?;
        // Whoever does not read its lines must not hold up the thread that writes them.
        fcntl_setfl(&input, fcntl_getfl(&input)? | OFlags::NONBLOCK)?;
        let (instrument, answers) = Instrument::new(move |release| {
            let line = format!("beat {} {}\n", release.beat, release.target_ns);
            // Less than a page: it is written whole or not at all.
            (&input).write_all(line.as_bytes()).is_ok()
        });
        let thread = thread::Builder::new().name("answers".to_owned());
        thread.spawn(move || listen(output, &answers))?;
        let Some(each_ms) = told.cpu_ms else {
            return Ok((playing, instrument));
        };
        // The number is the command's until it is waited for, which is after the performance.
        let meter = Meter::new(ResourceWord::CpuMs, each_ms, move || cpu_ms(id));
        Ok((playing, instrument.metered(meter)))
    }

    /// Waits for the end of a command that gets no lines any more, and ends it if it takes too long: how it
    /// was, and whether it ended by itself.
    pub(super) async fn end(mut self) -> io::Result<(ExitStatus, bool)> {
        let begun = Instant::now();
        while begun.elapsed() < END_WITHIN {
            if let Some(status) = self.0.try_wait()? {
                return Ok((status, true));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.0.kill()?;
        Ok((self.0.wait()?, false))
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Time of processors (ms) that a process has used, with its threads and those of its children that have ended and
/// that it has waited for; nothing where this system does not say so.
pub(super) fn cpu_ms(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Fields 14 to 17, counted after its name, which may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let ticks: Vec<u64> = rest
        .split_whitespace()
        .skip(11)
        .take(4)
        .map_while(|field| field.parse().ok())
        .collect();
    (ticks.len() == 4).then(|| ticks.iter().sum::<u64>() * 1_000 / TICKS_PER_SECOND)
}

/// Reads answers until there are no more, or nobody wants them.
fn listen(mut output: ChildStdout, answers: &Answers) {
    let mut bytes = [0; 4096];
    let mut line = Line::default();
    let mut flood = Flood::new();
    loop {
        let read = match output.read(&mut bytes) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let mut read_ns = monotonic_ns();
        flood.bytes += read;
        for byte in &bytes[..read] {
            if *byte != b'\n' {
                line.push(*byte);
                continue;
            }
            let says_ns = line.end();
            if !answers.say(Effect { read_ns, says_ns }) {
                return;
            }
            flood.lines += 1;
            if flood.stems() {
                read_ns = monotonic_ns();
            }
        }
        flood.stems();
    }
}

/// The line that is being read.
#[derive(Debug, Default)]
struct Line {
    text: Vec<u8>,
    is_long: bool,
}

impl Line {
    fn push(&mut self, byte: u8) {
        if self.text.len() < LINE_BYTES_MAX {
            self.text.push(byte);
        } else {
            self.is_long = true;
        }
    }

    /// The time that it says, if that is what it says; the next one begins.
    fn end(&mut self) -> Option<u64> {
        let text = str::from_utf8(&self.text).unwrap_or_default().trim();
        let digits = !self.is_long && text.bytes().all(|byte| byte.is_ascii_digit());
        let says_ns = text.parse().ok().filter(|_| digits);
        self.text.clear();
        self.is_long = false;
        says_ns
    }
}

/// How much was read lately.
#[derive(Debug)]
struct Flood {
    since: Instant,
    lines: usize,
    bytes: usize,
}

impl Flood {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            lines: 0,
            bytes: 0,
        }
    }

    /// Waits where too much was read; says whether it did.
    fn stems(&mut self) -> bool {
        let left = FLOOD_WITHIN.saturating_sub(self.since.elapsed());
        let is_flood = self.lines >= FLOOD_LINES_MAX || self.bytes >= FLOOD_BYTES_MAX;
        if is_flood {
            thread::sleep(left);
        }
        if is_flood || left.is_zero() {
            *self = Self::new();
        }
        is_flood
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> (Option<u64>, usize) {
        let mut line = Line::default();
        for byte in text {
            line.push(*byte);
        }
        let kept = line.text.len();
        (line.end(), kept)
    }

    #[test]
    fn a_line_is_a_time_where_it_is_digits_and_nothing_else_whatever_its_length() {
        assert_eq!(
            read(b"1763723400000000000").0,
            Some(1_763_723_400_000_000_000)
        );
        assert_eq!(read(b" 17 \r").0, Some(17));
        for other in [
            &b""[..],
            b"acted",
            b"-5",
            b"+5",
            b"1.5",
            b"1e9",
            b"99999999999999999999999",
            b"5 \xff",
            b"17 18",
        ] {
            assert_eq!(read(other).0, None, "{other:?}");
        }
        let long = vec![b'1'; 1_000_000];
        assert_eq!(read(&long), (None, LINE_BYTES_MAX));
        let mut padded = vec![b' '; LINE_BYTES_MAX];
        padded.push(b'7');
        assert_eq!(read(&padded).0, None);
    }
}
