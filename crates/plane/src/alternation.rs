//! Who may write while more strangers do than the handshake thread can judge.
//!
//! A queue that overflows drops at random: each attempt of a client needs luck, and the next one comes five
//! seconds later (paper, 6.1: REKEY_TIMEOUT). So for five seconds the kernel lets in one half of all
//! addresses, and then the other half. Who is turned away comes back in the turn of its half, and has cost
//! the thread nothing. Called by the handshake thread for each of its sockets.

use std::io;

use libc::{BPF_ABS, BPF_ADD, BPF_ALU, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_MISC, BPF_MUL};
use libc::{BPF_RET, BPF_TAX, BPF_W, BPF_X, sock_filter};

use crate::bpf::{branch, statement};
use crate::clock::{Nanos, SECOND};
use crate::udp::Udp;

/// How long a half may write: REKEY_TIMEOUT.
const TURN: Nanos = 5 * SECOND;
/// How often the drops are read.
const INTERVAL: Nanos = SECOND / 10;
/// So many drops in an interval are no accident.
const MANY: u32 = 1000;

/// Half of all addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Low,
    High,
}

/// What is known of one socket, and who may write to it.
#[derive(Debug, Default)]
pub struct Alternation {
    dropped: u32,
    read_at: Nanos,
    /// The end of two turns. Everybody may write then, to see whether the queue still overflows.
    until: Nanos,
    /// Who may write; None for everybody.
    admitted: Option<Half>,
}

impl Alternation {
    /// Let the half write whose turn it is, or everybody. Return whether to call this again within a second.
    ///
    /// `keys` are secret and odd, so that nobody can choose addresses of one half.
    pub fn update(&mut self, now: Nanos, socket: &Udp, keys: [u32; 2]) -> bool {
        let before = self.admitted;
        self.decide(now, || socket.dropped().unwrap_or(0));
        if self.admitted != before && admit(self.admitted, socket, keys).is_err() {
            self.admitted = before;
        }
        self.admitted.is_some()
    }

    fn decide(&mut self, now: Nanos, dropped: impl FnOnce() -> u32) {
        if now < self.until {
            self.admitted = Some(Half::of(now));
        } else if self.admitted.take().is_some() {
            // The kernel has counted those that were turned away, too.
            (self.dropped, self.read_at) = (dropped(), now);
        } else if now >= self.read_at + INTERVAL {
            let new = dropped();
            let many = new.wrapping_sub(self.dropped) >= MANY;
            let recent = now < self.read_at + 2 * INTERVAL;
            (self.dropped, self.read_at) = (new, now);
            if many && recent {
                self.until = (now / TURN + 2) * TURN;
                self.admitted = Some(Half::of(now));
            }
        }
    }
}

impl Half {
    /// Whose turn it is.
    const fn of(now: Nanos) -> Self {
        match now / TURN % 2 {
            0 => Self::Low,
            _ => Self::High,
        }
    }
}

fn admit(half: Option<Half>, socket: &Udp, keys: [u32; 2]) -> io::Result<()> {
    match half {
        None => socket.accept_all(),
        Some(half) if socket.is_v4() => socket.accept(&v4(half, keys)),
        Some(half) => socket.accept(&v6(half, keys)),
    }
}

/// Where the kernel shows the network header to a classic BPF program, and source addresses in it.
const NETWORK: u32 = libc::SKF_NET_OFF.cast_unsigned();
const V4_SOURCE: u32 = NETWORK + 12;
const V6_SOURCE: u32 = NETWORK + 8;

const LOAD: u32 = BPF_LD | BPF_W | BPF_ABS;
const MULTIPLY: u32 = BPF_ALU | BPF_MUL | BPF_K;

/// Accept a half: the highest bit of a product depends on all bits of the address.
fn v4(half: Half, [key, _]: [u32; 2]) -> Vec<sock_filter> {
    let product = [statement(LOAD, V4_SOURCE), statement(MULTIPLY, key)];
    [&product[..], &verdict(half)].concat()
}

/// Of an IPv6 address, the first 64 bits count: the rest is the sender's to choose.
fn v6(half: Half, keys: [u32; 2]) -> Vec<sock_filter> {
    let sum = [
        statement(LOAD, V6_SOURCE),
        statement(MULTIPLY, keys[0]),
        statement(BPF_MISC | BPF_TAX, 0),
        statement(LOAD, V6_SOURCE + 4),
        statement(MULTIPLY, keys[1]),
        statement(BPF_ALU | BPF_ADD | BPF_X, 0),
    ];
    [&sum[..], &verdict(half)].concat()
}

/// A program returns how many bytes of the datagram are accepted.
fn verdict(half: Half) -> [sock_filter; 3] {
    let (low, high) = match half {
        Half::Low => (u32::MAX, 0),
        Half::High => (0, u32::MAX),
    };
    [
        branch(BPF_JMP | BPF_JGE, 1 << 31, 1, 0),
        statement(BPF_RET, low),
        statement(BPF_RET, high),
    ]
}

#[cfg(test)]
mod tests;
