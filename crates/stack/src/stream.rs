//! One TCP stream: smoltcp's socket in a set of its own, and our end of the program's socket.
//!
//! `process` moves bytes between the two until neither can go on; `outcome` says what became of the
//! stream. Which packets and which readiness belong to it is `streams`' business.

use std::io;

use smoltcp::iface::{Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{RecvError, Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpEndpoint, IpListenEndpoint};

use crate::buffers::Buffers;
use crate::events::Id;
use crate::link::Link;
use crate::loss::{DUPLICATES, LossDetector};
use crate::packet::{Flow, SYN, Segment};
use crate::socket_pair::StreamEnd;
use crate::timers::{Micros, SECOND};

/// How long a connection that the program closed may take to end (Linux: tcp_fin_timeout), counted
/// anew whenever the other side takes something.
const FIN_TIMEOUT: Micros = 60 * SECOND;
/// How long the other side may take to finish a handshake that it began.
const HALF_OPEN: Micros = 30 * SECOND;
/// How long the other side may be silent while we wait for it (Linux: tcp_retries2, about as long).
/// smoltcp's own timeout would end streams that merely rest.
const SILENCE: Micros = 15 * 60 * SECOND;
/// An acknowledgement may wait so long for data to go with, if it is for a single segment.
const ACK_DELAY: Duration = Duration::from_micros(10_000 * SPEEDUP as u64);
/// smoltcp's time goes so much faster: its least retransmission timeout, a second, is then Linux's
/// (TCP_RTO_MIN), and its greatest 12 s.
const SPEEDUP: Micros = 5;

/// No smaller segments are made, whatever the other side says (Linux: TCP_MIN_SND_MSS).
const MIN_SEGMENT: usize = 48;

/// One call of `process` does so much at most: other streams have their turn too.
const ROUNDS: usize = 4;
const SEGMENTS: usize = 8;

/// How far a stream has come for the program.
#[derive(Debug)]
pub enum Phase {
    /// It was asked for.
    Connecting,
    /// Somebody connects to this listener.
    Incoming(Id),
    /// The program has the other end of this.
    Open(StreamEnd),
    /// The program has closed it; what it wrote before is on its way.
    Orphan,
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Lives,
    /// The handshake is done.
    Established,
    /// The handshake failed, with this errno.
    Failed(i32),
    /// Both sides are done with it.
    Done,
    /// It ended before that.
    Broken,
}

/// One stream.
#[derive(Debug)]
pub struct Stream {
    /// Its addresses.
    pub flow: Flow,
    /// How far it has come.
    pub phase: Phase,
    /// It stands in the list of those to be processed.
    pub is_listed: bool,
    /// When it will be woken.
    pub timer: Option<Micros>,
    set: SocketSet<'static>,
    handle: SocketHandle,
    is_readable: bool,
    is_writable: bool,
    /// The program writes no more.
    is_finished: bool,
    /// The program is gone.
    is_abandoned: bool,
    /// The program was told that no more will come.
    is_ended: bool,
    /// Bytes that came out of order wait in the buffer.
    has_gap: bool,
    /// The other side would be told of them.
    has_sack: bool,
    loss: LossDetector,
    /// The largest segment that the other side takes.
    segment: usize,
    /// When the other side was heard, or we began to wait for it.
    last_received: Micros,
    /// Nothing more is sent.
    is_quiet: bool,
    deadline: Option<Micros>,
    // After `set`, which holds slices of them.
    buffers: Buffers,
}

impl Stream {
    /// Connect. An errno if that cannot even begin.
    pub fn connect(
        interface: &mut Interface,
        flow: Flow,
        buffer: usize,
        deadline: Micros,
    ) -> io::Result<Self> {
        let mut stream = Self::new(flow, Phase::Connecting, buffer)?;
        stream.deadline = Some(deadline);
        let remote = IpEndpoint::from(flow.remote);
        let local = IpListenEndpoint::from(flow.local);
        let result = stream.socket().connect(interface.context(), remote, local);
        result.map_err(|_| io::Error::from_raw_os_error(libc::EADDRNOTAVAIL))?;
        Ok(stream)
    }

    /// Be ready for the first segment of a connection to `listener`.
    pub fn incoming(flow: Flow, listener: Id, buffer: usize, now: Micros) -> io::Result<Self> {
        let mut stream = Self::new(flow, Phase::Incoming(listener), buffer)?;
        stream.deadline = Some(now + HALF_OPEN);
        let local = IpListenEndpoint::from(flow.local);
        let result = stream.socket().listen(local);
        result.map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        Ok(stream)
    }

    #[allow(unsafe_code)]
    fn new(flow: Flow, phase: Phase, buffer: usize) -> io::Result<Self> {
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

    /// Take a packet, with its vnet_hdr.
    pub fn receive(
        &mut self,
        interface: &mut Interface,
        link: &mut Link,
        packet: Vec<u8>,
        segment: Segment,
        now: Micros,
    ) {
        if segment.flags & SYN != 0 {
            self.has_sack = segment.permits_sack;
            self.segment = usize::from(segment.mss).max(MIN_SEGMENT);
        }
        // Several segments in one must be answered at once: no second one may ever follow.
        let is_long = segment.payload > link.mtu();
        let delay = if is_long { Duration::ZERO } else { ACK_DELAY };
        self.socket().set_ack_delay(Some(delay));
        link.reports_gap = None;
        link.segment = self.segment;
        if self.loss.shows(segment, self.segment) {
            // smoltcp does not look at selective acknowledgements; what it knows is repetition.
            for _ in 0..DUPLICATES {
                link.offer(packet.clone());
                interface.poll_ingress_single(instant(now), link, &mut self.set);
            }
        }
        link.offer(packet);
        interface.poll_ingress_single(instant(now), link, &mut self.set);
        self.has_gap = link.reports_gap.unwrap_or(self.has_gap);
        self.buffers.touch(now);
        self.last_received = now;
        if matches!(self.phase, Phase::Orphan) {
            self.deadline = Some(now + FIN_TIMEOUT);
        }
    }

    /// The program's end is readable, writable, finished or gone.
    pub fn ready(&mut self, events: u32) {
        let is = |flag: i32| events & flag.cast_unsigned() != 0;
        self.is_readable |= is(libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR);
        self.is_writable |= is(libc::EPOLLOUT);
        self.is_finished |= is(libc::EPOLLRDHUP | libc::EPOLLHUP);
        // Once both directions are shut down this says nothing new.
        self.is_abandoned |= is(libc::EPOLLHUP | libc::EPOLLERR) && !self.is_ended;
    }

    /// The handshake is done: from now on the program has the other end of `end`.
    pub fn open(&mut self, end: StreamEnd) {
        self.phase = Phase::Open(end);
        self.deadline = None;
    }

    /// End it at once: the other side gets a reset with the next `process`.
    pub fn abort(&mut self) {
        self.socket().abort();
    }

    /// Move what can be moved. True if there is more to do.
    pub fn process(&mut self, interface: &mut Interface, link: &mut Link, now: Micros) -> bool {
        for _ in 0..ROUNDS {
            if self.socket().send_queue() == 0 {
                self.last_received = now;
            }
            let moved = self.deliver() + self.collect();
            if moved > 0 {
                self.buffers.moved(moved, now);
            }
            let sent = self.emit(interface, link, now);
            if !sent {
                self.rest(now);
                return false;
            }
        }
        true
    }

    /// What came, to the program.
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
                Ok(Ok(count)) => moved += count,
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

    /// What the program wrote, to be sent; and its end, once all is taken.
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
                Ok(count) if count > 0 => moved += count,
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

    fn emit(&mut self, interface: &mut Interface, link: &mut Link, now: Micros) -> bool {
        if self.is_quiet {
            return false;
        }
        // After its last acknowledgement smoltcp would soon forget what the program has not read.
        self.is_quiet = self.socket().state() == State::TimeWait;
        link.segment = self.segment;
        for number in 0..SEGMENTS {
            link.sent = None;
            let result = interface.poll_egress(instant(now), link, &mut self.set);
            if result == PollResult::None {
                return number > 0;
            }
            self.loss.record_sent(link.sent);
        }
        true
    }

    /// Give back the memory of a stream that rests.
    fn rest(&mut self, now: Micros) {
        if self.buffers.rest_due().is_none_or(|at| now < at) {
            return;
        }
        let socket = self.set.get_mut::<Socket<'static>>(self.handle);
        // A gap means that bytes wait in the buffer, and without SACK nobody would know of one.
        let receive = socket.recv_queue() == 0 && self.has_sack && !self.has_gap;
        self.buffers.release(receive, socket.send_queue() == 0);
    }

    /// What became of it.
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

    /// When it must be looked at if nothing happens before.
    pub fn next(&mut self, interface: &mut Interface, now: Micros) -> Option<Micros> {
        let polled = match self.is_quiet {
            true => None,
            false => interface.poll_at(instant(now), &self.set),
        };
        // It has just been looked at: a stream that can do nothing must not keep us busy.
        let later = |at: Micros| at.max(now + 1000);
        let polled = polled.map(|at| later(at.total_micros() / SPEEDUP));
        let rest = self.buffers.rest_due().map(later);
        let silent = (self.socket().send_queue() > 0).then(|| self.last_received + SILENCE);
        let times = [polled, self.deadline, rest, silent];
        times.into_iter().flatten().min()
    }
}

/// The time as smoltcp has it.
const fn instant(now: Micros) -> Instant {
    Instant::from_micros_const(now * SPEEDUP)
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
