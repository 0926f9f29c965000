//! Many trains in one system call, between sockets of the loopback interface.

use std::net::Ipv4Addr;

use super::*;
use crate::interface;
use crate::udp::MAX_PAYLOAD;

struct Pair {
    here: Udp,
    there: Udp,
    slots: Slots,
    buffer: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        let any = (Ipv4Addr::UNSPECIFIED, 0).into();
        let bound = || Udp::bind(any, 0).expect("a port");
        Self {
            here: bound(),
            there: bound(),
            slots: Slots::new(),
            buffer: vec![0; SLOTS * STRIDE],
        }
    }

    fn from(&self) -> &Udp {
        &self.here
    }

    fn to(&self) -> Endpoint {
        let port = self.there.address().expect("an address").port();
        Endpoint::new((Ipv4Addr::LOCALHOST, port).into())
    }

    /// The trains of one receive of at most `most`.
    fn receive(&mut self, most: usize) -> io::Result<Vec<(Train, Vec<u8>)>> {
        let mut found = vec![];
        let count = self.slots.receive(
            &self.there,
            &mut self.buffer[..most * STRIDE],
            |at, train| {
                found.push((at, train.expect("a sender")));
            },
        )?;
        assert_eq!(count, found.len());
        let data = |(at, train): (usize, Train)| {
            let bytes = self.buffer[at..at + train.length].to_vec();
            (train, bytes)
        };
        Ok(found.into_iter().map(data).collect())
    }
}

fn outgoing(to: Endpoint, data: &[u8], segment: usize) -> OutgoingTrain<'_> {
    OutgoingTrain {
        to,
        class: 1,
        data,
        segment,
    }
}

#[test]
fn trains_of_different_peers_and_lengths_leave_and_arrive_in_order() {
    let mut pair = Pair::new();
    let data: Vec<Vec<u8>> = (0..MAX_TRAINS as u8)
        .map(|number| vec![number; 40 + 10 * usize::from(number)])
        .collect();
    let to = pair.to();
    let trains: Vec<_> = data.iter().map(|data| outgoing(to, data, 2000)).collect();
    assert_eq!(send(pair.from(), &trains).expect("sent"), MAX_TRAINS);
    let arrived = pair.receive(SLOTS).expect("received");
    assert_eq!(arrived.len(), MAX_TRAINS);
    for ((train, bytes), data) in arrived.iter().zip(&data) {
        assert_eq!(bytes, data);
        assert_eq!(
            (train.segment, train.class, train.truncated),
            (data.len(), 1, false)
        );
        assert_eq!(
            train.from.remote.port(),
            pair.here.address().expect("an address").port()
        );
        let local = train.from.local.expect("a local address");
        assert_eq!(local.address, Ipv4Addr::LOCALHOST);
        assert_eq!(Some(local.interface), interface::index_of("lo"));
    }
}

#[test]
fn a_train_arrives_with_the_length_of_its_datagrams() {
    let mut pair = Pair::new();
    let (one, other) = ([vec![1; 1000], vec![2; 900]].concat(), vec![3; 500]);
    let trains = [
        outgoing(pair.to(), &one, 1000),
        outgoing(pair.to(), &other, 500),
    ];
    assert_eq!(send(pair.from(), &trains).expect("sent"), 2);
    let arrived = pair.receive(SLOTS).expect("received");
    let bytes: Vec<u8> = arrived
        .iter()
        .flat_map(|(_, bytes)| bytes.clone())
        .collect();
    assert_eq!(bytes, [one, other].concat());
    for (train, bytes) in arrived {
        assert!(train.segment == 1000 || bytes.len() <= train.segment);
    }
}

#[test]
fn the_longest_datagram_arrives_whole_and_touches_no_other() {
    let mut pair = Pair::new();
    let data = [vec![1; 50], vec![2; MAX_PAYLOAD], vec![3; 60]];
    let to = pair.to();
    let trains: Vec<_> = data
        .iter()
        .map(|data| outgoing(to, data, MAX_PAYLOAD))
        .collect();
    assert_eq!(send(pair.from(), &trains).expect("sent"), 3);
    let arrived = pair.receive(SLOTS).expect("received");
    let bytes: Vec<_> = arrived.into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(bytes, data);
}

#[test]
fn what_has_no_slot_waits_for_the_next_receive() {
    let mut pair = Pair::new();
    let data: Vec<Vec<u8>> = (1..=9)
        .map(|number| vec![number; 30 + usize::from(number)])
        .collect();
    let to = pair.to();
    let trains: Vec<_> = data.iter().map(|data| outgoing(to, data, 100)).collect();
    assert_eq!(send(pair.from(), &trains).expect("sent"), 9);
    let counts = [4, 4, 1].map(|_| pair.receive(4).expect("received").len());
    assert_eq!(counts, [4, 4, 1]);
    let nothing = pair.receive(4).expect_err("nothing is left");
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_train_that_is_refused_stops_those_behind_it_and_says_why_when_it_is_the_first() {
    let pair = Pair::new();
    let too_long = vec![0; MAX_PAYLOAD + 1];
    let (good, bad) = (
        outgoing(pair.to(), &[7; 40], 40),
        outgoing(pair.to(), &too_long, too_long.len()),
    );
    assert_eq!(
        send(pair.from(), &[good, good, bad, good]).expect("sent"),
        2
    );
    let error = send(pair.from(), &[bad, good]).expect_err("the first is too long");
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
}
