//! ChaCha20 of sixteen blocks in parallel: eight packets with two blocks each (RFC 8439, 2.3).
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use crate::parameters::{LANES, Nonce};

const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]; // RFC 8439, 2.3

/// Each register holds one word of sixteen blocks.
pub type State = [__m512i; 16];

/// The state of sixteen blocks before the first round, except the block counter (RFC 8439, 2.3).
#[target_feature(enable = "avx512f")]
#[inline]
pub fn initial_state(key: &[u32; 8], nonces: &[Nonce; LANES]) -> State {
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

/// Block numbers: `number` in the first eight lanes, the next one in the others.
#[target_feature(enable = "avx512f")]
#[inline]
fn numbers(number: u32) -> __m512i {
    let first = _mm512_set1_epi32(number.cast_signed());
    _mm512_mask_add_epi32(first, 0xff00, first, _mm512_set1_epi32(1))
}

#[target_feature(enable = "avx512f")]
#[inline]
pub fn start(initial: &State, number: u32) -> State {
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

/// Add the initial state, and transpose words of sixteen blocks to blocks: the first blocks of eight
/// packets, then the second ones.
#[target_feature(enable = "avx512f")]
#[inline]
pub fn finish(mut state: State, initial: &State, number: u32) -> State {
    for (word, start) in state.iter_mut().zip(initial) {
        *word = _mm512_add_epi32(*word, *start);
    }
    state[12] = _mm512_add_epi32(state[12], numbers(number));
    transpose_words(&state)
}

/// Transpose sixteen by sixteen words of 32 bits.
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

pub(super) use {double_round, quarter_round};
