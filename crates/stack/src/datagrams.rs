//! UDP: a socket of the program is one end of a socket pair with messages.
//!
//! Each message has the other side's address before its payload, in both directions: the port, then an IPv6
//! address (IPv4 is mapped). A shorter message for the program is an errno.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use holloway_packet::offload::VNET_HEADER;
use holloway_packet::transport::UDP_HEADER;

use crate::addresses::loopback;
use crate::counts::Reason;
use crate::echo::Unreachable;
use crate::events::Id;
use crate::fragments::fragment;
use crate::local::{Bound, Local};
use crate::net::Net;
use crate::packet::{Flow, complete_udp, ip_header, write_udp};
use crate::ports;
use crate::socket_pair::DatagramEnd;

/// The length of the address before a payload.
pub const NAME: usize = 18;

/// How many datagrams a socket sends before it is another socket's turn.
const TURN: usize = 64;
const MAX_DATAGRAM: usize = 65_535;

#[derive(Debug)]
struct Socket {
    end: DatagramEnd,
    local: Option<Local>,
    remote: Option<SocketAddr>,
    is_listed: bool,
    is_gone: bool,
}

/// All UDP sockets.
#[derive(Debug)]
pub struct Datagrams {
    sockets: HashMap<Id, Socket>,
    connected: HashMap<Flow, Id>,
    /// The sockets that are bound and not connected, by port.
    bound: HashMap<u16, Vec<Id>>,
    listed: VecDeque<Id>,
    refused: Vec<Id>,
    message: Box<[u8]>,
}

impl Default for Datagrams {
    fn default() -> Self {
        Self {
            sockets: HashMap::new(),
            connected: HashMap::new(),
            bound: HashMap::new(),
            listed: VecDeque::new(),
            refused: Vec::new(),
            message: vec![0; NAME + MAX_DATAGRAM].into(),
        }
    }
}

impl Datagrams {
    /// Take a new socket of the program.
    pub fn open(&mut self, net: &Net, id: Id, end: DatagramEnd) {
        if net.epoll.add_reading(end.as_raw_fd(), id).is_ok() {
            let socket = Socket {
                end,
                local: None,
                remote: None,
                is_listed: false,
                is_gone: false,
            };
            self.sockets.insert(id, socket);
        }
    }

    /// Bind a socket. None if there is no such socket.
    pub fn bind(&mut self, net: &Net, id: Id, wanted: Local) -> Option<Result<SocketAddr, i32>> {
        if self.sockets.get(&id)?.local.is_some() {
            return Some(Err(libc::EINVAL));
        }
        let local = match self.claim(net, wanted) {
            Ok(local) => local,
            Err(errno) => return Some(Err(errno)),
        };
        self.bound.entry(local.address.port()).or_default().push(id);
        self.sockets.get_mut(&id)?.local = Some(local);
        Some(Ok(local.address))
    }

    /// The address of a socket. None if there is no such socket, or it is not bound.
    #[must_use]
    pub fn name(&self, id: Id) -> Option<SocketAddr> {
        Some(self.sockets.get(&id)?.local?.address)
    }

    /// Connect a socket. None if there is no such socket.
    pub fn associate(
        &mut self,
        net: &Net,
        id: Id,
        remote: SocketAddr,
    ) -> Option<Result<SocketAddr, i32>> {
        let socket = self.sockets.get(&id)?;
        let remote = specified(remote);
        let local = socket.local.map(|local| local.address);
        let flow = match self.choose(net, local, remote) {
            Ok(flow) => flow,
            Err(errno) => return Some(Err(errno)),
        };
        self.unlink(id);
        self.connected.insert(flow, id);
        let socket = self.sockets.get_mut(&id)?;
        socket.remote = Some(flow.remote);
        socket.local = Some(Local {
            address: flow.local,
            is_dual: false,
        });
        Some(Ok(flow.local))
    }

    fn choose(
        &self,
        net: &Net,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> Result<Flow, i32> {
        let addresses = net.link.addresses();
        let wanted = local.map(|local| local.ip());
        let source = match wanted.filter(|ip| !ip.is_unspecified()) {
            Some(ip) => ip,
            None => addresses.toward(remote.ip()).ok_or(libc::ENETUNREACH)?,
        };
        if remote.is_ipv4() != source.is_ipv4() || !addresses.reaches(source, remote.ip()) {
            return Err(libc::EINVAL);
        }
        let flow = |port| Flow {
            local: SocketAddr::new(source, port),
            remote,
        };
        let is_free = |port| !self.connected.contains_key(&flow(port));
        let port = match local.map_or(0, |local| local.port()) {
            0 => ports::choose(is_free),
            port => is_free(port).then_some(port),
        };
        port.map(flow).ok_or(libc::EADDRINUSE)
    }

    /// Deliver a datagram. False if no socket has its port.
    pub fn receive(&mut self, net: &Net, flow: Flow, payload: &[u8]) -> bool {
        let id = self.connected.get(&flow).copied();
        let id = id.or_else(|| self.find(flow.local));
        let Some(socket) = id.and_then(|id| self.sockets.get(&id)) else {
            return false;
        };
        if socket.end.write(&name(flow.remote), payload).is_err() {
            net.counts.add(Reason::NotRead);
        }
        true
    }

    /// The socket of a datagram: one for exactly the address before one for all.
    fn find(&self, local: SocketAddr) -> Option<Id> {
        let bound = self.bound.get(&local.port())?.iter();
        let bound = bound.filter_map(|&id| Some((id, self.sockets.get(&id)?.local?)));
        let fitting = bound.filter(|(_, own)| own.covers(local.ip()));
        let best = fitting.min_by_key(|(_, own)| own.address.ip().is_unspecified())?;
        Some(best.0)
    }

    /// Report an ICMP error to the socket that is connected to what was not reached.
    pub fn unreachable(&self, error: &Unreachable) {
        let id = self.connected.get(&error.flow);
        if let Some(socket) = id.and_then(|id| self.sockets.get(id)) {
            // Where it has no room, the program has enough to read.
            let _ = socket.end.write(&error.errno.to_ne_bytes(), &[]);
        }
    }

    /// Record that the program's end of a socket is ready. False if there is no such socket.
    pub fn ready(&mut self, id: Id, events: u32) -> bool {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return false;
        };
        socket.is_gone |= events & libc::EPOLLHUP.cast_unsigned() != 0;
        self.list(id);
        true
    }

    fn list(&mut self, id: Id) {
        if let Some(socket) = self.sockets.get_mut(&id)
            && !socket.is_listed
        {
            socket.is_listed = true;
            self.listed.push_back(id);
        }
    }

    /// The queue to the plane has room again.
    pub fn resume(&mut self) {
        for id in std::mem::take(&mut self.refused) {
            self.list(id);
        }
    }

    /// Whether sockets have something to send.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.listed.is_empty()
    }

    /// Send what the program has written.
    pub fn process(&mut self, net: &mut Net) {
        for _ in 0..self.listed.len() {
            let Some(id) = self.listed.pop_front() else {
                return;
            };
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.is_listed = false;
            }
            match self.send(net, id) {
                Sent::All => {}
                Sent::Some => self.list(id),
                Sent::Refused => self.refused.push(id),
                Sent::Gone => self.close(id),
            }
        }
    }

    fn send(&mut self, net: &mut Net, id: Id) -> Sent {
        let Some(socket) = self.sockets.get(&id) else {
            return Sent::All;
        };
        for _ in 0..TURN {
            if !net.link.has_room(VNET_HEADER + MAX_DATAGRAM) {
                return Sent::Refused;
            }
            match socket.end.read(&mut self.message) {
                Ok(0) if socket.is_gone => return Sent::Gone,
                Ok(length) => transmit(net, socket, &self.message[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Sent::All,
                Err(_) => return Sent::Gone,
            }
        }
        Sent::Some
    }

    /// Close all sockets.
    pub fn close_all(&mut self) {
        self.sockets.clear();
        self.connected.clear();
        self.bound.clear();
    }

    fn close(&mut self, id: Id) {
        self.unlink(id);
        self.sockets.remove(&id);
    }

    /// Let a socket receive nothing more.
    fn unlink(&mut self, id: Id) {
        let Some((local, remote)) = self
            .sockets
            .get(&id)
            .and_then(|socket| Some((socket.local?.address, socket.remote)))
        else {
            return;
        };
        if let Some(remote) = remote {
            self.connected.remove(&Flow { local, remote });
        } else if let Some(bound) = self.bound.get_mut(&local.port()) {
            bound.retain(|&other| other != id);
            if bound.is_empty() {
                self.bound.remove(&local.port());
            }
        }
    }
}

enum Sent {
    All,
    Some,
    Refused,
    Gone,
}

/// Send one message of the program.
fn transmit(net: &mut Net, socket: &Socket, message: &[u8]) {
    let flow = named(message).and_then(|(remote, payload)| {
        let (remote, addresses) = (specified(remote), net.link.addresses());
        let own = socket.local?.address;
        let source = match own.ip() {
            ip if ip.is_unspecified() => addresses.toward(remote.ip())?,
            ip => ip,
        };
        let local = SocketAddr::new(source, own.port());
        let is_family = source.is_ipv4() == remote.is_ipv4();
        let fits = is_family && remote.port() != 0 && addresses.reaches(source, remote.ip());
        let length = ip_header(source.is_ipv4()) + UDP_HEADER + payload.len();
        (fits && length <= MAX_DATAGRAM).then_some((Flow { local, remote }, payload, length))
    });
    match flow {
        Some((flow, payload, length)) if length > net.link.mtu() => {
            let mut whole = Vec::with_capacity(VNET_HEADER + length);
            write_udp(&mut whole, &flow, payload);
            complete_udp(&mut whole);
            let (mtu, id) = (net.link.mtu(), net.next_id() as u32);
            fragment(&whole[VNET_HEADER..], mtu, id, |part| {
                net.link
                    .send(part.len(), |out| out.extend_from_slice(&part));
            });
        }
        Some((flow, payload, length)) => net.link.send(VNET_HEADER + length, |out| {
            write_udp(out, &flow, payload);
        }),
        None => net.counts.add(Reason::BadDatagram),
    }
}

/// Encode the address before a payload.
#[must_use]
pub fn name(address: SocketAddr) -> [u8; NAME] {
    let mut name = [0; NAME];
    let ip = match address.ip() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    name[..2].copy_from_slice(&address.port().to_be_bytes());
    name[2..].copy_from_slice(&ip.octets());
    name
}

fn named(message: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (port, rest) = message.split_first_chunk::<2>()?;
    let (address, payload) = rest.split_first_chunk::<16>()?;
    let address = Ipv6Addr::from(*address).to_canonical();
    let port = u16::from_be_bytes(*port);
    Some((SocketAddr::new(address, port), payload))
}

/// As a destination, an unspecified address is this host, as on Linux.
#[must_use]
pub fn specified(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        return SocketAddr::new(loopback(address.is_ipv4()), address.port());
    }
    address
}

impl Bound for Datagrams {
    fn is_free(&self, local: &Local) -> bool {
        let others = self.bound.get(&local.address.port()).into_iter().flatten();
        let mut others = others.filter_map(|id| self.sockets.get(id)?.local);
        !others.any(|other| other.overlaps(local))
    }

    fn forget_closed(&mut self, port: u16) {
        for id in self.bound.get(&port).cloned().unwrap_or_default() {
            if self
                .sockets
                .get(&id)
                .is_some_and(|socket| socket.end.is_gone())
            {
                self.close(id);
            }
        }
    }
}
