//! ICMP: echo requests and replies, and errors about packets of ours.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use holloway_packet::ip;
use holloway_packet::offload::VNET_HEADER;
use holloway_packet::transport::{ICMP, ICMPV6, TCP, Transport, UDP};

use crate::counts::Reason;
use crate::events::{Event, Id};
use crate::net::Net;
use crate::packet::{Arrival, Flow, ip_header, port_pair, write_icmp};
use crate::ports::random;
use crate::timers::{Micros, SECOND};

/// The payload length of an echo request, like that of `ping`.
const PAYLOAD: usize = 56;
/// How many port unreachable messages are sent per second.
const MAX_UNREACHABLE: u32 = 100;
/// How many bytes of a packet an error quotes.
const QUOTED: usize = 512;

/// The pending echo requests, and the rate limit of errors.
#[derive(Debug)]
pub struct Echo {
    identifier: u16,
    sequence: u16,
    awaited: HashMap<u16, Awaited>,
    unreachable_sent: u32,
    since: Micros,
}

#[derive(Debug)]
struct Awaited {
    id: Id,
    from: IpAddr,
    sent: std::time::Instant,
}

/// An error about a segment or a datagram of ours.
#[derive(Clone, Copy, Debug)]
pub struct Unreachable {
    /// The addresses of its connection.
    pub flow: Flow,
    /// A segment's sequence number, which shows that the sender of the error has seen it (RFC 5927, 4.1).
    pub sequence: Option<u32>,
    /// The error.
    pub errno: i32,
}

impl Default for Echo {
    fn default() -> Self {
        Self {
            identifier: random() as u16,
            sequence: 0,
            awaited: HashMap::new(),
            unreachable_sent: 0,
            since: 0,
        }
    }
}

impl Echo {
    /// Send an echo request. The reply or a failure is an event.
    pub fn request(&mut self, net: &mut Net, id: Id, to: IpAddr) {
        let Some(source) = net.link.addresses().toward(to) else {
            net.events.push(Event::Failed(id, libc::ENETUNREACH));
            return;
        };
        self.sequence = self.sequence.wrapping_add(1);
        let mut rest = [0; 4 + PAYLOAD];
        rest[..2].copy_from_slice(&self.identifier.to_be_bytes());
        rest[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        let kind = if to.is_ipv4() { [8, 0] } else { [128, 0] };
        let awaited = Awaited {
            id,
            from: to,
            sent: std::time::Instant::now(),
        };
        self.awaited.insert(self.sequence, awaited);
        send(net, source, to, kind, &rest);
    }

    /// Stop waiting for a reply.
    pub fn cancel(&mut self, id: Id) {
        self.awaited.retain(|_, awaited| awaited.id != id);
    }

    /// Receive an ICMP message. Returns an error about a connection or a datagram.
    pub fn receive(&mut self, net: &mut Net, arrival: &Arrival<'_>) -> Option<Unreachable> {
        let [kind, code, _, _, rest @ ..] = arrival.body else {
            net.counts.add(Reason::Malformed);
            return None;
        };
        match (arrival.protocol, kind) {
            (ICMP, 8) | (ICMPV6, 128) => {
                let kind = if arrival.protocol == ICMP {
                    [0, 0]
                } else {
                    [129, 0]
                };
                send(net, arrival.destination, arrival.source, kind, rest);
                None
            }
            (ICMP, 0) | (ICMPV6, 129) => {
                self.echoed(net, arrival.source, rest);
                None
            }
            (ICMP, 3) => self.unreachable(net, rest.get(4..)?, errno_v4(*code)),
            (ICMPV6, 1) => self.unreachable(net, rest.get(4..)?, errno_v6(*code)),
            _ => None,
        }
    }

    fn echoed(&mut self, net: &Net, from: IpAddr, rest: &[u8]) {
        let Some((identifier, sequence)) = port_pair(rest) else {
            return;
        };
        let is_ours = identifier == self.identifier
            && self
                .awaited
                .get(&sequence)
                .is_some_and(|awaited| awaited.from == from);
        if is_ours && let Some(awaited) = self.awaited.remove(&sequence) {
            let nanoseconds = awaited.sent.elapsed().as_nanos() as u64;
            net.events.push(Event::Echoed(awaited.id, nanoseconds));
        }
    }

    /// Handle an error. `quoted` is the beginning of our packet.
    fn unreachable(&mut self, net: &Net, quoted: &[u8], errno: i32) -> Option<Unreachable> {
        let transport = Transport::find(quoted)?;
        let local = ip::source(quoted)?;
        let remote = ip::destination(quoted)?;
        let body = quoted.get(transport.at..)?;
        let (source, destination) = port_pair(body)?;
        match transport.protocol {
            TCP | UDP => {
                let flow = Flow {
                    local: SocketAddr::new(local, source),
                    remote: SocketAddr::new(remote, destination),
                };
                let sequence = match transport.protocol {
                    TCP => Some(u32::from_be_bytes(*body.get(4..)?.first_chunk()?)),
                    _ => None,
                };
                Some(Unreachable {
                    flow,
                    sequence,
                    errno,
                })
            }
            ICMP | ICMPV6 => {
                let (identifier, sequence) = port_pair(body.get(4..)?)?;
                let is_ours = identifier == self.identifier;
                let awaited = self.awaited.remove(&sequence).filter(|_| is_ours)?;
                net.events.push(Event::Failed(awaited.id, errno));
                None
            }
            _ => None,
        }
    }

    /// Send port unreachable for a datagram, within the rate limit.
    pub fn port_unreachable(&mut self, net: &mut Net, arrival: &Arrival<'_>) {
        net.counts.add(Reason::NoPort);
        if net.now >= self.since + SECOND {
            (self.since, self.unreachable_sent) = (net.now, 0);
        }
        self.unreachable_sent += 1;
        if self.unreachable_sent > MAX_UNREACHABLE || arrival.destination.is_multicast() {
            return;
        }
        let quoted = &arrival.packet[..arrival.packet.len().min(QUOTED)];
        let rest = [&[0; 4], quoted].concat();
        let kind = if arrival.source.is_ipv4() {
            [3, 3]
        } else {
            [1, 4]
        };
        send(net, arrival.destination, arrival.source, kind, &rest);
    }
}

fn send(net: &mut Net, source: IpAddr, destination: IpAddr, kind: [u8; 2], rest: &[u8]) {
    let length = VNET_HEADER + ip_header(source.is_ipv4()) + 4 + rest.len();
    net.link.send(length, |out| {
        write_icmp(out, source, destination, kind, rest);
    });
}

/// Linux, net/ipv4/icmp.c: icmp_err_convert.
const fn errno_v4(code: u8) -> i32 {
    match code {
        0 | 6 | 9 | 11 => libc::ENETUNREACH,
        2 => libc::ENOPROTOOPT,
        3 => libc::ECONNREFUSED,
        _ => libc::EHOSTUNREACH,
    }
}

/// Linux, net/ipv6/icmp.c: tab_unreach.
const fn errno_v6(code: u8) -> i32 {
    match code {
        0 => libc::ENETUNREACH,
        1 | 5 | 6 => libc::EACCES,
        4 => libc::ECONNREFUSED,
        _ => libc::EHOSTUNREACH,
    }
}
