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
