//! Poly1305 of one packet in 64-bit words (RFC 8439, 2.5).
//!
//! It is scalar code, because it runs on the scalar units while ChaCha20 uses the vector units.

/// The bits of r that may be set (RFC 8439, 2.5.1).
const CLAMP: u128 = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;

/// The accumulator of one packet, which is little more than 2^130 at most, with r and s.
#[derive(Clone, Copy, Default)]
pub struct Poly {
    sum: [u64; 3],
    factor: [u64; 2],
    /// Five quarters of the upper word of r, its value modulo 2^130 - 5 beyond 2^128.
    beyond: u64,
    addend: u128,
}

impl Poly {
    /// Create it from the first 32 bytes of a packet's key stream: r and s.
    #[inline(always)]
    pub const fn keyed(factor: u128, addend: u128) -> Self {
        let factor = factor & CLAMP;
        let high = (factor >> 64) as u64;
        Self {
            sum: [0; 3],
            factor: [factor as u64, high],
            // The lowest two bits are clamped to zero, so the quarter is exact.
            beyond: high + (high >> 2),
            addend,
        }
    }

    /// Add sixteen bytes, and multiply by r.
    #[inline(always)]
    pub const fn step(&mut self, block: u128) {
        let ([r0, r1], s1) = (self.factor, self.beyond);
        // 2^128 is the bit beyond each full block.
        let low = self.sum[0] as u128 + (block as u64) as u128;
        let high = self.sum[1] as u128 + (block >> 64) + (low >> 64);
        let top = self.sum[2] + 1 + (high >> 64) as u64;
        let (h0, h1) = (low as u64 as u128, high as u64 as u128);
        let d0 = h0 * r0 as u128 + h1 * s1 as u128;
        let d1 = h0 * r1 as u128 + h1 * r0 as u128 + (top * s1) as u128 + (d0 >> 64);
        let d2 = top * r0 + (d1 >> 64) as u64;
        // 2^130 is 5: add four times the excess, and the excess.
        let over = (d2 & !3) as u128 + (d2 >> 2) as u128;
        let low = d0 as u64 as u128 + over;
        let high = d1 as u64 as u128 + (low >> 64);
        self.sum = [low as u64, high as u64, (d2 & 3) + (high >> 64) as u64];
    }

    /// Process sixteen bytes at a time, the last ones padded with zeros (RFC 8439, 2.8).
    #[inline(always)]
    pub fn absorb(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks();
        for block in blocks {
            self.step(u128::from_le_bytes(*block));
        }
        if !rest.is_empty() {
            let mut block = [0; 16];
            block[..rest.len()].copy_from_slice(rest);
            self.step(u128::from_le_bytes(block));
        }
    }

    /// The tag: the accumulator modulo 2^130 - 5, plus s, modulo 2^128.
    #[inline(always)]
    pub const fn tag(&self) -> u128 {
        let [h0, h1, h2] = self.sum;
        // It is at least the modulus if adding five carries into 2^130.
        let low = h0 as u128 + 5;
        let high = h1 as u128 + (low >> 64);
        let at_least = ((h2 + (high >> 64) as u64) >> 2).wrapping_neg();
        let g0 = (h0 & !at_least) | (low as u64 & at_least);
        let g1 = (h1 & !at_least) | (high as u64 & at_least);
        (g0 as u128 | (g1 as u128) << 64).wrapping_add(self.addend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(factor: u128, addend: u128, blocks: &[u128]) -> u128 {
        let mut poly = Poly::keyed(factor, addend);
        for block in blocks {
            poly.absorb(&block.to_le_bytes());
        }
        poly.tag()
    }

    /// RFC 8439, A.3: vectors 7 to 10, which are whole blocks.
    #[test]
    fn the_rfcs_sums_about_the_modulus_are_reduced() {
        assert_eq!(tag(2, 0, &[u128::MAX]), 3);
        assert_eq!(tag(2, u128::MAX, &[2]), 3);
        assert_eq!(tag(2, 0, &[u128::MAX - 2]), u128::MAX - 5);
        let blocks = [0xb943_5e50_d794_35e3, 1 << 64 | 0xcd79_435e_50d7_9433, 0, 1];
        assert_eq!(tag(4 << 64 | 1, 0, &blocks), 0x55 << 64 | 0x14);
    }

    #[test]
    fn a_rest_is_filled_up_with_zeros() {
        let (mut short, mut whole) = (Poly::keyed(77, 5), Poly::keyed(77, 5));
        short.absorb(&[9; 21]);
        let mut padded = [0; 32];
        padded[..21].fill(9);
        whole.absorb(&padded);
        assert_eq!(short.tag(), whole.tag());
    }
}
