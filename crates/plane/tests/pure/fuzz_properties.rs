//! What the fuzz targets do with bytes; here so that the tests do it too, with fewer bytes.
//!
//! Each must hold for any bytes at all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use holloway_aead::{Group, nonce};
use holloway_plane::allowed_ips::{AllowedIps, Owner, Prefix};
use holloway_plane::clock::Nanos;
use holloway_plane::coalesce::Coalescer;
use holloway_plane::cookie::{CookieChecker, CookieGenerator, MACS, Verdict};
use holloway_plane::discard::Discard;
use holloway_plane::offload::{VNET_HEADER, VnetHeader};
use holloway_plane::session::{Deadlines, HEADER, NEVER, Session};
use holloway_plane::split::{SPLIT_CAPACITY, split};
use holloway_plane::{conntrack, ecn, icmp, ip};

const KEY: [u8; 32] = [7; 32];

/// The checker and the generator take any message; one with macs passes unless it is of no known form.
pub fn cookie(bytes: &[u8]) {
    let from: SocketAddr = ([192, 0, 2, 1], 51820).into();
    let mut checker = CookieChecker::new(Box::new(|random| random.fill(9)));
    checker.set_identity(Some(&KEY));
    let mut generator = CookieGenerator::new(&KEY);
    assert!(
        generator.consume_reply(0, bytes).is_err(),
        "there was nothing to answer"
    );
    for under_load in [false, true] {
        let verdict = checker.check(1, bytes, &from, under_load);
        assert!(
            matches!(verdict, Verdict::Discard(_)),
            "nobody guesses mac1"
        );
    }
    let mut message = vec![0; bytes.len() + MACS];
    generator.add_macs(1, bytes, &mut message);
    assert!(
        generator.consume_reply(1, bytes).is_err(),
        "nobody guesses a tag"
    );
    if checker.check(1, &message, &from, false) == Verdict::Pass {
        assert!(matches!(
            checker.check(1, &message, &from, true),
            Verdict::Reply(_)
        ));
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

/// A session opens nothing that it has not sealed.
pub fn open(bytes: &[u8]) {
    let deadlines = Deadlines {
        renew_on_send: NEVER,
        renew_on_receive: NEVER,
        reject: NEVER,
    };
    let session = Session::new(1, 2, &KEY, &KEY, deadlines);
    assert!(opened(&session, 0, &mut bytes.to_vec()).is_err());
}

/// Inner packets of any form are judged, and changed by no more than a congestion mark.
pub fn ip(bytes: &[u8]) {
    let _ = (ip::destination(bytes), ip::source(bytes));
    if let Ok(length) = ip::total_length(bytes) {
        assert!(length <= bytes.len());
    }
    let mut congested = bytes.to_vec();
    ecn::decapsulate(&mut congested, true);
    assert!(ip::tos(&congested) | 3 == ip::tos(bytes) | 3);
}

/// Any packet is answered in no more than its bounds, or not at all, whatever the kernel says of it:
/// the first byte is how long that is.
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
        assert_eq!(ip::source(packet), Ok(to));
        let most = if to.is_ipv4() { 556 } else { 1240 };
        assert_eq!(length, most.min(packet.len() + 8));
    }
    let mut query = [0; conntrack::MAX_MESSAGE];
    if let Some(length) = conntrack::query(packet, &mut query) {
        assert_eq!(length % 4, 0);
    }
}

/// Splitting loses no payload and stays inside its buffer.
pub fn split_any(bytes: &[u8]) {
    let Some((header, packet)) = bytes.split_first_chunk::<VNET_HEADER>() else {
        return;
    };
    let mut out = vec![0; SPLIT_CAPACITY];
    let header = VnetHeader::parse(header);
    let Ok(segments) = split(&header, packet, &mut out, 1420) else {
        return;
    };
    assert!(segments.count >= 1 && segments.last <= segments.length);
    assert!(segments.length + 32 <= segments.stride);
    let end = (segments.count - 1) * segments.stride + 16 + segments.last + 16;
    assert!(end <= out.len());
    let total = (segments.count - 1) * segments.length + segments.last;
    assert!(
        total >= packet.len(),
        "headers are repeated, payload is kept"
    );
}

/// Joining any packets loses none and changes none; bytes are lengths, each with that many after it.
pub fn coalesce(bytes: &[u8]) {
    let (mut buffer, mut ranges) = (bytes.to_vec(), vec![]);
    let mut at = 0;
    while let Some(length) = bytes.get(at..at + 2) {
        let start = at + 2;
        let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
        at = bytes.len().min(start + length);
        ranges.push(start..at);
    }
    let mut coalescer = Coalescer::new(true, true);
    for range in &ranges {
        coalescer.push(&mut buffer, range.clone());
    }
    coalescer.finish(&mut buffer);
    let mut seen = vec![];
    for write in coalescer.writes() {
        let header = write.header;
        let whole: Vec<u8> = write.flat_map(|range| buffer[range].to_vec()).collect();
        let mut out = vec![0; SPLIT_CAPACITY];
        let segments = split(&header, &whole, &mut out, 0).expect("it takes what it makes");
        for number in 0..segments.count {
            let is_last = number + 1 == segments.count;
            let length = if is_last {
                segments.last
            } else {
                segments.length
            };
            let start = number * segments.stride + 16;
            seen.push(without_id(&out[start..start + length]));
        }
    }
    let mut given: Vec<_> = ranges
        .into_iter()
        .map(|range| without_id(&bytes[range]))
        .collect();
    seen.sort();
    given.sort();
    assert_eq!(seen, given);
}

/// An IPv4 packet that no router may fragment needs no identification, so it may change.
fn without_id(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet.len() >= 20 && packet[0] >> 4 == 4 && packet[6] & 0x40 != 0 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

/// Someone who owns prefixes.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer(pub u32);

impl Owner for Peer {
    fn id(&self) -> u32 {
        self.0
    }
}

/// The network of `length` bits that an address is in.
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

/// Routing agrees with looking every length up in a map; six bytes are one operation.
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
