//! Sending to peers, and what to do if the system refuses: send fewer at a time, use another source
//! address, or wait briefly. Datagrams that are not sent are counted. Called by the shards for data and by
//! the brain's threads for handshakes.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::clock::Nanos;
use crate::discard::Discard;
use crate::endpoint::Endpoint;
use crate::mmsg::{self, MAX_TRAINS, OutgoingTrain};
use crate::peer::Peer;
use crate::session::Session;

use crate::shared::Shared;
use crate::sockets::Sockets;
use crate::udp::{MAX_PAYLOAD, MAX_SEGMENTS, Udp};

/// How many milliseconds a full socket may block a shard. The interface's queue holds senders back
/// meanwhile.
const WRITABLE_TIMEOUT: i32 = 10;

/// The shard by whose sockets the brain sends.
const FIRST: usize = 0;

/// Datagrams to one peer, all of one length except the last, which may be shorter.
#[derive(Clone, Copy, Debug)]
pub struct Datagrams<'a> {
    /// All of them, one after the other.
    pub data: &'a [u8],
    /// The length of each.
    pub segment: usize,
    /// The traffic class of their IP headers.
    pub class: u8,
    /// The current time.
    pub now: Nanos,
}

/// A peer with its session and endpoint, looked up once per turn.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The peer.
    pub peer: Arc<Peer>,
    /// The session that seals packets.
    pub session: Arc<Session>,
    /// The address to send to.
    pub endpoint: Endpoint,
}

/// A sealed train in the batch's buffer.
#[derive(Debug)]
pub struct Queued {
    /// Its destination.
    pub destination: Destination,
    /// Its place in the buffer; no longer than one send may be.
    pub range: Range<usize>,
    /// The length of each datagram except the last.
    pub segment: usize,
    /// The traffic class of their IP headers.
    pub class: u8,
}

/// What sending needs of a socket. Tests implement it with scripted errors.
pub trait DatagramSender {
    /// Send one train.
    fn send(&self, to: &Endpoint, class: u8, data: &[u8], segment: usize) -> io::Result<()>;
    /// Send several trains in order until one is refused, and return how many were sent.
    fn send_many(&self, trains: &[OutgoingTrain<'_>]) -> io::Result<usize>;
    /// Whether several datagrams may go in one train.
    fn gso_enabled(&self) -> bool;
    /// Send datagrams one at a time from now on.
    fn disable_gso(&self);
    /// Wait at most `milliseconds` for room in the send buffer, and return whether there is.
    fn writable(&self, milliseconds: i32) -> bool;
}

impl DatagramSender for Udp {
    fn send(&self, to: &Endpoint, class: u8, data: &[u8], segment: usize) -> io::Result<()> {
        Self::send(self, to, class, data, segment)
    }

    fn send_many(&self, trains: &[OutgoingTrain<'_>]) -> io::Result<usize> {
        mmsg::send(self, trains)
    }

    fn gso_enabled(&self) -> bool {
        Self::gso_enabled(self)
    }

    fn disable_gso(&self) {
        Self::disable_gso(self);
    }

    fn writable(&self, milliseconds: i32) -> bool {
        holloway_poll::writable(self, milliseconds)
    }
}

/// Why the system refused, as far as sending can react to it.
enum Refusal {
    /// The kernel or the device below cannot take several datagrams at once.
    Train(i32),
    /// The source address may no longer be ours.
    Source(i32),
    /// There is no remedy.
    Final(i32),
}

/// Send `datagrams` to `to` by the first shard's socket, and count for `peer` what was sent and what was not.
pub fn transmit(
    shared: &Shared,
    sockets: Option<&Sockets>,
    peer: &Peer,
    to: &mut Endpoint,
    datagrams: Datagrams<'_>,
) {
    let Some(socket) = sockets.and_then(|sockets| sockets.toward(&to.remote, FIRST)) else {
        let packets = datagrams.data.len().div_ceil(datagrams.segment);
        shared.discard(Discard::NoSocket, packets, Some(peer));
        return;
    };
    let errno = send_trains(shared, socket, peer, to, datagrams);
    shared.send_result(peer, errno, datagrams.now);
}

/// Send all queued trains by the sockets of a shard, several in one call.
pub fn transmit_all(
    shared: &Shared,
    sockets: Option<&Sockets>,
    shard: usize,
    queue: &mut [Queued],
    data: &[u8],
    now: Nanos,
) {
    let is_v4 = |one: &Queued| one.destination.endpoint.remote.is_ipv4();
    for queue in queue.chunk_by_mut(|one, next| is_v4(one) == is_v4(next)) {
        let to = &queue[0].destination.endpoint.remote;
        match sockets.and_then(|sockets| sockets.toward(to, shard)) {
            Some(socket) => deliver(shared, socket, queue, data, now),
            None => {
                for Queued {
                    destination,
                    range,
                    segment,
                    ..
                } in queue
                {
                    let packets = range.len().div_ceil(*segment);
                    shared.discard(Discard::NoSocket, packets, Some(&destination.peer));
                }
            }
        }
    }
}

/// Send a queue through one socket. A refused train is sent again alone, which returns its error.
pub fn deliver(
    shared: &Shared,
    sender: &impl DatagramSender,
    mut queue: &mut [Queued],
    data: &[u8],
    now: Nanos,
) {
    while !queue.is_empty() {
        let many = queue.len() > 1 && sender.gso_enabled();
        let count = if many { queue.len().min(MAX_TRAINS) } else { 0 };
        let left = send_batch(sender, &queue[..count], data);
        let (sent, rest) = queue.split_at_mut(left);
        for one in sent {
            one.destination.peer.count_sent(one.range.len());
            shared.send_result(&one.destination.peer, 0, now);
        }
        queue = rest;
        if left < count || !many {
            let (one, rest) = queue.split_at_mut(1);
            send_one(shared, sender, &mut one[0], data, now);
            queue = rest;
        }
    }
}

/// Send trains in one call, and return how many were sent.
fn send_batch(sender: &impl DatagramSender, queue: &[Queued], data: &[u8]) -> usize {
    let Some(first) = queue.first() else {
        return 0;
    };
    let outgoing = |one: &Queued| OutgoingTrain {
        to: one.destination.endpoint,
        class: one.class,
        data: &data[one.range.clone()],
        segment: one.segment,
    };
    let mut trains = [outgoing(first); MAX_TRAINS];
    for (train, one) in trains.iter_mut().zip(queue) {
        *train = outgoing(one);
    }
    let left = sender.send_many(&trains[..queue.len()]);
    left.unwrap_or(0).min(queue.len())
}

fn send_one(
    shared: &Shared,
    sender: &impl DatagramSender,
    one: &mut Queued,
    data: &[u8],
    now: Nanos,
) {
    let datagrams = Datagrams {
        data: &data[one.range.clone()],
        segment: one.segment,
        class: one.class,
        now,
    };
    let Destination { peer, endpoint, .. } = &mut one.destination;
    let errno = send_trains(shared, sender, peer, endpoint, datagrams);
    shared.send_result(peer, errno, now);
}

/// Send as many datagrams at once as possible. Returns the errno of the last failure, or 0.
fn send_trains(
    shared: &Shared,
    sender: &impl DatagramSender,
    peer: &Peer,
    to: &mut Endpoint,
    datagrams: Datagrams<'_>,
) -> i32 {
    let mut last = 0;
    let mut rest = datagrams.data;
    while !rest.is_empty() {
        let most = if sender.gso_enabled() {
            full_train(datagrams.segment)
        } else {
            datagrams.segment
        };
        let (train, after) = rest.split_at(most.min(rest.len()));
        let train = Datagrams {
            data: train,
            ..datagrams
        };
        rest = after;
        match try_send(sender, to, train) {
            Ok(()) => peer.count_sent(train.data.len()),
            Err(Refusal::Train(errno)) => {
                if matches!(errno, libc::EIO | libc::EOPNOTSUPP) {
                    sender.disable_gso();
                }
                last = send_each(shared, sender, peer, to, train);
            }
            Err(refusal) => last = retry(shared, sender, peer, to, train, &refusal),
        }
    }
    last
}

fn send_each(
    shared: &Shared,
    sender: &impl DatagramSender,
    peer: &Peer,
    to: &mut Endpoint,
    datagrams: Datagrams<'_>,
) -> i32 {
    let mut last = 0;
    for datagram in datagrams.data.chunks(datagrams.segment) {
        let datagram = Datagrams {
            data: datagram,
            ..datagrams
        };
        match try_send(sender, to, datagram) {
            Ok(()) => peer.count_sent(datagram.data.len()),
            Err(refusal) => last = retry(shared, sender, peer, to, datagram, &refusal),
        }
    }
    last
}

/// If the source address was refused, try again and let the kernel choose it ("sticky, but not too
/// sticky": kernel, socket.c, send4).
fn retry(
    shared: &Shared,
    sender: &impl DatagramSender,
    peer: &Peer,
    to: &mut Endpoint,
    datagrams: Datagrams<'_>,
    refusal: &Refusal,
) -> i32 {
    let mut errno = refusal.errno();
    if matches!(refusal, Refusal::Source(_)) {
        to.local = None;
        peer.forget_source();
        match try_send(sender, to, datagrams) {
            Ok(()) => {
                peer.count_sent(datagrams.data.len());
                return 0;
            }
            Err(refusal) => errno = refusal.errno(),
        }
    }
    let packets = datagrams.data.len().div_ceil(datagrams.segment);
    shared.discard(Discard::SendFailed, packets, Some(peer));
    errno
}

fn try_send(
    sender: &impl DatagramSender,
    to: &Endpoint,
    datagrams: Datagrams<'_>,
) -> Result<(), Refusal> {
    let send = || sender.send(to, datagrams.class, datagrams.data, datagrams.segment);
    let result = match send() {
        Err(error) if is_retryable(&error) && sender.writable(WRITABLE_TIMEOUT) => send(),
        result => result,
    };
    result.map_err(|error| {
        let several = datagrams.data.len() > datagrams.segment;
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

fn is_retryable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// The length in bytes of the longest train of datagrams of this length.
#[must_use]
pub fn full_train(segment: usize) -> usize {
    (MAX_PAYLOAD / segment).clamp(1, MAX_SEGMENTS) * segment
}

#[cfg(test)]
mod tests;
