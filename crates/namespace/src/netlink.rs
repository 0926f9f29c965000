//! The rtnetlink requests that a new interface needs (linux/rtnetlink.h, netlink.h).

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use crate::answer::{acknowledged, is_local_route};
use crate::system;

/// An rtnetlink socket of our namespace.
pub struct Netlink(OwnedFd);

/// A message under construction.
struct Message(Vec<u8>);

impl Netlink {
    /// Open it.
    pub fn open() -> io::Result<Self> {
        let socket = system::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
        Ok(Self(socket))
    }

    /// Bring a link up.
    pub fn up(&self, link: u32) -> io::Result<()> {
        self.change(Message::link(link, IFF_UP, IFF_UP))
    }

    /// Clear flags of a link.
    pub fn clear(&self, link: u32, flags: u32) -> io::Result<()> {
        self.change(Message::link(link, 0, flags))
    }

    /// Set a numeric attribute of a link, such as the MTU.
    pub fn set(&self, link: u32, attribute: u16, value: u32) -> io::Result<()> {
        self.change(Message::link(link, 0, 0).attribute(attribute, &value.to_ne_bytes()))
    }

    /// Make the kernel assign no link-local address.
    pub fn without_link_local(&self, link: u32) -> io::Result<()> {
        let mode = attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
        let family = attribute(libc::AF_INET6 as u16, &mode);
        self.change(Message::link(link, 0, 0).attribute(IFLA_AF_SPEC, &family))
    }

    /// Set a link's queueing discipline to none.
    pub fn without_queue(&self, link: u32) -> io::Result<()> {
        // struct tcmsg: family and padding, index, handle, parent, info.
        let mut body = vec![0; 4];
        for word in [link, 0, TC_H_ROOT, 0] {
            body.extend(word.to_ne_bytes());
        }
        let message = Message::new(libc::RTM_NEWQDISC, ACKNOWLEDGE | CREATE | REPLACE, &body);
        self.change(message.attribute(TCA_KIND, b"noqueue\0"))
    }

    /// Add an address to a link. An existing address is not an error.
    pub fn add_address(&self, link: u32, address: IpAddr, length: u8) -> io::Result<()> {
        // struct ifaddrmsg: family, prefix length, flags, scope, index.
        let mut body = vec![family(address), length, IFA_F_NODAD, 0];
        body.extend(link.to_ne_bytes());
        let packed = octets(address);
        let message = Message::new(libc::RTM_NEWADDR, ADD, &body)
            .attribute(IFA_LOCAL, &packed)
            .attribute(IFA_ADDRESS, &packed);
        match self.change(message) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            result => result,
        }
    }

    /// Whether packets to an address are delivered locally. For IPv6 this is the case some time after the
    /// address is added, when a worker of the kernel has processed it (addrconf.c, addrconf_dad_work).
    pub fn receives(&self, address: IpAddr) -> io::Result<bool> {
        let packed = octets(address);
        let length = u8::try_from(packed.len() * 8).unwrap_or(u8::MAX);
        let mut body = vec![family(address), length, 0, 0, 0, 0, 0, 0];
        body.extend(0u32.to_ne_bytes());
        // No acknowledgement: the response is the route.
        let message = Message::new(libc::RTM_GETROUTE, 0, &body).attribute(RTA_DST, &packed);
        system::send(&self.0, &message.finished())?;
        let mut buffer = [0; 4096];
        let answer = system::receive(&self.0, &mut buffer)?;
        Ok(is_local_route(answer))
    }

    /// Add a default route of one family to a link.
    pub fn add_default_route(&self, link: u32, family: u8) -> io::Result<()> {
        // struct rtmsg: family, lengths, tos, table, protocol, scope, type, flags.
        let scope = if family == V4 { RT_SCOPE_LINK } else { 0 };
        let mut body = vec![
            family,
            0,
            0,
            0,
            RT_TABLE_MAIN,
            RTPROT_BOOT,
            scope,
            RTN_UNICAST,
        ];
        body.extend(0u32.to_ne_bytes());
        let message = Message::new(libc::RTM_NEWROUTE, ADD, &body);
        self.change(message.attribute(RTA_OIF, &link.to_ne_bytes()))
    }

    /// Send a request and receive its acknowledgement.
    fn change(&self, message: Message) -> io::Result<()> {
        system::send(&self.0, &message.finished())?;
        let mut buffer = [0; 4096];
        acknowledged(system::receive(&self.0, &mut buffer)?)
    }
}

impl Message {
    fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; 4]; // the length, written at the end
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((REQUEST | flags).to_ne_bytes());
        bytes.extend([0; 8]); // sequence and port: not needed for one request at a time
        bytes.extend(body);
        Self(bytes)
    }

    fn link(index: u32, flags: u32, change: u32) -> Self {
        // struct ifinfomsg: family and padding, type, index, flags, change.
        let mut body = vec![0; 4];
        for word in [index, flags, change] {
            body.extend(word.to_ne_bytes());
        }
        Self::new(libc::RTM_NEWLINK, ACKNOWLEDGE, &body)
    }

    fn attribute(mut self, name: u16, value: &[u8]) -> Self {
        self.0.extend(attribute(name, value));
        self
    }

    fn finished(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// One attribute, padded to four bytes.
fn attribute(name: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = Vec::from(length.to_ne_bytes());
    bytes.extend(name.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { V4 } else { V6 }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// AF_INET in messages.
pub const V4: u8 = libc::AF_INET as u8;
/// AF_INET6 in messages.
pub const V6: u8 = libc::AF_INET6 as u8;

/// linux/if_link.h: the MTU.
pub const IFLA_MTU: u16 = 4;
/// The length of the queue.
pub const IFLA_TXQLEN: u16 = 13;
/// The maximum length of a GSO packet.
pub const IFLA_GSO_MAX_SIZE: u16 = 41;
/// linux/if.h: no multicast.
pub const IFF_MULTICAST: u32 = 0x1000;

const REQUEST: u16 = 0x1;
const ACKNOWLEDGE: u16 = 0x4;
const REPLACE: u16 = 0x100;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;
const ADD: u16 = ACKNOWLEDGE | CREATE | EXCLUSIVE;
const IFF_UP: u32 = 0x1;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_F_NODAD: u8 = 0x2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RT_SCOPE_LINK: u8 = 253;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RTN_UNICAST: u8 = 1;
const TCA_KIND: u16 = 1;
const TC_H_ROOT: u32 = 0xFFFF_FFFF;
