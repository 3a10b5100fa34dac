//! The cluster's clock for programs: kept in the background, read without asking anybody, and armed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::timer::{boot, hurry, monotonic_ns, sleep_until};
use super::{Client, ClientError};
use crate::dto::{Clock, SyncWord};

/// How often the node is asked what time it is.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How much a reading is worth less for each second that it is old, three sigma: what a bad oscillator
/// is off, billionths.
const HOLDOVER_PPB: u64 = 200_000;
/// Beyond this two steady clocks are not one, whatever the machines call themselves: a container may count
/// another way, ns.
const APART_NS_MAX: u64 = 5_000_000_000;
/// The longest lead that is armed, ns: a day, over which a clock that has lost its leader still knows the
/// time to some tens of milliseconds.
const LEAD_NS_MAX: u64 = 86_400_000_000_000;
/// So long before its time a target is looked at once more: the clock is put right meanwhile, ns.
const LOOK_AGAIN_NS: u64 = 250_000_000;

/// What time it is in the cluster, ns since the Unix epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClusterTime {
    /// It is not before this, whatever the paths do.
    pub earliest_ns: u64,
    /// The best guess. It never falls from one reading of a [`ClusterClock`] to the next.
    pub estimate_ns: u64,
    /// It is not after this.
    pub latest_ns: u64,
    /// How far three sigma reach from the estimate, ns.
    pub unsure_ns: u64,
    /// The number of the epoch on whose leader this stands.
    pub epoch: u64,
    /// How far it can be trusted, as the node said when it was asked last.
    pub state: SyncWord,
    /// How long ago that was.
    pub age: Duration,
}

/// How an action went that was armed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fired {
    /// When it was meant for, by the cluster's clock (ns since the Unix epoch).
    pub target_ns: u64,
    /// How long after that it was released by the same clock, ns.
    pub late_ns: i64,
    /// By how much the cluster's time and this clock may differ beside that, three sigma, ns.
    pub unsure_ns: u64,
    /// Whether the thread that released it had real-time priority: without, a busy machine lets it wait.
    pub real_time: bool,
}

/// The cluster's clock, asked of the nearest node every second and read in between without asking. Cheap
/// to clone; nobody asks any more when the last clone is gone.
#[derive(Clone, Debug)]
pub struct ClusterClock {
    kept: Arc<Kept>,
    /// Of this clone and all others.
    _asks: Arc<Asks>,
}

#[derive(Debug)]
struct Kept {
    heard: RwLock<Heard>,
    told_ns: AtomicU64,
}

/// Whoever asks in the background; not any more when this is gone.
#[derive(Debug)]
pub(super) struct Asks(pub(super) JoinHandle<()>);

impl Drop for Asks {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a node said, and when that was by this machine's steady clock.
#[derive(Clone, Copy, Debug)]
struct Heard {
    read_ns: u64,
    earliest_ns: u64,
    estimate_ns: u64,
    latest_ns: u64,
    sigma_ns: u64,
    /// By how much `read_ns` may be off: half the way there and back; nothing on the node's own machine.
    half_ns: u64,
    rate_ppb: f64,
    epoch: u64,
    state: SyncWord,
}

impl Client {
    /// The cluster's clock, kept from now on.
    ///
    /// # Errors
    /// What every request may fail with; [`ClientError::Usage`] where the node knows no time yet.
    pub async fn cluster_clock(&self) -> Result<ClusterClock, ClientError> {
        let kept = Arc::new(Kept {
            heard: RwLock::new(self.hear_clock().await?),
            told_ns: AtomicU64::new(0),
        });
        let (client, keeps) = (self.clone(), Arc::clone(&kept));
        let asks = tokio::spawn(async move {
            loop {
                tokio::time::sleep(ASK_EVERY).await;
                // A node that does not answer makes the last reading worth less, and no more than that.
                if let Ok(heard) = client.hear_clock().await {
                    *keeps.heard.write().unwrap_or_else(PoisonError::into_inner) = heard;
                }
            }
        });
        Ok(ClusterClock {
            kept,
            _asks: Arc::new(Asks(asks)),
        })
    }

    async fn hear_clock(&self) -> Result<Heard, ClientError> {
        let asked_ns = monotonic_ns();
        let clock = self.clock().await?.body;
        let answered_ns = monotonic_ns();
        heard(&clock, boot().as_deref(), asked_ns, answered_ns)
            .ok_or_else(|| ClientError::Usage("the node does not know the time yet".to_owned()))
    }
}

/// What an answer says that was asked for and came at these times of the steady clock (ns).
fn heard(clock: &Clock, boot: Option<&str>, asked_ns: u64, answered_ns: u64) -> Option<Heard> {
    let number = |text: &Option<String>| text.as_ref()?.parse::<u64>().ok();
    let half_ns = answered_ns.saturating_sub(asked_ns) / 2;
    let same = boot.is_some() && clock.boot.as_deref() == boot;
    let here = same && clock.monotonic_ns.abs_diff(answered_ns) < APART_NS_MAX;
    let (read_ns, half_ns) = if here {
        (clock.monotonic_ns, 0)
    } else {
        (asked_ns.saturating_add(half_ns), half_ns)
    };
    let estimate_ns = clock.estimate()?;
    Some(Heard {
        read_ns,
        earliest_ns: number(&clock.earliest_ns).unwrap_or_default(),
        estimate_ns,
        latest_ns: number(&clock.latest_ns).unwrap_or(u64::MAX),
        sigma_ns: clock.three_sigma_ns.unwrap_or(f64::MAX).ceil() as u64,
        half_ns,
        rate_ppb: clock.rate_ppb,
        epoch: clock.epoch,
        state: clock.state,
    })
}

impl Heard {
    /// What is told when the steady clock shows so much (ns).
    fn at(&self, monotonic_ns: u64) -> ClusterTime {
        let age_ns = monotonic_ns.saturating_sub(self.read_ns);
        let forth = |time_ns: u64| {
            let elapsed = i128::from(monotonic_ns) - i128::from(self.read_ns);
            let ahead = (elapsed as f64 * self.rate_ppb / 1e9).round() as i128;
            let then = i128::from(time_ns) + elapsed + ahead;
            u64::try_from(then.max(0)).unwrap_or(u64::MAX)
        };
        let strayed = u128::from(age_ns) * u128::from(HOLDOVER_PPB) / 1_000_000_000;
        let off_ns = u64::try_from(strayed).unwrap_or(u64::MAX);
        let off_ns = off_ns.saturating_add(self.half_ns);
        ClusterTime {
            earliest_ns: forth(self.earliest_ns).saturating_sub(off_ns),
            estimate_ns: forth(self.estimate_ns),
            latest_ns: forth(self.latest_ns).saturating_add(off_ns),
            unsure_ns: self.sigma_ns.saturating_add(off_ns),
            epoch: self.epoch,
            state: self.state,
            age: Duration::from_nanos(age_ns),
        }
    }

    /// When the steady clock shows so much that it is so late in the cluster (ns).
    fn monotonic_ns(&self, target_ns: u64) -> u64 {
        let ahead = i128::from(target_ns) - i128::from(self.estimate_ns);
        let ahead_ns = ahead as f64 / (1.0 + self.rate_ppb / 1e9);
        self.read_ns.saturating_add_signed(ahead_ns.round() as i64)
    }
}

impl ClusterClock {
    /// What time it is: nobody is asked, and it never runs backwards.
    pub fn now(&self) -> ClusterTime {
        let mut time = self.kept.heard().at(monotonic_ns());
        let told_ns = &self.kept.told_ns;
        let before_ns = told_ns.fetch_max(time.estimate_ns, Ordering::AcqRel);
        time.estimate_ns = time.estimate_ns.max(before_ns);
        time.latest_ns = time.latest_ns.max(time.estimate_ns);
        time
    }

    /// What time it was, or will be, when the steady clock ([`monotonic_ns`]) showed so much (ns), by what is
    /// known now.
    pub(super) fn time_at(&self, monotonic_ns: u64) -> u64 {
        self.kept.heard().at(monotonic_ns).estimate_ns
    }

    /// Arms an action: it is run at a time of the cluster (ns since the Unix epoch), on a thread of its own
    /// that sleeps until an absolute time of the machine's steady clock, with real-time priority where that
    /// is allowed. Whatever it needs is to be ready before; it should be short, and wake who does the rest.
    /// It is run though nobody waits for the answer, unless `self` and all its clones are gone and the
    /// program ends.
    ///
    /// # Errors
    /// [`ClientError::Usage`], and nothing is run, where the time is past or more than a day ahead, and where
    /// the clock cannot be relied on.
    pub fn at<T, A>(
        &self,
        target_ns: u64,
        act: A,
    ) -> Result<impl Future<Output = Result<(T, Fired), ClientError>> + use<T, A>, ClientError>
    where
        T: Send + 'static,
        A: FnOnce(&Fired) -> T + Send + 'static,
    {
        self.is_armable(target_ns)?;
        self.arm(target_ns, act)
    }

    /// Waits until a time of the cluster (ns since the Unix epoch). The wait is that of [`Self::at`]; after
    /// it the runtime has to come to whoever waits.
    ///
    /// # Errors
    /// As [`Self::at`].
    pub async fn until(&self, target_ns: u64) -> Result<Fired, ClientError> {
        Ok(self.at(target_ns, |_| ())?.await?.1)
    }

    /// Arms although the clock may be unsure, or the time past.
    pub(super) fn arm<T, A>(
        &self,
        target_ns: u64,
        act: A,
    ) -> Result<impl Future<Output = Result<(T, Fired), ClientError>> + use<T, A>, ClientError>
    where
        T: Send + 'static,
        A: FnOnce(&Fired) -> T + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let clock = self.clone();
        let thread = std::thread::Builder::new().name("at".to_owned());
        let spawned = thread.spawn(move || {
            let fired = clock.kept.fire(target_ns);
            let done = act(&fired);
            // Whoever does not wait for it does not want to know.
            let _ = tell.send((done, fired));
        });
        spawned.map_err(|error| ClientError::Usage(format!("no thread to wait on: {error}")))?;
        Ok(async move {
            let ended = |_| ClientError::Usage("the action ended by a fault of its own".to_owned());
            told.await.map_err(ended)
        })
    }

    fn is_armable(&self, target_ns: u64) -> Result<(), ClientError> {
        let now = self.now();
        let nothing =
            |words: String| Err(ClientError::Usage(format!("{words}; nothing was armed")));
        if !matches!(now.state, SyncWord::Synchronised | SyncWord::Holdover) {
            return nothing("the cluster's clock is not synchronised here".to_owned());
        }
        if target_ns < now.estimate_ns {
            let past_ms = (now.estimate_ns - target_ns) as f64 / 1e6;
            return nothing(format!("the time is {past_ms:.3} ms past"));
        }
        if target_ns - now.estimate_ns > LEAD_NS_MAX {
            let ahead_ms = (target_ns - now.estimate_ns) as f64 / 1e6;
            return nothing(format!("{ahead_ms:.0} ms ahead; at most a day"));
        }
        Ok(())
    }
}

impl Kept {
    fn heard(&self) -> Heard {
        *self.heard.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until then on this thread.
    fn fire(&self, target_ns: u64) -> Fired {
        let real_time = hurry();
        let mut heard = self.heard();
        loop {
            let fires_ns = heard.monotonic_ns(target_ns);
            let left_ns = fires_ns.saturating_sub(monotonic_ns());
            if left_ns <= 2 * LOOK_AGAIN_NS {
                break;
            }
            sleep_until(fires_ns - LOOK_AGAIN_NS);
            heard = self.heard();
        }
        sleep_until(heard.monotonic_ns(target_ns));
        let now = heard.at(monotonic_ns());
        Fired {
            target_ns,
            late_ns: now.estimate_ns.cast_signed() - target_ns.cast_signed(),
            unsure_ns: now.unsure_ns,
            real_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(boot: &str) -> Clock {
        let status = unisono_core::timekeeper::Timekeeper::new(
            unisono_core::timekeeper::Config {
                node: unisono_model::NodeId::default(),
                priority: 128,
                class: unisono_core::election::Class::Free,
                seed: 1,
                fault: None,
            },
            1,
            true,
        )
        .status(1);
        let mut clock = Clock::of(&status, 7_000_000, Some(boot), 1_000.0);
        clock.state = SyncWord::Synchronised;
        clock.estimate_ns = Some("1000000000".to_owned());
        clock.earliest_ns = Some("999000000".to_owned());
        clock.latest_ns = Some("1002000000".to_owned());
        clock.three_sigma_ns = Some(50_000.0);
        clock
    }

    #[test]
    fn on_the_nodes_machine_the_way_to_it_does_not_count() {
        let here = heard(&clock("one"), Some("one"), 5_000_000, 9_000_000).expect("a time");
        assert_eq!((here.read_ns, here.half_ns), (7_000_000, 0));
        let afar = heard(&clock("two"), Some("one"), 5_000_000, 8_000_000).expect("a time");
        assert_eq!((afar.read_ns, afar.half_ns), (6_500_000, 1_500_000));
        let nobody = heard(&clock("one"), None, 5_000_000, 8_000_000).expect("a time");
        assert_eq!(nobody.half_ns, 1_500_000);
    }

    #[test]
    fn a_reading_goes_on_at_its_rate_and_is_worth_less_as_it_ages() {
        let heard = heard(&clock("one"), Some("one"), 0, 8_000_000).expect("a time");
        let later = heard.at(7_000_000 + 10_000_000_000);
        // A thousand billionths faster over ten seconds, and a bad oscillator's two milliseconds.
        assert_eq!(later.estimate_ns, 11_000_010_000);
        assert_eq!(later.unsure_ns, 2_050_000);
        assert_eq!(later.earliest_ns, 10_999_010_000 - 2_000_000);
        assert_eq!(later.latest_ns, 11_002_010_000 + 2_000_000);
        assert_eq!(later.age, Duration::from_secs(10));
        assert_eq!(heard.monotonic_ns(11_000_010_000), 10_007_000_000);
    }

    fn kept(heard: Heard) -> ClusterClock {
        ClusterClock {
            kept: Arc::new(Kept {
                heard: RwLock::new(heard),
                told_ns: AtomicU64::new(0),
            }),
            _asks: Arc::new(Asks(tokio::spawn(async {}))),
        }
    }

    #[tokio::test]
    async fn time_never_runs_backwards_and_what_is_armed_is_run_at_its_time_and_not_before() {
        let now_ns = monotonic_ns();
        let mut heard = heard(&clock("one"), None, now_ns, now_ns).expect("a time");
        let clock = kept(heard);
        let first = clock.now();
        assert!(first.earliest_ns <= first.estimate_ns && first.estimate_ns <= first.latest_ns);
        // The next answer says that it is ten milliseconds earlier.
        heard.estimate_ns -= 10_000_000;
        *clock.kept.heard.write().expect("whole") = heard;
        assert!(clock.now().estimate_ns >= first.estimate_ns);
        let target_ns = clock.now().estimate_ns + 60_000_000;
        let armed = clock
            .at(target_ns, |fired| fired.target_ns)
            .expect("in time");
        let (told, fired) = armed.await.expect("it ends");
        assert_eq!((told, fired.target_ns), (target_ns, target_ns));
        assert!(fired.late_ns >= 0, "{fired:?}");
        assert!(fired.late_ns < 50_000_000, "{fired:?}");
        assert!(clock.until(target_ns).await.is_err(), "it is past");
        assert!(clock.until(target_ns + 2 * LEAD_NS_MAX).await.is_err());
        heard.state = SyncWord::FreeRunning;
        *clock.kept.heard.write().expect("whole") = heard;
        let soon_ns = clock.now().estimate_ns + 20_000_000;
        assert!(clock.until(soon_ns).await.is_err(), "nobody knows the time");
    }
}
