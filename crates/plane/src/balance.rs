//! Which shard a session should run in, from how many packets each of them had a second.
//!
//! Packets count, not bytes: a small one costs as much as one of a long train. `shards` calls it when an
//! index is chosen, so nothing is measured while nobody shakes hands.

use crate::clock::{Nanos, SECOND};

/// The rates are measured anew after so long.
const INTERVAL: Nanos = 10 * SECOND;
const MILLISECOND: Nanos = SECOND / 1000;
/// What a new session counts, whose traffic is not known yet.
const NEW: u64 = 1;
/// A move must spare the busier shard more than this part of its work: packets that are still in its
/// queue can be overtaken by those that follow in the other.
const GAIN: u64 = 8;

/// What one session gives its shard to do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Its shard.
    pub shard: usize,
    /// Packets a second, both directions.
    pub rate: u64,
}

/// The rates of all shards.
#[derive(Debug, Default)]
pub struct Balance {
    measured_at: Nanos,
    counted: Vec<u64>,
    rates: Vec<u64>,
}

impl Balance {
    /// Measure the rates if the last time is long ago. `counts` are the packets of each shard so far.
    pub fn measure(&mut self, now: Nanos, counts: impl Iterator<Item = u64>) {
        let elapsed = now.saturating_sub(self.measured_at);
        let is_due = elapsed >= INTERVAL;
        for (number, count) in counts.enumerate() {
            if number == self.rates.len() {
                self.counted.push(0);
                self.rates.push(0);
            }
            if is_due {
                let packets = count - self.counted[number];
                self.rates[number] = packets.saturating_mul(1000) / (elapsed / MILLISECOND);
                self.counted[number] = count;
            }
        }
        if is_due {
            self.measured_at = now;
        }
    }

    /// Return the shard for a new session, which takes the place of one with `load` if there is one. It
    /// is taken into account at once: many sessions may be renewed between two measurements.
    pub fn place(&mut self, load: Option<Load>) -> usize {
        let rates = self.rates.iter().enumerate();
        let least = rates.min_by_key(|(_, rate)| **rate);
        let least = least.map_or(0, |(number, _)| number);
        match load {
            None => self.rates[least] += NEW,
            Some(Load { shard, rate }) => {
                let before = self.rates[shard];
                if self.rates[least] + rate + before / GAIN >= before {
                    return shard;
                }
                self.rates[shard] -= rate;
                self.rates[least] += rate;
            }
        }
        least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(rates: &[u64]) -> Balance {
        let mut balance = Balance::default();
        let second = SECOND / MILLISECOND / 1000;
        let counts = rates.iter().map(|rate| rate * second * INTERVAL / SECOND);
        balance.measure(INTERVAL, counts);
        assert_eq!(balance.rates, rates);
        balance
    }

    #[test]
    fn a_new_session_goes_to_the_least_busy_shard() {
        assert_eq!(balance(&[5, 3, 9]).place(None), 1);
    }

    #[test]
    fn a_session_moves_only_if_that_leaves_the_busier_shard_less() {
        let move_of = |rates: &[u64], rate| balance(rates).place(Some(Load { shard: 0, rate }));
        assert_eq!(move_of(&[1000, 0], 500), 1);
        assert_eq!(
            move_of(&[1000, 0], 1000),
            0,
            "the other would be as busy then"
        );
        assert_eq!(move_of(&[1000, 950], 10), 0, "it gains too little");
        assert_eq!(move_of(&[1000, 600, 100], 500), 2);
        assert_eq!(move_of(&[0, 0], 0), 0);
    }

    #[test]
    fn sessions_that_are_renewed_together_do_not_all_move() {
        let mut balance = balance(&[1000, 0]);
        let load = Load {
            shard: 0,
            rate: 100,
        };
        let moved = (0..10).filter(|_| balance.place(Some(load)) == 1);
        assert_eq!(moved.count(), 5);
    }

    #[test]
    fn a_shard_that_starts_has_no_work() {
        let mut balance = balance(&[1000]);
        balance.measure(INTERVAL + 1, [20_000, 0].into_iter());
        assert_eq!(balance.rates, [1000, 0]);
    }
}
