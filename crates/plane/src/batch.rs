//! The datagrams to send: one buffer and a stride. Consecutive packets of one session and one length
//! form a train, whether they come from one large packet or from many small ones. Trains are collected,
//! so that one call sends several. Filled by `outbound`.

use std::sync::Arc;

use crate::discard::Discard;
use crate::mmsg::MAX_TRAINS;
use crate::session::{HEADER, OVERHEAD, padded};
use crate::transmit::{Destination, Queued, full_train, transmit_all};
use crate::turn::Turn;
use holloway_aead::TAG;
use holloway_packet::offload::VnetHeader;
use holloway_packet::split::{
    self, BadOffload, MAX_HEADERS, MAX_PACKET, MIN_SEGMENT, Segments, Slots,
};

/// The buffer holds more only while one large packet is cut.
const LIMIT: usize = 512 * 1024;
/// Room for what the kernel hands over in one read: the longest packet, cut into the smallest segments
/// that Linux makes.
const SPLIT_CAPACITY: usize = 256 * 1024;
const _: () = assert!(
    (MAX_PACKET - MAX_HEADERS).div_ceil(MIN_SEGMENT)
        * (OVERHEAD + padded(MAX_HEADERS + MIN_SEGMENT, 0))
        <= SPLIT_CAPACITY
);
/// How many sealed bytes one call sends: a few full trains of large packets, or many of small ones. A
/// call and the wake-up of the receiver cost the same for a single train. The end of a turn sends the rest.
const FLUSH_THRESHOLD: usize = 256 * 1024;

/// Datagrams to one destination, of one length and one traffic class; only the last may be shorter.
#[derive(Debug)]
pub struct Batch {
    buffer: Box<[u8]>,
    /// Sealed trains, which lie in the buffer before `start`.
    queue: Vec<Queued>,
    start: usize,
    end: usize,
    destination: Option<Destination>,
    segment: usize,
    class: u8,
    closed: bool,
}

impl Batch {
    /// Create an empty batch and allocate its buffer.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: vec![0; LIMIT + SPLIT_CAPACITY].into_boxed_slice(),
            queue: Vec::with_capacity(MAX_TRAINS),
            start: 0,
            end: 0,
            destination: None,
            segment: 0,
            class: 0,
            closed: false,
        }
    }

    /// Cut the packet of one TUN read into the spare capacity. `mtu` bounds the padding. `add` must follow.
    #[inline]
    pub fn split(
        &mut self,
        header: &VnetHeader,
        packet: &[u8],
        mtu: usize,
    ) -> Result<Segments, Discard> {
        let slots = Slots {
            before: HEADER,
            size: |length| OVERHEAD + padded(length, mtu),
        };
        split::split(header, packet, self.spare_capacity_mut(), slots)
            .map_err(|BadOffload| Discard::BadOffload)
    }

    /// The place for the next packets, laid out as by `split`.
    #[must_use]
    pub fn spare_capacity_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.end..]
    }

    /// Pad the packets that were written to `spare_capacity_mut`, and send what is full.
    pub fn add(
        &mut self,
        turn: &Turn<'_>,
        destination: &Destination,
        segments: &Segments,
        class: u8,
    ) {
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
        if !(fits && self.continues(destination, class)) {
            self.seal_all(turn);
            self.destination = Some(destination.clone());
            self.segment = segment;
            self.class = class;
        }
        let from = self.end;
        self.end += (segments.count - 1) * segments.stride + last;
        self.closed = last < self.segment;
        self.pad(from, segments);
        self.send_full(turn);
    }

    fn continues(&self, destination: &Destination, class: u8) -> bool {
        let same = |before: &Destination| Arc::ptr_eq(&before.session, &destination.session);
        !self.closed
            && self.end > self.start
            && class == self.class
            && self.destination.as_ref().is_some_and(same)
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

    /// Seal the trains that are full; the next packet may extend the rest.
    fn send_full(&mut self, turn: &Turn<'_>) {
        let full = full_train(self.segment);
        let ready = (self.end - self.start) / full * full;
        if self.closed || self.end > LIMIT {
            self.seal(turn, self.end);
        } else if ready > 0 {
            self.seal(turn, self.start + ready);
        }
        let first = self.queue.first().map_or(self.start, |one| one.range.start);
        if self.queue.len() >= MAX_TRAINS
            || self.start - first > FLUSH_THRESHOLD
            || self.end > LIMIT
        {
            self.flush(turn);
        }
        if self.queue.is_empty() && self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Seal everything before `end`. What lies behind it stays where it is.
    fn seal_all(&mut self, turn: &Turn<'_>) {
        self.seal(turn, self.end);
        self.destination = None;
    }

    /// Send everything, at the end of a turn.
    pub fn finish(&mut self, turn: &Turn<'_>) {
        self.seal_all(turn);
        self.flush(turn);
        self.start = 0;
        self.end = 0;
    }

    /// Seal what lies before `end`, and queue it. Many packets at once are sealed faster than one after
    /// the other.
    fn seal(&mut self, turn: &Turn<'_>, end: usize) {
        let start = std::mem::replace(&mut self.start, end);
        let data = &mut self.buffer[start..end];
        let Some(destination) = self.destination.as_ref().filter(|_| !data.is_empty()) else {
            return;
        };
        let packets = data.len().div_ceil(self.segment);
        turn.shared.shards.count_packets(turn.shard, packets);
        match destination.session.reserve(turn.now, packets as u64) {
            Ok(first) => destination
                .session
                .seal(first, data.chunks_mut(self.segment)),
            Err(reason) => {
                turn.shared
                    .discard(reason, packets, Some(&destination.peer));
                return;
            }
        }
        let train = full_train(self.segment);
        for from in (start..end).step_by(train) {
            self.queue.push(Queued {
                destination: destination.clone(),
                range: from..end.min(from + train),
                segment: self.segment,
                class: self.class,
            });
        }
    }

    fn flush(&mut self, turn: &Turn<'_>) {
        let (shared, sockets) = (turn.shared, turn.sockets);
        let (queue, data) = (&mut self.queue, &self.buffer);
        transmit_all(shared, sockets, turn.shard, queue, data, turn.now);
        self.queue.clear();
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}
