//! From when to when a certificate counts, and when it is time for the next one.

use super::CertificateError;
use crate::limits;

/// The time of a certificate, in milliseconds since the Unix epoch, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// From when on it counts: [`limits::CERTIFICATE_SKEW_MS`] before it was made.
    pub from_ms: u64,
    /// Until when.
    pub until_ms: u64,
}

impl Validity {
    /// When it was made, by the clock of whoever made it (ms).
    pub fn made_ms(&self) -> u64 {
        let made_ms = self.from_ms.saturating_add(limits::CERTIFICATE_SKEW_MS);
        made_ms.min(self.until_ms)
    }

    /// From when on it should be renewed (ms): after a third of its life. One that lives longer than
    /// `life_ms`, as those of earlier versions do, is renewed as if it lived so long.
    pub fn renewal_begins_ms(&self, life_ms: u64) -> u64 {
        self.made_ms().saturating_add(self.life_ms(life_ms) / 3)
    }

    /// Whether half of its life is over at `now_ms`. Its holder has asked since the first third, so
    /// nobody who can sign was reached since.
    pub fn is_overdue(&self, life_ms: u64, now_ms: u64) -> bool {
        now_ms >= self.made_ms().saturating_add(self.life_ms(life_ms) / 2)
    }

    /// Whether it has ended at `now_ms`. Certificates count in whole seconds.
    pub fn has_ended(&self, now_ms: u64) -> bool {
        now_ms / 1000 > self.until_ms / 1000
    }

    /// Whether a certificate counts at `now_ms`, in whole seconds.
    ///
    /// # Errors
    /// [`CertificateError::Ended`] or [`CertificateError::NotYet`], with how far off it is.
    pub fn counts(&self, now_ms: u64) -> Result<(), CertificateError> {
        let (from_s, now_s, until_s) = (self.from_ms / 1000, now_ms / 1000, self.until_ms / 1000);
        if now_s > until_s {
            let ago_ms = (now_s - until_s) * 1000;
            return Err(CertificateError::Ended { ago_ms });
        }
        if now_s < from_s {
            let in_ms = (from_s - now_s) * 1000;
            return Err(CertificateError::NotYet { in_ms });
        }
        Ok(())
    }

    /// Over how long the nodes of a cluster spread what they would otherwise do at one time (ms): a
    /// twelfth of a life, so that who begins last has asked for long before it is overdue.
    pub fn spread_ms(life_ms: u64) -> u64 {
        life_ms / 12
    }

    fn life_ms(&self, life_ms: u64) -> u64 {
        (self.until_ms - self.made_ms()).min(life_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 3_600_000;
    const LIFE_MS: u64 = limits::NODE_CERTIFICATE_MS;

    fn made_at(made_ms: u64, life_ms: u64) -> Validity {
        Validity {
            from_ms: made_ms - limits::CERTIFICATE_SKEW_MS,
            until_ms: made_ms + life_ms,
        }
    }

    #[test]
    fn it_is_renewed_after_a_third_and_overdue_after_a_half() {
        let made_ms = 100 * DAY_MS;
        let validity = made_at(made_ms, LIFE_MS);
        assert_eq!(validity.made_ms(), made_ms);
        assert_eq!(validity.renewal_begins_ms(LIFE_MS), made_ms + LIFE_MS / 3);
        assert!(!validity.is_overdue(LIFE_MS, made_ms + 3 * DAY_MS));
        assert!(validity.is_overdue(LIFE_MS, made_ms + 4 * DAY_MS));
        assert!(!validity.has_ended(made_ms + LIFE_MS));
        assert!(validity.has_ended(made_ms + LIFE_MS + 1000));
    }

    #[test]
    fn one_of_ten_years_is_renewed_as_if_it_lived_a_week() {
        let made_ms = 100 * DAY_MS;
        let old = made_at(made_ms, 3652 * DAY_MS);
        assert_eq!(old.renewal_begins_ms(LIFE_MS), made_ms + LIFE_MS / 3);
        assert!(old.is_overdue(LIFE_MS, made_ms + LIFE_MS));
        assert!(!old.has_ended(made_ms + 3000 * DAY_MS));
    }

    /// In a part of the cluster without anybody who can sign, the longest-lived certificate must be
    /// overdue before the shortest-lived one ends: from then on its holder takes ended ones.
    #[test]
    fn whoever_is_cut_off_learns_of_it_before_the_first_certificate_ends() {
        let cut_ms = 100 * DAY_MS;
        let fresh = made_at(cut_ms, LIFE_MS);
        let oldest_ms = LIFE_MS / 3 + Validity::spread_ms(LIFE_MS);
        let oldest = made_at(cut_ms - oldest_ms, LIFE_MS);
        let mut now_ms = cut_ms;
        while !fresh.is_overdue(LIFE_MS, now_ms) {
            assert!(!oldest.has_ended(now_ms), "{now_ms}");
            now_ms += DAY_MS / 24;
        }
        assert!(!oldest.has_ended(now_ms + DAY_MS / 3), "and with room");
    }
}
