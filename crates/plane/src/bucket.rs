//! A token bucket. Its credit is a time: it grows with the clock, and each token costs some of it.

use crate::clock::Nanos;

/// How fast tokens come, and how many at most.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    cost: Nanos,
    full: Nanos,
}

/// One bucket; a new one is full.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    credit: Nanos,
    filled: Nanos,
}

impl Rate {
    /// One token each `cost`, and `at_once` in a burst.
    #[must_use]
    pub const fn new(cost: Nanos, at_once: Nanos) -> Self {
        let full = cost * at_once;
        Self { cost, full }
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self::full()
    }
}

impl Bucket {
    /// A full bucket, whatever its rate.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            credit: Nanos::MAX,
            filled: 0,
        }
    }

    /// Take a token, and return whether there was one.
    pub fn take(&mut self, now: Nanos, rate: &Rate) -> bool {
        let gained = now.saturating_sub(self.filled);
        self.credit = self.credit.saturating_add(gained).min(rate.full);
        self.filled = now;
        let has_token = self.credit >= rate.cost;
        if has_token {
            self.credit -= rate.cost;
        }
        has_token
    }

    /// When a token was last asked for; 0 if never.
    #[must_use]
    pub const fn filled(&self) -> Nanos {
        self.filled
    }
}
