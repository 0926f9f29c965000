//! Fields of the IP header: addresses, length, TOS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Length of an IPv4 header without options.
pub const IPV4_HEADER: usize = 20;
/// Length of the fixed IPv6 header.
pub const IPV6_HEADER: usize = 40;

/// The destination of a packet. None if it has no whole IP header.
#[inline]
#[must_use]
pub fn destination(packet: &[u8]) -> Option<IpAddr> {
    match version(packet) {
        Some(4) => v4(packet, 16),
        Some(6) => v6(packet, 24),
        _ => None,
    }
}

/// The source of a packet. None if it has no whole IP header.
#[inline]
#[must_use]
pub fn source(packet: &[u8]) -> Option<IpAddr> {
    match version(packet) {
        Some(4) => v4(packet, 12),
        Some(6) => v6(packet, 8),
        _ => None,
    }
}

/// The length of a packet without padding behind it (kernel receive.c, wg_packet_consume_data_done).
/// None if the header is malformed or says more than there is.
#[inline]
#[must_use]
pub fn total_length(packet: &[u8]) -> Option<usize> {
    let (least, length) = match version(packet) {
        Some(4) => (IPV4_HEADER, field(packet, 2)),
        Some(6) => (
            IPV6_HEADER,
            field(packet, 4).map(|payload| payload + IPV6_HEADER),
        ),
        _ => return None,
    };
    length.filter(|&length| least <= length && length <= packet.len())
}

/// The TOS or traffic class. 0 if it is not an IP packet.
#[inline]
#[must_use]
pub fn tos(packet: &[u8]) -> u8 {
    match packet {
        [first, second, ..] if first >> 4 == 4 => *second,
        [first, second, ..] if first >> 4 == 6 => first << 4 | second >> 4,
        _ => 0,
    }
}

#[inline]
fn version(packet: &[u8]) -> Option<u8> {
    packet.first().map(|first| first >> 4)
}

#[inline]
fn field(packet: &[u8], at: usize) -> Option<usize> {
    let bytes = packet.get(at..at + 2)?;
    Some(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
}

#[inline]
fn v4(packet: &[u8], at: usize) -> Option<IpAddr> {
    let address = packet.get(..IPV4_HEADER)?.get(at..at + 4)?;
    <[u8; 4]>::try_from(address)
        .ok()
        .map(|address| Ipv4Addr::from(address).into())
}

#[inline]
fn v6(packet: &[u8], at: usize) -> Option<IpAddr> {
    let address = packet.get(..IPV6_HEADER)?.get(at..at + 16)?;
    <[u8; 16]>::try_from(address)
        .ok()
        .map(|address| Ipv6Addr::from(address).into())
}
