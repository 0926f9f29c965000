//! Nanoseconds to checksum packets of several lengths, and to copy them: the minimum of nine rounds.
//!
//!     cargo run --release -p holloway-packet --example checksum

use std::hint::black_box;
use std::time::Instant;

use holloway_packet::checksum::sum;

const ROUNDS: usize = 9;
const PACKETS: usize = 20_000;
/// Many packets in turn, as in a batch, at any alignment.
const BUFFER: usize = 65_536;

fn main() {
    let source: Vec<u8> = (0..BUFFER + 9000).map(|at| (at * 167) as u8).collect();
    let mut copy = vec![0; 9000];
    println!("bytes  sum ns  copy ns");
    for length in [20, 40, 96, 576, 1420, 8920] {
        let summed = least(|at| {
            black_box(sum(black_box(&source[at..at + length])));
        });
        let copied = least(|at| {
            copy[..length].copy_from_slice(black_box(&source[at..at + length]));
            black_box(&mut copy);
        });
        println!("{length:5}  {summed:6.1}  {copied:7.1}");
    }
}

fn least(mut one: impl FnMut(usize)) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        for packet in 0..PACKETS {
            one(packet * 1453 % BUFFER);
        }
        start.elapsed().as_nanos() as f64 / PACKETS as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}
