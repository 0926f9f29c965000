//! Whether the time of a comparison of secret bytes depends on them (dudect: Reparaz, Balasch and
//! Verbauwhede, 2017).
//!
//!     make timing    or, for other than a million measurements each:
//!     cargo run --release -p holloway-plane --example timing --features fuzzing -- MEASUREMENTS
//!
//! Each check is measured with two classes of wrong bytes, in random order: in one class all bytes but the
//! last are right, in the other they are random. A comparison that ends at the first wrong byte takes longer
//! for the first class. Welch's t-test says whether the means differ, over all measurements and over those
//! below several percentiles, because interrupts make a few very long. |t| above 4.5 is suspicious, above 10
//! it is a leak. The last line is a comparison that leaks, to show that a leak would be seen.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use holloway_aead::{Group, Key, TAG, Variant, nonce};
use holloway_plane::fuzz_properties::MacCheck;

const MEASUREMENTS: usize = 1_000_000;
const LEAK: f64 = 10.0;
/// The parts of the measurements that are compared, the shortest first.
const PARTS: [f64; 6] = [0.5, 0.7, 0.9, 0.97, 0.99, 1.0];

type Bytes = [u8; 16];

fn main() -> ExitCode {
    let count = std::env::args().nth(1);
    let count = count.map_or(MEASUREMENTS, |text| text.parse().expect("a number"));
    let mut leaks = false;
    println!(
        "{:24} {:>9} {:>9} {:>7}",
        "comparison", "ns, 15", "ns, 0", "max |t|"
    );
    let mut mac = MacCheck::new();
    let [mac1, mac2] = mac.macs();
    leaks |= judge("mac1", count, mac1, |given| mac.check(&[*given, mac2]));
    leaks |= judge("mac2", count, mac2, |given| mac.check(&[mac1, *given]));
    for variant in Variant::ALL
        .into_iter()
        .filter(|variant| variant.available())
    {
        let mut tag = TagCheck::new(variant);
        let right = tag.right;
        let name = format!("tag, {variant:?}");
        leaks |= judge(&name, count, right, |given| tag.check(given));
    }
    let right = black_box([7; 16]);
    let control = judge("control: leaks", count, right, |given| {
        ends_early(given, &right)
    });
    if leaks || !control {
        println!("There is a leak, or the control shows none.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Five packets of one length, the last with the tag in question: enough for the vector code.
struct TagCheck {
    key: Key,
    right: Bytes,
    sealed: [[u8; 64 + TAG]; 5],
}

impl TagCheck {
    fn new(variant: Variant) -> Self {
        let key = Key::with(&[7; 32], variant);
        let mut sealed = [[9; 64 + TAG]; 5];
        key.seal(
            (0..)
                .map(nonce)
                .zip(sealed.iter_mut().map(|packet| &mut packet[..])),
        );
        let right = *sealed[4].last_chunk().expect("a tag");
        Self { key, right, sealed }
    }

    fn check(&mut self, tag: &Bytes) -> bool {
        let mut packets = self.sealed;
        packets[4][64..].copy_from_slice(tag);
        let mut group = Group::new();
        for (number, packet) in packets.iter_mut().enumerate() {
            group.push(nonce(number as u64), packet);
        }
        let mut authentic = 0;
        self.key.open(&mut group, |is_authentic| {
            authentic += u8::from(is_authentic)
        });
        authentic == 5
    }
}

/// What no check of secret bytes may be.
#[inline(never)]
fn ends_early(given: &Bytes, right: &Bytes) -> bool {
    for (given, right) in given.iter().zip(right) {
        if black_box(given) != black_box(right) {
            return false;
        }
    }
    true
}

/// Measure a check, print the result, and return whether its time depends on the bytes.
fn judge(name: &str, count: usize, right: Bytes, mut check: impl FnMut(&Bytes) -> bool) -> bool {
    assert!(check(&right), "{name} refuses what is right");
    let mut random = Random(Instant::now().elapsed().as_nanos() as u64 | 0x9e37_79b9_7f4a_7c15);
    let mut times = [const { Vec::new() }; 2];
    for number in 0..count + count / 10 {
        // Both classes are prepared by the same instructions: what is left of them in the processor
        // would be measured too.
        let class = (random.next() >> 63) as usize;
        let noise = (u128::from(random.next()) << 64 | u128::from(random.next())) >> 8;
        let mask = (class as u128).wrapping_neg();
        let wrong = u128::from_le_bytes(right) ^ (noise & mask) ^ 0x55 << 120;
        let given = black_box(wrong.to_le_bytes());
        let start = Instant::now();
        let accepted = check(black_box(&given));
        let time = start.elapsed().as_nanos() as f64;
        assert!(!black_box(accepted));
        if number >= count / 10 {
            times[class].push(time); // the first ones warm up caches
        }
    }
    let mut all: Vec<f64> = times.concat();
    all.sort_by(f64::total_cmp);
    let greatest = PARTS.map(|part| {
        let limit = all[((all.len() as f64 * part) as usize).min(all.len() - 1)];
        let [first, second] = [0, 1].map(|class| Sample::of(&times[class], limit));
        first.welch(&second).abs()
    });
    let t = greatest.into_iter().fold(0.0, f64::max);
    let [first, second] = [0, 1].map(|class| Sample::of(&times[class], f64::INFINITY).mean);
    println!("{name:24} {first:9.1} {second:9.1} {t:7.2}");
    t >= LEAK
}

/// Measurements up to a limit.
struct Sample {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Sample {
    fn of(times: &[f64], limit: f64) -> Self {
        let times = times.iter().filter(|time| **time <= limit);
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for time in times {
            count += 1.0;
            let delta = time - mean;
            mean += delta / count;
            squares += delta * (time - mean);
        }
        Self {
            count,
            mean,
            variance: squares / (count - 1.0),
        }
    }

    fn welch(&self, other: &Self) -> f64 {
        let error = self.variance / self.count + other.variance / other.count;
        if error == 0.0 {
            return 0.0;
        }
        (self.mean - other.mean) / error.sqrt()
    }
}

/// xorshift64*: which class comes next must not follow a pattern.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
