//! Many connections that are not meant, and resets out of nowhere.

use std::io::{ErrorKind, Read};

use holloway_stack::listener::MAX_HALF_OPEN;

use crate::side::{ACK, PORT, RST, SYN, Segment, Side};

fn syn(source: u16) -> Segment {
    Segment {
        source,
        destination: PORT,
        sequence: 7,
        flags: SYN,
        window: 1000,
        ..Segment::default()
    }
}

#[test]
fn a_flood_of_half_open_connections_is_bounded_and_lets_others_through() {
    let (mut side, listener) = Side::listening();
    for source in 1..30_000 {
        side.give(&[syn(source).packet()]);
        side.sent();
    }
    assert_eq!(side.engine.streams(), MAX_HALF_OPEN);
    side.connected(listener, 50_000);
    side.wait(60);
    assert!(side.engine.streams() <= 1, "they are forgotten in time");
}

#[test]
fn connections_that_nobody_accepts_fill_the_backlog_only() {
    let (mut side, _) = Side::listening();
    for source in 1..200 {
        if let Some(answer) = side.send(&syn(source)).pop() {
            side.send(&Segment {
                sequence: 8,
                ack: answer.sequence.wrapping_add(1),
                flags: ACK,
                ..syn(source)
            });
        }
    }
    assert_eq!(side.engine.streams(), 16);
}

#[test]
fn resets_beside_the_window_change_nothing_and_one_within_ends_the_stream() {
    let (mut side, listener) = Side::listening();
    let (mut stream, next) = side.connected(listener, 4000);
    for number in 0..10_000_u32 {
        let reset = Segment {
            sequence: next
                .sequence
                .wrapping_sub(2 + number * 100_003 % 1_000_000_000),
            flags: RST,
            ..next.clone()
        };
        side.give(&[reset.packet()]);
    }
    assert!(side.sent().is_empty(), "a reset is never answered");
    let error = stream.read(&mut [0]).expect_err("nothing came");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let reset = Segment { flags: RST, ..next };
    side.send(&reset);
    let error = stream.read(&mut [0]).expect_err("it ended");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(side.engine.streams(), 0);
}

#[test]
fn a_segment_for_nobody_is_answered_with_a_reset() {
    let mut side = Side::new();
    let answers = side.send(&syn(4000));
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].flags, RST | ACK);
    assert_eq!(answers[0].ack, 8);
}
