//! Listening TCP ports: the listener of a connection, and the limit of half-open connections.
//!
//! A flood of half-open connections drops the oldest of them, so that a connection that completes in time
//! gets through. Connections that the program does not accept fill the backlog; then no more begin.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::events::Id;

/// How many half-open connections a listener may have.
pub const MAX_HALF_OPEN: usize = 256;

/// A listening port.
#[derive(Debug)]
pub struct Listener {
    /// Its number.
    pub id: Id,
    /// Its address, which may be unspecified.
    pub local: SocketAddr,
    /// How many connections may wait to be accepted.
    pub backlog: usize,
    half_open: VecDeque<Id>,
}

/// All listeners. There are few.
#[derive(Debug, Default)]
pub struct Listeners(Vec<Listener>);

impl Listeners {
    /// Add a listener.
    pub fn add(&mut self, id: Id, local: SocketAddr, backlog: usize) {
        self.0.push(Listener {
            id,
            local,
            backlog,
            half_open: VecDeque::new(),
        });
    }

    /// Remove a listener, and return its half-open connections.
    pub fn remove(&mut self, id: Id) -> Option<VecDeque<Id>> {
        let at = self.0.iter().position(|listener| listener.id == id)?;
        Some(self.0.swap_remove(at).half_open)
    }

    /// Whether a listener overlaps with this address and port.
    #[must_use]
    pub fn has(&self, local: SocketAddr) -> bool {
        self.0.iter().any(|listener| {
            let (mine, its) = (listener.local.ip(), local.ip());
            let overlap = mine == its || mine.is_unspecified() || its.is_unspecified();
            listener.local.port() == local.port() && mine.is_ipv4() == its.is_ipv4() && overlap
        })
    }

    /// The listener of a connection to this address: one for exactly the address before one for all.
    pub fn find(&mut self, local: SocketAddr) -> Option<&mut Listener> {
        let fits = |listener: &&mut Listener| {
            listener.local.port() == local.port()
                && (listener.local.ip() == local.ip()
                    || listener.local.ip().is_unspecified()
                        && listener.local.is_ipv4() == local.is_ipv4())
        };
        let matching = self.0.iter_mut().filter(fits);
        matching.min_by_key(|listener| listener.local.ip().is_unspecified())
    }

    /// Remove a connection that is not half open any more.
    pub fn remove_half_open(&mut self, listener: Id, id: Id) {
        let found = self.0.iter_mut().find(|other| other.id == listener);
        if let Some(listener) = found
            && let Some(at) = listener.half_open.iter().position(|&other| other == id)
        {
            listener.half_open.remove(at);
        }
    }
}

impl Listener {
    /// Add a half-open connection. Returns the connection to drop for it, if there are too many.
    pub fn begin(&mut self, id: Id) -> Option<Id> {
        self.half_open.push_back(id);
        (self.half_open.len() > MAX_HALF_OPEN)
            .then(|| self.half_open.pop_front())
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_listener_for_just_an_address_comes_before_the_one_for_all() {
        let mut listeners = Listeners::default();
        listeners.add(1, at("0.0.0.0:80"), 8);
        listeners.add(2, at("10.0.0.1:80"), 8);
        let mut find = |text| listeners.find(at(text)).map(|listener| listener.id);
        assert_eq!(find("10.0.0.1:80"), Some(2));
        assert_eq!(find("10.0.0.2:80"), Some(1));
        assert_eq!(find("10.0.0.1:81"), None);
        assert_eq!(find("[fd00::1]:80"), None);
        assert!(listeners.has(at("10.0.0.9:80")));
        assert!(!listeners.has(at("[::]:80")));
    }

    #[test]
    fn the_oldest_half_open_connection_makes_room_for_a_new_one() {
        let mut listeners = Listeners::default();
        listeners.add(1, at("0.0.0.0:80"), 8);
        let listener = listeners.find(at("10.0.0.1:80")).expect("the listener");
        let full = 100 + MAX_HALF_OPEN as Id;
        let pushed: Vec<_> = (100..=full).filter_map(|id| listener.begin(id)).collect();
        assert_eq!(pushed, [100]);
    }
}
