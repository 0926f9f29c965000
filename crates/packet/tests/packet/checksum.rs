//! The fast sum against a plain implementation of RFC 1071.

use holloway_packet::checksum::{fold, sum};

use crate::packets::{payload, plain_sum};

/// Ones' complement has two zeros: both are equal to each other, and to no other sum.
fn same(bytes: &[u8]) -> bool {
    let (fast, plain) = (fold(sum(bytes)), plain_sum(&[bytes]));
    fast % 0xffff == plain % 0xffff && (fast == 0) == (plain == 0)
}

#[test]
fn every_length_at_every_alignment_gives_the_plain_sum() {
    let bytes = payload(1700, 7);
    for length in 0..=1500 {
        for start in 0..32 {
            assert!(same(&bytes[start..start + length]), "{length} from {start}");
        }
    }
}

#[test]
fn extreme_bytes_give_the_plain_sum() {
    for fill in [0x00, 0xff, 0x80, 0x7f] {
        for length in [0, 1, 2, 3, 31, 32, 33, 1420, 65_534, 65_535] {
            assert!(same(&vec![fill; length]), "{length} of {fill:#x}");
        }
    }
}

#[test]
fn parts_of_even_length_may_be_added_in_any_order() {
    let bytes = payload(1421, 3);
    for at in (0..=1420).step_by(2) {
        let (one, other) = bytes.split_at(at);
        assert_eq!(fold(sum(other) + sum(one)), fold(sum(&bytes)), "{at}");
    }
}
