//! IP packets: headers, checksums, ICMP errors, ECN, and segmentation offload as TUN interfaces have
//! it (virtio_net_hdr).
//!
//! It knows nothing of WireGuard and makes no system calls. Everything here reads untrusted bytes and
//! never panics. Used by the plane and by the TCP/IP stack. The `#[inline]` functions are called for
//! each packet.

pub mod checksum;
pub mod coalesce;
pub mod ecn;
pub mod icmp;
pub mod ip;
pub mod offload;
mod segment;
pub mod split;
pub mod transport;
