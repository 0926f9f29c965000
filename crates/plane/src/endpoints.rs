//! The peers by endpoint: whose data it is that comes under an index which no session has.
//!
//! Such data is not authentic, so it changes nothing but when a peer is asked for a new session: the brain
//! initiates to the endpoint that it knows, once in `INTERVAL` and peer at most, and not at all while a
//! session lives. Whoever forges the source gains nothing else. `shared` keeps the table up to date.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::clock::{Nanos, SECOND};
use crate::endpoint::Endpoint;
use crate::peer::Peer;

/// Between two reports of one peer: REKEY_TIMEOUT, the distance of two initiations (paper, 6.1).
pub const INTERVAL: Nanos = 5 * SECOND;

/// Endpoint to peer. Of peers with the same endpoint, it has the one that came there last.
#[derive(Debug, Default)]
pub struct Endpoints {
    peers: HashMap<(IpAddr, u16), Arc<Peer>>,
}

impl Endpoints {
    /// Move `peer` from one endpoint to another; None is nowhere.
    pub fn change(&mut self, peer: &Arc<Peer>, from: Option<Endpoint>, to: Option<Endpoint>) {
        if let Some(from) = from
            && let Some(there) = self.peers.get(&key(&from))
            && Arc::ptr_eq(there, peer)
        {
            self.peers.remove(&key(&from));
        }
        if let Some(to) = to {
            self.peers.insert(key(&to), peer.clone());
        }
    }

    /// The peer at `from`, if it has no session and was not returned within `INTERVAL`.
    pub fn without_session(&self, from: &Endpoint, now: Nanos) -> Option<&Arc<Peer>> {
        let peer = self.peers.get(&key(from))?;
        // Two threads may have changed the endpoint in another order than the table.
        let is_there = peer.endpoint().as_ref() == Some(from);
        (is_there && peer.session(now).is_none() && peer.report_unknown_index(now)).then_some(peer)
    }
}

const fn key(endpoint: &Endpoint) -> (IpAddr, u16) {
    (endpoint.remote.ip(), endpoint.remote.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Deadlines, Session};

    fn at(port: u16) -> Endpoint {
        Endpoint::parse("192.0.2.1", port).expect("an address")
    }

    fn peer(id: u32, endpoints: &mut Endpoints, port: u16) -> Arc<Peer> {
        let peer = Arc::new(Peer::new(id, &[9; 32]));
        let before = peer.set_endpoint(at(port));
        endpoints.change(&peer, before, Some(at(port)));
        peer
    }

    fn found(endpoints: &Endpoints, port: u16, now: Nanos) -> Option<u32> {
        let peer = endpoints.without_session(&at(port), now)?;
        Some(peer.id())
    }

    #[test]
    fn a_flood_from_a_peers_endpoint_is_one_report_in_an_interval() {
        let mut endpoints = Endpoints::default();
        let _peer = peer(7, &mut endpoints, 1);
        let flood = (0..3 * INTERVAL).step_by(1_000_000);
        let reports: Vec<_> = flood
            .filter(|&now| found(&endpoints, 1, 1 + now).is_some())
            .collect();
        assert_eq!(reports, [0, INTERVAL, 2 * INTERVAL]);
    }

    #[test]
    fn strangers_are_no_peers() {
        let mut endpoints = Endpoints::default();
        let _peer = peer(7, &mut endpoints, 1);
        assert_eq!(found(&endpoints, 2, 1), None);
    }

    #[test]
    fn a_peer_is_found_where_it_is_and_not_where_it_was() {
        let mut endpoints = Endpoints::default();
        let peer = peer(7, &mut endpoints, 1);
        let before = peer.set_endpoint(at(2));
        endpoints.change(&peer, before, Some(at(2)));
        assert_eq!(found(&endpoints, 1, 1), None);
        assert_eq!(found(&endpoints, 2, 1), Some(7));
        endpoints.change(&peer, Some(at(2)), None);
        assert_eq!(found(&endpoints, 2, 1 + INTERVAL), None);
    }

    #[test]
    fn a_peer_that_leaves_does_not_take_another_one_along() {
        let mut endpoints = Endpoints::default();
        let first = peer(7, &mut endpoints, 1);
        let _second = peer(8, &mut endpoints, 1);
        endpoints.change(&first, Some(at(1)), Some(at(2)));
        assert_eq!(found(&endpoints, 1, 1), Some(8));
    }

    #[test]
    fn nothing_is_reported_while_a_session_lives() {
        let mut endpoints = Endpoints::default();
        let peer = peer(7, &mut endpoints, 1);
        let deadlines = Deadlines {
            renew_on_send: u64::MAX,
            renew_on_receive: u64::MAX,
            reject: 100,
        };
        let session = Arc::new(Session::new(1, 2, &[1; 32], &[2; 32], deadlines));
        let _ = peer.keypairs.lock().add_confirmed(session);
        assert_eq!(found(&endpoints, 1, 99), None);
        assert_eq!(found(&endpoints, 1, 100), Some(7));
    }
}
