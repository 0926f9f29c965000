//! The datagrams about to leave: one buffer and a stride. Consecutive packets of one session and
//! one length go out in one send, whether they came from one large packet or from many small ones.
//! Filled by `outbound`.

use std::sync::Arc;

use crate::clock::Nanos;
use crate::endpoint::Endpoint;
use crate::offload::padded;
use crate::peer::Peer;
use crate::session::{HEADER, OVERHEAD, Session};
use crate::shared::Shared;
use crate::split::{SPLIT_ROOM, Segments};
use crate::transmit::{Cargo, full_train, transmit};
use crate::tun::Tun;
use crate::udp::Sockets;
use holloway_aead::TAG;

/// More waits in the buffer only while one large packet is cut.
const LIMIT: usize = 128 * 1024;

/// What one turn of the shard works with.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// The plane.
    pub shared: &'a Shared,
    /// The interface.
    pub tun: &'a Tun,
    /// The sockets, if bound.
    pub sockets: Option<&'a Sockets>,
    /// The time, read once.
    pub now: Nanos,
    /// The MTU that bounds the padding, read once: `split` and `add` must agree on it.
    pub mtu: usize,
}

/// Where to and under which session, looked up once a turn.
#[derive(Clone, Debug)]
pub struct Lane {
    /// To whom.
    pub peer: Arc<Peer>,
    /// Under which keys.
    pub session: Arc<Session>,
    /// To which address.
    pub endpoint: Endpoint,
}

/// Datagrams of one lane, one length and one traffic class; only the last may be shorter.
#[derive(Debug)]
pub struct Batch {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    lane: Option<Lane>,
    segment: usize,
    class: u8,
    closed: bool,
}

impl Batch {
    /// An empty one; its buffer is made now and kept.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: vec![0; LIMIT + SPLIT_ROOM].into_boxed_slice(),
            start: 0,
            end: 0,
            lane: None,
            segment: 0,
            class: 0,
            closed: false,
        }
    }

    /// Where the next packets are to be put, as `split` does.
    #[must_use]
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.end..]
    }

    /// Pad the packets that were put into `room`, and send what can wait no longer.
    pub fn add(&mut self, turn: &Turn<'_>, lane: &Lane, segments: &Segments, class: u8) {
        let last = OVERHEAD + padded(segments.last, turn.mtu);
        let segment = if segments.count > 1 {
            segments.stride
        } else {
            last
        };
        let fits = if segments.count > 1 {
            segment == self.segment
        } else {
            segment <= self.segment
        };
        if !(fits && self.continues(lane, class)) {
            self.depart(turn);
            self.lane = Some(lane.clone());
            self.segment = segment;
            self.class = class;
        }
        let from = self.end;
        self.end += (segments.count - 1) * segments.stride + last;
        self.closed = last < self.segment;
        self.pad(from, segments);
        self.send_full(turn);
    }

    fn continues(&self, lane: &Lane, class: u8) -> bool {
        let same = |before: &Lane| Arc::ptr_eq(&before.session, &lane.session);
        !self.closed
            && self.end > self.start
            && class == self.class
            && self.lane.as_ref().is_some_and(same)
    }

    fn pad(&mut self, from: usize, segments: &Segments) {
        let slots = self.buffer[from..self.end].chunks_mut(segments.stride);
        for (number, slot) in slots.enumerate() {
            let is_last = number + 1 == segments.count;
            let length = if is_last {
                segments.last
            } else {
                segments.length
            };
            let padding = HEADER + length..slot.len() - TAG;
            slot[padding].fill(0);
        }
    }

    /// Send the trains that are full; the rest may grow with the next packet.
    fn send_full(&mut self, turn: &Turn<'_>) {
        let full = full_train(self.segment);
        let ready = (self.end - self.start) / full * full;
        if self.closed || self.end > LIMIT {
            self.send(turn, self.end);
            self.end = 0;
            self.start = 0;
        } else if ready > 0 {
            self.send(turn, self.start + ready);
            if self.start == self.end {
                self.end = 0;
                self.start = 0;
            }
        }
    }

    /// Send all that waits. What lies in `room` stays where it is.
    fn depart(&mut self, turn: &Turn<'_>) {
        self.send(turn, self.end);
        self.lane = None;
    }

    /// Send all that waits; the turn ends.
    pub fn finish(&mut self, turn: &Turn<'_>) {
        self.depart(turn);
        self.start = 0;
        self.end = 0;
    }

    /// Seal and send what lies before `end`: here, because many packets at once are sealed faster
    /// than one after the other.
    fn send(&mut self, turn: &Turn<'_>, end: usize) {
        let data = &mut self.buffer[self.start..end];
        self.start = end;
        let Some(lane) = self.lane.as_mut().filter(|_| !data.is_empty()) else {
            return;
        };
        let packets = data.len().div_ceil(self.segment);
        match lane.session.reserve(turn.now, packets as u64) {
            Ok(first) => lane.session.seal(first, data.chunks_mut(self.segment)),
            Err(reason) => {
                turn.shared.discard(reason, packets, Some(&lane.peer));
                return;
            }
        }
        let cargo = Cargo {
            data,
            segment: self.segment,
            class: self.class,
            now: turn.now,
        };
        transmit(
            turn.shared,
            turn.sockets,
            &lane.peer,
            &mut lane.endpoint,
            cargo,
        );
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}
