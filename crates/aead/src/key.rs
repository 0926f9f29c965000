//! A transport key of one direction. It seals and opens with the variant that it was created for.

use zeroize::Zeroizing;

use crate::group::Group;
use crate::parameters::{Nonce, TAG};
use crate::ring_key::RingKey;
use crate::variant::Variant;

/// A key that seals and opens in place, and is wiped when dropped.
pub struct Key {
    ring: RingKey,
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    words: Zeroizing<[u32; 8]>,
    variant: Variant,
}

impl Key {
    /// Expand a key. The caller wipes its own copy.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self::with(key, Variant::chosen())
    }

    /// A key that uses `variant`, which must be available.
    #[must_use]
    pub fn with(key: &[u8; 32], variant: Variant) -> Self {
        assert!(variant.available(), "the processor lacks {variant:?}");
        let mut words = Zeroizing::new([0; 8]);
        for (word, bytes) in words.iter_mut().zip(key.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self {
            ring: RingKey::new(key),
            words,
            variant,
        }
    }

    /// Encrypt each packet in place: a plaintext with room for the tag behind it.
    pub fn seal<'a>(&self, packets: impl Iterator<Item = (Nonce, &'a mut [u8])>) {
        let mut group = Group::new();
        for (nonce, packet) in packets {
            if !group.takes(packet.len()) {
                self.seal_group(&mut group);
            }
            group.push(nonce, packet);
        }
        self.seal_group(&mut group);
    }

    /// Decrypt a group of ciphertexts with tags in place, and empty it. Calls `report` for each in order
    /// with whether it is authentic. The contents of the others are undefined.
    pub fn open(&self, group: &mut Group<'_>, mut report: impl FnMut(bool)) {
        #[cfg(target_arch = "x86_64")]
        if group.is_worth_it(self.variant) {
            let tags = group.crypt::<false>(self.variant, &self.words);
            for ((_, packet), tag) in group.drain().zip(tags) {
                let at = packet.len() - TAG;
                let given = packet[at..]
                    .first_chunk()
                    .map(|tag| u128::from_le_bytes(*tag));
                // A single comparison of 128 bits takes constant time.
                report(given.is_some_and(|given| given ^ tag == 0));
            }
            return;
        }
        for (nonce, packet) in group.drain() {
            report(self.ring.open(nonce, packet));
        }
    }

    fn seal_group(&self, group: &mut Group<'_>) {
        #[cfg(target_arch = "x86_64")]
        if group.is_worth_it(self.variant) {
            let tags = group.crypt::<true>(self.variant, &self.words);
            for ((_, packet), tag) in group.drain().zip(tags) {
                let at = packet.len() - TAG;
                packet[at..].copy_from_slice(&tag.to_le_bytes());
            }
            return;
        }
        for (nonce, packet) in group.drain() {
            self.ring.seal(nonce, packet);
        }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key(hidden)")
    }
}
