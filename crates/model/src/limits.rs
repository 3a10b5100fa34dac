//! Every limit on what a record, a bundle or a request may hold, in one place.
//!
//! A limit here is part of the protocol: all replicas refuse the same bytes.

/// Longest text that names something: a topic, a task, an agent, a field (bytes).
pub const NAME_BYTES_MAX: usize = 256;
/// Longest free text: a description, a reason, an intent (bytes).
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Most labels or tags on one thing.
pub const TAGS_MAX: usize = 32;
/// Most heads that one task change may name as replaced, per field.
pub const REPLACES_MAX: usize = 64;
/// Most fields that one task change may touch.
pub const TASK_FIELDS_MAX: usize = 16;
/// Most earlier chains that a chain's first record may name.
pub const PREDECESSORS_MAX: usize = 64;
/// Most settings in one record.
pub const SETTINGS_MAX: usize = 32;
/// Largest record body (bytes, canonical form).
pub const RECORD_BYTES_MAX: usize = 48 * 1024;
/// Most records in one bundle.
pub const BUNDLE_RECORDS_MAX: usize = 64;
/// Largest bundle (bytes, canonical form, signature included).
pub const BUNDLE_BYTES_MAX: usize = 512 * 1024;
/// Largest proof that a log forked (bytes): two headers with their signatures, and room for what
/// a later version may add to them.
pub const FORK_PROOF_BYTES_MAX: usize = 64 * 1024;
/// Most documents that one bundle may touch.
pub const BUNDLE_DOCUMENTS_MAX: usize = 16;
/// Most dependencies of one document change: a document with more heads is merged first.
pub const DEPENDENCIES_MAX: usize = 256;
/// Largest change of a living document (bytes).
pub const LIVING_CHANGE_BYTES_MAX: usize = 192 * 1024;
/// Shortest and longest lease that a claim may ask for (ms).
pub const LEASE_MS: core::ops::RangeInclusive<u64> = 100..=24 * 3_600_000;
/// Longest life of a signal (ms): 400 days, so that the year 9999 is a refusal and no overflow.
pub const LIFETIME_MS_MAX: u64 = 400 * 24 * 3_600_000;
/// Highest iteration.
pub const ITERATION_MAX: u32 = 1_000_000;
/// How far ahead of a replica's own clock a stamp may lie and still move that clock (ms). A stamp
/// further ahead is stored and passed on, and folded when its time has come.
pub const STAMP_AHEAD_MS_MAX: u64 = 500;
/// How long an idempotency key counts, from the first record that bore it (ms).
pub const IDEMPOTENCY_MS: u64 = 24 * 3_600_000;
/// Most earlier logs that a log's first bundle may close.
pub const BUNDLE_CLOSES_MAX: usize = 256;
/// Ends of logs in one part of a `Leave`: with as many members as there can be, it fits into
/// a record.
pub const LEAVE_ENDS_MAX: usize = 512;
/// Ends of logs in an `Expulsion`: with as many members as there can be, it fits into a record.
pub const EXPULSION_ENDS_MAX: usize = 512;
/// Highest number of an authority: as many changes of it as nobody makes.
pub const SUCCESSION_NUMBER_MAX: u32 = 1_000_000;
/// Highest number of a root of rights: a change a year for as long as anybody cares. Every word that
/// counts is kept for ever, since verdicts on old records rest on it.
pub const ROOT_NUMBER_MAX: u32 = 256;
/// Largest certificate of an authority (bytes, DER): ours have less than a thousand.
pub const AUTHORITY_CERTIFICATE_BYTES_MAX: usize = 4 * 1024;
/// Most heads in a `Witness`: with as many, some 220 bytes each, it fits into a record.
pub const WITNESSED_HEADS_MAX: usize = 128;
/// Most members that a view of the cluster lists.
pub const MEMBERS_MAX: usize = 256;
/// Most bytes of a capability token.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Most links of a capability token: as many signatures as checking one costs.
pub const TOKEN_LINKS_MAX: usize = 4;
/// Longest reason of a fence, and longest sentence about a refusal (bytes).
pub const REASON_BYTES_MAX: usize = 1024;
/// Most chains of which one fence keeps a part: with what stands around them, a record's worth.
pub const FENCE_CHAINS_MAX: usize = 256;
/// Most files that one set of rights lists.
pub const TOKEN_FILES_MAX: usize = 256;
/// Most phases that one set of rights lists.
pub const TOKEN_PHASES_MAX: usize = 256;
/// Most tiers that may be granted.
pub const TOKEN_TIERS_MAX: usize = 16;
/// Longest name of a tier (bytes): a word, not a sentence.
pub const TIER_BYTES_MAX: usize = 64;
/// Longest path of a file in a workspace (bytes): what common systems open.
pub const PATH_BYTES_MAX: usize = 4096;
/// Longest name between two slashes of such a path (bytes): what file systems take.
pub const PATH_NAME_BYTES_MAX: usize = 255;
/// The longest life of a link (ms): no token outlives its usefulness unseen.
pub const TOKEN_LIFE_MS_MAX: u64 = 400 * 24 * 3_600_000;
/// Most bytes of a session: one has less than 200.
pub const SESSION_BYTES_MAX: usize = 512;
/// The longest life of a session (ms): a copy of one is good for no longer.
pub const SESSION_LIFE_MS_MAX: u64 = 15 * 60_000;
/// How far ahead of a node's clock the clock may be of whoever signs a session (ms).
pub const SESSION_AHEAD_MS_MAX: u64 = 60_000;
/// Most projects of a plan. A plan is one record, so that it stands as a whole.
pub const PLAN_PROJECTS_MAX: usize = 32;
/// Most phases of a project.
pub const PLAN_PHASES_MAX: usize = 64;
/// Most scopes of a phase: an agent each, in a large fleet.
pub const PLAN_SCOPES_MAX: usize = 256;
/// Most paths of a scope.
pub const PLAN_PATHS_MAX: usize = 256;
/// Most endings of files that nobody can measure.
pub const PLAN_ENDINGS_MAX: usize = 32;
/// Longest of these (bytes).
pub const PLAN_ENDING_BYTES_MAX: usize = 16;
/// Largest content that is measured and recorded (bytes).
pub const CONTENT_BYTES_MAX: usize = 1024 * 1024;
/// Most segments of a tempo map: what was is dropped when the map is made anew, so these are the
/// changes to come.
pub const TEMPO_SEGMENTS_MAX: usize = 64;
/// Slowest and fastest tempo, millionths of a beat a minute: a beat every ten minutes, and every
/// 10 ms, below which a beat is shorter than what an ordinary process can keep.
pub const TEMPO_UBPM: core::ops::RangeInclusive<u64> = 100_000..=6_000_000_000;
/// Highest number of a beat: what a tempo of 6000 comes to in a hundred thousand years.
pub const BEAT_MAX: u64 = 1 << 50;
/// Longest curve of the tempo (ns): a day, so that counting in parts of a beat stays within 128 bits.
pub const CURVE_NS_MAX: u64 = 24 * 3_600_000_000_000;
/// Latest time that a tempo, a cue or an action may name (ns since the Unix epoch): where stamps end.
pub const TIME_NS_MAX: u64 = u32::MAX as u64 * 1_000_000_000;
/// Most agents that one barrier may wait for.
pub const PARTIES_MAX: u16 = 1_024;
/// Most agents that one cue names.
pub const CUE_PARTIES_MAX: usize = 256;
/// Longest lead of a barrier, window of a cue and time to answer one (ms): an hour.
pub const LEAD_MS_MAX: u32 = 3_600_000;
/// Longest that an agent waits at a barrier (ms).
pub const PATIENCE_MS_MAX: u64 = 24 * 3_600_000;
/// The furthest from its target that an action may be on purpose (ms): a minute.
pub const VARY_TIMING_MS_MAX: u64 = 60_000;
/// The most that agents may be faster or slower on purpose, millionths of the tempo's rate: half of it.
pub const VARY_RATE_PPM_MAX: u64 = 500_000;
/// The most that agents may use beyond what is allotted to them, millionths of it: as much again. Whoever needs
/// more has to be allotted more.
pub const VARY_RESOURCES_PPM_MAX: u64 = 1_000_000;
/// Most actions that one word tells the use of.
pub const USED_ACTIONS_MAX: u32 = 1_000_000;
/// The largest amount of a resource, in its unit: a number that programs which speak JSON read exactly.
pub const USED_MAX: u64 = 1 << 50;
/// The largest gain of a correction, millionths: from a gain of two on errors grow in every ensemble.
pub const GAIN_PPM_MAX: u32 = 2_000_000;
/// Longest that an agent counts as performing by one word (ms): an hour, for as long as such a word is read.
pub const PERFORMS_MS_MAX: u32 = 3_600_000;
/// For how many beats at the most agents may vary: what lasts longer is the rule.
pub const VARY_BEATS_MAX: u64 = 64;
/// Longest text of a decision or of a remedy (bytes): what is read again and again is short.
pub const LESSON_BYTES_MAX: usize = 4 * 1024;
/// Most alternatives that one decision rejects.
pub const REJECTED_MAX: usize = 16;
/// Most decisions that one takes the place of.
pub const SUPERSEDES_MAX: usize = 16;
/// Longest normal form of an error's text (bytes): its salient lines.
pub const ERROR_FORM_BYTES_MAX: usize = 2 * 1024;
/// Most files that one remedy names.
pub const REMEDY_FILES_MAX: usize = 32;
/// Most logs of which one rollback sets something aside: with a nonce and a number each, they fit
/// into a record.
pub const ROLLBACK_LOGS_MAX: usize = 1_024;
/// Most logs that an agent says it has seen: each with its tag and a number, they fit into a record.
pub const SEEN_LOGS_MAX: usize = 2_048;
/// Most rollbacks of one orchestra that count, in order of their stamps: each costs a look at every
/// record that is folded.
pub const ROLLBACKS_MAX: usize = 256;
