//! The filters of two daemons on the same probes: the Kalman filter with which ntpd-rs steers a clock
//! by NTP (`ntp-proto`), with its settings as it ships, and statime's by PTP, which is made for a
//! jitter far below a millisecond and gets the settings that let it work beyond that.
//!
//! Both are given each probe at once, five a second, where they are meant for one in seconds. Both
//! see the stamps of the clock that they steer, and are judged by what that clock shows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ntp_proto::{
    AlgorithmConfig, KalmanClockController, Measurement as NtpMeasurement, NtpClock, NtpDuration,
    NtpInstant, NtpLeapIndicator, NtpTimestamp, PollInterval, PollIntervalLimits, SourceConfig,
    SourceController, StateUpdate, SynchronizationConfig, TimeSyncController,
    TwoWayKalmanSourceController,
};
use statime::config::TimePropertiesDS;
use statime::filters::{Filter, KalmanConfiguration, KalmanFilter};
use statime::port::Measurement as PtpMeasurement;
use statime::time::{Duration as PtpDuration, Time as PtpTime};

use super::drive::Sample;
use super::rivals::Rival;
use super::steered::Steered;

/// Where the daemons' own scales begin, s, so that no stamp lies before them.
const EPOCH_S: u32 = 1_000_000;

/// log2 of the seconds between two probes that ntpd-rs is told to want: a quarter of a second.
const POLL_LOG2: i8 = -2;

/// A steered clock that a daemon holds, and those who judge it.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Steered>>);

impl Shared {
    fn get(&self) -> MutexGuard<'_, Steered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ntp_time(shows_s: f64) -> NtpTimestamp {
    NtpTimestamp::from_seconds_nanos_since_ntp_era(EPOCH_S, 0) + NtpDuration::from_seconds(shows_s)
}

impl NtpClock for Shared {
    type Error = std::io::Error;

    fn now(&self) -> Result<NtpTimestamp, Self::Error> {
        Ok(ntp_time(self.get().now_shows_s()))
    }

    fn set_frequency(&self, freq: f64) -> Result<NtpTimestamp, Self::Error> {
        self.get().set_rate(freq);
        NtpClock::now(self)
    }

    fn get_frequency(&self) -> Result<f64, Self::Error> {
        Ok(self.get().rate())
    }

    fn step_clock(&self, offset: NtpDuration) -> Result<NtpTimestamp, Self::Error> {
        self.get().step(offset.to_seconds());
        NtpClock::now(self)
    }

    fn disable_ntp_algorithm(&self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn error_estimate_update(
        &self,
        _est_error: NtpDuration,
        _max_error: NtpDuration,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    fn status_update(&self, _leap_status: NtpLeapIndicator) -> Result<(), Self::Error> {
        Ok(())
    }
}

type Controller = KalmanClockController<Shared, u8>;

/// ntpd-rs with one server.
pub(super) struct Ntpd {
    clock: Shared,
    controller: Controller,
    source: TwoWayKalmanSourceController<u8>,
    start: NtpInstant,
    /// When the controller wants to be asked again, s of the hardware.
    due_s: Option<f64>,
}

impl Default for Ntpd {
    fn default() -> Self {
        let clock = Shared::default();
        let poll = PollInterval::from_byte(POLL_LOG2.cast_unsigned());
        let mut controller = Controller::new(
            clock.clone(),
            SynchronizationConfig {
                minimum_agreeing_sources: 1,
                warn_on_jump: false,
                ..SynchronizationConfig::default()
            },
            AlgorithmConfig::default(),
        )
        .expect("this clock refuses nothing");
        let source = controller.add_source(
            0,
            SourceConfig {
                poll_interval_limits: PollIntervalLimits {
                    min: poll,
                    max: poll,
                },
                initial_poll_interval: poll,
            },
        );
        controller.source_update(0, true);
        Self {
            clock,
            controller,
            source,
            start: NtpInstant::now(),
            due_s: None,
        }
    }
}

impl Ntpd {
    fn follow(&mut self, update: StateUpdate<u8, ntp_proto::KalmanControllerMessage>) {
        if let Some(wait) = update.next_update {
            self.due_s = Some(self.clock.get().now_s + wait.as_secs_f64());
        }
        if let Some(message) = update.source_message {
            self.source.handle_message(message);
        }
    }

    fn wake(&mut self, local_s: f64) {
        while let Some(due_s) = self.due_s.take_if(|due_s| *due_s <= local_s) {
            self.clock.get().now_s = due_s;
            let update = self.controller.time_update();
            self.follow(update);
        }
        self.clock.get().now_s = local_s;
    }
}

impl Rival for Ntpd {
    fn name(&self) -> &'static str {
        "ntpd-rs"
    }

    fn push(&mut self, sample: &Sample) {
        self.wake(sample.received_s);
        let measurement = {
            let clock = self.clock.get();
            let (most_ns, least_ns) = clock.bounds_ns(sample);
            let (sent_s, received_s) = (
                clock.shows_s(sample.sent_s),
                clock.shows_s(sample.received_s),
            );
            NtpMeasurement {
                delay: NtpDuration::from_seconds((most_ns - least_ns) / 1e9),
                offset: NtpDuration::from_seconds(0.5 * (most_ns + least_ns) / 1e9),
                localtime: ntp_time(0.5 * (sent_s + received_s)),
                monotime: self.start + Duration::from_secs_f64(sample.received_s.max(0.0)),
                stratum: 1,
                root_delay: NtpDuration::ZERO,
                root_dispersion: NtpDuration::ZERO,
                leap: NtpLeapIndicator::NoWarning,
                precision: -30,
            }
        };
        if let Some(message) = self.source.handle_measurement(measurement) {
            let update = self.controller.source_message(0, message);
            self.follow(update);
        }
    }

    fn offset_ns(&mut self, local_s: f64) -> f64 {
        self.wake(local_s);
        self.clock.get().ahead_ns(local_s)
    }
}

fn ptp_time(shows_s: f64) -> PtpTime {
    PtpTime::from_secs(u64::from(EPOCH_S)) + PtpDuration::from_seconds(shows_s)
}

/// What passes between two looks at a clock at one moment, s: the filter holds its own reckoning
/// against the clock, to less than a rounding, and asserts that this has not gone back.
const BETWEEN_LOOKS_S: f64 = 2e-9;

impl statime::Clock for Shared {
    type Error = std::io::Error;

    fn now(&self) -> PtpTime {
        let mut clock = self.get();
        clock.now_s += BETWEEN_LOOKS_S;
        ptp_time(clock.now_shows_s())
    }

    fn step_clock(&mut self, offset: PtpDuration) -> Result<PtpTime, Self::Error> {
        self.get().step(offset.seconds());
        Ok(statime::Clock::now(self))
    }

    fn set_frequency(&mut self, ppm: f64) -> Result<PtpTime, Self::Error> {
        self.get().set_rate(ppm / 1e6);
        Ok(statime::Clock::now(self))
    }

    fn set_properties(&mut self, _properties: &TimePropertiesDS) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// As it ships it begins anew with each measurement that is a millisecond off, and steers by 200 ppm:
/// behind a jitter of 20 ms it never arrives. It may be 200 ms off, and steer by what unisono does.
fn for_jitter() -> KalmanConfiguration {
    KalmanConfiguration {
        step_threshold: PtpDuration::from_millis(200),
        max_steer: 20_000.0,
        max_freq_offset: 20_500.0,
        ..KalmanConfiguration::default()
    }
}

/// A PTP instance's filter behind one master: the answer is its `Sync`, the question its `Delay_Req`.
pub(super) struct Statime {
    clock: Shared,
    filter: KalmanFilter,
    due_s: Option<f64>,
}

impl Default for Statime {
    fn default() -> Self {
        Self {
            clock: Shared::default(),
            filter: KalmanFilter::new(for_jitter()),
            due_s: None,
        }
    }
}

impl Statime {
    fn wake(&mut self, local_s: f64) {
        while let Some(due_s) = self.due_s.take_if(|due_s| *due_s <= local_s) {
            self.clock.get().now_s = due_s;
            let update = self.filter.update(&mut self.clock);
            self.follow(update.next_update);
        }
        let mut clock = self.clock.get();
        clock.now_s = clock.now_s.max(local_s);
    }

    fn follow(&mut self, wait: Option<Duration>) {
        if let Some(wait) = wait {
            self.due_s = Some(self.clock.get().now_s + wait.as_secs_f64());
        }
    }

    fn measured(&mut self, measurement: PtpMeasurement) {
        let update = self.filter.measurement(measurement, &mut self.clock);
        self.follow(update.next_update);
    }
}

impl Rival for Statime {
    fn name(&self) -> &'static str {
        "statime"
    }

    fn push(&mut self, sample: &Sample) {
        self.wake(sample.received_s);
        let nothing = PtpMeasurement {
            event_time: PtpTime::default(),
            offset: None,
            delay: None,
            peer_delay: None,
            raw_sync_offset: None,
            raw_delay_offset: None,
        };
        let (most_ns, _) = self.clock.get().bounds_ns(sample);
        let sent_s = self.clock.get().shows_s(sample.sent_s);
        if sent_s > self.clock.get().now_shows_s() {
            // The clock was stepped back meanwhile: its stamp is on another scale.
            return;
        }
        self.measured(PtpMeasurement {
            event_time: ptp_time(sent_s),
            raw_delay_offset: Some(PtpDuration::from_seconds(-most_ns / 1e9)),
            ..nothing
        });
        // The question may have stepped the clock: the answer is read by what it shows now.
        let event_time = statime::Clock::now(&self.clock);
        let least_ns = sample.least_ns - self.clock.get().now_ahead_ns();
        self.measured(PtpMeasurement {
            event_time,
            raw_sync_offset: Some(PtpDuration::from_seconds(-least_ns / 1e9)),
            ..nothing
        });
    }

    fn offset_ns(&mut self, local_s: f64) -> f64 {
        self.wake(local_s);
        self.clock.get().ahead_ns(local_s)
    }
}
