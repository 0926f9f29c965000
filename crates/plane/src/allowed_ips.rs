//! Cryptokey routing: which peer an inner address belongs to (paper, 2; kernel allowedips.c).
//!
//! A prefix has one owner; inserting it for another owner moves it. Lookups do not allocate. The plane
//! keeps the table behind one lock, which is taken once per batch.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::trie::{Held, Trie};

/// A network of inner addresses, its host bits zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// A change of one peer's allowed IPs. First all are removed if `replace`, then those in `removed`
/// that are this peer's, then `added` are added, each taken from the peer that had it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedIpsChange {
    /// Whether all are removed first.
    pub replace: bool,
    /// What is removed then.
    pub removed: Vec<Prefix>,
    /// What is added last.
    pub added: Vec<Prefix>,
}

impl Prefix {
    /// A network. `None` if `length` is too large or a host bit is set.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let host_bits = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX
                    .checked_shl(32u32.checked_sub(length.into())?)
                    .unwrap_or(0);
                u128::from(v4.to_bits() & !mask)
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX
                    .checked_shl(128u32.checked_sub(length.into())?)
                    .unwrap_or(0);
                v6.to_bits() & !mask
            }
        };
        (host_bits == 0).then_some(Self { address, length })
    }

    /// The network's address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The length of the prefix in bits.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.length
    }
}

/// An owner of prefixes.
pub trait Owner {
    /// The owner's number; no two owners have the same.
    fn id(&self) -> u32;
}

#[derive(Clone, Debug)]
struct Owned<T> {
    owner: T,
    /// The prefixes by the stamp of their insertion: in order, and removable without a search.
    prefixes: BTreeMap<u64, Prefix>,
}

/// All prefixes and their owners.
#[derive(Clone, Debug)]
pub struct AllowedIps<T> {
    v4: Trie<u32>,
    v6: Trie<u128>,
    owners: Vec<Option<Owned<T>>>,
    free: Vec<u32>,
    slots: HashMap<u32, u32>,
    stamp: u64,
}

impl<T: Owner + Clone> AllowedIps<T> {
    /// Create an empty table.
    #[must_use]
    pub fn new() -> Self {
        Self {
            v4: Trie::new(),
            v6: Trie::new(),
            owners: Vec::new(),
            free: Vec::new(),
            slots: HashMap::new(),
            stamp: 0,
        }
    }

    /// The owner of the longest prefix that covers an IPv4 address.
    #[must_use]
    pub fn lookup_v4(&self, address: [u8; 4]) -> Option<&T> {
        self.owner(self.v4.lookup(u32::from_be_bytes(address))?)
    }

    /// The owner of the longest prefix that covers an IPv6 address.
    #[must_use]
    pub fn lookup_v6(&self, address: [u8; 16]) -> Option<&T> {
        self.owner(self.v6.lookup(u128::from_be_bytes(address))?)
    }

    /// The owner of the longest prefix that covers an address.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Option<&T> {
        match address {
            IpAddr::V4(address) => self.lookup_v4(address.octets()),
            IpAddr::V6(address) => self.lookup_v6(address.octets()),
        }
    }

    /// Give a prefix to an owner, and take it from its former owner. It comes last in `owned_by`, as in
    /// the kernel, even if the owner had it before.
    pub fn insert(&mut self, prefix: Prefix, owner: &T) {
        let slot = self.slot(owner);
        self.stamp += 1;
        let held = Held {
            value: slot,
            stamp: self.stamp,
        };
        let before = match prefix.address {
            IpAddr::V4(address) => self.v4.insert(address.to_bits(), prefix.length, held),
            IpAddr::V6(address) => self.v6.insert(address.to_bits(), prefix.length, held),
        };
        if let Some(owned) = &mut self.owners[slot as usize] {
            owned.prefixes.insert(self.stamp, prefix);
        }
        if let Some(before) = before {
            self.disown(before);
        }
    }

    /// Take a prefix from an owner. False if the owner does not have it.
    pub fn remove(&mut self, prefix: Prefix, owner_id: u32) -> bool {
        let Some(&slot) = self.slots.get(&owner_id) else {
            return false;
        };
        if self.held(prefix).is_none_or(|held| held.value != slot) {
            return false;
        }
        if let Some(held) = self.cut(prefix) {
            self.disown(held);
        }
        true
    }

    /// Take all prefixes from an owner.
    pub fn remove_owner(&mut self, owner_id: u32) {
        let Some(slot) = self.slots.remove(&owner_id) else {
            return;
        };
        let Some(owned) = self.owners[slot as usize].take() else {
            return;
        };
        for prefix in owned.prefixes.into_values() {
            self.cut(prefix);
        }
        self.free.push(slot);
    }

    /// An owner's prefixes in the order of insertion.
    #[must_use]
    pub fn owned_by(&self, owner_id: u32) -> Vec<Prefix> {
        self.prefixes(owner_id).copied().collect()
    }

    /// Whether an owner's prefixes are these, in this order.
    #[must_use]
    pub fn owns_exactly(&self, owner_id: u32, prefixes: &[Prefix]) -> bool {
        self.prefixes(owner_id).eq(prefixes)
    }

    fn prefixes(&self, owner_id: u32) -> impl Iterator<Item = &Prefix> {
        let slot = self.slots.get(&owner_id);
        let owned = slot.and_then(|&slot| self.owners[slot as usize].as_ref());
        owned.into_iter().flat_map(|owned| owned.prefixes.values())
    }

    fn owner(&self, slot: u32) -> Option<&T> {
        self.owners
            .get(slot as usize)?
            .as_ref()
            .map(|owned| &owned.owner)
    }

    fn slot(&mut self, owner: &T) -> u32 {
        if let Some(&slot) = self.slots.get(&owner.id()) {
            return slot;
        }
        let owned = Some(Owned {
            owner: owner.clone(),
            prefixes: BTreeMap::new(),
        });
        let slot = if let Some(slot) = self.free.pop() {
            self.owners[slot as usize] = owned;
            slot
        } else {
            self.owners.push(owned);
            u32::try_from(self.owners.len() - 1).expect("owners are told apart by 32 bits")
        };
        self.slots.insert(owner.id(), slot);
        slot
    }

    /// Remove an entry that has left the trie, and its owner with the last one.
    fn disown(&mut self, held: Held) {
        let Some(owned) = &mut self.owners[held.value as usize] else {
            return;
        };
        owned.prefixes.remove(&held.stamp);
        if owned.prefixes.is_empty() {
            self.slots.remove(&owned.owner.id());
            self.owners[held.value as usize] = None;
            self.free.push(held.value);
        }
    }

    fn held(&self, prefix: Prefix) -> Option<Held> {
        match prefix.address {
            IpAddr::V4(address) => self.v4.get(Ipv4Addr::to_bits(address), prefix.length),
            IpAddr::V6(address) => self.v6.get(Ipv6Addr::to_bits(address), prefix.length),
        }
    }

    fn cut(&mut self, prefix: Prefix) -> Option<Held> {
        match prefix.address {
            IpAddr::V4(address) => self.v4.remove(address.to_bits(), prefix.length),
            IpAddr::V6(address) => self.v6.remove(address.to_bits(), prefix.length),
        }
    }
}

impl<T: Owner + Clone> Default for AllowedIps<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
