//! Nanoseconds to seal a packet with each variant: medians of nine rounds, variants in turn.
//!
//!     cargo run --release -p holloway-aead --example speed

use std::hint::black_box;
use std::time::Instant;

use holloway_aead::{Key, TAG, Variant, nonce};

const ROUNDS: usize = 9;
const PACKETS: u64 = 10_000;

fn main() {
    println!("bytes  together  ring ns  avx2 ns  ratio  avx512 ns  ratio");
    for length in [64, 128, 576, 1420, 4000, 8920] {
        for together in [1, 2, 3, 4, 5, 6, 8, 45] {
            let [ring, avx2, wide] = medians(length, together);
            println!(
                "{length:5}  {together:8}  {ring:7.0}  {avx2:7.0}  {:5.2}  {wide:9.0}  {:5.2}",
                ring / avx2,
                ring / wide
            );
        }
    }
}

/// For each variant of this processor.
fn medians(length: usize, together: u64) -> [f64; 3] {
    let keys =
        Variant::ALL.map(|variant| variant.available().then(|| Key::with(&[7; 32], variant)));
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (key, times) in keys.iter().zip(&mut times) {
            times.push(
                key.as_ref()
                    .map_or(f64::NAN, |key| once(key, length, together)),
            );
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    })
}

fn once(key: &Key, length: usize, together: u64) -> f64 {
    let mut buffer = vec![0; (length + TAG) * together as usize];
    let start = Instant::now();
    for first in (0..PACKETS).step_by(together as usize) {
        let packets = buffer.chunks_mut(length + TAG);
        key.seal((first..).map(nonce).zip(packets));
        black_box(&mut buffer);
    }
    start.elapsed().as_nanos() as f64 / (PACKETS.div_ceil(together) * together) as f64
}
