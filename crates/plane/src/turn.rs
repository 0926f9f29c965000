//! One turn of the shard: what all its parts work with. Read once, at the turn's start.

use crate::clock::Nanos;
use crate::shared::Shared;
use crate::tun::Tun;
use crate::udp::Sockets;

/// What one turn of the shard works with.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// The plane.
    pub shared: &'a Shared,
    /// The interface.
    pub tun: &'a Tun,
    /// The sockets, if bound.
    pub sockets: Option<&'a Sockets>,
    /// The time, read once.
    pub now: Nanos,
    /// The MTU that bounds the padding, read once: `split` and `add` must agree on it.
    pub mtu: usize,
}
