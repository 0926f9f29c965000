//! The control messages of sendmsg and recvmsg as bytes: segment size, local address, traffic class.
//! The layout is that of cmsg(3), on 32-bit and 64-bit Linux. It makes no system calls.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libc::c_int;

use crate::endpoint::Local;

/// Room for all messages that are sent or requested.
pub const CAPACITY: usize = 128;

/// A message begins with its length in a word, and is padded to whole words (CMSG_ALIGN).
const WORD: usize = size_of::<usize>();
const HEADER: usize = size_of::<libc::cmsghdr>();

/// A buffer of control messages, read or written by the kernel.
#[repr(C, align(8))]
#[derive(Debug)]
pub struct CmsgBuffer {
    bytes: [u8; CAPACITY],
    length: usize,
}

/// The control messages of a received datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The size of each datagram in it except the last, which may be shorter. None if it is a single one.
    pub segment: Option<usize>,
    /// The local address and the interface that it came to.
    pub local: Option<Local>,
    /// The traffic class (TOS) of its IP header.
    pub class: u8,
}

impl CmsgBuffer {
    /// No messages.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; CAPACITY],
            length: 0,
        }
    }

    /// Address and length of the messages, or of the room for them after `reserve`.
    #[must_use]
    pub fn raw(&mut self) -> (*mut u8, usize) {
        (self.bytes.as_mut_ptr(), self.length)
    }

    /// Offer the whole buffer to the kernel. `written` must follow.
    pub fn reserve(&mut self) {
        self.length = CAPACITY;
    }

    /// Set how much the kernel has written.
    pub fn written(&mut self, length: usize) {
        self.length = length.min(CAPACITY);
    }

    /// Make the kernel cut the payload into datagrams of `size` bytes.
    pub fn push_segment(&mut self, size: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
    }

    /// Set the traffic class of the IP header.
    pub fn push_class(&mut self, to_v4: bool, class: u8) {
        let value = c_int::from(class).to_ne_bytes();
        if to_v4 {
            self.push(libc::IPPROTO_IP, libc::IP_TOS, &value);
        } else {
            self.push(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &value);
        }
    }

    /// Send from `local`. The routing table chooses the interface.
    pub fn push_local(&mut self, local: IpAddr) {
        match local {
            IpAddr::V4(address) => {
                // in_pktinfo: interface, address to send from, address of the header (received).
                let mut info = [0; 12];
                info[4..8].copy_from_slice(&address.octets());
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            IpAddr::V6(address) => {
                // in6_pktinfo: address, interface.
                let mut info = [0; 20];
                info[..16].copy_from_slice(&address.octets());
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
        }
    }

    fn push(&mut self, level: c_int, kind: c_int, data: &[u8]) {
        let start = self.length;
        let length = HEADER + data.len();
        let Some(message) = self.bytes.get_mut(start..start + align(length)) else {
            debug_assert!(false, "CAPACITY holds one message of each kind");
            return;
        };
        message.fill(0);
        message[..WORD].copy_from_slice(&length.to_ne_bytes());
        message[HEADER - 8..HEADER - 4].copy_from_slice(&level.to_ne_bytes());
        message[HEADER - 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
        message[HEADER..length].copy_from_slice(data);
        self.length = start + align(length);
    }

    /// Decode what the kernel wrote.
    #[must_use]
    pub fn received(&self) -> Received {
        let mut received = Received::default();
        let mut rest = &self.bytes[..self.length];
        while let Some((level, kind, data)) = next(&mut rest) {
            match (level, kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    received.segment = int(data).and_then(|size| usize::try_from(size).ok());
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let address = data.get(4..).and_then(<[u8]>::first_chunk::<4>);
                    received.local = local(address.map(|&bytes| Ipv4Addr::from(bytes)), data);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let address = data.first_chunk::<16>();
                    let interface = data.get(16..).unwrap_or_default();
                    received.local = local(address.map(|&bytes| Ipv6Addr::from(bytes)), interface);
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => {
                    received.class = data.first().copied().unwrap_or(0);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    received.class = int(data).unwrap_or(0).to_le_bytes()[0];
                }
                _ => {}
            }
        }
        received
    }
}

impl Default for CmsgBuffer {
    fn default() -> Self {
        Self::new()
    }
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<(c_int, c_int, &'a [u8])> {
    let length = usize::from_ne_bytes(*rest.first_chunk()?);
    let data = rest.get(HEADER..length)?;
    let level = int(&rest[HEADER - 8..])?;
    let kind = int(&rest[HEADER - 4..])?;
    *rest = rest.get(align(length)..).unwrap_or_default();
    Some((level, kind, data))
}

fn int(data: &[u8]) -> Option<c_int> {
    Some(c_int::from_ne_bytes(*data.first_chunk()?))
}

fn local(address: Option<impl Into<IpAddr>>, interface: &[u8]) -> Option<Local> {
    Some(Local {
        address: address?.into(),
        interface: int(interface)?.cast_unsigned(),
    })
}

const fn align(length: usize) -> usize {
    length.next_multiple_of(WORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_read_back() {
        let mut cmsg = CmsgBuffer::new();
        let address: IpAddr = "2001:db8::7".parse().expect("an address");
        cmsg.push_segment(1452);
        cmsg.push_class(false, 3);
        cmsg.push_local(address);
        let local = Local {
            address,
            interface: 0,
        };
        let received = cmsg.received();
        assert_eq!((received.local, received.class), (Some(local), 3));
    }

    #[test]
    fn cut_off_messages_are_left_out() {
        let mut cmsg = CmsgBuffer::new();
        cmsg.push_local("192.0.2.1".parse().expect("an address"));
        let (_, whole) = cmsg.raw();
        for length in 0..whole - 4 {
            cmsg.written(length);
            assert_eq!(cmsg.received(), Received::default(), "{length}");
        }
    }
}
