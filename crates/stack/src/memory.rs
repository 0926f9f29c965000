//! One budget for the memory of all streams, so that peers who send and never read, or read and never
//! acknowledge, cannot take more than that.
//!
//! Half of it is shared: a stream may hold as much as is left for others after it, so windows shrink as it fills
//! (the dynamic threshold of Choudhury and Hahne). The other half is a little for each stream, so that the one
//! that reads makes progress whatever the others hold; it bounds the number of streams.

/// What each stream may hold whatever others do.
pub const FLOOR: usize = 4096;

/// The budget of a stack.
pub const BUDGET: usize = 128 * 1024 * 1024;

/// What is used of the budget.
#[derive(Debug)]
pub struct Memory {
    shared: usize,
    used: usize,
}

impl Memory {
    /// A budget of so many bytes.
    #[must_use]
    pub const fn new(budget: usize) -> Self {
        Self {
            shared: budget / 2,
            used: 0,
        }
    }

    /// How many streams there may be.
    #[must_use]
    pub const fn max_streams(&self) -> usize {
        self.shared / FLOOR
    }

    /// How much a stream may hold now.
    #[must_use]
    pub fn share(&self) -> usize {
        (self.shared.saturating_sub(self.used) / 2).max(FLOOR)
    }

    /// Whether memory that holds nothing is worth releasing.
    #[must_use]
    pub const fn is_scarce(&self) -> bool {
        self.used > self.shared / 2
    }

    /// Whether there is room for so many bytes more.
    #[must_use]
    pub const fn has_room(&self, bytes: usize) -> bool {
        self.used + bytes <= self.shared
    }

    /// Whether a stream that was charged `charged` bytes may hold `held`.
    #[must_use]
    pub const fn may_hold(&self, charged: usize, held: usize) -> bool {
        let held = held.saturating_sub(FLOOR);
        held <= charged || self.has_room(held - charged)
    }

    /// A stream that was charged `charged` bytes holds `held` now.
    pub fn charge(&mut self, charged: &mut usize, held: usize) {
        let held = held.saturating_sub(FLOOR);
        self.used = self.used + held - *charged;
        *charged = held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_shrink_as_the_budget_fills_and_come_back() {
        let mut memory = Memory::new(1 << 20);
        let mut charged = vec![0; 100];
        for stream in &mut charged {
            let share = memory.share();
            memory.charge(stream, share);
            assert!(memory.has_room(0));
        }
        assert_eq!(memory.share(), FLOOR);
        for stream in &mut charged {
            memory.charge(stream, 0);
        }
        assert_eq!(memory.share(), 1 << 18);
    }
}
