//! Data that comes twice, in pieces, out of order, or behind bogus options.

use std::io::Read;

use proptest::prelude::*;

use crate::harness::{FIN, Harness, PORT, Segment};

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|number| (number * 7 % 251) as u8).collect()
}

proptest! {
    // A quarter of the default, or of PROPTEST_CASES: one case takes milliseconds.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    #[test]
    fn overlapping_segments_in_any_order_give_each_byte_once(
        cuts in proptest::collection::vec((0_usize..8000, 1_usize..1200), 1..40)
    ) {
        let (mut harness, listener) = Harness::listening();
        let (mut stream, next) = harness.connected(listener, 4000);
        let text = text(8000);
        let part = |start: usize, end: usize| Segment {
            sequence: next.sequence.wrapping_add(start as u32),
            payload: text[start..end].to_vec(),
            ..next.clone()
        };
        for (start, length) in cuts {
            harness.send(&part(start, (start + length).min(text.len())));
        }
        for start in (0..text.len()).step_by(1000) {
            harness.send(&part(start, start + 1000));
        }
        let last = Segment {
            sequence: next.sequence.wrapping_add(8000),
            flags: next.flags | FIN,
            ..next.clone()
        };
        harness.send(&last);
        let mut came = Vec::new();
        stream.read_to_end(&mut came).expect("an end");
        prop_assert_eq!(came, text);
    }

    #[test]
    fn bogus_options_are_borne(
        options in proptest::collection::vec(any::<u8>(), 0..40), flags in any::<u8>()
    ) {
        let (mut harness, listener) = Harness::listening();
        let (_stream, next) = harness.connected(listener, 4000);
        let first = Segment {
            source: 4001,
            destination: PORT,
            flags,
            options: options.clone(),
            ..Segment::default()
        };
        harness.send(&first);
        harness.send(&Segment { flags, options, payload: vec![1; 100], ..next });
        harness.wait(1);
        harness.connected(listener, 4002);
    }
}
