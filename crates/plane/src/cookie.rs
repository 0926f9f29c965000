//! Macs and cookies: what both sides of the check before a handshake share (paper, 5.4.4 and 5.4.7).
//!
//! The brain reads and writes Noise messages without macs. No private key is needed: the keys of mac1
//! and cookies are derived from public keys.

use blake2::{Blake2s256, Digest};
use zeroize::Zeroize;

use crate::clock::{Nanos, SECOND};
use crate::mac::MAC;

/// Type of the first handshake message (paper, 5.4).
pub const INITIATION: u8 = 1;
/// Type of the second.
pub const RESPONSE: u8 = 2;
/// Type of the reply under load.
pub const COOKIE_REPLY: u8 = 3;

/// Length of an initiation.
pub const INITIATION_SIZE: usize = 148;
/// Length of a response.
pub const RESPONSE_SIZE: usize = 92;
/// Length of a cookie reply.
pub const COOKIE_REPLY_SIZE: usize = 64;
/// Length of mac1 and mac2 together, the end of each handshake message.
pub const MACS: usize = 2 * MAC;

/// Lifetime of a cookie and of the secret that it is made with (paper, 5.4.7: two minutes).
pub const COOKIE_LIFE: Nanos = 120 * SECOND;

/// A cookie reply: shorter than every message that it answers.
pub type CookieReply = [u8; COOKIE_REPLY_SIZE];

/// The two keys derived from a public key (paper, 5.4.4 and 5.4.7).
pub struct Keys {
    /// Of mac1.
    pub mac1: [u8; 32],
    /// That cookies are sealed with.
    pub cookie: [u8; 32],
}

impl Keys {
    /// Derive both.
    #[must_use]
    pub fn new(public_key: &[u8; 32]) -> Self {
        let derive = |label: &[u8]| {
            Blake2s256::new()
                .chain_update(label)
                .chain_update(public_key)
                .finalize()
                .into()
        };
        Self {
            mac1: derive(b"mac1----"),
            cookie: derive(b"cookie--"),
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.mac1.zeroize();
        self.cookie.zeroize();
    }
}

/// Compare in constant time.
#[must_use]
pub fn equal(computed: &[u8; MAC], claimed: &[u8]) -> bool {
    u128::from_ne_bytes(*computed) == u128::from_ne_bytes(array(claimed))
}

/// The bytes of a slice whose length is known.
#[must_use]
pub fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller passes N bytes")
}

#[cfg(test)]
mod tests;
