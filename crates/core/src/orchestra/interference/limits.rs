//! What the search for interferences keeps and looks at, at the most.

/// Most different words of one INTENT that count: a sentence or two; what a page says beyond its
/// beginning tells less about what somebody means to do.
pub const WORDS_MAX: usize = 64;
/// Most words by which an INTENT is found again: the weightiest and longest, which are the rarest.
pub const KEYS_MAX: usize = 16;
/// With how many of its neighbours on each word an INTENT is compared: with [`KEYS_MAX`], the work
/// for one INTENT has a bound that does not grow with their number.
pub const NEIGHBOURS_MAX: usize = 8;
/// INTENTs less alike than this are not remembered as a pair (‰): no setting can go below it.
pub const LIKENESS_FLOOR: u16 = 150;
/// Most globs with one beginning that a topic is held against, in order of their names: they are
/// compared letter by letter.
pub const GLOBS_PER_PLACE_MAX: usize = 64;
/// Most topics of one agent that are looked at when it asks what concerns it.
pub const OWN_TOPICS_MAX: usize = 256;
/// Most of an agent's own signals, the most pressing, and most INTENTs like its newest ones that are
/// looked at when it asks what concerns it: whoever floods a topic is told of a part.
pub const OWN_LOOKED_MAX: usize = 4_096;
/// Most topics under one glob that are looked at when its holder asks what concerns it.
pub const UNDER_GLOB_MAX: usize = 256;
/// Most collisions, and most NEEDs that nobody answers, that one reading looks at: agents can make
/// millions of them, and a node answers everybody with one loop. It looks at the newest collisions,
/// and at NEEDs by their topics' names, and says where there are more.
pub const LOOKED_MAX: usize = 16_384;
/// Resolutions that count: the latest by stamp. What was resolved before these has ended long ago.
pub const RESOLUTIONS_MAX: usize = 4_096;
/// Most resolutions that are held against what agents have seen: the latest of those whose
/// interference still stands.
pub const RESOLUTIONS_BINDING_MAX: usize = 256;
