//! What is asked of whom, and for when, against what goes wrong (part VII of the seed): first of those
//! concerned alone, then, while it stands, what is more explicit.

use super::watch::Recovery;

/// What a cue asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asks {
    /// To become no earlier than they are.
    HoldRate,
    /// To act as much later as they are early.
    ActLater,
    /// To begin as much earlier as they are late.
    PrepareEarlier,
    /// To keep the period of the beat, and to make up for what all are off.
    CorrectPeriod,
    /// To take up the beat of those who keep to it.
    KeepToOthers,
    /// To begin anew at the beat, all at one time.
    MeetAnew,
    /// To use less.
    UseLess,
}

/// When that is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    /// As soon as those who are meant can be ready.
    Soon,
    /// After the notice that those concerned should have.
    Notice,
    /// At the next major synchronisation.
    NextMajor,
}

/// One step of a recovery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cure {
    /// What is asked for.
    pub asks: Asks,
    /// When it is due.
    pub due: Due,
    /// Whether all who play are asked, and not only those whom it concerns.
    pub all: bool,
}

impl Recovery {
    /// The step that is due after so many were given.
    pub fn cure(self, given: u32) -> Cure {
        let (asks, due, all) = match (self, given) {
            (Self::HoldRate, 0) => (Asks::HoldRate, Due::Soon, false),
            (Self::HoldRate, _) => (Asks::ActLater, Due::Soon, false),
            (Self::MoreNotice, 0) => (Asks::PrepareEarlier, Due::Notice, false),
            // Whom a drift concerns are all.
            (Self::CorrectPeriod, _) => (Asks::CorrectPeriod, Due::NextMajor, false),
            (Self::Relieve, _) => (Asks::UseLess, Due::Soon, false),
            (Self::Barrier, 0) => (Asks::KeepToOthers, Due::Notice, false),
            (Self::MoreNotice | Self::Barrier, _) => (Asks::MeetAnew, Due::NextMajor, true),
        };
        Cure { asks, due, all }
    }
}
