//! Networks of inner addresses, and endpoints: parsed like inet_pton(3) and formatted like inet_ntop(3),
//! as wg(8) does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::number::{decimal, decimal16, write_decimal};
use crate::refusal::{Reason, quoted};

/// A network of inner addresses, its host bits zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// The prefix length in bits.
    pub length: u8,
}

impl Network {
    /// The network of an address; the length is limited to that of the address.
    #[must_use]
    pub fn around(address: IpAddr, length: u8) -> Self {
        let shift = u32::from(length);
        let address = match address {
            IpAddr::V4(v4) => {
                let beyond = u32::MAX.checked_shr(shift).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & !beyond).into()
            }
            IpAddr::V6(v6) => {
                let beyond = u128::MAX.checked_shr(shift).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & !beyond).into()
            }
        };
        let length = length.min(width(address));
        Self { address, length }
    }

    /// Parse `10.0.0.0/8`, `fd00::/64` or an address without length.
    pub fn parse(text: &[u8]) -> Result<Self, Reason> {
        let (host, length) = split_once(text, b'/');
        let address = parse_ip(host).ok_or_else(|| quoted("not an IP address", host))?;
        let width = width(address);
        let Some(length) = length else {
            return Ok(Self::around(address, width));
        };
        let bits = decimal(length, width.into()).ok_or_else(|| {
            let sentence = format!("not a prefix length from 0 to {width}");
            quoted(&sentence, length)
        })?;
        Ok(Self::around(address, bits as u8))
    }

    /// Write it.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_ip(out, self.address);
        out.push(b'/');
        write_decimal(out, self.length.into());
    }
}

/// The host of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A plain address.
    Ip(IpAddr),
    /// An address with its zone, as it was written, or the result of a resolver.
    Text(Box<str>),
}

/// The UDP address of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// Parse `192.0.2.1:51820` or `[fe80::1%eth0]:51820`, but not a name.
    pub fn parse(text: &[u8]) -> Result<Self, Reason> {
        let bad = || quoted("not an endpoint", text);
        let colon = memchr::memrchr(b':', text).ok_or_else(bad)?;
        let (host, port) = (&text[..colon], &text[colon + 1..]);
        if port.is_empty() || !port.iter().all(u8::is_ascii_digit) {
            return Err(bad());
        }
        let number = decimal16(port).filter(|_| port.len() <= 5);
        let port = number.ok_or_else(|| quoted("not a port from 0 to 65535", port))?;
        let host = match host {
            [b'[', inner @ .., b']'] => host6(inner),
            _ => parse_v4(host).map(|address| Host::Ip(address.into())),
        };
        let host = host.ok_or_else(bad)?;
        Ok(Self { host, port })
    }

    /// The endpoint of a separate host and port, if the host is a plain address.
    #[must_use]
    pub fn numeric(host: &[u8], service: &[u8]) -> Option<Self> {
        let port = decimal16(service).filter(|_| service.len() <= 5)?;
        let host = Host::Ip(parse_ip(host)?);
        Some(Self { host, port })
    }

    /// Write it, with brackets around an IPv6 address.
    pub fn write(&self, out: &mut Vec<u8>) {
        let brackets = match &self.host {
            Host::Ip(address) => address.is_ipv6(),
            Host::Text(text) => text.contains(':'),
        };
        out.extend_from_slice(if brackets { b"[" } else { b"" });
        self.host.write(out);
        out.extend_from_slice(if brackets { b"]:" } else { b":" });
        write_decimal(out, self.port.into());
    }
}

impl Host {
    /// The host of a caller's text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        parse_ip(text.as_bytes()).map_or_else(|| Self::Text(text.into()), Self::Ip)
    }

    /// Write it without brackets.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ip(address) => write_ip(out, *address),
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
}

/// An IPv6 address with or without its zone.
fn host6(text: &[u8]) -> Option<Host> {
    let (address, zone) = split_once(text, b'%');
    let address = parse_v6(address)?;
    let Some(zone) = zone else {
        return Some(Host::Ip(address.into()));
    };
    let zone = std::str::from_utf8(zone).ok()?;
    let strange = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '%' | ']' | '/');
    if zone.is_empty() || zone.contains(strange) {
        return None;
    }
    let mut host = Vec::new();
    write_ip(&mut host, address.into());
    let host = String::from_utf8(host).ok()?;
    Some(Host::Text(format!("{host}%{zone}").into()))
}

/// The number of bits of an address.
#[must_use]
pub const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Split a text at the first occurrence of a byte. The second part is None if there is none.
pub(crate) fn split_once(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == at) {
        Some(place) => (&text[..place], Some(&text[place + 1..])),
        None => (text, None),
    }
}

/// Parse an address of either family.
#[must_use]
pub fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    if text.contains(&b':') {
        parse_v6(text).map(IpAddr::V6)
    } else {
        parse_v4(text).map(IpAddr::V4)
    }
}

fn parse_v4(text: &[u8]) -> Option<Ipv4Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn parse_v6(text: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Write an address. If the first 96 bits are zero and the next 16 are not, the C library writes the rest
/// as IPv4, and the same for mapped addresses.
pub fn write_ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => write_v4(out, v4.octets()),
        IpAddr::V6(v6) => {
            let words = v6.segments();
            let [.., a, b, c, d] = v6.octets();
            match words {
                [0, 0, 0, 0, 0, 0, fourth, _] if fourth != 0 => out.extend_from_slice(b"::"),
                [0, 0, 0, 0, 0, 0xffff, ..] => out.extend_from_slice(b"::ffff:"),
                _ => return write_v6(out, words),
            }
            write_v4(out, [a, b, c, d]);
        }
    }
}

fn write_v4(out: &mut Vec<u8>, octets: [u8; 4]) {
    for (place, octet) in octets.into_iter().enumerate() {
        if place > 0 {
            out.push(b'.');
        }
        write_decimal(out, octet.into());
    }
}

/// The first of the longest runs of two or more zero words becomes `::`.
fn write_v6(out: &mut Vec<u8>, words: [u16; 8]) {
    let (start, length) = longest_zeros(words);
    let mut place = 0;
    while place < words.len() {
        if length > 1 && place == start {
            out.extend_from_slice(b"::");
            place += length;
            continue;
        }
        if place > 0 && (length < 2 || place != start + length) {
            out.push(b':');
        }
        crate::number::write_hexadecimal(out, words[place].into());
        place += 1;
    }
}

fn longest_zeros(words: [u16; 8]) -> (usize, usize) {
    let (mut best, mut length) = ((0, 0), 0);
    for (place, word) in words.into_iter().enumerate() {
        length = if word == 0 { length + 1 } else { 0 };
        if length > best.1 {
            best = (place + 1 - length, length);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> String {
        let mut out = Vec::new();
        write_ip(&mut out, text.parse().expect("an address"));
        String::from_utf8(out).expect("addresses are ASCII")
    }

    #[test]
    fn addresses_are_written_as_the_c_library_does() {
        for (given, written) in [
            ("::", "::"),
            ("::1", "::1"),
            ("::2:1", "::0.2.0.1"),
            ("::1:0", "::0.1.0.0"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("::1.2.3.4", "::1.2.3.4"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"),
            ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
            ("FD00::", "fd00::"),
            ("0:0:1::", "0:0:1::"),
            ("0:1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"),
            ("255.0.10.1", "255.0.10.1"),
        ] {
            assert_eq!(ip(given), written);
        }
    }

    #[test]
    fn host_bits_are_cleared() {
        for (given, written) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("1.2.3.4/0", "0.0.0.0/0"),
            ("fd00::1/16", "fd00::/16"),
            ("::1/128", "::1/128"),
            ("::1/0", "::/0"),
            ("10.0.0.0/0032", "10.0.0.0/32"),
        ] {
            let mut out = Vec::new();
            Network::parse(given.as_bytes())
                .expect(given)
                .write(&mut out);
            assert_eq!(String::from_utf8_lossy(&out), written);
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "010.0.0.0/8",
            "x",
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/8/8",
            "10.0.0.0/ 8",
            "::1%lo",
            "\u{661}.0.0.0",
        ] {
            assert!(Network::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "example.org:5",
            "1.2.3.4",
            "1.2.3.4:",
            "1.2.3.4:65536",
            "1.2.3.4:-1",
            "::1:5",
            ":5",
            "[::1]",
            "[::1",
            "::1]:5",
            "[1.2.3.4]:5",
            "[::1%]:5",
            "[::1% x]:5",
            "[[::1]]:5",
            "",
            "1.2.3.4:000005",
        ] {
            assert!(Endpoint::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_zone_stays_with_its_address() {
        let mut out = Vec::new();
        Endpoint::parse(b"[FE80:0::1%eth0]:5")
            .expect("an endpoint")
            .write(&mut out);
        assert_eq!(out, b"[fe80::1%eth0]:5");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bits: u128, sparse: [bool; 8], v4: u32, port: u16) {
            let mut words = Ipv6Addr::from_bits(bits).segments();
            words.iter_mut().zip(sparse).for_each(|(word, zero)| if zero { *word = 0 });
            for address in [Ipv6Addr::from(words).into(), Ipv4Addr::from_bits(v4).into()] {
                let (endpoint, mut out) = (Endpoint { host: Host::Ip(address), port }, Vec::new());
                endpoint.write(&mut out);
                prop_assert_eq!(Endpoint::parse(&out), Ok(endpoint));
                let (network, mut out) = (Network::around(address, 77), Vec::new());
                network.write(&mut out);
                prop_assert_eq!(Network::parse(&out), Ok(network));
            }
        }
    }
}
