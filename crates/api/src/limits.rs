//! Every limit of the edge, in one place.

use std::time::Duration;

/// Longest path with its query that a client asks for (bytes): nobody's HTTP reads more than 65,534.
pub const PATH_BYTES_MAX: usize = 60_000;

/// Largest request body (bytes).
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Largest body of a request that bears a file (bytes): a content of 1 MiB in base64, and its
/// record.
pub const FILE_BODY_BYTES_MAX: usize = 1_536 * 1024;
/// What every body may hold of the memory by itself (bytes): more than most actions have.
pub const BODY_BYTES_FREE: usize = 16 * 1024;
/// What all bodies together hold beyond that, until they are answered (bytes): 42 of the largest. More
/// are told to wait. What is made of a file while it is read comes to twice that again.
pub const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Contents that are measured at once. A file that is made to cost takes seconds of one core; more
/// of them wait.
pub const MEASURES_MAX: usize = 2;
/// How long a content waits to be measured.
pub const MEASURE_WITHIN: Duration = Duration::from_secs(10);
/// Files in one page when the request does not say.
pub const FILES_PAGE: usize = 200;
/// Most files in one page.
pub const FILES_PAGE_MAX: usize = 1_000;
/// How long a body may take to arrive.
pub const BODY_WITHIN: Duration = Duration::from_secs(10);
/// How long the head of a request may take to arrive; also how long a connection may idle.
pub const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Requests that are worked on at once; more are told to wait.
pub const REQUESTS_MAX: usize = 1024;
/// Records that one key may have signed in a second, for as long as it likes; and as many reads under
/// its sessions. An agent that does
/// nothing but wait for its answers comes to about as many; one that runs wild takes no more.
pub const KEY_REQUESTS_PER_S_MAX: u32 = 500;
/// How many of these may come at once.
pub const KEY_BURST: u32 = 5_000;
/// Requests that one address may make in a second, for as long as it likes, where it is not one of
/// this machine: reads, requests in the name of agents whose keys the node holds, and whatever bears a
/// signature that is none. A /64 of IPv6 is one address.
pub const ADDRESS_REQUESTS_PER_S_MAX: u32 = 2_000;
/// How many of these may come at once.
pub const ADDRESS_BURST: u32 = 10_000;
/// Keys, and addresses, of which is remembered what they have asked for: more of them at once are held
/// to the limits for all together alone.
pub const RATED_SOURCES_MAX: usize = 4_096;
/// Sessions whose signatures are remembered as good; more are checked again.
pub const SESSIONS_REMEMBERED_MAX: usize = 4_096;
/// Event streams and dumps that are open at once; more are told to wait.
pub const STREAMS_MAX: usize = 256;
/// Connections that are open at once; more wait in the system's queue.
pub const CONNECTIONS_MAX: usize = 4096;
/// When whoever was told to wait may ask again (ms).
pub const RETRY_AFTER_MS: u64 = 1_000;
/// How long a request waits for its promises when it does not say (ms).
pub const WAIT_MS: u64 = 10_000;
/// The longest wait that a request may ask for (ms).
pub const WAIT_MS_MAX: u64 = 60_000;
/// How much longer than the request's own wait the edge waits for the node.
pub const WAIT_MARGIN: Duration = Duration::from_secs(2);
/// Most nodes that a write may ask to be durable on.
pub const DURABLE_ON_MAX: u16 = 1024;
/// Tasks in one page when the request does not say, and at most.
pub const TASKS_PAGE: usize = 200;
/// Most tasks in one page.
pub const TASKS_PAGE_MAX: usize = 1_000;
/// Marks, interferences, decisions or remedies in one answer when the request does not say.
pub const PAGE: usize = 100;
/// Most of these in one answer.
pub const PAGE_MAX: usize = 1_000;
/// Interferences of an agent that are looked at for what it yields to: those that block come first.
pub const YIELDED_LOOKED_MAX: usize = 256;
/// Records in one page of a history, a dump or an event stream.
pub const RECORDS_PAGE: usize = 256;
/// How often an idle event stream says that it is alive.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
/// How long a dump that breaks off leaves its last line to be sent.
pub const LAST_WORDS: Duration = Duration::from_millis(100);
/// How often an idle event stream looks by itself, should a wake-up have been missed.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the sessions are good for that the client signs: it signs the next one when a quarter is left.
pub const SESSION_LIFE: Duration = Duration::from_secs(600);
/// Longest words of an `Idempotency-Key` (bytes).
pub const KEY_BYTES_MAX: usize = 256;
/// Shortest bearer token (bytes): less can be guessed.
pub const TOKEN_BYTES_MIN: usize = 16;
/// Longest bearer token (bytes).
pub const TOKEN_BYTES_MAX: usize = 4096;
/// How long open connections may finish when the node stops.
pub const STOP_WITHIN: Duration = Duration::from_secs(3);
/// Most records that the client names as built on one void record; the others are counted.
pub const BUILT_ON_TOLD_MAX: usize = 64;
/// Largest answer that the client reads at once (bytes).
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest line of a stream that the client reads (bytes).
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Tokens of a brief where nobody says how many: what is read in a moment.
pub const BRIEF_TOKENS: u64 = 1_500;
/// How long before it comes a beat is told when the request does not say (ms).
pub const BEAT_AHEAD_MS: u64 = 1_000;
/// The longest that a request may ask for (ms).
pub const BEAT_AHEAD_MS_MAX: u64 = 60_000;
/// How often streams of coherence look at most, however many there are: a look costs up to some ten
/// milliseconds of a fleet of 500.
pub const COHERENCE_LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a stream looks what goes wrong among those who play together, however many follow: to judge
/// some hundred agents takes milliseconds of the node's loop.
pub const FINDINGS_LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a stream of cues looks what has become of them: none of what is read from the time, as that
/// somebody is asked again, is told later than that.
pub const CUES_LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often a stream of beats looks whether the tempo was changed: a change is told at least a
/// round trip before it begins.
pub const TEMPO_LOOK_EVERY: Duration = Duration::from_millis(100);
/// In how many of the latest records events of a source are looked for when the request does not say.
pub const FORETOLD_FROM: usize = 4_096;
/// Most of these: some tenths of a second of the node's time, a stretch after another.
pub const FORETOLD_FROM_MAX: usize = 16_384;
/// Bundles of one log that are read at once for that.
pub const FORETOLD_STRETCH: u64 = 256;
/// Most of these stretches: logs that hold hardly any records, as of nodes that were there for a moment, cost
/// one each.
pub const FORETOLD_STRETCHES_MAX: usize = 256;
/// Between two looks whether an event is overdue, at least: a clock may stand still for a while.
pub const FORETOLD_LOOK_EVERY: Duration = Duration::from_millis(20);
/// Events that a source is learnt from, the latest: four times as many as its intervals are kept, so that
/// there is something to say about how often it came true.
pub const FORETOLD_EVENTS_MAX: usize = 256;
/// Within what an event is foretold when the request does not say (ms).
pub const FORETOLD_WITHIN_MS: f64 = 100.0;
/// The least and the most that a request may ask for (ms): a microsecond, and a day.
pub const FORETOLD_WITHIN_MS_RANGE: (f64, f64) = (0.001, 86_400_000.0);
/// The longest preparation that a request may name (ms): a day.
pub const FORETOLD_PREPARE_MS_MAX: u64 = 86_400_000;
/// How far the time of a signed request to leave may be from the node's clock (ms): a copy of it is of
/// no use later.
pub const LEAVE_FRESH_MS: u64 = 60_000;
/// Orchestras of which `/metrics` shows how coherent they are, the first by name: each costs two
/// looks at its views, and a few series wherever figures are kept.
pub const ORCHESTRAS_MEASURED_MAX: usize = 16;
/// How long one look at `/metrics` may take for that before it begins no further orchestra.
pub const ORCHESTRAS_MEASURED_WITHIN: Duration = Duration::from_millis(500);

/// So long before its time a release is armed: timers of runtimes are late by a millisecond or two, those of
/// a busy machine by tens.
pub const PERFORM_ARM_AHEAD: Duration = Duration::from_millis(100);
/// How often whoever performs asks for the tempo: a change is announced a second ahead where nobody says
/// otherwise.
pub const PERFORM_TEMPO_EVERY: Duration = Duration::from_millis(250);
/// Actions are told to the orchestra with so much between their targets at least, where nobody says
/// otherwise: five records a second, of the 500 that a key may sign.
pub const PERFORM_TELL_EVERY: Duration = Duration::from_millis(200);
/// How often whoever performs asks who else does, and by how much those correct.
pub const PERFORM_HEARS_EVERY: Duration = Duration::from_secs(2);
/// By how much a performer corrects is told with so much between two words at least.
pub const PERFORM_GAINS_EVERY: Duration = Duration::from_secs(2);
/// It is told again after so long though nothing has moved: that it still performs.
pub const PERFORM_GAINS_AGAIN: Duration = Duration::from_secs(20);
/// Of whom nothing was heard for so long, it performs no more: one word may be lost, and the next be late.
pub const PERFORM_HOLDS: Duration = Duration::from_secs(60);
/// What actions use is told with so much between their targets at least: one record a second.
pub const PERFORM_USED_EVERY: Duration = Duration::from_secs(1);
/// So many actions may wait to be told; whatever comes beyond is not told, and counted.
pub const PERFORM_UNTOLD_MAX: usize = 8;
/// How long it is waited at the end until the orchestra was told what is under way.
pub const PERFORM_TELL_WITHIN: Duration = Duration::from_secs(5);
/// Of so many of the latest actions a performance is summed up.
pub const PERFORM_LATE_KEPT_MAX: usize = 10_000;
/// Whoever misses so many of the latest sixteen beats that it was to play cannot keep up.
pub const PERFORM_MISSED_MAX: u32 = 4;
/// So many answers may wait to be looked at; the rest of a flood is dropped.
pub const PERFORM_ANSWERS_MAX: usize = 256;
/// The last action of a performance is waited for until the next beat, but so long at the most.
pub const PERFORM_LAST_WITHIN: Duration = Duration::from_secs(10);
/// By so much (ns) beyond what the clock is unsure a time may lie outside what is possible: what programs
/// take to read a clock.
pub const PERFORM_TIME_SLACK_NS: u64 = 1_000_000;
