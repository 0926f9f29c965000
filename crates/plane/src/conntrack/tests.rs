//! Queries and the kernel's responses, byte by byte.

use std::net::IpAddr;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A packet of any protocol, from 10.0.0.1 to 10.0.0.9 or fd00::1 to fd00::9.
pub fn packet(is_v4: bool, protocol: u8, body: &[u8]) -> Vec<u8> {
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

/// The kernel's response for a connection: recorded bytes (IPv4, TCP, 10.0.0.1:1000 translated to
/// 10.0.0.77:2000), cut after the original direction.
fn known(protocol: &[u8]) -> Vec<u8> {
    let attribute = |kind: u16, content: &[u8]| {
        let length = 4 + content.len();
        let mut bytes = (length as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(content);
        bytes.resize(length.next_multiple_of(4), 0);
        bytes
    };
    let addresses = [attribute(1, &[10, 0, 0, 1]), attribute(2, &[10, 0, 0, 9])].concat();
    let protocol = [
        attribute(1, &[6]),
        attribute(2, protocol),
        attribute(3, &[0, 9]),
    ]
    .concat();
    let tuple = [attribute(0x8001, &addresses), attribute(0x8002, &protocol)].concat();
    let mut message = vec![0; 20];
    message[5] = 1;
    message.extend(attribute(0x8001, &tuple));
    message
}

#[test]
fn a_translated_sender_is_read_from_the_kernels_answer() {
    let mut seen = packet(true, 6, &[7, 0xd0, 0, 9, 0, 0, 0, 0]);
    let answer = known(&1000u16.to_be_bytes());
    assert_eq!(sender(&seen, &answer), None, "not translated");
    seen[15] = 77;
    let original = Sender {
        address: ip("10.0.0.1"),
        port: Some(1000),
    };
    assert_eq!(sender(&seen, &answer), Some(original));
    for cut in 0..answer.len() {
        let _ = sender(&seen, &answer[..cut]);
    }
    let mut refused = answer.clone();
    refused[4..6].copy_from_slice(&2u16.to_ne_bytes());
    assert_eq!(sender(&seen, &refused), None, "an error");
    seen[12..20].copy_from_slice(&[10, 0, 0, 9, 10, 0, 0, 1]);
    assert_eq!(sender(&seen, &answer), None, "an answer to the original");
}

#[test]
fn a_question_names_the_answers_direction() {
    let mut message = [0xaa; MAX_MESSAGE];
    let tcp = packet(true, 6, &[3, 0xe8, 0, 9, 0, 0, 0, 0]);
    let length = query(&tcp, &mut message).expect("TCP is tracked");
    assert_eq!(message[..4], (length as u32).to_ne_bytes());
    let has = |bytes: &[u8]| {
        message[..length]
            .windows(bytes.len())
            .any(|part| part == bytes)
    };
    let [first, second] = 8u16.to_ne_bytes();
    assert!(has(&[first, second, 1, 0, 10, 0, 0, 9]) && has(&[first, second, 2, 0, 10, 0, 0, 1]));
    assert!(has(&[2, 0, 0, 9, 0, 0]) && has(&[3, 0, 3, 0xe8, 0, 0]));
    for (packet, asked) in [
        (ping(true, 8), true),
        (ping(false, 128), true),
        (ping(true, 13), false),
        (packet(true, 47, &[0; 8]), false),
        (packet(true, 6, &[0; 7]), false),
    ] {
        assert_eq!(query(&packet, &mut message).is_some(), asked);
    }
}
