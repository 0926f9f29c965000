//! One direction's transport key: ChaCha20-Poly1305 with no additional data (RFC 8439; WireGuard
//! paper, 5.4.6), for one packet or for a run of them.
//!
//! Runs of packets of one length go to `wide` where the processor has AVX-512, to `avx2` where it has
//! that, all else to ring. All give the same bytes. Called by the plane's sessions; knows no packet format.

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
