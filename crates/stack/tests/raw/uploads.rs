//! Uploads over a path that loses segments, to a host that acknowledges selectively.

use std::collections::{BTreeSet, VecDeque};
use std::io::Write;
use std::os::unix::net::UnixStream;

use proptest::prelude::*;

use crate::harness::{ACK, Harness, Segment};

const SIZE: u32 = 1380;
const TEXT: usize = 400_000;
const WINDOW: usize = 60_000;

/// The other side: what it has received, and what it answers.
struct Receiver {
    next: Segment,
    first: u32,
    text: Vec<Option<u8>>,
    done: usize,
    /// How many segments came that it had already.
    again: usize,
}

impl Receiver {
    fn new(next: Segment, length: usize) -> Self {
        Self {
            first: next.ack,
            next,
            text: vec![None; length],
            done: 0,
            again: 0,
        }
    }

    /// Receive what was sent, cut into segments, but for those that `loses` picks. Returns its answers.
    fn receive(
        &mut self,
        sent: Vec<Segment>,
        mut loses: impl FnMut(usize) -> bool,
    ) -> Vec<Segment> {
        let mut answers = Vec::new();
        for packet in sent {
            assert!(packet.size == 0 || u32::from(packet.size) == SIZE);
            for (number, part) in packet.payload.chunks(SIZE as usize).enumerate() {
                let sequence = packet.sequence.wrapping_add(number as u32 * SIZE);
                let at = sequence.wrapping_sub(self.first) as usize;
                if loses(at) {
                    continue;
                }
                let places = &self.text[at..at + part.len()];
                self.again += usize::from(places.iter().all(Option::is_some));
                for (place, byte) in self.text[at..].iter_mut().zip(part) {
                    assert!(place.is_none_or(|before| before == *byte));
                    *place = Some(*byte);
                }
                answers.push(self.answer(at));
            }
        }
        answers
    }

    fn answer(&mut self, at: usize) -> Segment {
        while self.text.get(self.done).is_some_and(Option::is_some) {
            self.done += 1;
        }
        let number = |offset: usize| self.first.wrapping_add(offset as u32);
        let mut blocks = Vec::new();
        if at > self.done {
            blocks.push(at);
        }
        let last = self.text.len().min(self.done + WINDOW);
        let is_start = |at: &usize| self.text[*at].is_some() && self.text[at - 1].is_none();
        let starts = (self.done + 1..last).filter(is_start);
        blocks.extend(starts.take(2));
        let mut options = vec![1, 1, 5, 2 + 8 * blocks.len() as u8];
        for start in &blocks {
            let end = (*start..last)
                .find(|&at| self.text[at].is_none())
                .unwrap_or(last);
            let back = (self.done..*start)
                .rev()
                .find(|&at| self.text[at].is_none());
            options.extend(number(back.map_or(self.done, |at| at + 1)).to_be_bytes());
            options.extend(number(end).to_be_bytes());
        }
        if blocks.is_empty() {
            options.clear();
        }
        Segment {
            ack: number(self.done),
            flags: ACK,
            window: WINDOW as u16,
            options,
            ..self.next.clone()
        }
    }
}

fn text() -> Vec<u8> {
    (0..TEXT).map(|at| (at * 7 % 251) as u8).collect()
}

/// Upload the text, a round trip at a time. Returns how many round trips it took, and how many
/// segments came twice.
fn upload(mut loses: impl FnMut(usize) -> bool) -> (usize, usize) {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, next) = harness.connected(listener, 4000);
    let (text, mut written) = (text(), 0);
    let mut receiver = Receiver::new(next, TEXT);
    for round in 0..3000 {
        written += write(&mut stream, &text[written..]);
        harness.turn();
        let sent = harness.sent();
        let answers = receiver.receive(sent, &mut loses);
        harness.now += 20_000;
        let packets: Vec<_> = answers.iter().map(Segment::packet).collect();
        harness.give(&packets);
        if receiver.done == TEXT {
            let came: Vec<_> = receiver.text.iter().flatten().copied().collect();
            assert_eq!(came, text);
            return (round, receiver.again);
        }
    }
    panic!("{} bytes came", receiver.done);
}

/// Upload for four seconds over a path with a round trip of 20 ms that carries a segment a millisecond, and holds
/// `queue` segments before. Returns how many segments came and how many it dropped.
fn through_a_bottleneck(queue: usize) -> (usize, usize) {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, next) = harness.connected(listener, 4000);
    let mut receiver = Receiver::new(next, 4100 * SIZE as usize);
    let (mut waiting, mut answers) = (VecDeque::new(), VecDeque::new());
    let (mut dropped, mut written) = (0, 0);
    let text = vec![7; receiver.text.len()];
    for millisecond in 0..4000 {
        harness.now += 1000;
        written += write(&mut stream, &text[written..]);
        while answers.front().is_some_and(|(at, _)| *at <= millisecond)
            && let Some((_, answer)) = answers.pop_front()
        {
            harness.give(&[Segment::packet(&answer)]);
        }
        harness.turn();
        for packet in harness.sent() {
            for (number, part) in packet.payload.chunks(SIZE as usize).enumerate() {
                let segment = Segment {
                    sequence: packet.sequence.wrapping_add(number as u32 * SIZE),
                    payload: part.to_vec(),
                    ..packet.clone()
                };
                if waiting.len() < queue {
                    waiting.push_back(segment);
                } else {
                    dropped += 1;
                }
            }
        }
        let one = waiting.pop_front().into_iter().collect();
        let came = receiver.receive(one, |_| false);
        answers.extend(came.into_iter().map(|answer| (millisecond + 20, answer)));
    }
    (receiver.done / SIZE as usize, dropped)
}

fn write(stream: &mut UnixStream, text: &[u8]) -> usize {
    let mut written = 0;
    while let Ok(count @ 1..) = stream.write(&text[written..]) {
        written += count;
    }
    written
}

#[test]
fn many_losses_in_one_window_are_mended_in_a_round_trip() {
    let (undisturbed, _) = upload(|_| false);
    let (mut lost, mut number) = (BTreeSet::new(), 0);
    let (rounds, again) = upload(|at| {
        number += 1;
        at > 100_000 && at < 160_000 && number % 5 == 0 && lost.insert(at)
    });
    assert!(lost.len() > 5, "{} are lost", lost.len());
    assert_eq!(again, 0, "nothing is sent again that came");
    assert!(rounds < undisturbed + 8, "{undisturbed} {rounds}");
}

#[test]
fn a_retransmission_that_is_lost_too_does_not_wait_for_the_timer() {
    let (undisturbed, _) = upload(|_| false);
    let mut lost = Vec::new();
    let (rounds, again) = upload(|at| {
        let is_lost = at > 138_000 && lost.len() < 3 && lost.iter().all(|&lost| lost == at);
        lost.extend(is_lost.then_some(at));
        is_lost
    });
    assert_eq!((lost.len(), again), (3, 0));
    // The timer would take ten round trips at least.
    assert!(rounds < undisturbed + 8, "{undisturbed} {rounds}");
}

#[test]
fn one_lost_segment_in_a_hundred_costs_no_timeout() {
    let mut state = 1_u32;
    let (rounds, again) = upload(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16 & 127 == 0
    });
    assert_eq!(again, 0, "nothing is sent again that came");
    assert!(rounds < 60, "{rounds} round trips");
}

#[test]
fn a_queue_that_overflows_makes_the_window_shrink() {
    for queue in [3, 10, 20] {
        let (came, dropped) = through_a_bottleneck(queue);
        assert!(came > 3000, "{came} of 4000 with {queue}");
        assert!(dropped < came / 25, "{dropped} of {came} with {queue}");
    }
}

#[test]
fn after_a_silence_one_segment_is_sent_and_not_a_window() {
    let (mut harness, listener) = Harness::listening();
    let (mut stream, next) = harness.connected(listener, 4000);
    let mut receiver = Receiver::new(next, TEXT);
    let mut text = text();
    text.truncate(100_000);
    write(&mut stream, &text);
    harness.turn();
    let sent = harness.sent();
    let whole: usize = sent.iter().map(|sent| sent.payload.len()).sum();
    assert_eq!(whole, 13_800, "ten segments");
    let mut again = Vec::new();
    while again.is_empty() {
        again = harness.wait(1);
    }
    assert_eq!(again[0].payload.len(), 1380);
    assert_eq!(again[0].sequence, sent[0].sequence);
    let answers = receiver.receive(again, |_| false);
    harness.give(&answers.iter().map(Segment::packet).collect::<Vec<_>>());
    let sent = harness.sent();
    assert!(sent.iter().map(|sent| sent.payload.len()).sum::<usize>() <= 2 * 1380);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 16))]

    #[test]
    fn all_comes_unchanged_whatever_is_lost(seed in any::<u64>(), of in 5_u64..40) {
        let mut state = seed | 1;
        upload(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % of == 0
        });
    }

    #[test]
    fn bogus_acknowledgements_are_borne(
        answers in proptest::collection::vec(
            (any::<i32>(), any::<u16>(), proptest::collection::vec(any::<(i16, i16)>(), 0..4)), 1..60
        )
    ) {
        let (mut harness, listener) = Harness::listening();
        let (mut stream, next) = harness.connected(listener, 4000);
        let text = text();
        let mut written = 0;
        for (ack, window, blocks) in answers {
            written += write(&mut stream, &text[written..]);
            let mut options = vec![1, 1, 5, 2 + 8 * blocks.len() as u8];
            for (start, end) in blocks {
                for edge in [start, end] {
                    options.extend(next.ack.wrapping_add_signed(i32::from(edge)).to_be_bytes());
                }
            }
            harness.now += 50_000;
            let answer = Segment {
                ack: next.ack.wrapping_add_signed(ack % 40_000),
                window,
                options,
                ..next.clone()
            };
            for sent in harness.send(&answer) {
                let at = sent.sequence.wrapping_sub(next.ack) as usize;
                let known = &text[at.min(TEXT)..];
                prop_assert_eq!(&known[..sent.payload.len()], &sent.payload[..]);
            }
        }
    }
}
