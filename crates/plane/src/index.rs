//! The table of local session indices: the peer and session of a receiver index.
//!
//! Indices are random numbers that we choose, so a multiplication is sufficient as a hash: a sender
//! chooses what is looked up, not what is stored. The plane keeps it, and locks it once per batch.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::session::Session;

/// The meaning of a local index.
#[derive(Clone, Debug)]
pub enum Entry<T> {
    /// A session of a peer.
    Session(T, Arc<Session>),
    /// An initiation of ours to a peer that awaits its response.
    Awaiting(T),
}

/// Local index to peer and session.
#[derive(Debug)]
pub struct IndexTable<T> {
    entries: HashMap<u32, Entry<T>, BuildHasherDefault<IndexHasher>>,
}

impl<T: Clone> IndexTable<T> {
    /// Create an empty table.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entries: HashMap::default(),
        }
    }

    /// Enter a session under `index`, and return the former entry.
    pub fn insert_session(
        &mut self,
        index: u32,
        peer: T,
        session: Arc<Session>,
    ) -> Option<Entry<T>> {
        self.entries.insert(index, Entry::Session(peer, session))
    }

    /// Enter an initiation that awaits its response, and return the former entry.
    pub fn insert_awaiting(&mut self, index: u32, peer: T) -> Option<Entry<T>> {
        self.entries.insert(index, Entry::Awaiting(peer))
    }

    /// The entry of `index`.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&Entry<T>> {
        self.entries.get(&index)
    }

    /// Remove the entry of `index`.
    pub fn remove(&mut self, index: u32) -> Option<Entry<T>> {
        self.entries.remove(&index)
    }
}

impl<T: Clone> Default for IndexTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Spreads a `u32` over 64 bits, since hash tables use the bits of both ends.
#[derive(Debug, Default)]
pub struct IndexHasher(u64);

impl Hasher for IndexHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, index: u32) {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 / golden ratio: Fibonacci hashing
        self.0 = (self.0 ^ u64::from(index)).wrapping_mul(GOLDEN);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
