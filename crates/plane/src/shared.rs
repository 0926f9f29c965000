//! The state that the shards and the brain's threads share.
//!
//! Order of locks: `sockets`, `routes`, `icmp_sockets`, `index`, `endpoints`, then those of a peer. Each is
//! taken once per batch, and never twice by one thread.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::allowed_ips::AllowedIps;
use crate::clock::{Nanos, SECOND};
use crate::cookie_checker::{CookieChecker, system_random};
use crate::discard::{Discard, Discards};
use crate::endpoint::Endpoint;
use crate::endpoints::Endpoints;
use crate::events::{Event, Events};
use crate::icmp_sockets::IcmpSockets;
use crate::index::IndexTable;
use crate::peer::{Peer, PeerId};
use crate::session::Session;
use crate::shards::Shards;
use crate::sockets::Sockets;
use crate::steering::Steering;
use holloway_poll::{Epoll, Wake};

/// The state of one plane.
#[derive(Debug)]
pub struct Shared {
    /// The UDP sockets. None while unbound.
    pub sockets: RwLock<Option<Sockets>>,
    /// The allowed IPs of all peers.
    pub routes: RwLock<AllowedIps<Arc<Peer>>>,
    /// The sockets for ICMP errors.
    pub icmp_sockets: Mutex<IcmpSockets>,
    /// Whether packets that cannot be delivered are reported to the brain.
    pub reports_unreachable: AtomicBool,
    /// The peers and sessions of local indices.
    pub index: RwLock<IndexTable<Arc<Peer>>>,
    endpoints: Mutex<Endpoints>,
    /// Checks handshake messages before the brain gets them.
    pub cookie_checker: Mutex<CookieChecker>,
    /// All peers, by number.
    pub peers: Mutex<HashMap<PeerId, Arc<Peer>>>,
    /// The events for the brain.
    pub events: Events,
    /// The packets that were not passed on.
    pub discards: Discards,
    /// The shards.
    pub shards: Shards,
    /// Which of the interface's queues gets a packet, if there are several.
    pub steering: Option<Arc<Steering>>,
    /// What the handshake thread waits on.
    pub handshake_epoll: Epoll,
    /// Wakes the handshake thread.
    pub handshake_wake: Wake,
    /// All threads end if this is set when they are woken.
    pub stop: AtomicBool,
    /// The interface's MTU, which bounds the padding.
    pub mtu: AtomicU32,
    /// The peer that cannot be sent to and the errno; 0 if all can.
    send_failing: AtomicU64,
    send_failed_at: AtomicU64,
    has_died: AtomicBool,
}

impl Shared {
    /// Create the state without sockets and peers, with room for so many shards.
    pub fn new(mtu: u32, shards: usize, steering: Option<Arc<Steering>>) -> io::Result<Self> {
        Ok(Self {
            sockets: RwLock::new(None),
            routes: RwLock::new(AllowedIps::new()),
            icmp_sockets: Mutex::default(),
            reports_unreachable: AtomicBool::new(false),
            index: RwLock::new(IndexTable::new()),
            endpoints: Mutex::default(),
            cookie_checker: Mutex::new(CookieChecker::new(system_random())),
            peers: Mutex::default(),
            events: Events::new()?,
            discards: Discards::new(),
            shards: Shards::new(shards)?,
            steering,
            handshake_epoll: Epoll::new()?,
            handshake_wake: Wake::new()?,
            stop: AtomicBool::new(false),
            mtu: AtomicU32::new(mtu),
            send_failing: AtomicU64::new(0),
            send_failed_at: AtomicU64::new(0),
            has_died: AtomicBool::new(false),
        })
    }

    /// Count packets that are not passed on, also for the peer if it is known.
    pub fn discard(&self, reason: Discard, packets: usize, peer: Option<&Peer>) {
        self.discards.count(reason, packets as u64);
        if let Some(peer) = peer {
            peer.discards.count(reason, packets as u64);
        }
    }

    /// Report to the brain that `peer` needs a session, if `SessionNeeded` is armed.
    pub fn session_needed(&self, peer: &Peer) {
        if peer.disarm_session_needed() {
            self.events.push(Event::SessionNeeded(peer.id()));
        }
    }

    /// Report the peers without a session from whose endpoints data came under indices that no session
    /// has. They may have one that we lost when we were restarted.
    pub fn unknown_indices(&self, from: &[Endpoint], now: Nanos) {
        let endpoints = self.endpoints.lock();
        for peer in from
            .iter()
            .filter_map(|from| endpoints.without_session(from, now))
        {
            self.events.push(Event::UnknownIndex(peer.id()));
        }
    }

    /// Set a peer's endpoint: it was configured, or an authentic packet came from there.
    pub fn set_endpoint(&self, peer: &Arc<Peer>, endpoint: Endpoint) {
        let before = peer.set_endpoint(endpoint);
        if before != Some(endpoint) {
            self.endpoints.lock().change(peer, before, Some(endpoint));
        }
    }

    /// Take a peer that is removed out of the table of endpoints.
    pub fn forget_endpoint(&self, peer: &Arc<Peer>) {
        self.endpoints.lock().change(peer, peer.endpoint(), None);
    }

    /// Update the debts after sending authentic packets.
    pub fn sent(&self, peer: &Peer, now: Nanos, data: bool) {
        if peer.debts.sent(now, data) {
            self.events.push(Event::DebtBegan(peer.id()));
        }
    }

    /// Update the debts after receiving authentic packets.
    pub fn received(&self, peer: &Peer, now: Nanos, data: bool) {
        if peer.debts.received(now, data) {
            self.events.push(Event::DebtBegan(peer.id()));
        }
    }

    /// Make a shard send the staged packets of `peer`.
    pub fn request_flush(&self, peer: &Arc<Peer>) {
        if !peer.set_to_flush(true) {
            self.shards.flush(peer);
        }
    }

    /// Record the result of sending to `peer` (`errno` 0: success), and push an event if it changes. Only
    /// a success with the peer that failed, at least a second later, ends the failure: a path that loses
    /// every second packet would cause an event for each otherwise. A full queue is load, not a failure.
    pub fn send_result(&self, peer: &Peer, errno: i32, now: Nanos) {
        let before = self.send_failing.load(Ordering::Relaxed);
        let load = matches!(errno, libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM);
        if load || before == 0 && errno == 0 {
            return;
        }
        let owner = u64::from(peer.id()) << 32;
        if before != 0 && before & !u64::from(u32::MAX) != owner {
            return;
        }
        let after = if errno == 0 {
            if now < self.send_failed_at.load(Ordering::Relaxed) + SECOND {
                return;
            }
            0
        } else {
            self.send_failed_at.store(now, Ordering::Relaxed);
            owner | u64::from(errno.cast_unsigned())
        };
        self.change_send_failing(before, after, errno);
    }

    /// End the failure of a peer that is removed.
    pub fn clear_send_failing(&self, peer: &Peer) {
        let before = self.send_failing.load(Ordering::Relaxed);
        if before >> 32 == u64::from(peer.id()) {
            self.change_send_failing(before, 0, 0);
        }
    }

    fn change_send_failing(&self, before: u64, after: u64, errno: i32) {
        let (set, get) = (Ordering::AcqRel, Ordering::Relaxed);
        let swapped = self.send_failing.compare_exchange(before, after, set, get);
        if before != after && swapped.is_ok() {
            self.events.push(Event::SendFailing(errno));
        }
    }

    /// Free the indices of replaced sessions.
    pub fn free(&self, sessions: &[Option<Arc<Session>>]) {
        if sessions.iter().any(Option::is_some) {
            let mut index = self.index.write();
            for session in sessions.iter().flatten() {
                index.remove(session.local_index());
            }
        }
    }

    /// Remove a peer's sessions and its pending handshake. Keys are zeroed when the last reference to a
    /// session is dropped: here, or by a shard at the end of its turn.
    pub fn erase(&self, peer: &Peer) {
        let awaiting = peer.handshake.lock().awaiting.take();
        if let Some(awaiting) = awaiting {
            self.index.write().remove(awaiting);
        }
        let sessions = peer.keypairs.lock().take();
        self.free(&sessions);
    }

    /// Zero all keys and report that the plane has ended by itself: once, though all shards find it out.
    pub fn die(&self, errno: i32) {
        self.erase_all();
        if !self.has_died.swap(true, Ordering::AcqRel) {
            self.events.push(Event::Died(errno));
        }
    }

    /// Remove the sessions of all peers.
    pub fn erase_all(&self) {
        let peers: Vec<_> = self.peers.lock().values().cloned().collect();
        peers.iter().for_each(|peer| self.erase(peer));
    }
}
