//! TCP sockets of the program that neither are connected nor listen. They may be bound.

use std::collections::HashMap;

use crate::events::Id;
use crate::local::Local;
use crate::socket_pair::StreamEnd;

/// Such a socket.
#[derive(Debug)]
pub struct Socket {
    /// Our end.
    pub end: StreamEnd,
    /// What it is bound to.
    pub local: Option<Local>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Unconnected(HashMap<Id, Socket>);

impl Unconnected {
    /// Add a socket, unless the program has closed it.
    pub fn add(&mut self, id: Id, socket: Socket) {
        if !socket.end.is_gone() {
            self.0.insert(id, socket);
        }
    }

    /// One of them.
    pub fn get(&mut self, id: Id) -> Option<&mut Socket> {
        self.0.get_mut(&id)
    }

    /// Remove and return one.
    pub fn take(&mut self, id: Id) -> Option<Socket> {
        self.0.remove(&id)
    }

    /// Whether one is bound to this address or a part of it.
    #[must_use]
    pub fn has(&self, local: &Local) -> bool {
        let mut bound = self.0.values().filter_map(|socket| socket.local);
        bound.any(|other| other.overlaps(local))
    }

    /// Remove those that the program has closed.
    pub fn forget_closed(&mut self) {
        self.0.retain(|_, socket| !socket.end.is_gone());
    }
}
