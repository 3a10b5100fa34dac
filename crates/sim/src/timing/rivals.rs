//! What other clocks do with the same probes: the last sample, the minimum of eight, a regression
//! over 64 and a Kalman filter of offset and frequency; with the feature `rivals` also the filters of
//! ntpd-rs and statime, as they steer a clock (`daemons`).
//!
//! The regression and the Kalman filter follow the prototypes of the design, which follow chrony and
//! ntpd-rs in their weights.

use std::collections::VecDeque;

use super::drive::Sample;

/// Estimates offset (leader minus local, ns, relative to an anchor that all share) at a local time.
pub(super) trait Rival {
    /// How it is called in the report.
    fn name(&self) -> &'static str;
    fn push(&mut self, sample: &Sample);
    fn offset_ns(&mut self, local_s: f64) -> f64;
}

pub(super) fn all() -> Vec<Box<dyn Rival>> {
    vec![
        Box::new(LastSample::default()),
        Box::new(MinimumOf8::default()),
        Box::new(Regression64::default()),
        Box::new(Kalman::default()),
        #[cfg(feature = "rivals")]
        Box::new(super::daemons::Ntpd::default()),
        #[cfg(feature = "rivals")]
        Box::new(super::daemons::Statime::default()),
    ]
}

#[derive(Default)]
struct LastSample(f64);

impl Rival for LastSample {
    fn name(&self) -> &'static str {
        "last sample"
    }

    fn push(&mut self, sample: &Sample) {
        self.0 = sample.offset_ns();
    }

    fn offset_ns(&mut self, _local_s: f64) -> f64 {
        self.0
    }
}

#[derive(Default)]
struct MinimumOf8(VecDeque<Sample>);

impl Rival for MinimumOf8 {
    fn name(&self) -> &'static str {
        "minimum of 8"
    }

    fn push(&mut self, sample: &Sample) {
        self.0.push_back(*sample);
        if self.0.len() > 8 {
            self.0.pop_front();
        }
    }

    fn offset_ns(&mut self, _local_s: f64) -> f64 {
        let by_trip = |a: &&Sample, b: &&Sample| a.trip_ns().total_cmp(&b.trip_ns());
        self.0.iter().min_by(by_trip).map_or(0.0, Sample::offset_ns)
    }
}

/// Weighted by how far the round trip lies above the best one; old samples are dropped where the
/// residuals keep their sign for too long.
#[derive(Default)]
struct Regression64 {
    samples: VecDeque<Sample>,
    line: (f64, f64, f64),
}

impl Regression64 {
    fn fit(&mut self) -> usize {
        let count = self.samples.len() as f64;
        let trips = self.samples.iter().map(Sample::trip_ns);
        let least = trips.clone().fold(f64::INFINITY, f64::min);
        let spread = ((trips.sum::<f64>() / count - least) / 2.0).max(1e3);
        let zero = self.samples.back().map_or(0.0, |sample| sample.received_s);
        let (mut sw, mut sx, mut sy, mut sxx, mut sxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for sample in &self.samples {
            let sigma = 0.15 * spread + (sample.trip_ns() - least) / 2.0;
            let weight = 1.0 / (sigma * sigma);
            let (x, y) = (sample.middle_s() - zero, sample.offset_ns());
            sw += weight;
            sx += weight * x;
            sy += weight * y;
            sxx += weight * x * x;
            sxy += weight * x * y;
        }
        let scale = sw * sxx - sx * sx;
        let slope = if count >= 4.0 && scale > 0.0 {
            (sw * sxy - sx * sy) / scale
        } else {
            0.0
        };
        let level = (sy - slope * sx) / sw;
        self.line = (level, slope, zero);
        let above =
            |sample: &Sample| sample.offset_ns() > level + slope * (sample.middle_s() - zero);
        let signs: Vec<bool> = self.samples.iter().map(above).collect();
        1 + signs.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

impl Rival for Regression64 {
    fn name(&self) -> &'static str {
        "regression 64"
    }

    fn push(&mut self, sample: &Sample) {
        self.samples.push_back(*sample);
        if self.samples.len() > 64 {
            self.samples.pop_front();
        }
        loop {
            let runs = self.fit() as f64;
            let count = self.samples.len() as f64;
            let enough = runs >= count / 2.0 - 1.64 * (count - 1.0).sqrt() / 2.0;
            if count < 16.0 || enough {
                return;
            }
            self.samples.drain(..self.samples.len() / 4);
        }
    }

    fn offset_ns(&mut self, local_s: f64) -> f64 {
        let (level, slope, zero) = self.line;
        level + slope * (local_s - zero)
    }
}

/// Offset (ns) and frequency (ppb), the noise of a sample by its round trip.
#[derive(Default)]
struct Kalman {
    offset: f64,
    rate: f64,
    p: [f64; 3],
    at_s: f64,
    trips: VecDeque<f64>,
}

/// Random walk of the frequency, squared, ppb² per s: 3 ppb per root second.
const WALK: f64 = 9.0;

impl Kalman {
    fn noise(&mut self, sample: &Sample) -> f64 {
        self.trips.push_back(sample.trip_ns());
        if self.trips.len() > 64 {
            self.trips.pop_front();
        }
        let count = self.trips.len() as f64;
        let least = self.trips.iter().copied().fold(f64::INFINITY, f64::min);
        let mean = self.trips.iter().sum::<f64>() / count;
        let base = ((mean - least) / 20.0).max(100.0);
        let excess = (sample.trip_ns() - least) / 2.0;
        let unknown = if count < 3.0 { 1e7 } else { 0.0 };
        base * base + excess * excess / 3.0 + unknown * unknown
    }
}

impl Rival for Kalman {
    fn name(&self) -> &'static str {
        "Kalman"
    }

    fn push(&mut self, sample: &Sample) {
        let noise = self.noise(sample);
        if self.trips.len() == 1 {
            self.offset = sample.offset_ns();
            self.p = [noise.max(1e14), 0.0, 1e10];
            self.at_s = sample.received_s;
            return;
        }
        let d = sample.received_s - self.at_s;
        self.at_s = sample.received_s;
        self.offset += d * self.rate;
        let [p0, p1, p2] = self.p;
        let p0 = p0 + 2.0 * d * p1 + d * d * p2 + WALK * d * d * d / 3.0;
        let p1 = p1 + d * p2 + WALK * d * d / 2.0;
        let p2 = p2 + WALK * d;
        let (k0, k1) = (p0 / (p0 + noise), p1 / (p0 + noise));
        let residual = sample.offset_ns() - self.offset;
        self.offset += k0 * residual;
        self.rate += k1 * residual;
        self.p = [(1.0 - k0) * p0, (1.0 - k0) * p1, p2 - k1 * p1];
    }

    fn offset_ns(&mut self, local_s: f64) -> f64 {
        self.offset + self.rate * (local_s - self.at_s)
    }
}
