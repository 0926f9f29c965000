//! IP fragments: cuts datagrams larger than the MTU, and reassembles received ones.
//!
//! Incomplete datagrams are bounded in number, size and time; the oldest is dropped first. If fragments
//! overlap, their datagram is dropped (RFC 5722). Reads untrusted bytes; never panics.

use std::collections::VecDeque;

use holloway_packet::checksum;
use holloway_packet::ip::{self, IPV4_HEADER, IPV6_HEADER};
use holloway_packet::offload::{VNET_HEADER, VnetHeader};

use crate::counts::Reason;
use crate::timers::{Micros, SECOND};

/// How many datagrams may be incomplete.
const MAX_INCOMPLETE: usize = 64;
/// How long a datagram may be incomplete (Linux: ipfrag_time).
const REASSEMBLY_TIMEOUT: Micros = 30 * SECOND;
/// How many fragments a datagram may have.
const MAX_PARTS: usize = 256;
const MAX_PACKET: usize = 65_535;

const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;
const FRAGMENT_HEADER: usize = 8;
const FRAGMENT: u8 = 44;

/// The incomplete datagrams, oldest first.
#[derive(Debug, Default)]
pub struct Fragments(VecDeque<Incomplete>);

#[derive(Debug)]
struct Incomplete {
    name: Vec<u8>,
    until: Micros,
    /// The packet's header, from its first fragment.
    header: Option<Vec<u8>>,
    /// In order, without overlap.
    parts: Vec<(usize, Vec<u8>)>,
    length: Option<usize>,
}

/// A received fragment.
struct Part<'a> {
    /// The fields that identify the datagram.
    name: Vec<u8>,
    header: Vec<u8>,
    offset: usize,
    is_last: bool,
    body: &'a [u8],
}

impl Fragments {
    /// Add a fragment. Returns the whole packet behind an empty vnet_hdr once it is complete.
    pub fn receive(&mut self, now: Micros, packet: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        let part = parse_untrusted(packet).ok_or(Reason::Malformed)?;
        self.expire(now);
        let found = self.0.iter().position(|other| other.name == part.name);
        let at = found.unwrap_or_else(|| self.begin(now, &part));
        let complete = match self.0[at].add(part) {
            Ok(complete) => complete,
            Err(reason) => {
                self.0.remove(at);
                return Err(reason);
            }
        };
        if !complete {
            return Ok(None);
        }
        Ok(self.0.remove(at).and_then(Incomplete::into_packet))
    }

    fn expire(&mut self, now: Micros) {
        while self.0.front().is_some_and(|oldest| oldest.until <= now) {
            self.0.pop_front();
        }
    }

    fn begin(&mut self, now: Micros, part: &Part<'_>) -> usize {
        if self.0.len() == MAX_INCOMPLETE {
            self.0.pop_front();
        }
        self.0.push_back(Incomplete {
            name: part.name.clone(),
            until: now + REASSEMBLY_TIMEOUT,
            header: None,
            parts: Vec::new(),
            length: None,
        });
        self.0.len() - 1
    }
}

impl Incomplete {
    /// Add a fragment, and return whether the datagram is complete.
    fn add(&mut self, part: Part<'_>) -> Result<bool, Reason> {
        let end = part.offset + part.body.len();
        let at = self
            .parts
            .partition_point(|(offset, _)| *offset < part.offset);
        let before = at.checked_sub(1).map_or(0, |before| {
            let (offset, body) = &self.parts[before];
            offset + body.len()
        });
        let after = self.parts.get(at).map_or(usize::MAX, |(offset, _)| *offset);
        let is_beyond = self.length.is_some_and(|length| end > length);
        let is_short = part.is_last && self.parts.last().is_some_and(|(offset, _)| *offset > end);
        if before > part.offset
            || after < end
            || is_beyond
            || is_short
            || self.parts.len() == MAX_PARTS
        {
            return Err(Reason::Fragment);
        }
        if part.is_last {
            self.length = Some(end);
        }
        if part.offset == 0 {
            self.header = Some(part.header);
        }
        self.parts.insert(at, (part.offset, part.body.to_vec()));
        let have: usize = self.parts.iter().map(|(_, body)| body.len()).sum();
        Ok(self.length == Some(have))
    }

    fn into_packet(self) -> Option<Vec<u8>> {
        let header = self.header?;
        let length = header.len() + self.length?;
        let mut packet = VnetHeader::default().to_bytes().to_vec();
        packet.extend_from_slice(&header);
        self.parts
            .iter()
            .for_each(|(_, body)| packet.extend_from_slice(body));
        let (at, said) = if header[0] >> 4 == 4 {
            (2, length)
        } else {
            (4, length - IPV6_HEADER)
        };
        let said = u16::try_from(said).ok()?.to_be_bytes();
        packet[VNET_HEADER + at..VNET_HEADER + at + 2].copy_from_slice(&said);
        if at == 2 {
            checksum::write_ipv4_header(&mut packet[VNET_HEADER..VNET_HEADER + header.len()]);
        }
        Some(packet)
    }
}

fn parse_untrusted(packet: &[u8]) -> Option<Part<'_>> {
    let packet = packet.get(..ip::total_length(packet)?)?;
    let part = if packet[0] >> 4 == 4 {
        parse_v4(packet)?
    } else {
        parse_v6(packet)?
    };
    let is_whole = part.is_last || part.body.len().is_multiple_of(8);
    let fits = part.header.len() + part.offset + part.body.len() <= MAX_PACKET;
    (is_whole && fits && !part.body.is_empty()).then_some(part)
}

fn parse_v4(packet: &[u8]) -> Option<Part<'_>> {
    let length = usize::from(packet[0] & 15) * 4;
    if length < IPV4_HEADER {
        return None;
    }
    let field = u16::from_be_bytes([packet[6], packet[7]]);
    let mut header = packet.get(..length)?.to_vec();
    let is_sound = checksum::fold(checksum::sum(&header)) == 0xffff;
    header[6..8].fill(0);
    is_sound.then(|| Part {
        name: [&packet[4..6], &packet[9..10], &packet[12..20]].concat(),
        header,
        offset: usize::from(field & OFFSET) * 8,
        is_last: field & MORE == 0,
        body: &packet[length..],
    })
}

/// Only supports a fragment header right after the IPv6 header, as usual in practice.
fn parse_v6(packet: &[u8]) -> Option<Part<'_>> {
    let (header, rest) = packet.split_at(IPV6_HEADER);
    let (fragment, body) = rest.split_first_chunk::<FRAGMENT_HEADER>()?;
    let field = u16::from_be_bytes([fragment[2], fragment[3]]);
    if fragment[0] == FRAGMENT {
        return None; // nested fragments have no legitimate use
    }
    let mut header = header.to_vec();
    header[6] = fragment[0];
    Some(Part {
        name: [&fragment[4..8], &fragment[..1], &packet[8..40]].concat(),
        header,
        offset: usize::from(field >> 3) * 8,
        is_last: field & 1 == 0,
        body,
    })
}

/// Cut an IP packet without options into fragments of at most `mtu` bytes, and pass each to `send` behind
/// an empty vnet_hdr. `id` identifies the packet.
pub fn fragment(packet: &[u8], mtu: usize, id: u32, mut send: impl FnMut(Vec<u8>)) {
    let is_v4 = packet[0] >> 4 == 4;
    let (fixed, extra) = if is_v4 {
        (IPV4_HEADER, 0)
    } else {
        (IPV6_HEADER, FRAGMENT_HEADER)
    };
    let (header, body) = packet.split_at(fixed);
    let size = (mtu - fixed - extra) / 8 * 8;
    let count = body.len().div_ceil(size);
    for (number, part) in body.chunks(size).enumerate() {
        let units = (number * size / 8) as u16;
        let is_last = number + 1 == count;
        let mut out = VnetHeader::default().to_bytes().to_vec();
        out.extend_from_slice(header);
        let written = &mut out[VNET_HEADER..];
        if is_v4 {
            let length = (fixed + part.len()) as u16;
            let field = units | if is_last { 0 } else { MORE };
            written[2..4].copy_from_slice(&length.to_be_bytes());
            written[4..6].copy_from_slice(&(id as u16).to_be_bytes());
            written[6..8].copy_from_slice(&field.to_be_bytes());
            checksum::write_ipv4_header(written);
        } else {
            let length = (extra + part.len()) as u16;
            let field = units << 3 | u16::from(!is_last);
            written[4..6].copy_from_slice(&length.to_be_bytes());
            let protocol = std::mem::replace(&mut written[6], FRAGMENT);
            out.extend_from_slice(&[protocol, 0]);
            out.extend_from_slice(&field.to_be_bytes());
            out.extend_from_slice(&id.to_be_bytes());
        }
        out.extend_from_slice(part);
        send(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Flow, write_udp};

    fn packet(local: &str, remote: &str, length: usize) -> Vec<u8> {
        let flow = Flow {
            local: local.parse().expect("an address"),
            remote: remote.parse().expect("an address"),
        };
        let payload: Vec<u8> = (0..length).map(|number| number as u8).collect();
        let mut out = Vec::new();
        write_udp(&mut out, &flow, &payload);
        out.split_off(VNET_HEADER)
    }

    fn pieces(packet: &[u8]) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        fragment(packet, 1280, 7, |piece| pieces.push(piece));
        pieces
    }

    #[test]
    fn what_was_cut_is_put_together_in_any_order_and_only_once() {
        for (local, remote) in [("10.0.0.1:1", "10.0.0.2:2"), ("[fd00::1]:1", "[fd00::2]:2")] {
            let whole = packet(local, remote, 9000);
            let mut pieces = pieces(&whole);
            assert!(pieces.iter().all(|piece| piece.len() <= VNET_HEADER + 1280));
            pieces.rotate_left(3);
            pieces.reverse();
            let mut fragments = Fragments::default();
            let last = pieces.pop().expect("several");
            for piece in &pieces {
                let result = fragments.receive(0, &piece[VNET_HEADER..]);
                assert_eq!(result, Ok(None));
            }
            let result = fragments.receive(0, &last[VNET_HEADER..]);
            let came = result.expect("good").expect("complete");
            // The flag that forbids cutting is gone, and with it the checksum is another.
            let body = if whole[0] >> 4 == 4 { IPV4_HEADER } else { 0 };
            assert_eq!(came[VNET_HEADER + body..], whole[body..]);
            assert!(fragments.0.is_empty());
        }
    }

    #[test]
    fn fragments_that_overlap_end_their_datagram() {
        let pieces = pieces(&packet("10.0.0.1:1", "10.0.0.2:2", 9000));
        let mut fragments = Fragments::default();
        let first = &pieces[0][VNET_HEADER..];
        assert_eq!(fragments.receive(0, first), Ok(None));
        assert_eq!(fragments.receive(0, first), Err(Reason::Fragment));
        assert!(fragments.0.is_empty());
    }

    #[test]
    fn a_header_of_any_length_is_only_looked_at() {
        let piece = &pieces(&packet("10.0.0.1:1", "10.0.0.2:2", 9000))[0][VNET_HEADER..];
        let mut fragments = Fragments::default();
        for words in (0..16).filter(|&words| words != 5) {
            let mut piece = piece.to_vec();
            piece[0] = 0x40 | words;
            let whole = fragments.receive(0, &piece);
            assert_eq!(whole, Err(Reason::Malformed), "{words} words");
        }
        assert_eq!(fragments.receive(0, piece), Ok(None));
    }

    #[test]
    fn what_never_gets_whole_is_forgotten() {
        let mut fragments = Fragments::default();
        for id in 0..1000 {
            let whole = packet("[fd00::1]:1", "[fd00::2]:2", 2000);
            fragment(&whole, 1280, id, |piece| {
                let is_first = piece[VNET_HEADER + IPV6_HEADER + 3] & 1 == 1;
                if is_first {
                    let _ = fragments.receive(0, &piece[VNET_HEADER..]);
                }
            });
        }
        assert_eq!(fragments.0.len(), MAX_INCOMPLETE);
        fragments.expire(REASSEMBLY_TIMEOUT);
        assert!(fragments.0.is_empty());
    }
}
