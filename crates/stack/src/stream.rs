//! One TCP stream: smoltcp's socket in a set of its own, and our end of the program's socket pair.
//!
//! `process` moves bytes between the two until neither can continue; `outcome` returns the state that the
//! stream is in then. `streams` dispatches packets and readiness to it.

use std::io::{self, ErrorKind::Interrupted, ErrorKind::WouldBlock};

use holloway_packet::transport::TCP_HEADER;
use smoltcp::iface::{PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{RecvError, Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpEndpoint, IpListenEndpoint};

use crate::buffers::Buffers;
use crate::events::Id;
use crate::loss::{DUPLICATES, LossDetector};
use crate::net::Net;
use crate::packet::{Flow, Segment, ip_header, replace_mss, write_ack};
use crate::sequence::{Sequence, Verdict};
use crate::socket_pair::StreamEnd;
use crate::timers::{Micros, SECOND};

/// How long a connection that the program closed may take to end (Linux: tcp_fin_timeout). Each segment of
/// the other side restarts it.
const FIN_TIMEOUT: Micros = 60 * SECOND;
/// How long the other side may take to complete a handshake.
const HALF_OPEN: Micros = 30 * SECOND;
/// How long the other side may be silent while we wait for it (about as long as Linux's tcp_retries2).
/// smoltcp's own timeout would also end idle streams.
const SILENCE: Micros = 15 * 60 * SECOND;
/// How long the acknowledgement of a single segment waits for data to send with it.
const ACK_DELAY: Duration = Duration::from_micros(10_000 * SPEEDUP as u64);
/// How much faster smoltcp's clock runs, so that its minimum retransmission timeout of one second becomes
/// Linux's (TCP_RTO_MIN), and its maximum 12 s.
const SPEEDUP: Micros = 5;

/// The smallest segments sent, whatever the other side asks for (FreeBSD: net.inet.tcp.minmss): smaller ones
/// cost the processor more than they carry.
const MIN_SEGMENT: usize = 216;

/// The limits of one call of `process`, so that other streams have their turn.
const ROUNDS: usize = 4;
const SEGMENTS: usize = 8;

/// A stream's phase as the program sees it.
#[derive(Debug)]
pub enum Phase {
    /// The program connects.
    Connecting,
    /// The other side connects to this listener.
    Incoming(Id),
    /// The program has the other end of this socket pair.
    Open(StreamEnd),
    /// The program has closed it; what it wrote is still to be sent.
    Orphan,
}

/// The state of a stream after processing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It continues.
    Lives,
    /// The handshake is done.
    Established,
    /// The handshake failed, with this errno.
    Failed(i32),
    /// Both sides have ended it in order.
    Done,
    /// It ended otherwise.
    Broken,
}

/// One stream.
#[derive(Debug)]
pub struct Stream {
    /// Its addresses.
    pub flow: Flow,
    /// Its phase.
    pub phase: Phase,
    /// Whether it is in the list of streams to process.
    pub is_listed: bool,
    /// When its timer is due.
    pub timer: Option<Micros>,
    set: SocketSet<'static>,
    handle: SocketHandle,
    is_readable: bool,
    is_writable: bool,
    /// The program has shut down its direction.
    is_finished: bool,
    /// The program has closed its end.
    is_abandoned: bool,
    /// The program's end has been shut down for reading.
    is_ended: bool,
    /// The receive buffer holds bytes beyond a gap.
    has_gap: bool,
    /// The other side accepts selective acknowledgements, which report them.
    has_sack: bool,
    sequence: Sequence,
    loss: LossDetector,
    /// The largest segment that the other side accepts.
    segment: usize,
    /// When the other side last sent something, or we began to wait for it.
    last_received: Micros,
    /// Nothing more is sent.
    is_quiet: bool,
    deadline: Option<Micros>,
    // After `set`, which holds slices of them.
    buffers: Buffers,
}

impl Stream {
    /// Create a stream that connects.
    pub fn connect(net: &mut Net, flow: Flow, buffer: usize, deadline: Micros) -> io::Result<Self> {
        let mut stream = Self::new(net, flow, Phase::Connecting, buffer)?;
        stream.deadline = Some(deadline);
        let remote = IpEndpoint::from(flow.remote);
        let local = IpListenEndpoint::from(flow.local);
        let mut interface = net.beginning(stream.sequence.ours);
        let result = stream.socket().connect(interface.context(), remote, local);
        result.map_err(|_| io::Error::from_raw_os_error(libc::EADDRNOTAVAIL))?;
        Ok(stream)
    }

    /// Create a stream for the first segment of a connection to `listener`.
    pub fn incoming(net: &Net, flow: Flow, listener: Id, buffer: usize) -> io::Result<Self> {
        let mut stream = Self::new(net, flow, Phase::Incoming(listener), buffer)?;
        stream.deadline = Some(net.now + HALF_OPEN);
        let local = IpListenEndpoint::from(flow.local);
        let result = stream.socket().listen(local);
        result.map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        Ok(stream)
    }

    #[allow(unsafe_code)]
    fn new(net: &Net, flow: Flow, phase: Phase, buffer: usize) -> io::Result<Self> {
        let number = net.numbers.choose(&flow, net.now);
        let buffers = Buffers::new(buffer)?;
        // SAFETY: one slice of each, in a socket that is dropped before them.
        let slices = unsafe { [buffers.receive.as_static(), buffers.send.as_static()] };
        let [rx, tx] = slices.map(SocketBuffer::new);
        let mut socket = Socket::new(rx, tx);
        socket.set_nagle_enabled(false);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(socket);
        Ok(Self {
            flow,
            phase,
            is_listed: false,
            timer: None,
            set,
            handle,
            is_readable: false,
            is_writable: true,
            is_finished: false,
            is_abandoned: false,
            is_ended: false,
            has_gap: false,
            has_sack: false,
            sequence: Sequence {
                ours: number,
                sent: number,
                ..Sequence::default()
            },
            loss: LossDetector::default(),
            segment: MIN_SEGMENT,
            last_received: 0,
            is_quiet: false,
            deadline: None,
            buffers,
        })
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// Receive a packet, with its vnet_hdr.
    pub fn receive(&mut self, net: &mut Net, packet: Vec<u8>, segment: &Segment) {
        let socket = self.set.get::<Socket<'static>>(self.handle);
        let state = socket.state();
        match self.sequence.judge(socket, segment) {
            _ if matches!(state, State::Listen | State::SynSent) => {
                self.begin(net, packet, segment, state);
            }
            Verdict::Take => self.take(net, packet, segment),
            Verdict::Challenge => self.challenge(net, packet),
            Verdict::Drop => net.link.recycle(packet),
        }
    }

    /// Receive a packet before the connection is established. Its options count only now.
    fn begin(&mut self, net: &mut Net, mut packet: Vec<u8>, segment: &Segment, before: State) {
        let most = net.link.mtu() - ip_header(self.flow.local.is_ipv4()) - TCP_HEADER;
        let size = usize::from(segment.mss).max(MIN_SEGMENT).min(most);
        replace_mss(&mut packet, size as u16);
        net.link.offer(packet);
        let mut interface = net.beginning(self.sequence.ours);
        interface.poll_ingress_single(instant(net.now), &mut net.link, &mut self.set);
        if self.socket().state() != before {
            self.sequence.theirs = segment.sequence;
            self.has_sack = segment.permits_sack;
            self.segment = size;
        }
        self.last_received = net.now;
    }

    /// Receive a packet of the established connection.
    fn take(&mut self, net: &mut Net, packet: Vec<u8>, segment: &Segment) {
        // Acknowledge several segments in one packet at once: there may be no second packet.
        let is_long = segment.payload > net.link.mtu();
        let delay = if is_long { Duration::ZERO } else { ACK_DELAY };
        self.socket().set_ack_delay(Some(delay));
        net.link.reports_gap = None;
        net.link.segment = self.segment;
        if self.loss.shows(segment, self.segment, self.sequence.sent) {
            // smoltcp ignores selective acknowledgements, but reacts to duplicate ones.
            for _ in 0..DUPLICATES {
                self.offer(net, packet.clone());
            }
        }
        self.offer(net, packet);
        self.has_gap = net.link.reports_gap.unwrap_or(self.has_gap);
        self.buffers.touch(net.now);
        self.last_received = net.now;
        if matches!(self.phase, Phase::Orphan) {
            self.deadline = Some(net.now + FIN_TIMEOUT);
        }
    }

    /// Make smoltcp acknowledge what we have, as it answers a keep-alive: at most once a second of its clock.
    fn challenge(&mut self, net: &mut Net, mut packet: Vec<u8>) {
        let flow = Flow {
            local: self.flow.remote,
            remote: self.flow.local,
        };
        let socket = self.set.get::<Socket<'static>>(self.handle);
        let expected = self.sequence.expected(socket);
        let ack = self.sequence.unacknowledged(socket);
        packet.clear();
        write_ack(&mut packet, &flow, expected.wrapping_sub(1), ack, 0);
        self.offer(net, packet);
    }

    fn offer(&mut self, net: &mut Net, packet: Vec<u8>) {
        net.link.offer(packet);
        let now = instant(net.now);
        net.interface
            .poll_ingress_single(now, &mut net.link, &mut self.set);
    }

    /// Record that the program's end is readable, writable, shut down or closed.
    pub fn ready(&mut self, events: u32) {
        let is = |flag: i32| events & flag.cast_unsigned() != 0;
        self.is_readable |= is(libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR);
        self.is_writable |= is(libc::EPOLLOUT);
        self.is_finished |= is(libc::EPOLLRDHUP | libc::EPOLLHUP);
        // Once both directions are shut down, EPOLLHUP does not mean that the program is gone.
        self.is_abandoned |= is(libc::EPOLLHUP | libc::EPOLLERR) && !self.is_ended;
    }

    /// The handshake is done: the program has the other end of `end` from now on.
    pub fn open(&mut self, end: StreamEnd) {
        self.phase = Phase::Open(end);
        self.deadline = None;
    }

    /// Whether it connects, and its SYN has this sequence number.
    #[must_use]
    pub fn is_connecting_with(&self, sequence: u32) -> bool {
        matches!(self.phase, Phase::Connecting) && self.sequence.ours == sequence
    }

    /// Abort it: the next `process` sends a reset.
    pub fn abort(&mut self) {
        self.socket().abort();
    }

    /// Move bytes in both directions. True if there is more to do.
    pub fn process(&mut self, net: &mut Net) -> bool {
        let now = net.now;
        for _ in 0..ROUNDS {
            if self.socket().send_queue() == 0 {
                self.last_received = now;
            }
            let moved = self.deliver() + self.collect();
            if moved > 0 {
                self.buffers.moved(moved, now);
            }
            let sent = self.emit(net);
            if !sent {
                self.rest(now);
                return false;
            }
        }
        true
    }

    /// Write received bytes to the program.
    fn deliver(&mut self) -> usize {
        let socket = self.set.get_mut::<Socket<'static>>(self.handle);
        let Phase::Open(end) = &self.phase else {
            if matches!(self.phase, Phase::Orphan) && socket.can_recv() {
                socket.abort();
            }
            return 0;
        };
        let mut moved = 0;
        while self.is_writable && !self.is_abandoned {
            let result = socket.recv(|bytes| match end.write(bytes) {
                _ if bytes.is_empty() => (0, Ok(0)),
                Ok(count) => (count, Ok(count)),
                Err(error) => (0, Err(error)),
            });
            match result {
                Ok(Ok(0)) | Err(RecvError::InvalidState) => break,
                Ok(Ok(count)) => {
                    self.sequence.delivered = self.sequence.delivered.wrapping_add(count as u32);
                    moved += count;
                }
                Ok(Err(error)) if is_later(&error) => self.is_writable = false,
                Ok(Err(_)) => self.is_abandoned = true,
                Err(RecvError::Finished) => {
                    if !self.is_ended {
                        self.is_ended = true;
                        end.finish();
                    }
                    break;
                }
            }
        }
        if self.is_abandoned && (socket.can_recv() || end.is_reset()) {
            socket.abort();
        }
        moved
    }

    /// Read what the program wrote, and close once all of it is read and the program has ended.
    fn collect(&mut self) -> usize {
        let socket = self.set.get_mut::<Socket<'static>>(self.handle);
        let Phase::Open(end) = &self.phase else {
            return 0;
        };
        let mut moved = 0;
        while self.is_readable && socket.can_send() {
            let waiting = end.waiting();
            if waiting == 0 {
                self.is_readable = false;
                break;
            }
            let result = socket.send(|room| {
                let length = waiting.min(room.len());
                let count = match length {
                    0 => 0,
                    _ => end.read(&mut room[..length]).unwrap_or(0),
                };
                (count, count)
            });
            match result {
                Ok(count) if count > 0 => {
                    self.sequence.collected = self.sequence.collected.wrapping_add(count as u32);
                    moved += count;
                }
                _ => break,
            }
        }
        if self.is_finished && (!self.is_readable || !socket.may_send()) {
            socket.close();
            if self.is_abandoned {
                self.phase = Phase::Orphan;
                self.deadline = Some(self.buffers.last_used() + FIN_TIMEOUT);
            }
        }
        moved
    }

    fn emit(&mut self, net: &mut Net) -> bool {
        if self.is_quiet {
            return false;
        }
        // After its last acknowledgement smoltcp would soon drop what the program has not read.
        self.is_quiet = self.socket().state() == State::TimeWait;
        let Net {
            interface, link, ..
        } = net;
        let now = instant(net.now);
        link.segment = self.segment;
        for number in 0..SEGMENTS {
            link.sent = None;
            let result = interface.poll_egress(now, link, &mut self.set);
            if result == PollResult::None {
                return number > 0;
            }
            if let Some(end) = link.sent {
                self.sequence.record_sent(end);
            }
        }
        true
    }

    /// Release the memory of an idle stream.
    fn rest(&mut self, now: Micros) {
        if self.buffers.rest_due().is_none_or(|at| now < at) {
            return;
        }
        let socket = self.set.get_mut::<Socket<'static>>(self.handle);
        // Beyond a gap there are bytes in the buffer, and without SACK a gap is not reported.
        let receive = socket.recv_queue() == 0 && self.has_sack && !self.has_gap;
        self.buffers.release(receive, socket.send_queue() == 0);
    }

    /// Its state.
    pub fn outcome(&mut self, now: Micros) -> Outcome {
        let is_late = self.deadline.is_some_and(|at| at <= now);
        let socket = self.set.get_mut::<Socket<'static>>(self.handle);
        let state = socket.state();
        let is_over = state == State::TimeWait || socket.remote_endpoint().is_none();
        let is_silent = socket.send_queue() > 0 && now >= self.last_received + SILENCE;
        match &self.phase {
            Phase::Connecting | Phase::Incoming(_) if socket.may_send() => Outcome::Established,
            Phase::Connecting if state == State::Closed => Outcome::Failed(libc::ECONNREFUSED),
            Phase::Connecting if is_late => Outcome::Failed(libc::ETIMEDOUT),
            Phase::Incoming(_) if is_over || is_late => Outcome::Broken,
            Phase::Orphan if state == State::TimeWait => Outcome::Done,
            Phase::Orphan if is_over || is_late => Outcome::Broken,
            Phase::Open(_) if is_silent || is_over && self.is_abandoned => Outcome::Broken,
            Phase::Open(_) if is_over && !socket.can_recv() => {
                let is_done = self.is_ended && self.is_finished && socket.send_queue() == 0;
                match is_done || state == State::TimeWait {
                    true => Outcome::Done,
                    false => Outcome::Broken,
                }
            }
            _ => Outcome::Lives,
        }
    }

    /// When it must be processed if nothing happens before.
    pub fn next(&mut self, net: &mut Net) -> Option<Micros> {
        let now = net.now;
        let polled = match self.is_quiet {
            true => None,
            false => net.interface.poll_at(instant(now), &self.set),
        };
        // It has just been processed: a stream that can do nothing must not cause a busy loop.
        let later = |at: Micros| at.max(now + 1000);
        let polled = polled.map(|at| later(at.total_micros() / SPEEDUP));
        let rest = self.buffers.rest_due().map(later);
        let silent = (self.socket().send_queue() > 0).then(|| self.last_received + SILENCE);
        let times = [polled, self.deadline, rest, silent];
        times.into_iter().flatten().min()
    }
}

/// The time on smoltcp's clock.
const fn instant(now: Micros) -> Instant {
    Instant::from_micros_const(now * SPEEDUP)
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), WouldBlock | Interrupted)
}
