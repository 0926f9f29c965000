//! Connection tracking: a packet's sender before its address was translated (SNAT, masquerading).
//!
//! Encodes and decodes messages of nfnetlink (linux/netfilter/nfnetlink_conntrack.h). The socket
//! belongs to `icmp_sockets`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use holloway_packet::icmp::Sender;
use holloway_packet::ip;
use holloway_packet::transport::{ICMP, ICMPV6, TCP, Transport, UDP};

/// Room for a query, and for the part of a response that is read.
pub const MAX_MESSAGE: usize = 512;

const NETLINK_HEADER: usize = 16;
const FAMILY_HEADER: usize = 4;
const ATTRIBUTE_HEADER: usize = 4;
const GET: u16 = 1 << 8 | 1; // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
const NEW: u16 = 1 << 8; // IPCTNL_MSG_CT_NEW: the type of the response
const REQUEST: u16 = 1; // NLM_F_REQUEST
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;
const TUPLE_ORIGINAL: u16 = 1; // CTA_TUPLE_ORIG
const TUPLE_REPLY: u16 = 2; // CTA_TUPLE_REPLY
const ADDRESSES: u16 = 1; // CTA_TUPLE_IP
const PROTOCOL: u16 = 2; // CTA_TUPLE_PROTO
const NUMBER: u16 = 1; // CTA_PROTO_NUM
const SOURCE_PORT: u16 = 2; // CTA_PROTO_SRC_PORT
const DESTINATION_PORT: u16 = 3;
const ICMP_ID: u16 = 4; // CTA_PROTO_ICMP_ID; TYPE and CODE follow, and the three of ICMPv6
const ICMPV6_ID: u16 = 7;
const ECHO: u8 = 8;
const ECHO_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// Write a query for the connection whose replies look like replies to `packet`, and return its length.
/// None if connections of its protocol are not looked up: only TCP, UDP and ping are.
#[must_use]
pub fn query(packet: &[u8], message: &mut [u8; MAX_MESSAGE]) -> Option<usize> {
    let transport = Transport::find(packet)?;
    let head = packet.get(transport.at..transport.at + 8)?;
    let from = ip::source(packet)?;
    let to = ip::destination(packet)?;
    let mut writer = Writer { message, length: 0 };
    writer.bytes(&[0; NETLINK_HEADER]);
    let family = if from.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    writer.bytes(&[family as u8, 0, 0, 0]);
    let tuple = writer.begin(TUPLE_REPLY | NESTED);
    let addresses = writer.begin(ADDRESSES | NESTED);
    // The direction of the reply: from this packet's destination.
    for (address, v4) in [(to, 1), (from, 2)] {
        match address {
            IpAddr::V4(address) => writer.attribute(v4, &address.octets()),
            IpAddr::V6(address) => writer.attribute(v4 + 2, &address.octets()),
        }
    }
    writer.end(addresses);
    let protocol = writer.begin(PROTOCOL | NESTED);
    writer.attribute(NUMBER, &[transport.protocol]);
    match (transport.protocol, head[0]) {
        (TCP | UDP, _) => {
            writer.attribute(SOURCE_PORT, &head[2..4]);
            writer.attribute(DESTINATION_PORT, &head[..2]);
        }
        (ICMP, ECHO) => writer.echo(ICMP_ID, &head[4..6], 0),
        (ICMPV6, ECHO_V6) => writer.echo(ICMPV6_ID, &head[4..6], ECHO_REPLY_V6),
        _ => return None,
    }
    writer.end(protocol);
    writer.end(tuple);
    Some(writer.finish())
}

/// The sender of `packet`, according to the kernel's response. None if its address was not translated.
#[must_use]
pub fn sender(packet: &[u8], answer: &[u8]) -> Option<Sender> {
    let kind = u16::from_ne_bytes([*answer.get(4)?, *answer.get(5)?]);
    let body = answer.get(NETLINK_HEADER + FAMILY_HEADER..)?;
    let original = find(body, TUPLE_ORIGINAL).filter(|_| kind == NEW)?;
    let addresses = find(original, ADDRESSES)?;
    let protocol = find(original, PROTOCOL)?;
    let address = match (ip::source(packet)?, find(addresses, 1), find(addresses, 3)) {
        (IpAddr::V4(_), Some(v4), _) => Ipv4Addr::from(*v4.first_chunk::<4>()?).into(),
        (IpAddr::V6(_), _, Some(v6)) => Ipv6Addr::from(*v6.first_chunk::<16>()?).into(),
        _ => return None,
    };
    let port = [SOURCE_PORT, ICMP_ID, ICMPV6_ID]
        .iter()
        .find_map(|&kind| find(protocol, kind)?.first_chunk::<2>().copied());
    let sender = Sender {
        address,
        port: port.map(u16::from_be_bytes),
    };
    // A reply within a connection that the other side opened: the original is not its sender.
    let is_answer = ip::destination(packet) == Some(address);
    (!is_answer && ip::source(packet) != Some(address)).then_some(sender)
}

/// The content of the first attribute of this kind.
fn find(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let header = attributes.first_chunk::<ATTRIBUTE_HEADER>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let content = attributes.get(ATTRIBUTE_HEADER..length)?;
        if u16::from_ne_bytes([header[2], header[3]]) & TYPE_MASK == kind {
            return Some(content);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

/// Writes attributes one after the other. A query always fits.
struct Writer<'a> {
    message: &'a mut [u8; MAX_MESSAGE],
    length: usize,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.message[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        let padded = bytes.len().next_multiple_of(4);
        self.message[self.length + bytes.len()..self.length + padded].fill(0);
        self.length += padded;
    }

    fn attribute(&mut self, kind: u16, content: &[u8]) {
        let length = (ATTRIBUTE_HEADER + content.len()) as u16;
        let [a, b] = length.to_ne_bytes();
        let [c, d] = kind.to_ne_bytes();
        self.bytes(&[a, b, c, d]);
        self.bytes(content);
    }

    fn echo(&mut self, first: u16, id: &[u8], kind: u8) {
        self.attribute(first, id);
        self.attribute(first + 1, &[kind]);
        self.attribute(first + 2, &[0]);
    }

    fn begin(&mut self, kind: u16) -> usize {
        let at = self.length;
        self.attribute(kind, &[]);
        at
    }

    fn end(&mut self, at: usize) {
        let length = (self.length - at) as u16;
        self.message[at..at + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn finish(self) -> usize {
        self.message[..4].copy_from_slice(&(self.length as u32).to_ne_bytes());
        self.message[4..6].copy_from_slice(&GET.to_ne_bytes());
        self.message[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
        self.length
    }
}

#[cfg(test)]
pub mod tests;
