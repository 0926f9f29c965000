//! What `wg syncconf` asks for: the update that leaves alone what stays.

use std::collections::HashMap;

use crate::device::{Device, Peer};
use crate::key::Key;
use crate::update::{PeerUpdate, Update};

/// Turn an update that names all that shall be into one without `replace_peers`.
///
/// The peers of `device` that it does not name are removed one by one, and those it names lose the
/// preshared key and the keepalive that it is silent about, so that all others keep their sessions.
/// Where either side has no peers, replacing all is the same in fewer words.
#[must_use]
pub fn difference(device: &Device, update: Update) -> Update {
    if update.peers.is_empty() || device.peers.is_empty() {
        return update;
    }
    let named = device.peers.iter().map(|peer| (&peer.public_key, peer));
    let mut there: HashMap<&Key, &Peer> = named.collect();
    let mut kept = update.peers;
    for peer in &mut kept {
        // A second section of one peer speaks for what it names.
        if let Some(before) = there.remove(&peer.public_key) {
            silence(before, peer);
        }
    }
    // From the highest key to the lowest: the order in which wg(8) sends them.
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

/// Turn off what the peer has and the update does not speak of, as wg(8) after 2021 does.
fn silence(peer: &Peer, update: &mut PeerUpdate) {
    if peer.preshared_key.is_some() && update.preshared_key.is_none() {
        update.preshared_key = Some(Key::ZERO);
    }
    if peer.persistent_keepalive != 0 && update.persistent_keepalive.is_none() {
        update.persistent_keepalive = Some(0);
    }
}
