//! Floods of half-open connections, and forged resets.

use std::io::{ErrorKind, Read};

use holloway_stack::listener::MAX_HALF_OPEN;

use crate::harness::{ACK, Harness, RST, Segment};

#[test]
fn a_flood_of_half_open_connections_is_bounded_and_lets_others_through() {
    let (mut harness, listener) = Harness::listening();
    for source in 1..30_000 {
        harness.give(&[Segment::syn(source).packet()]);
        harness.sent();
    }
    assert_eq!(harness.engine.streams(), MAX_HALF_OPEN);
    harness.connected(listener, 50_000);
    harness.wait(60);
    assert!(harness.engine.streams() <= 1, "they are forgotten in time");
}

#[test]
fn connections_that_nobody_accepts_fill_the_backlog_only() {
    let (mut harness, _) = Harness::listening();
    for source in 1..200 {
        if let Some(answer) = harness.send(&Segment::syn(source)).pop() {
            harness.send(&Segment {
                sequence: 8,
                ack: answer.sequence.wrapping_add(1),
                flags: ACK,
                ..Segment::syn(source)
            });
        }
    }
    assert_eq!(harness.engine.streams(), 16);
}

#[test]
fn resets_beside_the_window_change_nothing_and_one_within_ends_the_stream() {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, next) = harness.connected(listener, 4000);
    for number in 0..10_000_u32 {
        let reset = Segment {
            sequence: next
                .sequence
                .wrapping_sub(2 + number * 100_003 % 1_000_000_000),
            flags: RST,
            ..next.clone()
        };
        harness.give(&[reset.packet()]);
    }
    assert!(harness.sent().is_empty(), "a reset is never answered");
    let error = stream.read(&mut [0]).expect_err("nothing came");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let reset = Segment { flags: RST, ..next };
    harness.send(&reset);
    let error = stream.read(&mut [0]).expect_err("it ended");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(harness.engine.streams(), 0);
}

#[test]
fn a_segment_for_nobody_is_answered_with_a_reset() {
    let mut harness = Harness::new();
    let answers = harness.send(&Segment::syn(4000));
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].flags, RST | ACK);
    assert_eq!(answers[0].ack, 8);
}
