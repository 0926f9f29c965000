//! The table of local session indices: who a packet's receiver index means.
//!
//! Indices are random numbers of our own choosing, so a multiplication is hash enough: a sender
//! chooses what is looked up, never what is stored. Kept by the plane, read once per batch.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::session::Session;

/// What stands behind a local index.
#[derive(Clone, Debug)]
pub enum Entry<T> {
    /// A session of a peer.
    Session(T, Arc<Session>),
    /// An initiation of ours whose response is awaited from a peer.
    Awaiting(T),
}

/// Local index to peer and session.
#[derive(Debug)]
pub struct IndexTable<T> {
    entries: HashMap<u32, Entry<T>, BuildHasherDefault<IndexHasher>>,
}

impl<T: Clone> IndexTable<T> {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entries: HashMap::default(),
        }
    }

    /// Let `index` mean a session; what it meant before is given back.
    pub fn insert_session(
        &mut self,
        index: u32,
        peer: T,
        session: Arc<Session>,
    ) -> Option<Entry<T>> {
        self.entries.insert(index, Entry::Session(peer, session))
    }

    /// Let `index` mean an initiation that awaits its response.
    pub fn insert_awaiting(&mut self, index: u32, peer: T) -> Option<Entry<T>> {
        self.entries.insert(index, Entry::Awaiting(peer))
    }

    /// What `index` means.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&Entry<T>> {
        self.entries.get(&index)
    }

    /// Free an index.
    pub fn remove(&mut self, index: u32) -> Option<Entry<T>> {
        self.entries.remove(&index)
    }
}

impl<T: Clone> Default for IndexTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Spreads a `u32` over 64 bits; hash tables look at both ends.
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
