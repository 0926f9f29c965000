//! One turn of a shard: what all its parts work with, read once at the start of the turn.

use std::sync::atomic::Ordering;

use crate::clock::{self, Nanos};
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
    /// The number of the shard: of its queue of the interface, and of its sockets.
    pub shard: usize,
    /// The sockets, if bound.
    pub sockets: Option<&'a Sockets>,
    /// The time, read once.
    pub now: Nanos,
    /// The MTU that bounds the padding, read once because `Batch::split` and `add` must agree on it.
    pub mtu: usize,
}

impl<'a> Turn<'a> {
    /// Read the clock and the MTU. `sockets` stay locked during the turn.
    pub fn begin(
        shared: &'a Shared,
        tun: &'a Tun,
        shard: usize,
        sockets: Option<&'a Sockets>,
    ) -> Self {
        Self {
            shared,
            tun,
            shard,
            sockets,
            now: clock::now(),
            mtu: shared.mtu.load(Ordering::Relaxed) as usize,
        }
    }
}
