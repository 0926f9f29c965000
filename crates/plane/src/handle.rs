//! A peer as the brain sees it: commands and queries, from any thread. Handshakes are sent from here.
//! Data is not: a command that would send it wakes the shard, which keeps the order of packets.

use std::sync::Arc;

use crate::allowed_ips::{AllowedIpsChange, Prefix};
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

/// The result of a handshake.
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
    /// When to renew the session and when it ends.
    pub deadlines: Deadlines,
}

impl Handle {
    /// A handle to `peer`, which belongs to the plane of `shared`.
    #[must_use]
    pub const fn new(shared: Arc<Shared>, peer: Arc<Peer>) -> Self {
        Self { shared, peer }
    }

    /// Its number in events.
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.peer.id()
    }

    /// Its endpoint, if known.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.peer.endpoint()
    }

    /// Set its endpoint.
    pub fn set_endpoint(&self, endpoint: Endpoint) {
        self.shared.set_endpoint(&self.peer, endpoint);
    }

    /// Let the kernel choose the local address again.
    pub fn forget_source(&self) {
        self.peer.forget_source();
    }

    /// Set whether the route to `path` leads out of the interface where its packets come in.
    pub fn set_source_valid(&self, path: Endpoint, valid: bool) {
        self.peer.set_source_valid(path, valid);
    }

    /// Change the peer's allowed IPs, all at once for the packets. Replacing them by themselves takes
    /// no write lock, so it delays no packet.
    pub fn change_allowed_ips(&self, change: &AllowedIpsChange) {
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

    /// Its allowed IPs, in the order in which they were added.
    #[must_use]
    pub fn allowed(&self) -> Vec<Prefix> {
        self.shared.routes.read().owned_by(self.id())
    }

    /// Bytes received and sent.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        self.peer.traffic()
    }

    /// This peer's packets that were not passed on, by reason.
    #[must_use]
    pub fn discards(&self) -> [u64; REASONS] {
        self.peer.discards.snapshot()
    }

    /// Count an authentic handshake message of `size` bytes, and take its source as the endpoint.
    pub fn handshake_received(&self, remote: Endpoint, size: usize, now: Nanos) {
        self.shared.set_endpoint(&self.peer, remote);
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

    /// Send the staged packets, or an empty packet if there are none.
    pub fn send_keepalive(&self) {
        self.peer.stage_keepalive();
        self.shared.request_flush(&self.peer);
    }

    /// Install a new session: as current if `confirmed`, else as next. A confirmed one sends the staged
    /// packets, or an empty packet that confirms it to the responder.
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
        // The table stays locked until the session is installed, so that no packet finds only one of
        // the two.
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

    /// Drop the packets that wait for a session.
    pub fn drop_staged(&self) {
        let dropped = self.peer.take_staged();
        let data = dropped.iter().filter(|packet| !packet.is_empty()).count();
        self.shared
            .discard(Discard::StagedDropped, data, Some(&self.peer));
    }

    /// Remove and zero all sessions, and forget the handshake in flight.
    pub fn erase(&self) {
        self.shared.erase(&self.peer);
    }

    /// Remove the peer from all tables.
    pub fn remove(&self) {
        self.shared.routes.write().remove_owner(self.id());
        self.erase();
        let _ = self.peer.take_staged();
        let _ = self.peer.disarm_session_needed();
        self.shared.peers.lock().remove(&self.id());
        self.shared.forget_endpoint(&self.peer);
        self.shared.clear_send_failing(&self.peer);
    }
}
