//! The brain's grip on one peer: what it orders and asks, from any thread. Data never goes out from
//! here; what would send it wakes the shard, so that order holds. Handshakes do.

use std::sync::Arc;

use crate::allowed_ips::{Change, Prefix};
use crate::clock::Nanos;
use crate::cookie::{INITIATION, INITIATION_SIZE, MACS};
use crate::debts::Due;
use crate::discard::{Discard, REASONS};
use crate::endpoint::Endpoint;
use crate::peer::{Peer, PeerId};
use crate::session::{Deadlines, Session};
use crate::shared::Shared;
use crate::transmit::{Datagrams, transmit};

/// The traffic class of handshake messages: DSCP AF41 (kernel, messages.h: HANDSHAKE_DSCP).
const HANDSHAKE_CLASS: u8 = 0x88;

/// One peer of one plane.
#[derive(Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
}

/// What a handshake agreed on.
#[derive(Debug)]
pub struct SessionParameters<'a> {
    /// The index by which the peer addresses us.
    pub local_index: u32,
    /// The index by which we address the peer.
    pub remote_index: u32,
    /// Our key; the caller wipes its copy.
    pub send_key: &'a [u8; 32],
    /// The peer's key; the caller wipes its copy.
    pub receive_key: &'a [u8; 32],
    /// When to renew and to stop.
    pub deadlines: Deadlines,
}

impl Handle {
    /// The grip on `peer` of the plane that `shared` is.
    #[must_use]
    pub const fn new(shared: Arc<Shared>, peer: Arc<Peer>) -> Self {
        Self { shared, peer }
    }

    /// Its number in events.
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.peer.id()
    }

    /// Where it is, if that is known.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.peer.endpoint()
    }

    /// Say where it is.
    pub fn set_endpoint(&self, endpoint: Endpoint) {
        self.peer.set_endpoint(endpoint);
    }

    /// Let the kernel choose the local address anew.
    pub fn forget_source(&self) {
        self.peer.forget_source();
    }

    /// Say whether the route along `path` leads out of the interface where packets came by it.
    pub fn set_source_valid(&self, path: Endpoint, valid: bool) {
        self.peer.set_source_valid(path, valid);
    }

    /// Change the peer's allowed IPs, all at once for the packets. Replacing them by themselves
    /// takes no write lock, so it delays no packet.
    pub fn change_allowed_ips(&self, change: &Change) {
        let table = &self.shared.routes;
        let may_be_same = change.replace && change.removed.is_empty();
        if may_be_same && table.read().owns_exactly(self.id(), &change.added) {
            return;
        }
        let mut table = table.write();
        if change.replace {
            table.remove_owner(self.id());
        }
        for prefix in &change.removed {
            table.remove(*prefix, self.id());
        }
        for prefix in &change.added {
            table.insert(*prefix, &self.peer);
        }
    }

    /// What is routed there, in the order it came.
    #[must_use]
    pub fn allowed(&self) -> Vec<Prefix> {
        self.shared.routes.read().owned_by(self.id())
    }

    /// Bytes received and sent.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        self.peer.traffic()
    }

    /// Packets known to be this peer's, not passed on.
    #[must_use]
    pub fn discards(&self) -> [u64; REASONS] {
        self.peer.discards.snapshot()
    }

    /// Account for an authentic handshake message of `size` bytes.
    pub fn handshake_received(&self, remote: Endpoint, size: usize, now: Nanos) {
        self.peer.set_endpoint(remote);
        self.peer.count_received(size);
        self.shared.received(&self.peer, now, false);
    }

    /// Add the macs to a Noise message and send it to the endpoint.
    pub fn send_handshake(&self, message: &[u8], now: Nanos) {
        let mut buffer = [0; INITIATION_SIZE];
        let Some(datagram) = buffer.get_mut(..message.len() + MACS) else {
            debug_assert!(false, "no handshake message is longer than an initiation");
            return;
        };
        let mut handshake = self.peer.handshake.lock();
        handshake.cookie_generator.add_macs(now, message, datagram);
        let before = match message {
            [INITIATION, _, _, _, a, b, c, d, ..] => {
                let sender = u32::from_le_bytes([*a, *b, *c, *d]);
                Some((handshake.awaiting.replace(sender), sender))
            }
            _ => None,
        };
        drop(handshake);
        if let Some((before, sender)) = before {
            self.await_response(before, sender);
        }
        let Some(mut to) = self.peer.endpoint() else {
            self.shared
                .discard(Discard::NoEndpoint, 1, Some(&self.peer));
            return;
        };
        let datagrams = Datagrams {
            data: datagram,
            segment: datagram.len(),
            class: HANDSHAKE_CLASS,
            now,
        };
        let sockets = self.shared.sockets.read();
        transmit(
            &self.shared,
            sockets.as_ref(),
            &self.peer,
            &mut to,
            datagrams,
        );
        self.shared.sent(&self.peer, now, false);
    }

    fn await_response(&self, before: Option<u32>, sender: u32) {
        let mut index = self.shared.index.write();
        if let Some(before) = before {
            index.remove(before);
        }
        index.insert_awaiting(sender, self.peer.clone());
    }

    /// Send what is staged, or an empty packet.
    pub fn send_keepalive(&self) {
        self.peer.stage_keepalive();
        self.shared.request_flush(&self.peer);
    }

    /// Put a new session in place: current if `confirmed`, else next. A confirmed one sends what is
    /// staged, or an empty packet that tells the responder.
    pub fn install(&self, parameters: &SessionParameters<'_>, confirmed: bool) {
        let session = Arc::new(Session::new(
            parameters.local_index,
            parameters.remote_index,
            parameters.send_key,
            parameters.receive_key,
            parameters.deadlines,
        ));
        let mut handshake = self.peer.handshake.lock();
        handshake
            .awaiting
            .take_if(|index| *index == parameters.local_index);
        drop(handshake);
        // The table stays locked until the session is in its place, so that no packet finds the one
        // without the other.
        let mut index = self.shared.index.write();
        index.insert_session(parameters.local_index, self.peer.clone(), session.clone());
        let dropped = {
            let mut keypairs = self.peer.keypairs.lock();
            if confirmed {
                keypairs.add_confirmed(session)
            } else {
                keypairs.add_unconfirmed(session)
            }
        };
        for session in dropped.iter().flatten() {
            index.remove(session.local_index());
        }
        drop(index);
        if confirmed {
            self.send_keepalive();
        }
    }

    /// Collect what is due; see `Debts::due`.
    #[must_use]
    pub fn due(&self, now: Nanos, keepalive: Nanos, handshake: Nanos, persistent: Nanos) -> Due {
        self.peer.debts.due(now, keepalive, handshake, persistent)
    }

    /// Arm `SessionNeeded`.
    pub fn arm_session_needed(&self) {
        self.peer.arm_session_needed();
    }

    /// Give up the packets that wait for a session.
    pub fn drop_staged(&self) {
        let dropped = self.peer.take_staged();
        let data = dropped.iter().filter(|packet| !packet.is_empty()).count();
        self.shared
            .discard(Discard::StagedDropped, data, Some(&self.peer));
    }

    /// Zero and forget every session, and what the handshake awaited.
    pub fn erase(&self) {
        self.shared.erase(&self.peer);
    }

    /// Leave every table.
    pub fn remove(&self) {
        self.shared.routes.write().remove_owner(self.id());
        self.erase();
        let _ = self.peer.take_staged();
        let _ = self.peer.disarm_session_needed();
        self.shared.peers.lock().remove(&self.id());
        self.shared.clear_send_failing(&self.peer);
    }
}
