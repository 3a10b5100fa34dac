//! What a node holds at the most, and how often it does things.

/// Bundles in one pushed frame (bytes), but for one alone: half of what a frame may have.
pub const PUSH_BYTES_MAX: usize = crate::replication::FRAME_BYTES_MAX / 2;
/// How long after a try notes that lack something are built again (ms); each pause is twice the last.
pub const REBUILD_PAUSE_MS: u64 = 5_000;
/// The longest of these pauses (ms).
pub const REBUILD_PAUSE_MS_MAX: u64 = 3_600_000;
/// Most records in one batch of own work.
pub const BATCH_RECORDS_MAX: usize = 64;
/// Most bundles of peers in one batch.
pub const BATCH_BUNDLES_MAX: usize = 512;
/// Most bytes of peers' bundles in one batch.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most requests that wait inside the node.
pub const WAITING_MAX: usize = 10_000;
/// Most orchestras that somebody has written in and nobody has opened yet. What belongs to further
/// ones is taken once their opening has come: whoever makes up names fills no memory with them.
pub const NAMELESS_ORCHESTRAS_MAX: usize = 1_024;
/// Most bundles, in all orchestras together, that are held while they wait for an earlier one, or for
/// the disk.
pub const INCOMING_MAX: usize = 8_192;
/// Most bytes of these.
pub const INCOMING_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of these above which no peer is asked for the next stretch of a log until they are on disk.
pub const PURSUIT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Between two looks for tokens of held agents that have to be renewed (ms): well below a quarter of
/// the shortest life that makes sense.
pub const RENEWALS_EVERY_MS: u64 = 5_000;
/// How often a token is renewed in its first life at the most.
pub const RENEWALS_IN_A_LIFE_MAX: u64 = 8;
/// By how much a renewal begins before it is made (ms): clocks of others may be behind.
pub const RENEWAL_AHEAD_MS: u64 = 10_000;
/// Between two looks for logs of others that have moved (ms). What is found is said at the next one:
/// whatever a record names has been here, and passed on, for so long.
pub const WITNESS_EVERY_MS: u64 = 60_000;
/// How many members bear witness of each log: with more, each of them would be on every disk for
/// nothing; with one alone, it could be lost with the log.
pub const WITNESSES: usize = 2;
/// Logs that are remembered to have moved since the last look; more of them are named when they move
/// again.
pub const WITNESS_LOGS_MAX: usize = 4_096;
/// Keys of held agents that are kept derived.
pub const HELD_KEYS_MAX: usize = 4_096;
/// Bytes of recent bundles kept in memory to serve peers and followers without the disk.
pub const RECENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a record that nobody waits for goes without this node's head at the most (ms). A claim
/// makes a node write one at once.
pub const HEAD_DELAY_MS: u64 = 10_000;
/// Between two rounds of regular care (ms).
pub const CARE_MS: u64 = 1_000;
/// For how long a member leaves it to the one before it to lay a root's word down in an orchestra (ms).
pub const ROOT_TURN_MS: u64 = 2_000;
/// Members beyond so many take the last of these turns.
pub const ROOT_TURNS_MAX: u64 = 16;
/// After how long a word is laid down again that an orchestra does not show (ms).
pub const ROOT_AGAIN_MS: u64 = 60_000;
/// How long a gap may stand before the missing bundles are asked for (ms).
pub const GAP_DELAY_MS: u64 = 250;
/// Between two summaries to peers while something differs (ms, jittered by half).
pub const SUMMARY_BUSY_MS: u64 = 1_000;
/// The same while nothing does.
pub const SUMMARY_IDLE_MS: u64 = 5_000;
/// How many others must hold everything before a node leaves that was not told how many: one of
/// them may be lost the same day.
pub const HAND_TO: usize = 2;
/// Between two questions of a leaving node what the others hold (ms).
pub const LEAVE_ASK_MS: u64 = 250;
/// Most of these questions to one member at once.
pub const LEAVE_QUESTIONS_MAX: usize = 256;
/// Between two requests to be admitted (ms, jittered by half).
pub const JOIN_RETRY_MS: u64 = 1_000;
/// How long an unanswered request for bundles blocks the next to the same peer (ms).
pub const WANT_TIMEOUT_MS: u64 = 3_000;
/// Most bundles of one log asked for at once: as many as are surely taken in.
pub const WANT_LOGS_MAX: usize = 16;
/// Most bundles of one log that are fetched at once to close a hole: they wait in memory until the
/// chain reaches them from above.
pub const MEND_BUNDLES_MAX: u64 = 256;
/// Most bytes of these.
pub const MEND_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a question waits for a hole to be mended (ms): well below what an agent waits.
pub const MEND_ASK_PATIENCE_MS: u64 = 2_000;
/// How long views and documents that are built again wait for it before the log ends there (ms).
pub const MEND_PATIENCE_MS: u64 = 60_000;
/// How long bundles for other regions are gathered (ms).
pub const RELAY_DELAY_MS: u64 = 10;
/// Bytes of gathered bundles that are sent at once.
pub const RELAY_BYTES_MAX: usize = 64 * 1024;
/// How long after it was sent first what is to be done together is sent once more, where a channel is weak
/// (ms): after what has filled a queue or cut a path for a moment, and well before the shortest lead of
/// whoever is not known.
pub const TWICE_DELAY_MS: u64 = 250;
/// Bytes of bundles that are kept for that at the most: a thousand cues.
pub const TWICE_BYTES_MAX: usize = 512 * 1024;
/// How long before a full disk is tried again (ms).
pub const DISK_RETRY_MS: u64 = 1_000;
/// Entries after which the next part of a document is begun.
pub const DOCUMENT_ENTRIES_MAX: usize = 4_096;
/// Plans that wait before a document applies them at once.
pub const DOCUMENT_QUEUE_MAX: usize = 64;
/// Most records that stay readable without the logs over all orchestras, once everybody is past them:
/// two crowded orchestras' worth. Beyond it the longest quiet ones are read from the logs.
pub const READABLE_RECORDS_ALL_MAX: u64 = 2 * crate::orchestra::READABLE_RECORDS_MAX as u64;
/// How long a plan waits for company (ms): Automerge takes several changes at once for little more
/// than one, and nobody looks at a document in between but whoever asks for its heads.
pub const DOCUMENT_DELAY_MS: u64 = 5_000;
/// How long an untouched document stays in memory (ms).
pub const DOCUMENT_IDLE_MS: u64 = 60_000;
/// Bytes of documents that stay in memory, beyond those that something waits for.
pub const DOCUMENTS_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Records after which a real node checkpoints the views of a small orchestra.
pub const CHECKPOINT_RECORDS: u64 = 1_024;
/// How many times as many those of a large one may wait for: with [`CHECKPOINT_RECORDS`], a start
/// has to fold 8,192 records again at the most.
pub const CHECKPOINT_GROWTH_MAX: u64 = 8;
/// Losses of claims that a node remembers to have told.
pub const LOSSES_TOLD_MAX: usize = 4_096;
/// How long a node sees the same next view before it votes for it (ms).
pub const VIEW_DELAY_MS: u64 = 3_000;
/// How far this node's clock may be from the other members' before it refuses to write (ms).
pub const CLOCK_OFF_MS: i64 = 2_000;
/// How long a node whose clock has jumped waits for two others to tell what it should show (ms).
pub const CLOCK_UNSURE_MS: u64 = 2_000;
/// How far this node's stamps may be ahead of its own clock, after that was set back, before it
/// refuses to write (ms): so long, nobody else sees what it has acknowledged.
pub const STAMPS_AHEAD_MS_MAX: u64 = 30_000;
/// Bundles of an orchestra, stamped ahead of the time, whose coming is waited for.
pub const UNRIPE_MAX: usize = 1_024;
/// Heads of foreign logs remembered to find forks without the disk.
pub const HEADERS_KEPT_MAX: usize = 64;
/// How often the same refusal of the same agent is told (ms): in between it is counted.
pub const INCIDENT_EVERY_MS: u64 = 10_000;
/// Most kinds of refusals that are gathered at once; more of them are counted together, one kind for
/// each orchestra.
pub const INCIDENT_KINDS_MAX: usize = 1_024;
/// How often one agent says what it thinks of one content: whoever changes their mind more often has
/// none. All of it stands side by side until the content changes.
pub const OPINIONS_MAX: usize = 8;
/// How long after a record was taken another one for its place in its chain is the agent's own race
/// with itself (ms): as long as the longest request waits.
pub const RACE_MS: u64 = 60_000;
/// Places of chains of this life that a node remembers, to tell what stands there from another record:
/// some 700 KB.
pub const PLACES_KEPT_MAX: usize = 4_096;
/// How long a refusal waits for its incident to be on disk, so that it can name it (ms).
pub const INCIDENT_WAIT_MS: u64 = 1_000;
/// Most refusals that wait for that; more of them name none.
pub const REFUSED_WAITING_MAX: usize = 1_024;
/// Most records in one page.
pub const PAGE_RECORDS_MAX: usize = 1_000;
/// Silence after which a member counts as away for relaying and display (ms).
pub const AWAY_AFTER_MS: u64 = 5_000;
/// How long after its last arrival a barrier opens where nobody says, beside three times the longest
/// round trip (ms): so much for the disks on the way, and for whoever sleeps until then.
pub const BARRIER_LEAD_MS: u32 = 500;
/// How long an agent waits at a barrier when it does not say (ms).
pub const PATIENCE_MS: u64 = 10 * 60_000;
/// A round trip above this is not waited for (ms): it was measured while something was broken.
pub const SLOWEST_MS_MAX: u32 = 60_000;
/// Cues of one agent whose targets are to come: one for each of the agents of a large cascade.
pub const CUES_OPEN_MAX: usize = 256;
/// Barriers at which one agent waits at once: an agent goes through one after the other.
pub const BARRIERS_WAITED_MAX: usize = 64;
/// The furthest that a cue may lie ahead (ns): a day, as for `unisono at`.
pub const CUE_AHEAD_NS_MAX: u64 = 24 * 3_600_000_000_000;
/// The first pause before a node that ended of itself soon after it began is made anew (ms).
pub const REVIVAL_PAUSE_MS_MIN: u64 = 100;
/// The longest such pause (ms): a node that is away no longer than this is hardly missed.
pub const REVIVAL_PAUSE_MS_MAX: u64 = 30_000;
/// A life that lasted so long (ms) is no sign that the next one will be short.
pub const REVIVED_FOR_GOOD_MS: u64 = 60_000;
/// How long who was outdone and has left is heard (ms): until others have its last word it asks for
/// that to be kept.
pub const FAREWELL_MS: u64 = 30_000;
