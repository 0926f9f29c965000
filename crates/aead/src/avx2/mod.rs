//! ChaCha20-Poly1305 of eight packets of one length at once, with AVX2.
//!
//! A register holds one word of the ChaCha20 state of eight blocks, one of each packet. Poly1305 runs
//! packet by packet in scalar code between the rounds, where it costs little because the vector units
//! are the bottleneck. RFC 8439. No branch and no address depends on a secret.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use crate::parameters::{LANES, Nonce};
use chacha::{Rotations, State, double_round, finish, initial_state, rotations};
use poly::Poly;

mod chacha;
mod poly;

const BLOCK: usize = 64;
const HALF: usize = BLOCK / 2;

/// Whether this processor has the instructions.
#[must_use]
pub fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2")
}

/// Encrypt (`SEAL`) or decrypt at most eight `texts` of one length in place, and return the tags of the
/// ciphertexts.
#[target_feature(enable = "avx2,bmi2")]
pub fn crypt<const SEAL: bool>(
    key: &[u32; 8],
    nonces: &[Nonce; LANES],
    texts: &mut [&mut [u8]],
) -> [u128; LANES] {
    let length = texts.first().map_or(0, |text| text.len());
    let mut initial = initial_state(key, nonces);
    let rotations = rotations();
    let mut polys = keyed(&initial, &rotations);
    // Whole blocks, then the rest. When sealing, Poly1305 processes each block one iteration later; when
    // opening, before the block is overwritten.
    for number in 0..length.div_ceil(BLOCK) {
        initial[12] = _mm256_set1_epi32(number as i32 + 1);
        let at = number * BLOCK;
        let end = length.min(at + BLOCK);
        let passed = match SEAL {
            true => at.saturating_sub(BLOCK)..at,
            false => at..end,
        };
        let mut state = initial;
        for round in 0..10 {
            double_round(&mut state, &rotations);
            if let Some((text, poly)) = texts.get(round).zip(polys.get_mut(round)) {
                poly.absorb(&text[passed.clone()]);
            }
        }
        let stream = finish(&state, &initial);
        for (lane, text) in texts.iter_mut().enumerate() {
            let text = &mut text[at..end];
            xor(text, stream[0][lane], stream[1][lane]);
        }
    }
    let lengths = (length as u128) << 64;
    let passed = length.div_ceil(BLOCK).saturating_sub(1) * BLOCK;
    for (text, poly) in texts.iter().zip(&mut polys) {
        if SEAL {
            poly.absorb(&text[passed..]);
        }
        poly.step(lengths);
    }
    polys.map(|poly| poly.tag())
}

/// Derive the Poly1305 keys from the first block of each packet.
#[target_feature(enable = "avx2,bmi2")]
#[inline]
fn keyed(initial: &State, rotations: &Rotations) -> [Poly; LANES] {
    let mut state = *initial;
    for _ in 0..10 {
        double_round(&mut state, rotations);
    }
    let stream = finish(&state, initial);
    std::array::from_fn(|lane| {
        let bytes = bytes(stream[0][lane]);
        let half = |at: usize| u128::from_le_bytes(bytes.as_chunks().0[at]);
        Poly::keyed(half(0), half(1))
    })
}

/// XOR a block of key stream into a text of at most one block.
#[target_feature(enable = "avx2")]
#[inline]
fn xor(text: &mut [u8], first: __m256i, second: __m256i) {
    if let Ok(block) = <&mut [u8; BLOCK]>::try_from(&mut *text) {
        let at = block.as_mut_ptr().cast::<__m256i>();
        // SAFETY: the block has the length of two vectors; loads and stores need no alignment.
        unsafe {
            _mm256_storeu_si256(at, _mm256_xor_si256(_mm256_loadu_si256(at), first));
            let at = at.add(1);
            _mm256_storeu_si256(at, _mm256_xor_si256(_mm256_loadu_si256(at), second));
        }
        return;
    }
    let mut stream = [0; BLOCK];
    stream[..HALF].copy_from_slice(&bytes(first));
    stream[HALF..].copy_from_slice(&bytes(second));
    for (byte, key) in text.iter_mut().zip(stream) {
        *byte ^= key;
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn bytes(vector: __m256i) -> [u8; HALF] {
    let mut bytes = [0; HALF];
    // SAFETY: the array has the length of the vector; the store needs no alignment.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), vector) };
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::TAG;

    /// Without ring, so that Miri can run it.
    fn sealed_and_opened(length: usize, count: usize) {
        let key = std::array::from_fn(|at| at as u32 * 0x0101_0101);
        let nonces = [[3; 12]; LANES];
        let original: Vec<Vec<u8>> = (0..count)
            .map(|number| vec![number as u8; length])
            .collect();
        let mut packets = original.clone();
        let mut texts: Vec<&mut [u8]> = packets.iter_mut().map(|text| &mut text[..]).collect();
        // SAFETY: the caller has checked `available()`.
        let sealed = unsafe { crypt::<true>(&key, &nonces, &mut texts) };
        assert!(length < TAG || packets.iter().zip(&original).all(|(a, b)| a != b));
        let mut texts: Vec<&mut [u8]> = packets.iter_mut().map(|text| &mut text[..]).collect();
        // SAFETY: as above.
        let opened = unsafe { crypt::<false>(&key, &nonces, &mut texts) };
        assert_eq!(sealed[..count], opened[..count], "{length} bytes");
        assert_eq!(packets, original);
    }

    #[test]
    fn what_is_sealed_is_opened_at_every_kind_of_end() {
        if available() {
            for length in [0, 1, 17, 63, 64, 65, 140] {
                for count in [3, 8] {
                    sealed_and_opened(length, count);
                }
            }
        }
    }
}
