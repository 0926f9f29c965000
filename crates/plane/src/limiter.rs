//! A token bucket per source network, for handshakes from proven addresses under load (kernel
//! ratelimiter.c: 20 a second, 5 at once, per IPv4 /32 or IPv6 /64).
//!
//! The table never grows: a network hashes to a set of four buckets, and a network without a bucket
//! takes the one that was idle longest, which is most likely full again. Called by the cookie checker.

use std::net::IpAddr;

use crate::clock::{Nanos, SECOND};
use crate::mac::mac;

const SETS: usize = 1024;
const WAYS: usize = 4;
const COST: Nanos = SECOND / 20;
const FULL: Nanos = 5 * COST;

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    network: u64,
    is_v4: bool,
    credit: Nanos,
    filled: Nanos,
}

/// All buckets.
#[derive(Debug)]
pub struct Limiter {
    /// Secret, so that nobody can choose addresses that share a set.
    seed: [u8; 32],
    sets: Box<[[Bucket; WAYS]]>,
}

impl Limiter {
    /// Buckets for `SETS * WAYS` networks.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            sets: vec![[Bucket::default(); WAYS]; SETS].into_boxed_slice(),
        }
    }

    /// Take a token, and return whether there was one.
    pub fn allow(&mut self, now: Nanos, from: IpAddr) -> bool {
        let (network, is_v4) = match from.to_canonical() {
            IpAddr::V4(address) => (u64::from(address.to_bits()), true),
            IpAddr::V6(address) => ((address.to_bits() >> 64) as u64, false),
        };
        let bucket = self.bucket(now, network, is_v4);
        let gained = now.saturating_sub(bucket.filled);
        bucket.credit = bucket.credit.saturating_add(gained).min(FULL);
        bucket.filled = now;
        let allowed = bucket.credit >= COST;
        if allowed {
            bucket.credit -= COST;
        }
        allowed
    }

    fn bucket(&mut self, now: Nanos, network: u64, is_v4: bool) -> &mut Bucket {
        let mut key = [0; 9];
        key[..8].copy_from_slice(&network.to_le_bytes());
        key[8] = is_v4.into();
        let hash = mac(&self.seed, &key);
        let set = &mut self.sets[usize::from(u16::from_le_bytes([hash[0], hash[1]])) % SETS];
        let known = set.iter().position(|bucket| {
            bucket.network == network && bucket.is_v4 == is_v4 && bucket.filled != 0
        });
        let way = known.unwrap_or_else(|| {
            let idle = (0..WAYS).min_by_key(|&way| set[way].filled).unwrap_or(0);
            set[idle] = Bucket {
                network,
                is_v4,
                credit: FULL,
                filled: now,
            };
            idle
        });
        &mut set[way]
    }
}
