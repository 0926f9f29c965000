//! Nanoseconds a packet to seal, each variant, in turn, medians of nine rounds.
//!
//!     cargo run --release -p holloway-aead --example speed

use std::hint::black_box;
use std::time::Instant;

use holloway_aead::{Key, TAG, Variant, nonce};

const ROUNDS: usize = 9;
const PACKETS: u64 = 20_000;

fn main() {
    println!("bytes  together  ring ns  avx512 ns  ratio");
    for length in [64, 128, 576, 1420] {
        for together in [1, 2, 3, 8, 45] {
            let [ring, wide] = medians(length, together);
            println!(
                "{length:5}  {together:8}  {ring:7.0}  {wide:9.0}  {:5.2}",
                ring / wide
            );
        }
    }
}

/// Of ring and, where there is one, of the other variant.
fn medians(length: usize, together: u64) -> [f64; 2] {
    let variants = [Variant::Ring, Variant::Avx512];
    let keys = variants.map(|variant| variant.available().then(|| Key::with(&[7; 32], variant)));
    let mut times = [const { Vec::new() }; 2];
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
