//! The address that a socket is bound to, and which addresses it has with that.

use std::net::{IpAddr, SocketAddr};

use crate::net::Net;
use crate::ports;

/// The address of a bound socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// Address and port; the address may be unspecified.
    pub address: SocketAddr,
    /// An unspecified IPv6 address is every IPv4 address too, as without IPV6_V6ONLY.
    pub is_dual: bool,
}

impl Local {
    /// The same with another port.
    #[must_use]
    pub const fn at(self, port: u16) -> Self {
        let mut local = self;
        local.address.set_port(port);
        local
    }

    /// Whether what is sent to this address of ours is for the socket.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        let own = self.address.ip();
        let is_family = own.is_ipv4() == address.is_ipv4() || self.is_dual;
        own == address || own.is_unspecified() && is_family
    }

    /// Whether two sockets cannot both be bound.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let is_same = self.covers(other.address.ip()) || other.covers(self.address.ip());
        self.address.port() == other.address.port() && is_same
    }
}

/// The sockets of one protocol, which may be bound.
pub trait Bound {
    /// Whether no socket has this address or a part of it.
    fn is_free(&self, local: &Local) -> bool;

    /// Forget the sockets of a port that the program has closed, of which epoll has not reported it yet.
    fn forget_closed(&mut self, port: u16);

    /// Return what a socket that wants `wanted` is bound to, or an errno. Port 0 is any that is free.
    fn claim(&mut self, net: &Net, wanted: Local) -> Result<Local, i32> {
        let ip = wanted.address.ip();
        if !ip.is_unspecified() && !net.link.addresses().contains(ip) {
            return Err(libc::EADDRNOTAVAIL);
        }
        let port = wanted.address.port();
        if port == 0 {
            let found = ports::choose(|port| self.is_free(&wanted.at(port)));
            return found.map(|port| wanted.at(port)).ok_or(libc::EADDRINUSE);
        }
        if !self.is_free(&wanted) {
            self.forget_closed(port);
        }
        match self.is_free(&wanted) {
            true => Ok(wanted),
            false => Err(libc::EADDRINUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_overlap_where_both_would_get_a_packet() {
        let local = |text: &str, is_dual| Local {
            address: text.parse().expect("an address"),
            is_dual,
        };
        let all = local("0.0.0.0:80", false);
        let (dual, single) = (local("[::]:80", true), local("[::]:80", false));
        let one = local("10.0.0.1:80", false);
        assert!(all.overlaps(&one) && one.overlaps(&all) && one.overlaps(&one));
        assert!(dual.overlaps(&one) && one.overlaps(&dual) && all.overlaps(&dual));
        assert!(!single.overlaps(&one) && !single.overlaps(&all));
        assert!(!one.overlaps(&local("10.0.0.2:80", false)));
        assert!(!one.overlaps(&one.at(81)));
    }
}
