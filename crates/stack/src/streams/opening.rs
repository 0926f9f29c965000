//! How streams begin for the program: its sockets until they are connected or listen.

use std::io;
use std::mem::replace;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use super::Streams;
use crate::attempt::Attempt;
use crate::counts::Reason;
use crate::datagrams::specified;
use crate::events::Id;
use crate::local::{Bound, Local};
use crate::net::Net;
use crate::packet::Flow;
use crate::ports;
use crate::socket_pair::StreamEnd;
use crate::stream::{Connecting, Phase, Stream};
use crate::timers::Micros;
use crate::unconnected::Socket;

impl Streams {
    /// Take a new socket of the program.
    pub fn open(&mut self, net: &Net, id: Id, end: StreamEnd) {
        if net.epoll.add_reading(end.as_raw_fd(), id).is_ok() {
            self.unconnected.add(id, Socket { end, local: None });
        }
    }

    /// Bind a socket. None if there is no such socket, or it is connected.
    pub fn bind(&mut self, net: &Net, id: Id, wanted: Local) -> Option<Result<SocketAddr, i32>> {
        if self.unconnected.get(id)?.local.is_some() {
            return Some(Err(libc::EINVAL));
        }
        let local = match self.claim(net, wanted) {
            Ok(local) => local,
            Err(errno) => return Some(Err(errno)),
        };
        self.unconnected.get(id)?.local = Some(local);
        Some(Ok(local.address))
    }

    /// The local address of a socket. None if there is none.
    pub fn name(&mut self, id: Id) -> Option<SocketAddr> {
        if let Some(stream) = self.streams.get(&id) {
            return Some(stream.flow.local);
        }
        if let Some(listener) = self.listeners.get(id) {
            return Some(listener.local.address);
        }
        Some(self.unconnected.get(id)?.local?.address)
    }

    /// Listen with a bound socket, or change how many connections may wait. None if it is not bound.
    pub fn listen(&mut self, id: Id, backlog: usize) -> Option<Result<SocketAddr, i32>> {
        if let Some(listener) = self.listeners.get(id) {
            listener.set_backlog(backlog);
            return Some(Ok(listener.local.address));
        }
        let local = self.unconnected.get(id)?.local?;
        let socket = self.unconnected.take(id)?;
        self.listeners.add(id, local, socket.end, backlog);
        Some(Ok(local.address))
    }

    /// Connect a socket. `attempt` gets the outcome.
    pub fn connect(
        &mut self,
        net: &mut Net,
        id: Id,
        remote: SocketAddr,
        deadline: Micros,
        attempt: Arc<Attempt>,
    ) {
        let Some(Socket { end, local: bound }) = self.unconnected.take(id) else {
            return attempt.end(Err(libc::EBADF));
        };
        let connecting = Connecting {
            end,
            bound,
            attempt: attempt.clone(),
        };
        match self.flow(net, bound, specified(remote)) {
            Err(errno) => self.refuse(id, connecting, errno),
            Ok(_) if self.streams.len() >= net.memory.max_streams() => {
                self.refuse(id, connecting, libc::ENOBUFS);
            }
            Ok(flow) => match Stream::connect(net, flow, connecting, self.buffer, deadline) {
                Ok(stream) => self.add(id, stream),
                Err(error) => attempt.end(Err(error.raw_os_error().unwrap_or(libc::EIO))),
            },
        }
    }

    /// End an attempt to connect; the program may try again with the same socket.
    fn refuse(&mut self, id: Id, connecting: Connecting, errno: i32) {
        let Connecting {
            end,
            bound,
            attempt,
        } = connecting;
        attempt.end(Err(errno));
        end.release();
        self.unconnected.add(id, Socket { end, local: bound });
    }

    fn flow(&self, net: &Net, bound: Option<Local>, remote: SocketAddr) -> Result<Flow, i32> {
        let addresses = net.link.addresses();
        if remote.ip().is_multicast() {
            return Err(libc::ENETUNREACH);
        }
        if remote.port() == 0 {
            return Err(libc::ECONNREFUSED); // nobody listens there
        }
        let wanted = bound.map(|local| local.address.ip());
        let wanted = wanted.filter(|ip| !ip.is_unspecified());
        let source = wanted.or_else(|| addresses.toward(remote.ip()));
        let source = source.ok_or(libc::ENETUNREACH)?;
        if source.is_ipv4() != remote.is_ipv4() || !addresses.reaches(source, remote.ip()) {
            return Err(libc::EINVAL);
        }
        let flow = |port| Flow {
            local: SocketAddr::new(source, port),
            remote,
        };
        let port = match bound.map_or(0, |local| local.address.port()) {
            0 => {
                let is_free = |port| {
                    let flow = flow(port);
                    let local = Local {
                        address: flow.local,
                        is_dual: false,
                    };
                    !self.flows.contains_key(&flow)
                        && !self.time_wait.contains(&flow)
                        && self.is_free(&local)
                };
                ports::choose(is_free).ok_or(libc::EADDRNOTAVAIL)?
            }
            port if self.flows.contains_key(&flow(port)) => return Err(libc::EADDRINUSE),
            port => port,
        };
        Ok(flow(port))
    }

    /// Note that the program may have closed a socket that is not connected. False if there is no such socket.
    pub(super) fn closed(&mut self, id: Id, events: u32) -> bool {
        let is_gone = events & libc::EPOLLHUP.cast_unsigned() != 0;
        if self.listeners.get(id).is_some() {
            if is_gone {
                self.remove_listener(id);
            }
            return true;
        }
        let is_known = self.unconnected.get(id).is_some();
        if is_gone {
            self.unconnected.take(id);
        }
        is_known
    }

    fn remove_listener(&mut self, id: Id) {
        for half_open in self.listeners.remove(id).into_iter().flatten() {
            self.abort(half_open);
        }
    }

    /// An attempt to connect has failed. The program may have closed the socket just after the handshake: then
    /// the other side has a connection, which is reset.
    pub(super) fn failed(&mut self, net: &mut Net, id: Id, errno: i32) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.is_established()
        {
            stream.abort();
            stream.process(net);
        }
        if let Some((_, Phase::Connecting(connecting))) = self.remove(net, id) {
            self.refuse(id, connecting, errno);
        }
    }

    /// The handshake of a stream is done: give it to the program.
    pub(super) fn established(&mut self, net: &mut Net, id: Id) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let flow = stream.flow;
        if matches!(stream.phase, Phase::Connecting(_)) {
            // The other side gets its acknowledgement before the program can close the stack.
            stream.process(net);
        }
        let end = match replace(&mut stream.phase, Phase::Orphan) {
            Phase::Connecting(connecting) => {
                connecting.end.grow(None);
                connecting.attempt.end(Ok(flow.local));
                connecting.end.release();
                Ok(connecting.end)
            }
            Phase::Incoming(listener) => {
                self.listeners.remove_half_open(listener, id);
                match self.listeners.get(listener) {
                    Some(listener) => listener.offer(net, id, &flow),
                    None => Err(io::Error::from_raw_os_error(libc::ECONNABORTED)),
                }
            }
            Phase::Open(end) => Ok(end),
            Phase::Orphan => return,
        };
        match end {
            Ok(end) => {
                stream.open(end);
                self.list(id);
            }
            Err(_) => {
                net.counts.add(Reason::NoResources);
                stream.abort();
                stream.process(net);
                self.remove(net, id);
            }
        }
    }
}

impl Bound for Streams {
    fn is_free(&self, local: &Local) -> bool {
        !self.listeners.has(local) && !self.unconnected.has(local)
    }

    fn forget_closed(&mut self, _: u16) {
        self.unconnected.forget_closed();
        while let Some(id) = self.listeners.closed() {
            self.remove_listener(id);
        }
    }
}
