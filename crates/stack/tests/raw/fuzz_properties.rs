//! What must hold for any packets: tests check it for some, the fuzz target for many.

use std::io::Write;

use super::harness::{Harness, PORT};

/// Packets as the plane could send them, while a connection is established: nothing panics, nothing grows,
/// and the next connection works.
pub fn packets(bytes: &[u8]) {
    let (mut harness, listener) = Harness::listening();
    // With the largest segments, selective acknowledgements and scaled windows.
    let options = vec![2, 4, 5, 0x64, 4, 2, 3, 3, 7];
    let (mut stream, next) = harness.connected_with(listener, 4000, options);
    for piece in bytes.split(|&byte| byte == 0xA5).take(64) {
        let raw = [&[0; 10], piece].concat();
        harness.give(&[piece.to_vec(), raw]);
        harness.now += 1_000_000;
        let _ = stream.write(&[7; 9000]);
        if let [flags, window, distance, rest @ ..] = piece {
            let mut segment = next.clone();
            segment.flags = *flags;
            segment.window = u16::from(*window) << 8;
            segment.sequence = segment.sequence.wrapping_add(u32::from(*distance) * 97);
            segment.ack = segment.ack.wrapping_add(u32::from(*window) * 64);
            let options = rest.len().min(40);
            segment.options = rest[..options].to_vec();
            segment.payload = rest[options..].to_vec();
            harness.send(&segment);
        }
    }
    assert!(harness.engine.streams() <= 300);
    harness.wait(1);
    harness.connected(listener, PORT + 40_000);
}

#[cfg(test)]
#[path = "../../../../fuzz/seeds.rs"]
mod seeds;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn the_stored_inputs_hold() {
        super::seeds::replay("stack", super::packets);
    }

    proptest! {
        #[test]
        fn any_packets_are_borne(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            super::packets(&bytes);
        }
    }
}
