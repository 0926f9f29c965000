//! ChaCha20 of eight blocks in parallel, one of each packet (RFC 8439, 2.3).

use core::arch::x86_64::*;

use crate::parameters::{LANES, Nonce};

const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]; // RFC 8439, 2.3

/// Each register holds one word of eight blocks.
pub type State = [__m256i; 16];

/// The state before the first round, except the block counter.
#[target_feature(enable = "avx2")]
#[inline]
pub fn initial_state(key: &[u32; 8], nonces: &[Nonce; LANES]) -> State {
    let mut state = [_mm256_setzero_si256(); 16];
    for (word, value) in state.iter_mut().zip(CONSTANTS.iter().chain(key)) {
        *word = _mm256_set1_epi32(value.cast_signed());
    }
    for (number, word) in state[13..].iter_mut().enumerate() {
        let part = |lane: usize| u32::from_le_bytes(nonces[lane].as_chunks().0[number]);
        let [a, b, c, d, e, f, g, h] = std::array::from_fn(|lane| part(lane).cast_signed());
        *word = _mm256_setr_epi32(a, b, c, d, e, f, g, h);
    }
    state
}

macro_rules! rotate {
    ($word:expr, $left:literal, $right:literal) => {
        _mm256_or_si256(
            _mm256_slli_epi32::<$left>($word),
            _mm256_srli_epi32::<$right>($word),
        )
    };
}

macro_rules! half_round {
    ($s:ident, $by16:ident, $by8:ident, $([$a:literal, $b:literal, $c:literal, $d:literal]),*) => {
        $($s[$a] = _mm256_add_epi32($s[$a], $s[$b]);)*
        $($s[$d] = _mm256_shuffle_epi8(_mm256_xor_si256($s[$d], $s[$a]), $by16);)*
        $($s[$c] = _mm256_add_epi32($s[$c], $s[$d]);)*
        $($s[$b] = _mm256_xor_si256($s[$b], $s[$c]);)*
        $($s[$b] = rotate!($s[$b], 12, 20);)*
        $($s[$a] = _mm256_add_epi32($s[$a], $s[$b]);)*
        $($s[$d] = _mm256_shuffle_epi8(_mm256_xor_si256($s[$d], $s[$a]), $by8);)*
        $($s[$c] = _mm256_add_epi32($s[$c], $s[$d]);)*
        $($s[$b] = _mm256_xor_si256($s[$b], $s[$c]);)*
        $($s[$b] = rotate!($s[$b], 7, 25);)*
    };
}

/// The shuffles that rotate each word by 16 and by 8 bits. Their values are hidden from the compiler,
/// which replaces each shuffle by two or three instructions otherwise.
pub type Rotations = [__m256i; 2];

/// Create the shuffles.
#[target_feature(enable = "avx2")]
#[inline]
pub fn rotations() -> Rotations {
    std::hint::black_box([bytes_rotated(2), bytes_rotated(1)])
}

/// Two rounds.
#[target_feature(enable = "avx2")]
#[inline]
pub fn double_round(state: &mut State, rotations: &Rotations) {
    let [by16, by8] = *rotations;
    let mut s = *state;
    half_round!(
        s,
        by16,
        by8,
        [0, 4, 8, 12],
        [1, 5, 9, 13],
        [2, 6, 10, 14],
        [3, 7, 11, 15]
    );
    half_round!(
        s,
        by16,
        by8,
        [0, 5, 10, 15],
        [1, 6, 11, 12],
        [2, 7, 8, 13],
        [3, 4, 9, 14]
    );
    *state = s;
}

/// The shuffle that rotates each word left by `count` bytes.
#[target_feature(enable = "avx2")]
#[inline]
fn bytes_rotated(count: i32) -> __m256i {
    let word = if count == 2 { 0x0100_0302 } else { 0x0201_0003 };
    let next = 0x0404_0404;
    _mm256_setr_epi32(
        word,
        word + next,
        word + 2 * next,
        word + 3 * next,
        word,
        word + next,
        word + 2 * next,
        word + 3 * next,
    )
}

/// Add the initial state, and transpose words of eight blocks to blocks: first halves, then second halves.
#[target_feature(enable = "avx2")]
#[inline]
pub fn finish(state: &State, initial: &State) -> [[__m256i; LANES]; 2] {
    let mut halves = [[_mm256_setzero_si256(); LANES]; 2];
    for (half, rows) in halves.iter_mut().enumerate() {
        for (number, row) in rows.iter_mut().enumerate() {
            let at = half * 8 + number;
            *row = _mm256_add_epi32(state[at], initial[at]);
        }
        *rows = transpose(rows);
    }
    halves
}

/// Transpose eight by eight words of 32 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn transpose(rows: &[__m256i; LANES]) -> [__m256i; LANES] {
    let mut pairs = *rows;
    for i in 0..4 {
        pairs[2 * i] = _mm256_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm256_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    let mut quads = pairs;
    for i in 0..2 {
        let at = 4 * i;
        quads[at] = _mm256_unpacklo_epi64(pairs[at], pairs[at + 2]);
        quads[at + 1] = _mm256_unpackhi_epi64(pairs[at], pairs[at + 2]);
        quads[at + 2] = _mm256_unpacklo_epi64(pairs[at + 1], pairs[at + 3]);
        quads[at + 3] = _mm256_unpackhi_epi64(pairs[at + 1], pairs[at + 3]);
    }
    let mut result = quads;
    for i in 0..4 {
        result[i] = _mm256_permute2x128_si256::<0x20>(quads[i], quads[4 + i]);
        result[4 + i] = _mm256_permute2x128_si256::<0x31>(quads[i], quads[4 + i]);
    }
    result
}
