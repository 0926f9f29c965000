//! The packets of a flood: each message behind an IP and a UDP header, whose source changes with every
//! send. The checksums of the unchanging rest are computed once.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use holloway_packet::checksum::{fold, sum};

use crate::messages::Messages;
use crate::random::Random;

const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
const HOPS: u8 = 64;
const DONT_FRAGMENT: u8 = 0x40;

/// Where packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sources {
    /// One address and port.
    One(SocketAddr),
    /// Random addresses of a prefix, and random ports.
    Spoofed(Prefix),
}

/// A prefix of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub address: IpAddr,
    pub length: u8,
}

/// The packets, and where in them the next batch begins.
pub struct Packets {
    buffer: Vec<u8>,
    each: Vec<Packet>,
    next: usize,
    train: usize,
    family: Family,
    sources: Sources,
    random: Random,
}

struct Packet {
    range: Range<usize>,
    /// The checksum's sum, except for the source.
    sum: u64,
}

/// Where the headers have what.
#[derive(Clone, Copy)]
struct Family {
    header: usize,
    source: usize,
    address: usize,
}

const V4: Family = Family {
    header: 20,
    source: 12,
    address: 4,
};
const V6: Family = Family {
    header: 40,
    source: 8,
    address: 16,
};

impl Packets {
    /// Put the messages into packets to a target.
    pub fn new(messages: &Messages, sources: Sources, to: SocketAddr, random: Random) -> Self {
        let mut buffer = Vec::new();
        let each = messages.all.iter();
        let each = each
            .map(|message| write(&mut buffer, to, message))
            .collect();
        let family = if to.is_ipv4() { V4 } else { V6 };
        let train = messages.train;
        Self {
            buffer,
            each,
            next: 0,
            train,
            family,
            sources,
            random,
        }
    }

    /// Give the next packets new sources, and return them: their bytes, and where in these each is. There
    /// are at most `most`, and fewer where the packets begin anew.
    pub fn batch(&mut self, most: usize) -> (&[u8], Vec<Range<usize>>) {
        let most = (most / self.train).max(1) * self.train;
        let end = self.each.len().min(self.next + most);
        let batch = self.next..end;
        for start in batch.clone().step_by(self.train) {
            let (address, port) = self.source();
            for number in start..start + self.train {
                self.set_source(number, &address[..self.family.address], port);
            }
        }
        self.next = end % self.each.len();
        let ranges = self.each[batch].iter().map(|packet| packet.range.clone());
        (&self.buffer, ranges.collect())
    }

    /// A source: the address's bytes are as many as the family has.
    fn source(&mut self) -> ([u8; 16], u16) {
        match self.sources {
            Sources::One(own) => (octets(own.ip()), own.port()),
            Sources::Spoofed(prefix) => {
                let random =
                    (u128::from(self.random.next()) << 64) | u128::from(self.random.next());
                let host = u128::MAX.checked_shr(u32::from(prefix.length)).unwrap_or(0);
                let fixed = u128::from_be_bytes(octets(prefix.address));
                let port = 1024 + self.random.below(65536 - 1024);
                (
                    ((fixed & !host) | (random & host)).to_be_bytes(),
                    port as u16,
                )
            }
        }
    }

    fn set_source(&mut self, number: usize, address: &[u8], port: u16) {
        let packet = &self.each[number];
        let bytes = &mut self.buffer[packet.range.clone()];
        let Family { header, source, .. } = self.family;
        bytes[source..source + address.len()].copy_from_slice(address);
        bytes[header..header + 2].copy_from_slice(&port.to_be_bytes());
        let checksum = match !fold(packet.sum + sum(address) + u64::from(port)) {
            0 => 0xffff, // a zero means that there is none (RFC 768)
            checksum => checksum,
        };
        bytes[header + 6..header + 8].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Append a packet without a source, and return it.
fn write(buffer: &mut Vec<u8>, to: SocketAddr, message: &[u8]) -> Packet {
    let start = buffer.len();
    let udp = UDP_HEADER + message.len();
    match to.ip() {
        IpAddr::V4(address) => {
            // The kernel writes the total length and the header's checksum (raw(7)).
            buffer.extend([0x45, 0, 0, 0, 0, 0, DONT_FRAGMENT, 0, HOPS, UDP, 0, 0]);
            buffer.extend([0; 4]);
            buffer.extend(address.octets());
        }
        IpAddr::V6(address) => {
            buffer.extend([0x60, 0, 0, 0]);
            buffer.extend((udp as u16).to_be_bytes());
            buffer.extend([UDP, HOPS]);
            buffer.extend(Ipv6Addr::UNSPECIFIED.octets());
            buffer.extend(address.octets());
        }
    }
    let destination = match to.ip() {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    let header = buffer.len();
    buffer.extend([0; 2]);
    buffer.extend(to.port().to_be_bytes());
    buffer.extend((udp as u16).to_be_bytes());
    buffer.extend([0; 2]);
    buffer.extend(message);
    let sum = destination + u64::from(UDP) + udp as u64 + sum(&buffer[header..]);
    Packet {
        range: start..buffer.len(),
        sum,
    }
}

/// The bytes of an address, at the beginning of an array.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&address.octets());
            octets
        }
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TARGET: &str = "10.0.0.2:51820";

    /// The sources of batches, as address and port, in the order of the packets.
    fn sources(sources: Sources, target: &str, train: usize) -> Vec<([u8; 16], u16)> {
        let messages = Messages {
            all: vec![vec![7; 9]; 100],
            train,
        };
        let to: SocketAddr = target.parse().expect("an address");
        let mut packets = Packets::new(&messages, sources, to, Random::seeded());
        let family = packets.family;
        let mut found = Vec::new();
        while found.len() < 1000 {
            let (bytes, ranges) = packets.batch(64);
            for range in ranges {
                let packet = &bytes[range];
                let mut address = [0; 16];
                address[..family.address]
                    .copy_from_slice(&packet[family.source..family.source + family.address]);
                let port = &packet[family.header..];
                found.push((address, u16::from_be_bytes([port[0], port[1]])));
            }
        }
        found
    }

    fn spoofed(address: &str, length: u8) -> Sources {
        let address = address.parse().expect("an address");
        Sources::Spoofed(Prefix { address, length })
    }

    #[test]
    fn spoofed_sources_fill_their_prefix_and_leave_it_never() {
        for (prefix, target, bits) in [
            (spoofed("10.1.2.0", 28), TARGET, 4),
            (spoofed("10.1.2.3", 32), TARGET, 0),
            (spoofed("fd00::", 124), "[fd01::1]:9", 4),
        ] {
            let Sources::Spoofed(Prefix { address, .. }) = prefix else {
                unreachable!()
            };
            let found = sources(prefix, target, 1);
            let hosts: HashSet<_> = found.iter().map(|(address, _)| *address).collect();
            assert_eq!(hosts.len(), 1 << bits);
            let last = if address.is_ipv4() { 3 } else { 15 };
            for host in hosts {
                assert_eq!(host[..last], octets(address)[..last]);
            }
            assert!(found.iter().all(|(_, port)| *port >= 1024));
        }
    }

    #[test]
    fn the_packets_of_a_train_share_a_source_and_trains_do_not() {
        let found = sources(spoofed("32.0.0.0", 3), TARGET, 2);
        for pair in found.chunks(2) {
            assert_eq!(pair[0], pair[1]);
        }
        let all: HashSet<_> = found.iter().collect();
        assert_eq!(all.len(), found.len() / 2);
    }

    #[test]
    fn our_own_source_is_one() {
        let own: SocketAddr = "10.0.0.1:4000".parse().expect("an address");
        let found = sources(Sources::One(own), TARGET, 1);
        assert!(
            found
                .iter()
                .all(|source| *source == (octets(own.ip()), 4000))
        );
    }
}
