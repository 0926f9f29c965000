//! From the peers to the TUN: decrypts a batch in place, checks it, joins packets and writes them.
//!
//! Each step processes the whole batch before the next one, so that every lock is taken once. The checks
//! have the kernel's order (receive.c, wg_packet_consume_data_done). Called by the shard.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use crate::allowed_ips::AllowedIps;
use crate::discard::Discard;
use crate::endpoint::Endpoint;
use crate::events::Event;
use crate::handshakes::{HandshakeBatch, Handshakes};
use crate::index::{Entry, IndexTable};
use crate::mmsg::{SLOTS, STRIDE, Slots};
use crate::outbound::gone;
use crate::peer::Peer;
use crate::session::{HEADER, OVERHEAD, Session, TRANSPORT};
use crate::tun::Offloads;
use crate::turn::Turn;
use crate::udp::{Train, Udp};
use holloway_aead::{Group, TAG, nonce};
use holloway_packet::coalesce::{Coalescer, MAX_PIECES, Write};
use holloway_packet::{ecn, ip};

/// How many trains one call receives: a few long ones fill the cache; small ones are received all at once.
const FEW: usize = 4;
/// If these have at most so many bytes, they are small.
const SMALL: usize = 16 * 1024;
/// A batch receives no more once it has so many bytes.
const MAX_BYTES: usize = 192 * 1024;

/// What comes to a socket (`sockets`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Data, and behind it in a train what else its sender sent.
    Data,
    /// Everything else.
    Handshakes,
    /// Both, because the kernel cannot sort them.
    Both,
}

/// State reused across batches: buffers and lists.
#[derive(Debug)]
pub struct Inbound {
    buffer: Box<[u8]>,
    slots: Slots,
    arrivals: Vec<(usize, Train)>,
    opened: Vec<Opened>,
    runs: Vec<Run>,
    confirmed: Vec<Arc<Peer>>,
    coalescer: Coalescer,
    handshakes: Handshakes,
    followers: Vec<Follower>,
    /// The senders of data under unknown indices.
    strays: Vec<Endpoint>,
}

/// A handshake message behind data in a train.
#[derive(Debug)]
struct Follower {
    place: Range<usize>,
    from: Endpoint,
    /// The last packet of the train before it, in `opened`.
    after: usize,
}

/// A packet before and after decryption.
#[derive(Debug)]
struct Opened {
    counter: u64,
    /// The place of its plaintext. None if it is forged or replayed.
    text: Option<Range<usize>>,
    congested: bool,
}

/// Consecutive packets of one session from one endpoint.
#[derive(Debug)]
struct Run {
    peer: Arc<Peer>,
    session: Arc<Session>,
    from: Endpoint,
    packets: Range<usize>,
}

impl Inbound {
    /// Create the state for an interface with these offloads, and allocate its buffers.
    #[must_use]
    pub fn new(offloads: Offloads) -> Self {
        Self {
            // Pages that are never written take no memory.
            buffer: vec![0; SLOTS * STRIDE].into_boxed_slice(),
            slots: Slots::new(),
            arrivals: Vec::with_capacity(SLOTS),
            opened: Vec::with_capacity(512),
            runs: Vec::with_capacity(64),
            confirmed: Vec::new(),
            coalescer: Coalescer::new(offloads.tso, offloads.uso),
            handshakes: Handshakes::default(),
            followers: Vec::new(),
            strays: Vec::new(),
        }
    }

    /// Receive from a socket and write to the interface. An error means that the interface is gone.
    pub fn turn(&mut self, turn: &Turn<'_>, socket: &Udp, arrivals: Arrivals) -> io::Result<()> {
        self.receive(turn, socket);
        self.open(turn, socket, arrivals);
        if !self.strays.is_empty() {
            turn.shared.unknown_indices(&self.strays, turn.now);
            self.strays.clear();
        }
        for number in 0..self.runs.len() {
            self.accept_run(turn, number);
        }
        self.check_sources(turn);
        let result = self.write(turn);
        self.coalescer.clear();
        self.opened.clear();
        // Keep no session beyond the turn: its keys are zeroed when the last reference is dropped.
        self.runs.clear();
        result
    }

    /// The peers whose session was confirmed, so that their staged packets can be sent.
    pub fn take_confirmed(&mut self) -> impl Iterator<Item = Arc<Peer>> + '_ {
        self.confirmed.drain(..)
    }

    fn receive(&mut self, turn: &Turn<'_>, socket: &Udp) {
        self.arrivals.clear();
        let (mut used, mut bytes, mut asked) = (0, 0, FEW);
        while asked > 0 && bytes <= MAX_BYTES {
            let start = used * STRIDE;
            let room = &mut self.buffer[start..start + asked * STRIDE];
            let arrivals = &mut self.arrivals;
            let received = self.slots.receive(socket, room, |at, train| match train {
                Some(train) if !train.truncated && train.length > 0 => {
                    bytes += train.length;
                    arrivals.push((start + at, train));
                }
                _ => turn.shared.discard(Discard::Truncated, 1, None),
            });
            match received {
                Ok(count) if count < asked => return,
                Ok(count) => used += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error about an earlier send; the next receive works. Counting it as a slot
                // bounds the loop.
                Err(_) => used += 1,
            }
            let left = SLOTS - used;
            asked = if bytes <= SMALL { left } else { FEW.min(left) };
        }
    }

    /// Decrypt the data, and pass on the handshake messages.
    fn open(&mut self, turn: &Turn<'_>, socket: &Udp, arrivals: Arrivals) {
        let index = turn.shared.index.read();
        let mut batch = self.handshakes.batch(turn, &index, socket);
        let mut decryption = Decryption {
            turn,
            index: &index,
            opened: &mut self.opened,
            runs: &mut self.runs,
            strays: &mut self.strays,
            group: Group::new(),
        };
        let mut rest = &mut self.buffer[..];
        let mut passed = 0;
        for (start, train) in &self.arrivals {
            let after = rest.split_at_mut(start - passed).1;
            let (datagrams, after) = after.split_at_mut(train.length);
            (rest, passed) = (after, start + train.length);
            let before = decryption.opened.len();
            for (number, datagram) in datagrams.chunks_mut(train.segment).enumerate() {
                let at = start + number * train.segment;
                if datagram.first_chunk() == Some(&[TRANSPORT, 0, 0, 0]) {
                    decryption.take(datagram, at, train);
                } else if arrivals == Arrivals::Data && batch.under_load() {
                    let opened = decryption.opened.len();
                    if opened > before {
                        self.followers.push(Follower {
                            place: at..at + datagram.len(),
                            from: train.from,
                            after: opened - 1,
                        });
                    } else {
                        turn.shared.discard(Discard::CookieRequired, 1, None);
                    }
                } else {
                    batch.receive(datagram, &train.from);
                }
            }
        }
        decryption.finish();
        let opened = &self.opened;
        pass_on(turn, &mut self.followers, opened, &self.buffer, &mut batch);
        batch.finish();
    }

    /// Check a run for replays, and update the session and the peer.
    fn accept_run(&mut self, turn: &Turn<'_>, number: usize) {
        let run = &self.runs[number];
        let packets = &mut self.opened[run.packets.clone()];
        let (mut replayed, mut keepalives, mut data) = (0, 0, 0);
        let mut window = run.session.replay();
        for packet in packets {
            let Some(text) = &packet.text else {
                continue;
            };
            if !window.accept(packet.counter) {
                packet.text = None;
                replayed += 1;
            } else if text.is_empty() {
                keepalives += 1;
            } else {
                data += 1;
            }
        }
        drop(window);
        let peer = &run.peer;
        if replayed > 0 {
            turn.shared.discard(Discard::Replayed, replayed, Some(peer));
        }
        if keepalives + data == 0 {
            return;
        }
        if !peer
            .endpoint()
            .is_some_and(|known| known.same_path(&run.from))
        {
            turn.shared.set_endpoint(peer, run.from);
        }
        let dropped = peer.keypairs.lock().received_with(&run.session);
        if let Some(dropped) = dropped {
            turn.shared.free(&dropped);
            turn.shared.events.push(Event::Confirmed(peer.id()));
            self.confirmed.push(peer.clone());
        }
        if run.session.needs_renewal_on_receive(turn.now) {
            turn.shared.session_needed(peer);
        }
        peer.count_received(keepalives * OVERHEAD);
        turn.shared.received(peer, turn.now, data > 0);
    }

    /// Remove the padding, check the source, and pass on the packets that are allowed.
    fn check_sources(&mut self, turn: &Turn<'_>) {
        if self.opened.is_empty() {
            return;
        }
        let routes = turn.shared.routes.read();
        for run in &self.runs {
            let mut bytes = 0;
            for packet in &self.opened[run.packets.clone()] {
                let Some(text) = packet.text.clone().filter(|text| !text.is_empty()) else {
                    continue;
                };
                let padded = text.len();
                let inner = &mut self.buffer[text.clone()];
                match check(&routes, &run.peer, inner) {
                    Ok(length) => {
                        bytes += padded + OVERHEAD;
                        ecn::decapsulate(&mut inner[..length], packet.congested);
                        let range = text.start..text.start + length;
                        self.coalescer.push(&mut self.buffer, range);
                    }
                    Err(reason) => turn.shared.discard(reason, 1, Some(&run.peer)),
                }
            }
            run.peer.count_received(bytes);
        }
        drop(routes);
        self.coalescer.finish(&mut self.buffer);
    }

    fn write(&self, turn: &Turn<'_>) -> io::Result<()> {
        for write in self.coalescer.writes() {
            if let Err(error) = self.write_one(turn, write) {
                turn.shared.discard(Discard::WriteFailed, 1, None);
                gone(error)?;
            }
        }
        Ok(())
    }

    fn write_one(&self, turn: &Turn<'_>, write: Write<'_>) -> io::Result<()> {
        let header = write.header.to_bytes();
        let mut parts = [IoSlice::new(&[]); 1 + MAX_PIECES];
        let mut count = 0;
        if turn.tun.offloads().vnet_header {
            parts[0] = IoSlice::new(&header);
            count = 1;
        }
        for (part, range) in parts[count..].iter_mut().zip(write) {
            *part = IoSlice::new(&self.buffer[range]);
            count += 1;
        }
        turn.tun.write(&parts[..count]).map(drop)
    }
}

/// The decryption of a batch: packets of one session and one length are decrypted together.
struct Decryption<'a> {
    turn: &'a Turn<'a>,
    index: &'a IndexTable<Arc<Peer>>,
    opened: &'a mut Vec<Opened>,
    runs: &'a mut Vec<Run>,
    strays: &'a mut Vec<Endpoint>,
    /// The last packets of the last run, which are not decrypted yet.
    group: Group<'a>,
}

impl<'a> Decryption<'a> {
    /// Add a transport message, which begins at `at` in the buffer. Counts it if it is rejected.
    fn take(&mut self, packet: &'a mut [u8], at: usize, train: &Train) {
        let turn = self.turn;
        let Some(run) = self.join(packet, train) else {
            return;
        };
        let counter = match run.session.admit(turn.now, packet) {
            Ok(counter) => counter,
            Err(reason) => {
                turn.shared.discard(reason, 1, Some(&run.peer));
                return;
            }
        };
        let length = packet.len();
        if !self.group.takes(length - HEADER) {
            self.finish();
        }
        self.group.push(nonce(counter), &mut packet[HEADER..]);
        self.opened.push(Opened {
            counter,
            text: Some(at + HEADER..at + length - TAG),
            congested: ecn::is_congested(train.class),
        });
        if let Some(run) = self.runs.last_mut() {
            run.packets.end = self.opened.len();
        }
    }

    /// The run of a packet: the last one or a new one.
    fn join(&mut self, packet: &[u8], train: &Train) -> Option<&Run> {
        if packet.len() < OVERHEAD {
            self.turn.shared.discard(Discard::Truncated, 1, None);
            return None;
        }
        let receiver = u32::from_le_bytes(*packet[4..].first_chunk()?);
        let continues = self.runs.last().is_some_and(|run| {
            run.session.local_index() == receiver && run.from.same_path(&train.from)
        });
        if !continues {
            let Some(Entry::Session(peer, session)) = self.index.get(receiver) else {
                self.turn.shared.discard(Discard::UnknownIndex, 1, None);
                if self.strays.last() != Some(&train.from) {
                    self.strays.push(train.from); // no more than there are trains
                }
                return None;
            };
            self.finish();
            self.runs.push(Run {
                peer: peer.clone(),
                session: session.clone(),
                from: train.from,
                packets: self.opened.len()..self.opened.len(),
            });
        }
        self.runs.last()
    }

    /// Decrypt the group.
    fn finish(&mut self) {
        let Some(run) = self.runs.last() else {
            return;
        };
        let first = self.opened.len() - self.group.len();
        let mut packets = self.opened[first..].iter_mut();
        let mut forged = 0;
        run.session.open(&mut self.group, |is_authentic| {
            if let Some(packet) = packets.next().filter(|_| !is_authentic) {
                packet.text = None;
                forged += 1;
            }
        });
        if forged > 0 {
            let peer = Some(&*run.peer);
            self.turn.shared.discard(Discard::Forged, forged, peer);
        }
    }
}

/// Pass on the handshake messages that follow authentic data. Under load, others that came with data are
/// dropped: a flood that looks like data would take the shard's time.
fn pass_on(
    turn: &Turn<'_>,
    followers: &mut Vec<Follower>,
    opened: &[Opened],
    buffer: &[u8],
    batch: &mut HandshakeBatch<'_>,
) {
    for follower in followers.drain(..) {
        if opened[follower.after].text.is_some() {
            batch.receive(&buffer[follower.place], &follower.from);
        } else {
            turn.shared.discard(Discard::CookieRequired, 1, None);
        }
    }
}

/// Check that a decrypted packet may come from this peer, and return its length without padding.
fn check(
    routes: &AllowedIps<Arc<Peer>>,
    peer: &Arc<Peer>,
    packet: &[u8],
) -> Result<usize, Discard> {
    let length = ip::total_length(packet).ok_or(Discard::MalformedInner)?;
    let source = ip::source(packet).ok_or(Discard::MalformedInner)?;
    match routes.lookup(source) {
        Some(owner) if Arc::ptr_eq(owner, peer) => Ok(length),
        _ => Err(Discard::SourceNotAllowed),
    }
}
