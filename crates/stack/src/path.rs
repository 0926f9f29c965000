//! What a path carries without a queue, from what arrives on it: the rate, and the least round trip.
//!
//! A loss while no more than this is on its way is not the sign of a full queue (TCP Westwood+: Mascolo and others,
//! 2001; Linux has it as tcp_westwood).

use crate::timers::Micros;

/// The least interval over which the rate is measured (Linux: TCP_WESTWOOD_RTT_MIN is 50 ms).
const INTERVAL: Micros = 50_000;
/// A queue that is shorter than this is none: trains of segments and busy processors make as much.
const SHORT: Micros = 1000;

/// How many measurements are remembered; the greatest counts, because recovering costs some of them (BBR takes the
/// greatest of ten round trips).
const REMEMBERED: usize = 8;

/// The estimates of a stream's path.
#[derive(Debug, Default)]
pub struct Path {
    /// Bytes a second, in the last intervals.
    rates: [f64; REMEMBERED],
    /// How many intervals there were.
    count: usize,
    least: Option<Micros>,
    round_trip: Micros,
    /// How many bytes had arrived when the interval began, and when that was.
    began: Option<(u64, Micros)>,
}

impl Path {
    /// A round trip took so long.
    pub fn measured(&mut self, round_trip: Micros) {
        self.round_trip = match self.round_trip {
            0 => round_trip,
            before => (7 * before + round_trip) / 8,
        };
        self.least = Some(self.least.map_or(round_trip, |least| least.min(round_trip)));
    }

    /// The mean round trip.
    #[must_use]
    pub const fn round_trip(&self) -> Micros {
        self.round_trip
    }

    /// So many bytes have arrived in all.
    pub fn arrived(&mut self, bytes: u64, now: Micros) {
        let (before, since) = *self.began.get_or_insert((bytes, now));
        let interval = now - since;
        if interval >= INTERVAL.max(self.round_trip) && bytes >= before {
            self.rates[self.count % REMEMBERED] = (bytes - before) as f64 * 1e6 / interval as f64;
            self.count += 1;
            self.began = Some((bytes, now));
        }
    }

    /// How many bytes may be on their way without a queue; 0 where it is not known.
    #[must_use]
    pub fn holds(&self) -> f64 {
        let least = self.least.map_or(0, |least| least + SHORT);
        let rate = self.rates.iter().copied().fold(0.0, f64::max);
        rate * least as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_the_rate_times_the_least_round_trip() {
        let mut path = Path::default();
        path.arrived(0, 0);
        path.arrived(1_000_000, 100_000);
        assert_eq!(path.holds(), 0.0, "no round trip is known");
        path.measured(9000);
        path.measured(50_000);
        assert_eq!(path.holds(), 100_000.0);
        path.arrived(1_000_001, 110_000);
        assert_eq!(path.holds(), 100_000.0, "too early");
        for number in 2..9 {
            path.arrived(1_000_000, number * 100_000);
            assert_eq!(
                path.holds(),
                100_000.0,
                "some time with little changes nothing"
            );
        }
        path.arrived(1_000_000, 900_000);
        assert_eq!(path.holds(), 0.0, "nothing arrives any more");
    }
}
