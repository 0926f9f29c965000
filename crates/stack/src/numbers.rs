//! Initial sequence numbers that a stranger cannot predict (RFC 6528), and how smoltcp is made to use them.
//!
//! smoltcp takes them from one small generator for all connections: who sees three of them knows the next.
//! The generator is seeded by its interface, so each connection begins with an interface of its own, with the
//! seed that makes its first initial number the wanted one. The tests compare what is sent with what is wanted.

use std::net::IpAddr;

use ring::hmac;

use crate::packet::Flow;
use crate::ports::random;
use crate::timers::Micros;

/// The clock of RFC 6528 counts one in so many microseconds.
const TICK: Micros = 4;

/// The multiplier and the increment of smoltcp's generator (its `rand.rs`).
const MULTIPLIER: u64 = 0xbb2e_fcec_3c39_611d;
const INCREMENT: u64 = 0x7590_ef39;
/// By how many bits the generator shifts its state where the three highest bits are zero.
const SHIFT: u32 = 29;

/// Chooses the initial sequence numbers of a stack.
#[derive(Debug)]
pub struct InitialNumbers {
    secret: hmac::Key,
    /// Where the clock begins.
    origin: u32,
}

impl Default for InitialNumbers {
    fn default() -> Self {
        let secret: Vec<u8> = (0..4).flat_map(|_| random().to_ne_bytes()).collect();
        Self {
            secret: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            origin: random() as u32,
        }
    }
}

impl InitialNumbers {
    /// The number of a connection that begins now: a clock, and an offset that only we know (RFC 6528, 3).
    #[must_use]
    pub fn choose(&self, flow: &Flow, now: Micros) -> u32 {
        let mut context = hmac::Context::with_key(&self.secret);
        for end in [flow.local, flow.remote] {
            match end.ip() {
                IpAddr::V4(address) => context.update(&address.to_ipv6_mapped().octets()),
                IpAddr::V6(address) => context.update(&address.octets()),
            }
            context.update(&end.port().to_be_bytes());
        }
        let tag = context.sign();
        let offset = tag.as_ref().first_chunk().copied().unwrap_or_default();
        let clock = self.origin.wrapping_add((now / TICK) as u32);
        u32::from_be_bytes(offset).wrapping_add(clock)
    }
}

/// The seed with which an interface's first initial number is `number`.
///
/// A new interface takes a number of 16 bits first, and another one in place of zero.
#[must_use]
pub fn seed_for(number: u32) -> u64 {
    let state = u64::from(number) << SHIFT;
    // The lowest bits of the state do not appear in the number.
    let befores = (0..1 << SHIFT).map(|rest| before(state | rest));
    let suits = |state: &u64| {
        let output = (state >> (u64::from(SHIFT) - (state >> 61))) as u32;
        (output ^ (output >> 16)) as u16 != 0
    };
    befores.filter(suits).map(before).next().unwrap_or(state)
}

/// The state of the generator before this one.
const fn before(state: u64) -> u64 {
    state
        .wrapping_sub(INCREMENT)
        .wrapping_mul(inverse(MULTIPLIER))
}

/// The inverse of an odd number modulo 2^64: each of Newton's steps doubles the number of correct bits.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd; // correct in three bits
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(port: u16) -> Flow {
        Flow {
            local: "10.0.0.1:80".parse().expect("an address"),
            remote: std::net::SocketAddr::new("10.0.0.2".parse().expect("an address"), port),
        }
    }

    #[test]
    fn one_connection_gets_higher_numbers_with_time_and_others_get_unrelated_ones() {
        let numbers = InitialNumbers::default();
        let first = numbers.choose(&flow(1), 0);
        assert_eq!(
            numbers.choose(&flow(1), 4_000_000),
            first.wrapping_add(1_000_000)
        );
        let distances: std::collections::HashSet<_> = (1..1000)
            .map(|port| {
                numbers
                    .choose(&flow(port + 1), 0)
                    .wrapping_sub(numbers.choose(&flow(port), 0))
            })
            .collect();
        assert!(distances.len() > 990, "no step is repeated");
        assert_ne!(InitialNumbers::default().choose(&flow(1), 0), first);
    }

    #[test]
    fn the_inverse_is_one() {
        assert_eq!(inverse(MULTIPLIER).wrapping_mul(MULTIPLIER), 1);
    }
}
