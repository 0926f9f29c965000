//! Poly1305 of eight packets, one in each 64-bit lane, and its pending input (RFC 8439, 2.5).
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use crate::parameters::LANES;

const LIMB: u64 = (1 << 44) - 1;
const TOP_LIMB: u64 = (1 << 42) - 1;
/// 2^128, the bit beyond each full block, in the top limb.
const BEYOND: i64 = 1 << 40;

/// Ciphertext that Poly1305 has not processed yet: pairs of registers with the two halves of sixteen bytes
/// of each packet.
pub struct Pending {
    halves: [__m512i; 4 * LANES],
    count: usize,
    next: usize,
}

impl Pending {
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn new() -> Self {
        Self {
            halves: [_mm512_setzero_si512(); 4 * LANES],
            count: 0,
            next: 0,
        }
    }

    #[inline]
    pub fn clear(&mut self) {
        (self.count, self.next) = (0, 0);
    }

    #[inline]
    pub fn add(&mut self, halves: &[__m512i; LANES], sixteens: usize) {
        self.halves[2 * self.count..][..LANES].copy_from_slice(halves);
        self.count += sixteens;
    }

    /// Process sixteen bytes of each packet. False if nothing is pending.
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    #[inline]
    pub fn step(&mut self, poly: &mut Poly) -> bool {
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
pub struct Poly {
    sum: [__m512i; 3],
    factor: [__m512i; 3],
    /// The upper limbs of r times twenty, their value modulo 2^130 - 5 beyond 2^132.
    beyond: [__m512i; 2],
}

impl Poly {
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn zero() -> Self {
        let zero = _mm512_setzero_si512();
        Self {
            sum: [zero; 3],
            factor: [zero; 3],
            beyond: [zero; 2],
        }
    }

    /// Create it from the first block of key stream of each packet. Also returns s of each packet.
    #[target_feature(enable = "avx512f,avx512vbmi2")]
    #[inline]
    pub fn keyed(blocks: &[__m512i]) -> (Self, [u128; LANES]) {
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

    /// Add sixteen bytes of each packet, and multiply by r.
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    #[inline]
    pub fn step(&mut self, low: __m512i, high: __m512i) {
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
        // The high part has weight 2^52: 2^8 in the next limb of 44 bits, and 2^10 beyond the top limb of 42.
        let low1 = _mm512_add_epi64(low1, _mm512_slli_epi64::<8>(high0));
        let low1 = _mm512_add_epi64(low1, _mm512_srli_epi64::<44>(low0));
        let low2 = _mm512_add_epi64(low2, _mm512_slli_epi64::<8>(high1));
        let low2 = _mm512_add_epi64(low2, _mm512_srli_epi64::<44>(low1));
        let over = _mm512_slli_epi64::<10>(high2);
        let over = _mm512_add_epi64(over, _mm512_srli_epi64::<42>(low2));
        // 2^130 is 5. The lowest limb may keep up to 50 bits: r is clamped, so inputs stay within 52 bits
        // and sums within 64.
        let over = _mm512_add_epi64(over, _mm512_slli_epi64::<2>(over));
        self.sum = [
            _mm512_add_epi64(_mm512_and_si512(low0, limb), over),
            _mm512_and_si512(low1, limb),
            _mm512_and_si512(low2, _mm512_set1_epi64(TOP_LIMB.cast_signed())),
        ];
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn tags(&self, addends: &[u128; LANES]) -> [u128; LANES] {
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

/// The low 128 bits of the accumulator modulo 2^130 - 5.
fn reduced(h0: u64, h1: u64, h2: u64) -> u128 {
    // Carry around twice, so that each limb is within its bounds.
    let h1 = h1 + (h0 >> 44);
    let h2 = h2 + (h1 >> 44);
    let h0 = (h0 & LIMB) + (h2 >> 42) * 5;
    let h1 = (h1 & LIMB) + (h0 >> 44);
    let h2 = (h2 & TOP_LIMB) + (h1 >> 44);
    let (h0, h1) = (h0 & LIMB, h1 & LIMB);
    // It is at least the modulus if adding five carries into 2^130.
    let g0 = h0 + 5;
    let g1 = h1 + (g0 >> 44);
    let g2 = h2 + (g1 >> 44);
    let at_least = (g2 >> 42).wrapping_neg();
    let low = |h: u64, g: u64| (h & !at_least) | (g & at_least & LIMB);
    let (h0, h1, h2) = (low(h0, g0), low(h1, g1), (h2 & !at_least) | (g2 & at_least));
    (h0 as u128) | (h1 as u128) << 44 | (h2 as u128) << 88
}

/// Transpose eight by eight words of 64 bits.
#[target_feature(enable = "avx512f")]
#[inline]
pub fn transpose_halves(rows: &[__m512i; LANES]) -> [__m512i; LANES] {
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
