//! System calls as safe functions. All unsafe code is here.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use libc::{c_int, c_uint, socklen_t};

/// How many packets one call sends.
pub const BATCH: usize = 64;

/// Let the calling thread enter a network namespace.
pub fn enter_network(namespace: &File) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// A socket that sends packets with their IP headers, to one address.
pub struct RawSocket {
    socket: OwnedFd,
    name: libc::sockaddr_storage,
    length: socklen_t,
}

impl RawSocket {
    /// Open it.
    pub fn open(to: SocketAddr) -> io::Result<Self> {
        let family = match to {
            SocketAddr::V4(_) => libc::AF_INET,
            SocketAddr::V6(_) => libc::AF_INET6,
        };
        // IPPROTO_RAW means that the header is included (raw(7)), for IPv6 too.
        // SAFETY: no pointers.
        let fd = unsafe {
            libc::socket(
                family,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC,
                libc::IPPROTO_RAW,
            )
        };
        check(fd)?;
        // SAFETY: it is new and nobody else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        make_room(&socket)?;
        let (name, length) = encode(to);
        Ok(Self {
            socket,
            name,
            length,
        })
    }

    /// Send packets, at most `BATCH`, until one is refused. Returns how many were sent; fails if the first
    /// one is refused.
    pub fn send(&self, bytes: &[u8], packets: &[Range<usize>]) -> io::Result<usize> {
        // SAFETY: zeros are valid for both.
        let (mut parts, mut messages): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) =
            unsafe { mem::zeroed() };
        let most = packets.len().min(BATCH);
        for (number, packet) in packets[..most].iter().enumerate() {
            let packet = &bytes[packet.clone()];
            parts[number].iov_base = packet.as_ptr().cast_mut().cast();
            parts[number].iov_len = packet.len();
            let header = &mut messages[number].msg_hdr;
            header.msg_name = (&raw const self.name).cast_mut().cast();
            header.msg_namelen = self.length;
            header.msg_iov = &raw mut parts[number];
            header.msg_iovlen = 1;
        }
        let (fd, at) = (self.socket.as_raw_fd(), messages.as_mut_ptr());
        // SAFETY: the first `most` messages point to the name, to parts of their own and to the packets,
        // all of which outlive the call; sendmmsg only reads them.
        check(unsafe { libc::sendmmsg(fd, at, most as c_uint, 0) })
    }
}

/// Give a socket a send buffer that holds more than the kernel queues between two namespaces, so that a
/// receiver without time loses packets, as if they came from a network card, and does not slow the sender.
fn make_room(socket: &OwnedFd) -> io::Result<()> {
    let bytes: c_int = 16 << 20;
    let value = (&raw const bytes).cast();
    let length = size_of_val(&bytes) as socklen_t;
    let (fd, level, name) = (socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUFFORCE);
    // SAFETY: the value is an int, and as long as is said.
    check(unsafe { libc::setsockopt(fd, level, name, value, length) }).map(drop)
}

/// The address without its port, which for a raw socket would be a protocol.
fn encode(to: SocketAddr) -> (libc::sockaddr_storage, socklen_t) {
    // SAFETY: zeros are a valid sockaddr_storage.
    let mut name: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let length = match to {
        SocketAddr::V4(to) => {
            // SAFETY: a sockaddr_storage has room for, and the alignment of, every address.
            let place = unsafe { &mut *(&raw mut name).cast::<libc::sockaddr_in>() };
            place.sin_family = libc::AF_INET as libc::sa_family_t;
            place.sin_addr.s_addr = u32::from_ne_bytes(to.ip().octets());
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(to) => {
            // SAFETY: as above.
            let place = unsafe { &mut *(&raw mut name).cast::<libc::sockaddr_in6>() };
            place.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            place.sin6_addr.s6_addr = to.ip().octets();
            place.sin6_scope_id = to.scope_id();
            size_of::<libc::sockaddr_in6>()
        }
    };
    (name, length as socklen_t)
}

fn check(result: c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
