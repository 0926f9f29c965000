//! The replay window: which counters of a session were seen (RFC 6479; kernel receive.c,
//! counter_validate).
//!
//! A ring of 64-bit blocks, so that moving the window clears whole blocks instead of shifting.
//! Called by the session, under its lock, once per batch.

/// How far behind the greatest counter a packet may come and still be judged exactly.
pub const WINDOW: u64 = 8192;

const BLOCK_BITS: u64 = 64;
/// One block more than the window: the greatest counter may stand anywhere in its block.
const BLOCKS: u64 = WINDOW / BLOCK_BITS + 1;

/// The counters seen of one session.
#[derive(Clone, Debug)]
pub struct Window {
    greatest: u64,
    ring: [u64; BLOCKS as usize],
}

impl Window {
    /// A window that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            greatest: 0,
            ring: [0; BLOCKS as usize],
        }
    }

    /// Whether `counter` is new; it is remembered if so.
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
