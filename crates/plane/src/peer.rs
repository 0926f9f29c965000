//! The plane's state of one peer, shared by the shards and the brain's threads. Each part has its own
//! lock, and none is held while another is taken, except that of the staged packets while they are sent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::allowed_ips::Owner;
use crate::clock::Nanos;
use crate::cookie_generator::CookieGenerator;
use crate::debts::Debts;
use crate::discard::Discards;
use crate::endpoint::Endpoint;
use crate::endpoints::INTERVAL;
use crate::keypairs::Keypairs;
use crate::session::Session;

/// Identifies a peer in events; never reused.
pub type PeerId = u32;

/// How many packets can wait for a session (kernel, messages.h: MAX_STAGED_PACKETS).
pub const MAX_STAGED: usize = 128;

/// One peer.
#[derive(Debug)]
pub struct Peer {
    id: PeerId,
    location: Mutex<Location>,
    staged: Mutex<VecDeque<Vec<u8>>>,
    /// Its sessions.
    pub keypairs: Mutex<Keypairs>,
    /// Its handshake in flight.
    pub handshake: Mutex<PendingHandshake>,
    /// Its debts.
    pub debts: Debts,
    /// Its packets that were not passed on.
    pub discards: Discards,
    received: AtomicU64,
    sent: AtomicU64,
    session_needed_armed: AtomicBool,
    to_flush: AtomicBool,
    /// When data under an unknown index was last reported; 0 if never.
    unknown_index_at: AtomicU64,
}

/// How to reach a peer.
#[derive(Debug, Default)]
struct Location {
    endpoint: Option<Endpoint>,
    /// A path that its packets came by, while the route back leads out of another interface.
    asymmetric: Option<Endpoint>,
}

/// The state of the handshake in flight.
#[derive(Debug)]
pub struct PendingHandshake {
    /// Adds mac1 and mac2, and takes cookie replies.
    pub cookie_generator: CookieGenerator,
    /// The index whose response is accepted.
    pub awaiting: Option<u32>,
}

impl Peer {
    /// Create a peer without endpoint and sessions.
    #[must_use]
    pub fn new(id: PeerId, public_key: &[u8; 32]) -> Self {
        Self {
            id,
            location: Mutex::default(),
            staged: Mutex::default(),
            keypairs: Mutex::default(),
            handshake: Mutex::new(PendingHandshake {
                cookie_generator: CookieGenerator::new(public_key),
                awaiting: None,
            }),
            debts: Debts::new(),
            discards: Discards::new(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            session_needed_armed: AtomicBool::new(true),
            to_flush: AtomicBool::new(false),
            unknown_index_at: AtomicU64::new(0),
        }
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> PeerId {
        self.id
    }

    /// Its endpoint, if known.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.location.lock().endpoint
    }

    /// Set the endpoint, and return the one before: it was configured, or an authentic packet came from
    /// there. `Shared::set_endpoint` calls it.
    pub fn set_endpoint(&self, mut endpoint: Endpoint) -> Option<Endpoint> {
        let mut location = self.location.lock();
        if location
            .asymmetric
            .is_some_and(|path| path.same_path(&endpoint))
        {
            endpoint.local = None;
        }
        location.endpoint.replace(endpoint)
    }

    /// Let the kernel choose the local address again.
    pub fn forget_source(&self) {
        let mut location = self.location.lock();
        location.asymmetric = None;
        if let Some(endpoint) = &mut location.endpoint {
            endpoint.local = None;
        }
    }

    /// The path whose local address the route must confirm: the one in use, else the one given up.
    #[must_use]
    pub fn sticky_path(&self) -> Option<Endpoint> {
        let location = self.location.lock();
        let sticky = location.endpoint.filter(|now| now.local.is_some());
        sticky.or(location.asymmetric)
    }

    /// Set whether the route to `path` leads out of the interface where its packets come in. If not, its
    /// local address is not used, even if the peer still sends to it.
    pub fn set_source_valid(&self, path: Endpoint, valid: bool) {
        let mut location = self.location.lock();
        if valid {
            location.asymmetric = None;
            return;
        }
        location.asymmetric = Some(path);
        if let Some(endpoint) = &mut location.endpoint
            && endpoint.same_path(&path)
        {
            endpoint.local = None;
        }
    }

    /// The session to send with, if it has not expired.
    #[must_use]
    pub fn session(&self, now: Nanos) -> Option<Arc<Session>> {
        let keypairs = self.keypairs.lock();
        keypairs
            .current()
            .filter(|session| session.usable(now))
            .cloned()
    }

    /// Stage a packet until there is a session. Returns whether the oldest one was dropped for it.
    #[must_use]
    pub fn stage(&self, packet: Vec<u8>) -> bool {
        let mut staged = self.staged.lock();
        staged.push_back(packet);
        staged.len() > MAX_STAGED && staged.pop_front().is_some()
    }

    /// Stage a keepalive, unless something is staged already.
    pub fn stage_keepalive(&self) {
        let mut staged = self.staged.lock();
        if staged.is_empty() {
            staged.push_back(Vec::new());
        }
    }

    /// Whether anything is staged.
    #[must_use]
    pub fn has_staged(&self) -> bool {
        !self.staged.lock().is_empty()
    }

    /// Lock the staged packets. While one shard sends them, others wait: none may overtake them.
    pub fn staged(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.staged.lock()
    }

    /// Remove and return the staged packets, oldest first.
    #[must_use]
    pub fn take_staged(&self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut self.staged.lock())
    }

    /// Bytes received and sent.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (of(&self.received), of(&self.sent))
    }

    /// Count bytes of authentic packets.
    pub fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Count bytes of sent packets.
    pub fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Arm `SessionNeeded`.
    pub fn arm_session_needed(&self) {
        self.session_needed_armed.store(true, Ordering::Release);
    }

    /// Disarm `SessionNeeded`, and return whether it was armed.
    #[must_use]
    pub fn disarm_session_needed(&self) -> bool {
        self.session_needed_armed.load(Ordering::Relaxed)
            && self.session_needed_armed.swap(false, Ordering::AcqRel)
    }

    /// Note that data under an unknown index came, and return whether to report it.
    #[must_use]
    pub fn report_unknown_index(&self, now: Nanos) -> bool {
        let last = self.unknown_index_at.load(Ordering::Relaxed);
        let is_due = last == 0 || now >= last.saturating_add(INTERVAL);
        let (set, get) = (Ordering::AcqRel, Ordering::Relaxed);
        let swap = || self.unknown_index_at.compare_exchange(last, now, set, get);
        is_due && swap().is_ok()
    }

    /// Set whether it is on the list of peers to flush, and return whether it was.
    #[must_use]
    pub fn set_to_flush(&self, listed: bool) -> bool {
        self.to_flush.swap(listed, Ordering::AcqRel)
    }
}

impl Owner for Arc<Peer> {
    fn id(&self) -> u32 {
        self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Local;

    fn by(interface: u32) -> Endpoint {
        let endpoint = Endpoint::parse("192.0.2.1", 51820).expect("an address");
        let local = Some(Local {
            address: [192, 0, 2, 2].into(),
            interface,
        });
        Endpoint { local, ..endpoint }
    }

    fn interface(peer: &Peer) -> Option<u32> {
        Some(peer.endpoint()?.local?.interface)
    }

    #[test]
    fn a_path_that_leads_back_no_more_is_not_taken_up_again() {
        let peer = Peer::new(1, &[9; 32]);
        peer.set_endpoint(by(1));
        peer.set_source_valid(by(1), false);
        peer.set_endpoint(by(1));
        assert_eq!((interface(&peer), peer.endpoint()), (None, Some(by(1))));
        assert!(
            peer.sticky_path()
                .is_some_and(|path| path.same_path(&by(1)))
        );
        peer.set_source_valid(by(1), true);
        peer.set_endpoint(by(1));
        assert_eq!(interface(&peer), Some(1));
    }

    #[test]
    fn a_verdict_on_one_path_says_nothing_of_the_next() {
        let peer = Peer::new(1, &[9; 32]);
        peer.set_endpoint(by(2));
        peer.set_source_valid(by(1), false);
        assert_eq!(interface(&peer), Some(2));
        peer.set_endpoint(by(1));
        assert_eq!(interface(&peer), None);
        peer.forget_source();
        assert!(peer.sticky_path().is_none());
        peer.set_endpoint(by(1));
        assert_eq!(interface(&peer), Some(1));
    }

    #[test]
    fn the_oldest_staged_packet_goes_for_a_newer_one() {
        let peer = Peer::new(1, &[9; 32]);
        let overflows = (0..=MAX_STAGED).filter(|&number| peer.stage(vec![number as u8]));
        assert_eq!(overflows.collect::<Vec<_>>(), [MAX_STAGED]);
        let staged = peer.take_staged();
        assert_eq!((staged.len(), &staged[0][..]), (MAX_STAGED, &[1][..]));
        assert!(!peer.has_staged());
    }

    #[test]
    fn a_keepalive_is_staged_only_where_nothing_else_is() {
        let peer = Peer::new(1, &[9; 32]);
        peer.stage_keepalive();
        peer.stage_keepalive();
        assert_eq!(peer.take_staged(), [Vec::<u8>::new()]);
        let _ = peer.stage(vec![1]);
        peer.stage_keepalive();
        assert_eq!(peer.take_staged(), [vec![1]]);
    }

    #[test]
    fn session_needed_is_pushed_once_until_armed_again() {
        let peer = Peer::new(1, &[9; 32]);
        assert!(peer.disarm_session_needed());
        assert!(!peer.disarm_session_needed());
        peer.arm_session_needed();
        assert!(peer.disarm_session_needed());
    }
}
