//! A host whose window stays closed for an hour, and a program that never reads.

use std::io::{ErrorKind, Read, Write};

use crate::harness::{BUFFER, Harness, Segment};

/// Write until nothing more fits, and return how many bytes were written.
fn fill(harness: &mut Harness, stream: &mut impl Write) -> usize {
    let mut written = 0;
    loop {
        match stream.write(&[5; 4096]) {
            Ok(count) => written += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                harness.turn();
                match stream.write(&[5; 4096]) {
                    Ok(count) => written += count,
                    Err(_) => return written,
                }
            }
        }
    }
}

#[test]
fn a_stream_outlives_an_hour_of_a_closed_window_at_little_cost() {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, mut next) = harness.connected(listener, 4000);
    next.window = 0;
    harness.send(&next);
    let written = fill(&mut harness, &mut stream);
    assert!(written < 16 * BUFFER, "what waits is bounded: {written}");
    let mut probes = 0;
    for _ in 0..360 {
        let sent = harness.wait(10);
        probes += sent.len();
        if !sent.is_empty() {
            harness.send(&next);
        }
    }
    assert!((60..2000).contains(&probes), "{probes} probes");
    next.window = 30_000;
    let sent = harness.send(&next);
    let came: usize = sent.iter().map(|segment| segment.payload.len()).sum();
    assert!(came > 1000, "{came} bytes as soon as there is room");
    let error = stream.read(&mut [0]).expect_err("it lives");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_program_that_never_reads_closes_the_window_and_no_more() {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, mut next) = harness.connected(listener, 4000);
    let (mut taken, mut window) = (0, 30_000);
    for _ in 0..10_000 {
        next.payload = vec![9; window.clamp(1, 1380)];
        harness.now += 1000;
        let answers = harness.send(&next);
        let waited = harness.wait(1);
        let Some(answer) = answers.iter().chain(&waited).last() else {
            continue;
        };
        taken += answer.ack.wrapping_sub(next.sequence) as usize;
        (next.sequence, window) = (answer.ack, usize::from(answer.window));
        if window == 0 {
            break;
        }
    }
    assert_eq!(window, 0);
    assert!(taken < 16 * BUFFER, "{taken} bytes are kept");
    let full = taken;
    for _ in 0..100 {
        for answer in harness.send(&next) {
            taken += answer.ack.wrapping_sub(next.sequence) as usize;
            next.sequence = answer.ack;
        }
    }
    assert!(
        taken < full + 16,
        "a unit of the window is held back, no more"
    );
    let mut came = 0;
    while let Ok(count @ 1..) = stream.read(&mut [0; 4096]) {
        came += count;
        harness.turn();
    }
    assert_eq!(came, taken);
    assert!(
        harness
            .sent()
            .last()
            .is_some_and(|update| update.window > 0)
    );
}

#[test]
fn a_host_that_vanishes_with_data_owed_ends_the_stream_in_a_quarter_of_an_hour() {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, next) = harness.connected(listener, 4000);
    stream.write_all(b"lost").expect("room");
    harness.turn();
    harness.wait(14 * 60);
    assert_eq!(harness.engine.streams(), 1);
    let sent = harness.wait(2 * 60);
    let resets = sent.iter().filter(|segment| segment.flags & 4 != 0);
    assert_eq!(resets.count(), 1);
    let error = stream.read(&mut [0]).expect_err("it ended");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    drop(next);
}

#[test]
fn a_stream_that_rests_costs_nothing_and_lives_on() {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, next) = harness.connected(listener, 4000);
    assert!(harness.wait(3600).is_empty(), "nothing is sent");
    let segment = Segment {
        payload: b"hello".to_vec(),
        ..next
    };
    harness.send(&segment);
    let mut came = [0; 5];
    stream.read_exact(&mut came).expect("bytes");
    assert_eq!(&came, b"hello");
}
