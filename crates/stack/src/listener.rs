//! Listening TCP ports: which listener a connection is for, and how many may be half open.
//!
//! A flood of half-open connections pushes out the oldest of them, so that one which is finished in
//! time gets through; connections that the program does not accept fill the backlog, and then no
//! more begin.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::events::Id;

/// So many half-open connections a listener.
pub const MAX_HALF_OPEN: usize = 256;

/// One port.
#[derive(Debug)]
pub struct Listener {
    /// Its number.
    pub id: Id,
    /// Where; the address may be unspecified.
    pub local: SocketAddr,
    /// So many connections may wait for being accepted.
    pub backlog: usize,
    half_open: VecDeque<Id>,
}

/// All of them; there are few.
#[derive(Debug, Default)]
pub struct Listeners(Vec<Listener>);

impl Listeners {
    /// Add one.
    pub fn add(&mut self, id: Id, local: SocketAddr, backlog: usize) {
        self.0.push(Listener {
            id,
            local,
            backlog,
            half_open: VecDeque::new(),
        });
    }

    /// Take one away; the connections that were half open.
    pub fn remove(&mut self, id: Id) -> Option<VecDeque<Id>> {
        let at = self.0.iter().position(|listener| listener.id == id)?;
        Some(self.0.swap_remove(at).half_open)
    }

    /// Whether a port is taken, wholly or for this address.
    #[must_use]
    pub fn has(&self, local: SocketAddr) -> bool {
        self.0.iter().any(|listener| {
            let (mine, its) = (listener.local.ip(), local.ip());
            let overlap = mine == its || mine.is_unspecified() || its.is_unspecified();
            listener.local.port() == local.port() && mine.is_ipv4() == its.is_ipv4() && overlap
        })
    }

    /// Who takes a connection to this address: the one for just it before the one for all.
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

    /// A connection is half open no more.
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
    /// A connection begins; another may have to go for it.
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
