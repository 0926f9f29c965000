//! One TCP stream: smoltcp's socket in a set of its own, and our end of the program's socket pair.
//!
//! `process` moves bytes between the two until neither can continue; `outcome` returns the state that the
//! stream is in then. `streams` dispatches packets and readiness to it.

use std::io::{self, ErrorKind::Interrupted, ErrorKind::WouldBlock};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpEndpoint, IpListenEndpoint};

use crate::attempt::Attempt;
use crate::buffers::Buffers;
use crate::events::Id;
use crate::local::Local;
use crate::net::Net;
use crate::packet::Flow;
use crate::recovery::Recovery;
use crate::sequence::Sequence;
use crate::socket_pair::StreamEnd;
use crate::timers::{Micros, SECOND};
use crate::window::Window;

mod incoming;
mod outgoing;
mod recovering;

/// How long a connection that the program closed may take to end, or to make progress (Linux: tcp_fin_timeout).
const FIN_TIMEOUT: Micros = 60 * SECOND;
/// How long the other side may take to complete a handshake.
const HALF_OPEN: Micros = 30 * SECOND;
/// How long the other side may be silent while we wait for it (about as long as Linux's tcp_retries2).
/// smoltcp's own timeout would also end idle streams.
const SILENCE: Micros = 15 * 60 * SECOND;
/// How long the acknowledgement of a single segment waits for data to send with it.
const ACK_DELAY: Duration = Duration::from_micros(10_000 * SPEEDUP as u64);
/// smoltcp's least retransmission timeout, and a little less.
const LEAST_TIMEOUT: Micros = 190_000;
/// How much faster smoltcp's clock runs, so that its minimum retransmission timeout of one second becomes
/// Linux's (TCP_RTO_MIN), and its maximum 12 s.
const SPEEDUP: Micros = 5;

/// The smallest segments sent, whatever the other side asks for (FreeBSD: net.inet.tcp.minmss): smaller ones
/// cost the processor more than they carry.
const MIN_SEGMENT: usize = 216;

/// The limits of one call of `process`, so that other streams have their turn.
const ROUNDS: usize = 4;
const SEGMENTS: usize = 8;

/// How much memory that holds nothing a stream may keep while memory is scarce.
const WASTED: usize = 64 * 1024;

/// The program's side of a stream that connects.
#[derive(Debug)]
pub struct Connecting {
    /// Our end, which is held.
    pub end: StreamEnd,
    /// What the socket was bound to.
    pub bound: Option<Local>,
    /// Gets the outcome.
    pub attempt: Arc<Attempt>,
}

/// A stream's phase as the program sees it.
#[derive(Debug)]
pub enum Phase {
    /// The program connects.
    Connecting(Connecting),
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
    /// The program's end is watched for room too, from the first time that it had none.
    has_been_full: bool,
    /// The program has shut down its direction.
    is_finished: bool,
    /// The program has closed its end.
    is_abandoned: bool,
    /// The program's end has been shut down for reading.
    is_ended: bool,
    /// The program has read after its end was full, so more bytes may wait for it.
    is_read: bool,
    /// More bytes may wait for the program than in the beginning.
    is_grown: bool,
    sequence: Sequence,
    /// The receive window.
    window: Window,
    /// What the memory budget was charged.
    charged: usize,
    /// What is on its way; None where the other side has no selective acknowledgements, and smoltcp recovers.
    recovery: Option<Recovery>,
    /// The scale of the other side's windows.
    scale: u8,
    /// Windows are scaled.
    has_scale: bool,
    /// The window that smoltcp may use.
    given: usize,
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
    pub fn connect(
        net: &mut Net,
        flow: Flow,
        connecting: Connecting,
        buffer: usize,
        deadline: Micros,
    ) -> io::Result<Self> {
        let mut stream = Self::new(net, flow, Phase::Connecting(connecting), buffer)?;
        stream.deadline = Some(deadline);
        let remote = IpEndpoint::from(flow.remote);
        let local = IpListenEndpoint::from(flow.local);
        let mut interface = net.beginning(stream.sequence.ours);
        let result = stream.socket().connect(interface.context(), remote, local);
        result.map_err(|_| io::Error::from_raw_os_error(libc::EADDRNOTAVAIL))?;
        Ok(stream)
    }

    /// Create a stream for the first segment of a connection to `listener`.
    pub fn incoming(net: &mut Net, flow: Flow, listener: Id, buffer: usize) -> io::Result<Self> {
        let mut stream = Self::new(net, flow, Phase::Incoming(listener), buffer)?;
        stream.deadline = Some(net.now + HALF_OPEN);
        let local = IpListenEndpoint::from(flow.local);
        let result = stream.socket().listen(local);
        result.map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        Ok(stream)
    }

    #[allow(unsafe_code)]
    fn new(net: &mut Net, flow: Flow, phase: Phase, buffer: usize) -> io::Result<Self> {
        let number = net.numbers.choose(&flow, net.now);
        let buffers = net.spares.take(buffer)?;
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
            has_been_full: false,
            is_finished: false,
            is_abandoned: false,
            is_ended: false,
            is_read: false,
            is_grown: false,
            sequence: Sequence {
                ours: number,
                sent: number,
                ..Sequence::default()
            },
            window: Window::new(net.memory.share()),
            charged: 0,
            recovery: None,
            scale: 0,
            has_scale: false,
            given: 0,
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

    /// Record that the program's end is readable, writable, shut down or closed.
    pub fn ready(&mut self, events: u32) {
        let is = |flag: i32| events & flag.cast_unsigned() != 0;
        self.is_readable |= is(libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR);
        self.is_read |= is(libc::EPOLLOUT) && !self.is_writable;
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
        matches!(self.phase, Phase::Connecting(_)) && self.sequence.ours == sequence
    }

    /// Whether the handshake is done.
    pub fn is_established(&mut self) -> bool {
        self.socket().may_send()
    }

    /// Our end, if it is full for the first time: only now is it of interest when the program reads.
    pub fn is_full_first(&mut self) -> Option<RawFd> {
        let Phase::Open(end) = &self.phase else {
            return None;
        };
        (!self.is_writable && !std::mem::replace(&mut self.has_been_full, true))
            .then(|| end.as_raw_fd())
    }

    /// Whether the program was given the other side's end.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Abort it: the next `process` sends a reset.
    pub fn abort(&mut self) {
        self.socket().abort();
    }

    /// Move bytes in both directions. True if there is more to do.
    pub fn process(&mut self, net: &mut Net) -> bool {
        let now = net.now;
        let mut has_more = true;
        for _ in 0..ROUNDS {
            if self.socket().send_queue() == 0 {
                self.last_received = now;
            }
            let moved = self.deliver(net) + self.collect(net);
            if moved > 0 {
                self.buffers.moved(moved, now);
            }
            has_more = self.emit(net);
            if !has_more {
                break;
            }
        }
        self.reopen(net);
        self.settle(net);
        has_more
    }

    /// Release memory that holds nothing, where the stream is idle or memory is scarce.
    fn settle(&mut self, net: &mut Net) {
        let is_idle = self.buffers.rest_due().is_some_and(|at| net.now >= at);
        let (received, queued) = self.held();
        let needed = received.max(self.promised()) + queued;
        let wasted = self.buffers.touched().saturating_sub(needed);
        if is_idle || net.memory.is_scarce() && wasted > needed + WASTED {
            self.buffers.trim(received, queued);
        }
        if is_idle {
            self.buffers.rest();
            if let Phase::Open(end) = &self.phase {
                end.grow(None);
            }
            (self.is_read, self.is_grown) = (false, false);
        }
        self.charge(net);
    }

    /// How many bytes the buffers hold: received, with those beyond a gap, and to send.
    fn held(&mut self) -> (usize, usize) {
        let socket = self.set.get::<Socket<'static>>(self.handle);
        (self.sequence.held(socket), socket.send_queue())
    }

    /// How many bytes the other side may send, beyond what every stream is given. Where the stream is idle it
    /// does not count, or idle streams that were busy once would leave nothing for others.
    fn promised(&self) -> usize {
        match self.buffers.rest_due() {
            Some(_) => self.window.promised(self.sequence.read()),
            None => 0,
        }
    }

    /// Charge the memory budget for what the stream holds or was promised.
    fn charge(&mut self, net: &mut Net) {
        let cost = self.cost(net, 0);
        net.memory.charge(&mut self.charged, cost);
    }

    /// What the stream costs once `coming` bytes more have come.
    fn cost(&self, net: &Net, coming: usize) -> usize {
        let received = (self.buffers.receive.touched() + coming).max(self.promised());
        // The kernel counts its own overhead, and allows as much again for it.
        let waiting = if self.is_grown {
            2 * net.pair_buffer
        } else {
            0
        };
        received + self.buffers.send.touched() + waiting
    }

    /// Return its memory, and the budget's share of it; what is left is its phase.
    #[must_use]
    pub fn into_phase(mut self, net: &mut Net) -> Phase {
        net.memory.charge(&mut self.charged, 0);
        drop(self.set); // it has slices of the buffers
        net.spares.keep(self.buffers);
        self.phase
    }

    /// Its state.
    pub fn outcome(&mut self, now: Micros) -> Outcome {
        let is_late = self.deadline.is_some_and(|at| at <= now);
        let socket = self.set.get_mut::<Socket<'static>>(self.handle);
        let state = socket.state();
        let is_over = state == State::TimeWait || socket.remote_endpoint().is_none();
        let is_silent = socket.send_queue() > 0 && now >= self.last_received + SILENCE;
        match &self.phase {
            Phase::Connecting(_) if self.is_abandoned => Outcome::Failed(libc::ECONNABORTED),
            Phase::Connecting(_) | Phase::Incoming(_) if socket.may_send() => Outcome::Established,
            Phase::Connecting(_) if state == State::Closed => Outcome::Failed(libc::ECONNREFUSED),
            Phase::Connecting(_) if is_late => Outcome::Failed(libc::ETIMEDOUT),
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
