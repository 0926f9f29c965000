//! Arbitrary bytes never cause a panic: the properties of the fuzz targets on random inputs.

use proptest::prelude::*;

use crate::packets::{ACK, Flow, flow, payload};
use crate::{fuzz_properties, seeds};

fn garbage() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

/// Changes that leave a packet almost valid.
fn scratches() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)
}

fn scratch(bytes: &mut [u8], scratches: &[(prop::sample::Index, u8)]) {
    for (index, bits) in scratches {
        let at = index.index(bytes.len().min(80));
        bytes[at] ^= bits;
    }
}

fn batch(flow: &Flow, size: usize) -> Vec<u8> {
    let packets = flow.packets(&payload(size * 5 - 1, 1), size, false);
    packets
        .iter()
        .flat_map(|packet| [&(packet.len() as u16).to_le_bytes(), &packet[..]].concat())
        .collect()
}

#[test]
fn the_stored_inputs_hold() {
    seeds::replay("ip", fuzz_properties::ip);
    seeds::replay("split", fuzz_properties::split_any);
    seeds::replay("coalesce", fuzz_properties::coalesce);
}

proptest! {
    #[test]
    fn no_bytes_break_the_reading_of_inner_packets(bytes in garbage(), first: bool) {
        let mut bytes = bytes;
        if let Some(version) = bytes.first_mut() {
            *version = if first { 0x45 } else { 0x60 };
        }
        fuzz_properties::ip(&bytes);
    }

    #[test]
    fn no_bytes_break_splitting(
        bytes in garbage(), flow in flow(), size in 1u16..200, scratches in scratches(),
    ) {
        fuzz_properties::split_any(&bytes);
        let packet = flow.large(ACK, &payload(900, 1));
        let mut bytes = [&flow.vnet(size.into()).to_bytes()[..], &packet].concat();
        scratch(&mut bytes, &scratches);
        fuzz_properties::split_any(&bytes);
    }

    #[test]
    fn no_bytes_break_coalescing(
        bytes in garbage(), flow in flow(), size in 2usize..200, scratches in scratches(),
    ) {
        fuzz_properties::coalesce(&bytes);
        let mut bytes = batch(&flow, size);
        scratch(&mut bytes[2..], &scratches);
        fuzz_properties::coalesce(&bytes);
    }
}
