//! Requests: text, one message per request, after the request's number.
//!
//! The first one is `start` with lines `name`, `mtu`, `gso` and `address`, each with its value. All later
//! ones are `sockets FAMILY TYPE PROTOCOL NUMBER`; the first three are the system's constants.

use std::net::IpAddr;
use std::str::FromStr;

use crate::failure::Failure;

/// The settings of the interface.
#[derive(Debug, PartialEq, Eq)]
pub struct Start {
    /// The interface's name.
    pub name: String,
    /// Its MTU.
    pub mtu: u32,
    /// The maximum length of a GSO packet; 0 leaves the system's default.
    pub gso: u32,
    /// Its addresses, with prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// The arguments of socket(2), and the number of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// AF_INET and the like.
    pub family: i32,
    /// SOCK_STREAM and the like.
    pub kind: i32,
    /// IPPROTO_TCP and the like, or 0.
    pub protocol: i32,
    /// From 1 to `MOST`.
    pub number: usize,
}

impl FromStr for Start {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let mut lines = text.lines();
        if lines.next() != Some("start") {
            return Err(Failure::BAD_REQUEST);
        }
        let mut start = Self {
            name: String::new(),
            mtu: 0,
            gso: 0,
            addresses: Vec::new(),
        };
        for line in lines {
            let (key, value) = line.split_once(' ').ok_or(Failure::BAD_REQUEST)?;
            match key {
                "name" => start.name = value.to_owned(),
                "mtu" => start.mtu = number(value)?,
                "gso" => start.gso = number(value)?,
                "address" => start.addresses.push(network(value)?),
                _ => return Err(Failure::BAD_REQUEST),
            }
        }
        Ok(start)
    }
}

impl FromStr for Sockets {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let mut words = text.split(' ');
        let mut next = || words.next().ok_or(Failure::BAD_REQUEST);
        if next()? != "sockets" {
            return Err(Failure::BAD_REQUEST);
        }
        let sockets = Self {
            family: number(next()?)?,
            kind: number(next()?)?,
            protocol: number(next()?)?,
            number: number(next()?)?,
        };
        if words.next().is_some() || !(1..=MOST).contains(&sockets.number) {
            return Err(Failure::BAD_REQUEST);
        }
        Ok(sockets)
    }
}

/// The maximum number of sockets per request.
pub const MOST: usize = 16;

fn network(text: &str) -> Result<(IpAddr, u8), Failure> {
    let (address, length) = text.split_once('/').ok_or(Failure::BAD_REQUEST)?;
    let address: IpAddr = number(address)?;
    let length: u8 = number(length)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if length > most {
        return Err(Failure::BAD_REQUEST);
    }
    Ok((address, length))
}

fn number<T: FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::BAD_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_names_the_interface_and_its_addresses() {
        let start: Start =
            "start\nname wg0\nmtu 1420\ngso 61600\naddress 10.0.0.2/24\naddress fd00::2/64"
                .parse()
                .expect("well formed");
        assert_eq!(
            (start.name.as_str(), start.mtu, start.gso),
            ("wg0", 1420, 61600)
        );
        let four = (IpAddr::from([10, 0, 0, 2]), 24);
        assert_eq!(start.addresses[0], four);
        assert_eq!(start.addresses[1].1, 64);
    }

    #[test]
    fn a_request_for_sockets_has_four_numbers() {
        let sockets: Sockets = "sockets 2 1 0 16".parse().expect("well formed");
        let wanted = Sockets {
            family: 2,
            kind: 1,
            protocol: 0,
            number: 16,
        };
        assert_eq!(sockets, wanted);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "",
            "sockets",
            "sockets 2 1 0",
            "sockets 2 1 0 1 1",
            "sockets 2 1 x 1",
            "sockets 2 1 0 0",
            "sockets 2 1 0 17",
            "sockets 2 1 0 -1",
            "socket 2 1 0 1",
        ] {
            assert_eq!(text.parse::<Sockets>(), Err(Failure::BAD_REQUEST), "{text}");
        }
        for text in [
            "",
            "begin",
            "start\nmtu",
            "start\nmtu many",
            "start\ncolour red",
            "start\naddress 10.0.0.1",
            "start\naddress 10.0.0.1/33",
            "start\naddress ::1/129",
        ] {
            assert_eq!(text.parse::<Start>(), Err(Failure::BAD_REQUEST), "{text}");
        }
    }
}
