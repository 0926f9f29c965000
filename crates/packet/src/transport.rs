//! The transport header: its protocol and offset in a packet, and the layout of TCP and UDP headers.

use crate::ip::{IPV4_HEADER, IPV6_HEADER};

/// Protocol number of ICMP for IPv4.
pub const ICMP: u8 = 1;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of ICMP for IPv6.
pub const ICMPV6: u8 = 58;

/// Length of a TCP header without options.
pub const TCP_HEADER: usize = 20;
/// Length of a UDP header.
pub const UDP_HEADER: usize = 8;
/// Offset of the checksum in a TCP header.
pub const TCP_CHECKSUM: usize = 16;
/// Offset of the checksum in a UDP header.
pub const UDP_CHECKSUM: usize = 6;

const IPV4_FRAGMENT_OFFSET: u16 = 0x1fff;

/// The transport header of a whole packet or of a first fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Its protocol.
    pub protocol: u8,
    /// Its offset in the packet.
    pub at: usize,
}

impl Transport {
    /// Find the transport header of a packet. None if the packet is malformed or a later fragment.
    #[must_use]
    pub fn find(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => find_v4(packet),
            6 => find_v6(packet),
            _ => None,
        }
    }
}

/// Offset of the checksum in the header of `TCP` or `UDP`.
#[inline]
#[must_use]
pub const fn checksum_offset(protocol: u8) -> usize {
    if protocol == TCP {
        TCP_CHECKSUM
    } else {
        UDP_CHECKSUM
    }
}

fn find_v4(packet: &[u8]) -> Option<Transport> {
    let header = packet.get(..IPV4_HEADER)?;
    let length = usize::from(header[0] & 15) * 4;
    let fragment = u16::from_be_bytes([header[6], header[7]]) & IPV4_FRAGMENT_OFFSET;
    let has_transport = length >= IPV4_HEADER && length <= packet.len() && fragment == 0;
    has_transport.then_some(Transport {
        protocol: header[9],
        at: length,
    })
}

/// Skip the extension headers (RFC 8200, 4).
fn find_v6(packet: &[u8]) -> Option<Transport> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const OPTIONS: u8 = 60;
    let mut protocol = *packet.get(..IPV6_HEADER)?.get(6)?;
    let mut at = IPV6_HEADER;
    loop {
        let length = match protocol {
            HOP_BY_HOP | ROUTING | OPTIONS => (usize::from(*packet.get(at + 1)?) + 1) * 8,
            AUTHENTICATION => (usize::from(*packet.get(at + 1)?) + 2) * 4,
            FRAGMENT => {
                let offset = packet.get(at + 2..at + 4)?;
                if u16::from_be_bytes([offset[0], offset[1]]) >> 3 != 0 {
                    return None;
                }
                8
            }
            _ => return Some(Transport { protocol, at }),
        };
        protocol = *packet.get(at)?;
        at += length;
    }
}
