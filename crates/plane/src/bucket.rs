//! A token bucket. Its credit is a time: it grows with the clock, and each token costs some of it.

use crate::clock::Nanos;

/// One bucket; a new one has no credit, but a clock that began long ago fills it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    credit: Nanos,
    filled: Nanos,
}

impl Bucket {
    /// Fill the bucket up to `limit`, and take a token of `cost` if there is one.
    pub fn take(&mut self, now: Nanos, cost: Nanos, limit: Nanos) -> bool {
        let gained = now.saturating_sub(self.filled);
        self.credit = self.credit.saturating_add(gained).min(limit);
        self.filled = now;
        let has_token = self.credit >= cost;
        if has_token {
            self.credit -= cost;
        }
        has_token
    }

    /// When a token was last asked for; 0 if never.
    #[must_use]
    pub const fn filled(&self) -> Nanos {
        self.filled
    }
}
