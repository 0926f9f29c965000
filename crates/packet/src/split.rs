//! Segmentation: cuts the large TCP or UDP packet of one TUN read into segments and completes checksums.
//!
//! Segments are written where they will be sealed and sent, with room before and after each.

use crate::checksum;
use crate::ip::{IPV4_HEADER, IPV6_HEADER};
use crate::offload::{GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VnetHeader};
use crate::transport::{TCP, TCP_HEADER, UDP, UDP_HEADER, checksum_offset};

/// The smallest TCP segment size that Linux uses (TCP_MIN_SND_MSS).
pub const MIN_SEGMENT: usize = 48;

/// The longest headers of a TCP segment: IPv6, and TCP with all options.
pub const MAX_HEADERS: usize = IPV6_HEADER + 60;

/// The greatest value of an IP header's length field.
pub const MAX_PACKET: usize = 65_535;
const CWR: u8 = 0x80;
const PSH: u8 = 0x08;
const FIN: u8 = 0x01;

/// The offload header contradicts the packet, or the packets do not fit into the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadOffload;

/// The layout of the buffer that `split` fills: consecutive slots with one packet each.
#[derive(Clone, Copy, Debug)]
pub struct Slots<F> {
    /// Offset of the packet in its slot.
    pub before: usize,
    /// Returns the length of the slot for a packet of a given length.
    pub size: F,
}

/// The packets that `split` has written: packet `i` begins at `i * stride + before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The number of packets, at least one.
    pub count: usize,
    /// The length of each slot but the last.
    pub stride: usize,
    /// The length of each packet but the last.
    pub length: usize,
    /// The length of the last packet.
    pub last: usize,
}

/// Write the packets of one TUN read to `out`.
#[inline]
pub fn split(
    header: &VnetHeader,
    packet: &[u8],
    out: &mut [u8],
    slots: Slots<impl Fn(usize) -> usize>,
) -> Result<Segments, BadOffload> {
    if header.gso_type & !GSO_ECN == GSO_NONE {
        return whole(header, packet, out, slots);
    }
    let template = Template::new(header, packet)?;
    let payload = &packet[template.headers..];
    let size = usize::from(header.gso_size);
    if size == 0 || template.headers + size > MAX_PACKET {
        return Err(BadOffload);
    }
    if payload.len() <= size {
        return whole(&template.checksum_only(), packet, out, slots);
    }
    let segments = Segments {
        count: payload.len().div_ceil(size),
        stride: (slots.size)(template.headers + size),
        length: template.headers + size,
        last: template.headers + (payload.len() - 1) % size + 1,
    };
    let end = (segments.count - 1) * segments.stride + (slots.size)(segments.last);
    let out = out.get_mut(..end).ok_or(BadOffload)?;
    template.write_all(payload, size, out.chunks_mut(segments.stride), slots.before);
    Ok(segments)
}

/// Copy a packet that is not cut, and complete its checksum.
fn whole(
    header: &VnetHeader,
    packet: &[u8],
    out: &mut [u8],
    slots: Slots<impl Fn(usize) -> usize>,
) -> Result<Segments, BadOffload> {
    let stride = (slots.size)(packet.len());
    let slot = out.get_mut(..stride).ok_or(BadOffload)?;
    let copy = &mut slot[slots.before..slots.before + packet.len()];
    copy.copy_from_slice(packet);
    if header.flags & NEEDS_CSUM != 0 {
        let start = usize::from(header.csum_start);
        let summed = copy.get_mut(start..).ok_or(BadOffload)?;
        let at = usize::from(header.csum_offset);
        if at + 2 > summed.len() {
            return Err(BadOffload);
        }
        // The field already holds the pseudo-header's sum, so it counts as data.
        let checksum = complement(checksum::sum(summed));
        summed[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    }
    Ok(Segments {
        count: 1,
        stride,
        length: packet.len(),
        last: packet.len(),
    })
}

/// The headers that are common to all segments of a packet.
struct Template<'a> {
    packet: &'a [u8],
    is_v4: bool,
    protocol: u8,
    /// Offset of the TCP or UDP header.
    transport: usize,
    /// Offset of the payload.
    headers: usize,
    /// The pseudo-header's sum without its length.
    pseudo: u64,
}

impl<'a> Template<'a> {
    fn new(header: &VnetHeader, packet: &'a [u8]) -> Result<Self, BadOffload> {
        let version = packet.first().map(|first| first >> 4);
        let (protocol, is_v4) = match (header.gso_type & !GSO_ECN, version) {
            (GSO_TCPV4, Some(4)) => (TCP, true),
            (GSO_TCPV6, Some(6)) => (TCP, false),
            (GSO_UDP_L4, Some(4)) => (UDP, true),
            (GSO_UDP_L4, Some(6)) => (UDP, false),
            _ => return Err(BadOffload),
        };
        let transport = usize::from(header.csum_start);
        let fits = if is_v4 {
            let length = usize::from(packet[0] & 0xf) * 4;
            length >= IPV4_HEADER && transport == length && packet.get(9) == Some(&protocol)
        } else {
            transport >= IPV6_HEADER // there may be extension headers
        };
        let headers = transport + transport_header(protocol, packet, transport)?;
        if !fits || header.flags & NEEDS_CSUM == 0 || headers > packet.len() {
            return Err(BadOffload);
        }
        let at = transport + checksum_offset(protocol);
        let field = u16::from_be_bytes([packet[at], packet[at + 1]]);
        // The kernel's sum includes the whole packet's length. Subtracting it leaves addresses and
        // protocol, with the final destination if there is a routing header.
        let length = (packet.len() - transport) as u64;
        let pseudo = u64::from(field) + u64::from(!checksum::fold(length));
        Ok(Self {
            packet,
            is_v4,
            protocol,
            transport,
            headers,
            pseudo,
        })
    }

    fn checksum_only(&self) -> VnetHeader {
        VnetHeader {
            flags: NEEDS_CSUM,
            csum_start: self.transport as u16,
            csum_offset: checksum_offset(self.protocol) as u16,
            ..VnetHeader::default()
        }
    }

    fn write_all<'b>(
        &self,
        payload: &[u8],
        size: usize,
        slots: impl ExactSizeIterator<Item = &'b mut [u8]>,
        before: usize,
    ) {
        let count = slots.len();
        for (number, (payload, slot)) in payload.chunks(size).zip(slots).enumerate() {
            let part = Part {
                payload,
                number,
                offset: number * size,
                is_last: number + 1 == count,
            };
            let length = self.headers + payload.len();
            self.write(&mut slot[before..before + length], &part);
        }
    }

    /// Write one segment: headers, payload, and the fields that differ between segments.
    fn write(&self, segment: &mut [u8], part: &Part<'_>) {
        let (headers, rest) = segment.split_at_mut(self.headers);
        headers.copy_from_slice(&self.packet[..self.headers]);
        rest.copy_from_slice(part.payload);
        let length = segment.len();
        if self.is_v4 {
            write_v4(segment, part.number);
        } else {
            put(segment, 4, (length - IPV6_HEADER) as u16);
        }
        let segment = &mut segment[self.transport..];
        if self.protocol == TCP {
            write_tcp(segment, part);
        } else {
            put(segment, 4, (length - self.transport) as u16);
        }
        let at = checksum_offset(self.protocol);
        put(segment, at, 0);
        let sum = self.pseudo + segment.len() as u64 + checksum::sum(segment);
        put(segment, at, complement(sum));
    }
}

/// One segment's share of the payload.
struct Part<'a> {
    payload: &'a [u8],
    number: usize,
    offset: usize,
    is_last: bool,
}

fn write_v4(segment: &mut [u8], number: usize) {
    let id = u16::from_be_bytes([segment[4], segment[5]]);
    put(segment, 2, segment.len() as u16);
    put(segment, 4, id.wrapping_add(number as u16));
    let length = usize::from(segment[0] & 0xf) * 4;
    checksum::write_ipv4_header(&mut segment[..length]);
}

/// Write sequence number and flags (kernel tcp_offload.c, tcp_gso_segment): FIN and PSH are set on the
/// last segment only, CWR on the first.
fn write_tcp(segment: &mut [u8], part: &Part<'_>) {
    let sequence = u32::from_be_bytes([segment[4], segment[5], segment[6], segment[7]]);
    let sequence = sequence.wrapping_add(part.offset as u32);
    segment[4..8].copy_from_slice(&sequence.to_be_bytes());
    if part.number != 0 {
        segment[13] &= !CWR;
    }
    if !part.is_last {
        segment[13] &= !(FIN | PSH);
    }
}

fn transport_header(protocol: u8, packet: &[u8], transport: usize) -> Result<usize, BadOffload> {
    if protocol == UDP {
        return Ok(UDP_HEADER);
    }
    let offset = packet.get(transport + 12).ok_or(BadOffload)?;
    let length = usize::from(offset >> 4) * 4;
    if length < TCP_HEADER {
        Err(BadOffload)
    } else {
        Ok(length)
    }
}

/// The checksum for a sum. Never 0, which in UDP means no checksum; for TCP 0xffff is equivalent
/// (kernel skb_checksum_help does the same).
const fn complement(sum: u64) -> u16 {
    match !checksum::fold(sum) {
        0 => 0xffff,
        checksum => checksum,
    }
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}
