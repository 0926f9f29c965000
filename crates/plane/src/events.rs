//! The queue of events to the brain, with an eventfd that is readable while it holds events.
//!
//! Strangers can only cause handshake messages, so only these are bounded. Of every other kind there is
//! at most one per peer, one per change, or a few per second.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};

use parking_lot::Mutex;

use crate::discard::Discard;
use crate::endpoint::Endpoint;
use crate::peer::PeerId;
use holloway_poll::Wake;

/// How many handshake messages the queue holds: twice as many as the kernel's (messages.h,
/// MAX_QUEUED_INCOMING_HANDSHAKES), because it is the brain that takes them.
pub const MAX_HANDSHAKES: usize = 8192;

/// From this number on the device is under load: the brain needs half a second for as many. (The kernel's
/// limit, receive.c, is an eighth of its queue.)
const CROWDED: usize = MAX_HANDSHAKES / 2;

/// An event for the brain. `_native.pyi` documents them.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Event {
    Handshake(Handshake),
    SessionNeeded(PeerId),
    DebtBegan(PeerId),
    Confirmed(PeerId),
    CookieReceived(PeerId),
    UnknownIndex(PeerId),
    SendFailing(i32),
    Unreachable { to: IpAddr, peer: Option<PeerId> },
    Died(i32),
}

/// A handshake message that passed the cookie checker.
#[derive(Debug)]
pub struct Handshake {
    /// The Noise message, without macs.
    pub message: Vec<u8>,
    /// The datagram's length, with macs.
    pub size: usize,
    /// Where it came from, and to which local address.
    pub remote: Endpoint,
}

/// The queue.
#[derive(Debug)]
pub struct Events {
    queue: Mutex<Queue>,
    ready: Wake,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    handshakes: usize,
}

impl Events {
    /// Create an empty queue.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            queue: Mutex::default(),
            ready: Wake::new()?,
        })
    }

    /// Add an event other than a handshake message.
    pub fn push(&self, event: Event) {
        self.add(&mut self.queue.lock(), event);
    }

    /// Add a handshake message, unless the queue holds too many. Returns what `crowded` returns from now on.
    pub fn push_handshake(&self, handshake: Handshake) -> Result<bool, Discard> {
        let mut queue = self.queue.lock();
        if queue.handshakes >= MAX_HANDSHAKES {
            return Err(Discard::QueueFull);
        }
        queue.handshakes += 1;
        self.add(&mut queue, Event::Handshake(handshake));
        Ok(queue.handshakes >= CROWDED)
    }

    /// Whether the queue holds so many handshake messages that senders must prove their address.
    #[must_use]
    pub fn crowded(&self) -> bool {
        self.queue.lock().handshakes >= CROWDED
    }

    /// Remove and return up to `limit` events, oldest first.
    #[must_use]
    pub fn take(&self, limit: usize) -> Vec<Event> {
        let mut queue = self.queue.lock();
        let count = limit.min(queue.events.len());
        let events: Vec<Event> = queue.events.drain(..count).collect();
        let taken = events.iter().filter(|event| is_handshake(event)).count();
        queue.handshakes -= taken;
        if queue.events.is_empty() {
            self.ready.clear();
        }
        events
    }

    fn add(&self, queue: &mut Queue, event: Event) {
        queue.events.push_back(event);
        if queue.events.len() == 1 {
            self.ready.set();
        }
    }
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.ready.as_raw_fd()
    }
}

const fn is_handshake(event: &Event) -> bool {
    matches!(event, Event::Handshake(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake() -> Handshake {
        Handshake {
            message: vec![1; 116],
            size: 148,
            remote: Endpoint::parse("192.0.2.1", 1).expect("an address"),
        }
    }

    #[test]
    fn events_come_out_in_order_and_no_more_than_asked_for() {
        let events = Events::new().expect("an eventfd");
        (0..5).for_each(|peer| events.push(Event::SessionNeeded(peer)));
        let first = events.take(2);
        assert!(matches!(
            first[..],
            [Event::SessionNeeded(0), Event::SessionNeeded(1)]
        ));
        assert_eq!(events.take(64).len(), 3);
        assert!(events.take(64).is_empty());
    }

    #[test]
    fn handshakes_are_bounded_and_nothing_else_is() {
        let events = Events::new().expect("an eventfd");
        for waiting in 0..MAX_HANDSHAKES {
            assert_eq!(events.crowded(), waiting >= 4096);
            events.push_handshake(handshake()).expect("room");
        }
        assert_eq!(events.push_handshake(handshake()), Err(Discard::QueueFull));
        events.push(Event::Confirmed(7));
        let taken = events.take(1);
        assert!(is_handshake(&taken[0]));
        events.push_handshake(handshake()).expect("room again");
        assert_eq!(events.take(usize::MAX).len(), MAX_HANDSHAKES + 1);
        assert!(!events.crowded());
    }
}
