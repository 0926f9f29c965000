//! Macs, cookies and rate limits, in both directions.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::*;
use crate::cookie_checker::{CookieChecker, Random, Verdict};
use crate::cookie_generator::CookieGenerator;
use crate::discard::Discard;

const MINUTE: Nanos = 60 * SECOND;
const START: Nanos = 1000 * SECOND;
/// The vectors below were computed with Python's hashlib and cryptography, and HChaCha20 by hand.
const MAC1: &str = "587ee861cac9f3321842115b411f9904";
const MAC2: &str = "1da1fc4a930414cde1ef537693aa7bd2";
const MAC2_IPV6: &str = "c9fe22bf901614a1b4b4acbdffc20b26";
const REPLY: &str = "0300000001020304555555555555555555555555555555555555555555555555\
    9ec2a4a8e3c55a0be1335553fc2adc9210e1b36e9f65242dcc45a08cb857789d";

fn public_key() -> [u8; 32] {
    std::array::from_fn(|at| at as u8)
}

/// A Noise response with sender index 0x04030201.
fn response() -> Vec<u8> {
    let mut message = vec![2, 0, 0, 0, 1, 2, 3, 4];
    message.extend(8..60);
    message
}

fn initiation() -> Vec<u8> {
    let mut message = vec![7; 116];
    message[..4].copy_from_slice(&[1, 0, 0, 0]);
    message
}

/// A source of random bytes that are constant within a call and differ between calls.
fn counting() -> Random {
    let mut calls = 0x53;
    Box::new(move |bytes| {
        calls += 1;
        bytes.fill(calls);
    })
}

fn checker_with(random: Random) -> CookieChecker {
    let mut checker = CookieChecker::new(random);
    checker.set_identity(Some(&public_key()));
    checker
}

fn checker() -> CookieChecker {
    checker_with(Box::new(|bytes| bytes.fill(0x55)))
}

fn home() -> SocketAddr {
    ([192, 0, 2, 7], 51820).into()
}

fn with_macs(generator: &mut CookieGenerator, now: Nanos, bare: &[u8]) -> Vec<u8> {
    let mut message = vec![0xff; bare.len() + MACS];
    generator.add_macs(now, bare, &mut message);
    message
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A generator with a cookie from this checker for `from`.
fn with_cookie(checker: &mut CookieChecker, now: Nanos, from: &SocketAddr) -> CookieGenerator {
    let mut generator = CookieGenerator::new(&public_key());
    let message = with_macs(&mut generator, now, &initiation());
    let Verdict::Reply(reply) = checker.check(now, &message, from, true) else {
        panic!("under load a message without mac2 is answered");
    };
    assert_eq!(generator.consume_reply(now, &reply), Ok(true));
    generator
}

#[test]
fn mac1_is_this_to_the_byte_and_mac2_zero_without_a_cookie() {
    let message = with_macs(&mut CookieGenerator::new(&public_key()), START, &response());
    assert_eq!(message[..60], response());
    assert_eq!(hex(&message[60..76]), MAC1);
    assert_eq!(message[76..], [0; 16]);
}

#[test]
fn the_cookie_reply_is_this_to_the_byte() {
    let message = with_macs(&mut CookieGenerator::new(&public_key()), START, &response());
    let Verdict::Reply(reply) = checker().check(START, &message, &home(), true) else {
        panic!("no reply");
    };
    assert_eq!(hex(&reply), REPLY);
}

#[test]
fn mac2_covers_address_and_port_to_the_byte() {
    let ipv6: SocketAddr = "[2001:db8::1]:51820".parse().expect("an address");
    for (from, mac2) in [(home(), MAC2), (ipv6, MAC2_IPV6)] {
        let mut checker = checker();
        let mut generator = CookieGenerator::new(&public_key());
        let first = with_macs(&mut generator, START, &response());
        let Verdict::Reply(reply) = checker.check(START, &first, &from, true) else {
            panic!("no reply");
        };
        assert_eq!(generator.consume_reply(START, &reply), Ok(true));
        let second = with_macs(&mut generator, START, &response());
        assert_eq!(hex(&second[76..]), mac2);
        assert_eq!(checker.check(START, &second, &from, true), Verdict::Pass);
    }
}

#[test]
fn without_load_mac1_is_enough() {
    for bare in [initiation(), response()] {
        let message = with_macs(&mut CookieGenerator::new(&public_key()), START, &bare);
        assert_eq!(
            checker().check(START, &message, &home(), false),
            Verdict::Pass
        );
    }
}

#[test]
fn a_changed_bit_before_mac2_fails_mac1() {
    let message = with_macs(&mut CookieGenerator::new(&public_key()), START, &response());
    for at in 4..76 {
        let mut changed = message.clone();
        changed[at] ^= 0x10;
        let verdict = checker().check(START, &changed, &home(), true);
        assert_eq!(verdict, Verdict::Discard(Discard::BadMac1), "byte {at}");
    }
}

#[test]
fn sizes_types_and_reserved_bytes_are_exact() {
    let good = with_macs(
        &mut CookieGenerator::new(&public_key()),
        START,
        &initiation(),
    );
    let mut checker = checker();
    let mut check = |message: &[u8]| checker.check(START, message, &home(), false);
    assert_eq!(check(&good[..3]), Verdict::Discard(Discard::Truncated));
    assert_eq!(check(&good[..147]), Verdict::Discard(Discard::UnknownType));
    assert_eq!(
        check(&[&good[..], &[0]].concat()),
        Verdict::Discard(Discard::UnknownType)
    );
    for at in 0..4 {
        let mut odd = good.clone();
        odd[at] ^= 2;
        assert_eq!(
            check(&odd),
            Verdict::Discard(Discard::UnknownType),
            "byte {at}"
        );
    }
}

#[test]
fn without_an_identity_nothing_passes() {
    let message = with_macs(&mut CookieGenerator::new(&public_key()), START, &response());
    let mut checker = checker();
    checker.set_identity(None);
    for under_load in [false, true] {
        let verdict = checker.check(START, &message, &home(), under_load);
        assert_eq!(verdict, Verdict::Discard(Discard::NoIdentity));
    }
}

#[test]
fn a_message_for_another_key_fails_mac1() {
    let message = with_macs(&mut CookieGenerator::new(&[9; 32]), START, &response());
    let verdict = checker().check(START, &message, &home(), false);
    assert_eq!(verdict, Verdict::Discard(Discard::BadMac1));
}

#[test]
fn a_cookie_is_good_for_its_address_and_port_only() {
    let mut checker = checker_with(counting());
    let mut generator = with_cookie(&mut checker, START, &home());
    let message = with_macs(&mut generator, START, &initiation());
    let mut check = |from: SocketAddr| checker.check(START, &message, &from, true);
    assert_eq!(check(home()), Verdict::Pass);
    assert!(matches!(
        check(([192, 0, 2, 7], 51821).into()),
        Verdict::Reply(_)
    ));
    assert!(matches!(
        check(([192, 0, 2, 8], 51820).into()),
        Verdict::Reply(_)
    ));
}

#[test]
fn an_address_is_the_same_on_an_ipv6_socket() {
    let mut checker = checker_with(counting());
    let mut generator = with_cookie(&mut checker, START, &home());
    let message = with_macs(&mut generator, START, &initiation());
    let mapped = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped(), 51820));
    assert_eq!(checker.check(START, &message, &mapped, true), Verdict::Pass);
}

#[test]
fn the_secret_changes_after_two_minutes() {
    let mut checker = checker_with(counting());
    let mut generator = with_cookie(&mut checker, START, &home());
    let now = START + 2 * MINUTE;
    let message = with_macs(&mut generator, now - 1, &initiation());
    assert_eq!(
        checker.check(now - 1, &message, &home(), true),
        Verdict::Pass
    );
    assert!(matches!(
        checker.check(now, &message, &home(), true),
        Verdict::Reply(_)
    ));
}

#[test]
fn a_cookie_is_forgotten_after_two_minutes() {
    let mut generator = with_cookie(&mut checker(), START, &home());
    let now = START + 2 * MINUTE;
    assert_ne!(
        with_macs(&mut generator, now - 1, &response())[76..],
        [0; 16]
    );
    assert_eq!(with_macs(&mut generator, now, &response())[76..], [0; 16]);
    assert_eq!(
        with_macs(&mut generator, now - 1, &response())[76..],
        [0; 16],
        "it is gone for good"
    );
}

#[test]
fn a_message_is_answered_by_one_cookie_reply() {
    let mut checker = checker_with(counting());
    let mut generator = CookieGenerator::new(&public_key());
    let message = with_macs(&mut generator, START, &response());
    let mut reply = || match checker.check(START, &message, &home(), true) {
        Verdict::Reply(reply) => reply,
        other => panic!("{other:?}"),
    };
    let (first, second) = (reply(), reply());
    assert_eq!(generator.consume_reply(START, &first), Ok(true));
    assert_eq!(
        generator.consume_reply(START, &first),
        Err(Discard::BadCookieReply)
    );
    assert_eq!(
        generator.consume_reply(START, &second),
        Err(Discard::BadCookieReply)
    );
}

#[test]
fn a_cookie_reply_to_an_older_message_or_a_forged_one_is_refused() {
    let mut checker = checker_with(counting());
    let mut generator = CookieGenerator::new(&public_key());
    let message = with_macs(&mut generator, START, &response());
    let Verdict::Reply(reply) = checker.check(START, &message, &home(), true) else {
        panic!("no reply");
    };
    let mut newer = CookieGenerator::new(&public_key());
    let _ = with_macs(&mut newer, START, &initiation());
    assert_eq!(
        newer.consume_reply(START, &reply),
        Err(Discard::BadCookieReply)
    );
    for at in (0..4).chain(8..64) {
        let mut forged = reply;
        forged[at] ^= 1;
        let result = generator.consume_reply(START, &forged);
        assert_eq!(result, Err(Discard::BadCookieReply), "byte {at}");
    }
    assert_eq!(
        generator.consume_reply(START, &reply[..63]),
        Err(Discard::BadCookieReply)
    );
    assert_eq!(
        generator.consume_reply(START, &reply),
        Ok(true),
        "forgeries cost nothing"
    );
}

/// How many of `times` handshakes pass under load, with one each `every`.
fn passed(checker: &mut CookieChecker, from: SocketAddr, times: u64, every: Nanos) -> usize {
    let mut generator = with_cookie(checker, START, &from);
    let message = with_macs(&mut generator, START, &initiation());
    let check = |turn| checker.check(START + turn * every, &message, &from, true);
    (0..times)
        .map(check)
        .filter(|verdict| *verdict == Verdict::Pass)
        .count()
}

#[test]
fn under_load_an_address_may_shake_hands_five_times_at_once() {
    assert_eq!(passed(&mut checker(), home(), 100, 0), 5);
}

#[test]
fn under_load_an_address_may_shake_hands_twenty_times_a_second() {
    assert_eq!(passed(&mut checker(), home(), 200, SECOND / 20), 200);
    assert_eq!(passed(&mut checker(), home(), 1000, SECOND / 100), 5 + 199);
}

#[test]
fn addresses_of_one_ipv6_network_share_a_limit_and_others_do_not() {
    let mut checker = checker();
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    assert_eq!(passed(&mut checker, address("[2001:db8::1]:1"), 10, 0), 5);
    assert_eq!(passed(&mut checker, address("[2001:db8::2]:1"), 10, 0), 0);
    assert_eq!(
        passed(&mut checker, address("[2001:db8:0:1::1]:1"), 10, 0),
        5
    );
    assert_eq!(passed(&mut checker, home(), 10, 0), 5);
}

#[test]
fn a_limit_holds_while_thousands_of_other_addresses_come() {
    let mut checker = checker();
    assert_eq!(passed(&mut checker, home(), 10, 0), 5);
    for number in 0..900u32 {
        let address = Ipv4Addr::from_bits(0x0a00_0000 + 256 * number);
        assert_eq!(passed(&mut checker, (address, 1).into(), 1, 0), 1);
    }
    assert_eq!(passed(&mut checker, home(), 10, 0), 0);
}

#[test]
fn the_addresses_of_a_network_share_a_limit() {
    let mut checker = checker();
    let network = |number: u32| SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + number), 1));
    let total: usize = (0..256)
        .map(|number| passed(&mut checker, network(number), 1, 0))
        .sum();
    assert_eq!(total, 50);
    assert_eq!(
        passed(&mut checker, network(256), 1, 0),
        1,
        "the next network"
    );
    let v6 = |high: u128, low: u128| SocketAddr::from((Ipv6Addr::from_bits(high << 64 | low), 1));
    let total: usize = (0..256)
        .map(|number| passed(&mut checker, v6(0x2001_0db8_0000_0000 + number, 1), 1, 0))
        .sum();
    assert_eq!(total, 50);
    assert_eq!(passed(&mut checker, v6(0x2001_0db8_0001_0000, 1), 1, 0), 1);
}

#[test]
fn secrets_are_not_shown() {
    let generator = with_cookie(&mut checker(), START, &home());
    assert_eq!(
        format!("{:?} {generator:?}", checker()),
        "CookieChecker(hidden) CookieGenerator(hidden)"
    );
}
