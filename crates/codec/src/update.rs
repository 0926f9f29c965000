//! What to change of a device; what is None stays as it is.

use crate::address::{Endpoint, Network};
use crate::key::Key;

/// What to change of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// All zeros remove it.
    pub private_key: Option<Key>,
    /// 0 chooses one anew.
    pub listen_port: Option<u16>,
    /// 0 turns it off.
    pub fwmark: Option<u32>,
    /// Whether all peers are removed first.
    pub replace_peers: bool,
    /// Then these apply, in their order.
    pub peers: Vec<PeerUpdate>,
}

/// What to change of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerUpdate {
    /// Who it is.
    pub public_key: Key,
    /// Whether it goes.
    pub remove: bool,
    /// Whether to change nothing where it does not exist.
    pub update_only: bool,
    /// All zeros remove it.
    pub preshared_key: Option<Key>,
    /// Where it is.
    pub endpoint: Option<Endpoint>,
    /// Seconds; 0 turns it off.
    pub persistent_keepalive: Option<u16>,
    /// Whether all its allowed IPs are removed first.
    pub replace_allowed_ips: bool,
    /// Then these are taken away.
    pub removed_allowed_ips: Vec<Network>,
    /// Then these are added, each moving here from the peer that had it.
    pub allowed_ips: Vec<Network>,
}

impl PeerUpdate {
    /// A change of a peer that changes nothing yet, but makes it where there is none.
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
