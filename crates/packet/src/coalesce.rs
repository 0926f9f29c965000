//! Decrypted packets of one batch, joined into few large TUN writes without copying their payload.
//!
//! A run is a series of TCP segments or UDP datagrams of one flow that the kernel could have cut from
//! one packet; `split` would give back exactly what came in. Whatever cannot be joined goes alone and
//! unchanged. Order within a flow is kept. Reads untrusted bytes; never panics. Called by the shard.

use std::ops::Range;

use crate::checksum;
use crate::ip::IPV6_HEADER;
use crate::offload::{GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VnetHeader};
use crate::segment::Segment;
use crate::transport::TCP;

/// The most packets in one write: what all kernels take as one UDP packet (UDP_MAX_SEGMENTS), and
/// more than a full packet has TCP segments of the usual size.
pub const MAX_PIECES: usize = 64;

/// The most bytes that one IP packet can have.
const MAX_PACKET: usize = 65_535;
/// How many flows of one batch are joined side by side.
const OPEN: usize = 8;
/// No piece.
const NIL: u32 = u32::MAX;
const PSH: u8 = 0x08;

/// A part of the batch's buffer, and the next one of the same write.
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

/// A write that may yet grow.
#[derive(Clone, Debug)]
struct Run {
    write: usize,
    last_piece: u32,
    first: Segment,
    /// Whether the first packet's checksums are known to be right.
    is_sound: bool,
    is_pushed: bool,
    pieces: u32,
    payload: usize,
}

/// One write to the TUN: its header, and, as an iterator, the parts of the buffer that follow it.
#[derive(Clone, Debug)]
pub struct Write<'a> {
    /// What to put before the packet.
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

/// Builds the writes of one batch; kept for the next one, so that its lists are allocated once.
#[derive(Debug)]
pub struct Coalescer {
    joins_tcp: bool,
    joins_udp: bool,
    pieces: Vec<Piece>,
    writes: Vec<Draft>,
    open: Vec<Run>,
}

impl Coalescer {
    /// For an interface that takes large TCP packets (`tso`), large UDP packets (`uso`), or neither.
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

    /// Take the next packet of the batch, `buffer[range]`, cut to its IP length. The buffer is the
    /// same in all calls until `clear`.
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
                // A fragment, or behind options: it may be of any flow, so nothing may overtake it.
                self.finish(buffer);
                self.write_alone(range);
            }
        }
    }

    /// Write the headers of what was joined; after the last packet of a batch.
    pub fn finish(&mut self, buffer: &mut [u8]) {
        while let Some(run) = self.open.pop() {
            self.close(buffer, &run);
        }
    }

    /// The writes in order, once finished.
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

    /// Put a segment behind its flow's run, or let it begin one.
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

    /// Looked at only when a second packet comes.
    fn is_sound(&mut self, buffer: &[u8]) -> bool {
        self.is_sound = self.is_sound || self.first.is_sound(buffer);
        self.is_sound
    }

    /// Make the first packet's headers those of the whole, and say what the kernel must know.
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
