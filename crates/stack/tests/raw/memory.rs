//! Peers that want the stack to hold as much as they can make it hold.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use holloway_stack::orphans::MAX_ORPHANS;

use crate::harness::{ACK, FIN, Harness, PORT, RST, SYN, Segment};

const BUFFER: usize = 1 << 20;
const MEMORY: usize = 4 << 20;
/// What a socket pair may hold before the program reads.
const PAIR: usize = 64 * 1024;

/// The other side of a connection, which sends whenever it may.
struct Sender {
    next: Segment,
    /// The number after the last one that it may send.
    edge: u32,
    first: u32,
}

impl Sender {
    fn connect(harness: &mut Harness, listener: u64, source: u16) -> (UnixStream, Self) {
        let (stream, next) = harness.connected(listener, source);
        let (first, edge) = (next.sequence, next.sequence.wrapping_add(4096));
        (stream, Self { next, edge, first })
    }

    /// Send at most one segment. False if nothing was accepted.
    fn send(&mut self, harness: &mut Harness) -> bool {
        let room = self.edge.wrapping_sub(self.next.sequence) as usize;
        let first = self.next.sequence.wrapping_sub(self.first) as usize;
        self.next.payload = (first..first + room.clamp(1, 1380)).map(byte).collect();
        harness.send(&self.next);
        harness.now += 20_000;
        harness.turn();
        let before = self.next.sequence;
        for answer in harness.sent() {
            self.answered(&answer);
        }
        self.next.sequence != before
    }

    fn answered(&mut self, answer: &Segment) {
        if answer.destination == self.next.source {
            self.next.sequence = answer.ack;
            self.edge = answer.ack.wrapping_add(u32::from(answer.window));
        }
    }

    fn accepted(&self) -> usize {
        self.next.sequence.wrapping_sub(self.first) as usize
    }
}

fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

/// Read all there is.
fn drain(stream: &mut UnixStream) -> Vec<u8> {
    let (mut all, mut part) = (Vec::new(), [0; 65_536]);
    while let Ok(count @ 1..) = stream.read(&mut part) {
        all.extend_from_slice(&part[..count]);
    }
    all
}

#[test]
fn connections_that_nobody_reads_share_the_budget_and_leave_room_for_one_that_is_read() {
    let mut harness = Harness::with(BUFFER, MEMORY);
    let listener = harness.listen();
    let mut hoarders: Vec<_> = (0..60)
        .map(|number| Sender::connect(&mut harness, listener, 4000 + number))
        .collect();
    for _ in 0..120 {
        for (_, sender) in &mut hoarders {
            sender.send(&mut harness);
        }
    }
    let held: usize = hoarders.iter().map(|(_, sender)| sender.accepted()).sum();
    assert!(held < MEMORY / 2 + 60 * PAIR, "{held} bytes are held");
    assert!(held > MEMORY / 4, "{held} bytes: the budget is used");

    let (mut stream, mut reader) = Sender::connect(&mut harness, listener, 5000);
    let mut came = Vec::new();
    for _ in 0..1000 {
        reader.send(&mut harness);
        came.extend(drain(&mut stream));
        harness.turn();
    }
    assert!(came.len() > 200_000, "{} bytes", came.len());
    assert!((0..came.len()).all(|at| came[at] == byte(at)));

    for (stream, sender) in &mut hoarders {
        let mut all = Vec::new();
        for _ in 0..400 {
            all.extend(drain(stream));
            harness.turn();
            harness
                .sent()
                .iter()
                .for_each(|answer| sender.answered(answer));
            sender.send(&mut harness);
        }
        assert!(all.len() > 300_000, "{} bytes: it goes on", all.len());
        assert!((0..all.len()).all(|at| all[at] == byte(at)));
    }
}

#[test]
fn what_comes_beyond_the_window_is_not_accepted() {
    let mut harness = Harness::with(BUFFER, MEMORY);
    let listener = harness.listen();
    let (_stream, mut sender) = Sender::connect(&mut harness, listener, 4000);
    while sender.send(&mut harness) {}
    let held = sender.accepted();
    assert!((60_000..64 * 1024 + PAIR).contains(&held), "{held}");
    for _ in 0..1000 {
        sender.edge = sender.next.sequence.wrapping_add(60_000);
        assert!(!sender.send(&mut harness));
    }
}

#[test]
fn gaps_do_not_hold_up_what_closes_them_though_the_budget_is_used_up() {
    let mut harness = Harness::with(BUFFER, MEMORY);
    let listener = harness.listen();
    let mut streams: Vec<_> = (0..60)
        .map(|number| harness.connected(listener, 4000 + number))
        .collect();
    for (_, next) in &streams {
        for at in (1380..60_000).step_by(1380) {
            harness.send(&Segment {
                sequence: next.sequence.wrapping_add(at),
                payload: (at as usize..at as usize + 1380).map(byte).collect(),
                ..next.clone()
            });
        }
    }
    for (stream, next) in &mut streams {
        let mut all = Vec::new();
        for _ in 0..100 {
            next.payload = (all.len()..all.len() + 1380).map(byte).collect();
            for answer in harness.send(next) {
                next.sequence = answer.ack;
            }
            all.extend(drain(stream));
            harness.now += 20_000;
            harness.turn();
            all.extend(drain(stream));
            for answer in harness.sent() {
                next.sequence = answer.ack;
            }
        }
        assert!(all.len() > 100_000, "{}", all.len());
        assert!((0..all.len()).all(|at| all[at] == byte(at)));
    }
}

#[test]
fn a_peer_that_takes_nothing_holds_little_of_what_the_program_writes() {
    let mut harness = Harness::with(BUFFER, MEMORY);
    let listener = harness.listen();
    let (mut stream, mut next) = harness.connected(listener, 4000);
    next.window = 0;
    harness.send(&next);
    let mut written = 0;
    for _ in 0..1000 {
        match stream.write(&[5; 4096]) {
            Ok(count) => written += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        harness.turn();
    }
    assert!(written < BUFFER, "{written} bytes");
}

#[test]
fn more_streams_than_the_budget_has_room_for_are_refused() {
    let mut harness = Harness::with(BUFFER, 64 * 1024);
    let listener = harness.listen();
    let streams: Vec<_> = (0..8)
        .map(|number| harness.connected(listener, 4000 + number))
        .collect();
    let syn = Segment {
        source: 5000,
        destination: PORT,
        flags: SYN,
        ..Segment::default()
    };
    assert!(harness.send(&syn).is_empty());
    let (_stream, attempt) = harness.connect(1, 1_000_000);
    assert_eq!(attempt.outcome(), Some(Err(libc::ENOBUFS)));
    for (_, next) in streams {
        harness.send(&Segment { flags: RST, ..next });
    }
    assert_eq!(harness.send(&syn).len(), 1);
}

#[test]
fn connections_that_the_program_closed_are_bounded() {
    let mut harness = Harness::with(BUFFER, 128 << 20);
    let listener = harness.listen();
    let (mut kept, _) = harness.connected(listener, 1);
    let mut resets = 0;
    for number in 0..MAX_ORPHANS as u16 + 50 {
        let (mut stream, _) = harness.connected(listener, 2000 + number);
        stream.write_all(b"nobody acknowledges this").expect("room");
        drop(stream);
        harness.turn();
        let sent = harness.sent();
        resets += sent.iter().filter(|sent| sent.flags & RST != 0).count();
    }
    assert_eq!(harness.engine.streams(), MAX_ORPHANS + 1);
    assert_eq!(resets, 50);
    let error = kept.read(&mut [0]).expect_err("it lives");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn only_progress_keeps_a_connection_that_the_program_closed() {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, mut next) = harness.connected(listener, 4000);
    stream.write_all(&[1; 3000]).expect("room");
    drop(stream);
    harness.turn();
    for _ in 0..5 {
        next.ack = next.ack.wrapping_add(100);
        harness.send(&next);
        harness.wait(50);
    }
    assert_eq!(harness.engine.streams(), 1, "it makes progress");
    for _ in 0..7 {
        harness.send(&next);
        harness.wait(10);
    }
    assert_eq!(harness.engine.streams(), 0, "it makes none");
    assert_eq!(next.flags & (FIN | ACK), ACK);
}
