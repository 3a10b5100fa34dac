//! What brings agents into each other's way: paths and globs, intentions in few words, and ways out.
//! Chosen by the operation's number, so that what else an agent draws stays the same.

use unisono_core::node::Question;
use unisono_core::orchestra::view::InterferencesView;
use unisono_model::{Action, Digest, Held, Resolution, Resolve, Rollback, Seen, Setting, Stamp};

use super::{Agent, Wish};
use crate::clock::EPOCH_NS;

/// Topics that are paths, some of which are globs over others; twice, two globs of which one is over the
/// other, so that both are held at once now and then.
const PATHS: [&str; 10] = [
    "src/auth/**",
    "src/auth/**",
    "src/auth/*.rs",
    "src/auth/login.rs",
    "src/*.rs",
    "src/lib.rs",
    "src/auth/*.rs",
    "src/deep/**",
    "src/deep/a/b.rs",
    "docs/",
];
/// What intentions are about.
const WORDS: [&str; 10] = [
    "login", "session", "token", "index", "search", "cache", "parser", "lexer", "report", "queue",
];

impl Agent {
    /// A number that follows from the agent and what it has done, and from nothing else.
    pub(super) fn whim(&self, salt: u64) -> u64 {
        let words = [
            self.name.as_bytes(),
            &self.next_operation.to_le_bytes(),
            &salt.to_le_bytes(),
        ];
        let digest = Digest::of("sim-whim", &words);
        u64::from_le_bytes(digest.0[..8].try_into().expect("a digest has 32 bytes"))
    }

    /// A path instead of a topic that everybody wants, now and then.
    pub(super) fn path_or(&self, topic: String) -> String {
        if self.whim(1).is_multiple_of(3) {
            let index = (self.whim(2) % PATHS.len() as u64) as usize;
            return PATHS[index].to_owned();
        }
        topic
    }

    /// For how long it claims a topic (ms): whoever works on a path does so for long, every other time.
    pub(super) fn lease_of(&self, topic: &str, lease_ms: u64) -> u64 {
        if topic.contains('/') && self.whim(23).is_multiple_of(2) {
            return self.place.lease_ms_max;
        }
        lease_ms
    }

    /// A sentence of three words, of which others use the same.
    pub(super) fn intention(&self) -> String {
        let word = |salt: u64| WORDS[(self.whim(salt) % WORDS.len() as u64) as usize];
        format!("{} the {} and the {}", word(3), word(4), word(5))
    }

    /// Looks for what stands in its way, or clears it.
    pub(super) fn clear_the_way(&mut self) -> Option<Wish> {
        if let Some(id) = self.in_the_way.pop() {
            let ways = [
                Resolution::Merge,
                Resolution::Priority,
                Resolution::Synthesis,
                Resolution::Defer,
            ];
            return Some(Wish::Act(Action::Resolve(Resolve {
                interference: id,
                how: ways[(self.whim(6) % 4) as usize],
                outcome: format!("{} has decided", self.name),
                mark: self.marks.last().copied(),
            })));
        }
        match self.whim(7) % 40 {
            0..=5 => Some(Wish::Look(
                Question::Interference {
                    agent: Some(self.name.clone()),
                    limit: 10,
                },
                None,
            )),
            6 => Some(Wish::Look(Question::Coherence, None)),
            7 => Some(Wish::Look(
                Question::Continue {
                    agent: self.name.clone(),
                    since: Some(self.cursor.clone()),
                },
                None,
            )),
            8 if self.whim(8).is_multiple_of(4) => Some(Wish::Act(Action::Settings(vec![
                (Setting::NeedPatienceMs, self.whim(9) % 20_000),
                (Setting::CollisionPermille, self.whim(10) % 700),
                (Setting::ContextStaleMs, self.whim(18) % 30_000),
                (Setting::DesignEnds, self.whim(19) % 3),
                (Setting::ExecutionEnds, self.whim(20) % 5),
            ]))),
            // 4 is refused: nobody knows such a strategy.
            9 if self.whim(11).is_multiple_of(2) => {
                let fields = [
                    Setting::TitleConflict,
                    Setting::DescriptionConflict,
                    Setting::StatusConflict,
                    Setting::PriorityConflict,
                    Setting::AssigneeConflict,
                    Setting::LabelsConflict,
                    Setting::LinkConflict,
                ];
                let changes = (0..3).map(|n| {
                    let field = fields[(self.whim(12 + n) % 7) as usize];
                    (field, self.whim(15 + n) % 4)
                });
                Some(Wish::Act(Action::Settings(changes.collect())))
            }
            10..=17 => {
                let seen = self.cursor.0.iter().map(|(tag, bundle)| (tag.0, *bundle));
                let logs = seen.collect();
                Some(Wish::Act(Action::Seen(Seen { logs })))
            }
            _ => None,
        }
    }

    /// Wants back what was, now and then, in some runs: only agents whose key a node holds do, since
    /// whoever signs must say what it has seen.
    pub(super) fn go_back(&self, now: u64) -> Option<Wish> {
        let salt = |salt: u64| {
            let words = [
                &self.id.0[..],
                &self.next_operation.to_le_bytes(),
                &salt.to_le_bytes(),
            ];
            let digest = Digest::of("sim-goes-back", &words);
            u64::from_le_bytes(digest.0[..8].try_into().expect("a digest has 32 bytes"))
        };
        let regrets = self.held == Held::Node && self.id.0[0].is_multiple_of(3);
        if !regrets || !salt(1).is_multiple_of(40) {
            return None;
        }
        // Far enough to go back behind another rollback at times.
        let back_ns = (1 + salt(2) % 60) * 1_000_000_000;
        Some(Wish::Act(Action::Rollback(Box::new(Rollback {
            to: Stamp::from_ns((EPOCH_NS + now).saturating_sub(back_ns)),
            seen: Vec::new(),
            reason: format!("{} has its doubts", self.name),
        }))))
    }

    /// What it was told stands in its way, and that nobody has resolved.
    pub(super) fn take_interferences(&mut self, view: &InterferencesView) {
        let open = view.interferences.iter().filter(|one| one.is_open());
        self.in_the_way = open.take(2).map(|one| one.id).collect();
    }
}
