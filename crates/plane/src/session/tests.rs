//! Transport sessions: sealing, opening, counters and deadlines.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use proptest::prelude::*;
use std::sync::Arc;

use super::*;
use crate::fuzz_properties::opened;
use crate::index::{Entry, IndexTable};

const HERE: [u8; 32] = [1; 32];
const THERE: [u8; 32] = [2; 32];
const INITIATOR: Deadlines = Deadlines {
    renew_on_send: 120,
    renew_on_receive: 165,
    reject: 180,
};
const RESPONDER: Deadlines = Deadlines {
    renew_on_send: u64::MAX,
    renew_on_receive: u64::MAX,
    reject: 180,
};

fn pair() -> (Session, Session) {
    let here = Session::new(10, 20, &HERE, &THERE, INITIATOR);
    let there = Session::new(20, 10, &THERE, &HERE, RESPONDER);
    (here, there)
}

fn sealed(session: &Session, now: Nanos, text: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; text.len() + OVERHEAD];
    packet[16..16 + text.len()].copy_from_slice(text);
    let counter = session.reserve(now, 1).expect("a fresh session");
    session.seal(counter, std::iter::once(&mut packet[..]));
    packet
}

proptest! {
    #[test]
    fn what_one_end_seals_the_other_opens(text in prop::collection::vec(any::<u8>(), 0..1600)) {
        let (here, there) = pair();
        for counter in 0..3 {
            let mut packet = sealed(&here, 0, &text);
            prop_assert_eq!(opened(&there, 0, &mut packet), Ok(counter));
            prop_assert_eq!(&packet[16..16 + text.len()], &text[..]);
        }
    }

    #[test]
    fn sealing_is_rfc_8439_under_the_counter(
        key: [u8; 32], counter in 0..REJECT_AFTER_MESSAGES,
        text in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let session = Session::new(1, 2, &key, &HERE, INITIATOR).with_counter(counter);
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&counter.to_le_bytes());
        let other = ChaCha20Poly1305::new(&key.into());
        let expected = other.encrypt(&Nonce::from(nonce), &text[..]).expect("short enough");
        prop_assert_eq!(&sealed(&session, 0, &text)[16..], &expected[..]);
    }

    #[test]
    fn padding_never_exceeds_the_mtu(length in 0usize..3000, mtu in 0usize..3000) {
        let padded = padded(length, mtu);
        prop_assert!(padded >= length && padded < length + 16);
        prop_assert!(padded.is_multiple_of(16) || padded == mtu || length > mtu);
        prop_assert!(mtu == 0 || padded <= mtu.max(length));
    }

    #[test]
    fn a_changed_bit_is_forgery(at: prop::sample::Index, bit in 0u8..8) {
        let (here, there) = pair();
        let mut packet = sealed(&here, 0, &[5; 64]);
        let sealed = 8..packet.len(); // the shard checks type and index
        let at = sealed.start + at.index(sealed.len());
        packet[at] ^= 1 << bit;
        let result = opened(&there, 0, &mut packet);
        prop_assert!(matches!(result, Err(Discard::Forged | Discard::Exhausted)));
    }
}

/// Made with another implementation of ChaCha20-Poly1305.
#[test]
fn a_transport_message_is_this_to_the_byte() {
    let key: [u8; 32] = std::array::from_fn(|at| at as u8);
    let text: [u8; 32] = std::array::from_fn(|at| 100 + at as u8);
    let session =
        Session::new(1, 0xdead_beef, &key, &HERE, INITIATOR).with_counter(0x0102_0304_0506_0708);
    let expected = "04000000efbeadde0807060504030201\
        942ccb83c350807308c644a3030913cb947384b3f03d3fe52b48d9226983255e\
        7317ad7324d2521f320af33aa5d33639";
    let hex: String = sealed(&session, 0, &text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hex, expected);
}

#[test]
fn an_empty_packet_is_a_keepalive_of_32_bytes() {
    let (here, there) = pair();
    let mut packet = sealed(&here, 0, &[]);
    assert_eq!(packet.len(), 32);
    assert_eq!(opened(&there, 0, &mut packet), Ok(0));
}

#[test]
fn a_message_below_32_bytes_is_truncated() {
    let (here, there) = pair();
    let mut packet = sealed(&here, 0, &[]);
    for length in 0..32 {
        assert_eq!(
            opened(&there, 0, &mut packet[..length]),
            Err(Discard::Truncated)
        );
    }
}

#[test]
fn a_replay_opens_but_is_not_accepted() {
    let (here, there) = pair();
    let packet = sealed(&here, 0, &[1; 16]);
    let accepted: Vec<bool> = (0..2)
        .map(|_| opened(&there, 0, &mut packet.clone()).expect("authentic"))
        .map(|counter| there.replay().accept(counter))
        .collect();
    assert_eq!(accepted, [true, false]);
}

#[test]
fn nothing_is_sent_or_opened_from_the_reject_time_on() {
    let (here, there) = pair();
    let mut packet = sealed(&here, 179, &[1; 16]);
    assert!(here.usable(179) && !here.usable(180));
    assert_eq!(here.reserve(180, 1), Err(Discard::Expired));
    assert_eq!(
        opened(&there, 180, &mut packet.clone()),
        Err(Discard::Expired)
    );
    assert_eq!(opened(&there, 179, &mut packet), Ok(0));
}

#[test]
fn counters_are_given_all_or_none_and_never_past_the_limit() {
    let last = REJECT_AFTER_MESSAGES;
    let session = Session::new(1, 2, &HERE, &THERE, INITIATOR).with_counter(last - 3);
    assert_eq!(session.reserve(0, 4), Err(Discard::Exhausted));
    assert_eq!(session.reserve(0, 3), Ok(last - 3));
    assert!(!session.usable(0));
    assert_eq!(session.reserve(0, 1), Err(Discard::Exhausted));
    assert_eq!(session.reserve(0, u64::MAX), Err(Discard::Exhausted));
    assert_eq!(last, u64::MAX - (1 << 13), "paper, 6.1: 2^64 - 2^13 - 1");
}

#[test]
fn a_counter_from_the_limit_on_is_not_opened() {
    let (_, there) = pair();
    let here = Session::new(10, 20, &HERE, &THERE, INITIATOR);
    for (counter, result) in [
        (REJECT_AFTER_MESSAGES - 1, Ok(REJECT_AFTER_MESSAGES - 1)),
        (REJECT_AFTER_MESSAGES, Err(Discard::Exhausted)),
        (u64::MAX, Err(Discard::Exhausted)),
    ] {
        let mut packet = vec![0; 48];
        here.seal(counter, std::iter::once(&mut packet[..]));
        assert_eq!(opened(&there, 0, &mut packet), result);
    }
}

#[test]
fn age_asks_the_initiator_alone_to_renew() {
    let (here, there) = pair();
    assert!(!here.needs_renewal_on_send(119) && here.needs_renewal_on_send(120));
    assert!(!there.needs_renewal_on_send(179));
    assert!(!there.needs_renewal_on_receive(179));
}

#[test]
fn many_messages_ask_both_roles_to_renew() {
    for deadlines in [INITIATOR, RESPONDER] {
        let session = |counter| Session::new(1, 2, &HERE, &THERE, deadlines).with_counter(counter);
        assert!(!session(REKEY_AFTER_MESSAGES).needs_renewal_on_send(0));
        assert!(session(REKEY_AFTER_MESSAGES + 1).needs_renewal_on_send(0));
    }
}

#[test]
fn receiving_asks_to_renew_once() {
    let (here, _) = pair();
    let asked: Vec<bool> = [164, 165, 166]
        .into_iter()
        .map(|now| here.needs_renewal_on_receive(now))
        .collect();
    assert_eq!(asked, [false, true, false]);
}

#[test]
fn keys_are_not_shown() {
    let shown = format!("{:?}", pair());
    assert!(
        !shown.contains("1, 1, 1") && !shown.contains("2, 2, 2"),
        "{shown}"
    );
}

#[test]
fn an_index_means_what_was_put_there_last() {
    let (here, _) = pair();
    let mut table = IndexTable::new();
    assert!(table.insert_awaiting(10, "peer").is_none());
    assert!(matches!(table.get(10), Some(Entry::Awaiting("peer"))));
    let before = table.insert_session(10, "peer", Arc::new(here));
    assert!(matches!(before, Some(Entry::Awaiting("peer"))));
    assert!(
        matches!(table.get(10), Some(Entry::Session("peer", session)) if session.local_index() == 10)
    );
    assert!(table.remove(10).is_some() && table.get(10).is_none() && table.remove(10).is_none());
}
