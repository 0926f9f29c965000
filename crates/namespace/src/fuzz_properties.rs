//! What the fuzz target checks of the messages that come to this program.

use crate::answer::{acknowledged, is_local_route};
use crate::request::{MOST, Sockets, Start};

/// Any bytes are an answer of the kernel or an error, and a request of the program or refused.
pub fn namespace(bytes: &[u8]) {
    let is_success = bytes.get(16..20) == Some(&[0; 4]);
    assert_eq!(acknowledged(bytes).is_ok(), is_success);
    assert!(!is_local_route(bytes) || bytes.len() > 16);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(sockets) = text.parse::<Sockets>() {
        assert!((1..=MOST).contains(&sockets.number));
    }
    if let Ok(start) = text.parse::<Start>() {
        let most = |address: &std::net::IpAddr| if address.is_ipv4() { 32 } else { 128 };
        assert!(
            start
                .addresses
                .iter()
                .all(|(address, length)| *length <= most(address))
        );
    }
}

#[cfg(test)]
#[path = "../../../fuzz/seeds.rs"]
mod seeds;

#[cfg(test)]
#[test]
fn the_stored_inputs_hold() {
    seeds::replay("namespace", namespace);
}
