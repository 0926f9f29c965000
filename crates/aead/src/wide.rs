//! ChaCha20-Poly1305 of eight packets of one length at once, with AVX-512.
//!
//! A register holds one word of the ChaCha20 state of sixteen blocks: eight packets, two blocks
//! each. Two such states are worked on side by side, because one alone waits for its own results.
//! Poly1305 has a packet in each 64-bit lane, in radix 2^44 with the 52-bit multiply-add (IFMA), so
//! it needs no powers of r. Its steps for the blocks before are done between the ChaCha20 rounds.
//! RFC 8439; no branch and no address depends on a secret.

#![allow(unsafe_code)]

use core::arch::x86_64::*;

use crate::Nonce;
use crate::group::LANES;

const BLOCK: usize = 64;
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]; // RFC 8439, 2.3
const LIMB: u64 = (1 << 44) - 1;
const TOP_LIMB: u64 = (1 << 42) - 1;
/// 2^128, the bit beyond each full block, in the top limb.
const BEYOND: i64 = 1 << 40;

/// Whether this processor can.
#[must_use]
pub fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vbmi2")
}

/// Encrypt (`SEAL`) or decrypt `length` bytes at each of `texts` in place; gives the tags of the
/// ciphertexts, with no additional data. Lanes without a text are worked on for nothing.
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
    // The first block of each packet gives its Poly1305 key; `done` blocks of text are behind us.
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
            // SAFETY: the caller's promise.
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

type State = [__m512i; 16];

/// The state of sixteen blocks before any round, but for the block counter (RFC 8439, 2.3).
#[target_feature(enable = "avx512f")]
#[inline]
fn initial_state(key: &[u32; 8], nonces: &[Nonce; LANES]) -> State {
    let mut state = [_mm512_setzero_si512(); 16];
    for (word, constant) in state.iter_mut().zip(CONSTANTS) {
        *word = _mm512_set1_epi32(constant.cast_signed());
    }
    for (word, part) in state[4..].iter_mut().zip(key) {
        *word = _mm512_set1_epi32(part.cast_signed());
    }
    for (number, word) in state[13..].iter_mut().enumerate() {
        let mut lanes = [0_u32; 16];
        for (lane, part) in lanes.iter_mut().enumerate() {
            *part = u32::from_le_bytes(nonces[lane % LANES].as_chunks().0[number]);
        }
        // SAFETY: the array is 64 bytes long.
        *word = unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) };
    }
    state
}

/// Block numbers: `number` for the first eight lanes, the next for the others.
#[target_feature(enable = "avx512f")]
#[inline]
fn numbers(number: u32) -> __m512i {
    let first = _mm512_set1_epi32(number.cast_signed());
    _mm512_mask_add_epi32(first, 0xff00, first, _mm512_set1_epi32(1))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn start(initial: &State, number: u32) -> State {
    let mut state = *initial;
    state[12] = numbers(number);
    state
}

macro_rules! quarter_round {
    ($s:ident, $a:literal, $b:literal, $c:literal, $d:literal) => {
        $s[$a] = _mm512_add_epi32($s[$a], $s[$b]);
        $s[$d] = _mm512_rol_epi32::<16>(_mm512_xor_si512($s[$d], $s[$a]));
        $s[$c] = _mm512_add_epi32($s[$c], $s[$d]);
        $s[$b] = _mm512_rol_epi32::<12>(_mm512_xor_si512($s[$b], $s[$c]));
        $s[$a] = _mm512_add_epi32($s[$a], $s[$b]);
        $s[$d] = _mm512_rol_epi32::<8>(_mm512_xor_si512($s[$d], $s[$a]));
        $s[$c] = _mm512_add_epi32($s[$c], $s[$d]);
        $s[$b] = _mm512_rol_epi32::<7>(_mm512_xor_si512($s[$b], $s[$c]));
    };
}

macro_rules! double_round {
    ($s:ident) => {
        quarter_round!($s, 0, 4, 8, 12);
        quarter_round!($s, 1, 5, 9, 13);
        quarter_round!($s, 2, 6, 10, 14);
        quarter_round!($s, 3, 7, 11, 15);
        quarter_round!($s, 0, 5, 10, 15);
        quarter_round!($s, 1, 6, 11, 12);
        quarter_round!($s, 2, 7, 8, 13);
        quarter_round!($s, 3, 4, 9, 14);
    };
}

/// Ten double rounds of thirty-two blocks, and the steps of Poly1305 that are pending between them.
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

/// The same of sixteen blocks, for the end of a text or a short one.
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

/// Add the initial state and turn words of sixteen blocks into blocks: eight packets' first, then
/// their second.
#[target_feature(enable = "avx512f")]
#[inline]
fn finish(mut state: State, initial: &State, number: u32) -> State {
    for (word, start) in state.iter_mut().zip(initial) {
        *word = _mm512_add_epi32(*word, *start);
    }
    state[12] = _mm512_add_epi32(state[12], numbers(number));
    transpose_words(&state)
}

/// Sixteen by sixteen words of 32 bits.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose_words(rows: &State) -> State {
    let mut pairs = *rows;
    for i in 0..8 {
        pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    let mut quads = pairs;
    for i in 0..4 {
        let at = 4 * i;
        quads[at] = _mm512_unpacklo_epi64(pairs[at], pairs[at + 2]);
        quads[at + 1] = _mm512_unpackhi_epi64(pairs[at], pairs[at + 2]);
        quads[at + 2] = _mm512_unpacklo_epi64(pairs[at + 1], pairs[at + 3]);
        quads[at + 3] = _mm512_unpackhi_epi64(pairs[at + 1], pairs[at + 3]);
    }
    let mut result = quads;
    for i in 0..4 {
        let low = _mm512_shuffle_i32x4::<0x88>(quads[i], quads[4 + i]);
        let high = _mm512_shuffle_i32x4::<0x88>(quads[8 + i], quads[12 + i]);
        let low_odd = _mm512_shuffle_i32x4::<0xdd>(quads[i], quads[4 + i]);
        let high_odd = _mm512_shuffle_i32x4::<0xdd>(quads[8 + i], quads[12 + i]);
        result[i] = _mm512_shuffle_i32x4::<0x88>(low, high);
        result[8 + i] = _mm512_shuffle_i32x4::<0xdd>(low, high);
        result[4 + i] = _mm512_shuffle_i32x4::<0x88>(low_odd, high_odd);
        result[12 + i] = _mm512_shuffle_i32x4::<0xdd>(low_odd, high_odd);
    }
    result
}

/// Eight by eight words of 64 bits.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose_halves(rows: &[__m512i; LANES]) -> [__m512i; LANES] {
    let mut pairs = *rows;
    for i in 0..4 {
        pairs[2 * i] = _mm512_unpacklo_epi64(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_epi64(rows[2 * i], rows[2 * i + 1]);
    }
    let mut result = pairs;
    for i in 0..2 {
        let low = _mm512_shuffle_i64x2::<0x88>(pairs[i], pairs[2 + i]);
        let high = _mm512_shuffle_i64x2::<0x88>(pairs[4 + i], pairs[6 + i]);
        let low_odd = _mm512_shuffle_i64x2::<0xdd>(pairs[i], pairs[2 + i]);
        let high_odd = _mm512_shuffle_i64x2::<0xdd>(pairs[4 + i], pairs[6 + i]);
        result[i] = _mm512_shuffle_i64x2::<0x88>(low, high);
        result[4 + i] = _mm512_shuffle_i64x2::<0xdd>(low, high);
        result[2 + i] = _mm512_shuffle_i64x2::<0x88>(low_odd, high_odd);
        result[6 + i] = _mm512_shuffle_i64x2::<0xdd>(low_odd, high_odd);
    }
    result
}

/// XOR one block of key stream into each text, and leave the ciphertext for Poly1305.
///
/// # Safety
/// As of `crypt`.
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
        // SAFETY: the mask keeps to `length`.
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

/// Ciphertext that Poly1305 has yet to go over: pairs of the two halves of sixteen bytes of each
/// packet.
struct Pending {
    halves: [__m512i; 4 * LANES],
    count: usize,
    next: usize,
}

impl Pending {
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn new() -> Self {
        Self {
            halves: [_mm512_setzero_si512(); 4 * LANES],
            count: 0,
            next: 0,
        }
    }

    #[inline]
    fn clear(&mut self) {
        (self.count, self.next) = (0, 0);
    }

    #[inline]
    fn add(&mut self, halves: &[__m512i; LANES], sixteens: usize) {
        self.halves[2 * self.count..][..LANES].copy_from_slice(halves);
        self.count += sixteens;
    }

    /// Take one step; false if none is left.
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    #[inline]
    fn step(&mut self, poly: &mut Poly) -> bool {
        if self.next == self.count {
            return false;
        }
        let at = 2 * self.next;
        poly.step(self.halves[at], self.halves[at + 1]);
        self.next += 1;
        true
    }
}

/// Poly1305 of eight packets (RFC 8439, 2.5).
struct Poly {
    sum: [__m512i; 3],
    factor: [__m512i; 3],
    /// The factor's upper limbs, times twenty: what they are worth beyond 2^132.
    beyond: [__m512i; 2],
}

impl Poly {
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn zero() -> Self {
        let zero = _mm512_setzero_si512();
        Self {
            sum: [zero; 3],
            factor: [zero; 3],
            beyond: [zero; 2],
        }
    }

    /// From the first block of key stream of each packet; also gives what is added in the end.
    #[target_feature(enable = "avx512f,avx512vbmi2")]
    #[inline]
    fn keyed(blocks: &[__m512i]) -> (Self, [u128; LANES]) {
        let mut rows = [_mm512_setzero_si512(); LANES];
        rows.copy_from_slice(blocks);
        let halves = transpose_halves(&rows);
        // Clamped (RFC 8439, 2.5.1).
        let low = _mm512_and_si512(halves[0], _mm512_set1_epi64(0x0fff_fffc_0fff_ffff));
        let high = _mm512_and_si512(halves[1], _mm512_set1_epi64(0x0fff_fffc_0fff_fffc));
        let limb = _mm512_set1_epi64(LIMB.cast_signed());
        let factor = [
            _mm512_and_si512(low, limb),
            _mm512_and_si512(_mm512_shrdi_epi64::<44>(low, high), limb),
            _mm512_srli_epi64::<24>(high),
        ];
        let mut poly = Self::zero();
        poly.factor = factor;
        poly.beyond = [twenty(factor[1]), twenty(factor[2])];
        let (low, high) = (lanes(halves[2]), lanes(halves[3]));
        let mut addends = [0; LANES];
        for lane in 0..LANES {
            addends[lane] = u128::from(high[lane]) << 64 | u128::from(low[lane]);
        }
        (poly, addends)
    }

    /// Add sixteen bytes of each packet, and multiply.
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    #[inline]
    fn step(&mut self, low: __m512i, high: __m512i) {
        let limb = _mm512_set1_epi64(LIMB.cast_signed());
        let zero = _mm512_setzero_si512();
        let [r0, r1, r2] = self.factor;
        let [s1, s2] = self.beyond;
        let middle = _mm512_and_si512(_mm512_shrdi_epi64::<44>(low, high), limb);
        let top = _mm512_or_si512(_mm512_srli_epi64::<24>(high), _mm512_set1_epi64(BEYOND));
        let h0 = _mm512_add_epi64(self.sum[0], _mm512_and_si512(low, limb));
        let h1 = _mm512_add_epi64(self.sum[1], middle);
        let h2 = _mm512_add_epi64(self.sum[2], top);
        macro_rules! product {
            ($multiply:ident, $a:ident, $b:ident, $c:ident) => {
                $multiply($multiply($multiply(zero, h2, $c), h1, $b), h0, $a)
            };
        }
        let low0 = product!(_mm512_madd52lo_epu64, r0, s2, s1);
        let low1 = product!(_mm512_madd52lo_epu64, r1, r0, s2);
        let low2 = product!(_mm512_madd52lo_epu64, r2, r1, r0);
        let high0 = product!(_mm512_madd52hi_epu64, r0, s2, s1);
        let high1 = product!(_mm512_madd52hi_epu64, r1, r0, s2);
        let high2 = product!(_mm512_madd52hi_epu64, r2, r1, r0);
        // What is beyond 52 bits is worth 2^8 in the next limb of 44, 2^10 beyond the top's 42.
        let low1 = _mm512_add_epi64(low1, _mm512_slli_epi64::<8>(high0));
        let low1 = _mm512_add_epi64(low1, _mm512_srli_epi64::<44>(low0));
        let low2 = _mm512_add_epi64(low2, _mm512_slli_epi64::<8>(high1));
        let low2 = _mm512_add_epi64(low2, _mm512_srli_epi64::<44>(low1));
        let over = _mm512_slli_epi64::<10>(high2);
        let over = _mm512_add_epi64(over, _mm512_srli_epi64::<42>(low2));
        // 2^130 is 5. The lowest limb may keep up to 50 bits: the factor is clamped, so no product
        // leaves what 52 bits in and 64 bits out can hold.
        let over = _mm512_add_epi64(over, _mm512_slli_epi64::<2>(over));
        self.sum = [
            _mm512_add_epi64(_mm512_and_si512(low0, limb), over),
            _mm512_and_si512(low1, limb),
            _mm512_and_si512(low2, _mm512_set1_epi64(TOP_LIMB.cast_signed())),
        ];
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn tags(&self, addends: &[u128; LANES]) -> [u128; LANES] {
        let [h0, h1, h2] = self.sum.map(|limb| lanes(limb));
        let mut tags = [0; LANES];
        for lane in 0..LANES {
            tags[lane] = reduced(h0[lane], h1[lane], h2[lane]).wrapping_add(addends[lane]);
        }
        tags
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn twenty(limb: __m512i) -> __m512i {
    let five = _mm512_add_epi64(limb, _mm512_slli_epi64::<2>(limb));
    _mm512_slli_epi64::<2>(five)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn lanes(vector: __m512i) -> [u64; LANES] {
    let mut lanes = [0; LANES];
    // SAFETY: eight times eight bytes.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), vector) };
    lanes
}

/// The sum modulo 2^130 - 5, its low 128 bits.
fn reduced(h0: u64, h1: u64, h2: u64) -> u128 {
    // Carry twice around, so that each limb is in its bounds.
    let h1 = h1 + (h0 >> 44);
    let h2 = h2 + (h1 >> 44);
    let h0 = (h0 & LIMB) + (h2 >> 42) * 5;
    let h1 = (h1 & LIMB) + (h0 >> 44);
    let h2 = (h2 & TOP_LIMB) + (h1 >> 44);
    let (h0, h1) = (h0 & LIMB, h1 & LIMB);
    // Whether it is the modulus or more: then adding five carries into 2^130.
    let g0 = h0 + 5;
    let g1 = h1 + (g0 >> 44);
    let g2 = h2 + (g1 >> 44);
    let at_least = (g2 >> 42).wrapping_neg();
    let low = |h: u64, g: u64| (h & !at_least) | (g & at_least & LIMB);
    let (h0, h1, h2) = (low(h0, g0), low(h1, g1), (h2 & !at_least) | (g2 & at_least));
    (h0 as u128) | (h1 as u128) << 44 | (h2 as u128) << 88
}
