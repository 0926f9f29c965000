//! How many handshakes under load each source may begin, once its address is proven.
//!
//! An address has a token bucket (kernel ratelimiter.c: 20 a second, 5 at once, per IPv4 address or IPv6
//! /64), and so does the network around it, so that whoever owns many addresses has no more than a few of
//! them would. The table never grows: a network hashes to a set of four buckets, and a network without a
//! bucket takes the one that was idle longest, which is most likely full again. Called by the cookie checker.

use std::net::IpAddr;

use crate::bucket::{Bucket, Rate};
use crate::clock::{Nanos, SECOND};
use crate::mac::mac;

const SETS: usize = 4096;
const WAYS: usize = 4;

/// A level of the limit: the bits of an address that count, and the tokens for those who share them.
struct Level {
    v4: u32,
    v6: u32,
    rate: Rate,
}

const LEVELS: [Level; 2] = [
    Level {
        v4: 32,
        v6: 64,
        rate: Rate::new(SECOND / 20, 5),
    },
    Level {
        v4: 24,
        v6: 48,
        rate: Rate::new(SECOND / 100, 50),
    },
];

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    network: u64,
    /// How many bits of `network` count, so that no two kinds of networks are the same.
    kind: u32,
    bucket: Bucket,
}

/// All buckets.
#[derive(Debug)]
pub struct Limiter {
    /// Secret, so that nobody can choose addresses that share a set.
    seed: [u8; 32],
    /// Empty until the first load.
    sets: Vec<[Entry; WAYS]>,
}

impl Limiter {
    /// Buckets for `SETS * WAYS` networks.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, sets: vec![] }
    }

    /// Take a token of the address and one of its network, and return whether there were both.
    pub fn allow(&mut self, now: Nanos, from: IpAddr) -> bool {
        if self.sets.is_empty() {
            self.sets.resize(SETS, Default::default());
        }
        LEVELS.iter().all(|level| {
            let (network, kind) = match from.to_canonical() {
                IpAddr::V4(address) => (u64::from(address.to_bits() >> (32 - level.v4)), level.v4),
                IpAddr::V6(address) => {
                    let high = (address.to_bits() >> (128 - level.v6)) as u64;
                    (high, 128 + level.v6)
                }
            };
            self.bucket(network, kind).take(now, &level.rate)
        })
    }

    fn bucket(&mut self, network: u64, kind: u32) -> &mut Bucket {
        let mut key = [0; 12];
        key[..8].copy_from_slice(&network.to_le_bytes());
        key[8..].copy_from_slice(&kind.to_le_bytes());
        let hash = mac(&self.seed, &key);
        let set = &mut self.sets[usize::from(u16::from_le_bytes([hash[0], hash[1]])) % SETS];
        let known = set
            .iter()
            .position(|entry| entry.network == network && entry.kind == kind);
        let way = known.unwrap_or_else(|| {
            let idle = (0..WAYS).min_by_key(|&way| set[way].bucket.filled());
            let idle = idle.unwrap_or(0);
            set[idle] = Entry {
                network,
                kind,
                bucket: Bucket::default(),
            };
            idle
        });
        &mut set[way].bucket
    }
}
