//! Receive offload: joins the packets of one batch into few large TUN writes, without copying payload.
//!
//! A run is a series of TCP segments or UDP datagrams of one flow that could have been cut from one
//! packet: `split` restores them exactly. A packet that cannot be joined is written alone and unchanged.
//! The order within a flow is kept.

use std::ops::Range;

use crate::checksum;
use crate::ip::IPV6_HEADER;
use crate::offload::{GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VnetHeader};
use crate::segment::Segment;
use crate::transport::TCP;

/// The maximum number of packets in one write: all kernels accept as many in one UDP packet
/// (UDP_MAX_SEGMENTS), and a full TCP packet has fewer segments of the usual size.
pub const MAX_PIECES: usize = 64;

/// The maximum length of an IP packet.
const MAX_PACKET: usize = 65_535;
/// How many flows of a batch are joined at the same time.
const OPEN: usize = 8;
/// No piece.
const NIL: u32 = u32::MAX;
const PSH: u8 = 0x08;

/// A part of the batch's buffer, and the index of the next part of the same write.
#[derive(Clone, Debug)]
struct Piece {
    range: Range<usize>,
    next: u32,
}

#[derive(Clone, Debug)]
struct Draft {
    header: VnetHeader,
    first_piece: u32,
}

/// A write that can still grow.
#[derive(Clone, Debug)]
struct Run {
    write: usize,
    last_piece: u32,
    first: Segment,
    /// Whether the first packet's checksums are known to be correct.
    is_sound: bool,
    is_pushed: bool,
    pieces: u32,
    payload: usize,
}

/// One write to the TUN: a header, and as an iterator the parts of the buffer that follow it.
#[derive(Clone, Debug)]
pub struct Write<'a> {
    /// The virtio_net_hdr of the write.
    pub header: VnetHeader,
    pieces: &'a [Piece],
    next: u32,
}

impl Iterator for Write<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        let piece = self.pieces.get(self.next as usize)?;
        self.next = piece.next;
        Some(piece.range.clone())
    }
}

/// Builds the writes of a batch. Reused across batches, so that its lists are allocated once.
#[derive(Debug)]
pub struct Coalescer {
    joins_tcp: bool,
    joins_udp: bool,
    pieces: Vec<Piece>,
    writes: Vec<Draft>,
    open: Vec<Run>,
}

impl Coalescer {
    /// For an interface that accepts large TCP packets (`tso`), large UDP packets (`uso`), or neither.
    #[must_use]
    pub fn new(tso: bool, uso: bool) -> Self {
        Self {
            joins_tcp: tso,
            joins_udp: uso,
            pieces: Vec::with_capacity(256),
            writes: Vec::with_capacity(256),
            open: Vec::with_capacity(OPEN),
        }
    }

    /// Add the next packet of the batch, `buffer[range]`, without padding. All calls until `clear` must
    /// pass the same buffer.
    pub fn push(&mut self, buffer: &mut [u8], range: Range<usize>) {
        let Some(packet) = buffer.get(range.clone()) else {
            return;
        };
        if !self.joins_tcp && !self.joins_udp {
            self.write_alone(range);
            return;
        }
        match Segment::parse(packet, range.start) {
            Some(segment) if self.joins(&segment) => self.place(buffer, range, segment),
            Some(_) => {
                self.write_alone(range);
            }
            None => {
                // A fragment or a packet with options can belong to any flow, so nothing may overtake it.
                self.finish(buffer);
                self.write_alone(range);
            }
        }
    }

    /// Write the headers of the joined packets. Call it after the last packet of a batch.
    pub fn finish(&mut self, buffer: &mut [u8]) {
        while let Some(run) = self.open.pop() {
            self.close(buffer, &run);
        }
    }

    /// The writes in order. Call it after `finish`.
    #[inline]
    pub fn writes(&self) -> impl ExactSizeIterator<Item = Write<'_>> {
        self.writes.iter().map(|draft| Write {
            header: draft.header,
            pieces: &self.pieces,
            next: draft.first_piece,
        })
    }

    /// Forget the batch.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.writes.clear();
        self.open.clear();
    }

    fn joins(&self, segment: &Segment) -> bool {
        if segment.protocol == TCP {
            self.joins_tcp
        } else {
            self.joins_udp
        }
    }

    /// Append a segment to its flow's run, or start a run with it.
    fn place(&mut self, buffer: &mut [u8], range: Range<usize>, segment: Segment) {
        let flow = self
            .open
            .iter()
            .position(|run| segment.is_of_flow(buffer, &run.first));
        let mut is_sound = false;
        if let Some(at) = flow {
            if self.open[at].takes(buffer, &segment) {
                is_sound = segment.is_sound(buffer);
                if is_sound && self.open[at].is_sound(buffer) {
                    self.extend(buffer, at, &segment);
                    return;
                }
            }
            let run = self.open.remove(at);
            self.close(buffer, &run);
        }
        let (write, piece) = self.write_alone(range);
        if segment.is_joinable() && !segment.is_pushed() {
            self.open(buffer, Run::new(write, piece, segment, is_sound));
        }
    }

    fn extend(&mut self, buffer: &mut [u8], at: usize, segment: &Segment) {
        let start = segment.start + segment.headers;
        let piece = self.add_piece(start..start + segment.payload);
        let run = &mut self.open[at];
        self.pieces[run.last_piece as usize].next = piece;
        run.last_piece = piece;
        run.pieces += 1;
        run.payload += segment.payload;
        run.is_pushed = segment.is_pushed();
        if run.is_pushed || segment.payload < run.first.payload {
            let run = self.open.remove(at);
            self.close(buffer, &run);
        }
    }

    fn open(&mut self, buffer: &mut [u8], run: Run) {
        if self.open.len() == OPEN {
            let oldest = self.open.remove(0);
            self.close(buffer, &oldest);
        }
        self.open.push(run);
    }

    fn close(&mut self, buffer: &mut [u8], run: &Run) {
        if run.pieces > 1 {
            self.writes[run.write].header = run.write_headers(buffer);
        }
    }

    fn write_alone(&mut self, range: Range<usize>) -> (usize, u32) {
        let first_piece = self.add_piece(range);
        self.writes.push(Draft {
            header: VnetHeader::default(),
            first_piece,
        });
        (self.writes.len() - 1, first_piece)
    }

    fn add_piece(&mut self, range: Range<usize>) -> u32 {
        self.pieces.push(Piece { range, next: NIL });
        (self.pieces.len() - 1) as u32
    }
}

impl Run {
    const fn new(write: usize, piece: u32, first: Segment, is_sound: bool) -> Self {
        let payload = first.payload;
        Self {
            write,
            last_piece: piece,
            first,
            is_sound,
            is_pushed: false,
            pieces: 1,
            payload,
        }
    }

    fn takes(&self, buffer: &[u8], segment: &Segment) -> bool {
        segment.is_joinable()
            && (self.pieces as usize) < MAX_PIECES
            && self.first.headers + self.payload + segment.payload <= MAX_PACKET
            && segment.continues(buffer, &self.first, self.pieces, self.payload)
    }

    /// Checked only when a second packet comes.
    fn is_sound(&mut self, buffer: &[u8]) -> bool {
        self.is_sound = self.is_sound || self.first.is_sound(buffer);
        self.is_sound
    }

    /// Turn the first packet's headers into those of the joined packet, and return its virtio_net_hdr.
    fn write_headers(&self, buffer: &mut [u8]) -> VnetHeader {
        let first = &self.first;
        let length = first.headers + self.payload;
        let above = length - first.transport;
        let pseudo = checksum::fold(first.pseudo_header(buffer, above));
        let header = &mut buffer[first.start..first.start + first.headers];
        if first.is_v4() {
            put(header, 2, length);
            checksum::write_ipv4_header(&mut header[..first.transport]);
        } else {
            put(header, 4, length - IPV6_HEADER);
        }
        let header = &mut header[first.transport..];
        if first.protocol != TCP {
            put(header, 4, above);
        } else if self.is_pushed {
            header[13] |= PSH;
        }
        put(header, first.checksum_offset(), pseudo.into());
        VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: match (first.protocol, first.is_v4()) {
                (TCP, true) => GSO_TCPV4,
                (TCP, false) => GSO_TCPV6,
                _ => GSO_UDP_L4,
            },
            hdr_len: first.headers as u16,
            gso_size: first.payload as u16,
            csum_start: first.transport as u16,
            csum_offset: first.checksum_offset() as u16,
        }
    }
}

fn put(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
}
