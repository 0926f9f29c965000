//! Which packets get an ICMP error, and its contents.

use std::net::IpAddr;

use holloway_packet::icmp::{MAX_MESSAGE, Sender, answerable, host_unreachable};
use proptest::prelude::*;

use crate::packets::{ACK, Flow, flow, payload, plain_sum};

/// A flow between hosts that may get errors.
fn ordinary() -> impl Strategy<Value = Flow> {
    flow().prop_map(|mut flow| {
        for (address, last) in [(&mut flow.source, 1), (&mut flow.destination, 9)] {
            address[..4].copy_from_slice(&[10, 0, 0, last]);
        }
        flow
    })
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A packet of any protocol, from 10.0.0.1 to 10.0.0.9 or fd00::1 to fd00::9.
fn packet(is_v4: bool, protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut packet;
    if is_v4 {
        packet = vec![0; 20];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&(20 + body.len() as u16).to_be_bytes());
        packet[9] = protocol;
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 9]);
    } else {
        packet = vec![0; 40];
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&(body.len() as u16).to_be_bytes());
        packet[6] = protocol;
        (packet[8], packet[23], packet[24], packet[39]) = (0xfd, 1, 0xfd, 9);
    }
    packet.extend(body);
    packet
}

fn ping(is_v4: bool, kind: u8) -> Vec<u8> {
    let protocol = if is_v4 { 1 } else { 58 };
    packet(is_v4, protocol, &[kind, 0, 0, 0, 0x12, 0x34, 0, 1])
}

proptest! {
    #[test]
    fn the_answer_quotes_the_packet_as_far_as_may_be(flow in ordinary(), size in 0usize..3000) {
        let packet = flow.packet(0, 0, ACK, &payload(size, 1));
        let sender = answerable(&packet).expect("an ordinary packet");
        let mut message = [0xaa; MAX_MESSAGE];
        let length = host_unreachable(&packet, None, &mut message);
        let message = &message[..length];
        prop_assert_eq!(&message[4..8], &[0; 4]);
        prop_assert_eq!(&message[8..], &packet[..length - 8]);
        let most = if flow.is_v4 { 556 } else { 1240 };
        prop_assert_eq!(length, most.min(packet.len() + 8));
        if flow.is_v4 {
            prop_assert_eq!(&message[..2], &[3, 1]);
            prop_assert_eq!(plain_sum(&[message]), 0xffff);
            prop_assert_eq!(sender, ip("10.0.0.1"));
        } else {
            prop_assert_eq!(&message[..4], &[1, 3, 0, 0]);
        }
    }

    #[test]
    fn a_translated_sender_gets_its_own_packet_back(before in ordinary(), after: [u8; 2]) {
        let mut flow = before.clone();
        flow.ports[..2].copy_from_slice(&after);
        flow.source[3] = 77;
        let address = if flow.is_v4 {
            ip("10.0.0.1")
        } else {
            std::net::Ipv6Addr::from(before.source).into()
        };
        let port = Some(u16::from_be_bytes([before.ports[0], before.ports[1]]));
        let (mut message, mut plain) = ([0; MAX_MESSAGE], [0; MAX_MESSAGE]);
        let (sent, seen) = (before.packet(0, 0, ACK, b"x"), flow.packet(0, 0, ACK, b"x"));
        let length = host_unreachable(&seen, Some(Sender { address, port }), &mut message);
        prop_assert_eq!(host_unreachable(&sent, None, &mut plain), length);
        // Only the transport checksum keeps the value that the translation wrote.
        let headers = 8 + flow.transport();
        prop_assert_eq!(&message[8..headers + 2], &plain[8..headers + 2]);
        if flow.is_v4 {
            prop_assert_eq!(plain_sum(&[&message[..length]]), 0xffff);
        }
    }
}

#[test]
fn errors_are_never_answered_and_queries_are() {
    for kind in [0, 8, 13] {
        assert_eq!(
            answerable(&ping(true, kind)),
            Some(ip("10.0.0.1")),
            "{kind}"
        );
    }
    for kind in [3, 4, 5, 11, 12, 19, 255] {
        assert_eq!(answerable(&ping(true, kind)), None, "{kind}");
    }
    for kind in [128, 129, 135] {
        assert_eq!(
            answerable(&ping(false, kind)),
            Some(ip("fd00::1")),
            "{kind}"
        );
    }
    for kind in [1, 2, 3, 4, 100, 137] {
        assert_eq!(answerable(&ping(false, kind)), None, "{kind}");
    }
    assert_eq!(answerable(&ping(true, 8)[..20]), None, "too short to tell");
    assert_eq!(
        answerable(&packet(false, 58, &[])),
        None,
        "too short to tell"
    );
}

#[test]
fn only_the_first_fragment_is_answered() {
    let mut v4 = ping(true, 8);
    v4[6] = 0x20;
    assert!(answerable(&v4).is_some(), "more fragments follow");
    v4[7] = 1;
    assert_eq!(answerable(&v4), None);
    let mut v6 = packet(false, 44, &[17, 0, 0, 1, 0, 0, 0, 1, 0, 9, 0, 9]);
    assert!(answerable(&v6).is_some(), "more fragments follow");
    v6[43] = 8;
    assert_eq!(answerable(&v6), None);
}

#[test]
fn an_error_behind_extension_headers_is_found() {
    let options = [60, 0, 1, 4, 0, 0, 0, 0];
    let authentication = [58, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    for (kind, answered) in [(1, false), (128, true)] {
        let icmp = [kind, 0, 0, 0, 0, 0, 0, 0];
        let body = [
            &options[..],
            &[51, 0, 1, 4, 0, 0, 0, 0],
            &authentication,
            &icmp,
        ]
        .concat();
        assert_eq!(answerable(&packet(false, 0, &body)).is_some(), answered);
    }
    assert_eq!(
        answerable(&packet(false, 0, &options)),
        None,
        "cut in the middle"
    );
}

#[test]
fn nobody_answers_groups_or_those_who_are_no_host() {
    let with = |at: usize, address: &str| {
        let mut packet = match ip(address) {
            IpAddr::V4(_) => ping(true, 8),
            IpAddr::V6(_) => ping(false, 128),
        };
        match ip(address) {
            IpAddr::V4(v4) => packet[at..at + 4].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => packet[at..at + 16].copy_from_slice(&v6.octets()),
        }
        answerable(&packet)
    };
    for to in ["224.0.0.1", "239.1.2.3", "255.255.255.255"] {
        assert_eq!(with(16, to), None, "{to}");
    }
    for from in [
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
    ] {
        assert_eq!(with(12, from), None, "{from}");
    }
    assert_eq!(with(24, "ff02::1"), None);
    for from in ["::", "::1", "ff02::1"] {
        assert_eq!(with(8, from), None, "{from}");
    }
}
