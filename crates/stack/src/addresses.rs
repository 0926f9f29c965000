//! Our addresses, and which of them is the source for a destination.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address of ours with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// The address.
    pub address: IpAddr,
    /// The prefix length.
    pub length: u8,
}

/// All our addresses, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Addresses(Vec<Own>);

impl Addresses {
    /// Create it from these addresses.
    #[must_use]
    pub fn new(own: Vec<Own>) -> Self {
        Self(own)
    }

    /// Whether the address is one of ours, or a loopback address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.0.iter().any(|own| own.address == address)
    }

    /// Whether packets from this address of ours may go to `destination`.
    #[must_use]
    pub fn reaches(&self, source: IpAddr, destination: IpAddr) -> bool {
        !source.is_loopback() || self.contains(destination)
    }

    /// The source address for `destination`: the one in its network, else the first of its family.
    #[must_use]
    pub fn toward(&self, destination: IpAddr) -> Option<IpAddr> {
        if destination.is_loopback() {
            return Some(loopback(destination.is_ipv4()));
        }
        let family = |own: &&Own| own.address.is_ipv4() == destination.is_ipv4();
        let near = |own: &&Own| family(own) && own.holds(destination);
        let best = self
            .0
            .iter()
            .filter(near)
            .max_by_key(|own| own.length)
            .or_else(|| self.0.iter().find(family))?;
        Some(best.address)
    }
}

impl Own {
    fn holds(&self, other: IpAddr) -> bool {
        let (mine, its, bits) = match (self.address, other) {
            (IpAddr::V4(mine), IpAddr::V4(its)) => (
                u128::from(u32::from(mine)) << 96,
                u128::from(u32::from(its)) << 96,
                32,
            ),
            (IpAddr::V6(mine), IpAddr::V6(its)) => (u128::from(mine), u128::from(its), 128),
            _ => return false,
        };
        let length = self.length.min(bits);
        length == 0 || (mine ^ its) >> (128 - u32::from(length)) == 0
    }
}

/// The unspecified address of a family.
#[must_use]
pub const fn unspecified(is_v4: bool) -> IpAddr {
    if is_v4 {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    }
}

/// The loopback address of a family.
#[must_use]
pub const fn loopback(is_v4: bool) -> IpAddr {
    if is_v4 {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        IpAddr::V6(Ipv6Addr::LOCALHOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_source_is_the_address_in_the_destinations_network() {
        let own = [("10.0.0.2", 8), ("10.1.0.2", 16), ("fd00::2", 64)];
        let own = own.map(|(text, length)| Own {
            address: address(text),
            length,
        });
        let addresses = Addresses::new(own.to_vec());
        let toward = |text| addresses.toward(address(text)).map(|own| own.to_string());
        assert_eq!(toward("10.1.9.9").as_deref(), Some("10.1.0.2"));
        assert_eq!(toward("10.2.9.9").as_deref(), Some("10.0.0.2"));
        assert_eq!(toward("192.0.2.1").as_deref(), Some("10.0.0.2"));
        assert_eq!(toward("2001:db8::1").as_deref(), Some("fd00::2"));
        assert_eq!(toward("127.9.9.9").as_deref(), Some("127.0.0.1"));
        assert_eq!(toward("::1").as_deref(), Some("::1"));
        assert_eq!(Addresses::default().toward(address("10.1.9.9")), None);
    }
}
