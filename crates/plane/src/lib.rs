//! The packet plane of Holloway: moves packets between a TUN interface and UDP sockets.
//!
//! It never decides when to shake hands or with which keys; it is told sessions to use and reports
//! events. No Python here: `crates/native` binds it.

pub mod allowed_ips;
pub mod batch;
pub mod channel_tun;
pub mod clock;
pub mod cmsg;
pub mod conntrack;
pub mod cookie;
pub mod debts;
pub mod discard;
pub mod endpoint;
pub mod events;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz_properties;
pub mod handle;
pub mod handshakes;
pub mod inbound;
pub mod index;
pub mod keypairs;
pub mod limiter;
pub mod mmsg;
pub mod outbound;
pub mod peer;
pub mod plane;
pub mod replay;
pub mod session;
pub mod shard;
pub mod shared;
pub mod transmit;
pub mod trie;
pub mod tun;
pub mod udp;
pub mod unreachable;
