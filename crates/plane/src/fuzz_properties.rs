//! What the fuzz targets check, also run by the tests on shorter inputs.
//!
//! Each property must hold for any bytes. Compiled for tests and with the feature `fuzzing` only, so
//! that the fuzz targets reach modules that are private.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use holloway_aead::{Group, nonce};
use holloway_packet::{icmp, ip};

use crate::allowed_ips::{AllowedIps, Owner, Prefix};
use crate::clock::{Nanos, SECOND};
use crate::conntrack;
use crate::cookie::{INITIATION_SIZE, MACS};
use crate::cookie_checker::{CookieChecker, Verdict};
use crate::cookie_generator::CookieGenerator;
use crate::discard::Discard;
use crate::mac::MAC;
use crate::session::{Deadlines, HEADER, Session};

const KEY: [u8; 32] = [7; 32];

/// The checker and the generator accept any bytes; a message with macs passes if its form is valid.
pub fn cookie(bytes: &[u8]) {
    let from: SocketAddr = ([192, 0, 2, 1], 51820).into();
    let mut checker = CookieChecker::new(Box::new(|random| random.fill(9)));
    checker.set_identity(Some(&KEY));
    let mut generator = CookieGenerator::new(&KEY);
    assert!(
        generator.consume_reply(0, bytes).is_err(),
        "no message was sent"
    );
    for under_load in [false, true] {
        let verdict = checker.check(SECOND, bytes, &from, under_load);
        assert!(
            matches!(verdict, Verdict::Discard(_)),
            "nobody guesses mac1"
        );
    }
    let mut message = vec![0; bytes.len() + MACS];
    generator.add_macs(SECOND, bytes, &mut message);
    assert!(
        generator.consume_reply(SECOND, bytes).is_err(),
        "nobody guesses a tag"
    );
    if checker.check(SECOND, &message, &from, false) == Verdict::Pass {
        assert!(matches!(
            checker.check(SECOND, &message, &from, true),
            Verdict::Reply(_)
        ));
    }
}

/// An initiation at a device under load, for the test of how long the comparison of its macs takes.
pub struct MacCheck {
    checker: CookieChecker,
    message: Vec<u8>,
}

impl Default for MacCheck {
    fn default() -> Self {
        Self::new()
    }
}

impl MacCheck {
    const FROM: ([u8; 4], u16) = ([192, 0, 2, 1], 51820);

    /// An initiation whose macs are right.
    #[must_use]
    pub fn new() -> Self {
        let mut checker = CookieChecker::new(Box::new(|random| random.fill(9)));
        checker.set_identity(Some(&KEY));
        let mut generator = CookieGenerator::new(&KEY);
        let bare = [&[1, 0, 0, 0][..], &[7; INITIATION_SIZE - MACS - 4]].concat();
        let mut message = vec![0; INITIATION_SIZE];
        generator.add_macs(1, &bare, &mut message);
        let verdict = checker.check(1, &message, &Self::FROM.into(), true);
        let Verdict::Reply(reply) = verdict else {
            unreachable!("its mac2 is missing");
        };
        assert!(generator.consume_reply(1, &reply).is_ok());
        generator.add_macs(1, &bare, &mut message);
        Self { checker, message }
    }

    /// Its mac1 and its mac2.
    #[must_use]
    pub fn macs(&self) -> [[u8; MAC]; 2] {
        [MACS, MAC].map(|from_end| {
            let rest = &self.message[self.message.len() - from_end..];
            *rest.first_chunk().expect("a mac")
        })
    }

    /// Check it with another mac1 and mac2.
    pub fn check(&mut self, macs: &[[u8; MAC]; 2]) -> bool {
        let at = self.message.len() - MACS;
        self.message[at..].copy_from_slice(macs.as_flattened());
        let verdict = self
            .checker
            .check(1, &self.message, &Self::FROM.into(), true);
        verdict == Verdict::Pass
    }
}

/// Open one transport message.
pub fn opened(session: &Session, now: Nanos, packet: &mut [u8]) -> Result<u64, Discard> {
    let counter = session.admit(now, packet)?;
    let mut group = Group::new();
    group.push(nonce(counter), &mut packet[HEADER..]);
    let mut authentic = false;
    session.open(&mut group, |is_authentic| authentic = is_authentic);
    authentic.then_some(counter).ok_or(Discard::Forged)
}

/// A session opens only what it has sealed.
pub fn open(bytes: &[u8]) {
    let deadlines = Deadlines {
        renew_on_send: u64::MAX,
        renew_on_receive: u64::MAX,
        reject: u64::MAX,
    };
    let session = Session::new(1, 2, &KEY, &KEY, deadlines);
    assert!(opened(&session, 0, &mut bytes.to_vec()).is_err());
}

/// An ICMP error for any packet stays within its bounds, whatever connection tracking responds. The first
/// byte is the length of that response.
pub fn unreachable(bytes: &[u8]) {
    let Some((&length, rest)) = bytes.split_first() else {
        return;
    };
    let (answer, packet) = rest.split_at(rest.len().min(length.into()));
    let sender = conntrack::sender(packet, answer);
    let mut message = [0; icmp::MAX_MESSAGE];
    let length = icmp::host_unreachable(packet, sender, &mut message);
    assert!(length <= packet.len() + 8);
    if let Some(to) = icmp::answerable(packet) {
        assert_eq!(ip::source(packet), Some(to));
        let most = if to.is_ipv4() { 556 } else { 1240 };
        assert_eq!(length, most.min(packet.len() + 8));
    }
    let mut query = [0; conntrack::MAX_MESSAGE];
    if let Some(length) = conntrack::query(packet, &mut query) {
        assert_eq!(length % 4, 0);
    }
}

/// An owner of prefixes.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer(pub u32);

impl Owner for Peer {
    fn id(&self) -> u32 {
        self.0
    }
}

/// The network of an address with a prefix of `length` bits.
pub fn network(address: IpAddr, length: u8) -> Option<Prefix> {
    let keep = |bits: u128, width: u32| {
        let host = width.saturating_sub(length.into());
        if host >= width {
            0
        } else {
            bits >> host << host
        }
    };
    let network = match address {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(keep(v4.to_bits().into(), 32) as u32)),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(keep(v6.to_bits(), 128))),
    };
    Prefix::new(network, length)
}

/// Routing agrees with a lookup of every length in a map. Six bytes are one operation.
pub fn allowed_ips(bytes: &[u8]) {
    let (mut table, mut map) = (AllowedIps::new(), HashMap::new());
    for step in bytes.as_chunks::<6>().0 {
        let [operation, owner, length, high, middle, low] = *step;
        let owner = u32::from(owner % 4);
        let (address, width) = if operation & 0x80 == 0 {
            (IpAddr::V4(Ipv4Addr::new(high, middle, 0, low)), 32)
        } else {
            let bits = u128::from(high) << 120 | u128::from(middle) << 60 | u128::from(low);
            (IpAddr::V6(Ipv6Addr::from_bits(bits)), 128)
        };
        let Some(prefix) = network(address, length % (width + 1)) else {
            return;
        };
        match operation % 8 {
            0..4 => {
                table.insert(prefix, &Peer(owner));
                map.insert(prefix, owner);
            }
            4..6 => {
                let had = map.get(&prefix) == Some(&owner);
                assert_eq!(table.remove(prefix, owner), had);
                map.retain(|other, its| !(*other == prefix && *its == owner));
            }
            6 if low == 0 => {
                table.remove_owner(owner);
                map.retain(|_, its| *its != owner);
            }
            _ => {}
        }
        let expected = (0..=width)
            .rev()
            .find_map(|length| map.get(&network(address, length)?));
        assert_eq!(table.lookup(address).map(Owner::id), expected.copied());
    }
    for owner in 0..4 {
        assert_eq!(
            table.owned_by(owner).len(),
            map.values().filter(|its| **its == owner).count()
        );
    }
}

#[cfg(test)]
#[path = "../../../fuzz/seeds.rs"]
mod seeds;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn garbage() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..300)
    }

    /// Changes that leave a packet almost valid.
    fn scratches() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)
    }

    fn scratch(bytes: &mut [u8], scratches: &[(prop::sample::Index, u8)]) {
        for (index, bits) in scratches {
            let at = index.index(bytes.len().min(80));
            bytes[at] ^= bits;
        }
    }

    #[test]
    fn the_stored_inputs_hold() {
        seeds::replay("cookie", cookie);
        seeds::replay("open", open);
        seeds::replay("unreachable", unreachable);
        seeds::replay("allowed_ips", allowed_ips);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_cookie_checker(bytes in garbage(), kind in 0u8..5, size in 0usize..4) {
            cookie(&bytes);
            let mut message = bytes;
            message.resize([116, 60, 64, 148][size], 1);
            message[..4].copy_from_slice(&[kind, 0, 0, 0]);
            cookie(&message);
        }

        #[test]
        fn no_bytes_break_a_session(bytes in garbage()) {
            open(&bytes);
        }

        #[test]
        fn no_bytes_break_the_answers(
            bytes in garbage(), is_v4: bool, scratches in scratches(),
        ) {
            unreachable(&bytes);
            let mut packet = crate::conntrack::tests::packet(is_v4, 6, &[9; 40]);
            scratch(&mut packet, &scratches);
            unreachable(&[&[0], &packet[..]].concat());
            let short = bytes.len().min(200);
            unreachable(&[&[short as u8], &bytes[..short], &packet[..]].concat());
        }

        #[test]
        fn no_operations_break_allowed_ips(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            allowed_ips(&bytes);
        }
    }
}
