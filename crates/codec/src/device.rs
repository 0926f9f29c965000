//! A device as it is.

use crate::address::{Endpoint, Network};
use crate::key::Key;

/// A device as it shows itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// None where it has none.
    pub private_key: Option<Key>,
    /// 0 where none is chosen.
    pub listen_port: u16,
    /// The errno with which the interface came up without its port; 0 for none.
    pub listen_error: u32,
    /// 0 is off.
    pub fwmark: u32,
    /// In the device's order.
    pub peers: Vec<Peer>,
}

/// A peer as its device shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who it is.
    pub public_key: Key,
    /// None where it has none.
    pub preshared_key: Option<Key>,
    /// Where it is, if that is known.
    pub endpoint: Option<Endpoint>,
    /// The networks of inner addresses that are its.
    pub allowed_ips: Vec<Network>,
    /// Seconds since 1970, and nanoseconds, of the last handshake; 0 for never.
    pub latest_handshake: (u64, u64),
    /// UDP payloads received.
    pub rx_bytes: u64,
    /// UDP payloads sent.
    pub tx_bytes: u64,
    /// Seconds; 0 is off.
    pub persistent_keepalive: u16,
    /// 1, until there is another.
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
    /// A peer of which nothing is known yet.
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
    /// Become another peer, of which nothing is known yet, in the same memory.
    pub fn renew(&mut self, public_key: Key) {
        let mut allowed_ips = std::mem::take(&mut self.allowed_ips);
        allowed_ips.clear();
        *self = Self {
            allowed_ips,
            ..Self::new(public_key)
        };
    }
}
