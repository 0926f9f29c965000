//! Which socket gets a datagram, over the loopback interface, and who may have the port.

use std::net::{IpAddr, Ipv6Addr, UdpSocket};

use super::*;
use crate::cookie::{COOKIE_REPLY_SIZE, RESPONSE_SIZE};
use crate::mmsg::{STRIDE, Slots};
use crate::shards::shard_of;

/// The numbers of the sockets of a family that have received something, in the order of their group.
fn receivers(pair: &Pair) -> Vec<u32> {
    let (mut slots, mut buffer) = (Slots::new(), vec![0; STRIDE]);
    let (first, further) = pair.data.split_at(1);
    let sockets = first.iter().chain(&pair.handshakes).chain(further);
    let mut received = |socket: &&Udp| slots.receive(socket, &mut buffer, |_, _| {}).is_ok();
    let found = sockets.zip(0..).filter(|(socket, _)| received(socket));
    found.map(|(_, number)| number).collect()
}

/// A transport message for a session.
fn packet(index: u32) -> Vec<u8> {
    let mut packet = message(TRANSPORT, 32, 0);
    packet[4..8].copy_from_slice(&index.to_le_bytes());
    packet
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
    deliver(&Sockets::bind(0, 0).expect("a port"), &cases);
}

#[test]
fn a_sessions_packets_come_to_the_socket_of_its_shard() {
    let mut sockets = Sockets::bind(0, 0).expect("a port");
    for shards in [2, 3, 4] {
        sockets.grow(shards);
        let indices = [0, 1, 2, 3, 4, 5, 0xff, 0x1234_5602, u32::MAX];
        let cases = indices.map(|index| match shard_of(index, shards) as u32 {
            0 => (packet(index), DATA),
            shard => (packet(index), FURTHER + shard),
        });
        deliver(&sockets, &cases);
        let others = [
            (message(TRANSPORT, 4, 0), DATA),
            (message(INITIATION, INITIATION_SIZE, 0), STRANGERS),
            (message(INITIATION, INITIATION_SIZE, 1), ANSWERS),
            (message(RESPONSE, RESPONSE_SIZE, 0), ANSWERS),
            (message(0, 9, 0), STRANGERS),
        ];
        deliver(&sockets, &others);
    }
}

#[test]
fn every_socket_of_the_port_gets_the_mark() {
    let mut sockets = Sockets::bind(0, 0).expect("a port");
    sockets.grow(2);
    if sockets.set_mark(7).is_err() {
        return; // it takes CAP_NET_ADMIN
    }
    sockets.grow(3);
    let v4 = sockets.v4.as_ref().expect("IPv4");
    let all = v4.data.iter().chain(&v4.handshakes);
    let marks: Vec<_> = all.map(|socket| socket.mark().ok()).collect();
    assert_eq!(marks, [Some(7); 5]);
}

/// Send each message over both families, and check which socket gets it.
fn deliver(sockets: &Sockets, cases: &[(Vec<u8>, u32)]) {
    let families = [
        (sockets.v4.as_ref(), IpAddr::from(Ipv4Addr::LOCALHOST)),
        (sockets.v6.as_ref(), Ipv6Addr::LOCALHOST.into()),
    ];
    for (pair, address) in families {
        let pair = pair.expect("both families");
        let sender = UdpSocket::bind((address, 0)).expect("a socket");
        for (message, expected) in cases {
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
