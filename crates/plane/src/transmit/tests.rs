//! Sending through a socket with errors: nothing is sent twice or out of order, and all losses are counted.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use crate::endpoint::Local;
use crate::session::{Deadlines, Session};
use proptest::prelude::*;

use super::*;

/// The result of a send: an errno, or None for success.
type Answer = Option<i32>;

/// A socket with scripted results; after the script all sends succeed.
struct Scripted {
    answers: RefCell<VecDeque<Answer>>,
    waits: bool,
    segments: Cell<bool>,
    attempts: Cell<usize>,
    sent: RefCell<Vec<Vec<u8>>>,
}

impl Scripted {
    fn new(answers: &[Answer], waits: bool) -> Self {
        Self {
            answers: RefCell::new(answers.iter().copied().collect()),
            waits,
            segments: Cell::new(true),
            attempts: Cell::new(0),
            sent: RefCell::default(),
        }
    }
}

impl DatagramSender for Scripted {
    fn send(&self, _: &Endpoint, _: u8, data: &[u8], segment: usize) -> io::Result<()> {
        self.attempts.set(self.attempts.get() + 1);
        assert!(
            data.len() <= full_train(segment),
            "longer than one send may be"
        );
        assert!(self.segments.get() || data.len() <= segment);
        if let Some(errno) = self.answers.borrow_mut().pop_front().flatten() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let datagrams = data.chunks(segment).map(<[u8]>::to_vec);
        self.sent.borrow_mut().extend(datagrams);
        Ok(())
    }

    fn send_many(&self, trains: &[OutgoingTrain<'_>]) -> io::Result<usize> {
        assert!(1 < trains.len() && trains.len() <= MAX_TRAINS);
        for (number, train) in trains.iter().enumerate() {
            match self.send(&train.to, train.class, train.data, train.segment) {
                Err(error) if number == 0 => return Err(error),
                Err(_) => return Ok(number),
                Ok(()) => {}
            }
        }
        Ok(trains.len())
    }

    fn gso_enabled(&self) -> bool {
        self.segments.get()
    }

    fn disable_gso(&self) {
        self.segments.set(false);
    }

    fn writable(&self, _: i32) -> bool {
        self.waits
    }
}

fn destination(peer: &Arc<Peer>, sticky: bool) -> Destination {
    let deadlines = Deadlines {
        renew_on_send: u64::MAX,
        renew_on_receive: u64::MAX,
        reject: u64::MAX,
    };
    let mut endpoint = Endpoint::parse("192.0.2.1", 51820).expect("an address");
    if sticky {
        endpoint.local = Some(Local {
            address: [192, 0, 2, 2].into(),
            interface: 1,
        });
    }
    Destination {
        peer: peer.clone(),
        session: Arc::new(Session::new(1, 2, &[1; 32], &[2; 32], deadlines)),
        endpoint,
    }
}

/// Trains of numbered datagrams, with the given counts and lengths, to peers in turn.
fn queue(shapes: &[(usize, usize)], peers: &[Arc<Peer>], sticky: bool) -> (Vec<u8>, Vec<Queued>) {
    let (mut data, mut queue, mut number) = (vec![], vec![], 0_u32);
    for (turn, &(count, segment)) in shapes.iter().enumerate() {
        let start = data.len();
        for _ in 0..count.min(full_train(segment) / segment) {
            data.extend(number.to_be_bytes());
            data.resize(data.len() + segment - 4, 0);
            number += 1;
        }
        queue.push(Queued {
            destination: destination(&peers[turn % peers.len()], sticky),
            range: start..data.len(),
            segment,
            class: 0,
        });
    }
    (data, queue)
}

fn answer() -> impl Strategy<Value = Answer> {
    let errors = vec![
        libc::ENOBUFS,
        libc::EMSGSIZE,
        libc::EAGAIN,
        libc::EINTR,
        libc::EIO,
        libc::EINVAL,
        libc::EPERM,
        libc::ENETUNREACH,
        libc::EOPNOTSUPP,
    ];
    prop_oneof![Just(None), prop::sample::select(errors).prop_map(Some)]
}

proptest! {
    #[test]
    fn every_datagram_leaves_once_and_in_order_or_is_counted(
        shapes in prop::collection::vec((1usize..80, 32usize..1500), 1..40),
        answers in prop::collection::vec(answer(), 0..60),
        waits: bool, sticky: bool,
    ) {
        let shared = Shared::new(1420, 1, None).expect("descriptors");
        let peers = [1, 2].map(|id| Arc::new(Peer::new(id, &[9; 32])));
        let (data, mut queue) = queue(&shapes, &peers, sticky);
        let given: usize = queue.iter().map(|one| one.range.len() / one.segment).sum();
        let sender = Scripted::new(&answers, waits);
        deliver(&shared, &sender, &mut queue, &data, 0);
        let sent = sender.sent.into_inner();
        let numbers: Vec<&[u8]> = sent.iter().map(|datagram| &datagram[..4]).collect();
        prop_assert!(numbers.is_sorted_by(|one, next| one < next), "twice, or out of order");
        let bytes: usize = sent.iter().map(Vec::len).sum();
        prop_assert_eq!(peers.iter().map(|peer| peer.traffic().1).sum::<u64>(), bytes as u64);
        let lost = shared.discards.snapshot()[Discard::SendFailed as usize];
        prop_assert_eq!(sent.len() as u64 + lost, given as u64);
        prop_assert!(lost == 0 || !answers.is_empty());
    }
}

fn outcome(shapes: &[(usize, usize)], answers: &[Answer], waits: bool) -> (Scripted, u64) {
    let shared = Shared::new(1420, 1, None).expect("descriptors");
    let (data, mut queue) = queue(shapes, &[Arc::new(Peer::new(1, &[9; 32]))], false);
    let sender = Scripted::new(answers, waits);
    deliver(&shared, &sender, &mut queue, &data, 0);
    let lost = shared.discards.snapshot()[Discard::SendFailed as usize];
    (sender, lost)
}

#[test]
fn a_storm_of_eagain_loses_what_could_not_wait_and_ends() {
    let storm = vec![Some(libc::EAGAIN); 1000];
    let (sender, lost) = outcome(&[(3, 100); 50], &storm, false);
    assert_eq!((sender.sent.into_inner().len(), lost), (0, 150));
    assert!(sender.attempts.get() <= 2 * 50, "{}", sender.attempts.get());
    let (sender, lost) = outcome(&[(3, 100); 50], &storm, true);
    assert_eq!((sender.sent.into_inner().len(), lost), (0, 150));
    assert!(sender.attempts.get() <= 3 * 50);
}

#[test]
fn a_full_queue_below_costs_one_train_each_time() {
    let (sender, lost) = outcome(&[(5, 100); 4], &[Some(libc::ENOBUFS); 2], false);
    assert_eq!((sender.sent.into_inner().len(), lost), (15, 5));
}

#[test]
fn a_train_that_a_device_cannot_cut_goes_datagram_by_datagram() {
    let (sender, lost) = outcome(&[(40, 1452); 3], &[Some(libc::EIO), Some(libc::EIO)], false);
    assert!(!sender.segments.get());
    assert_eq!((sender.sent.into_inner().len(), lost), (120, 0));
}

#[test]
fn a_datagram_that_is_too_long_for_the_path_does_not_stop_those_after_it() {
    let answers = [
        Some(libc::EMSGSIZE),
        Some(libc::EMSGSIZE),
        None,
        Some(libc::EMSGSIZE),
    ];
    let (sender, lost) = outcome(&[(3, 1000), (3, 1000)], &answers, false);
    assert!(
        sender.segments.get(),
        "a train may be too long, the next is not"
    );
    assert_eq!((sender.sent.into_inner().len(), lost), (5, 1));
}

#[test]
fn a_full_train_is_as_long_as_one_send_may_be() {
    assert_eq!(full_train(1452), 45 * 1452);
    assert_eq!(full_train(32), MAX_SEGMENTS * 32);
    assert_eq!(full_train(60_000), 60_000);
    assert_eq!(full_train(65_507), 65_507);
}

#[test]
fn a_source_is_doubted_only_where_there_is_one_and_a_train_before_it() {
    let chosen = Endpoint::parse("192.0.2.1", 1).expect("an address");
    let local = Some(Local {
        address: [192, 0, 2, 2].into(),
        interface: 1,
    });
    let sticky = Endpoint { local, ..chosen };
    let of = |several, to| Refusal::of(libc::EINVAL, several, to);
    assert!(matches!(of(true, &sticky), Refusal::Train(_)));
    assert!(matches!(of(false, &sticky), Refusal::Source(_)));
    assert!(matches!(of(false, &chosen), Refusal::Final(_)));
    assert!(matches!(
        Refusal::of(libc::EPERM, true, &sticky),
        Refusal::Final(libc::EPERM)
    ));
}
