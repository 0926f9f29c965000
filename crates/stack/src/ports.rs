//! Ephemeral ports: for connections and UDP sockets that ask for no specific port.

use std::hash::{BuildHasher, RandomState};

/// The range of ports, like that of Linux (ip_local_port_range).
const FIRST: u16 = 32_768;
const COUNT: u16 = 28_232;

/// Chooses ports in order from a random one.
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
    /// The next free port. None if there is none.
    pub fn choose(&mut self, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        (0..COUNT).find_map(|_| {
            let port = FIRST + self.next;
            self.next = (self.next + 1) % COUNT;
            is_free(port).then_some(port)
        })
    }
}

/// A random number, which the standard library derives from the system's.
#[must_use]
pub fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}
