//! The keyed hash of handshake messages, cookies and rate limits.

use blake2::Blake2sMac;
use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, KeyInit, Update};

/// Length of a mac.
pub const MAC: usize = 16;

/// Keyed BLAKE2s-128 (paper, 5.4: Mac).
#[must_use]
pub fn mac(key: &[u8], message: &[u8]) -> [u8; MAC] {
    let mut state =
        <Blake2sMac<U16> as KeyInit>::new_from_slice(key).expect("keys are 16 or 32 bytes");
    Update::update(&mut state, message);
    state.finalize_fixed().into()
}

/// The hash of many messages that begin with the same bytes: the block of the key, up to half of the work, is
/// hashed once. Zeroed when dropped.
pub struct StartedMac(Blake2sMac<U16>);

impl StartedMac {
    /// Hash the key, and the start of each message: at least a byte, before which the key's block is not hashed.
    #[must_use]
    pub fn new(key: &[u8; 32], start: &[u8]) -> Self {
        let mut state = Blake2sMac::new(key.into());
        Update::update(&mut state, start);
        Self(state)
    }

    /// The mac of the message that continues with `rest`.
    #[must_use]
    pub fn finish(&self, rest: &[u8]) -> [u8; MAC] {
        let mut state = self.0.clone();
        Update::update(&mut state, rest);
        state.finalize_fixed().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_mac_is_the_mac_of_the_whole() {
        let (key, message) = ([7; 32], [9; 200]);
        for start in [1, 4, 63, 64, 65] {
            let started = StartedMac::new(&key, &message[..start]);
            for length in [start, start + 1, 116, 200] {
                let length = length.max(start);
                let found = started.finish(&message[start..length]);
                assert_eq!(found, mac(&key, &message[..length]), "{start}, {length}");
            }
        }
    }
}
