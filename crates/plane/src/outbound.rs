//! From the TUN to the peers: finds the peer of a packet, cuts the packet, and sends or stages it.
//!
//! The checks have the kernel's order (device.c, wg_xmit; send.c, wg_packet_send_staged_packets). Called
//! by the shards.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use crate::allowed_ips::AllowedIps;
use crate::batch::Batch;
use crate::discard::Discard;
use crate::peer::Peer;
use crate::session::{HEADER, OVERHEAD, padded};
use crate::transmit::Destination;
use crate::tun::READ_SIZE;
use crate::turn::Turn;
use crate::unreachable::UnreachableHandler;
use holloway_aead::TAG;
use holloway_packet::offload::{VNET_HEADER, VnetHeader};
use holloway_packet::split::Segments;
use holloway_packet::{ecn, ip};

/// How many packets a turn reads, and after how many bytes it stops, so that the other direction does
/// not have to wait.
const MAX_READS: usize = 64;
const MAX_BYTES: usize = 512 * 1024;

/// State reused across turns: buffers, and the rate limits of ICMP errors.
#[derive(Debug)]
pub struct Outbound {
    packet: Box<[u8]>,
    batch: Batch,
    route: Option<Route>,
    unreachable: UnreachableHandler,
}

/// What happens to a peer's packets in this turn.
#[derive(Debug)]
enum Route {
    Open(Destination),
    Waiting(Arc<Peer>),
}

impl Outbound {
    /// Create the state and allocate its buffers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            packet: vec![0; READ_SIZE].into_boxed_slice(),
            batch: Batch::new(),
            route: None,
            unreachable: UnreachableHandler::new(),
        }
    }

    /// Read from the interface and send. An error means that the interface is gone.
    pub fn turn(&mut self, turn: &Turn<'_>) -> io::Result<()> {
        let routes = turn.shared.routes.read();
        let mut bytes = 0;
        let mut result = Ok(());
        for _ in 0..MAX_READS {
            match turn.tun.read(turn.shard, &mut self.packet) {
                Ok(length) => {
                    bytes += length;
                    self.forward(turn, &routes, length);
                }
                Err(error) => {
                    result = gone(error);
                    break;
                }
            }
            if bytes > MAX_BYTES {
                break;
            }
        }
        drop(routes);
        self.finish(turn);
        result
    }

    /// Send a peer's staged packets, or report that it needs a session.
    pub fn flush(&mut self, turn: &Turn<'_>, peer: &Arc<Peer>) {
        if !peer.has_staged() {
            return;
        }
        let endpoint = peer.endpoint();
        let Some((session, endpoint)) = peer.session(turn.now).zip(endpoint) else {
            turn.shared.session_needed(peer);
            return;
        };
        let destination = Destination {
            peer: peer.clone(),
            session,
            endpoint,
        };
        self.send_staged(turn, &destination);
    }

    /// Send what is collected, at the end of a turn.
    pub fn finish(&mut self, turn: &Turn<'_>) {
        self.leave_route(turn);
        self.batch.finish(turn);
    }

    /// What was staged waits for the session that the peer lacked. If that was installed meanwhile, another
    /// shard may have sent what was staged before, and not this.
    fn leave_route(&mut self, turn: &Turn<'_>) {
        if let Some(Route::Waiting(peer)) = self.route.take()
            && peer.session(turn.now).is_some()
        {
            self.flush(turn, &peer);
        }
    }

    fn forward(&mut self, turn: &Turn<'_>, routes: &AllowedIps<Arc<Peer>>, length: usize) {
        let Some((header, start)) = self.header(turn, length) else {
            turn.shared.discard(Discard::BadOffload, 1, None);
            return;
        };
        let packet = &self.packet[start..length];
        let peer = match route(routes, packet) {
            Ok(Some(peer)) => peer,
            Ok(None) => {
                let (shared, now) = (turn.shared, turn.now);
                self.unreachable.handle(shared, now, packet, None);
                return;
            }
            Err(reason) => {
                turn.shared.discard(reason, 1, None);
                return;
            }
        };
        let known = self.route.as_ref().is_some_and(|route| route.is_to(peer));
        let known = known || self.find(turn, peer);
        let packet = &self.packet[start..length];
        if !known {
            let (shared, now) = (turn.shared, turn.now);
            self.unreachable.handle(shared, now, packet, Some(peer));
            return;
        }
        let class = ecn::encapsulate(ip::tos(packet));
        match self.batch.split(&header, packet, turn.mtu) {
            Ok(segments) => self.dispatch(turn, &segments, class),
            Err(reason) => turn.shared.discard(reason, 1, Some(peer)),
        }
    }

    fn header(&self, turn: &Turn<'_>, length: usize) -> Option<(VnetHeader, usize)> {
        if !turn.tun.offloads().vnet_header {
            return Some((VnetHeader::default(), 0));
        }
        let header = self.packet[..length].first_chunk::<VNET_HEADER>()?;
        Some((VnetHeader::parse(header), VNET_HEADER))
    }

    /// Look up a peer's session and endpoint. False if the endpoint is not known.
    fn find(&mut self, turn: &Turn<'_>, peer: &Arc<Peer>) -> bool {
        self.leave_route(turn);
        let Some(endpoint) = peer.endpoint() else {
            return false;
        };
        let peer = peer.clone();
        self.route = Some(match peer.session(turn.now) {
            Some(session) => {
                let destination = Destination {
                    peer,
                    session,
                    endpoint,
                };
                // Staged packets must not be overtaken.
                self.send_staged(turn, &destination);
                Route::Open(destination)
            }
            None => Route::Waiting(peer),
        });
        true
    }

    fn dispatch(&mut self, turn: &Turn<'_>, segments: &Segments, class: u8) {
        match &self.route {
            Some(Route::Open(destination)) => {
                self.batch.add(turn, destination, segments, class);
                sent(turn, destination, true);
            }
            Some(Route::Waiting(peer)) => {
                let packets = self.batch.spare_capacity_mut();
                for number in 0..segments.count {
                    let is_last = number + 1 == segments.count;
                    let length = if is_last {
                        segments.last
                    } else {
                        segments.length
                    };
                    let start = number * segments.stride + HEADER;
                    if peer.stage(packets[start..start + length].to_vec()) {
                        turn.shared.discard(Discard::StagedOverflow, 1, Some(peer));
                    }
                }
                turn.shared.session_needed(peer);
            }
            None => {}
        }
    }

    fn send_staged(&mut self, turn: &Turn<'_>, destination: &Destination) {
        let mut staged = destination.peer.staged();
        if staged.is_empty() {
            return;
        }
        for packet in &*staged {
            let length = packet.len();
            let segments = Segments {
                count: 1,
                stride: OVERHEAD + padded(length, turn.mtu),
                length,
                last: length,
            };
            debug_assert!(segments.stride >= HEADER + length + TAG);
            self.batch.spare_capacity_mut()[HEADER..HEADER + length].copy_from_slice(packet);
            let class = ecn::encapsulate(ip::tos(packet));
            self.batch.add(turn, destination, &segments, class);
        }
        // Another shard may have packets of the same flow, and sends them as soon as it finds nothing staged.
        self.batch.finish(turn);
        let data = staged.drain(..).any(|packet| !packet.is_empty());
        drop(staged);
        sent(turn, destination, data);
    }
}

impl Default for Outbound {
    fn default() -> Self {
        Self::new()
    }
}

impl Route {
    fn is_to(&self, peer: &Arc<Peer>) -> bool {
        match self {
            Self::Open(destination) => Arc::ptr_eq(&destination.peer, peer),
            Self::Waiting(waiting) => Arc::ptr_eq(waiting, peer),
        }
    }
}

fn route<'a>(
    routes: &'a AllowedIps<Arc<Peer>>,
    packet: &[u8],
) -> Result<Option<&'a Arc<Peer>>, Discard> {
    Ok(match ip::destination(packet).ok_or(Discard::NotIp)? {
        IpAddr::V4(address) => routes.lookup_v4(address.octets()),
        IpAddr::V6(address) => routes.lookup_v6(address.octets()),
    })
}

/// Update the debts, and ask for a new session if this one is old (kernel, send.c, keep_key_fresh).
fn sent(turn: &Turn<'_>, destination: &Destination, data: bool) {
    turn.shared.sent(&destination.peer, turn.now, data);
    if destination.session.needs_renewal_on_send(turn.now) {
        turn.shared.session_needed(&destination.peer);
    }
}

/// Return the error if the TUN is gone for good. EIO and the like come and go with the link's state.
pub fn gone(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::EBADFD | libc::EBADF) => Err(error),
        _ => Ok(()),
    }
}
