//! A generator of TCP and UDP packets, with a plain implementation of the checksum (RFC 1071).

use holloway_packet::offload::VnetHeader;
use proptest::prelude::*;

/// The common fields of a flow's packets, and its first sequence number and identification.
#[derive(Clone, Debug)]
pub struct Flow {
    pub is_v4: bool,
    pub is_tcp: bool,
    pub source: [u8; 16],
    pub destination: [u8; 16],
    pub ports: [u8; 4],
    pub tos: u8,
    pub ttl: u8,
    pub dont_fragment: bool,
    pub id: u16,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub window: u16,
    pub flags: u8,
    pub options: Vec<u8>,
}

pub const ACK: u8 = 0x10;
pub const PSH: u8 = 0x08;

pub fn flow() -> impl Strategy<Value = Flow> {
    let wide = (
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        any::<[u8; 4]>(),
        0usize..=10,
    );
    let fields = (any::<u8>(), any::<u8>(), any::<bool>(), any::<u16>());
    let tcp = (any::<u32>(), any::<u32>(), any::<u16>(), any::<u8>());
    (any::<bool>(), any::<bool>(), wide, fields, tcp).prop_map(
        |(is_v4, is_tcp, (source, destination, ports, words), fields, tcp)| Flow {
            is_v4,
            is_tcp,
            source,
            destination,
            ports,
            tos: fields.0,
            ttl: fields.1,
            dont_fragment: fields.2,
            id: fields.3,
            sequence: tcp.0,
            acknowledgement: tcp.1,
            window: tcp.2,
            flags: ACK,
            options: (0..words * 4)
                .map(|at| tcp.3.wrapping_mul(at as u8))
                .collect(),
        },
    )
}

impl Flow {
    pub fn transport(&self) -> usize {
        if self.is_v4 { 20 } else { 40 }
    }

    pub fn headers(&self) -> usize {
        self.transport()
            + if self.is_tcp {
                20 + self.options.len()
            } else {
                8
            }
    }

    /// The vnet_hdr of a large packet with segments of `size` bytes.
    pub fn vnet(&self, size: usize) -> VnetHeader {
        VnetHeader {
            flags: 1,
            gso_type: match (self.is_tcp, self.is_v4) {
                (true, true) => 1,
                (true, false) => 4,
                (false, _) => 5,
            },
            hdr_len: self.headers() as u16,
            gso_size: size as u16,
            csum_start: self.transport() as u16,
            csum_offset: if self.is_tcp { 16 } else { 6 },
        }
    }

    /// Packet `number` of the flow, with a payload that begins at `offset` of the stream.
    pub fn packet(&self, number: usize, offset: usize, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut body = self.body(offset, flags, payload);
        let at = self.checksum_at();
        let checksum = match !plain_sum(&[&self.pseudo(body.len()), &body]) {
            0 => 0xffff,
            checksum => checksum,
        };
        body[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        self.with_ip_header(number, &body)
    }

    /// A large packet as the kernel writes it: its checksum field has the pseudo-header's sum.
    pub fn large(&self, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut body = self.body(0, flags, payload);
        let at = self.checksum_at();
        let sum = plain_sum(&[&self.pseudo(body.len())]);
        body[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        self.with_ip_header(0, &body)
    }

    /// The packets of `payload` cut to `size` bytes, the last one with PSH if `pushed`.
    pub fn packets(&self, payload: &[u8], size: usize, pushed: bool) -> Vec<Vec<u8>> {
        let count = payload.len().div_ceil(size);
        let cut = |(number, part)| {
            let push = if pushed && number + 1 == count {
                PSH
            } else {
                0
            };
            self.packet(number, number * size, self.flags | push, part)
        };
        payload.chunks(size).enumerate().map(cut).collect()
    }

    fn checksum_at(&self) -> usize {
        if self.is_tcp { 16 } else { 6 }
    }

    fn body(&self, offset: usize, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut body = self.ports.to_vec();
        if self.is_tcp {
            body.extend(self.sequence.wrapping_add(offset as u32).to_be_bytes());
            body.extend(self.acknowledgement.to_be_bytes());
            body.extend([((20 + self.options.len()) as u8 / 4) << 4, flags]);
            body.extend(self.window.to_be_bytes());
            body.extend([0; 4]);
            body.extend(&self.options);
        } else {
            body.extend((8 + payload.len() as u16).to_be_bytes());
            body.extend([0; 2]);
        }
        body.extend(payload);
        body
    }

    fn addresses(&self) -> Vec<u8> {
        let length = if self.is_v4 { 4 } else { 16 };
        [&self.source[..length], &self.destination[..length]].concat()
    }

    fn protocol(&self) -> u8 {
        if self.is_tcp { 6 } else { 17 }
    }

    fn pseudo(&self, length: usize) -> Vec<u8> {
        let mut pseudo = self.addresses();
        pseudo.extend((length as u32).to_be_bytes());
        pseudo.extend([0, 0, 0, self.protocol()]);
        pseudo
    }

    fn with_ip_header(&self, number: usize, body: &[u8]) -> Vec<u8> {
        let mut packet;
        if self.is_v4 {
            packet = vec![0x45, self.tos];
            packet.extend((20 + body.len() as u16).to_be_bytes());
            packet.extend(self.id.wrapping_add(number as u16).to_be_bytes());
            packet.extend([if self.dont_fragment { 0x40 } else { 0 }, 0]);
            packet.extend([self.ttl, self.protocol(), 0, 0]);
            packet.extend(self.addresses());
            let checksum = !plain_sum(&[&packet]);
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        } else {
            packet = vec![
                0x60 | self.tos >> 4,
                self.tos << 4,
                self.id as u8,
                (self.id >> 8) as u8,
            ];
            packet.extend((body.len() as u16).to_be_bytes());
            packet.extend([self.protocol(), self.ttl]);
            packet.extend(self.addresses());
        }
        packet.extend(body);
        packet
    }
}

/// RFC 1071, word by word. All parts except the last must have an even length.
pub fn plain_sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u16;
    for part in parts {
        for word in part.chunks(2) {
            let word = u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]);
            let (added, carry) = sum.overflowing_add(word);
            sum = added + u16::from(carry);
        }
    }
    sum
}

/// Bytes that differ by position.
pub fn payload(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|at| (at as u32 * 167 + u32::from(seed) * 13) as u8)
        .collect()
}
