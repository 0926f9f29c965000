//! Parses received packets as far as dispatching needs, and builds UDP and ICMP packets.
//!
//! Reads untrusted bytes; never panics. Called by the engine's parts.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use holloway_packet::checksum;
use holloway_packet::ip::{self, IPV4_HEADER, IPV6_HEADER};
use holloway_packet::offload::{
    GSO_NONE, GSO_TCPV4, GSO_TCPV6, NEEDS_CSUM, VNET_HEADER, VnetHeader,
};
use holloway_packet::transport::{
    ICMP, ICMPV6, TCP, TCP_CHECKSUM, TCP_HEADER, Transport, UDP, UDP_CHECKSUM, UDP_HEADER,
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

/// The fields of a TCP segment that are needed here.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Its flags.
    pub flags: u8,
    /// The sequence number.
    pub sequence: u32,
    /// The acknowledgement number.
    pub ack: u32,
    /// The window field.
    pub window: u16,
    /// What its sender has received beyond `ack`; see `selective`.
    blocks: [(u32, u32); MAX_BLOCKS],
    /// How many of them there are.
    count: usize,
    /// In a SYN: the scale of its sender's windows.
    pub scale: Option<u8>,
    /// In a SYN: whether its sender accepts selective acknowledgements.
    pub permits_sack: bool,
    /// In a SYN: the largest segment that its sender accepts.
    pub mss: u16,
    /// The length of its payload.
    pub payload: usize,
}

/// The TCP flag FIN.
pub const FIN: u8 = 0x01;
/// The TCP flag SYN.
pub const SYN: u8 = 0x02;
/// The TCP flag RST.
pub const RST: u8 = 0x04;
/// The TCP flag ACK.
pub const ACK: u8 = 0x10;
/// The TCP option for selective acknowledgements.
const SACK: u8 = 5;
/// The TCP option for the maximum segment size.
pub const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
/// RFC 7323, 2.3.
const MAX_SCALE: u8 = 14;
/// As many as fit into the options.
const MAX_BLOCKS: usize = 4;
/// RFC 9293, 3.7.1.
const DEFAULT_MSS: u16 = 536;

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

    /// Its TCP header, if it has a whole one.
    #[must_use]
    pub fn segment(&self) -> Option<Segment> {
        let header = usize::from(*self.body.get(12)? >> 4) * 4;
        let options = self.body.get(TCP_HEADER..header)?;
        let flags = self.body[13];
        let number = |at: usize| Some(u32::from_be_bytes(*self.body.get(at..)?.first_chunk()?));
        let ack = number(8)?;
        let (blocks, count) =
            option(options, SACK).map_or_else(Default::default, |at| blocks(&options[at]));
        Some(Segment {
            flags,
            sequence: number(4)?,
            ack,
            window: u16::from_be_bytes(*self.body.get(14..)?.first_chunk()?),
            blocks,
            count,
            scale: option(options, WINDOW_SCALE)
                .and_then(|at| options[at].first())
                .map(|&scale| scale.min(MAX_SCALE)),
            permits_sack: option(options, SACK_PERMITTED).is_some(),
            mss: option(options, MSS)
                .and_then(|at| options[at].first_chunk().copied())
                .map_or(DEFAULT_MSS, u16::from_be_bytes),
            payload: self.body.len() - header,
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

fn pseudo(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> u64 {
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

/// Write an acknowledgement without data behind its vnet_hdr; the plane completes its checksum.
pub fn write_ack(out: &mut Vec<u8>, flow: &Flow, sequence: u32, ack: u32, window: u16) {
    write_tcp(out, flow, sequence, ack, window, [&[], &[]], usize::MAX);
}

/// Write a segment whose payload is in two parts behind its vnet_hdr; the plane cuts it into segments of `size`
/// bytes, and completes their checksums.
pub fn write_tcp(
    out: &mut Vec<u8>,
    flow: &Flow,
    sequence: u32,
    ack: u32,
    window: u16,
    payload: [&[u8]; 2],
    size: usize,
) {
    let is_v4 = flow.local.is_ipv4();
    let length = TCP_HEADER + payload.iter().map(|part| part.len()).sum::<usize>();
    let is_long = length - TCP_HEADER > size;
    let kind = if is_v4 { GSO_TCPV4 } else { GSO_TCPV6 };
    let header = VnetHeader {
        flags: NEEDS_CSUM,
        gso_type: if is_long { kind } else { GSO_NONE },
        hdr_len: (ip_header(is_v4) + TCP_HEADER) as u16,
        gso_size: if is_long { size as u16 } else { 0 },
        csum_start: ip_header(is_v4) as u16,
        csum_offset: TCP_CHECKSUM as u16,
    };
    out.extend_from_slice(&header.to_bytes());
    let (source, destination) = (flow.local.ip(), flow.remote.ip());
    write_ip(out, source, destination, TCP, length);
    for port in [flow.local.port(), flow.remote.port()] {
        out.extend_from_slice(&port.to_be_bytes());
    }
    for number in [sequence, ack] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&[(TCP_HEADER as u8 / 4) << 4, ACK]);
    out.extend_from_slice(&window.to_be_bytes());
    let partial = checksum::fold(pseudo(source, destination, TCP, length));
    out.extend_from_slice(&partial.to_be_bytes());
    out.extend_from_slice(&[0; 2]);
    payload
        .into_iter()
        .for_each(|part| out.extend_from_slice(part));
}

/// Replace the window field of a TCP segment behind its vnet_hdr. Its checksum is verified before.
pub fn replace_window(packet: &mut [u8], window: u16) {
    let inner = packet.get_mut(VNET_HEADER..).unwrap_or_default();
    let at = Transport::find(inner).map(|transport| transport.at + 14);
    if let Some(field) = at.and_then(|at| inner.get_mut(at..)?.first_chunk_mut()) {
        *field = window.to_be_bytes();
    }
}

/// Replace the scale of windows in a SYN behind its vnet_hdr, if it has one.
pub fn replace_scale(packet: &mut [u8], scale: u8) {
    let inner = packet.get_mut(VNET_HEADER..).unwrap_or_default();
    let Some(transport) = Transport::find(inner) else {
        return;
    };
    let options = inner
        .get_mut(transport.at + TCP_HEADER..)
        .unwrap_or_default();
    if let Some(at) = option(options, WINDOW_SCALE)
        && let Some(value) = options[at].first_mut()
    {
        *value = scale;
    }
}

/// Replace the MSS that a SYN announces, behind its vnet_hdr. Its checksum is verified before.
pub fn replace_mss(packet: &mut [u8], mss: u16) {
    let inner = packet.get_mut(VNET_HEADER..).unwrap_or_default();
    let Some(transport) = Transport::find(inner) else {
        return;
    };
    let options = inner
        .get_mut(transport.at + TCP_HEADER..)
        .unwrap_or_default();
    if let Some(value) = option(options, MSS).and_then(|at| options.get_mut(at)?.first_chunk_mut())
    {
        *value = mss.to_be_bytes();
    }
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

fn write_ip(out: &mut Vec<u8>, source: IpAddr, destination: IpAddr, protocol: u8, length: usize) {
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

/// The blocks of a SACK option (RFC 2018, 3), and their number.
fn blocks(value: &[u8]) -> ([(u32, u32); MAX_BLOCKS], usize) {
    let mut blocks = [(0, 0); MAX_BLOCKS];
    let (edges, _) = value.as_chunks::<4>();
    let pairs = edges.chunks_exact(2).map(|block| {
        let [start, end] = [block[0], block[1]].map(u32::from_be_bytes);
        (start, end)
    });
    let count = blocks
        .iter_mut()
        .zip(pairs)
        .map(|(block, pair)| *block = pair)
        .count();
    (blocks, count)
}

impl Segment {
    /// What its sender has received beyond what it acknowledges: from the first number to the one after the last. A
    /// block before `ack` reports a duplicate (RFC 2883).
    #[must_use]
    pub fn selective(&self) -> &[(u32, u32)] {
        &self.blocks[..self.count]
    }
}

/// The range of the value of the first TCP option of this kind.
#[must_use]
pub fn option(options: &[u8], wanted: u8) -> Option<Range<usize>> {
    let mut at = 0;
    loop {
        let length = match *options.get(at..)? {
            [0, ..] | [] => return None,
            [1, ..] => 1,
            [_, length, ..] if length >= 2 => usize::from(length),
            _ => return None,
        };
        let end = at + length;
        if end > options.len() {
            return None;
        }
        if options[at] == wanted {
            return Some(at + 2..end);
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Segment {
        /// An acknowledgement, for the tests of the parts that use it.
        pub fn acknowledging(ack: u32) -> Self {
            Self {
                flags: ACK,
                sequence: 0,
                ack,
                window: 0,
                blocks: Default::default(),
                count: 0,
                scale: None,
                permits_sack: false,
                mss: DEFAULT_MSS,
                payload: 0,
            }
        }

        /// Report a block.
        pub fn add_selective(&mut self, start: u32, end: u32) {
            self.blocks[self.count] = (start, end);
            self.count += 1;
        }
    }

    #[test]
    fn as_many_blocks_are_read_as_there_are() {
        let block = |start: u32, end: u32| [start.to_be_bytes(), end.to_be_bytes()].concat();
        let bytes = [block(1500, 1900), block(1200, 1300)].concat();
        let (found, count) = blocks(&bytes);
        assert_eq!(found[..count], [(1500, 1900), (1200, 1300)]);
        assert_eq!(blocks(&bytes[..15]).1, 1);
        assert_eq!(blocks(&bytes[..7]).1, 0);
        assert_eq!(blocks(&[0; 38]).1, 4);
    }

    #[test]
    fn an_option_is_found_behind_others_and_bogus_lengths_end_the_search() {
        assert_eq!(option(&[1, 1, 4, 2, 2, 4, 5, 0xb4], MSS), Some(6..8));
        for bogus in [
            &[3, 0, 2, 4, 1, 1][..],
            &[3, 1],
            &[3],
            &[0, 2, 4, 1, 1],
            &[2, 9, 1],
        ] {
            assert_eq!(option(bogus, MSS), None);
        }
    }
}
