//! A change of a device. What is None stays as it is.

use crate::address::{Endpoint, Network};
use crate::key::Key;

/// A change of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// All zeros removes it.
    pub private_key: Option<Key>,
    /// 0 chooses a new one.
    pub listen_port: Option<u16>,
    /// 0 turns it off.
    pub fwmark: Option<u32>,
    /// Whether all peers are removed first.
    pub replace_peers: bool,
    /// The changes of peers, in order.
    pub peers: Vec<PeerUpdate>,
}

/// A change of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerUpdate {
    /// Its public key.
    pub public_key: Key,
    /// Whether to remove it.
    pub remove: bool,
    /// Whether to change nothing if it does not exist.
    pub update_only: bool,
    /// All zeros removes it.
    pub preshared_key: Option<Key>,
    /// Its endpoint.
    pub endpoint: Option<Endpoint>,
    /// In seconds; 0 turns it off.
    pub persistent_keepalive: Option<u16>,
    /// Whether all its allowed IPs are removed first.
    pub replace_allowed_ips: bool,
    /// The allowed IPs to remove after that.
    pub removed_allowed_ips: Vec<Network>,
    /// The allowed IPs to add after that. Each is taken from the peer that has it.
    pub allowed_ips: Vec<Network>,
}

impl PeerUpdate {
    /// A change without settings, which creates the peer if it does not exist.
    #[must_use]
    pub const fn new(public_key: Key) -> Self {
        Self {
            public_key,
            remove: false,
            update_only: false,
            preshared_key: None,
            endpoint: None,
            persistent_keepalive: None,
            replace_allowed_ips: false,
            removed_allowed_ips: Vec::new(),
            allowed_ips: Vec::new(),
        }
    }
}
