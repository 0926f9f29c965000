//! ChaCha20-Poly1305 of eight packets of one length at once, with AVX-512.
//!
//! A register holds one word of the ChaCha20 state of sixteen blocks: eight packets with two blocks
//! each. Two such states are processed in parallel, because one alone waits for its own results.
//! Poly1305 has a packet in each 64-bit lane, in radix 2^44 with the 52-bit multiply-add (IFMA), so it
//! needs no powers of r. Its steps for earlier blocks run between the ChaCha20 rounds. RFC 8439. No branch
//! and no address depends on a secret.

#![allow(unsafe_code)]

use core::arch::x86_64::*;

use crate::parameters::{LANES, Nonce};
use chacha::{State, double_round, finish, initial_state, quarter_round, start};
use poly::{Pending, Poly, transpose_halves};

mod chacha;
mod poly;

const BLOCK: usize = 64;

/// Whether this processor has the instructions.
#[must_use]
pub fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vbmi2")
}

/// Encrypt (`SEAL`) or decrypt `length` bytes at each of `texts` in place, and return the tags of the
/// ciphertexts. Lanes without a text are computed and ignored.
///
/// # Safety
/// `available()` holds. There are at most eight `texts`, each valid for reads and writes of `length`
/// bytes, and none overlaps another.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
pub unsafe fn crypt<const SEAL: bool>(
    key: &[u32; 8],
    nonces: &[Nonce; LANES],
    texts: &[*mut u8],
    length: usize,
) -> [u128; LANES] {
    let initial = initial_state(key, nonces);
    let mut pending = Pending::new();
    let mut poly = Poly::zero();
    // The first block of a packet's key stream is its Poly1305 key; block n goes into text block n - 1.
    let mut addends = [0_u128; LANES];
    let mut number = 0_u32;
    let last = length.div_ceil(BLOCK) as u32;
    while number <= last {
        let (mut first, mut second) = (start(&initial, number), start(&initial, number + 2));
        if number + 1 < last {
            rounds_of_two(&mut first, &mut second, &mut poly, &mut pending);
        } else {
            rounds_of_one(&mut first, &mut poly, &mut pending);
        }
        pending.clear();
        let blocks = finish(first, &initial, number);
        if number == 0 {
            (poly, addends) = Poly::keyed(&blocks[..LANES]);
        } else {
            // SAFETY: the caller guarantees it.
            unsafe { absorb::<SEAL>(&blocks[..LANES], texts, length, number - 1, &mut pending) };
        }
        if number < last {
            // SAFETY: as above.
            unsafe { absorb::<SEAL>(&blocks[LANES..], texts, length, number, &mut pending) };
        }
        if number + 1 < last {
            let blocks = finish(second, &initial, number + 2);
            // SAFETY: as above.
            unsafe { absorb::<SEAL>(&blocks[..LANES], texts, length, number + 1, &mut pending) };
            if number + 2 < last {
                // SAFETY: as above.
                unsafe {
                    absorb::<SEAL>(&blocks[LANES..], texts, length, number + 2, &mut pending);
                };
            }
        }
        number += 4;
    }
    while pending.step(&mut poly) {}
    let lengths = _mm512_set1_epi64(length as i64);
    poly.step(_mm512_setzero_si512(), lengths);
    poly.tags(&addends)
}

/// Ten double rounds of thirty-two blocks, with pending steps of Poly1305 between them.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
#[inline]
fn rounds_of_two(first: &mut State, second: &mut State, poly: &mut Poly, pending: &mut Pending) {
    let (mut a, mut b) = (*first, *second);
    for round in 0..10 {
        double_round!(a);
        pending.step(poly);
        double_round!(b);
        if round < 6 {
            pending.step(poly);
        }
    }
    (*first, *second) = (a, b);
}

/// The same for sixteen blocks, for the end of a text or a short text.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
#[inline]
fn rounds_of_one(first: &mut State, poly: &mut Poly, pending: &mut Pending) {
    let mut a = *first;
    for _ in 0..10 {
        double_round!(a);
        pending.step(poly);
    }
    while pending.step(poly) {}
    *first = a;
}

/// XOR one block of key stream into each text, and add the ciphertext to `pending`.
///
/// # Safety
/// As for `crypt`.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
unsafe fn absorb<const SEAL: bool>(
    stream: &[__m512i],
    texts: &[*mut u8],
    length: usize,
    block: u32,
    pending: &mut Pending,
) {
    let at = block as usize * BLOCK;
    let here = (length - at).min(BLOCK);
    let mask = u64::MAX >> (BLOCK - here);
    let mut cipher = [_mm512_setzero_si512(); LANES];
    for ((text, stream), cipher) in texts.iter().zip(stream).zip(&mut cipher) {
        // SAFETY: the mask limits loads and stores to `length`.
        unsafe {
            let text = text.add(at);
            let before = _mm512_maskz_loadu_epi8(mask, text.cast());
            let after = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(before, *stream));
            _mm512_mask_storeu_epi8(text.cast(), mask, after);
            *cipher = if SEAL { after } else { before };
        }
    }
    pending.add(&transpose_halves(&cipher), here.div_ceil(16));
}
