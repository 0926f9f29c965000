//! Two planes and an attacker between them, who delivers, loses, repeats, reorders and changes datagrams
//! while sessions come and go. Whatever happens, no nonce is used twice, no packet is received twice or
//! under a session that is over, and none whose source is not allowed.
//!
//! `tests/sim/test_two_devices.py` does the same to two brains.

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use holloway_aead::{Group, Key, nonce};

use super::Plane;
use crate::allowed_ips::{AllowedIpsChange, Prefix};
use crate::channel_tun::LinkEndpoint;
use crate::clock::{Nanos, now};
use crate::discard::Discard;
use crate::endpoint::Endpoint;
use crate::events::Event;
use crate::handle::{Handle, SessionParameters};
use crate::session::{Deadlines, HEADER, OVERHEAD, TRANSPORT};
use crate::tun::Tun;

const VNET_HEADER: usize = 10;
/// As much as a queue takes only if it is empty; see `channel_tun`.
const QUEUE: usize = (1 << 20) - 256;
/// The lifetime of a session that ends during a test.
const SHORT: Nanos = 30_000_000;
/// A source that is not among the allowed IPs unless `Step::Allow` puts it there.
const FOREIGN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 66);

#[derive(Clone, Debug)]
enum Step {
    /// The host of an end sends packets, of its own source or a foreign one.
    Send {
        end: usize,
        packets: usize,
        is_foreign: bool,
    },
    /// Packets that an end sent arrive, in any order and any number of times.
    Deliver { from: usize, which: Vec<Index> },
    /// A keepalive that an end sent arrives.
    DeliverKeepalive { from: usize, which: Index },
    /// A datagram arrives with one bit changed.
    Forge {
        from: usize,
        which: Index,
        at: Index,
        bit: u8,
    },
    /// A new session, whose first packet may reach the responder at once.
    Rekey {
        initiator: usize,
        is_short: bool,
        is_confirmed: bool,
    },
    /// The brain of an end erases its sessions.
    Erase { end: usize },
    /// The short sessions end.
    Wait,
    /// An end allows the foreign source to its peer, or no more.
    Allow { end: usize, is_allowed: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..2usize, 1..12usize, prop::bool::weighted(0.2))
            .prop_map(|(end, packets, is_foreign)| Step::Send { end, packets, is_foreign }),
        8 => (0..2usize, vec(any::<Index>(), 1..16))
            .prop_map(|(from, which)| Step::Deliver { from, which }),
        1 => (0..2usize, any::<Index>())
            .prop_map(|(from, which)| Step::DeliverKeepalive { from, which }),
        1 => (0..2usize, any::<Index>(), any::<Index>(), 0..8u8)
            .prop_map(|(from, which, at, bit)| Step::Forge { from, which, at, bit }),
        3 => (0..2usize, prop::bool::weighted(0.2), prop::bool::weighted(0.8))
            .prop_map(|(initiator, is_short, is_confirmed)| {
                Step::Rekey { initiator, is_short, is_confirmed }
            }),
        1 => (0..2usize).prop_map(|end| Step::Erase { end }),
        1 => Just(Step::Wait),
        1 => (0..2usize, any::<bool>())
            .prop_map(|(end, is_allowed)| Step::Allow { end, is_allowed }),
    ];
    vec(step, 1..40)
}

/// A transport message as the attacker has it, and what only we can read in it.
#[derive(Clone, Debug)]
struct Captured {
    bytes: Vec<u8>,
    session: usize,
    counter: u64,
    /// The number and the source of the packet. None for a keepalive.
    packet: Option<(u64, Ipv4Addr)>,
}

/// One end, and what must be true of it.
struct End {
    number: usize,
    plane: Plane,
    link: LinkEndpoint,
    peer: Handle,
    address: SocketAddr,
    /// The attacker's socket, which this end takes for the other one.
    wire: UdpSocket,
    captured: Vec<Captured>,
    nonces: HashSet<(usize, u64)>,
    current: Option<usize>,
    next: Option<usize>,
    /// Sessions before this one are erased.
    erased: usize,
    is_allowed: bool,
    opened: HashSet<(usize, u64)>,
    received: HashSet<u64>,
}

struct World {
    ends: [End; 2],
    /// When each session ends.
    rejects: Vec<Nanos>,
    packets: u64,
}

/// Wait for a cause. The limit only bounds how long a broken test hangs.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "still not: {what}");
        std::thread::yield_now();
    }
}

fn own(end: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 1 + end as u8)
}

fn change_of(address: Ipv4Addr, is_allowed: bool) -> AllowedIpsChange {
    let mut change = AllowedIpsChange::default();
    let list = if is_allowed {
        &mut change.added
    } else {
        &mut change.removed
    };
    list.push(Prefix::new(IpAddr::V4(address), 32).expect("a host"));
    change
}

/// The index by which an end is addressed in a session.
const fn index_of(session: usize, end: usize) -> u32 {
    (2 * session + end) as u32 + 1
}

/// The key that an end sends with in a session.
fn key_of(session: usize, end: usize) -> [u8; 32] {
    let mut key = [end as u8; 32];
    key[..8].copy_from_slice(&session.to_le_bytes());
    key
}

impl Captured {
    /// Read a transport message of `end`.
    fn read(bytes: Vec<u8>, end: usize) -> Self {
        let receiver = u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes"));
        let session = (receiver as usize - 1) / 2;
        assert_eq!(receiver, index_of(session, 1 - end));
        let counter = u64::from_le_bytes(bytes[8..HEADER].try_into().expect("eight bytes"));
        let mut text = bytes[HEADER..].to_vec();
        let mut group = Group::new();
        group.push(nonce(counter), &mut text);
        let mut authentic = false;
        Key::new(&key_of(session, end)).open(&mut group, |is| authentic = is);
        assert!(authentic);
        Self {
            packet: (bytes.len() > OVERHEAD).then(|| parse(&text)),
            bytes,
            session,
            counter,
        }
    }
}

fn parse(packet: &[u8]) -> (u64, Ipv4Addr) {
    let source: [u8; 4] = packet[12..16].try_into().expect("four bytes");
    let number = packet[20..28].try_into().expect("eight bytes");
    (u64::from_le_bytes(number), source.into())
}

impl End {
    fn new(number: usize) -> Self {
        let (tun, link) = Tun::to_stack("test").expect("a channel");
        let plane = Plane::new(Arc::new(tun)).expect("a thread");
        let port = plane.bind(0, 0).expect("a port");
        let peer = plane.peer(&[9 - number as u8; 32]);
        peer.change_allowed_ips(&change_of(own(1 - number), true));
        let wire = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        wire.set_nonblocking(true).expect("a socket");
        peer.set_endpoint(Endpoint::new(wire.local_addr().expect("an address")));
        Self {
            number,
            plane,
            link,
            peer,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            wire,
            captured: vec![],
            nonces: HashSet::new(),
            current: None,
            next: None,
            erased: 0,
            is_allowed: false,
            opened: HashSet::new(),
            received: HashSet::new(),
        }
    }

    /// Wait until the shard has done all that was asked of it. It takes the second of two datagrams in a
    /// later turn than the first, so that the turn of the first is over.
    fn settle(&mut self) {
        until("the queue is empty", || self.link.has_room(QUEUE));
        let truncated = || self.plane.discards()[Discard::Truncated as usize];
        for _ in 0..2 {
            let before = truncated();
            self.throw(&[TRANSPORT, 0, 0, 0]);
            until("the datagram is counted", || truncated() > before);
        }
        self.capture();
    }

    fn throw(&self, datagram: &[u8]) {
        let sent = self.wire.send_to(datagram, self.address);
        assert_eq!(sent.expect("loopback takes it"), datagram.len());
    }

    /// Take what this end has sent since the last call: each nonce is new.
    fn capture(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok(length) = self.wire.recv(&mut buffer) {
            let captured = Captured::read(buffer[..length].to_vec(), self.number);
            let is_new = self.nonces.insert((captured.session, captured.counter));
            assert!(is_new, "a nonce was used twice");
            self.captured.push(captured);
        }
    }

    fn send_to_peer(&self, number: u64, source: Ipv4Addr) {
        let mut packet = vec![0; VNET_HEADER];
        packet.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 253, 0, 0]);
        packet.extend(source.octets());
        packet.extend(own(1 - self.number).octets());
        packet.extend(number.to_le_bytes());
        until("room", || self.link.has_room(packet.len()));
        self.link.send(packet);
    }

    /// Datagrams arrive. Returns the packets that were received, and how many keepalives.
    fn arrive(&mut self, datagrams: &[&[u8]]) -> (VecDeque<u64>, u64) {
        let before = self.peer.traffic().0;
        for datagram in datagrams {
            self.throw(datagram);
        }
        self.settle();
        let mut packets = VecDeque::new();
        assert!(self.link.receive(&mut packets, usize::MAX));
        let numbers = packets.iter().map(|packet| parse(&packet[VNET_HEADER..]).0);
        let numbers = VecDeque::from_iter(numbers);
        let data = numbers.len() as u64 * (OVERHEAD + 32) as u64;
        let keepalives = self.peer.traffic().0 - before - data;
        (numbers, keepalives / OVERHEAD as u64)
    }
}

impl World {
    fn new() -> Self {
        Self {
            ends: [End::new(0), End::new(1)],
            rejects: vec![],
            packets: 0,
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Send {
                end,
                packets,
                is_foreign,
            } => self.send(end, packets, is_foreign),
            Step::Deliver { from, which } => {
                let data = self.captured(from, true);
                if !data.is_empty() {
                    let which = which.iter().map(|index| index.get(&data).clone());
                    self.deliver(1 - from, &which.collect::<Vec<_>>());
                }
            }
            Step::DeliverKeepalive { from, which } => {
                let keepalives = self.captured(from, false);
                if !keepalives.is_empty() {
                    self.deliver(1 - from, &[which.get(&keepalives).clone()]);
                }
            }
            Step::Forge {
                from,
                which,
                at,
                bit,
            } => self.forge(from, which, at, bit),
            Step::Rekey {
                initiator,
                is_short,
                is_confirmed,
            } => self.rekey(initiator, is_short, is_confirmed),
            Step::Erase { end } => {
                let end = &mut self.ends[end];
                end.peer.erase();
                (end.erased, end.current, end.next) = (self.rejects.len(), None, None);
            }
            Step::Wait => {
                let short = self.rejects.iter().filter(|reject| **reject != Nanos::MAX);
                let last = short.max().copied().unwrap_or(0);
                until("the short sessions have ended", || now() >= last);
            }
            Step::Allow { end, is_allowed } => {
                let change = change_of(FOREIGN, is_allowed);
                self.ends[end].peer.change_allowed_ips(&change);
                self.ends[end].is_allowed = is_allowed;
            }
        }
        self.ends.iter_mut().for_each(End::settle);
    }

    fn captured(&self, from: usize, is_data: bool) -> Vec<Captured> {
        let all = self.ends[from].captured.iter();
        all.filter(|each| each.packet.is_some() == is_data)
            .cloned()
            .collect()
    }

    /// Packets leave under a session that is not over, or a session is asked for.
    fn send(&mut self, number: usize, packets: usize, is_foreign: bool) {
        let end = &mut self.ends[number];
        let source = if is_foreign { FOREIGN } else { own(number) };
        let (began, before) = (now(), end.captured.len());
        end.peer.arm_session_needed();
        let _ = end.plane.events(usize::MAX);
        for _ in 0..packets {
            end.send_to_peer(self.packets, source);
            self.packets += 1;
        }
        end.settle();
        let sent = &end.captured[before..];
        for each in sent {
            assert!(began < self.rejects[each.session], "sent under an old key");
            assert!(each.session >= end.erased, "sent under an erased key");
        }
        let events = end.plane.events(usize::MAX);
        let asked = events
            .iter()
            .any(|event| matches!(event, Event::SessionNeeded(_)));
        assert!(asked || sent.len() == packets);
        if end.current.is_some_and(|of| self.rejects[of] == Nanos::MAX) {
            assert!(!asked, "there was a session");
        }
    }

    fn rekey(&mut self, initiator: usize, is_short: bool, is_confirmed: bool) {
        let session = self.rejects.len();
        let reject = if is_short { now() + SHORT } else { Nanos::MAX };
        self.rejects.push(reject);
        for number in [1 - initiator, initiator] {
            let end = &self.ends[number];
            let parameters = SessionParameters {
                local_index: index_of(session, number),
                remote_index: index_of(session, 1 - number),
                send_key: &key_of(session, number),
                receive_key: &key_of(session, 1 - number),
                deadlines: Deadlines {
                    renew_on_send: Nanos::MAX,
                    renew_on_receive: Nanos::MAX,
                    reject,
                },
            };
            end.peer.install(&parameters, number == initiator);
        }
        self.ends[1 - initiator].next = Some(session);
        let end = &mut self.ends[initiator];
        (end.current, end.next) = (Some(session), None);
        end.settle();
        let mut sent = end.captured.iter();
        let first = sent.find(|each| each.session == session).cloned();
        assert!(first.is_some() || now() >= reject);
        if let Some(first) = first.filter(|_| is_confirmed) {
            self.deliver(1 - initiator, &[first]);
        }
    }

    fn forge(&mut self, from: usize, which: Index, at: Index, bit: u8) {
        let all = &self.ends[from].captured;
        if all.is_empty() {
            return;
        }
        let mut forged = which.get(all).bytes.clone();
        let at = 4 + at.index(forged.len() - 4); // another type is no transport message
        forged[at] ^= 1 << bit;
        let (numbers, keepalives) = self.ends[1 - from].arrive(&[&forged]);
        assert!(numbers.is_empty() && keepalives == 0, "a forged packet");
    }

    /// Datagrams arrive at an end in this order, which accepts those that it must and no other.
    fn deliver(&mut self, to: usize, datagrams: &[Captured]) {
        let end = &mut self.ends[to];
        let _ = end.plane.events(usize::MAX);
        let began = now();
        let bytes: Vec<_> = datagrams.iter().map(|each| &each.bytes[..]).collect();
        let (mut left, keepalives) = end.arrive(&bytes);
        let ended = now();
        for each in datagrams {
            let nonce = (each.session, each.counter);
            let reject = self.rejects[each.session];
            let is_over = each.session < end.erased || began >= reject;
            let is_alive = [end.current, end.next].contains(&Some(each.session)) && ended < reject;
            let is_new = !end.opened.contains(&nonce);
            let is_allowed = match each.packet {
                Some((_, source)) => source != FOREIGN || end.is_allowed,
                None => true,
            };
            let accepted = match each.packet {
                Some((number, _)) => left.front() == Some(&number),
                None => keepalives == 1,
            };
            if accepted {
                left.pop_front();
            }
            if accepted {
                assert!(!is_over, "accepted under a key that is over");
                assert!(is_new, "accepted twice");
                assert!(is_allowed, "accepted from a source that is not allowed");
            } else {
                assert!(!(is_alive && is_new && is_allowed), "lost");
            }
            if accepted || is_alive {
                end.opened.insert(nonce);
            }
            if let Some((number, _)) = each.packet.filter(|_| accepted) {
                assert!(end.received.insert(number), "received twice");
            }
        }
        assert!(left.is_empty(), "received what nobody sent: {left:?}");
        let events = end.plane.events(usize::MAX);
        if events
            .iter()
            .any(|event| matches!(event, Event::Confirmed(_)))
        {
            end.current = end.next.take();
        }
    }
}

proptest! {
    #[test]
    fn whatever_the_network_does_packets_are_received_once_and_under_fresh_keys(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
        }
    }
}

/// A hostile peer: 50 handshakes a second for 200 seconds, confirmed or not.
#[test]
fn a_peer_never_has_more_than_three_sessions() {
    let end = End::new(0);
    for session in 0..10_000_u32 {
        let parameters = SessionParameters {
            local_index: session,
            remote_index: session,
            send_key: &[1; 32],
            receive_key: &[2; 32],
            deadlines: Deadlines {
                renew_on_send: Nanos::MAX,
                renew_on_receive: Nanos::MAX,
                reject: Nanos::MAX,
            },
        };
        end.peer.install(&parameters, session % 3 == 0);
        assert!(end.plane.uses_index(session));
    }
    let used = (0..10_000).filter(|index| end.plane.uses_index(*index));
    assert!(used.count() <= 3);
    end.peer.erase();
    assert!(!(0..10_000).any(|index| end.plane.uses_index(index)));
}
