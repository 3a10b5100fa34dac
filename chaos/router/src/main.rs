//! An emulated wide-area network: one network device for each host, and a delay of its own for each
//! packet and direction between them. `chaos/wan.sh` moves the devices into the hosts' namespaces.
//!
//! ```text
//! unisono-router HOSTS DELAY_US JITTER_US SEED     makes wan1 to wanHOSTS, says `ready`
//! ```
//!
//! A packet from host I to host J (the last byte of their IPv4 addresses) takes DELAY_US and, on top, an
//! exponentially distributed time of the mean JITTER_US: packets overtake one another. Orders come on
//! the standard input, a line each: `cut I J` (one way), `heal`, `path I J DELAY_US JITTER_US`, `stats`,
//! `quit`. The end of the input is the end.
//!
//! **Invariant:** it knows nothing of what it carries but the address.

use std::collections::BinaryHeap;
use std::io::BufRead;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// The most hosts: names and addresses have one byte.
const HOSTS_MAX: usize = 64;
/// Room for the largest packet (bytes).
const PACKET_BYTES_MAX: usize = 2_048;
/// Packets under way at once; what comes then is lost, as in a full queue.
const UNDER_WAY_MAX: usize = 100_000;
/// While a device is moved to its host it cannot be read, and is tried again after this.
const RETRY: Duration = Duration::from_millis(2);

/// One direction between two hosts.
#[derive(Clone, Copy, Debug)]
struct Path {
    delay_us: f64,
    jitter_us: f64,
    cut: bool,
}

/// A packet, and when it arrives.
#[derive(Debug)]
struct Packet {
    due: Instant,
    number: u64,
    to: usize,
    bytes: Vec<u8>,
}

impl PartialEq for Packet {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Packet {}
impl PartialOrd for Packet {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Packet {
    /// The earliest is the greatest: the heap gives that first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

/// What is under way and how it fared.
#[derive(Debug)]
struct State {
    paths: Vec<Vec<Path>>,
    under_way: BinaryHeap<Packet>,
    number: u64,
    chance: u64,
    carried: u64,
    lost: u64,
    late_us: u64,
    late_us_max: u64,
    ended: bool,
}

impl State {
    /// A number between 0 and 1 (SplitMix64; Steele, Lea and Flood, 2014).
    fn drawn(&mut self) -> f64 {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.chance;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^= word >> 31;
        (word >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Sends a packet on its way.
    fn take(&mut self, from: usize, to: usize, bytes: &[u8], read: Instant) {
        let path = self.paths[from][to];
        if path.cut || self.under_way.len() >= UNDER_WAY_MAX {
            self.lost += 1;
            return;
        }
        let waits_us = path.delay_us - path.jitter_us * (1.0 - self.drawn()).ln();
        self.number += 1;
        self.under_way.push(Packet {
            due: read + Duration::from_nanos((waits_us * 1e3) as u64),
            number: self.number,
            to,
            bytes: bytes.to_vec(),
        });
    }

    /// Does what a line says; says whether to go on.
    fn obey(&mut self, line: &str) -> Result<bool, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["cut", from, to] => {
                let (from, to) = (self.host(from)?, self.host(to)?);
                self.paths[from][to].cut = true;
            }
            ["heal"] => {
                for path in self.paths.iter_mut().flatten() {
                    path.cut = false;
                }
            }
            ["path", from, to, delay_us, jitter_us] => {
                let (from, to) = (self.host(from)?, self.host(to)?);
                let path = &mut self.paths[from][to];
                (path.delay_us, path.jitter_us) = (micros(delay_us)?, micros(jitter_us)?);
            }
            ["stats"] => {
                let mean_us = self.late_us as f64 / self.carried.max(1) as f64;
                let (carried, lost, worst) = (self.carried, self.lost, self.late_us_max);
                println!("carried {carried} lost {lost} late {mean_us:.1} us worst {worst} us");
            }
            ["quit"] => return Ok(false),
            [] => {}
            _ => return Err(format!("{line:?} is no order")),
        }
        Ok(true)
    }

    fn host(&self, word: &str) -> Result<usize, String> {
        let number: usize = word.parse().map_err(|_| format!("{word:?} is no host"))?;
        let known = (1..=self.paths.len()).contains(&number);
        known
            .then(|| number - 1)
            .ok_or_else(|| format!("there is no host {number}"))
    }
}

/// The state, and what wakes whoever delivers.
#[derive(Debug)]
struct Network {
    state: Mutex<State>,
    changed: Condvar,
}

impl Network {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("router: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<(), String> {
    let [hosts, delay_us, jitter_us, seed] = words else {
        return Err("unisono-router HOSTS DELAY_US JITTER_US SEED".to_owned());
    };
    let hosts: usize = number(hosts)?;
    if !(2..=HOSTS_MAX).contains(&hosts) {
        return Err(format!("from 2 to {HOSTS_MAX} hosts"));
    }
    let path = Path {
        delay_us: micros(delay_us)?,
        jitter_us: micros(jitter_us)?,
        cut: false,
    };
    let network = Arc::new(Network {
        state: Mutex::new(State {
            paths: vec![vec![path; hosts]; hosts],
            under_way: BinaryHeap::new(),
            number: 0,
            chance: number(seed)?,
            carried: 0,
            lost: 0,
            late_us: 0,
            late_us_max: 0,
            ended: false,
        }),
        changed: Condvar::new(),
    });
    let mut devices = Vec::new();
    for host in 1..=hosts {
        let device = DeviceBuilder::new()
            .name(format!("wan{host}"))
            .layer(Layer::L3);
        let device = device.enable(false).build_sync();
        devices.push(Arc::new(
            device.map_err(|error| format!("wan{host}: {error}"))?,
        ));
    }
    for (from, device) in devices.iter().enumerate() {
        let (network, device) = (Arc::clone(&network), Arc::clone(device));
        spawn(move || read(&network, from, &device))?;
    }
    let delivering = Arc::clone(&network);
    spawn(move || deliver(&delivering, &devices))?;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        match network.lock().obey(&line) {
            Ok(true) => {}
            Ok(false) => break,
            Err(why) => eprintln!("router: {why}"),
        }
    }
    network.lock().ended = true;
    network.changed.notify_all();
    Ok(())
}

/// A thread that is woken in time, as far as the system allows that.
fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = thread::Builder::new().spawn(move || {
        // Where these are refused, packets are late by some tens of microseconds more; `stats` tells.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
        let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, fifo);
        work();
    });
    thread.map(drop).map_err(|error| error.to_string())
}

/// Takes what a host sends.
fn read(network: &Network, from: usize, device: &SyncDevice) {
    let mut buffer = [0; PACKET_BYTES_MAX];
    loop {
        let Ok(length) = device.recv(&mut buffer) else {
            if network.lock().ended {
                return;
            }
            thread::sleep(RETRY);
            continue;
        };
        let read = Instant::now();
        let bytes = &buffer[..length];
        // IPv4, to one of the hosts; the rest (neighbours that are looked for) has nowhere to go.
        let to = bytes.get(19).map(|last| usize::from(*last));
        let mut state = network.lock();
        let known = to.filter(|to| (1..=state.paths.len()).contains(to));
        if let Some(to) = known.filter(|_| bytes[0] >> 4 == 4) {
            state.take(from, to - 1, bytes, read);
            network.changed.notify_one();
        }
    }
}

/// Hands over what is due.
fn deliver(network: &Network, devices: &[Arc<SyncDevice>]) {
    let mut state = network.lock();
    while !state.ended {
        let now = Instant::now();
        let due = state.under_way.peek().map(|packet| packet.due);
        let waits = due.map(|due| due.saturating_duration_since(now));
        let Some(waits) = waits else {
            let waited = network.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        if !waits.is_zero() {
            let waited = network.changed.wait_timeout(state, waits);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        let Some(packet) = state.under_way.pop() else {
            continue;
        };
        let late_us = now.saturating_duration_since(packet.due).as_micros() as u64;
        state.carried += 1;
        state.late_us += late_us;
        state.late_us_max = state.late_us_max.max(late_us);
        // A host that is gone takes nothing.
        let sent = devices[packet.to].send(&packet.bytes);
        state.lost += u64::from(sent.is_err());
    }
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word:?} is no number"))
}

fn micros(word: &str) -> Result<f64, String> {
    let micros: f64 = number(word)?;
    let sound = micros.is_finite() && (0.0..=10e6).contains(&micros);
    sound
        .then_some(micros)
        .ok_or_else(|| format!("{word}: from 0 to ten million us"))
}
