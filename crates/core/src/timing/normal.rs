//! The tail of the normal distribution, far out too.

use core::f64::consts::{FRAC_1_SQRT_2, LN_2, PI};

/// Beyond this the series is more exact than the quotient of two vanishing numbers.
const FAR: f64 = 12.0;

/// Density over upper tail at `z`: how hard a truncation pushes.
pub(super) fn hazard(z: f64) -> f64 {
    if z > FAR {
        let inverse = 1.0 / z;
        z + inverse - 2.0 * inverse * inverse * inverse
    } else if z < -FAR {
        0.0
    } else {
        density(z) / upper_tail(z)
    }
}

/// Logarithm of the upper tail at `z`.
pub(super) fn log_upper_tail(z: f64) -> f64 {
    if z > FAR {
        -0.5 * z * z - libm::log(z) - 0.5 * (LN_2 + libm::log(PI)) - 1.0 / (z * z)
    } else {
        libm::log(upper_tail(z))
    }
}

fn density(z: f64) -> f64 {
    libm::exp(-0.5 * z * z) / libm::sqrt(2.0 * PI)
}

fn upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_meets_the_quotient() {
        for step in 0..20 {
            let z = 11.0 + f64::from(step) * 0.1;
            let near = density(z) / upper_tail(z);
            let far = z + 1.0 / z - 2.0 / (z * z * z);
            assert!((near - far).abs() < 1e-4, "{z}: {near} {far}");
            let (near, far) = (log_upper_tail(FAR), log_upper_tail(FAR + 1e-9));
            assert!((near - far).abs() < 1e-3, "{near} {far}");
        }
        assert!((hazard(0.0) - 0.797_884_560_802_865).abs() < 1e-12);
    }
}
