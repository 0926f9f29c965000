//! The queue of events to the stack's owner, with a descriptor that is readable while it holds events,
//! and the connections that wait to be accepted.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use holloway_poll::Wake;
use parking_lot::Mutex;

/// The number of a stream, a listener, a UDP port or an echo request; never reused. 0 means none.
pub type Id = u64;

/// An event for the owner. There is at most one for each request, and one `Acceptable` per listener.
#[derive(Debug)]
pub enum Event {
    /// A request succeeded: a descriptor, except for a listener, and the local address.
    Opened(Id, Option<OwnedFd>, SocketAddr),
    /// A request failed, with this errno.
    Failed(Id, i32),
    /// A listener has connections after it had none.
    Acceptable(Id),
    /// An echo reply came after so many nanoseconds.
    Echoed(Id, u64),
    /// The stack has ended by itself: the interface is gone (EBADFD), or it panicked (EIO).
    Ended(i32),
}

/// A connection that waits to be accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The program's end.
    pub fd: OwnedFd,
    /// The remote address.
    pub remote: SocketAddr,
    /// The local address.
    pub local: SocketAddr,
}

/// The queues.
#[derive(Debug)]
pub struct Events {
    queue: Mutex<VecDeque<Event>>,
    accepted: Mutex<HashMap<Id, VecDeque<Accepted>>>,
    ready: Wake,
}

impl Events {
    /// Create empty queues.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            queue: Mutex::default(),
            accepted: Mutex::default(),
            ready: Wake::new()?,
        })
    }

    /// Add an event.
    pub fn push(&self, event: Event) {
        let mut queue = self.queue.lock();
        if queue.is_empty() {
            self.ready.set();
        }
        queue.push_back(event);
    }

    /// Remove and return up to `limit` events. The descriptor stays readable if there are more.
    #[must_use]
    pub fn take(&self, limit: usize) -> Vec<Event> {
        let mut queue = self.queue.lock();
        let count = limit.min(queue.len());
        let taken = queue.drain(..count).collect();
        if queue.is_empty() {
            self.ready.clear();
        }
        taken
    }

    /// Start or stop keeping connections for a listener.
    pub fn keep_for(&self, listener: Id, wanted: bool) {
        let mut accepted = self.accepted.lock();
        if wanted {
            accepted.insert(listener, VecDeque::new());
        } else {
            accepted.remove(&listener);
        }
    }

    /// How many connections wait for a listener.
    #[must_use]
    pub fn waiting(&self, listener: Id) -> usize {
        self.accepted.lock().get(&listener).map_or(0, VecDeque::len)
    }

    /// Add a connection. It is closed if the listener does not exist any more.
    pub fn offer(&self, listener: Id, connection: Accepted) {
        let was_empty = match self.accepted.lock().get_mut(&listener) {
            Some(queue) => {
                queue.push_back(connection);
                queue.len() == 1
            }
            None => false,
        };
        if was_empty {
            self.push(Event::Acceptable(listener));
        }
    }

    /// Remove and return the connection that has waited longest.
    #[must_use]
    pub fn accept(&self, listener: Id) -> Option<Accepted> {
        self.accepted.lock().get_mut(&listener)?.pop_front()
    }
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.ready.as_raw_fd()
    }
}
