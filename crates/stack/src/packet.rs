//! Parses received packets as far as dispatching needs, and builds UDP and ICMP packets.
//!
//! Reads untrusted bytes; never panics. Called by the engine's parts.

use std::net::{IpAddr, SocketAddr};

use holloway_packet::checksum;
use holloway_packet::ip::{self, IPV4_HEADER, IPV6_HEADER};
use holloway_packet::offload::{NEEDS_CSUM, VNET_HEADER, VnetHeader};
use holloway_packet::transport::{
    ICMP, ICMPV6, TCP, TCP_HEADER, Transport, UDP, UDP_CHECKSUM, UDP_HEADER,
};

use crate::counts::Reason;

const HOP_LIMIT: u8 = 64;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;
const DONT_FRAGMENT: u8 = 0x40;
const FRAGMENT_HEADER: u8 = 44;

/// The addresses of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Ours.
    pub local: SocketAddr,
    /// The other's.
    pub remote: SocketAddr,
}

/// A received packet.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its source.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// The protocol of `body`.
    pub protocol: u8,
    /// The whole packet.
    pub packet: &'a [u8],
    /// The transport header and the payload.
    pub body: &'a [u8],
    /// Whether the plane has verified and replaced the checksum (`NEEDS_CSUM`).
    pub is_verified: bool,
}

/// Whether a packet is a fragment, by its headers.
#[must_use]
pub fn is_fragment(packet: &[u8]) -> bool {
    match packet {
        [first, ..] if first >> 4 == 4 && packet.len() >= IPV4_HEADER => {
            let field = u16::from_be_bytes([packet[6], packet[7]]);
            field & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0
        }
        [first, ..] if first >> 4 == 6 && packet.len() >= IPV6_HEADER => {
            packet[6] == FRAGMENT_HEADER
        }
        _ => false,
    }
}

impl<'a> Arrival<'a> {
    /// Parse a packet behind its vnet_hdr.
    pub fn parse_untrusted(bytes: &'a [u8]) -> Result<Self, Reason> {
        let (header, packet) = bytes
            .split_first_chunk::<VNET_HEADER>()
            .ok_or(Reason::Malformed)?;
        let header = VnetHeader::parse(header);
        let length = ip::total_length(packet).ok_or(Reason::Malformed)?;
        let packet = &packet[..length];
        let source = ip::source(packet).ok_or(Reason::Malformed)?;
        let destination = ip::destination(packet).ok_or(Reason::Malformed)?;
        let transport = Transport::find(packet).ok_or(Reason::Malformed)?;
        let body = packet.get(transport.at..).ok_or(Reason::Malformed)?;
        if source.is_multicast() || source.is_unspecified() {
            return Err(Reason::Malformed);
        }
        Ok(Self {
            source,
            destination,
            protocol: transport.protocol,
            packet,
            body,
            is_verified: header.flags & NEEDS_CSUM != 0,
        })
    }

    /// Whether the transport checksum is correct.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        if self.is_verified {
            return true;
        }
        let pseudo = match self.protocol {
            ICMP => 0,
            UDP if self.body.get(6..8) == Some(&[0, 0]) => return self.source.is_ipv4(),
            protocol => pseudo(self.source, self.destination, protocol, self.body.len()),
        };
        checksum::fold(pseudo + checksum::sum(self.body)) == 0xffff
    }

    /// Its flow as seen from here, if it is TCP or UDP.
    #[must_use]
    pub fn flow(&self) -> Option<Flow> {
        let (source, destination) = port_pair(self.body)?;
        let least = if self.protocol == TCP {
            TCP_HEADER
        } else {
            UDP_HEADER
        };
        let has_ports = matches!(self.protocol, TCP | UDP) && self.body.len() >= least;
        has_ports.then(|| Flow {
            local: SocketAddr::new(self.destination, destination),
            remote: SocketAddr::new(self.source, source),
        })
    }

    /// The payload of a UDP datagram.
    #[must_use]
    pub fn datagram(&self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(*self.body.get(4..)?.first_chunk()?);
        self.body.get(UDP_HEADER..usize::from(length))
    }
}

/// The ports at the beginning of a TCP or UDP header: source and destination.
#[must_use]
pub fn port_pair(body: &[u8]) -> Option<(u16, u16)> {
    let [a, b, c, d] = *body.first_chunk()?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// The sum of the pseudo-header.
pub(crate) fn pseudo(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> u64 {
    let sum = |address| match address {
        IpAddr::V4(address) => checksum::sum(&address.octets()),
        IpAddr::V6(address) => checksum::sum(&address.octets()),
    };
    sum(source) + sum(destination) + u64::from(protocol) + length as u64
}

/// The length of an IP header without options.
#[must_use]
pub const fn ip_header(is_v4: bool) -> usize {
    if is_v4 { IPV4_HEADER } else { IPV6_HEADER }
}

/// Write a UDP packet behind its vnet_hdr; the plane completes its checksum.
pub fn write_udp(out: &mut Vec<u8>, flow: &Flow, payload: &[u8]) {
    let is_v4 = flow.local.is_ipv4();
    let length = UDP_HEADER + payload.len();
    let header = VnetHeader {
        flags: NEEDS_CSUM,
        csum_start: ip_header(is_v4) as u16,
        csum_offset: UDP_CHECKSUM as u16,
        ..VnetHeader::default()
    };
    out.extend_from_slice(&header.to_bytes());
    let (source, destination) = (flow.local.ip(), flow.remote.ip());
    write_ip(out, source, destination, UDP, length);
    let partial = checksum::fold(pseudo(source, destination, UDP, length));
    for field in [
        flow.local.port(),
        flow.remote.port(),
        length as u16,
        partial,
    ] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(payload);
}

/// Complete the checksum of a packet of `write_udp` that is to be fragmented.
pub fn complete_udp(packet: &mut [u8]) {
    let is_v4 = packet[VNET_HEADER] >> 4 == 4;
    packet[..VNET_HEADER].fill(0);
    let body = &mut packet[VNET_HEADER + ip_header(is_v4)..];
    let sum = match !checksum::fold(checksum::sum(body)) {
        0 => 0xffff,
        sum => sum,
    };
    body[6..8].copy_from_slice(&sum.to_be_bytes());
}

/// Write an ICMP packet with its checksum behind its vnet_hdr. `kind` is type and code, `rest` follows the
/// checksum.
pub fn write_icmp(
    out: &mut Vec<u8>,
    source: IpAddr,
    destination: IpAddr,
    kind: [u8; 2],
    rest: &[u8],
) {
    let protocol = if source.is_ipv4() { ICMP } else { ICMPV6 };
    let length = 4 + rest.len();
    out.extend_from_slice(&VnetHeader::default().to_bytes());
    write_ip(out, source, destination, protocol, length);
    let at = out.len();
    out.extend_from_slice(&kind);
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(rest);
    let pseudo = match protocol {
        ICMP => 0,
        protocol => pseudo(source, destination, protocol, length),
    };
    let sum = !checksum::fold(pseudo + checksum::sum(&out[at..]));
    out[at + 2..at + 4].copy_from_slice(&sum.to_be_bytes());
}

/// Write an IP header for a payload of this length.
pub(crate) fn write_ip(
    out: &mut Vec<u8>,
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    length: usize,
) {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total = ((IPV4_HEADER + length) as u16).to_be_bytes();
            let mut header = [
                0x45,
                0,
                total[0],
                total[1],
                0,
                0,
                DONT_FRAGMENT,
                0,
                HOP_LIMIT,
                protocol,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ];
            header[12..16].copy_from_slice(&source.octets());
            header[16..].copy_from_slice(&destination.octets());
            checksum::write_ipv4_header(&mut header);
            out.extend_from_slice(&header);
        }
        (source, destination) => {
            let length = (length as u16).to_be_bytes();
            out.extend_from_slice(&[0x60, 0, 0, 0, length[0], length[1], protocol, HOP_LIMIT]);
            for address in [source, destination] {
                if let IpAddr::V6(address) = address {
                    out.extend_from_slice(&address.octets());
                }
            }
        }
    }
}
