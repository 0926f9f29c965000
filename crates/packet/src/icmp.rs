//! ICMP errors for packets that cannot be delivered: which packets get one, and its contents.
//!
//! The kernel's device sends host unreachable (device.c, wg_xmit). RFC 1122, 3.2.2, and RFC 4443, 2.4,
//! say which packets never get an error (kernel: net/ipv4/icmp.c, net/ipv6/icmp.c).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::checksum;
use crate::ip::{self, IPV4_HEADER, IPV6_HEADER};
use crate::transport::{ICMP, ICMPV6, Transport};

/// The longest message: an ICMPv6 error may fill the minimum MTU of IPv6 (RFC 4443, 2.4 (c)).
pub const MAX_MESSAGE: usize = 1280 - IPV6_HEADER;

const HEADER: usize = 8;
/// An ICMP error for IPv4 is no longer than 576 bytes (RFC 1812, 4.3.2.3).
const MAX_MESSAGE_V4: usize = 576 - IPV4_HEADER;
const HOST_UNREACHABLE: [u8; 2] = [3, 1];
const ADDRESS_UNREACHABLE: [u8; 2] = [1, 3];
/// ICMP types of IPv4 that are not errors (kernel icmp.c: icmp_pointers).
const QUERIES_V4: [u8; 10] = [0, 8, 9, 10, 13, 14, 15, 16, 17, 18];
const REDIRECT_V6: u8 = 137;

/// The sender's address and port before address translation; an error quotes the packet with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its address.
    pub address: IpAddr,
    /// Its port, or the identifier of its ICMP query. None if the protocol has neither.
    pub port: Option<u16>,
}

/// The host that gets an error for `packet`. None if there must be no error.
#[must_use]
pub fn answerable(packet: &[u8]) -> Option<IpAddr> {
    let source = ip::source(packet)?;
    let destination = ip::destination(packet)?;
    let transport = Transport::find(packet)?;
    let kind = packet.get(transport.at).copied();
    let may = is_host(source)
        && !is_group(destination)
        && match transport.protocol {
            ICMP if source.is_ipv4() => kind.is_some_and(|kind| QUERIES_V4.contains(&kind)),
            ICMPV6 if source.is_ipv6() => {
                kind.is_some_and(|kind| kind >= 128 && kind != REDIRECT_V6)
            }
            _ => true,
        };
    may.then_some(source)
}

/// Write the error for `packet`, which is `answerable`, and return its length. The ICMPv6 checksum is
/// left to the kernel, which knows the addresses (RFC 3542, 3.1).
pub fn host_unreachable(
    packet: &[u8],
    sender: Option<Sender>,
    message: &mut [u8; MAX_MESSAGE],
) -> usize {
    let is_v4 = packet.first().is_some_and(|first| first >> 4 == 4);
    let most = if is_v4 { MAX_MESSAGE_V4 } else { MAX_MESSAGE };
    let length = most.min(HEADER + packet.len());
    let message = &mut message[..length];
    message[..HEADER].fill(0);
    message[HEADER..].copy_from_slice(&packet[..length - HEADER]);
    if let Some(sender) = sender {
        restore(&mut message[HEADER..], sender);
    }
    if is_v4 {
        message[..2].copy_from_slice(&HOST_UNREACHABLE);
        let checksum = !checksum::fold(checksum::sum(message));
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
    } else {
        message[..2].copy_from_slice(&ADDRESS_UNREACHABLE);
    }
    length
}

/// Whether an error can be sent to this address: it must name one host, and not the local one.
fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.octets()[0] != 0 && !v4.is_loopback() && v4 < Ipv4Addr::new(224, 0, 0, 0)
        }
        IpAddr::V6(v6) => v6 != Ipv6Addr::UNSPECIFIED && !v6.is_loopback() && !v6.is_multicast(),
    }
}

fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Restore the sender's own address and port in the packet quoted to it, so that it recognizes the
/// packet. (The kernel restores the address alone: icmp.c, icmp_ndo_send.)
fn restore(packet: &mut [u8], sender: Sender) {
    let Some(transport) = Transport::find(packet) else {
        return;
    };
    let is_query = matches!(transport.protocol, ICMP | ICMPV6);
    let at = transport.at + if is_query { 4 } else { 0 };
    if let (Some(port), Some(place)) = (sender.port, packet.get_mut(at..at + 2)) {
        place.copy_from_slice(&port.to_be_bytes());
    }
    match (sender.address, packet[0] >> 4) {
        (IpAddr::V4(address), 4) => {
            packet[12..16].copy_from_slice(&address.octets());
            checksum::write_ipv4_header(&mut packet[..transport.at]);
        }
        (IpAddr::V6(address), 6) => packet[8..24].copy_from_slice(&address.octets()),
        _ => {}
    }
}
