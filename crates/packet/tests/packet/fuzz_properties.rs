//! What the fuzz targets check, also run by the tests on shorter inputs.
//!
//! Each property must hold for any bytes.

use holloway_packet::coalesce::Coalescer;
use holloway_packet::offload::{VNET_HEADER, VnetHeader};
use holloway_packet::split::{Slots, split};
use holloway_packet::{ecn, ip};

/// Enough for every packet with segments of at least `MIN_SEGMENT` bytes.
pub const CAPACITY: usize = 256 * 1024;

/// Slots like those of the plane: 16 bytes, the packet padded to a multiple of 16, and 16 bytes.
pub fn slots() -> Slots<impl Fn(usize) -> usize> {
    Slots {
        before: 16,
        size: |length: usize| 32 + length.next_multiple_of(16),
    }
}

/// Any bytes are parsed, and changed by no more than a congestion mark.
pub fn ip(bytes: &[u8]) {
    let _ = (ip::destination(bytes), ip::source(bytes));
    if let Some(length) = ip::total_length(bytes) {
        assert!(length <= bytes.len());
    }
    let mut congested = bytes.to_vec();
    ecn::decapsulate(&mut congested, true);
    assert!(ip::tos(&congested) | 3 == ip::tos(bytes) | 3);
}

/// Splitting keeps the payload and stays inside the buffer.
pub fn split_any(bytes: &[u8]) {
    let Some((header, packet)) = bytes.split_first_chunk::<VNET_HEADER>() else {
        return;
    };
    let mut out = vec![0; CAPACITY];
    let header = VnetHeader::parse(header);
    let Ok(segments) = split(&header, packet, &mut out, slots()) else {
        return;
    };
    assert!(segments.count >= 1 && segments.last <= segments.length);
    assert!(segments.length + 32 <= segments.stride);
    let end = (segments.count - 1) * segments.stride + 16 + segments.last + 16;
    assert!(end <= out.len());
    let total = (segments.count - 1) * segments.length + segments.last;
    assert!(
        total >= packet.len(),
        "headers are repeated, payload is kept"
    );
}

/// Joining any packets loses none and changes none. The input is a sequence of lengths and packets.
pub fn coalesce(bytes: &[u8]) {
    let (mut buffer, mut ranges) = (bytes.to_vec(), vec![]);
    let mut at = 0;
    while let Some(length) = bytes.get(at..at + 2) {
        let start = at + 2;
        let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
        at = bytes.len().min(start + length);
        ranges.push(start..at);
    }
    let mut coalescer = Coalescer::new(true, true);
    for range in &ranges {
        coalescer.push(&mut buffer, range.clone());
    }
    coalescer.finish(&mut buffer);
    let mut seen = vec![];
    for write in coalescer.writes() {
        let header = write.header;
        let whole: Vec<u8> = write.flat_map(|range| buffer[range].to_vec()).collect();
        let mut out = vec![0; CAPACITY];
        let segments = split(&header, &whole, &mut out, slots()).expect("it takes what it makes");
        for number in 0..segments.count {
            let is_last = number + 1 == segments.count;
            let length = if is_last {
                segments.last
            } else {
                segments.length
            };
            let start = number * segments.stride + 16;
            seen.push(without_id(&out[start..start + length]));
        }
    }
    let mut given: Vec<_> = ranges
        .into_iter()
        .map(|range| without_id(&bytes[range]))
        .collect();
    seen.sort();
    given.sort();
    assert_eq!(seen, given);
}

/// The packet without its identification, which may change if an IPv4 packet must not be fragmented.
fn without_id(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet.len() >= 20 && packet[0] >> 4 == 4 && packet[6] & 0x40 != 0 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}
