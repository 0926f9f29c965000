//! The queue of events to the stack's owner, with a descriptor that is readable while it holds events.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use holloway_poll::Wake;
use parking_lot::Mutex;

/// The number of a socket or an echo request; never reused. 0 means none.
pub type Id = u64;

/// An event for the owner. There is at most one for each request.
#[derive(Debug)]
pub enum Event {
    /// An echo request failed, with this errno.
    Failed(Id, i32),
    /// An echo reply came after so many nanoseconds.
    Echoed(Id, u64),
    /// The stack has ended by itself: the interface is gone (EBADFD), or it panicked (EIO).
    Ended(i32),
}

/// The queue.
#[derive(Debug)]
pub struct Events {
    queue: Mutex<VecDeque<Event>>,
    ready: Wake,
}

impl Events {
    /// Create an empty queue.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            queue: Mutex::default(),
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
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.ready.as_raw_fd()
    }
}
