//! A path-compressed binary trie of IP prefixes, in one arena: finds the longest match of an address.
//!
//! Values are small numbers and prefixes are bits; `allowed_ips` knows their meaning.

/// No node.
const NIL: u32 = u32::MAX;

/// An address as bits, the first network bit highest.
pub trait Bits: Copy + Eq + std::fmt::Debug {
    /// How many bits an address has.
    const WIDTH: u8;
    /// The bit at `position`; 0 is the highest.
    fn bit(self, position: u8) -> usize;
    /// How many leading bits two addresses have in common.
    fn shared(self, other: Self) -> u8;
    /// The address with all bits zero except the first `length`.
    fn masked(self, length: u8) -> Self;
}

macro_rules! bits {
    ($type:ty) => {
        impl Bits for $type {
            const WIDTH: u8 = <$type>::BITS as u8;

            fn bit(self, position: u8) -> usize {
                (self >> (Self::WIDTH - 1 - position) & 1) as usize
            }

            fn shared(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }

            fn masked(self, length: u8) -> Self {
                self & !<$type>::MAX.checked_shr(u32::from(length)).unwrap_or(0)
            }
        }
    };
}

bits!(u32);
bits!(u128);

/// The entry of a prefix: a value, and a stamp by which the caller identifies the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The caller's number for the prefix's owner, below `u32::MAX`.
    pub value: u32,
    /// The caller's number for this entry.
    pub stamp: u64,
}

/// A node. It is small because a lookup in a large table waits for memory at each node.
#[derive(Clone, Debug)]
struct Node<B> {
    bits: B,
    children: [u32; 2],
    /// `NIL` if the prefix has no entry.
    value: u32,
    length: u8,
}

impl<B: Bits> Node<B> {
    fn covers(&self, address: B) -> bool {
        self.bits.shared(address) >= self.length
    }
}

/// Prefixes of one address family.
#[derive(Clone, Debug)]
pub struct Trie<B> {
    nodes: Vec<Node<B>>,
    /// The stamp of each node's entry; lookups do not need it.
    stamps: Vec<u64>,
    free: Vec<u32>,
    root: u32,
}

/// A reference to a node: the root, or one child of a node.
#[derive(Clone, Copy)]
enum Link {
    Root,
    Child(u32, usize),
}

impl<B: Bits> Trie<B> {
    /// Create an empty trie.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            stamps: Vec::new(),
            free: Vec::new(),
            root: NIL,
        }
    }

    /// The value of the longest prefix that covers `address`.
    #[must_use]
    pub fn lookup(&self, address: B) -> Option<u32> {
        let mut found = NIL;
        let mut at = self.root;
        while let Some(node) = self.nodes.get(at as usize) {
            if !node.covers(address) {
                break;
            }
            if node.value != NIL {
                found = node.value;
            }
            if node.length == B::WIDTH {
                break;
            }
            at = node.children[address.bit(node.length)];
        }
        (found != NIL).then_some(found)
    }

    /// The entry of exactly this prefix.
    #[must_use]
    pub fn get(&self, bits: B, length: u8) -> Option<Held> {
        let (_, _, at) = self.descend(bits, length);
        self.held(at).filter(|_| self.is_at(at, bits, length))
    }

    /// Set the entry of a prefix whose host bits are zero, and return its former entry.
    pub fn insert(&mut self, bits: B, length: u8, held: Held) -> Option<Held> {
        let (_, link, at) = self.descend(bits, length);
        if self.is_at(at, bits, length) {
            let before = self.held(at);
            self.nodes[at as usize].value = held.value;
            self.stamps[at as usize] = held.stamp;
            return before;
        }
        let leaf = self.add(bits, length, Some(held));
        let top = match self.nodes.get(at as usize) {
            Some(node) => self.join(node.bits, node.length, at, leaf),
            None => leaf,
        };
        self.point(link, top);
        None
    }

    /// Join a new leaf and the node in its place, which is neither equal to nor above it, under one node,
    /// and return that node: the leaf itself if it covers the other, else a fork.
    fn join(&mut self, other: B, other_length: u8, at: u32, leaf: u32) -> u32 {
        let Node { bits, length, .. } = self.nodes[leaf as usize];
        let shared = bits.shared(other).min(length).min(other_length);
        if shared == length {
            self.nodes[leaf as usize].children[other.bit(length)] = at;
            return leaf;
        }
        let fork = self.add(bits.masked(shared), shared, None);
        let children = &mut self.nodes[fork as usize].children;
        children[bits.bit(shared)] = leaf;
        children[other.bit(shared)] = at;
        fork
    }

    /// Remove and return the entry of a prefix.
    pub fn remove(&mut self, bits: B, length: u8) -> Option<Held> {
        let (above, link, at) = self.descend(bits, length);
        let held = self.held(at).filter(|_| self.is_at(at, bits, length))?;
        self.nodes[at as usize].value = NIL;
        self.splice(link, at);
        // A fork that has lost one of its two branches is not needed any more.
        if let (Link::Child(parent, _), Some(above)) = (link, above) {
            self.splice(above, parent);
        }
        Some(held)
    }

    /// Find the first node on the way to a prefix that is not strictly above it, or `NIL`. Returns the
    /// link to the node that has its link, its link, and the node.
    fn descend(&self, bits: B, length: u8) -> (Option<Link>, Link, u32) {
        let (mut above, mut link, mut at) = (None, Link::Root, self.root);
        while let Some(node) = self.nodes.get(at as usize) {
            if node.length >= length || !node.covers(bits) {
                break;
            }
            let branch = bits.bit(node.length);
            above = Some(link);
            link = Link::Child(at, branch);
            at = node.children[branch];
        }
        (above, link, at)
    }

    /// Remove a node if it has no entry and fewer than two children.
    fn splice(&mut self, link: Link, at: u32) {
        let node = &self.nodes[at as usize];
        let child = match node.children {
            _ if node.value != NIL => return,
            [child, NIL] | [NIL, child] => child,
            _ => return,
        };
        self.point(link, child);
        self.free.push(at);
    }

    fn point(&mut self, link: Link, to: u32) {
        match link {
            Link::Root => self.root = to,
            Link::Child(parent, branch) => self.nodes[parent as usize].children[branch] = to,
        }
    }

    fn is_at(&self, at: u32, bits: B, length: u8) -> bool {
        let node = self.nodes.get(at as usize);
        node.is_some_and(|node| node.length == length && node.bits == bits)
    }

    fn held(&self, at: u32) -> Option<Held> {
        let value = self.nodes.get(at as usize)?.value;
        let stamp = *self.stamps.get(at as usize)?;
        (value != NIL).then_some(Held { value, stamp })
    }

    fn add(&mut self, bits: B, length: u8, held: Option<Held>) -> u32 {
        let (value, stamp) = held.map_or((NIL, 0), |held| (held.value, held.stamp));
        let node = Node {
            bits,
            children: [NIL; 2],
            value,
            length,
        };
        if let Some(at) = self.free.pop() {
            self.nodes[at as usize] = node;
            self.stamps[at as usize] = stamp;
            return at;
        }
        self.nodes.push(node);
        self.stamps.push(stamp);
        u32::try_from(self.nodes.len() - 1).expect("fewer prefixes than memory has room for")
    }
}

impl<B: Bits> Default for Trie<B> {
    fn default() -> Self {
        Self::new()
    }
}
