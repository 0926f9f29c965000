//! UDP: a port of the program is one end of a socket pair with messages.
//!
//! The messages of a connected port are payloads. Those of an unconnected port have the other side's
//! address before each payload, in both directions: the port, then an IPv6 address (IPv4 is mapped).

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use holloway_packet::offload::VNET_HEADER;
use holloway_packet::transport::UDP_HEADER;

use crate::counts::Reason;
use crate::events::{Event, Id};
use crate::fragments::fragment;
use crate::net::Net;
use crate::packet::{Flow, complete_udp, ip_header, write_udp};
use crate::ports;
use crate::socket_pair::DatagramEnd;

/// The length of the address before a payload.
pub const NAME: usize = 18;

/// How many datagrams a port sends before it is another port's turn.
const TURN: usize = 64;
const MAX_DATAGRAM: usize = 65_535;

#[derive(Debug)]
struct Socket {
    end: DatagramEnd,
    local: SocketAddr,
    remote: Option<SocketAddr>,
    is_listed: bool,
    is_gone: bool,
}

/// All UDP ports.
#[derive(Debug)]
pub struct Datagrams {
    sockets: HashMap<Id, Socket>,
    connected: HashMap<Flow, Id>,
    bound: HashMap<SocketAddr, Id>,
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
    /// Open a port: connected to `remote`, or unconnected. The local address may be unspecified, the port 0.
    pub fn open(
        &mut self,
        net: &mut Net,
        id: Id,
        local: Option<SocketAddr>,
        remote: Option<SocketAddr>,
    ) {
        let opened = self.choose(net, local, remote).and_then(|local| {
            let pair = DatagramEnd::pair(net.pair_buffer);
            let (end, theirs) = pair.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))?;
            let added = net.epoll.add_stream(end.as_raw_fd(), id);
            added.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))?;
            Ok((local, end, theirs))
        });
        match opened {
            Err(errno) => net.events.push(Event::Failed(id, errno)),
            Ok((local, end, theirs)) => {
                match remote {
                    Some(remote) => self.connected.insert(Flow { local, remote }, id),
                    None => self.bound.insert(local, id),
                };
                let socket = Socket {
                    end,
                    local,
                    remote,
                    is_listed: false,
                    is_gone: false,
                };
                self.sockets.insert(id, socket);
                net.events.push(Event::Opened(id, Some(theirs), local));
            }
        }
    }

    fn choose(
        &self,
        net: &Net,
        local: Option<SocketAddr>,
        remote: Option<SocketAddr>,
    ) -> Result<SocketAddr, i32> {
        let addresses = net.link.addresses();
        let wanted = local.map(|local| local.ip());
        let ip = match (wanted.filter(|ip| !ip.is_unspecified()), remote) {
            (Some(ip), _) if !addresses.contains(ip) => return Err(libc::EADDRNOTAVAIL),
            (Some(ip), _) => ip,
            (None, Some(remote)) => addresses.toward(remote.ip()).ok_or(libc::ENETUNREACH)?,
            (None, None) => wanted.ok_or(libc::EINVAL)?,
        };
        if remote.is_some_and(|remote| remote.port() == 0 || remote.is_ipv4() != ip.is_ipv4()) {
            return Err(libc::EINVAL);
        }
        let is_free = |port: u16| {
            let local = SocketAddr::new(ip, port);
            match remote {
                Some(remote) => !self.connected.contains_key(&Flow { local, remote }),
                None => !self.bound.contains_key(&local),
            }
        };
        match local.map_or(0, |local| local.port()) {
            0 => {
                let port = ports::choose(is_free).ok_or(libc::EADDRINUSE)?;
                Ok(SocketAddr::new(ip, port))
            }
            port if is_free(port) => Ok(SocketAddr::new(ip, port)),
            _ => Err(libc::EADDRINUSE),
        }
    }

    /// Deliver a datagram. False if no socket has its port.
    pub fn receive(&mut self, net: &Net, flow: Flow, payload: &[u8]) -> bool {
        let everywhere = SocketAddr::new(
            crate::addresses::unspecified(flow.local.is_ipv4()),
            flow.local.port(),
        );
        let bound = |local| self.bound.get(local);
        let id = self.connected.get(&flow);
        let id = id.or_else(|| bound(&flow.local).or_else(|| bound(&everywhere)));
        let Some(socket) = id.and_then(|id| self.sockets.get(id)) else {
            return false;
        };
        let name = name(flow.remote);
        let head = if socket.remote.is_some() {
            &[][..]
        } else {
            &name
        };
        if socket.end.write(head, payload).is_err() {
            net.counts.add(Reason::NotRead);
        }
        true
    }

    /// Record that the program's end of a port is ready. False if there is no such port.
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

    /// Whether ports have something to send.
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

    /// Close all ports.
    pub fn close_all(&mut self) {
        self.sockets.clear();
        self.connected.clear();
        self.bound.clear();
    }

    fn close(&mut self, id: Id) {
        let Some(socket) = self.sockets.remove(&id) else {
            return;
        };
        let local = socket.local;
        match socket.remote {
            Some(remote) => self.connected.remove(&Flow { local, remote }),
            None => self.bound.remove(&local),
        };
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
    let addressed = match socket.remote {
        Some(remote) => Some((remote, message)),
        None => named(message),
    };
    let flow = addressed.and_then(|(remote, payload)| {
        let source = match socket.local.ip() {
            ip if ip.is_unspecified() => net.link.addresses().toward(remote.ip())?,
            ip => ip,
        };
        let local = SocketAddr::new(source, socket.local.port());
        let fits = source.is_ipv4() == remote.is_ipv4() && remote.port() != 0;
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
