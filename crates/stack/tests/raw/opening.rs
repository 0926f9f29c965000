//! How sockets begin and end that are not connected.

use std::net::Ipv4Addr;

use crate::harness::{ACK, Harness, RST, SYN, Segment, THEM, US};

#[test]
fn a_loopback_address_is_neither_source_nor_destination_in_the_tunnel() {
    let mut harness = Harness::new();
    harness.listen_on(Ipv4Addr::UNSPECIFIED);
    let syn = Segment::syn(4000);
    for (source, destination) in [(THEM, Ipv4Addr::LOCALHOST), (Ipv4Addr::LOCALHOST, US)] {
        harness.give(&[syn.packet_between(source, destination)]);
        assert!(harness.sent().is_empty());
        assert_eq!(harness.engine.streams(), 0);
    }
    assert_eq!(harness.send(&syn)[0].flags, SYN | ACK);
}

#[test]
fn an_attempt_that_the_program_gives_up_is_forgotten() {
    let mut harness = Harness::new();
    let (stream, attempt) = harness.connect(1, 1_000_000_000);
    assert_eq!(harness.engine.streams(), 1);
    drop(stream);
    harness.turn();
    assert_eq!(harness.engine.streams(), 0);
    assert!(matches!(attempt.outcome(), Some(Err(_))));
}

#[test]
fn a_connection_whose_program_leaves_just_as_it_is_made_is_reset() {
    let mut harness = Harness::new();
    let (stream, _) = harness.connect(1, 1_000_000_000);
    let syn = harness.sent().remove(0);
    let answer = Segment {
        source: syn.destination,
        destination: syn.source,
        sequence: 1000,
        ack: syn.sequence.wrapping_add(1),
        flags: SYN | ACK,
        window: 65_000,
        ..Segment::default()
    };
    drop(stream);
    let sent = harness.send(&answer);
    assert!(sent.last().is_some_and(|last| last.flags & RST != 0));
    assert_eq!(harness.engine.streams(), 0);
}

#[test]
fn an_attempt_without_an_answer_ends_in_time() {
    let mut harness = Harness::new();
    let (_stream, attempt) = harness.connect(1, 3_000_000);
    harness.wait(2);
    assert_eq!(attempt.outcome(), None);
    harness.wait(2);
    assert_eq!(attempt.outcome(), Some(Err(libc::ETIMEDOUT)));
}

#[test]
fn a_listener_that_the_program_closes_is_one_no_more_and_its_port_is_free() {
    let (mut harness, _) = Harness::listening();
    assert_eq!(harness.send(&Segment::syn(4000))[0].flags, SYN | ACK);
    harness.stop_listening();
    harness.turn();
    assert!(harness.send(&Segment::syn(4001))[0].flags & RST != 0);
    harness.wait(1);
    assert_eq!(harness.engine.streams(), 0);
}
