//! Which local port a connection or a UDP socket gets that did not ask for one.

use std::hash::{BuildHasher, RandomState};

/// Where ports are taken from, as Linux has it (ip_local_port_range).
const FIRST: u16 = 32_768;
const COUNT: u16 = 28_232;

/// Chooses ports; where it begins cannot be foreseen.
#[derive(Debug)]
pub struct Ports {
    next: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            next: (random() % u64::from(COUNT)) as u16,
        }
    }
}

impl Ports {
    /// The next port that is free; None if none is.
    pub fn choose(&mut self, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        (0..COUNT).find_map(|_| {
            let port = FIRST + self.next;
            self.next = (self.next + 1) % COUNT;
            is_free(port).then_some(port)
        })
    }
}

/// A number that nobody can foresee; from the system's randomness, by way of the standard library.
#[must_use]
pub fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}
