//! A stranger who can send packets in another's name, but sees none of ours.

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};

use holloway_packet::checksum;

use crate::harness::{ACK, BUFFER, Harness, RST, SYN, Segment, THEM, US};

/// Our initial number in the answer to a SYN.
fn answered(harness: &mut Harness, source: u16) -> u32 {
    harness
        .send(&Segment::syn(source))
        .first()
        .expect("an answer")
        .sequence
}

fn reset(harness: &mut Harness, source: u16) {
    let reset = Segment {
        sequence: 8,
        flags: RST,
        ..Segment::syn(source)
    };
    harness.send(&reset);
    assert_eq!(harness.engine.streams(), 0);
}

fn is_alive(stream: &mut impl Read) -> bool {
    let error = stream.read(&mut [0]).expect_err("nothing came");
    error.kind() == ErrorKind::WouldBlock
}

#[test]
fn initial_numbers_of_other_connections_say_nothing_about_the_next() {
    let (mut harness, _) = Harness::listening();
    let numbers: Vec<_> = (1..200).map(|port| answered(&mut harness, port)).collect();
    let steps: HashSet<_> = numbers
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    assert!(steps.len() > 190, "{} different steps", steps.len());
}

#[test]
fn the_initial_numbers_of_one_pair_of_addresses_rise_with_the_clock() {
    let (mut harness, _) = Harness::listening();
    let first = answered(&mut harness, 4000);
    reset(&mut harness, 4000);
    harness.now += 4_000_000;
    let second = answered(&mut harness, 4000);
    assert_eq!(second.wrapping_sub(first), 1_000_000);
}

#[test]
fn ports_that_we_choose_do_not_follow_one_another() {
    let mut harness = Harness::new();
    let (mut ports, mut open) = (Vec::new(), Vec::new());
    for id in 1..100 {
        open.push(harness.connect(id, 1_000_000_000));
        let (_, local) = harness.datagrams(id + 1000);
        ports.push((harness.sent()[0].source, local.port()));
    }
    let steps = |of: fn(&(u16, u16)) -> u16| {
        let pairs = ports.windows(2);
        let steps = pairs.map(|pair| of(&pair[1]).wrapping_sub(of(&pair[0])));
        steps.collect::<HashSet<_>>().len()
    };
    assert!(steps(|pair| pair.0) > 80, "of streams");
    assert!(steps(|pair| pair.1) > 80, "of datagrams");
}

#[test]
fn a_reset_within_the_window_is_answered_with_what_lets_the_real_one_through() {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, next) = harness.connected(listener, 4000);
    let forged: Vec<_> = (1..BUFFER as u32).step_by(97).collect();
    let mut answers = Vec::new();
    for distance in forged {
        answers.extend(harness.send(&Segment {
            sequence: next.sequence.wrapping_add(distance),
            flags: RST,
            ..next.clone()
        }));
    }
    assert!(is_alive(&mut stream), "it was reset");
    assert_eq!(answers.len(), 1, "one answer at one time");
    assert_eq!((answers[0].flags, answers[0].sequence), (ACK, next.ack));
    let real = Segment {
        sequence: answers[0].ack,
        flags: RST,
        ..next
    };
    assert!(harness.send(&real).is_empty());
    let error = stream.read(&mut [0]).expect_err("it ended");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn resets_are_judged_by_what_came_and_was_read_since() {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, mut next) = harness.connected(listener, 4000);
    for length in [1, 1000, 3000, 7] {
        next.payload = vec![3; length];
        harness.send(&next);
        next.sequence = next.sequence.wrapping_add(length as u32);
        let mut came = vec![0; length];
        stream.read_exact(&mut came).expect("bytes");
        stream.write_all(&came).expect("room");
        harness.turn();
        for answer in harness.sent() {
            next.ack = answer.sequence.wrapping_add(answer.payload.len() as u32);
        }
        next.payload.clear();
        harness.send(&next);
        harness.now += 1_000_000;
        let answers = harness.send(&Segment {
            sequence: next.sequence.wrapping_add(1),
            flags: RST,
            ..next.clone()
        });
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].ack, next.sequence);
        assert!(is_alive(&mut stream));
    }
    harness.send(&Segment { flags: RST, ..next });
    assert_eq!(harness.engine.streams(), 0);
}

#[test]
fn a_syn_for_a_live_stream_changes_nothing_and_is_answered_once() {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, next) = harness.connected(listener, 4000);
    let mut answers = Vec::new();
    for distance in [0, 1, 1000, 1 << 31] {
        answers.extend(harness.send(&Segment {
            sequence: next.sequence.wrapping_add(distance),
            flags: SYN,
            options: vec![2, 4, 0, 48, 3, 3, 0, 0],
            ..next.clone()
        }));
    }
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].flags, answers[0].ack), (ACK, next.sequence));
    stream.write_all(&[4; 2000]).expect("room");
    harness.turn();
    let sent = harness.sent();
    assert_eq!(sent[0].size, 0x564, "as agreed on in the handshake");
    assert!(is_alive(&mut stream));
}

#[test]
fn a_segment_size_of_a_few_bytes_is_not_honoured() {
    for announced in [0, 1, 48, 215] {
        let (mut harness, listener) = Harness::listening();
        let options = vec![2, 4, 0, announced, 4, 2];
        let (mut stream, _) = harness.connected_with(listener, 4000, options);
        stream.write_all(&[4; 2000]).expect("room");
        harness.turn();
        assert_eq!(harness.sent()[0].size, 216);
    }
}

#[test]
fn data_that_was_never_sent_cannot_be_acknowledged() {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, mut next) = harness.connected(listener, 4000);
    next.window = 0;
    harness.send(&next);
    stream.write_all(b"this waits").expect("room");
    harness.turn();
    let answers = harness.send(&Segment {
        ack: next.ack.wrapping_add(10),
        ..next.clone()
    });
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].sequence, next.ack);
    next.window = 1000;
    let sent = harness.send(&next);
    assert_eq!(sent[0].payload, b"this waits");
}

#[test]
fn an_icmp_error_ends_a_connection_only_if_it_quotes_our_syn() {
    let mut harness = Harness::new();
    let (_stream, attempt) = harness.connect(1, 1_000_000_000);
    let packet = harness.packets().pop().expect("a SYN");
    let mut forged = packet[10..].to_vec();
    forged[24] ^= 1;
    harness.give(&[unreachable(&forged)]);
    assert!(attempt.outcome().is_none());
    harness.give(&[unreachable(&packet[10..])]);
    assert_eq!(attempt.outcome(), Some(Err(libc::ECONNREFUSED)));
}

/// ICMP port unreachable about a packet.
fn unreachable(quoted: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 10];
    out.extend_from_slice(&[0x45, 0]);
    out.extend_from_slice(&((28 + quoted.len()) as u16).to_be_bytes());
    out.extend_from_slice(&[0, 0, 0x40, 0, 64, 1, 0, 0]);
    out.extend_from_slice(&THEM.octets());
    out.extend_from_slice(&US.octets());
    checksum::write_ipv4_header(&mut out[10..30]);
    out.extend_from_slice(&[3, 3, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(quoted);
    let sum = !checksum::fold(checksum::sum(&out[30..]));
    out[32..34].copy_from_slice(&sum.to_be_bytes());
    out
}
