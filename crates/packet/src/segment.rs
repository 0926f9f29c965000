//! TCP segments and UDP datagrams as `coalesce` needs them: which one continues which.
//!
//! Only packets without IP options, extension headers and fragmentation are parsed.

use crate::checksum;
use crate::ip::{self, IPV4_HEADER, IPV6_HEADER};
use crate::transport::{TCP, TCP_HEADER, UDP, UDP_HEADER, checksum_offset};

const ACK: u8 = 0x10;
const ECE: u8 = 0x40;
const PSH: u8 = 0x08;

/// More fragments, or a fragment offset.
const FRAGMENT: u16 = 0x3fff;
const DONT_FRAGMENT: u8 = 0x40;

/// A parsed packet.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Offset of the packet in the batch's buffer.
    pub start: usize,
    /// Offset of the TCP or UDP header in the packet.
    pub transport: usize,
    /// Length of all headers.
    pub headers: usize,
    /// Length of the payload.
    pub payload: usize,
    /// `TCP` or `UDP`.
    pub protocol: u8,
    /// TCP flags, 0 for UDP.
    pub flags: u8,
    sequence: u32,
    ports: [u8; 4],
}

impl Segment {
    /// Parse a packet that begins at `start` of the batch's buffer.
    #[must_use]
    pub fn parse(packet: &[u8], start: usize) -> Option<Self> {
        if ip::total_length(packet) != Some(packet.len()) {
            return None;
        }
        let (transport, protocol) = if packet[0] >> 4 == 4 {
            let fragment = u16::from_be_bytes([packet[6], packet[7]]) & FRAGMENT;
            if packet[0] != 0x45 || fragment != 0 {
                return None;
            }
            (IPV4_HEADER, packet[9])
        } else {
            (IPV6_HEADER, packet[6])
        };
        let body = &packet[transport..];
        let (header, flags, sequence) = match protocol {
            TCP => tcp(body)?,
            UDP => udp(body)?,
            _ => return None,
        };
        Some(Self {
            start,
            transport,
            headers: transport + header,
            payload: body.len() - header,
            protocol,
            flags,
            sequence,
            ports: [body[0], body[1], body[2], body[3]],
        })
    }

    /// Whether the addresses are IPv4.
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        self.transport == IPV4_HEADER
    }

    /// Whether PSH is set: nothing is appended to such a segment.
    #[must_use]
    pub const fn is_pushed(&self) -> bool {
        self.flags & PSH != 0
    }

    /// Whether it can be a part of a larger packet.
    #[must_use]
    pub const fn is_joinable(&self) -> bool {
        self.payload != 0 && (self.protocol == UDP || self.flags & !(PSH | ECE) == ACK)
    }

    /// Whether both belong to one flow: the same addresses, ports and protocol.
    #[must_use]
    pub fn is_of_flow(&self, buffer: &[u8], other: &Self) -> bool {
        self.ports == other.ports
            && self.protocol == other.protocol
            && self.transport == other.transport
            && self.addresses(buffer) == other.addresses(buffer)
    }

    /// Whether it follows `pieces` packets of the same flow with `payload` bytes in all, the first of
    /// them `first`, so that splitting the joined packet restores it.
    #[must_use]
    pub fn continues(&self, buffer: &[u8], first: &Self, pieces: u32, payload: usize) -> bool {
        let (mine, its) = (&buffer[self.start..], &buffer[first.start..]);
        let (mine_above, its_above) = (&mine[self.transport..], &its[first.transport..]);
        self.payload <= first.payload
            && self.headers == first.headers
            && if self.is_v4() {
                same_v4(mine, its, pieces)
            } else {
                same_v6(mine, its)
            }
            && (self.protocol == UDP
                || self.sequence == first.sequence.wrapping_add(payload as u32)
                    && same_tcp(mine_above, its_above, self.headers - self.transport))
    }

    /// Whether the checksums are correct and encoded as `split` encodes them: ones' complement has two
    /// zeros, and one of them has another meaning in UDP. Other packets must stay as they are.
    #[must_use]
    pub fn is_sound(&self, buffer: &[u8]) -> bool {
        let packet = &buffer[self.start..self.start + self.headers + self.payload];
        let (header, body) = packet.split_at(self.transport);
        if self.is_v4() && (header[10..12] == [0xff; 2] || !is_zero(checksum::sum(header))) {
            return false;
        }
        let at = self.checksum_offset();
        body[at..at + 2] != [0; 2]
            && is_zero(self.pseudo_header(buffer, body.len()) + checksum::sum(body))
    }

    /// The pseudo-header's sum if the TCP or UDP part had this length.
    #[must_use]
    pub fn pseudo_header(&self, buffer: &[u8], length: usize) -> u64 {
        checksum::pseudo_header(self.addresses(buffer), self.protocol, length)
    }

    /// Offset of the checksum in the TCP or UDP header.
    #[must_use]
    pub const fn checksum_offset(&self) -> usize {
        checksum_offset(self.protocol)
    }

    fn addresses<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        let at = if self.is_v4() { 12 } else { 8 };
        &buffer[self.start + at..self.start + self.transport]
    }
}

/// Whether the sum over data and its checksum shows that the checksum is correct.
const fn is_zero(sum: u64) -> bool {
    checksum::fold(sum) == 0xffff
}

fn tcp(body: &[u8]) -> Option<(usize, u8, u32)> {
    let header = body.get(..TCP_HEADER)?;
    let length = usize::from(header[12] >> 4) * 4;
    let sequence = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    (TCP_HEADER <= length && length <= body.len()).then_some((length, header[13], sequence))
}

fn udp(body: &[u8]) -> Option<(usize, u8, u32)> {
    let header = body.get(..UDP_HEADER)?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    (length == body.len()).then_some((UDP_HEADER, 0, 0))
}

/// Compare all fields except length, identification and checksum. Identifications must count up as
/// `split` writes them, unless the packet must not be fragmented: they mean nothing then (RFC 6864).
fn same_v4(mine: &[u8], first: &[u8], pieces: u32) -> bool {
    let id = |packet: &[u8]| u16::from_be_bytes([packet[4], packet[5]]);
    mine[..2] == first[..2]
        && mine[6..10] == first[6..10]
        && (mine[6] & DONT_FRAGMENT != 0 || id(mine) == id(first).wrapping_add(pieces as u16))
}

/// Compare all fields except the length: traffic class, flow label, hop limit.
fn same_v6(mine: &[u8], first: &[u8]) -> bool {
    mine[..4] == first[..4] && mine[6..8] == first[6..8]
}

/// Compare all fields except ports, sequence number, PSH and checksum. Like the kernel's GRO, this
/// includes the window.
fn same_tcp(mine: &[u8], first: &[u8], header: usize) -> bool {
    mine[8..13] == first[8..13]
        && (mine[13] ^ first[13]) & !PSH == 0
        && mine[14..16] == first[14..16]
        && mine[18..header] == first[18..header]
}
