//! What the engine's thread shares with the owner of the stack.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use holloway_plane::LinkEndpoint;
use parking_lot::Mutex;

use crate::counts::Counts;
use crate::events::{Events, Id};
use crate::timers::Micros;

/// Something asked of the stack. What comes of it is an event with the same number.
#[derive(Debug)]
pub enum Request {
    /// A TCP connection: from, to, and how long it may take.
    Connect(Id, Option<SocketAddr>, SocketAddr, Micros),
    /// A TCP port, and how many connections may wait there.
    Listen(Id, SocketAddr, usize),
    /// A UDP port: local, remote.
    Datagrams(Id, Option<SocketAddr>, Option<SocketAddr>),
    /// An echo.
    Echo(Id, IpAddr),
    /// What has this number is not wanted any more, if it is not open yet; a listener in any case.
    Cancel(Id),
    /// Reset everything and end.
    Close,
}

/// What the engine shares with its owner.
#[derive(Debug)]
pub struct Shared {
    /// To the plane; its wake is the engine's too.
    pub endpoint: Arc<LinkEndpoint>,
    /// To the owner.
    pub events: Events,
    /// From the owner.
    pub requests: Mutex<VecDeque<Request>>,
    /// What went nowhere.
    pub counts: Arc<Counts>,
    /// The last number given.
    pub last_id: AtomicU64,
}
