//! Whether the device is under load, so that the senders of handshake messages must prove their
//! addresses with a cookie (paper, 5.3). Called by the cookie checker.
//!
//! The load is the rate at which messages without proof come, not the queue that they leave behind: while
//! a flood lasts, the device stays under load, and what the brain has to do does not rise with the flood.

use crate::bucket::{Bucket, Rate};
use crate::clock::{Nanos, SECOND};

/// Messages a second that need no proof. The brain judges as many strangers in less than a tenth of a second.
const RATE: Nanos = 2_000;
/// How many more may come at once: the clients of a hub that has restarted, which the brain answers in about a
/// second. Behind a cookie, most would wait five.
const BURST: Nanos = 8_192;
const COST: Nanos = SECOND / RATE;
/// How much of the past counts: a flood is forgotten after a second (kernel, receive.c: last_under_load).
const MEMORY: Nanos = BURST * COST + SECOND;

/// Messages a second that need no proof under load: some clients get in without the delay.
const SHARE: Rate = Rate::new(SECOND / 32, 1);

/// The recent messages without proof.
#[derive(Debug, Default)]
pub struct Load {
    /// What has come and is not forgotten, as the time that it takes at `RATE`.
    backlog: Nanos,
    seen: Nanos,
    crowded_until: Nanos,
    share: Bucket,
}

impl Load {
    /// Count a message, and return whether its sender must prove the address. `crowded`: so many messages
    /// wait for the brain that all senders must for the next second.
    pub fn requires_proof(&mut self, now: Nanos, crowded: bool) -> bool {
        let elapsed = now.saturating_sub(self.seen);
        self.seen = now;
        self.backlog = (self.backlog.saturating_sub(elapsed) + COST).min(MEMORY);
        if crowded {
            self.crowded_until = now + SECOND;
        }
        self.lasts(now) && (crowded || !self.share.take(now, &SHARE))
    }

    /// Whether the device was under load when the last message came, and still is.
    #[must_use]
    pub fn lasts(&self, now: Nanos) -> bool {
        let elapsed = now.saturating_sub(self.seen);
        now < self.crowded_until || self.backlog.saturating_sub(elapsed) > BURST * COST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Nanos = 1000 * SECOND;

    /// How many of the messages of one second, `rate` of them, need no proof.
    fn unproven(load: &mut Load, from: Nanos, rate: u64) -> u64 {
        let times = (0..rate).map(|number| from + number * SECOND / rate);
        times
            .filter(|&now| !load.requires_proof(now, false))
            .count() as u64
    }

    #[test]
    fn what_comes_slowly_or_in_one_burst_needs_no_proof() {
        let mut load = Load::default();
        for second in 0..10 {
            assert_eq!(unproven(&mut load, START + second * SECOND, RATE), RATE);
        }
        let later = START + 60 * SECOND;
        assert!((0..BURST).all(|_| !load.requires_proof(later, false)));
        assert!(!load.lasts(later));
    }

    #[test]
    fn a_flood_lets_a_few_pass_however_fast_it_is_and_however_long_it_lasts() {
        for rate in [20_000, 200_000] {
            let mut load = Load::default();
            unproven(&mut load, START, rate);
            for second in 1..5 {
                let passed = unproven(&mut load, START + second * SECOND, rate);
                assert!(passed <= 33, "{passed} of {rate}");
            }
            assert!(load.lasts(START + 5 * SECOND));
            assert!(!load.lasts(START + 7 * SECOND));
            assert!(!load.requires_proof(START + 7 * SECOND, false));
        }
    }

    #[test]
    fn a_crowded_queue_is_load_for_a_second() {
        let mut load = Load::default();
        assert!(load.requires_proof(START, true));
        assert!(!load.requires_proof(START + SECOND / 2, false), "the share");
        assert!(load.requires_proof(START + SECOND / 2, false));
        assert!(!load.requires_proof(START + SECOND, false));
    }
}
