//! Every variant against ring, RFC 8439 and Wycheproof.

use std::process::Command;

use holloway_aead::{Group, Key, Nonce, TAG, VARIANT, Variant, nonce};
use proptest::prelude::*;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce as RingNonce, UnboundKey};

/// The variants of this processor, including ring.
fn variants() -> impl Iterator<Item = Variant> {
    Variant::ALL
        .into_iter()
        .filter(|variant| variant.available())
}

/// The ciphertext and tag that ring computes.
fn expected(key: &[u8; 32], counter: u64, text: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("a key"));
    let nonce = RingNonce::assume_unique_for_key(nonce(counter));
    let mut sealed = text.to_vec();
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)
        .expect("sealed");
    sealed
}

fn seal(key: &Key, packets: &mut [(u64, Vec<u8>)]) {
    for (_, packet) in packets.iter_mut() {
        packet.extend_from_slice(&[0xaa; TAG]);
    }
    key.seal(
        packets
            .iter_mut()
            .map(|(counter, packet)| (nonce(*counter), &mut packet[..])),
    );
}

fn open(key: &Key, packets: &mut [(u64, Vec<u8>)]) -> Vec<bool> {
    open_each(
        key,
        packets
            .iter_mut()
            .map(|(counter, packet)| (nonce(*counter), &mut packet[..])),
    )
}

fn open_each<'a>(key: &Key, packets: impl Iterator<Item = (Nonce, &'a mut [u8])>) -> Vec<bool> {
    let (mut group, mut authentic) = (Group::new(), Vec::new());
    for (nonce, packet) in packets {
        if !group.takes(packet.len()) {
            key.open(&mut group, |good| authentic.push(good));
        }
        group.push(nonce, packet);
    }
    key.open(&mut group, |good| authentic.push(good));
    authentic
}

/// Bytes that differ from one another, from a seed.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(step).take(length).collect()
}

fn check(variant: Variant, key: &[u8; 32], texts: &[(u64, Vec<u8>)]) {
    let cipher = Key::with(key, variant);
    let mut packets = texts.to_vec();
    seal(&cipher, &mut packets);
    for ((counter, text), (_, sealed)) in texts.iter().zip(&packets) {
        assert_eq!(
            *sealed,
            expected(key, *counter, text),
            "{variant:?}, {}",
            text.len()
        );
    }
    assert!(open(&cipher, &mut packets).iter().all(|good| *good));
    for ((_, text), (_, opened)) in texts.iter().zip(&packets) {
        assert_eq!(text, &opened[..text.len()]);
    }
}

#[test]
fn every_length_up_to_1500_gives_the_same_bytes_as_ring() {
    let key: [u8; 32] = bytes(1, 32).try_into().expect("32 bytes");
    for variant in variants() {
        for length in 0..=1500 {
            // A full group, which all variants process themselves, and fewer or more packets.
            for count in [8, 1 + length as u64 % 10] {
                let texts: Vec<_> = (0..count)
                    .map(|number| (number << 40 | 7, bytes(length as u64 + number, length)))
                    .collect();
                check(variant, &key, &texts);
            }
        }
    }
}

#[test]
fn the_longest_datagrams_give_the_same_bytes_as_ring() {
    let key: [u8; 32] = bytes(2, 32).try_into().expect("32 bytes");
    for variant in variants() {
        for length in [9000, 65_000, 65_475] {
            let texts: Vec<_> = (0..4).map(|n| (u64::MAX - n, bytes(n, length))).collect();
            check(variant, &key, &texts);
        }
    }
}

/// Accumulators beyond 2^130 - 5 and full limbs, so that carries of Poly1305 propagate all the way.
#[test]
fn extreme_texts_give_the_same_bytes_as_ring() {
    for variant in variants() {
        for fill in [0x00, 0xff] {
            for key in [[0; 32], [0xff; 32]] {
                // The plaintext is the key stream or its complement, so that the ciphertext is extreme.
                let stream = expected(&key, 3, &[0; 1500]);
                let text: Vec<_> = stream[..1500].iter().map(|byte| byte ^ fill).collect();
                let texts: Vec<_> = (0..8).map(|_| (3, text.clone())).collect();
                check(variant, &key, &texts);
            }
        }
    }
}

proptest! {
    #[test]
    fn mixed_runs_give_the_same_bytes_as_ring(
        key in any::<[u8; 32]>(),
        shapes in prop::collection::vec((any::<u64>(), prop_oneof![0..200_usize, Just(1420)]), 0..40),
        same in any::<bool>(),
    ) {
        let texts: Vec<_> = shapes
            .iter()
            .map(|(counter, length)| (*counter, bytes(*counter, if same { 96 } else { *length })))
            .collect();
        for variant in variants() {
            check(variant, &key, &texts);
        }
    }

    #[test]
    fn a_changed_bit_is_found_and_only_there(
        count in 1..20_usize, length in 0..300_usize, victim in any::<prop::sample::Index>(),
        bit in any::<prop::sample::Index>(),
    ) {
        for variant in variants() {
            let key = Key::with(&[7; 32], variant);
            let mut packets: Vec<_> = (0..count as u64).map(|n| (n, bytes(n, length))).collect();
            seal(&key, &mut packets);
            let victim = victim.index(count);
            let bit = bit.index(8 * (length + TAG));
            packets[victim].1[bit / 8] ^= 1 << (bit % 8);
            let authentic = open(&key, &mut packets);
            prop_assert!(authentic.iter().enumerate().all(|(n, good)| *good == (n != victim)));
        }
    }
}

/// Wycheproof's vectors without additional data, including the invalid ones.
#[test]
fn wycheproofs_vectors_hold() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::ChaCha20Poly1305)
        .expect("the set");
    let tests = set.test_groups.into_iter().flat_map(|group| group.tests);
    let mut seen = 0;
    for test in tests.filter(|test| test.aad.is_empty() && test.nonce.len() == 12) {
        let key: [u8; 32] = test.key.to_vec().try_into().expect("32 bytes");
        let nonce: Nonce = test.nonce.to_vec().try_into().expect("12 bytes");
        let good = test.result != wycheproof::TestResult::Invalid;
        seen += 1;
        for variant in variants() {
            // Eight packets form a group.
            let mut packets = vec![[&test.ct[..], &test.tag[..]].concat(); 8];
            let each = packets.iter_mut().map(|packet| (nonce, &mut packet[..]));
            let authentic = open_each(&Key::with(&key, variant), each);
            assert_eq!(authentic, [good; 8], "{variant:?}, vector {}", test.tc_id);
            if good {
                assert_eq!(packets[7][..test.pt.len()], test.pt[..]);
            }
        }
    }
    assert!(seen > 40, "{seen} vectors");
}

/// RFC 8439, 2.4.2: the text whose key stream starts with block 1, as in this construction.
#[test]
fn the_rfcs_example_is_encrypted_as_printed() {
    let key: [u8; 32] = std::array::from_fn(|at| at as u8);
    let nonce: Nonce = [0, 0, 0, 0, 0, 0, 0, 0x4a, 0, 0, 0, 0];
    let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for \
                 the future, sunscreen would be it.";
    for variant in variants() {
        let mut packets = vec![[&text[..], &[0; TAG]].concat(); 8];
        Key::with(&key, variant).seal(packets.iter_mut().map(|p| (nonce, &mut p[..])));
        for packet in packets {
            assert_eq!(
                packet[..8],
                [0x6e, 0x2e, 0x35, 0x9a, 0x25, 0x68, 0xf9, 0x80]
            );
            assert_eq!(packet[112..114], [0x87, 0x4d]);
        }
    }
}

#[test]
fn each_variant_can_be_named_and_else_the_fastest_is_chosen() {
    let fastest = variants().last().expect("ring at least");
    for variant in variants() {
        assert_eq!(Variant::of(Some(variant.name())), variant);
    }
    for name in [None, Some(""), Some("none such")] {
        assert_eq!(Variant::of(name), fastest);
    }
}

/// The variant is chosen once per process, so this test runs itself in a process for each name.
#[test]
fn the_environment_variable_pins_a_variant() {
    if let Ok(name) = std::env::var(VARIANT) {
        assert_eq!(Variant::chosen(), Variant::of(Some(&name)));
        println!("chosen: {}", Variant::chosen().name());
        return;
    }
    let this = std::env::current_exe().expect("this program");
    for variant in variants() {
        let output = Command::new(&this)
            .args([
                "--exact",
                "--nocapture",
                "the_environment_variable_pins_a_variant",
            ])
            .env(VARIANT, variant.name())
            .output()
            .expect("a process");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let chosen = format!("chosen: {}\n", variant.name());
        assert!(output.status.success() && said.contains(&chosen), "{said}");
    }
}
