//! The state of a device.

use crate::address::{Endpoint, Network};
use crate::key::Key;

/// The state of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// None if it has none.
    pub private_key: Option<Key>,
    /// 0 if none is chosen.
    pub listen_port: u16,
    /// The errno with which the interface came up without its port; 0 for none.
    pub listen_error: u32,
    /// 0 means off.
    pub fwmark: u32,
    /// In the device's order.
    pub peers: Vec<Peer>,
}

/// The state of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its public key.
    pub public_key: Key,
    /// None if it has none.
    pub preshared_key: Option<Key>,
    /// Its endpoint, if known.
    pub endpoint: Option<Endpoint>,
    /// Its allowed IPs.
    pub allowed_ips: Vec<Network>,
    /// The time of the last handshake in seconds since 1970, and nanoseconds; 0 means never.
    pub latest_handshake: (u64, u64),
    /// Received bytes of UDP payload.
    pub rx_bytes: u64,
    /// Sent bytes of UDP payload.
    pub tx_bytes: u64,
    /// In seconds; 0 means off.
    pub persistent_keepalive: u16,
    /// 1: there is no other version.
    pub protocol_version: u32,
}

impl Device {
    /// The port that sockets are bound to, or will be when the interface comes up.
    #[must_use]
    pub const fn usable_port(&self) -> u16 {
        if self.listen_error == 0 {
            self.listen_port
        } else {
            0
        }
    }
}

impl Peer {
    /// A peer with no state but its public key.
    #[must_use]
    pub const fn new(public_key: Key) -> Self {
        Self {
            public_key,
            preshared_key: None,
            endpoint: None,
            allowed_ips: Vec::new(),
            latest_handshake: (0, 0),
            rx_bytes: 0,
            tx_bytes: 0,
            persistent_keepalive: 0,
            protocol_version: 1,
        }
    }
    /// Turn it into another peer with no state but its public key, and reuse the memory.
    pub fn renew(&mut self, public_key: Key) {
        let mut allowed_ips = std::mem::take(&mut self.allowed_ips);
        allowed_ips.clear();
        *self = Self {
            allowed_ips,
            ..Self::new(public_key)
        };
    }
}
