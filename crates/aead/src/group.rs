//! Up to eight packets of one length that are sealed or opened together.

use crate::parameters::{LANES, Nonce, TAG};
use crate::variant::Variant;
#[cfg(target_arch = "x86_64")]
use crate::{avx2, wide};

/// Packets with their nonces: each a text and 16 bytes for the tag.
#[derive(Debug, Default)]
pub struct Group<'a> {
    packets: [Option<(Nonce, &'a mut [u8])>; LANES],
    count: usize,
    length: usize,
}

impl<'a> Group<'a> {
    /// Create an empty group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of packets.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no packets.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a packet of this length can be pushed.
    #[must_use]
    pub const fn takes(&self, length: usize) -> bool {
        self.is_empty() || (self.count < LANES && length == self.length)
    }

    /// Add a packet whose length the group `takes`.
    pub fn push(&mut self, nonce: Nonce, packet: &'a mut [u8]) {
        assert!(self.takes(packet.len()) && packet.len() >= TAG);
        self.length = packet.len();
        self.packets[self.count] = Some((nonce, packet));
        self.count += 1;
    }

    /// Whether the vector code is faster than ring. The cost of a group does not depend on its number of
    /// packets, so the minimum is the number for which ring takes longer (measured: `examples/speed.rs`).
    #[must_use]
    pub const fn is_worth_it(&self, variant: Variant) -> bool {
        let least = match (variant, self.length) {
            (Variant::Avx512, _) | (Variant::Avx2, ..=96) => 3,
            (Variant::Avx2, ..=192) => 4,
            (Variant::Avx2, ..=448) => 5,
            (Variant::Avx2, ..=800) => 6,
            (Variant::Avx2, ..=1600) => 7,
            (Variant::Avx2, ..=4096) => LANES,
            (Variant::Avx2 | Variant::Ring, _) => return false,
        };
        self.count >= least
    }

    /// Remove and return all packets.
    pub fn drain(&mut self) -> impl Iterator<Item = (Nonce, &'a mut [u8])> {
        self.count = 0;
        std::mem::take(&mut self.packets).into_iter().flatten()
    }

    /// Encrypt or decrypt the texts in place, and return the tags of the ciphertexts.
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    pub(crate) fn crypt<const SEAL: bool>(
        &mut self,
        variant: Variant,
        key: &[u32; 8],
    ) -> [u128; LANES] {
        if variant == Variant::Avx2 {
            return self.crypt_avx2::<SEAL>(key);
        }
        let mut nonces = [Nonce::default(); LANES];
        let mut texts = [std::ptr::null_mut(); LANES];
        for (number, (nonce, packet)) in self.packets.iter_mut().flatten().enumerate() {
            nonces[number] = *nonce;
            texts[number] = packet.as_mut_ptr();
        }
        let texts = &texts[..self.count];
        // SAFETY: keys of this variant exist only if the processor has it (`Key::with`). The texts are
        // distinct exclusive slices of `length` bytes.
        unsafe { wide::crypt::<SEAL>(key, &nonces, texts, self.length - TAG) }
    }

    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    fn crypt_avx2<const SEAL: bool>(&mut self, key: &[u32; 8]) -> [u128; LANES] {
        let length = self.length - TAG;
        let mut nonces = [Nonce::default(); LANES];
        let mut texts: [&mut [u8]; LANES] = Default::default();
        for (number, (nonce, packet)) in self.packets.iter_mut().flatten().enumerate() {
            nonces[number] = *nonce;
            texts[number] = &mut packet[..length];
        }
        // SAFETY: keys of this variant exist only if the processor has it (`Key::with`).
        unsafe { avx2::crypt::<SEAL>(key, &nonces, &mut texts[..self.count]) }
    }
}
