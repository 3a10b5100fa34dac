//! Real round-trip times between twelve places (µs): an excerpt of the PlanetLab matrix of
//! NetLatency-Data (MIT licence; Zhu, Liu, Niu, Li and Zhao, "Network Latency Estimation for
//! Personal Devices: A Matrix Completion Approach", IEEE/ACM Transactions on Networking 25, 2017),
//! hosts 0, 397, 229, 316, 57, 159, 356, 202, 386, 115, 113 and 388, both directions averaged.

/// How many places there are.
pub const SITES: usize = 12;

/// The round trip within one place (µs).
pub const LOCAL_US: u64 = 300;

/// Round trips (µs).
pub const ROUND_TRIP_US: [[u64; SITES]; SITES] = [
    [
        0, 17_271, 32_721, 44_498, 79_376, 93_188, 105_850, 112_360, 121_400, 132_600, 161_090,
        227_470,
    ],
    [
        17_271, 0, 28_488, 31_641, 78_595, 86_641, 124_090, 130_710, 131_550, 139_730, 143_930,
        293_510,
    ],
    [
        32_721, 28_488, 0, 36_193, 64_173, 76_168, 132_140, 124_910, 158_630, 177_690, 163_390,
        262_670,
    ],
    [
        44_498, 31_641, 36_193, 0, 73_782, 72_044, 135_200, 160_160, 138_360, 161_730, 169_430,
        217_320,
    ],
    [
        79_376, 78_595, 64_173, 73_782, 0, 15_029, 161_240, 174_270, 198_660, 202_830, 213_570,
        181_310,
    ],
    [
        93_188, 86_641, 76_168, 72_044, 15_029, 0, 201_020, 188_650, 204_800, 218_180, 213_350,
        180_420,
    ],
    [
        105_850, 124_090, 132_140, 135_200, 161_240, 201_020, 0, 18_614, 36_979, 50_906, 54_567,
        288_290,
    ],
    [
        112_360, 130_710, 124_910, 160_160, 174_270, 188_650, 18_614, 0, 45_169, 82_741, 81_588,
        296_620,
    ],
    [
        121_400, 131_550, 158_630, 138_360, 198_660, 204_800, 36_979, 45_169, 0, 28_328, 100_360,
        405_200,
    ],
    [
        132_600, 139_730, 177_690, 161_730, 202_830, 218_180, 50_906, 82_741, 28_328, 0, 112_900,
        417_990,
    ],
    [
        161_090, 143_930, 163_390, 169_430, 213_570, 213_350, 54_567, 81_588, 100_360, 112_900, 0,
        283_820,
    ],
    [
        227_470, 293_510, 262_670, 217_320, 181_310, 180_420, 288_290, 296_620, 405_200, 417_990,
        283_820, 0,
    ],
];

/// The round trip between two places (µs).
pub fn round_trip_us(a: usize, b: usize) -> u64 {
    if a % SITES == b % SITES {
        LOCAL_US
    } else {
        ROUND_TRIP_US[a % SITES][b % SITES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_symmetric() {
        for a in 0..SITES {
            for b in 0..SITES {
                assert_eq!(round_trip_us(a, b), round_trip_us(b, a));
            }
        }
    }
}
