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

/// A request to the stack. Its result is an event with the same number.
#[derive(Debug)]
pub enum Request {
    /// Connect by TCP: local and remote address, and timeout.
    Connect(Id, Option<SocketAddr>, SocketAddr, Micros),
    /// Listen for TCP connections: address and backlog.
    Listen(Id, SocketAddr, usize),
    /// Open a UDP port: local and remote address.
    Datagrams(Id, Option<SocketAddr>, Option<SocketAddr>),
    /// Send an ICMP echo request.
    Echo(Id, IpAddr),
    /// Cancel what is not open yet, or close a listener.
    Cancel(Id),
    /// Reset everything and end.
    Close,
}

/// What the engine shares with its owner.
#[derive(Debug)]
pub struct Shared {
    /// The stack's end of the queues to the plane; its `wake` also wakes the engine.
    pub endpoint: Arc<LinkEndpoint>,
    /// The events for the owner.
    pub events: Events,
    /// The requests of the owner.
    pub requests: Mutex<VecDeque<Request>>,
    /// What was dropped.
    pub counts: Arc<Counts>,
    /// The last number that was assigned.
    pub last_id: AtomicU64,
}
