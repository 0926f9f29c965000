//! A UDP socket: trains of datagrams in one call (UDP_SEGMENT and UDP_GRO), local addresses, traffic
//! class and mark. It knows no peers. `sockets` opens those of a device.
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, socklen_t};

use crate::cmsg::CmsgBuffer;
use crate::endpoint::Endpoint;

/// The longest UDP payload over IPv4, and the limit of one send.
pub const MAX_PAYLOAD: usize = 65507;

/// How many segments one send may have: kernels before 6.9 accept 64 (linux/udp.h).
pub const MAX_SEGMENTS: usize = 64;

/// Room for one receive: GRO collects up to the length of an IP packet.
pub const RECEIVE_SIZE: usize = 65536;

/// 16 MiB. With the default of 212 KiB, TCP inside the tunnel has losses whenever this thread has to
/// wait; with 4 MiB, still when four streams with full windows (tcp_rmem: 6 MiB each) come at once.
const DATA_BUFFER: c_int = 16 << 20;

/// Some 10,000 handshake messages, which the thread judges in 30 ms: so long it may have to wait for a
/// processor during a flood.
const HANDSHAKE_BUFFER: c_int = 8 << 20;

/// Where the drops are among a socket's figures.
const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;

/// One socket.
#[derive(Debug)]
pub struct Udp {
    fd: OwnedFd,
    v4: bool,
    segments: AtomicBool,
}

/// A received train of datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Train {
    /// Its length in bytes.
    pub length: usize,
    /// The length of each datagram except the last, which may be shorter.
    pub segment: usize,
    /// Its source, and the local address that it came to.
    pub from: Endpoint,
    /// The traffic class of the IP header.
    pub class: u8,
    /// The datagram was longer than the buffer.
    pub truncated: bool,
}

impl Udp {
    /// Bind one, and fail if another socket has the port.
    pub(crate) fn bind(address: SocketAddr, mark: u32) -> io::Result<Self> {
        let udp = Self::open(&address, mark, DATA_BUFFER)?;
        udp.bind_to(&address)?;
        Ok(udp)
    }

    /// Set whether others may bind to the same port. This one was bound alone, so the port is nobody
    /// else's. Programs of other users cannot join it.
    pub(crate) fn set_shared(&self, shared: bool) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_REUSEPORT, shared.into())
    }

    /// Bind another one to the same port, for data.
    pub(crate) fn join_for_data(&self, mark: u32) -> io::Result<Self> {
        self.join(Self::open(&self.address()?, mark, DATA_BUFFER)?)
    }

    /// Bind another one to the same port, for handshake messages.
    pub(crate) fn join_for_handshakes(&self, mark: u32) -> io::Result<Self> {
        let other = Self::open(&self.address()?, mark, HANDSHAKE_BUFFER)?;
        other.never_fragment()?;
        self.join(other)
    }

    fn join(&self, other: Self) -> io::Result<Self> {
        other.set_shared(true)?;
        other.bind_to(&self.address()?)?;
        Ok(other)
    }

    /// Let a classic BPF program choose which socket of the port gets a datagram (socket(7),
    /// SO_ATTACH_REUSEPORT_CBPF). It returns 0 for the first that was bound, 1 for the second, and so on.
    pub(crate) fn steer(&self, program: &[libc::sock_filter]) -> io::Result<()> {
        self.attach(libc::SO_ATTACH_REUSEPORT_CBPF, program)
    }

    /// Accept only datagrams for which a classic BPF program does not return 0 (socket(7), SO_ATTACH_FILTER).
    pub(crate) fn accept(&self, program: &[libc::sock_filter]) -> io::Result<()> {
        self.attach(libc::SO_ATTACH_FILTER, program)
    }

    /// Accept all datagrams again.
    pub(crate) fn accept_all(&self) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0)
    }

    fn attach(&self, option: c_int, program: &[libc::sock_filter]) -> io::Result<()> {
        let program = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_ptr().cast_mut(),
        };
        let fd = self.fd.as_raw_fd();
        let (at, size) = (
            (&raw const program).cast(),
            size_of_val(&program) as socklen_t,
        );
        // SAFETY: `program` is a sock_fprog of `size` bytes; the kernel copies the filter that it points to.
        check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, at, size) })?;
        Ok(())
    }

    /// How many datagrams were not accepted or found no room so far; wraps around.
    pub(crate) fn dropped(&self) -> io::Result<u32> {
        let mut figures = [0_u32; DROPS + 1];
        let mut size = size_of_val(&figures) as socklen_t;
        let (fd, at) = (self.fd.as_raw_fd(), figures.as_mut_ptr().cast());
        // SAFETY: `figures` has room for `size` bytes; the kernel fills in no more.
        check(unsafe {
            libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_MEMINFO, at, &raw mut size)
        })?;
        Ok(figures[DROPS])
    }

    fn open(address: &SocketAddr, mark: u32, buffer: c_int) -> io::Result<Self> {
        let v4 = address.is_ipv4();
        let family = if v4 { libc::AF_INET } else { libc::AF_INET6 };
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no pointers; the result is checked before it is owned.
        let fd = check(unsafe { libc::socket(family, kind, 0) })?;
        let udp = Self {
            // SAFETY: `fd` is new and nobody else owns it.
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
            v4,
            segments: AtomicBool::new(true),
        };
        udp.configure(mark, buffer)?;
        Ok(udp)
    }

    fn bind_to(&self, address: &SocketAddr) -> io::Result<()> {
        let (name, length) = encode(address);
        let fd = self.fd.as_raw_fd();
        // SAFETY: `name` holds a socket address of `length` bytes.
        check(unsafe { libc::bind(fd, (&raw const name).cast(), length) })?;
        Ok(())
    }

    fn configure(&self, mark: u32, buffer: c_int) -> io::Result<()> {
        if self.v4 {
            self.set(libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
            self.set(libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
            // Like the kernel's WireGuard: packets that are too long for the path are fragmented.
            let never = libc::IP_PMTUDISC_DONT;
            self.set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, never)?;
        } else {
            self.set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
            self.set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
            self.set(libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
            let never = libc::IPV6_PMTUDISC_DONT;
            self.set(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, never)?;
        }
        // Old kernels lack it; datagrams come one at a time then.
        let _ = self.set(libc::SOL_UDP, libc::UDP_GRO, 1);
        for (forced, asked) in [
            (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
            (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
        ] {
            let forced = self.set(libc::SOL_SOCKET, forced, buffer);
            forced.or_else(|_| self.set(libc::SOL_SOCKET, asked, buffer))?;
        }
        if mark != 0 {
            self.set_mark(mark)?;
        }
        Ok(())
    }

    /// Send short datagrams only: the kernel then chooses no identification for their fragments, which
    /// costs more than the rest of its IPv4 header.
    fn never_fragment(&self) -> io::Result<()> {
        if self.v4 {
            let probe = libc::IP_PMTUDISC_PROBE;
            self.set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, probe)?;
        }
        Ok(())
    }

    /// Change the mark of sent packets.
    pub(crate) fn set_mark(&self, mark: u32) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_MARK, mark.cast_signed())
    }

    /// The mark of sent packets.
    #[cfg(test)]
    pub(crate) fn mark(&self) -> io::Result<u32> {
        let (mut mark, mut size) = (0_u32, size_of::<u32>() as socklen_t);
        let (fd, at) = (self.fd.as_raw_fd(), (&raw mut mark).cast());
        // SAFETY: `mark` has room for `size` bytes; the kernel fills in no more.
        check(unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_MARK, at, &raw mut size) })?;
        Ok(mark)
    }

    fn set(&self, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
        let fd = self.fd.as_raw_fd();
        let size = size_of::<c_int>() as socklen_t;
        // SAFETY: `value` is an int and `size` its size.
        check(unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), size) })?;
        Ok(())
    }

    /// The local address and port.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        // SAFETY: zeros are a valid sockaddr_storage.
        let mut name: libc::sockaddr_storage = unsafe { zeroed() };
        let mut length = size_of_val(&name) as socklen_t;
        let (fd, at) = (self.fd.as_raw_fd(), (&raw mut name).cast());
        // SAFETY: `name` has room for `length` bytes.
        check(unsafe { libc::getsockname(fd, at, &raw mut length) })?;
        decode(&name).ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
    }

    /// Whether it is a socket of IPv4.
    pub(crate) const fn is_v4(&self) -> bool {
        self.v4
    }

    /// Whether one send may have several datagrams.
    #[must_use]
    pub fn gso_enabled(&self) -> bool {
        self.segments.load(Ordering::Relaxed)
    }

    /// Send datagrams one at a time from now on, because the network device cannot cut them.
    pub fn disable_gso(&self) {
        self.segments.store(false, Ordering::Relaxed);
    }

    /// Send `data`, cut into datagrams of `segment` bytes if it is longer.
    pub fn send(&self, to: &Endpoint, class: u8, data: &[u8], segment: usize) -> io::Result<()> {
        let mut cmsg = self.cmsg(to, class, data, segment);
        let (mut name, length) = encode(&to.remote);
        let mut part = libc::iovec {
            iov_base: data.as_ptr().cast_mut().cast(),
            iov_len: data.len(),
        };
        let message = message(&mut name, length, &mut part, &mut cmsg);
        // SAFETY: `message` points to `name`, `part` and `control`, which outlive the call;
        // sendmsg only reads `data`.
        check(unsafe { libc::sendmsg(self.fd.as_raw_fd(), &raw const message, 0) } as c_int)?;
        Ok(())
    }

    /// The control messages of a send.
    pub(crate) fn cmsg(&self, to: &Endpoint, class: u8, data: &[u8], segment: usize) -> CmsgBuffer {
        let mut cmsg = CmsgBuffer::new();
        if data.len() > segment {
            cmsg.push_segment(u16::try_from(segment).unwrap_or(u16::MAX));
        }
        if class != 0 {
            cmsg.push_class(self.v4, class);
        }
        if let Some(local) = to.local {
            cmsg.push_local(local.address);
        }
        cmsg
    }
}

impl Train {
    /// Decode what a receive has filled in. None if the sender's address family is unknown.
    pub(crate) fn of(
        name: &libc::sockaddr_storage,
        cmsg: &CmsgBuffer,
        length: usize,
        flags: c_int,
    ) -> Option<Self> {
        let received = cmsg.received();
        Some(Self {
            length,
            segment: received.segment.filter(|&size| size > 0).unwrap_or(length),
            from: Endpoint {
                remote: decode(name)?,
                local: received.local,
            },
            class: received.class,
            truncated: flags & libc::MSG_TRUNC != 0,
        })
    }
}

impl AsRawFd for Udp {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// A message header that points to the arguments, which must outlive it.
pub(crate) fn message(
    name: &mut libc::sockaddr_storage,
    length: socklen_t,
    part: &mut libc::iovec,
    cmsg: &mut CmsgBuffer,
) -> libc::msghdr {
    let (messages, size) = cmsg.raw();
    // SAFETY: zeros are a valid msghdr (musl pads it, so it cannot be written out).
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_name = std::ptr::from_mut(name).cast();
    message.msg_namelen = length;
    message.msg_iov = part;
    message.msg_iovlen = 1;
    if size > 0 {
        message.msg_control = messages.cast();
        message.msg_controllen = size as _;
    }
    message
}

pub(crate) fn encode(address: &SocketAddr) -> (libc::sockaddr_storage, socklen_t) {
    // SAFETY: zeros are a valid sockaddr_storage.
    let mut name: libc::sockaddr_storage = unsafe { zeroed() };
    let at = &raw mut name;
    match address {
        SocketAddr::V4(address) => {
            let at = at.cast::<libc::sockaddr_in>();
            // SAFETY: sockaddr_storage has room and alignment for every socket address.
            let to = unsafe { &mut *at };
            to.sin_family = libc::AF_INET as libc::sa_family_t;
            to.sin_port = address.port().to_be();
            to.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
            (name, size_of::<libc::sockaddr_in>() as socklen_t)
        }
        SocketAddr::V6(address) => {
            let at = at.cast::<libc::sockaddr_in6>();
            // SAFETY: as above.
            let to = unsafe { &mut *at };
            to.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            to.sin6_port = address.port().to_be();
            to.sin6_addr.s6_addr = address.ip().octets();
            to.sin6_scope_id = address.scope_id();
            (name, size_of::<libc::sockaddr_in6>() as socklen_t)
        }
    }
}

fn decode(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let at = std::ptr::from_ref(name);
    match c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in.
            let from = unsafe { &*at.cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from(from.sin_addr.s_addr.to_ne_bytes());
            Some((address, u16::from_be(from.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a sockaddr_in6.
            let from = unsafe { &*at.cast::<libc::sockaddr_in6>() };
            let address = Ipv6Addr::from(from.sin6_addr.s6_addr);
            let port = u16::from_be(from.sin6_port);
            Some(SocketAddrV6::new(address, port, 0, from.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
