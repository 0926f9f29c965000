//! When the kernel turns senders away, and whom, over the loopback interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::*;
use crate::mmsg::{STRIDE, Slots};

const KEYS: [u32; 2] = [0x9e37_79b1, 0x85eb_ca6b];
/// The beginning of the low half's turn.
const START: Nanos = 1000 * TURN;

/// Let a queue overflow by `drops` in the interval before `now`.
fn overflow(alternation: &mut Alternation, now: Nanos, drops: u32) {
    let before = alternation.dropped;
    alternation.decide(now - INTERVAL, || before);
    alternation.decide(now, || before.wrapping_add(drops));
}

#[test]
fn everybody_may_write_while_few_are_dropped() {
    let mut alternation = Alternation::default();
    alternation.decide(START, || 1_000_000);
    assert_eq!(alternation.admitted, None, "all of its past");
    overflow(&mut alternation, START + SECOND, MANY - 1);
    assert_eq!(alternation.admitted, None);
    alternation.decide(START + 60 * SECOND, || 2_000_000);
    assert_eq!(alternation.admitted, None, "in a minute");
}

#[test]
fn each_half_has_its_turn_and_then_everybody() {
    let mut alternation = Alternation::default();
    overflow(&mut alternation, START + 2 * SECOND, MANY);
    let mut turns = vec![];
    for tenth in 20..120 {
        alternation.decide(START + tenth * INTERVAL, || 5000);
        turns.push(alternation.admitted);
    }
    turns.dedup();
    assert_eq!(turns, [Some(Half::Low), Some(Half::High), None]);
    overflow(&mut alternation, START + 13 * SECOND, MANY);
    assert_eq!(alternation.admitted, Some(Half::Low), "it still overflows");
}

#[test]
fn what_was_turned_away_is_no_overflow() {
    let mut alternation = Alternation::default();
    overflow(&mut alternation, START, MANY);
    alternation.decide(START + 2 * TURN, || 5_000_000);
    alternation.decide(START + 2 * TURN + INTERVAL, || 5_000_010);
    assert_eq!(alternation.admitted, None);
}

/// Whether a socket accepts a datagram from an address.
fn accepts(socket: &Udp, from: IpAddr) -> bool {
    let sender = UdpSocket::bind(SocketAddr::from((from, 0))).expect("a socket");
    let to = socket.address().expect("an address").port();
    let loopback = match from {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    sender.send_to(&[1], (loopback, to)).expect("it is sent");
    let (mut slots, mut buffer) = (Slots::new(), vec![0; STRIDE]);
    slots.receive(socket, &mut buffer, |_, _| {}).is_ok()
}

#[test]
fn an_address_is_in_one_half() {
    let socket = Udp::bind((Ipv4Addr::UNSPECIFIED, 0).into(), 0).expect("a port");
    let senders: Vec<IpAddr> = (1..65).map(|last| [127, 0, 1, last].into()).collect();
    let mut accepted = [0; 2];
    let mut dropped = 0;
    for &sender in &senders {
        let found = [Half::Low, Half::High].map(|half| {
            admit(Some(half), &socket, KEYS).expect("a program");
            accepts(&socket, sender)
        });
        assert_ne!(found[0], found[1], "{sender}");
        accepted[usize::from(found[1])] += 1;
        dropped += 1;
        assert_eq!(socket.dropped().expect("figures"), dropped);
    }
    assert!(accepted.iter().all(|&count| count >= 20), "{accepted:?}");
    admit(None, &socket, KEYS).expect("no program");
    assert!(senders.iter().all(|&sender| accepts(&socket, sender)));
}

#[test]
fn so_is_an_ipv6_address() {
    let socket = Udp::bind((Ipv6Addr::UNSPECIFIED, 0).into(), 0).expect("a port");
    for (half, accepted) in [(Half::Low, true), (Half::High, false)] {
        admit(Some(half), &socket, KEYS).expect("a program");
        let found = accepts(&socket, Ipv6Addr::LOCALHOST.into());
        assert_eq!(
            found, accepted,
            "the first 64 bits of ::1 are zero: {half:?}"
        );
    }
}
