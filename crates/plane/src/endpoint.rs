//! A peer's endpoint: its UDP address, and the local address to send from.
//!
//! The local address is sticky (kernel socket.c): replies leave from the address that packets came to,
//! until the kernel refuses it, the brain clears it, or the route to the peer leads out of another
//! interface than the one where packets come in.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::interface;

/// A peer's UDP address. Two endpoints are equal if their remote addresses are; the local address is only
/// a preference.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// The address to send to, with its IPv6 scope.
    pub remote: SocketAddr,
    /// The address to send from. None if the kernel chooses.
    pub local: Option<Local>,
}

/// A local address, and the interface where packets to it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The address.
    pub address: IpAddr,
    /// The interface's number. It does not bind the packets sent: the kernel routes them.
    pub interface: u32,
}

impl Endpoint {
    /// Create an endpoint whose local address the kernel chooses.
    #[must_use]
    pub const fn new(remote: SocketAddr) -> Self {
        Self {
            remote,
            local: None,
        }
    }

    /// Parse a numeric address, which may end in `%` and an interface's name or number. None if it is not
    /// an address or the interface does not exist.
    #[must_use]
    pub fn parse(host: &str, port: u16) -> Option<Self> {
        let Some((address, zone)) = host.split_once('%') else {
            return Some(Self::new(SocketAddr::new(host.parse().ok()?, port)));
        };
        let address: Ipv6Addr = address.parse().ok()?;
        let scope = match zone.parse() {
            Ok(number) => number,
            Err(_) => interface::index_of(zone)?,
        };
        Some(Self::new(SocketAddrV6::new(address, port, 0, scope).into()))
    }

    /// The address as text, with its scope if it has one.
    #[must_use]
    pub fn host(&self) -> String {
        match self.remote {
            SocketAddr::V6(remote) if remote.scope_id() != 0 => {
                let scope = remote.scope_id();
                let zone = interface::name_of(scope).unwrap_or_else(|| scope.to_string());
                format!("{}%{zone}", remote.ip())
            }
            remote => remote.ip().to_string(),
        }
    }

    /// Whether both the remote and the local address are the same.
    #[must_use]
    pub fn same_path(&self, other: &Self) -> bool {
        self == other && self.local == other.local
    }

    /// The interface that is part of the address; 0 if there is none.
    #[must_use]
    pub fn scope(&self) -> u32 {
        match self.remote {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(remote) => remote.scope_id(),
        }
    }

    fn identity(&self) -> (IpAddr, u16, u32) {
        (self.remote.ip(), self.remote.port(), self.scope())
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Endpoint {}

impl Hash for Endpoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_endpoint_prints_what_it_was_made_from() {
        for host in ["192.0.2.1", "2001:db8::1", "fe80::1%lo"] {
            let endpoint = Endpoint::parse(host, 51820).expect(host);
            assert_eq!(endpoint.host(), host);
        }
    }

    #[test]
    fn a_scope_may_be_a_number() {
        let endpoint = Endpoint::parse("fe80::1%1", 1).expect("a scoped address");
        assert_eq!(endpoint, Endpoint::parse("fe80::1%lo", 1).expect("lo is 1"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for host in [
            "",
            "host",
            "192.0.2.1%lo",
            "fe80::1%no-such",
            "1.2.3",
            "%lo",
        ] {
            assert!(Endpoint::parse(host, 1).is_none(), "{host}");
        }
    }

    #[test]
    fn equality_ignores_the_local_address() {
        let one = Endpoint::parse("192.0.2.1", 1).expect("an address");
        let local = |interface| {
            Some(Local {
                address: Ipv4Addr::new(192, 0, 2, 2).into(),
                interface,
            })
        };
        let [other, elsewhere] = [local(1), local(2)].map(|local| Endpoint { local, ..one });
        assert_eq!(one, other);
        assert!(!one.same_path(&other));
        assert!(!other.same_path(&elsewhere));
    }
}
