//! The header before each packet of a TUN interface (struct virtio_net_hdr), which lets the kernel and
//! a program exchange many segments as one packet.
//!
//! `split` cuts packets from the kernel; `coalesce` joins packets for it.

/// Length of the header.
pub const VNET_HEADER: usize = 10;

/// The checksum field holds the pseudo-header's sum only (VIRTIO_NET_HDR_F_NEEDS_CSUM).
pub const NEEDS_CSUM: u8 = 1;
/// One packet, no segments (VIRTIO_NET_HDR_GSO_NONE).
pub const GSO_NONE: u8 = 0;
/// TCP segments over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// TCP segments over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// UDP datagrams over either (VIRTIO_NET_HDR_GSO_UDP_L4).
pub const GSO_UDP_L4: u8 = 5;
/// Set in a TCP type if the packet has CWR (VIRTIO_NET_HDR_GSO_ECN).
pub const GSO_ECN: u8 = 0x80;

/// The header. All zeros: a plain packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// `NEEDS_CSUM` or 0.
    pub flags: u8,
    /// One of the `GSO_` numbers.
    pub gso_type: u8,
    /// Length of all headers of the packet.
    pub hdr_len: u16,
    /// Payload of each segment but the last.
    pub gso_size: u16,
    /// Offset at which the checksummed bytes begin.
    pub csum_start: u16,
    /// Offset of the checksum from there.
    pub csum_offset: u16,
}

impl VnetHeader {
    /// Decode a header, which is in native byte order.
    #[inline]
    #[must_use]
    pub fn parse(bytes: &[u8; VNET_HEADER]) -> Self {
        let field = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        Self {
            flags: bytes[0],
            gso_type: bytes[1],
            hdr_len: field(2),
            gso_size: field(4),
            csum_start: field(6),
            csum_offset: field(8),
        }
    }

    /// Encode the header in native byte order.
    #[inline]
    #[must_use]
    pub fn to_bytes(self) -> [u8; VNET_HEADER] {
        let mut bytes = [self.flags, self.gso_type, 0, 0, 0, 0, 0, 0, 0, 0];
        let fields = [
            self.hdr_len,
            self.gso_size,
            self.csum_start,
            self.csum_offset,
        ];
        for (to, field) in bytes[2..].chunks_exact_mut(2).zip(fields) {
            to.copy_from_slice(&field.to_ne_bytes());
        }
        bytes
    }
}
