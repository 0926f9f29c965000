//! What the shard and the brain's threads share, and the accounts they both keep.
//!
//! Order of locks: `sockets`, `routes`, `icmp_sockets`, `index`, then a peer's. Each is taken once a
//! batch; nobody takes one of them twice.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::allowed_ips::AllowedIps;
use crate::clock::{Nanos, SECOND};
use crate::cookie::{CookieChecker, system_random};
use crate::discard::{Discard, Discards};
use crate::events::{Event, Events};
use crate::icmp_sockets::IcmpSockets;
use crate::index::IndexTable;
use crate::peer::{Peer, PeerId};
use crate::session::Session;
use crate::udp::Sockets;
use holloway_poll::{Epoll, Wake};

/// The state of one plane.
#[derive(Debug)]
pub struct Shared {
    /// The outer port; None while unbound.
    pub sockets: RwLock<Option<Sockets>>,
    /// Which peer has which inner addresses.
    pub routes: RwLock<AllowedIps<Arc<Peer>>>,
    /// How ICMP answers leave.
    pub icmp_sockets: Mutex<IcmpSockets>,
    /// Whether the brain wants to know of packets that have nowhere to go.
    pub reports_unreachable: AtomicBool,
    /// What local session indices mean.
    pub index: RwLock<IndexTable<Arc<Peer>>>,
    /// Who may hand a handshake to the brain.
    pub cookie_checker: Mutex<CookieChecker>,
    /// All peers, by number.
    pub peers: Mutex<HashMap<PeerId, Arc<Peer>>>,
    /// What waits for the brain.
    pub events: Events,
    /// Packets not passed on.
    pub discards: Discards,
    /// What the shard waits on.
    pub epoll: Epoll,
    /// Wakes the shard.
    pub wake: Wake,
    /// Tells the shard to end, once woken.
    pub stop: AtomicBool,
    /// The interface's MTU, which bounds the padding.
    pub mtu: AtomicU32,
    flush: Mutex<Vec<Arc<Peer>>>,
    /// The peer that cannot be sent to and the errno; 0 if all can.
    send_failing: AtomicU64,
    send_failed_at: AtomicU64,
}

impl Shared {
    /// Without sockets and peers.
    pub fn new(mtu: u32) -> io::Result<Self> {
        Ok(Self {
            sockets: RwLock::new(None),
            routes: RwLock::new(AllowedIps::new()),
            icmp_sockets: Mutex::default(),
            reports_unreachable: AtomicBool::new(false),
            index: RwLock::new(IndexTable::new()),
            cookie_checker: Mutex::new(CookieChecker::new(system_random())),
            peers: Mutex::default(),
            events: Events::new()?,
            discards: Discards::new(),
            epoll: Epoll::new()?,
            wake: Wake::new()?,
            stop: AtomicBool::new(false),
            mtu: AtomicU32::new(mtu),
            flush: Mutex::default(),
            send_failing: AtomicU64::new(0),
            send_failed_at: AtomicU64::new(0),
        })
    }

    /// Count packets not passed on, for the peer too if it is known.
    pub fn discard(&self, reason: Discard, packets: usize, peer: Option<&Peer>) {
        self.discards.count(reason, packets as u64);
        if let Some(peer) = peer {
            peer.discards.count(reason, packets as u64);
        }
    }

    /// Tell the brain that `peer` needs a session, if it asked to be told.
    pub fn session_needed(&self, peer: &Peer) {
        if peer.disarm_session_needed() {
            self.events.push(Event::SessionNeeded(peer.id()));
        }
    }

    /// Authentic packets are sent: keep the debts.
    pub fn sent(&self, peer: &Peer, now: Nanos, data: bool) {
        if peer.debts.sent(now, data) {
            self.events.push(Event::DebtBegan(peer.id()));
        }
    }

    /// Authentic packets were received: keep the debts.
    pub fn received(&self, peer: &Peer, now: Nanos, data: bool) {
        if peer.debts.received(now, data) {
            self.events.push(Event::DebtBegan(peer.id()));
        }
    }

    /// Have the shard send what is staged for `peer`.
    pub fn request_flush(&self, peer: &Arc<Peer>) {
        if !peer.set_to_flush(true) {
            self.flush.lock().push(peer.clone());
            self.wake.set();
        }
    }

    /// The peers whose staged packets are to be sent.
    #[must_use]
    pub fn take_flush(&self) -> Vec<Arc<Peer>> {
        let peers = std::mem::take(&mut *self.flush.lock());
        for peer in &peers {
            let _ = peer.set_to_flush(false);
        }
        peers
    }

    /// Sending to `peer` worked (`errno` 0) or did not. One event a change: only the peer whose
    /// sending failed can tell that it works again, and only a second later, or a path that loses
    /// every other packet would say so at each. A full queue is no trouble, only load.
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

    /// A peer that is removed can no longer tell that sending to it works again.
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

    /// Free the indices of sessions that are no more.
    pub fn free(&self, sessions: &[Option<Arc<Session>>]) {
        if sessions.iter().any(Option::is_some) {
            let mut index = self.index.write();
            for session in sessions.iter().flatten() {
                index.remove(session.local_index());
            }
        }
    }

    /// Forget a peer's sessions and what its handshake awaits. The last holder of a session zeroes
    /// its keys: here, or the shard at the end of its turn.
    pub fn erase(&self, peer: &Peer) {
        let awaiting = peer.handshake.lock().awaiting.take();
        if let Some(awaiting) = awaiting {
            self.index.write().remove(awaiting);
        }
        let sessions = peer.keypairs.lock().take();
        self.free(&sessions);
    }

    /// Forget every session.
    pub fn erase_all(&self) {
        let peers: Vec<_> = self.peers.lock().values().cloned().collect();
        peers.iter().for_each(|peer| self.erase(peer));
    }
}
