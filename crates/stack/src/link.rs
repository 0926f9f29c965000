//! smoltcp's network device: receives one packet at a time, and sends packets to the plane.
//!
//! Segments are sent whole, up to 64 KiB; the plane cuts them and completes their checksums. smoltcp's own
//! segmentation offload drops packets in IPv6, so smoltcp sees an MTU that fits every packet, and this
//! module applies the true one. Packets to our own addresses are looped back. Checksums of received packets
//! are verified before.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use holloway_packet::checksum;
use holloway_packet::ip::{self, IPV4_HEADER, IPV6_HEADER};
use holloway_packet::offload::{
    GSO_NONE, GSO_TCPV4, GSO_TCPV6, NEEDS_CSUM, VNET_HEADER, VnetHeader,
};
use holloway_packet::transport::{TCP, TCP_CHECKSUM, TCP_HEADER};
use holloway_plane::{LinkEndpoint, OVERHEAD, full_train};
use smoltcp::phy::{self, Checksum, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use crate::addresses::Addresses;
use crate::counts::{Counts, Reason};
use crate::segment::{FIN, MSS, SYN, option};
use crate::window::Window;

/// How many looped packets may wait.
const LOOPED: usize = 1024;
const MAX_PACKET: usize = 65_535;

/// The interface.
#[derive(Debug)]
pub struct Link {
    endpoint: Arc<LinkEndpoint>,
    counts: Arc<Counts>,
    addresses: Addresses,
    mtu: usize,
    arrived: Option<Vec<u8>>,
    looped: VecDeque<Vec<u8>>,
    /// The largest segment that the receiver of the next packets accepts.
    pub segment: usize,
    /// The queue to the plane is full; the endpoint's descriptor reports when it has room again.
    pub is_refused: bool,
    /// The sequence numbers of the last segment sent: its first, and the one after its last.
    pub sent: Option<(u32, u32)>,
    /// smoltcp's packets are to have one segment.
    pub is_narrow: bool,
    /// The receive window of the stream whose segments are sent.
    pub window: Option<Window>,
}

impl Link {
    /// Create a link to this endpoint.
    #[must_use]
    pub fn new(
        endpoint: Arc<LinkEndpoint>,
        counts: Arc<Counts>,
        addresses: Addresses,
        mtu: usize,
    ) -> Self {
        Self {
            endpoint,
            counts,
            addresses,
            mtu,
            arrived: None,
            looped: VecDeque::new(),
            segment: usize::MAX,
            is_refused: false,
            sent: None,
            is_narrow: false,
            window: None,
        }
    }

    /// The largest packet that is not cut.
    #[must_use]
    pub const fn mtu(&self) -> usize {
        self.mtu
    }

    /// Our addresses.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Make the next `receive` return this packet, which has a vnet_hdr.
    pub fn offer(&mut self, packet: Vec<u8>) {
        self.arrived = Some(packet);
    }

    /// Remove and return the next looped packet.
    pub fn take_looped(&mut self) -> Option<Vec<u8>> {
        self.looped.pop_front()
    }

    /// Whether there is a looped packet.
    #[must_use]
    pub fn has_looped(&self) -> bool {
        !self.looped.is_empty()
    }

    /// Return the buffer of a received packet for reuse.
    pub fn recycle(&self, packet: Vec<u8>) {
        self.endpoint.recycle(packet);
    }

    /// Whether a datagram of this length may be sent.
    pub fn has_room(&mut self, length: usize) -> bool {
        let has_room = self.endpoint.has_room(length);
        self.is_refused |= !has_room;
        has_room
    }

    /// Send a packet that `write` writes, of `length` bytes with its vnet_hdr. Counts it if there is no room.
    pub fn send(&mut self, length: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let mut packet = self.endpoint.buffer(length);
        write(&mut packet);
        self.out().hand_over(packet);
    }

    /// How many bytes of a stream fit into one train.
    #[must_use]
    pub fn train(&self, ip_header: usize) -> usize {
        self.full(ip_header)
            .map_or(0, |length| length.get() - ip_header - TCP_HEADER)
    }

    fn out(&mut self) -> Out<'_> {
        Out {
            endpoint: &self.endpoint,
            counts: &self.counts,
            addresses: &self.addresses,
            looped: &mut self.looped,
            window: &mut self.window,
            sent: &mut self.sent,
            mtu: self.mtu,
            segment: self.segment,
        }
    }

    /// The longest packet to send to the plane: one train.
    fn full(&self, ip_header: usize) -> Option<NonZeroUsize> {
        let headers = ip_header + TCP_HEADER;
        let datagram = self.mtu + OVERHEAD;
        let segments = full_train(datagram) / datagram;
        NonZeroUsize::new((segments * (self.mtu - headers) + headers).min(MAX_PACKET))
    }
}

impl phy::Device for Link {
    type RxToken<'a> = Arrived<'a>;
    type TxToken<'a> = Out<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Arrived<'_>, Out<'_>)> {
        let packet = self.arrived.take()?;
        let out = self.out();
        let endpoint = out.endpoint;
        Some((Arrived { packet, endpoint }, out))
    }

    fn transmit(&mut self, _: Instant) -> Option<Out<'_>> {
        let has_room = self.looped.len() < LOOPED && self.has_room(VNET_HEADER + 65_535);
        has_room.then(|| self.out())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut checksums = ChecksumCapabilities::default();
        checksums.tcp = Checksum::None;
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MAX_PACKET;
        capabilities.checksum = checksums;
        if !self.is_narrow {
            capabilities.segmentation.tcpv4 = self.full(IPV4_HEADER);
            capabilities.segmentation.tcpv6 = self.full(IPV6_HEADER);
        }
        capabilities
    }
}

/// A received packet.
#[derive(Debug)]
pub struct Arrived<'a> {
    packet: Vec<u8>,
    endpoint: &'a LinkEndpoint,
}

impl phy::RxToken for Arrived<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(self.packet.get(VNET_HEADER..).unwrap_or_default());
        self.endpoint.recycle(self.packet);
        result
    }
}

/// Sends one packet.
#[derive(Debug)]
pub struct Out<'a> {
    endpoint: &'a LinkEndpoint,
    counts: &'a Counts,
    addresses: &'a Addresses,
    looped: &'a mut VecDeque<Vec<u8>>,
    window: &'a mut Option<Window>,
    sent: &'a mut Option<(u32, u32)>,
    mtu: usize,
    segment: usize,
}

impl phy::TxToken for Out<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, length: usize, f: F) -> R {
        let mut packet = self.endpoint.buffer(VNET_HEADER + length);
        packet.resize(VNET_HEADER + length, 0);
        let result = f(&mut packet[VNET_HEADER..]);
        let header = self.complete(&mut packet[VNET_HEADER..]);
        packet[..VNET_HEADER].copy_from_slice(&header.to_bytes());
        self.hand_over(packet);
        result
    }
}

impl Out<'_> {
    /// Write the pseudo-header's sum to the checksum field, and return the vnet_hdr.
    fn complete(&mut self, packet: &mut [u8]) -> VnetHeader {
        let (transport, protocol, addresses, kind) = match packet {
            [first, ..] if *first >> 4 == 4 => (IPV4_HEADER, packet[9], 12, GSO_TCPV4),
            _ => (IPV6_HEADER, packet[6], 8, GSO_TCPV6),
        };
        if protocol != TCP || packet.len() < transport + TCP_HEADER {
            return VnetHeader::default();
        }
        let header = usize::from(packet[transport + 12] >> 4) * 4;
        let headers = (transport + header).min(packet.len());
        self.correct(
            &mut packet[transport..headers],
            self.mtu - transport - TCP_HEADER,
        );
        let length = packet.len() - transport;
        let sum = checksum::pseudo_header(&packet[addresses..transport], TCP, length);
        let at = transport + TCP_CHECKSUM;
        packet[at..at + 2].copy_from_slice(&checksum::fold(sum).to_be_bytes());
        let sequence = packet[transport + 4..].first_chunk().copied();
        let flags = packet[transport + 13] & (SYN | FIN);
        let numbers = (packet.len() - headers) as u32 + flags.count_ones();
        *self.sent = sequence.map(|bytes| {
            let start = u32::from_be_bytes(bytes);
            (start, start.wrapping_add(numbers))
        });
        let size = self.segment.min(self.mtu - headers);
        let is_long = packet.len() - headers > size;
        VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: if is_long { kind } else { GSO_NONE },
            hdr_len: headers as u16,
            gso_size: if is_long { size as u16 } else { 0 },
            csum_start: transport as u16,
            csum_offset: TCP_CHECKSUM as u16,
        }
    }

    /// Correct a TCP header: the true MSS in a SYN, and a smaller window.
    ///
    /// The window field counts units and drops the remainder, so the window's end can move back by less
    /// than a unit as data comes (RFC 7323, 2.4). smoltcp then refuses segments sent up to the former end,
    /// acknowledgements too, and both sides could wait forever. Announcing one unit less avoids this.
    fn correct(&mut self, header: &mut [u8], most: usize) {
        let (fixed, options) = header.split_at_mut(TCP_HEADER);
        let field = u16::from_be_bytes([fixed[14], fixed[15]]);
        let is_syn = fixed[13] & SYN != 0;
        let window = match self.window {
            Some(window) if is_syn => window.of_syn(field),
            Some(window) => {
                let ack = u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
                window.announce(ack, field.saturating_sub(1))
            }
            None => field,
        };
        fixed[14..16].copy_from_slice(&window.to_be_bytes());
        if is_syn && let Some(value) = option(options, MSS).and_then(|at| options.get_mut(at)) {
            value.copy_from_slice(&(most as u16).to_be_bytes()[..value.len()]);
        }
    }

    fn hand_over(&mut self, packet: Vec<u8>) {
        let ours = ip::destination(&packet[VNET_HEADER..])
            .is_some_and(|destination| self.addresses.contains(destination));
        let fits = if ours {
            self.looped.len() < LOOPED
        } else {
            self.endpoint.has_room(packet.len())
        };
        match (fits, ours) {
            (false, _) => self.counts.add(Reason::QueueFull),
            (true, true) => self.looped.push_back(packet),
            (true, false) => self.endpoint.send(packet),
        }
    }
}
