//! Packets that cannot be delivered: their senders get an ICMP error, and the brain an event if it wants
//! to log them. Both are rate-limited. Called by `outbound`.

use std::sync::atomic::Ordering;

use crate::bucket::{Bucket, Rate};
use crate::clock::{Nanos, SECOND};
use crate::discard::Discard;
use crate::events::Event;
use crate::peer::Peer;
use crate::shared::Shared;
use holloway_packet::icmp;
use holloway_packet::ip;

/// Rate and burst of ICMP errors (kernel, net/ipv4/icmp.c: icmp_msgs_per_sec, icmp_msgs_burst).
const ANSWERS: Rate = Rate::new(SECOND / 1000, 50);
/// Rate and burst of events (kernel, net/core/utils.c: net_ratelimit_state, 10 in 5 seconds).
const REPORTS: Rate = Rate::new(SECOND / 2, 10);

/// The shard's state: two rate limits and a buffer.
#[derive(Debug)]
pub struct UnreachableHandler {
    answers: Bucket,
    reports: Bucket,
    message: [u8; icmp::MAX_MESSAGE],
}

impl UnreachableHandler {
    /// Create it with full buckets.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            answers: Bucket::full(),
            reports: Bucket::full(),
            message: [0; icmp::MAX_MESSAGE],
        }
    }

    /// Handle a packet that belongs to no peer, or to `peer`, whose endpoint is not known: count it, send
    /// an ICMP error, and report it.
    pub fn handle(&mut self, shared: &Shared, now: Nanos, packet: &[u8], peer: Option<&Peer>) {
        let reason = peer.map_or(Discard::NoPeer, |_| Discard::NoEndpoint);
        shared.discard(reason, 1, peer);
        if shared.reports_unreachable.load(Ordering::Relaxed)
            && let Some(to) = ip::destination(packet)
            && self.reports.take(now, &REPORTS)
        {
            let peer = peer.map(Peer::id);
            shared.events.push(Event::Unreachable { to, peer });
        }
        if let Some(sender) = icmp::answerable(packet)
            && self.answers.take(now, &ANSWERS)
        {
            let sockets = shared.icmp_sockets.lock();
            // An ICMP error that cannot be sent is lost; nobody waits for it.
            let _ = sockets.answer(packet, sender, &mut self.message);
        }
    }
}

impl Default for UnreachableHandler {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut Bucket, now: Nanos, rate: &Rate) -> usize {
        (0..1000).filter(|_| bucket.take(now, rate)).count()
    }

    #[test]
    fn a_bucket_gives_a_burst_and_then_its_rate() {
        let mut bucket = Bucket::full();
        assert_eq!(taken(&mut bucket, 7 * SECOND, &REPORTS), 10);
        assert_eq!(taken(&mut bucket, 7 * SECOND + SECOND / 4, &REPORTS), 0);
        assert_eq!(taken(&mut bucket, 8 * SECOND, &REPORTS), 2);
        assert_eq!(taken(&mut bucket, 800 * SECOND, &REPORTS), 10);
        let mut bucket = Bucket::full();
        assert_eq!(taken(&mut bucket, 7 * SECOND, &ANSWERS), 50);
        assert_eq!(taken(&mut bucket, 7 * SECOND + SECOND / 100, &ANSWERS), 10);
        assert_eq!(taken(&mut bucket, 8 * SECOND, &ANSWERS), 50);
    }

    fn shared(reports: bool) -> Shared {
        let shared = Shared::new(1420, 1, None).expect("an epoll");
        shared.reports_unreachable.store(reports, Ordering::Relaxed);
        shared
    }

    /// A ping from 10.0.0.1 to 10.0.0.9.
    fn ping() -> Vec<u8> {
        let mut packet = vec![0; 28];
        packet[0] = 0x45;
        packet[9] = holloway_packet::transport::ICMP;
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 9]);
        packet[20] = 8;
        packet
    }

    #[test]
    fn reports_name_the_destination_or_the_peer_and_are_few() {
        let (shared, mut handler) = (shared(true), UnreachableHandler::new());
        let peer = Peer::new(7, &[9; 32]);
        handler.handle(&shared, 1, &ping(), None);
        handler.handle(&shared, 1, &ping(), Some(&peer));
        for _ in 0..1000 {
            handler.handle(&shared, 1, &ping(), None);
        }
        let events = shared.events.take(usize::MAX);
        assert_eq!(events.len(), 10);
        let of = |event: &Event| match event {
            Event::Unreachable { to, peer } => (to.to_string(), *peer),
            _ => panic!("nothing else happened"),
        };
        assert_eq!(of(&events[0]), ("10.0.0.9".to_owned(), None));
        assert_eq!(of(&events[1]), ("10.0.0.9".to_owned(), Some(7)));
        let count = shared.discards.snapshot();
        assert_eq!(count[Discard::NoPeer as usize], 1001);
        assert_eq!(count[Discard::NoEndpoint as usize], 1);
        assert_eq!(peer.discards.snapshot()[Discard::NoEndpoint as usize], 1);
    }

    #[test]
    fn nothing_is_reported_to_a_brain_that_did_not_ask() {
        let (shared, mut handler) = (shared(false), UnreachableHandler::new());
        handler.handle(&shared, 1, &ping(), None);
        assert!(shared.events.take(1).is_empty());
    }
}
