//! Which socket gets a datagram, over the loopback interface, and who may have the port.

use std::net::{IpAddr, Ipv6Addr, UdpSocket};

use super::*;
use crate::cookie::{COOKIE_REPLY_SIZE, RESPONSE_SIZE};
use crate::mmsg::{STRIDE, Slots};

/// The numbers of the sockets of a family that have received something, in the order of their group.
fn receivers(pair: &Pair) -> Vec<u32> {
    let (mut slots, mut buffer) = (Slots::new(), vec![0; STRIDE]);
    let sockets = [&pair.data].into_iter().chain(&pair.handshakes);
    let mut received = |socket: &&Udp| slots.receive(socket, &mut buffer, |_, _| {}).is_ok();
    let found = sockets.zip(0..).filter(|(socket, _)| received(socket));
    found.map(|(_, number)| number).collect()
}

fn message(kind: u8, length: usize, mac2: u8) -> Vec<u8> {
    let mut message = vec![0; length];
    message[0] = kind;
    if let Some(last) = message.get_mut(MAC2) {
        *last = mac2;
    }
    message
}

#[test]
fn every_message_comes_to_the_socket_of_its_kind() {
    let cases = [
        (message(TRANSPORT, 32, 0), DATA),
        (message(TRANSPORT, 1452, 9), DATA),
        (message(INITIATION, INITIATION_SIZE, 0), STRANGERS),
        (message(INITIATION, INITIATION_SIZE, 1), ANSWERS),
        (message(INITIATION, INITIATION_SIZE - 1, 1), STRANGERS),
        (message(INITIATION, 1, 0), STRANGERS),
        (message(RESPONSE, RESPONSE_SIZE, 0), ANSWERS),
        (message(COOKIE_REPLY, COOKIE_REPLY_SIZE, 0), ANSWERS),
        (message(0, 9, 0), STRANGERS),
        (message(255, 200, 7), STRANGERS),
    ];
    let sockets = Sockets::bind(0, 0).expect("a port");
    let families = [
        (sockets.v4.as_ref(), IpAddr::from(Ipv4Addr::LOCALHOST)),
        (sockets.v6.as_ref(), Ipv6Addr::LOCALHOST.into()),
    ];
    for (pair, address) in families {
        let pair = pair.expect("both families");
        let sender = UdpSocket::bind((address, 0)).expect("a socket");
        for (message, expected) in &cases {
            let sent = sender.send_to(message, (address, sockets.port));
            sent.expect("it is sent");
            assert_eq!(receivers(pair), [*expected], "{:?}", &message[..1]);
        }
    }
}

#[test]
fn nobody_else_gets_the_port() {
    let sockets = Sockets::bind(0, 0).expect("a port");
    let refused = Sockets::bind(sockets.port, 0).expect_err("the port is taken");
    assert!(in_use(&refused));
    assert!(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, sockets.port)).is_err());
    assert!(UdpSocket::bind((Ipv6Addr::UNSPECIFIED, sockets.port)).is_err());
    let port = sockets.port;
    drop(sockets);
    Sockets::bind(port, 0).expect("it is free again");
}
