//! One turn of the shard: what all its parts work with, read once at the start of the turn.

use crate::clock::Nanos;
use crate::shared::Shared;
use crate::sockets::Sockets;
use crate::tun::Tun;

/// The context of one turn.
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
    /// The MTU that bounds the padding, read once because `Batch::split` and `add` must agree on it.
    pub mtu: usize,
}
