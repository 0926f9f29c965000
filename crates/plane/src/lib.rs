//! The packet plane of Holloway: moves packets between a TUN interface and UDP sockets.
//!
//! It does not decide when to shake hands or with which keys: sessions are installed from outside, and
//! it reports events. It contains no Python: `crates/native` binds it. The public names are listed below.

mod allowed_ips;
mod alternation;
mod batch;
mod bpf;
mod bucket;
mod channel_tun;
mod clock;
mod cmsg;
mod conntrack;
mod cookie;
mod cookie_checker;
mod cookie_generator;
mod debts;
mod discard;
mod endpoint;
mod endpoints;
mod events;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz_properties;
mod handle;
mod handshake_thread;
mod handshakes;
mod icmp_sockets;
mod inbound;
mod index;
mod interface;
mod keypairs;
mod limiter;
mod load;
mod mac;
mod mmsg;
mod outbound;
mod peer;
mod plane;
mod priority;
mod replay;
mod session;
mod shard;
mod shared;
mod sockets;
mod transmit;
mod trie;
mod tun;
mod turn;
mod udp;
mod unreachable;

pub use crate::allowed_ips::{AllowedIpsChange, Prefix};
pub use crate::channel_tun::LinkEndpoint;
pub use crate::cookie::{INITIATION, INITIATION_SIZE, MACS, RESPONSE, RESPONSE_SIZE};
pub use crate::debts::Due;
pub use crate::discard::{Discard, REASONS};
pub use crate::endpoint::{Endpoint, Local};
pub use crate::events::{Event, Handshake};
pub use crate::handle::{Handle, SessionParameters};
pub use crate::icmp_sockets::IcmpSockets;
pub use crate::peer::PeerId;
pub use crate::plane::Plane;
pub use crate::session::{Deadlines, OVERHEAD};
pub use crate::transmit::full_train;
pub use crate::tun::{Offloads, READ_SIZE, Tun};
