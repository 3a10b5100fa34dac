//! The network between machines: who can reach whom, how long a frame takes, and what becomes of a
//! connection. It carries frames as the transport over QUIC does (`crates/quic`): what must arrive is
//! repeated until it does or until the connection is given up; what may be lost is lost; what is sent
//! without a connection is kept while the other side is called, and dropped when nobody answers.

pub mod cuts;
pub mod matrix;

use unisono_core::node::Class;

use crate::chance::Chance;

const MS: u64 = 1_000_000;
/// After how long without an answer a connection is given up (ns).
pub const IDLE_NS: u64 = 10_000 * MS;
/// Most frames on their way or waiting in one direction before the next one is refused: few, so that
/// a cut of seconds makes a peer slow.
pub const QUEUE_FRAMES_MAX: usize = 32;
/// Most bytes likewise.
const QUEUE_BYTES_MAX: usize = 8 << 20;
/// How long a call to a machine that is not connected may take before what waits for it is dropped
/// (ns).
pub const CALL_NS: u64 = 3_000 * MS;
/// How long a datagram that waits for a connection is worth sending (ns).
const DATAGRAM_AGE_MAX_NS: u64 = 2_000 * MS;
/// What a link carries (bytes per ms).
const BYTES_PER_MS: u64 = 12_500;

/// How bad the links are, per million frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Frames that are lost on their way, and repeated where they must arrive.
    pub loss: u64,
    /// Datagrams that arrive twice.
    pub duplicate: u64,
    /// Frames that take seconds.
    pub long: u64,
    /// How much longer a frame may take than it should (percent).
    pub jitter_percent: u64,
}

/// A frame on its way.
#[derive(Clone, Debug)]
pub struct Flight {
    /// From which machine.
    pub from: usize,
    /// To which.
    pub to: usize,
    /// In which class.
    pub class: Class,
    /// What.
    pub bytes: Vec<u8>,
    epoch: u32,
}

/// What became of a frame that was handed over.
#[derive(Debug)]
pub enum Fate {
    /// It will arrive, perhaps twice.
    Flies(u64, Flight),
    /// The same, twice.
    FliesTwice(u64, u64, Flight),
    /// It waits for the link to come back.
    Waits,
    /// It is lost.
    Lost,
    /// The queue is full.
    Refused,
    /// There is no connection, so the machine is called, and the frame is kept meanwhile. Where it
    /// is the first: when to look whether nobody has answered that call, and the call's number.
    Kept(Option<(u64, u32)>),
    /// There is no connection, and nobody knows where to call.
    Unconnected,
}

/// A frame that is kept until there is a connection.
#[derive(Clone, Debug)]
pub struct Kept {
    /// From which machine.
    pub from: usize,
    /// To which.
    pub to: usize,
    /// In which class.
    pub class: Class,
    /// What.
    pub bytes: Vec<u8>,
    since: u64,
}

/// What must be done about a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Care {
    /// Nothing.
    None,
    /// Look again at this time whether it must be given up.
    LookAt(u64, u32),
    /// Try to connect at this time.
    ConnectAt(u64, u32),
    /// The link is back: what waited flies on.
    Resume,
}

#[derive(Clone, Debug, Default)]
struct Link {
    blocked: u32,
    frames: usize,
    bytes: usize,
    last: [u64; 3],
    waiting: Vec<Flight>,
    /// What is kept while the machine at the other end is called, and how often it was called.
    kept: Vec<Kept>,
    calls: u32,
    distance_ns: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    up: bool,
    /// Whether the lower and the higher end have lost their state: then the connection can only be
    /// replaced. Whoever has lost it knows of no connection; the other one still believes in it.
    forgotten: [bool; 2],
    connecting: bool,
    broken_since: Option<u64>,
    epoch: u32,
}

impl Pair {
    fn is_dead(&self) -> bool {
        self.forgotten != [false; 2]
    }

    /// Whether the end at `from` knows of a connection with `to`.
    fn is_known(&self, from: usize, to: usize) -> bool {
        self.up && !self.forgotten[usize::from(from > to)]
    }
}

/// All links.
#[derive(Debug)]
pub struct Network {
    hosts: usize,
    links: Vec<Link>,
    pairs: Vec<Pair>,
    /// How bad the links are.
    pub weather: Weather,
    chance: Chance,
}

impl Network {
    /// Links between machines at these places.
    pub fn new(seed: u64, sites: &[usize], weather: Weather) -> Self {
        let hosts = sites.len();
        let mut links = vec![Link::default(); hosts * hosts];
        for a in 0..hosts {
            for b in 0..hosts {
                let round_trip = matrix::round_trip_us(sites[a], sites[b]);
                links[a * hosts + b].distance_ns = round_trip * 1_000 / 2;
            }
        }
        let pairs = vec![Pair::default(); hosts * hosts];
        Self {
            hosts,
            links,
            pairs,
            weather,
            chance: Chance::new(seed, "network", 0),
        }
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.hosts + to]
    }

    fn pair(&mut self, a: usize, b: usize) -> &mut Pair {
        &mut self.pairs[a.min(b) * self.hosts + a.max(b)]
    }

    /// The undisturbed round trip (µs).
    pub fn round_trip_us(&self, a: usize, b: usize) -> u64 {
        self.links[a * self.hosts + b].distance_ns * 2 / 1_000
    }

    /// Whether frames get from one to the other.
    pub fn is_open(&self, from: usize, to: usize) -> bool {
        self.links[from * self.hosts + to].blocked == 0
    }

    /// Whether there is a connection that nobody has given up.
    pub fn is_up(&self, a: usize, b: usize) -> bool {
        self.pairs[a.min(b) * self.hosts + a.max(b)].up
    }

    /// How many frames are on their way or wait, at most on one link.
    pub fn longest_queue(&self) -> usize {
        self.links.iter().map(|link| link.frames).max().unwrap_or(0)
    }

    /// Cuts links, or lifts a cut. Cuts add up.
    pub fn cut(&mut self, directions: &[(usize, usize)], cut: bool) {
        for (from, to) in directions {
            let link = self.link(*from, *to);
            link.blocked = if cut {
                link.blocked + 1
            } else {
                link.blocked.saturating_sub(1)
            };
        }
    }

    /// Lifts every cut.
    pub fn mend(&mut self) {
        self.links.iter_mut().for_each(|link| link.blocked = 0);
    }

    /// Takes a frame. Without a connection it is kept, if the sender knows where to call.
    pub fn send(
        &mut self,
        now: u64,
        (from, to): (usize, usize),
        knows: bool,
        class: Class,
        bytes: Vec<u8>,
    ) -> Fate {
        let pair = *self.pair(from, to);
        if !pair.is_known(from, to) {
            return if knows {
                self.keep(now, (from, to), class, bytes)
            } else {
                Fate::Unconnected
            };
        }
        if pair.is_dead() {
            // The transport takes it; there is nobody any more who could acknowledge it.
            return Fate::Lost;
        }
        let open = self.is_open(from, to);
        let flight = Flight {
            from,
            to,
            class,
            bytes,
            epoch: pair.epoch,
        };
        if class == Class::Membership {
            return if open {
                self.throw(now, flight)
            } else {
                Fate::Lost
            };
        }
        let link = self.link(from, to);
        if link.frames >= QUEUE_FRAMES_MAX || link.bytes >= QUEUE_BYTES_MAX {
            return Fate::Refused;
        }
        link.frames += 1;
        link.bytes += flight.bytes.len();
        if !open || !link.waiting.is_empty() {
            link.waiting.push(flight);
            return Fate::Waits;
        }
        let at = self.arrival(now, &flight);
        Fate::Flies(at, flight)
    }

    /// Keeps a frame for a machine that is called.
    fn keep(&mut self, now: u64, (from, to): (usize, usize), class: Class, bytes: Vec<u8>) -> Fate {
        let link = self.link(from, to);
        let datagram = class == Class::Membership;
        let alike = |kept: &&Kept| (kept.class == Class::Membership) == datagram;
        let alike = link.kept.iter().filter(alike);
        let (frames, size) = alike.fold((0, 0), |(n, size), kept| (n + 1, size + kept.bytes.len()));
        if frames >= QUEUE_FRAMES_MAX || size >= QUEUE_BYTES_MAX {
            return Fate::Refused;
        }
        let first = link.kept.is_empty();
        link.calls += u32::from(first);
        let call = first.then_some((now + CALL_NS, link.calls));
        link.kept.push(Kept {
            from,
            to,
            class,
            bytes,
            since: now,
        });
        Fate::Kept(call)
    }

    /// Whether nobody has answered this call: then what was kept for it is lost.
    pub fn unanswered(&mut self, from: usize, to: usize, call: u32) -> bool {
        let link = self.link(from, to);
        let kept = std::mem::take(&mut link.kept);
        if link.calls != call {
            link.kept = kept;
            return false;
        }
        !kept.is_empty()
    }

    /// What was kept for a connection that stands now, without the datagrams that are too old.
    pub fn take_kept(&mut self, now: u64, a: usize, b: usize) -> Vec<Kept> {
        let mut kept = std::mem::take(&mut self.link(a, b).kept);
        kept.append(&mut self.link(b, a).kept);
        kept.retain(|kept| {
            kept.class != Class::Membership || now < kept.since + DATAGRAM_AGE_MAX_NS
        });
        kept
    }

    /// A datagram: lost, late or doubled as chance has it.
    fn throw(&mut self, now: u64, flight: Flight) -> Fate {
        let weather = self.weather;
        if self.chance.per_million(weather.loss) {
            return Fate::Lost;
        }
        let at = now + self.delay(&flight);
        if self.chance.per_million(weather.duplicate) {
            let again = now + self.delay(&flight) + self.chance.below(200 * MS);
            return Fate::FliesTwice(at, again, flight);
        }
        Fate::Flies(at, flight)
    }

    fn delay(&mut self, flight: &Flight) -> u64 {
        let weather = self.weather;
        let distance = self.link(flight.from, flight.to).distance_ns;
        let jitter = self
            .chance
            .below(distance * weather.jitter_percent / 100 + 50_000);
        let long = if self.chance.per_million(weather.long) {
            self.chance.log_between(1_000, 60_000) * MS
        } else {
            0
        };
        distance + jitter + long + flight.bytes.len() as u64 * MS / BYTES_PER_MS
    }

    /// When a frame that is repeated until it arrives does so: in order within its class.
    fn arrival(&mut self, now: u64, flight: &Flight) -> u64 {
        let mut at = now + self.delay(flight);
        let round_trip = self.link(flight.from, flight.to).distance_ns * 2;
        let mut timeout = round_trip * 3 / 2 + 25 * MS;
        while self.chance.per_million(self.weather.loss) && timeout < 4_000 * MS {
            at += timeout;
            timeout *= 2;
        }
        let last = &mut self.link(flight.from, flight.to).last[flight.class as usize];
        *last = at.max(*last + 1);
        *last
    }

    /// A frame's time has come: it is there, or it waits for the link, or it is lost.
    pub fn arrive(&mut self, flight: Flight) -> Option<Flight> {
        let pair = *self.pair(flight.from, flight.to);
        if !pair.up || pair.epoch != flight.epoch {
            return None;
        }
        let open = self.is_open(flight.from, flight.to);
        if flight.class == Class::Membership {
            return open.then_some(flight);
        }
        let bytes = flight.bytes.len();
        let link = self.link(flight.from, flight.to);
        if !open || !link.waiting.is_empty() {
            link.waiting.push(flight);
            return None;
        }
        link.frames = link.frames.saturating_sub(1);
        link.bytes = link.bytes.saturating_sub(bytes);
        Some(flight)
    }

    /// What waited in both directions flies on: when, and what.
    pub fn release(&mut self, now: u64, a: usize, b: usize) -> Vec<(u64, Flight)> {
        let mut flying = Vec::new();
        for (from, to) in [(a, b), (b, a)] {
            if !self.is_open(from, to) {
                continue;
            }
            for flight in std::mem::take(&mut self.link(from, to).waiting) {
                flying.push((self.arrival(now, &flight), flight));
            }
        }
        flying
    }

    /// Looks at a connection after something has changed: whether the two ends want it and run, and
    /// can reach each other.
    pub fn review(&mut self, now: u64, a: usize, b: usize, wanted: bool) -> Care {
        let open = self.is_open(a, b) && self.is_open(b, a) && wanted;
        let distance = self.link(a, b).distance_ns;
        let patience = self.chance.between(50, 1_000) * MS;
        let pair = self.pair(a, b);
        if open && (!pair.up || pair.is_dead()) {
            if pair.connecting {
                return Care::None;
            }
            pair.connecting = true;
            return Care::ConnectAt(now + 3 * distance + patience, pair.epoch);
        }
        if pair.up && !open && pair.broken_since.is_none() {
            pair.broken_since = Some(now);
            return Care::LookAt(now + IDLE_NS, pair.epoch);
        }
        if pair.up && open && pair.broken_since.take().is_some() {
            return Care::Resume;
        }
        Care::None
    }

    /// One end has lost its state. What was on its way, and what it kept for the other, is lost.
    pub fn lose(&mut self, one: usize, other: usize) {
        let pair = self.pair(one, other);
        if pair.up {
            pair.forgotten[usize::from(one > other)] = true;
        }
        pair.connecting = false;
        self.link(one, other).kept.clear();
        self.reset(one, other);
    }

    /// Whether a connection has been silent for so long that its ends give it up; if so it is down.
    pub fn gives_up(&mut self, now: u64, a: usize, b: usize, epoch: u32) -> bool {
        let pair = self.pair(a, b);
        let silent = pair
            .broken_since
            .is_some_and(|since| now >= since + IDLE_NS);
        // A lost end moves the epoch on, but the other end still waits for its answer.
        if !pair.up || !silent || (pair.epoch != epoch && !pair.is_dead()) {
            return false;
        }
        pair.up = false;
        pair.forgotten = [false; 2];
        pair.broken_since = None;
        self.reset(a, b);
        true
    }

    /// An attempt to connect ends: whether it stands now, and whether it replaces a dead one.
    pub fn connect(&mut self, a: usize, b: usize, open: bool) -> (bool, bool) {
        let open = open && self.is_open(a, b) && self.is_open(b, a);
        let pair = self.pair(a, b);
        if !pair.connecting {
            return (false, false);
        }
        pair.connecting = false;
        if !open || (pair.up && !pair.is_dead()) {
            return (false, false);
        }
        let replaced = pair.up;
        *pair = Pair {
            up: true,
            epoch: pair.epoch + 1,
            ..Pair::default()
        };
        self.reset(a, b);
        (true, replaced)
    }

    fn reset(&mut self, a: usize, b: usize) {
        self.pair(a, b).epoch += 1;
        for (from, to) in [(a, b), (b, a)] {
            let link = self.link(from, to);
            link.waiting.clear();
            link.frames = 0;
            link.bytes = 0;
        }
    }
}
