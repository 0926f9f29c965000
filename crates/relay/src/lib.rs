//! Copies between pairs of stream sockets, in one thread for all pairs.
//!
//! It handles bytes, ends and errors, and knows no protocol: its caller decides which sockets form a pair.
//! It contains no Python: `crates/native` binds it.

mod pair;
mod relay;
mod shared;
mod socket;
mod worker;

pub use pair::{End, Failure, Options};
pub use relay::{PairHandle, Relay};
