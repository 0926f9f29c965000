//! The UDP sockets of a device: IPv4 and IPv6 on one port, and of each family one for data and two for
//! everything else, so that a flood of handshake messages fills no queue that others need.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::bpf::{branch, statement};
use crate::cookie::{COOKIE_REPLY, INITIATION, INITIATION_SIZE, RESPONSE};
use crate::mac::MAC;
use crate::session::TRANSPORT;
use crate::udp::Udp;

/// How often binding tries another ephemeral port if the number is taken for IPv6.
const PORT_ATTEMPTS: usize = 16;

/// The sockets of one port, of at least one family.
#[derive(Debug)]
pub struct Sockets {
    /// IPv4, if the system has it.
    pub v4: Option<Pair>,
    /// IPv6, if the system has it.
    pub v6: Option<Pair>,
    /// The port of all.
    pub port: u16,
}

/// The sockets of one family.
///
/// The kernel may join datagrams of one sender to a train, and sorts it by its first datagram. So either
/// socket can have messages of any type.
#[derive(Debug)]
pub struct Pair {
    /// Receives trains that begin with a transport message. All that the brain and the shard send leaves here.
    pub data: Udp,
    /// Receive all others: one what anybody can send, the other what only those send who had a message
    /// from us. Empty where the kernel cannot sort them: `data` receives all then.
    pub handshakes: Vec<Udp>,
}

impl Sockets {
    /// Open all on `port`, 0 for any.
    pub fn bind(port: u16, mark: u32) -> io::Result<Self> {
        let mut attempts = PORT_ATTEMPTS;
        loop {
            attempts -= 1;
            match Self::bind_once(port, mark) {
                Err(error) if port == 0 && attempts > 0 && in_use(&error) => {}
                result => return result,
            }
        }
    }

    fn bind_once(port: u16, mark: u32) -> io::Result<Self> {
        let v4 = present(Udp::bind((Ipv4Addr::UNSPECIFIED, port).into(), mark))?;
        let bound = match &v4 {
            Some(socket) => socket.address()?.port(),
            None => port,
        };
        let v6 = present(Udp::bind((Ipv6Addr::UNSPECIFIED, bound).into(), mark))?;
        let port = match (&v4, &v6) {
            (None, Some(socket)) => socket.address()?.port(),
            (None, None) => return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
            _ => bound,
        };
        let pair = |data: Udp| Pair::new(data, mark);
        Ok(Self {
            v4: v4.map(pair),
            v6: v6.map(pair),
            port,
        })
    }

    /// Change the mark of sent packets.
    pub fn set_mark(&self, mark: u32) -> io::Result<()> {
        self.all().try_for_each(|socket| socket.set_mark(mark))
    }

    /// The socket that sends to an address.
    #[must_use]
    pub fn toward(&self, remote: &SocketAddr) -> Option<&Udp> {
        let pair = match remote {
            SocketAddr::V4(_) => &self.v4,
            SocketAddr::V6(_) => &self.v6,
        };
        pair.as_ref().map(|pair| &pair.data)
    }

    /// The sockets that exist.
    pub fn all(&self) -> impl Iterator<Item = &Udp> {
        let pairs = self.v4.iter().chain(&self.v6);
        pairs.map(|pair| &pair.data).chain(self.handshakes())
    }

    /// Those for everything but data.
    pub fn handshakes(&self) -> impl Iterator<Item = &Udp> {
        let pairs = self.v4.iter().chain(&self.v6);
        pairs.flat_map(|pair| &pair.handshakes)
    }
}

impl Pair {
    fn new(data: Udp, mark: u32) -> Self {
        let handshakes = data.share(mark, 2, &program()).unwrap_or_default();
        Self { data, handshakes }
    }
}

/// The index of a socket in the group of its family.
const DATA: u32 = 0;
/// Initiations without a cookie, and what is no message of WireGuard.
const STRANGERS: u32 = 1;
/// Responses, cookie replies, and initiations with a cookie, which may be none.
const ANSWERS: u32 = 2;

/// Where mac2 of an initiation begins. It is zero without a cookie (paper, 5.4.4).
const MAC2: usize = INITIATION_SIZE - MAC;

/// The classic BPF program that sorts datagrams. It sees the payload.
fn program() -> [libc::sock_filter; 12] {
    let equals =
        |k: u8, then, or_else| branch(libc::BPF_JMP | libc::BPF_JEQ, k.into(), then, or_else);
    let load = libc::BPF_LD | libc::BPF_ABS;
    [
        statement(load | libc::BPF_B, 0),
        equals(TRANSPORT, 7, 0),
        equals(RESPONSE, 8, 0),
        equals(COOKIE_REPLY, 7, 0),
        equals(INITIATION, 0, 5),
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0),
        branch(libc::BPF_JMP | libc::BPF_JGE, INITIATION_SIZE as u32, 0, 3),
        statement(load | libc::BPF_W, MAC2 as u32),
        equals(0, 1, 2),
        statement(libc::BPF_RET, DATA),
        statement(libc::BPF_RET, STRANGERS),
        statement(libc::BPF_RET, ANSWERS),
    ]
}

/// Turn the error of an address family that the system lacks or has disabled into None.
fn present(result: io::Result<Udp>) -> io::Result<Option<Udp>> {
    match result {
        Ok(socket) => Ok(Some(socket)),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL) => Ok(None),
            _ => Err(error),
        },
    }
}

fn in_use(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EADDRINUSE)
}

#[cfg(test)]
mod tests;
