//! TCP segments: parses their headers as far as `stream` and `recovery` need, rewrites fields that smoltcp would
//! misunderstand, and builds the few segments that it does not send itself.
//!
//! Reads untrusted bytes; never panics.

use std::ops::Range;

use holloway_packet::checksum;
use holloway_packet::offload::{
    GSO_NONE, GSO_TCPV4, GSO_TCPV6, NEEDS_CSUM, VNET_HEADER, VnetHeader,
};
use holloway_packet::transport::{TCP, TCP_CHECKSUM, TCP_HEADER, Transport};

use crate::packet::{Arrival, Flow, ip_header, pseudo, write_ip};

/// The fields of a TCP segment that are needed here.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Its flags.
    pub flags: u8,
    /// The sequence number.
    pub sequence: u32,
    /// The acknowledgement number.
    pub ack: u32,
    /// The window field.
    pub window: u16,
    /// What its sender has received beyond `ack`; see `selective`.
    blocks: [(u32, u32); MAX_BLOCKS],
    /// How many of them there are.
    count: usize,
    /// In a SYN: the scale of its sender's windows.
    pub scale: Option<u8>,
    /// In a SYN: whether its sender accepts selective acknowledgements.
    pub permits_sack: bool,
    /// In a SYN: the largest segment that its sender accepts.
    pub mss: u16,
    /// The length of its payload.
    pub payload: usize,
}

/// The TCP flag FIN.
pub const FIN: u8 = 0x01;
/// The TCP flag SYN.
pub const SYN: u8 = 0x02;
/// The TCP flag RST.
pub const RST: u8 = 0x04;
/// The TCP flag ACK.
pub const ACK: u8 = 0x10;
/// The TCP option for selective acknowledgements.
const SACK: u8 = 5;
/// The TCP option for the maximum segment size.
pub const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
/// RFC 7323, 2.3.
const MAX_SCALE: u8 = 14;
/// As many as fit into the options.
const MAX_BLOCKS: usize = 4;
/// RFC 9293, 3.7.1.
const DEFAULT_MSS: u16 = 536;

impl Arrival<'_> {
    /// Its TCP header, if it has a whole one.
    #[must_use]
    pub fn segment(&self) -> Option<Segment> {
        let header = usize::from(*self.body.get(12)? >> 4) * 4;
        let options = self.body.get(TCP_HEADER..header)?;
        let flags = self.body[13];
        let number = |at: usize| Some(u32::from_be_bytes(*self.body.get(at..)?.first_chunk()?));
        let ack = number(8)?;
        let (blocks, count) =
            option(options, SACK).map_or_else(Default::default, |at| blocks(&options[at]));
        Some(Segment {
            flags,
            sequence: number(4)?,
            ack,
            window: u16::from_be_bytes(*self.body.get(14..)?.first_chunk()?),
            blocks,
            count,
            scale: option(options, WINDOW_SCALE)
                .and_then(|at| options[at].first())
                .map(|&scale| scale.min(MAX_SCALE)),
            permits_sack: option(options, SACK_PERMITTED).is_some(),
            mss: option(options, MSS)
                .and_then(|at| options[at].first_chunk().copied())
                .map_or(DEFAULT_MSS, u16::from_be_bytes),
            payload: self.body.len() - header,
        })
    }
}

/// Write an acknowledgement without data behind its vnet_hdr; the plane completes its checksum.
pub fn write_ack(out: &mut Vec<u8>, flow: &Flow, sequence: u32, ack: u32, window: u16) {
    write_tcp(out, flow, sequence, ack, window, [&[], &[]], usize::MAX);
}

/// Write a segment whose payload is in two parts behind its vnet_hdr; the plane cuts it into segments of `size`
/// bytes, and completes their checksums.
pub fn write_tcp(
    out: &mut Vec<u8>,
    flow: &Flow,
    sequence: u32,
    ack: u32,
    window: u16,
    payload: [&[u8]; 2],
    size: usize,
) {
    let is_v4 = flow.local.is_ipv4();
    let length = TCP_HEADER + payload.iter().map(|part| part.len()).sum::<usize>();
    let is_long = length - TCP_HEADER > size;
    let kind = if is_v4 { GSO_TCPV4 } else { GSO_TCPV6 };
    let header = VnetHeader {
        flags: NEEDS_CSUM,
        gso_type: if is_long { kind } else { GSO_NONE },
        hdr_len: (ip_header(is_v4) + TCP_HEADER) as u16,
        gso_size: if is_long { size as u16 } else { 0 },
        csum_start: ip_header(is_v4) as u16,
        csum_offset: TCP_CHECKSUM as u16,
    };
    out.extend_from_slice(&header.to_bytes());
    let (source, destination) = (flow.local.ip(), flow.remote.ip());
    write_ip(out, source, destination, TCP, length);
    for port in [flow.local.port(), flow.remote.port()] {
        out.extend_from_slice(&port.to_be_bytes());
    }
    for number in [sequence, ack] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&[(TCP_HEADER as u8 / 4) << 4, ACK]);
    out.extend_from_slice(&window.to_be_bytes());
    let partial = checksum::fold(pseudo(source, destination, TCP, length));
    out.extend_from_slice(&partial.to_be_bytes());
    out.extend_from_slice(&[0; 2]);
    payload
        .into_iter()
        .for_each(|part| out.extend_from_slice(part));
}

/// Replace the window field of a TCP segment behind its vnet_hdr. Its checksum is verified before.
pub fn replace_window(packet: &mut [u8], window: u16) {
    let inner = packet.get_mut(VNET_HEADER..).unwrap_or_default();
    let at = Transport::find(inner).map(|transport| transport.at + 14);
    if let Some(field) = at.and_then(|at| inner.get_mut(at..)?.first_chunk_mut()) {
        *field = window.to_be_bytes();
    }
}

/// Replace the scale of windows in a SYN behind its vnet_hdr, if it has one.
pub fn replace_scale(packet: &mut [u8], scale: u8) {
    if let Some(value) = option_value(packet, WINDOW_SCALE).and_then(<[u8]>::first_mut) {
        *value = scale;
    }
}

/// Replace the MSS that a SYN announces, behind its vnet_hdr. Its checksum is verified before.
pub fn replace_mss(packet: &mut [u8], mss: u16) {
    if let Some(value) = option_value(packet, MSS).and_then(<[u8]>::first_chunk_mut) {
        *value = mss.to_be_bytes();
    }
}

/// The value of an option of the TCP segment behind a vnet_hdr, to be replaced.
fn option_value(packet: &mut [u8], kind: u8) -> Option<&mut [u8]> {
    let inner = packet.get_mut(VNET_HEADER..)?;
    let at = Transport::find(inner)?.at + TCP_HEADER;
    let options = inner.get_mut(at..)?;
    let place = option(options, kind)?;
    options.get_mut(place)
}

/// The blocks of a SACK option (RFC 2018, 3), and their number.
fn blocks(value: &[u8]) -> ([(u32, u32); MAX_BLOCKS], usize) {
    let mut blocks = [(0, 0); MAX_BLOCKS];
    let (edges, _) = value.as_chunks::<4>();
    let pairs = edges.chunks_exact(2).map(|block| {
        let [start, end] = [block[0], block[1]].map(u32::from_be_bytes);
        (start, end)
    });
    let count = blocks
        .iter_mut()
        .zip(pairs)
        .map(|(block, pair)| *block = pair)
        .count();
    (blocks, count)
}

impl Segment {
    /// What its sender has received beyond what it acknowledges: from the first number to the one after the last. A
    /// block before `ack` reports a duplicate (RFC 2883).
    #[must_use]
    pub fn selective(&self) -> &[(u32, u32)] {
        &self.blocks[..self.count]
    }
}

/// The range of the value of the first TCP option of this kind.
#[must_use]
pub fn option(options: &[u8], wanted: u8) -> Option<Range<usize>> {
    let mut at = 0;
    loop {
        let length = match *options.get(at..)? {
            [0, ..] | [] => return None,
            [1, ..] => 1,
            [_, length, ..] if length >= 2 => usize::from(length),
            _ => return None,
        };
        let end = at + length;
        if end > options.len() {
            return None;
        }
        if options[at] == wanted {
            return Some(at + 2..end);
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Segment {
        /// An acknowledgement, for the tests of the parts that use it.
        pub fn acknowledging(ack: u32) -> Self {
            Self {
                flags: ACK,
                sequence: 0,
                ack,
                window: 0,
                blocks: Default::default(),
                count: 0,
                scale: None,
                permits_sack: false,
                mss: DEFAULT_MSS,
                payload: 0,
            }
        }

        /// Report a block.
        pub fn add_selective(&mut self, start: u32, end: u32) {
            self.blocks[self.count] = (start, end);
            self.count += 1;
        }
    }

    #[test]
    fn as_many_blocks_are_read_as_there_are() {
        let block = |start: u32, end: u32| [start.to_be_bytes(), end.to_be_bytes()].concat();
        let bytes = [block(1500, 1900), block(1200, 1300)].concat();
        let (found, count) = blocks(&bytes);
        assert_eq!(found[..count], [(1500, 1900), (1200, 1300)]);
        assert_eq!(blocks(&bytes[..15]).1, 1);
        assert_eq!(blocks(&bytes[..7]).1, 0);
        assert_eq!(blocks(&[0; 38]).1, 4);
    }

    #[test]
    fn an_option_is_found_behind_others_and_bogus_lengths_end_the_search() {
        assert_eq!(option(&[1, 1, 4, 2, 2, 4, 5, 0xb4], MSS), Some(6..8));
        for bogus in [
            &[3, 0, 2, 4, 1, 1][..],
            &[3, 1],
            &[3],
            &[0, 2, 4, 1, 1],
            &[2, 9, 1],
        ] {
            assert_eq!(option(bogus, MSS), None);
        }
    }

    #[test]
    fn a_written_segment_is_read_the_same() {
        for (local, remote) in [("10.0.0.1:1", "10.0.0.2:2"), ("[fd00::1]:1", "[fd00::2]:2")] {
            let address = |text: &str| text.parse().expect("an address");
            let flow = Flow {
                local: address(remote),
                remote: address(local),
            };
            let mut packet = Vec::new();
            write_tcp(&mut packet, &flow, 7, 9, 11, [b"hel", b"lo"], 3);
            let header = packet
                .first_chunk()
                .map(VnetHeader::parse)
                .expect("a header");
            assert_eq!(header.gso_size, 3);
            // As the plane completes a checksum.
            let at = usize::from(header.csum_start);
            let sum = !checksum::fold(checksum::sum(&packet[VNET_HEADER + at..]));
            let field = VNET_HEADER + at + usize::from(header.csum_offset);
            packet[field..field + 2].copy_from_slice(&sum.to_be_bytes());
            packet[..VNET_HEADER].fill(0);
            let arrival = Arrival::parse_untrusted(&packet).expect("a packet");
            assert!(arrival.is_sound());
            let segment = arrival.segment().expect("a segment");
            assert_eq!((segment.sequence, segment.ack, segment.window), (7, 9, 11));
            assert_eq!((segment.flags, segment.payload), (ACK, 5));
            assert!(packet.ends_with(b"hello"));
            let own = arrival.flow().expect("ports");
            assert_eq!((own.local, own.remote), (flow.remote, flow.local));
        }
    }

    #[test]
    fn fields_of_a_syn_are_replaced() {
        let flow = Flow {
            local: "10.0.0.1:1".parse().expect("an address"),
            remote: "10.0.0.2:2".parse().expect("an address"),
        };
        let mut packet = Vec::new();
        write_tcp(
            &mut packet,
            &flow,
            7,
            9,
            11,
            [&[2, 4, 0, 48, 3, 3, 9, 0], &[]],
            99,
        );
        packet[VNET_HEADER + 20 + 12] = 7 << 4;
        replace_mss(&mut packet, 1380);
        replace_scale(&mut packet, 6);
        replace_window(&mut packet, 500);
        let arrival = Arrival::parse_untrusted(&packet).expect("a packet");
        let segment = arrival.segment().expect("a segment");
        assert_eq!(
            (segment.mss, segment.scale, segment.window),
            (1380, Some(6), 500)
        );
    }
}
