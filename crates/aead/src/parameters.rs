//! Lengths, and the nonce of a packet.

/// Length of the authentication tag.
pub const TAG: usize = 16;

/// How many packets the vector code works on side by side.
pub const LANES: usize = 8;

/// A packet's nonce; never used twice with one key.
pub type Nonce = [u8; 12];

/// The nonce of a transport message: four zero bytes and the counter (paper, 5.4.6).
#[must_use]
pub fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}
