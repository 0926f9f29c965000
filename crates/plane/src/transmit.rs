//! Sending to a peer and what to do when the system refuses: fewer at a time, another source
//! address, a short wait. Whatever does not leave is counted. Called by the shard for data, by the
//! brain's threads for handshakes.

use std::io;

use crate::clock::Nanos;
use crate::discard::Discard;
use crate::endpoint::Endpoint;
use crate::peer::Peer;
use crate::poll::writable;
use crate::shared::Shared;
use crate::udp::{MAX_PAYLOAD, MAX_SEGMENTS, Sockets, Udp};

/// How long a full socket may hold up the shard; the interface's queue holds the senders meanwhile.
const PATIENCE: i32 = 10;

/// Datagrams of one length, but the last, which may be shorter, on their way to one peer.
#[derive(Clone, Copy, Debug)]
pub struct Cargo<'a> {
    /// All of them, one behind the other.
    pub data: &'a [u8],
    /// The length of each.
    pub segment: usize,
    /// The traffic class of their IP headers.
    pub class: u8,
    /// When.
    pub now: Nanos,
}

/// Whether to go on with what remains.
enum Refusal {
    /// The kernel or the device below cannot take several datagrams at once.
    Train(i32),
    /// Perhaps the source address is no longer ours.
    Source(i32),
    /// Nothing to be done.
    Final(i32),
}

/// Send `cargo` to where `to` says. Counts for `peer` what left and what did not.
pub fn transmit(
    shared: &Shared,
    sockets: Option<&Sockets>,
    peer: &Peer,
    to: &mut Endpoint,
    cargo: Cargo<'_>,
) {
    let Some(socket) = sockets.and_then(|sockets| sockets.toward(&to.remote)) else {
        let packets = cargo.data.len().div_ceil(cargo.segment);
        shared.discard(Discard::NoSocket, packets, Some(peer));
        return;
    };
    let errno = trains(shared, socket, peer, to, cargo);
    shared.sending(peer, errno, cargo.now);
}

/// As many at once as may be. The errno of the last failure, or 0.
fn trains(shared: &Shared, socket: &Udp, peer: &Peer, to: &mut Endpoint, cargo: Cargo<'_>) -> i32 {
    let mut last = 0;
    let mut rest = cargo.data;
    while !rest.is_empty() {
        let most = if socket.segments() {
            full_train(cargo.segment)
        } else {
            cargo.segment
        };
        let (train, after) = rest.split_at(most.min(rest.len()));
        let train = Cargo {
            data: train,
            ..cargo
        };
        rest = after;
        match attempt(socket, to, train) {
            Ok(()) => peer.count_sent(train.data.len()),
            Err(Refusal::Train(errno)) => {
                if matches!(errno, libc::EIO | libc::EOPNOTSUPP) {
                    socket.forgo_segments();
                }
                last = singly(shared, socket, peer, to, train);
            }
            Err(refusal) => last = again(shared, socket, peer, to, train, &refusal),
        }
    }
    last
}

fn singly(shared: &Shared, socket: &Udp, peer: &Peer, to: &mut Endpoint, cargo: Cargo<'_>) -> i32 {
    let mut last = 0;
    for datagram in cargo.data.chunks(cargo.segment) {
        let datagram = Cargo {
            data: datagram,
            ..cargo
        };
        match attempt(socket, to, datagram) {
            Ok(()) => peer.count_sent(datagram.data.len()),
            Err(refusal) => last = again(shared, socket, peer, to, datagram, &refusal),
        }
    }
    last
}

/// Try once more from whatever address the kernel chooses, if that was the trouble ("sticky, but
/// not too sticky": kernel, socket.c, send4).
fn again(
    shared: &Shared,
    socket: &Udp,
    peer: &Peer,
    to: &mut Endpoint,
    cargo: Cargo<'_>,
    refusal: &Refusal,
) -> i32 {
    let mut errno = refusal.errno();
    if matches!(refusal, Refusal::Source(_)) {
        to.local = None;
        peer.forget_source();
        match attempt(socket, to, cargo) {
            Ok(()) => {
                peer.count_sent(cargo.data.len());
                return 0;
            }
            Err(refusal) => errno = refusal.errno(),
        }
    }
    let packets = cargo.data.len().div_ceil(cargo.segment);
    shared.discard(Discard::SendFailed, packets, Some(peer));
    errno
}

fn attempt(socket: &Udp, to: &Endpoint, cargo: Cargo<'_>) -> Result<(), Refusal> {
    let send = || socket.send(to, cargo.class, cargo.data, cargo.segment);
    let result = match send() {
        Err(error) if waits(&error) && writable(socket, PATIENCE) => send(),
        result => result,
    };
    result.map_err(|error| {
        let several = cargo.data.len() > cargo.segment;
        Refusal::of(error.raw_os_error().unwrap_or(libc::EIO), several, to)
    })
}

impl Refusal {
    const fn of(errno: i32, several: bool, to: &Endpoint) -> Self {
        match errno {
            libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP if several => {
                Self::Train(errno)
            }
            libc::EINVAL | libc::ENETUNREACH | libc::EADDRNOTAVAIL | libc::EHOSTUNREACH
                if to.local.is_some() =>
            {
                Self::Source(errno)
            }
            _ => Self::Final(errno),
        }
    }

    const fn errno(&self) -> i32 {
        match self {
            Self::Train(errno) | Self::Source(errno) | Self::Final(errno) => *errno,
        }
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// The bytes of the longest train of datagrams of this length.
#[must_use]
pub fn full_train(segment: usize) -> usize {
    (MAX_PAYLOAD / segment).clamp(1, MAX_SEGMENTS) * segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_train_is_as_long_as_one_send_may_be() {
        assert_eq!(full_train(1452), 45 * 1452);
        assert_eq!(full_train(32), MAX_SEGMENTS * 32);
        assert_eq!(full_train(60_000), 60_000);
        assert_eq!(full_train(65_507), 65_507);
    }

    #[test]
    fn a_source_is_doubted_only_where_there_is_one_and_a_train_before_it() {
        let chosen = Endpoint::parse("192.0.2.1", 1).expect("an address");
        let local = Some("192.0.2.2".parse().expect("an address"));
        let sticky = Endpoint { local, ..chosen };
        let of = |several, to| Refusal::of(libc::EINVAL, several, to);
        assert!(matches!(of(true, &sticky), Refusal::Train(_)));
        assert!(matches!(of(false, &sticky), Refusal::Source(_)));
        assert!(matches!(of(false, &chosen), Refusal::Final(_)));
        assert!(matches!(
            Refusal::of(libc::EPERM, true, &sticky),
            Refusal::Final(libc::EPERM)
        ));
    }
}
