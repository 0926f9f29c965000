//! `wg syncconf`: an update with the differences between a device and a configuration.

use std::collections::HashMap;

use crate::device::{Device, Peer};
use crate::key::Key;
use crate::update::{PeerUpdate, Update};

/// Turn an update that describes a whole device into one without `replace_peers`.
///
/// It removes the peers of `device` that the update does not have one by one, and resets the preshared key
/// and the keepalive of the others if the update does not set them, so that these keep their sessions. If
/// either side has no peers, replacing all of them is equivalent and shorter.
#[must_use]
pub fn difference(device: &Device, update: Update) -> Update {
    if update.peers.is_empty() || device.peers.is_empty() {
        return update;
    }
    let named = device.peers.iter().map(|peer| (&peer.public_key, peer));
    let mut there: HashMap<&Key, &Peer> = named.collect();
    let mut kept = update.peers;
    for peer in &mut kept {
        // A second section of a peer counts for the settings that it has.
        if let Some(before) = there.remove(&peer.public_key) {
            silence(before, peer);
        }
    }
    // From the highest key to the lowest, like wg(8).
    let mut gone: Vec<&Key> = there.into_keys().collect();
    gone.sort_unstable_by(|one, other| other.cmp(one));
    let removals = gone.into_iter().map(|key| PeerUpdate {
        remove: true,
        ..PeerUpdate::new(key.clone())
    });
    Update {
        replace_peers: false,
        peers: removals.chain(kept).collect(),
        ..update
    }
}

/// Reset the settings that the peer has and the update does not, like wg(8) after 2021.
fn silence(peer: &Peer, update: &mut PeerUpdate) {
    if peer.preshared_key.is_some() && update.preshared_key.is_none() {
        update.preshared_key = Some(Key::ZERO);
    }
    if peer.persistent_keepalive != 0 && update.persistent_keepalive.is_none() {
        update.persistent_keepalive = Some(0);
    }
}
