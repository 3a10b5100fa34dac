//! Every limit and every tuned figure of the ensemble, in one place.
//!
//! `docs/ensemble.md` says in which worlds they were found, and in which they were judged.

use unisono_model::PARTS_PER_BEAT;

/// The tempo where nobody has set one: a beat every 500 ms (TIME-3), millionths of a beat a minute.
pub const TEMPO_UBPM_DEFAULT: u64 = 120_000_000;
/// Beats from coordination point to coordination point where nobody has said otherwise (TIME-3).
pub const POINT_EVERY_DEFAULT: u16 = 4;
/// Beats from major synchronisation to major synchronisation where nobody has said otherwise.
pub const MAJOR_EVERY_DEFAULT: u16 = 64;
/// An exponential curve is halved so often: 64 straight pieces follow a doubling of the rate to
/// 15 millionths.
pub const CURVE_HALVINGS: u32 = 6;
/// Two maps that are a millionth of a beat apart are one: programs that speak JSON may round.
pub const BEATS_APART_PARTS: u64 = PARTS_PER_BEAT / 1_000_000;

/// Who follows a change of the tempo shows in so many beats after its end (TIME-10): four coordination points.
pub const CHANGE_BEATS: i64 = 16;
/// And in so long at the least (ns): who tells of every tenth beat has told of two.
pub const CHANGE_NS_MIN: u64 = 10_000_000_000;
/// Whoever played the beat within so long before a change (ns) is one of those who have to follow it.
pub const CHANGE_BEFORE_NS: u64 = 60_000_000_000;
/// For so long after its end it is told what became of a change (ns).
pub const CHANGE_SHOWN_NS: u64 = 600_000_000_000;
/// By so many actions after it, at least and at most, it is told whether somebody follows: one is chance.
pub const FOLLOWS_ACTIONS_MIN: usize = 2;
/// See above.
pub const FOLLOWS_ACTIONS_MAX: usize = 8;
/// An action that is meant for a time so near to a beat (ns) is meant for that beat: programs that speak JSON
/// may round, and the shortest beat is ten times as long.
pub const ON_BEAT_NS: u64 = 1_000_000;

/// From which mean asynchrony on somebody is to be watched, and looked after, ms (TIME-15).
pub const MEAN_MS: (f64, f64) = (30.0, 100.0);
/// The same for one standard deviation, ms.
pub const SPREAD_MS: (f64, f64) = (20.0, 50.0);
/// The same for drift, ms a minute.
pub const DRIFT_MS_PER_MINUTE: (f64, f64) = (10.0, 30.0);
/// A drift counts beyond so many of its standard errors: one false alarm in 700 looks.
pub const DRIFT_SIGMAS: f64 = 3.0;

/// Over how long punctuality is summed up beside that of the latest actions, ns (TIME-15).
pub const MINUTE_NS: u64 = 60_000_000_000;
/// Of how many of the latest minutes that is shown.
pub const MINUTES_SHOWN_MAX: usize = 10;

/// The seed's phase gain (TIME-5).
pub const PHASE_GAIN_SEED: f64 = 0.25;
/// The seed's period gain (TIME-5).
pub const PERIOD_GAIN_SEED: f64 = 0.1;
/// Actions from one correction of the period to the next (TIME-5).
pub const EPOCH_ACTIONS: u32 = 10;
/// Partners are told a gain anew when it has moved by more than this share of what they were told.
pub const GAIN_MOVED: f64 = 0.1;
/// A gain below this counts as this, where it is asked whether it has moved.
pub const GAIN_SMALL: f64 = 0.01;
/// Most players that correct towards one another.
pub const PLAYERS_MAX: u32 = 4_096;
/// Latest feedback that is counted with, actions.
pub const DELAY_ACTIONS_MAX: u32 = 64;
/// Over how many epochs gains are tried before they are believed.
pub const STABLE_EPOCHS: usize = 400;
/// Actions whose error may be outstanding; older ones are given up.
pub const PENDING_ACTIONS_MAX: usize = 256;
/// Over how many actions the spread of errors is learnt.
pub const SPREAD_ACTIONS: u32 = 64;
/// How far what stays wanders from action to action in calm times, as a share of the variance of chance: a
/// latency that is learnt over some hundred actions.
pub const KALMAN_WANDER_SHARE: f64 = 1e-5;
/// How far its rate does, in the same: what drifts by a hundredth of a sigma an action is followed.
pub const BELIEF_RATE_WANDER: f64 = 4e-10;
/// How far from nothing that rate may be in the beginning, sigmas an action.
pub const BELIEF_RATE_SPREAD: f64 = 2e-3;
/// How far it may be after something has changed, sigmas an action.
pub const BELIEF_RATE_OPEN: f64 = 0.1;
/// From how many actions chance is learnt before anything is told apart from it.
pub const BELIEF_LEARNS: u32 = 8;
/// The least that is taken for one sigma of chance (ns): a thread that wakes up is late by as much.
pub const BELIEF_CHANCE_NS_MIN: f64 = 1e5;
/// Differences of neighbours beyond so many sigmas count as so many.
pub const BELIEF_CHANCE_CLIP: f64 = 3.0;
/// Beyond so many sigmas one is no chance of the usual kind: 1 of 16,000.
pub const BELIEF_GATE: f64 = 4.0;
/// What a sum lets pass at each action, sigmas: half the shift that is to be found.
pub const BELIEF_SLACK: f64 = 0.5;
/// Where the sum opens the belief again, sigmas: by chance alone once in some six thousand actions, which
/// costs what five actions vary by.
pub const BELIEF_ALARM: f64 = 8.0;
/// Of so many actions at most it is learnt anew: what takes longer to add up is half a sigma.
pub const BELIEF_KEPT_MAX: usize = 32;
/// After each change it is believed to move so many times as much, up to so many times; of which so much is
/// left after each action.
pub const BELIEF_UNREST_MORE: f64 = 8.0;
/// See above.
pub const BELIEF_UNREST_MAX: f64 = 1e4;
/// See above.
pub const BELIEF_UNREST_KEEPS: f64 = 0.98;
/// An error beyond this (ns) is none: a day.
pub const LATE_NS_MAX: f64 = 86_400e9;
/// How gains change on swinging, drift and single large errors (TIME-6).
pub const OSCILLATION_GAIN_LESS: f64 = 0.9;
/// See above.
pub const DRIFT_GAIN_MORE: f64 = 1.1;
/// See above.
pub const LARGE_GAIN_MORE: f64 = 1.05;
/// Errors swing where each is the one before by so much, with the other sign: at a gain of one that is a half
/// by chance alone, at 0.25 an eighth.
pub const OSCILLATION_SHARE: f64 = 0.4;
/// Beyond so many sigmas a single error is large.
pub const LARGE_ERROR_SIGMAS: f64 = 3.0;

/// Samples of a profile that are kept.
pub const PROFILE_SAMPLES_MAX: usize = 128;
/// After so long a sample counts half, ns: an hour.
pub const PROFILE_HALF_LIFE_NS: f64 = 3_600e9;
/// What is assumed of the response of an agent that nobody knows, ns.
pub const RESPONSE_NS_PRIOR: f64 = 500e6;
/// In which share of cues everybody is to be punctual.
pub const SHARE_PUNCTUAL: f64 = 0.999;
/// From so many outcomes on it is judged whether an agent is to be relied on: one of three is chance.
pub const OUTCOMES_FEW: usize = 4;
/// Who acts in a smaller share of cases is unreliable: from one miss in four on.
pub const RELIABLE_SHARE_MIN: f64 = 0.75;
/// So many who could stand in for each unreliable agent are named.
pub const STAND_INS_MAX: usize = 2;
/// Responses of each agent to cues that are kept: enough for a spread, and for what became of it lately.
pub const RESPONSES_KEPT_MAX: usize = 64;
/// Below so many responses an agent gets at least the lead of one whom nobody knows: one quick answer
/// is chance.
pub const RESPONSES_FEW: usize = 8;
/// In which share of cues a whole group is to be ready in time where nobody says, millionths: one in
/// twenty waits for somebody, or goes without.
pub const SHARE_READY_PPM: u32 = 950_000;
/// The longest lead that is proposed (ns): an hour. Whoever takes longer is not to be waited for.
pub const LEAD_PROPOSED_NS_MAX: f64 = 3_600e9;
/// Half the window around a target where too little is known of whoever is meant (ns): the seed's threshold
/// of a spread that somebody has to look after ([`SPREAD_MS`]).
pub const WINDOW_NS_ASSUMED: f64 = 50e6;
/// The widest that is proposed (ns): whoever spreads by more does not act together with anybody.
pub const WINDOW_NS_MAX: f64 = 1e9;
/// Targets that nobody has named are whole multiples of so much (ns): people read them.
pub const TARGET_STEP_NS: u64 = 100_000_000;
/// How often whoever is silent is asked again, each time after half of what is left.
pub const ASKED_AGAIN_MAX: usize = 2;
/// The same for whoever is known to be unreliable: each of those times, and half-way before each.
pub const ASKED_AGAIN_UNRELIABLE: usize = 2 * ASKED_AGAIN_MAX;
/// Responses below so much (ns) need so many times as much notice (TIME-8).
pub const LEAD_FACTORS: [(f64, f64); 4] = [
    (100e6, 2.0),
    (500e6, 2.5),
    (2_000e6, 3.0),
    (f64::INFINITY, 4.0),
];

/// What a sum of errors lets pass at each action, sigmas: half the shift that is to be found.
pub const CUSUM_SLACK: f64 = 0.5;
/// Where the sum tells, sigmas: two more than where a known level would give one false alarm in 9,300
/// actions, since levels are learnt from forty beats and are off themselves.
pub const CUSUM_ALARM: f64 = 10.0;
/// From how many actions a level and its spread are learnt before anything is told.
pub const WATCH_LEARNS: u32 = 40;
/// Over how many beats groups are looked for.
pub const SPLIT_BEATS: usize = 5;
/// Among fewer players nobody can tell two groups from chance.
pub const SPLIT_PLAYERS_MIN: usize = 6;
/// The share of spread that is left when one normal group is cut in two at its best: 1 - 2/pi.
pub const SPLIT_SHARE: f64 = 0.3634;
/// Groups that are nearer than so many sigmas of a mean are one.
pub const SPLIT_SIGMAS_MIN: f64 = 3.0;

/// Intervals that a source is known by, at most and at least.
pub const INTERVALS_MAX: usize = 64;
/// See above.
pub const INTERVALS_MIN: usize = 8;
/// How much of the evidence for a pattern is kept from event to event.
pub const PATTERN_FORGETS: f64 = 0.95;
/// So many nats more are asked of a pattern that is less simple.
pub const EVIDENCE_MORE: f64 = 2.0;
/// A source whose longest interval is less than so many times its shortest is not bursty.
pub const BURST_FACTOR: f64 = 3.0;
/// Bins of the reliability curve.
pub const CALIBRATION_BINS: usize = 10;
/// How many cases the stated confidence is worth before the curve speaks.
pub const CALIBRATION_PRIOR: f64 = 8.0;
/// Below this confidence nobody prepares (TIME-4).
pub const CONFIDENCE_MIN: f64 = 0.6;

/// Over how many of the latest cues of an agent it is told how true their times were (TIME-8).
pub const QUALITY_CUES_MAX: usize = 64;
/// So many cues that came true are believed in before any was: six in a row that do not come true make a sure
/// cue one that nobody prepares for.
pub const QUALITY_PRIOR: u32 = 8;
/// Whoever acted on a cue has its say on how true the time was up to so long after the window (ns): by then
/// it stands.
pub const QUALITY_TOLD_WITHIN_NS: u64 = 10_000_000_000;

/// Over how many looks, one a second, a channel is judged (TIME-7).
pub const CHANNEL_LOOKS_MAX: usize = 60;
/// Looks before any time is told that do not count: a node has just begun.
pub const CHANNEL_LOOKS_PASSED_OVER: usize = 10;
/// A channel that served in a smaller share of looks is degraded: six seconds of a minute.
pub const CHANNEL_AVAILABLE_MIN: f64 = 0.9;
/// The same for answers: the filter knows the time with a third of them lost, and a network that loses as
/// many is about to lose more.
pub const PROBES_DELIVERED_MIN: f64 = 0.7;
/// The same for notices and those they are for.
pub const NOTICE_DELIVERED_MIN: f64 = 0.9;
/// A time that is known no better (ns) uses up a third of what a healthy mean asynchrony may be
/// ([`MEAN_MS`]): windows have to be wider. It is no trouble as long as what is feared of the way to whoever
/// leads (half of `ASYMMETRY_SHARE` of it) makes up for the rest.
pub const UNSURE_NS_DEGRADED: f64 = 10e6;
/// A way that takes longer (ns) uses up the shortest lead of an agent that nobody knows, twice over.
pub const NOTICE_WAY_NS_MAX: f64 = 1e9;
/// By how much windows are widened where nobody can say how badly the time is known (ns): from there on it
/// counts as not known at all.
pub const WIDEN_NS_UNKNOWN: f64 = 50e6;
/// So many times as much notice is given where it comes late or not to all: once more for whoever has to be
/// asked again.
pub const NOTICE_MORE: f64 = 2.0;

/// From how many of its own actions it is learnt how late somebody is as a rule, and how that spreads,
/// before anything is told of it by a node.
pub const JUDGE_LEARNS: usize = 48;
/// What a sum lets pass at each action there, sigmas: more than [`CUSUM_SLACK`], since a level that was
/// learnt is off itself (0.14 sigma), and a node looks at every agent all day.
pub const JUDGE_SLACK: f64 = 0.6;
/// Where it tells, sigmas.
pub const JUDGE_ALARM: f64 = 10.0;
/// More than so many sigmas count as so many: threads wake up late now and then, and one action is no
/// failure of a group, nor are three.
pub const JUDGE_CLIP: f64 = 4.0;
/// The least that is taken for one sigma (ns): a sixth of what a healthy mean may be ([`MEAN_MS`]). Who is
/// steadier than that does not fail by being so a little less.
pub const JUDGE_SIGMA_NS_MIN: f64 = 5e6;
/// With fewer who play at one time there is nothing that they have in common.
pub const JUDGE_TOGETHER_MIN: usize = 3;
/// What was told stands for so many actions more, and ends then unless it is told again.
pub const JUDGE_STANDS: usize = 24;
/// Over so many of the latest actions it is told by how much somebody is off.
pub const JUDGE_OFF_ACTIONS: usize = 8;
/// Of so many agents at most the actions are judged: those who acted last.
pub const JUDGE_PLAYERS_MAX: usize = 256;
/// What was meant for longer ago (ns) is not judged: an hour.
pub const JUDGE_WITHIN_NS: u64 = 3_600_000_000_000;
/// Over how many of somebody's latest actions it is told whether one of the thresholds is crossed: as many as
/// are shown.
pub const BEYOND_ACTIONS: usize = 64;
/// With fewer nothing is told: one that is late by two seconds is no mean.
pub const BEYOND_ACTIONS_MIN: usize = 24;
/// Over less (ns) nobody is told of a drift: a few milliseconds in two seconds are a hundred in a minute, and
/// chance.
pub const BEYOND_DRIFT_NS_MIN: u64 = 30_000_000_000;
/// What was told stands for [`JUDGE_STANDS`] actions more; every so many-th of them is looked at.
pub const BEYOND_EVERY: usize = 4;

/// Beyond so many sigmas from its rule somebody is off, where it is asked why (TIME-11).
pub const VARY_OFF_SIGMAS: f64 = 2.0;
/// Who varies on purpose shows that in actions beyond so many sigmas: one of 370 by chance.
pub const VARY_SURE_SIGMAS: f64 = 3.0;
/// In so many of them.
pub const VARY_SURE_ACTIONS: u32 = 2;
/// Over so many of the latest actions where variation is not likely it is looked at whether somebody has come back.
pub const VARY_REST_ACTIONS: usize = 6;
/// Back is whoever is off by less than so many sigmas in the middle of these: by chance one look of 500 says
/// otherwise.
pub const VARY_BACK_SIGMAS: f64 = 1.5;
/// A rule is learnt from actions where variation is not likely, if there are so many among the first
/// [`JUDGE_LEARNS`]; else from all of these.
pub const VARY_LEARNS_MIN: usize = 12;
/// A rate is measured over so many intervals between actions: over one, chance is as large as what is looked for.
pub const VARY_RATE_INTERVALS: usize = 4;
/// What is told of is not dated ahead by more than this (ns): clocks differ, and by less.
pub const USAGE_AHEAD_NS_MAX: u64 = 60_000_000_000;
/// Of so many agents at most it is told how they perform: of those who said so last.
pub const PERFORMERS_SHOWN_MAX: usize = 1_024;
/// Of so many resources of agents at most it is told what is used: of those told of last.
pub const USAGE_SHOWN_MAX: usize = 1_024;
/// Over how many of the latest actions it is told whether somebody varies: as many as are shown.
pub const VARY_TOLD_ACTIONS: usize = 64;

/// Words on what was used, from so many on, show how that spreads; with fewer nobody is told of (TIME-11).
pub const USED_LEARNS: usize = 12;
/// The least that is taken for one sigma of a share of what is allotted.
pub const USED_SIGMA_MIN: f64 = 0.05;
/// More than so many sigmas count as so many: five stretches of actions make a failure, and no four.
pub const USED_CLIP: f64 = 3.0;
/// Over so many of the latest stretches it is told which share somebody uses.
pub const USED_LATELY: usize = 8;
