//! ChaCha20-Poly1305 without additional data (RFC 8439; WireGuard paper, 5.4.6), for one packet or for a
//! run of packets.
//!
//! Runs of packets of one length are processed by `wide` if the processor has AVX-512, or by `avx2` if it
//! has that; everything else by ring. All produce the same bytes. Called by the plane's sessions; knows no
//! packet format.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod group;
mod key;
mod parameters;
mod ring_key;
mod variant;
#[cfg(target_arch = "x86_64")]
mod wide;

pub use crate::group::Group;
pub use crate::key::Key;
pub use crate::parameters::{Nonce, TAG, nonce};
pub use crate::variant::{VARIANT, Variant};
