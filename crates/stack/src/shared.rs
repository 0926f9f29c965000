//! What the engine's thread shares with the owner of the stack.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::SyncSender;

use holloway_plane::LinkEndpoint;
use parking_lot::Mutex;

use crate::attempt::Attempt;
use crate::counts::Counts;
use crate::events::{Events, Id};
use crate::local::Local;
use crate::socket_pair::{DatagramEnd, StreamEnd};
use crate::timers::Micros;

/// Where the answer to a request goes: a local address, or an errno.
pub type Answer = SyncSender<Result<SocketAddr, i32>>;

/// A request to the stack.
#[derive(Debug)]
pub enum Request {
    /// A new TCP socket: its number and our end.
    Stream(Id, StreamEnd),
    /// A new UDP socket: its number and our end.
    Datagrams(Id, DatagramEnd),
    /// Bind a socket; the port may be 0.
    Bind(Id, Local, Answer),
    /// Return the local address of a socket.
    Name(Id, Answer),
    /// Connect a TCP socket: remote address and timeout.
    Connect(Id, SocketAddr, Micros, Arc<Attempt>),
    /// Connect a UDP socket.
    Associate(Id, SocketAddr, Answer),
    /// Listen for TCP connections with a bound socket: backlog.
    Listen(Id, usize, Answer),
    /// Send an ICMP echo request. Its result is an event with the same number.
    Echo(Id, IpAddr),
    /// Cancel an echo request.
    Cancel(Id),
    /// Reset everything and end.
    Close,
}

/// The requests that the engine has not taken yet.
#[derive(Debug)]
pub struct Requests(Mutex<Option<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    requests: VecDeque<Request>,
    is_woken: bool,
}

impl Default for Requests {
    fn default() -> Self {
        Self(Mutex::new(Some(Queue::default())))
    }
}

impl Requests {
    /// Add a request, and return whether the engine must be woken. Once the engine has ended, a request is
    /// dropped, and so are the ways by which it would be answered.
    ///
    /// A new socket can wait until something is asked of it.
    pub fn push(&self, request: Request) -> bool {
        let mut queue = self.0.lock();
        let Some(queue) = queue.as_mut() else {
            return false;
        };
        let is_new = matches!(request, Request::Stream(..));
        queue.requests.push_back(request);
        !is_new && !std::mem::replace(&mut queue.is_woken, true)
    }

    /// Remove and return all.
    #[must_use]
    pub fn take(&self) -> VecDeque<Request> {
        let queue = self.0.lock().as_mut().map(std::mem::take);
        queue.unwrap_or_default().requests
    }

    /// Drop all, those of later too.
    pub fn end(&self) {
        *self.0.lock() = None;
    }
}

/// What the engine shares with its owner.
#[derive(Debug)]
pub struct Shared {
    /// The stack's end of the queues to the plane; its `wake` also wakes the engine.
    pub endpoint: Arc<LinkEndpoint>,
    /// The events for the owner.
    pub events: Events,
    /// The requests of the owner.
    pub requests: Requests,
    /// What was dropped.
    pub counts: Arc<Counts>,
    /// The last number that was assigned.
    pub last_id: AtomicU64,
}
