//! The event loop: packets from the plane, readiness of the program's sockets, requests and timers.
//!
//! It waits without a timeout unless a timer runs, so an idle stack causes no wake-ups. Each turn takes
//! all input, then processes each affected stream once.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

use holloway_packet::ip;
use holloway_packet::offload::VNET_HEADER;
use holloway_packet::transport::{ICMP, ICMPV6, TCP, UDP};
use holloway_poll::Epoll;

use crate::counts::Reason;
use crate::datagrams::Datagrams;
use crate::echo::Echo;
use crate::events::Id;
use crate::fragments::Fragments;
use crate::net::{Net, Settings};
use crate::packet::{Arrival, Flow, is_fragment};
use crate::segment::Segment;
use crate::shared::{Answer, Request, Shared};
use crate::streams::Streams;
use crate::timers::Micros;

/// How many packets a turn takes.
const PACKETS: usize = 128;
/// How many ready sockets a turn takes.
const READY: usize = 64;
/// The link endpoint's token in the epoll set.
const ENDPOINT: Id = 0;

/// The stack without its thread.
pub struct Engine {
    net: Net,
    streams: Streams,
    datagrams: Datagrams,
    echo: Echo,
    fragments: Fragments,
    shared: Arc<Shared>,
    arrived: VecDeque<Vec<u8>>,
    began: Instant,
}

impl Engine {
    /// Create an engine.
    pub fn new(shared: Arc<Shared>, settings: &Settings) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(shared.endpoint.as_raw_fd(), ENDPOINT)?;
        let net = Net::new(shared.clone(), settings, epoll);
        Ok(Self {
            net,
            streams: Streams::new(settings.buffer),
            datagrams: Datagrams::default(),
            echo: Echo::default(),
            fragments: Fragments::default(),
            shared,
            arrived: VecDeque::new(),
            began: Instant::now(),
        })
    }

    /// The number of streams.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Run until asked to close (Ok), or until the interface is gone: then return the errno.
    pub fn run(&mut self) -> Result<(), i32> {
        loop {
            let wait = self.timeout();
            let going = self.turn(wait);
            if !going.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))? {
                return Ok(());
            }
        }
    }

    /// The timeout until the next timer, in milliseconds; -1 without a timer.
    fn timeout(&self) -> i32 {
        if self.datagrams.is_busy() || self.net.link.has_looped() {
            return 0;
        }
        let now = self.now();
        match self.streams.next(now) {
            None => -1,
            Some(at) => {
                let milliseconds = (at - now).max(0).unsigned_abs().div_ceil(1000);
                i32::try_from(milliseconds).unwrap_or(i32::MAX)
            }
        }
    }

    fn now(&self) -> Micros {
        self.began.elapsed().as_micros() as Micros
    }

    /// Wait for at most `milliseconds`, and process all input. False if asked to close.
    pub fn turn(&mut self, milliseconds: i32) -> io::Result<bool> {
        let now = self.now();
        self.turn_at(
            milliseconds,
            |began| began.elapsed().as_micros() as Micros,
            now,
        )
    }

    /// The same with another clock, for tests.
    pub fn turn_at(
        &mut self,
        milliseconds: i32,
        clock: impl FnOnce(&Instant) -> Micros,
        before: Micros,
    ) -> io::Result<bool> {
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; READY];
        let ready = self.net.epoll.wait_for(&mut ready, milliseconds)?;
        self.net.now = clock(&self.began).max(before);
        let mut is_woken = false;
        for event in ready {
            let (id, events) = (event.u64, event.events);
            is_woken |= id == ENDPOINT;
            if !self.streams.ready(id, events) {
                self.datagrams.ready(id, events);
            }
        }
        if is_woken && !self.woken()? {
            return Ok(false);
        }
        self.loop_back();
        self.streams.time_out(self.net.now);
        self.streams.process(&mut self.net, usize::MAX);
        self.datagrams.process(&mut self.net);
        Ok(true)
    }

    /// Handle packets, requests, and room in the queue to the plane.
    fn woken(&mut self) -> io::Result<bool> {
        let is_open = self.shared.endpoint.receive(&mut self.arrived, PACKETS);
        while let Some(packet) = self.arrived.pop_front() {
            self.receive(packet);
        }
        if !is_open {
            return Err(io::Error::from_raw_os_error(libc::EBADFD));
        }
        self.streams.resume();
        self.datagrams.resume();
        let requests = self.shared.requests.take();
        Ok(requests.into_iter().all(|request| self.take(request)))
    }

    /// Receive the packets to our own addresses.
    fn loop_back(&mut self) {
        for _ in 0..PACKETS {
            match self.net.link.take_looped() {
                Some(packet) => self.take_in(packet),
                None => return,
            }
        }
    }

    fn take(&mut self, request: Request) -> bool {
        let net = &mut self.net;
        match request {
            Request::Stream(id, end) => self.streams.open(net, id, end),
            Request::Datagrams(id, end) => self.datagrams.open(net, id, end),
            Request::Bind(id, local, answer) => {
                let bound = self.streams.bind(net, id, local);
                let bound = bound.or_else(|| self.datagrams.bind(net, id, local));
                respond(&answer, bound);
            }
            Request::Name(id, answer) => {
                let name = self.streams.name(id).or_else(|| self.datagrams.name(id));
                respond(&answer, name.map(Ok));
            }
            Request::Connect(id, remote, timeout, attempt) => {
                let deadline = net.now + timeout;
                self.streams.connect(net, id, remote, deadline, attempt);
            }
            Request::Associate(id, remote, answer) => {
                respond(&answer, self.datagrams.associate(net, id, remote));
            }
            Request::Listen(id, backlog, answer) => {
                respond(&answer, self.streams.listen(id, backlog));
            }
            Request::Echo(id, to) => self.echo.request(net, id, to),
            Request::Cancel(id) => self.echo.cancel(id),
            Request::Close => return false,
        }
        true
    }

    /// Receive a packet from the plane, with its vnet_hdr.
    pub fn receive(&mut self, packet: Vec<u8>) {
        // Nobody else may speak with what listens on a loopback address.
        let inner = packet.get(VNET_HEADER..).unwrap_or_default();
        let ends = [ip::source(inner), ip::destination(inner)];
        if ends.into_iter().flatten().any(|ip| ip.is_loopback()) {
            self.net.counts.add(Reason::NotOurs);
            self.net.link.recycle(packet);
        } else {
            self.take_in(packet);
        }
    }

    fn take_in(&mut self, packet: Vec<u8>) {
        match self.dispatch(&packet) {
            Ok(Some((segment, flow))) => self.streams.receive(&mut self.net, packet, segment, flow),
            Ok(None) => self.net.link.recycle(packet),
            Err(reason) => {
                self.net.counts.add(reason);
                self.net.link.recycle(packet);
            }
        }
    }

    /// Handle a packet, except TCP, whose segment and flow are returned.
    fn dispatch(&mut self, packet: &[u8]) -> Result<Option<(Segment, Flow)>, Reason> {
        let inner = packet.get(VNET_HEADER..).unwrap_or_default();
        if is_fragment(inner) {
            if let Some(whole) = self.fragments.receive(self.net.now, inner)? {
                self.take_in(whole);
            }
            return Ok(None);
        }
        let arrival = Arrival::parse_untrusted(packet)?;
        if !self.net.link.addresses().contains(arrival.destination) {
            return Err(Reason::NotOurs);
        }
        if !arrival.is_sound() {
            return Err(Reason::Checksum);
        }
        match arrival.protocol {
            TCP => {
                let segment = arrival.segment().ok_or(Reason::Malformed)?;
                let flow = arrival.flow().ok_or(Reason::Malformed)?;
                return Ok(Some((segment, flow)));
            }
            UDP => {
                let flow = arrival.flow().ok_or(Reason::Malformed)?;
                let payload = arrival.datagram().ok_or(Reason::Malformed)?;
                if !self.datagrams.receive(&self.net, flow, payload) {
                    self.echo.port_unreachable(&mut self.net, &arrival);
                }
            }
            ICMP | ICMPV6 => {
                if let Some(error) = self.echo.receive(&mut self.net, &arrival) {
                    match error.sequence {
                        Some(sequence) => self.streams.unreachable(&mut self.net, &error, sequence),
                        None => self.datagrams.unreachable(&error),
                    }
                }
            }
            _ => return Err(Reason::NoPort),
        }
        Ok(None)
    }

    /// Reset all streams and close all ports. True once all resets are sent to the plane.
    pub fn close(&mut self) -> bool {
        self.datagrams.close_all();
        self.streams.abort_all(&mut self.net)
    }
}

/// Answer a request; without a result there is no such socket.
fn respond(answer: &Answer, result: Option<Result<SocketAddr, i32>>) {
    // The owner waits for it, so it cannot have gone.
    let _ = answer.send(result.unwrap_or(Err(libc::EBADF)));
}
