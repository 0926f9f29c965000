//! Copies between pairs of stream sockets, in one thread for all of them.
//!
//! It knows bytes, ends and errors, and no protocol: who may be joined with whom was decided before
//! a pair came here. No Python here: `crates/native` binds it.

mod pair;
mod relay;
mod socket;

pub use pair::{End, Failure};
pub use relay::{PairHandle, Relay};
