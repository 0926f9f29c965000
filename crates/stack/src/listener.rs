//! Listening TCP ports: the listener of a connection, and the limit of half-open connections.
//!
//! A flood of half-open connections drops the oldest of them, so that a connection that completes in time
//! gets through. Connections that the program does not accept fill the backlog; then no more begin. Each
//! waits as a message on the listener's socket pair: its descriptor with both addresses.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;

use crate::datagrams::{NAME, name};
use crate::events::Id;
use crate::local::Local;
use crate::net::Net;
use crate::packet::Flow;
use crate::socket_pair::StreamEnd;

/// How many half-open connections a listener may have.
pub const MAX_HALF_OPEN: usize = 256;
/// What the kernel counts at most for a connection that waits.
const MESSAGE: usize = 2048;

/// A listening port.
#[derive(Debug)]
pub struct Listener {
    /// Its number.
    pub id: Id,
    /// Its address.
    pub local: Local,
    /// How many connections may wait to be accepted.
    backlog: usize,
    end: StreamEnd,
    /// What the kernel counts for a connection that waits; 0 if none has waited yet.
    cost: usize,
    half_open: VecDeque<Id>,
}

/// All listeners. There are few.
#[derive(Debug, Default)]
pub struct Listeners(Vec<Listener>);

impl Listeners {
    /// Add a listener.
    pub fn add(&mut self, id: Id, local: Local, end: StreamEnd, backlog: usize) {
        let mut listener = Listener {
            id,
            local,
            backlog,
            end,
            cost: 0,
            half_open: VecDeque::new(),
        };
        listener.set_backlog(backlog);
        self.0.push(listener);
    }

    /// One of them.
    pub fn get(&mut self, id: Id) -> Option<&mut Listener> {
        self.0.iter_mut().find(|listener| listener.id == id)
    }

    /// Remove a listener, and return its half-open connections.
    pub fn remove(&mut self, id: Id) -> Option<VecDeque<Id>> {
        let at = self.0.iter().position(|listener| listener.id == id)?;
        Some(self.0.swap_remove(at).half_open)
    }

    /// Whether a listener has this address or a part of it.
    #[must_use]
    pub fn has(&self, local: &Local) -> bool {
        self.0.iter().any(|listener| listener.local.overlaps(local))
    }

    /// A listener that the program has closed.
    #[must_use]
    pub fn closed(&self) -> Option<Id> {
        let closed = self.0.iter().find(|listener| listener.end.is_gone())?;
        Some(closed.id)
    }

    /// The listener of a connection: one for exactly the address before one for all.
    pub fn find(&mut self, flow: &Flow) -> Option<&mut Listener> {
        let fits = |listener: &&mut Listener| {
            listener.local.address.port() == flow.local.port()
                && listener.local.covers(flow.local.ip())
        };
        let matching = self.0.iter_mut().filter(fits);
        matching.min_by_key(|listener| {
            let own = listener.local.address.ip();
            (own.is_unspecified(), own.is_ipv4() != flow.local.is_ipv4())
        })
    }

    /// Remove a connection that is not half open any more.
    pub fn remove_half_open(&mut self, listener: Id, id: Id) {
        if let Some(listener) = self.get(listener)
            && let Some(at) = listener.half_open.iter().position(|&other| other == id)
        {
            listener.half_open.remove(at);
        }
    }
}

impl Listener {
    /// Change how many connections may wait.
    pub fn set_backlog(&mut self, backlog: usize) {
        self.backlog = backlog;
        self.end.grow(Some(backlog.saturating_mul(MESSAGE)));
    }

    /// Whether no more connections may begin.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let waiting = self.end.unread().checked_div(self.cost);
        waiting.is_some_and(|waiting| waiting >= self.backlog)
    }

    /// Add a half-open connection. Returns the connection to drop for it, if there are too many.
    pub fn begin(&mut self, id: Id) -> Option<Id> {
        self.half_open.push_back(id);
        (self.half_open.len() > MAX_HALF_OPEN)
            .then(|| self.half_open.pop_front())
            .flatten()
    }

    /// Let the program accept a connection, and return our end of it.
    pub fn offer(&mut self, net: &Net, id: Id, flow: &Flow) -> io::Result<StreamEnd> {
        let (ours, theirs) = StreamEnd::pair(net.pair_buffer)?;
        net.epoll.add_reading(ours.as_raw_fd(), id)?;
        let mut names = [0; 2 * NAME];
        names[..NAME].copy_from_slice(&name(flow.remote));
        names[NAME..].copy_from_slice(&name(flow.local));
        let before = self.end.unread();
        self.end.pass(&names, theirs)?;
        if self.cost == 0 {
            self.cost = self.end.unread().saturating_sub(before);
        }
        Ok(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn at(text: &str, is_dual: bool) -> Local {
        let address = text.parse().expect("an address");
        Local { address, is_dual }
    }

    fn listeners(all: &[Local]) -> Listeners {
        let mut listeners = Listeners::default();
        for (id, &local) in (1..).zip(all) {
            let (end, _) = StreamEnd::pair(4096).expect("a pair");
            listeners.add(id, local, end, 8);
        }
        listeners
    }

    #[test]
    fn the_listener_for_just_an_address_comes_before_the_one_for_all() {
        let all = [
            at("[::]:80", true),
            at("0.0.0.0:80", false),
            at("10.0.0.1:80", false),
        ];
        let mut listeners = listeners(&all);
        let mut find = |text: &str| {
            let local: SocketAddr = text.parse().expect("an address");
            let remote = local;
            let found = listeners.find(&Flow { local, remote });
            found.map(|listener| listener.id)
        };
        assert_eq!(find("10.0.0.1:80"), Some(3));
        assert_eq!(find("10.0.0.2:80"), Some(2));
        assert_eq!(find("10.0.0.1:81"), None);
        assert_eq!(find("[fd00::1]:80"), Some(1));
        assert!(listeners.has(&at("10.0.0.9:80", false)));
        assert!(!listeners.has(&at("10.0.0.9:81", false)));
    }

    #[test]
    fn the_oldest_half_open_connection_makes_room_for_a_new_one() {
        let mut listeners = listeners(&[at("0.0.0.0:80", false)]);
        let listener = listeners.get(1).expect("the listener");
        let full = 100 + MAX_HALF_OPEN as Id;
        let pushed: Vec<_> = (100..=full).filter_map(|id| listener.begin(id)).collect();
        assert_eq!(pushed, [100]);
    }
}
