//! Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, both roles (paper, 5.4; Noise revision 34).
//!
//! Functions of keys and of the fields of messages: the layout of messages, time, peers and every decision
//! are the brain's. Secrets are zeroed when they are dropped. `native` binds this crate for the brain.

mod initiator;
mod keys;
mod responder;
mod symmetric;
mod x25519;

pub use initiator::{InitiationFields, InitiatorState};
pub use keys::{Ephemeral, Identity, SessionKeys, StaticStatic};
pub use responder::{ResponderState, ResponseFields, UnprovenInitiation};
pub use symmetric::Refusal;

/// The length of a public, private or preshared key.
pub const KEY: usize = 32;
/// The length of a TAI64N timestamp.
pub const TIMESTAMP: usize = 12;
/// The bytes that encryption adds.
pub const TAG: usize = 16;
