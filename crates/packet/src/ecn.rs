//! Explicit congestion notification across the tunnel, as the kernel's WireGuard does it (RFC 6040,
//! compatibility mode; include/net/inet_ecn.h).

use crate::checksum;

const MASK: u8 = 0b11;
const ECT0: u8 = 0b10;
const CE: u8 = 0b11;

/// The outer header's ECN bits for a packet with this inner TOS. A congestion mark on the inner packet
/// is not copied: the outer path starts as ECN-capable.
#[inline]
#[must_use]
pub const fn encapsulate(inner_tos: u8) -> u8 {
    match inner_tos & MASK {
        CE => ECT0,
        other => other,
    }
}

/// Whether a received outer TOS has the congestion mark.
#[inline]
#[must_use]
pub const fn is_congested(outer_tos: u8) -> bool {
    outer_tos & MASK == CE
}

/// Mark a decrypted packet if the outer path was congested and the packet is ECN-capable.
#[inline]
pub fn decapsulate(packet: &mut [u8], outer_congested: bool) {
    if !outer_congested {
        return;
    }
    match packet {
        [first, _, ..] if *first >> 4 == 4 => congest_v4(packet),
        [first, second, ..] if *first >> 4 == 6 && *second >> 4 & MASK != 0 => *second |= CE << 4,
        _ => {}
    }
}

fn congest_v4(packet: &mut [u8]) {
    let Some(header) = packet.get_mut(..20) else {
        return;
    };
    let ecn = header[1] & MASK;
    if ecn == 0 || ecn == CE {
        return;
    }
    header[1] |= CE;
    // RFC 1624, equation 3: subtract the old word, add the new one.
    let old = u16::from_be_bytes([header[10], header[11]]);
    let sum = checksum::fold(u64::from(!old) + u64::from(CE - ecn));
    header[10..12].copy_from_slice(&(!sum).to_be_bytes());
}
