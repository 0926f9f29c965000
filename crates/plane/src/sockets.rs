//! The UDP sockets of a device: IPv4 and IPv6 on one port, and of each family one a shard for data and two
//! for everything else, so that a flood of handshake messages fills no queue that others need.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::bpf::{branch, statement};
use crate::cookie::{COOKIE_REPLY, INITIATION, INITIATION_SIZE, RESPONSE};
use crate::mac::MAC;
use crate::session::TRANSPORT;
use crate::udp::Udp;

const BPF_A: u32 = 0x10; // linux/bpf_common.h: the accumulator

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
    mark: AtomicU32,
}

/// The sockets of one family.
///
/// The kernel may join datagrams of one sender to a train, and sorts it by its first datagram. So either
/// socket can have messages of any type.
#[derive(Debug)]
pub struct Pair {
    /// Receive trains that begin with a transport message, one for each shard. What a shard sends leaves by
    /// its own, and what the brain sends by the first.
    pub data: Vec<Udp>,
    /// Receive all others: one what anybody can send, the other what only those send who had a message
    /// from us. Empty where the kernel cannot sort them: the first of `data`
    /// receives all then, and is the only one.
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
            mark: AtomicU32::new(mark),
        })
    }

    /// Open a data socket for each of so many shards. There are fewer where the system refuses one.
    pub fn grow(&mut self, shards: usize) {
        let mark = *self.mark.get_mut();
        for pair in self.v4.iter_mut().chain(&mut self.v6) {
            let _ = pair.grow(mark, shards);
        }
    }

    /// Change the mark of sent packets.
    pub fn set_mark(&self, mark: u32) -> io::Result<()> {
        self.mark.store(mark, Ordering::Relaxed);
        self.all().try_for_each(|socket| socket.set_mark(mark))
    }

    /// The socket by which a shard sends to an address.
    #[must_use]
    pub fn toward(&self, remote: &SocketAddr, shard: usize) -> Option<&Udp> {
        let pair = match remote {
            SocketAddr::V4(_) => &self.v4,
            SocketAddr::V6(_) => &self.v6,
        };
        let sockets = &pair.as_ref()?.data;
        sockets.get(shard).or(sockets.first())
    }

    /// The sockets that exist.
    pub fn all(&self) -> impl Iterator<Item = &Udp> {
        let pairs = self.v4.iter().chain(&self.v6);
        pairs.flat_map(|pair| &pair.data).chain(self.handshakes())
    }

    /// Those for everything but data.
    pub fn handshakes(&self) -> impl Iterator<Item = &Udp> {
        let pairs = self.v4.iter().chain(&self.v6);
        pairs.flat_map(|pair| &pair.handshakes)
    }
}

impl Pair {
    fn new(data: Udp, mark: u32) -> Self {
        let handshakes = match share(&data, mark) {
            Ok(handshakes) => handshakes.into(),
            Err(_) => {
                let _ = data.set_shared(false);
                Vec::new()
            }
        };
        let data = vec![data];
        Self { data, handshakes }
    }

    fn grow(&mut self, mark: u32, shards: usize) -> io::Result<()> {
        while !self.handshakes.is_empty() && self.data.len() < shards {
            let socket = self.data[0].join_for_data(mark)?;
            // The last of the group until then, so nothing changes if the program is refused.
            socket.steer(&program(self.data.len() + 1))?;
            self.data.push(socket);
        }
        Ok(())
    }
}

/// Bind two more sockets to the port, and sort what comes to it.
fn share(data: &Udp, mark: u32) -> io::Result<[Udp; 2]> {
    data.set_shared(true)?;
    let handshakes = [
        data.join_for_handshakes(mark)?,
        data.join_for_handshakes(mark)?,
    ];
    data.steer(&program(1))?;
    Ok(handshakes)
}

/// The index of a socket in the group of its family, in the order of binding. The data sockets of further
/// shards follow.
const DATA: u32 = 0;
/// Initiations without a cookie, and what is no message of WireGuard.
const STRANGERS: u32 = 1;
/// Responses, cookie replies, and initiations with a cookie, which may be none.
const ANSWERS: u32 = 2;
/// From this one on, the index is the shard's number and this.
const FURTHER: u32 = 2;

/// Where the low byte of the receiver's index is in a transport message.
const RECEIVER: u32 = 4;
/// Where mac2 of an initiation begins. It is zero without a cookie (paper, 5.4.4).
const MAC2: usize = INITIATION_SIZE - MAC;

/// The classic BPF program that sorts datagrams. It sees the payload. A shard is the remainder of the low
/// byte of a session's index (`shards`); a program that reads beyond the end returns 0.
fn program(shards: usize) -> Vec<libc::sock_filter> {
    let equals =
        |k: u8, then, or_else| branch(libc::BPF_JMP | libc::BPF_JEQ, k.into(), then, or_else);
    let load = libc::BPF_LD | libc::BPF_ABS;
    let sorting = [
        statement(load | libc::BPF_B, 0),
        equals(TRANSPORT, 9, 0),
        equals(RESPONSE, 7, 0),
        equals(COOKIE_REPLY, 6, 0),
        equals(INITIATION, 0, 4),
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0),
        branch(libc::BPF_JMP | libc::BPF_JGE, INITIATION_SIZE as u32, 0, 2),
        statement(load | libc::BPF_W, MAC2 as u32),
        equals(0, 0, 1),
        statement(libc::BPF_RET, STRANGERS),
        statement(libc::BPF_RET, ANSWERS),
    ];
    let first = [statement(libc::BPF_RET, DATA)];
    let shard = [
        statement(load | libc::BPF_B, RECEIVER),
        statement(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, shards as u32),
        equals(0, 2, 0),
        statement(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K, FURTHER),
        statement(libc::BPF_RET | BPF_A, 0),
        statement(libc::BPF_RET, DATA),
    ];
    let data: &[_] = if shards == 1 { &first } else { &shard };
    [&sorting, data].concat()
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
