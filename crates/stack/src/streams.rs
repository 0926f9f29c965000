//! All TCP streams: finds the stream of a segment, and schedules streams.
//!
//! A stream is processed only when a segment comes for it, when the program's end is ready, or when its
//! timer is due.

use std::collections::{HashMap, VecDeque};

use crate::counts::Reason;
use crate::echo::Unreachable;
use crate::events::Id;
use crate::listener::Listeners;
use crate::memory::FLOOR;
use crate::net::Net;
use crate::orphans::Orphans;
use crate::packet::Flow;
use crate::segment::{ACK, RST, SYN, Segment};
use crate::stream::{Outcome, Phase, Stream};
use crate::time_wait::TimeWait;
use crate::timers::{Micros, Timers};
use crate::unconnected::Unconnected;

mod opening;

/// All streams, listeners, and the program's other TCP sockets.
#[derive(Debug)]
pub struct Streams {
    streams: HashMap<Id, Box<Stream>>,
    flows: HashMap<Flow, Id>,
    listeners: Listeners,
    unconnected: Unconnected,
    listed: VecDeque<Id>,
    refused: Vec<Id>,
    timers: Timers,
    time_wait: TimeWait,
    orphans: Orphans,
    no_sockets: smoltcp::iface::SocketSet<'static>,
    buffer: usize,
}

impl Streams {
    /// Create it without streams. Each stream will have two buffers of this size.
    #[must_use]
    pub fn new(buffer: usize) -> Self {
        Self {
            streams: HashMap::new(),
            flows: HashMap::new(),
            listeners: Listeners::default(),
            unconnected: Unconnected::default(),
            listed: VecDeque::new(),
            refused: Vec::new(),
            timers: Timers::default(),
            time_wait: TimeWait::default(),
            orphans: Orphans::default(),
            no_sockets: smoltcp::iface::SocketSet::new(Vec::new()),
            buffer,
        }
    }

    /// The number of streams.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there are no streams.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    fn abort(&mut self, id: Id) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.abort();
            self.list(id);
        }
    }

    /// Reset all streams, as far as there is room, and return whether all were reset.
    pub fn abort_all(&mut self, net: &mut Net) -> bool {
        for stream in self.streams.values() {
            if let Phase::Connecting(connecting) = &stream.phase {
                connecting.attempt.end(Err(libc::ENETDOWN));
            }
        }
        let all: Vec<_> = self.streams.keys().copied().collect();
        all.into_iter().for_each(|id| self.abort(id));
        net.link.is_refused = false;
        self.process(net, usize::MAX);
        !net.link.is_refused
    }

    /// Receive a segment. `packet` is its packet, with its vnet_hdr.
    pub fn receive(&mut self, net: &mut Net, packet: Vec<u8>, segment: Segment, flow: Flow) {
        let id = match self.flows.get(&flow) {
            Some(&id) => Some(id),
            None if segment.flags & (SYN | ACK | RST) == SYN => match self.incoming(net, flow) {
                Ok(id) => id,
                Err(reason) => return net.counts.add(reason),
            },
            None => None,
        };
        let now = net.now;
        match id.and_then(|id| Some((id, self.streams.get_mut(&id)?))) {
            Some((id, stream)) => {
                stream.receive(net, packet, &segment);
                // At once, because the next segment may reset a connection that was established.
                if stream.outcome(now) == Outcome::Established {
                    self.established(net, id);
                } else {
                    self.list(id);
                }
            }
            // It belongs to no stream: smoltcp sends a reset if one is due.
            None => {
                net.link.offer(packet);
                let now = smoltcp::time::Instant::from_micros(now);
                let no_sockets = &mut self.no_sockets;
                net.interface
                    .poll_ingress_single(now, &mut net.link, no_sockets);
            }
        }
    }

    /// Start an incoming connection. None if there is no listener; an error if it must wait.
    fn incoming(&mut self, net: &mut Net, flow: Flow) -> Result<Option<Id>, Reason> {
        let Some(listener) = self.listeners.find(&flow) else {
            return Ok(None);
        };
        if self.streams.len() >= net.memory.max_streams() {
            return Err(Reason::NoResources);
        }
        if listener.is_full() {
            return Err(Reason::Backlog);
        }
        let stream = Stream::incoming(net, flow, listener.id, self.buffer);
        let stream = stream.map_err(|_| Reason::NoResources)?;
        let id = net.next_id();
        if let Some(oldest) = listener.begin(id) {
            net.counts.add(Reason::HalfOpen);
            self.remove(net, oldest);
        }
        self.add(id, stream);
        Ok(Some(id))
    }

    fn add(&mut self, id: Id, stream: Stream) {
        self.flows.insert(stream.flow, id);
        self.streams.insert(id, Box::new(stream));
        self.list(id);
    }

    /// Fail a connection about which an ICMP error came.
    pub fn unreachable(&mut self, net: &mut Net, error: &Unreachable, sequence: u32) {
        let Some(&id) = self.flows.get(&error.flow) else {
            return;
        };
        let stream = self.streams.get(&id);
        if stream.is_some_and(|stream| stream.is_connecting_with(sequence)) {
            self.failed(net, id, error.errno);
        }
    }

    /// Record that the program's end of a socket is ready. False if there is no such socket.
    pub fn ready(&mut self, id: Id, events: u32) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.closed(id, events);
        };
        stream.ready(events);
        self.list(id);
        true
    }

    /// Schedule the streams whose timers are due.
    pub fn time_out(&mut self, now: Micros) {
        while let Some((at, id)) = self.timers.due(now) {
            if let Some(stream) = self.streams.get_mut(&id)
                && stream.timer == Some(at)
            {
                stream.timer = None;
                self.list(id);
            }
        }
        self.time_wait.expire(now);
    }

    /// When something is to be done: now if streams are scheduled.
    #[must_use]
    pub fn next(&self, now: Micros) -> Option<Micros> {
        if !self.listed.is_empty() {
            return Some(now);
        }
        self.timers.next()
    }

    /// The queue to the plane has room again.
    pub fn resume(&mut self) {
        for id in std::mem::take(&mut self.refused) {
            self.list(id);
        }
    }

    fn list(&mut self, id: Id) {
        if let Some(stream) = self.streams.get_mut(&id)
            && !stream.is_listed
        {
            stream.is_listed = true;
            self.listed.push_back(id);
        }
    }

    /// Process at most `limit` scheduled streams, each once.
    pub fn process(&mut self, net: &mut Net, limit: usize) {
        for _ in 0..limit.min(self.listed.len()) {
            let Some(id) = self.listed.pop_front() else {
                return;
            };
            self.process_one(net, id);
        }
    }

    fn process_one(&mut self, net: &mut Net, id: Id) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.is_listed = false;
        let was_orphan = matches!(stream.phase, Phase::Orphan);
        net.link.is_refused = false;
        let mut has_more = stream.process(net);
        let outcome = stream.outcome(net.now);
        let is_orphan = matches!(stream.phase, Phase::Orphan);
        if let Some(end) = stream.is_full_first() {
            // This fails only if the end is not watched any more, and then the stream is over.
            let _ = net.epoll.watch_stream(end, id);
        }
        if net.link.is_refused {
            self.refused.push(id);
            has_more = false;
        }
        match outcome {
            Outcome::Lives => {
                if has_more {
                    self.list(id);
                } else if let Some(at) = stream.next(net) {
                    self.timers.set(id, &mut stream.timer, at);
                }
            }
            Outcome::Established => self.established(net, id),
            Outcome::Failed(errno) => self.failed(net, id, errno),
            Outcome::Done => self.done(net, id),
            Outcome::Broken => {
                // It may be broken by a timeout alone: reset the other side.
                stream.abort();
                stream.process(net);
                let is_ended = stream.is_ended();
                let phase = self.remove(net, id).map(|(_, phase)| phase);
                // What the program was given before, and the end, it reads all the same: Linux's tcp_recvmsg
                // looks at SOCK_DONE before the error.
                if let (true, Some(Phase::Open(end))) = (is_ended, phase) {
                    end.close();
                }
            }
        }
        if is_orphan && !was_orphan {
            let is_scarce = !net.memory.has_room(FLOOR);
            let lives = |id| self.streams.contains_key(&id);
            if let Some(oldest) = self.orphans.add(id, is_scarce, lives) {
                net.counts.add(Reason::Orphan);
                self.abort(oldest);
            }
        }
    }

    fn done(&mut self, net: &mut Net, id: Id) {
        let Some((flow, phase)) = self.remove(net, id) else {
            return;
        };
        self.time_wait.add(net.now, flow);
        if let Phase::Open(end) = phase {
            end.close();
        }
    }

    fn remove(&mut self, net: &mut Net, id: Id) -> Option<(Flow, Phase)> {
        let stream = self.streams.remove(&id)?;
        let flow = stream.flow;
        self.flows.remove(&flow);
        let phase = stream.into_phase(net);
        if let Phase::Incoming(listener) = phase {
            self.listeners.remove_half_open(listener, id);
        }
        Some((flow, phase))
    }
}
