//! The replay window: which counters of a session have been seen (RFC 6479; kernel receive.c,
//! counter_validate).
//!
//! A ring of 64-bit blocks, so that moving the window clears whole blocks instead of shifting bits.

/// How far behind the greatest counter a packet may be.
pub const WINDOW: u64 = 8192;

const BLOCK_BITS: u64 = 64;
/// One block more than the window, because the greatest counter can be anywhere in its block.
const BLOCKS: u64 = WINDOW / BLOCK_BITS + 1;

/// The seen counters of one session.
#[derive(Clone, Debug)]
pub struct Window {
    greatest: u64,
    ring: [u64; BLOCKS as usize],
}

impl Window {
    /// Create a window that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            greatest: 0,
            ring: [0; BLOCKS as usize],
        }
    }

    /// Record `counter`, and return whether it is new.
    pub fn accept(&mut self, counter: u64) -> bool {
        if counter > self.greatest {
            self.advance(counter);
        } else if self.greatest - counter > WINDOW {
            return false;
        }
        let block = &mut self.ring[slot(counter / BLOCK_BITS)];
        let bit = 1 << (counter % BLOCK_BITS);
        let new = *block & bit == 0;
        *block |= bit;
        new
    }

    /// The greatest counter that was seen.
    #[must_use]
    pub const fn greatest(&self) -> u64 {
        self.greatest
    }

    fn advance(&mut self, counter: u64) {
        let from = self.greatest / BLOCK_BITS;
        let blocks = (counter / BLOCK_BITS - from).min(BLOCKS);
        for block in 1..=blocks {
            self.ring[slot(from + block)] = 0;
        }
        self.greatest = counter;
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

const fn slot(block: u64) -> usize {
    (block % BLOCKS) as usize
}

#[cfg(test)]
mod tests;
