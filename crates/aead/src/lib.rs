//! One direction's transport key: ChaCha20-Poly1305 with no additional data (RFC 8439; WireGuard
//! paper, 5.4.6), for one packet or for a run of them.
//!
//! Runs of packets of one length go to `wide` where the processor has AVX-512, to `avx2` where it has
//! that, all else to ring. All give the same bytes. Called by the plane's sessions; knows no packet format.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod group;
mod ring_key;
#[cfg(target_arch = "x86_64")]
mod wide;

use std::sync::OnceLock;

use zeroize::Zeroizing;

pub use crate::group::Group;
use crate::ring_key::RingKey;

/// Length of the authentication tag.
pub const TAG: usize = 16;
/// The environment variable that pins a `Variant`.
pub const VARIANT: &str = "HOLLOWAY_AEAD";

/// What makes a packet's key stream its own; never used twice under one key.
pub type Nonce = [u8; 12];

/// The nonce of a transport message: four zero bytes and the counter (paper, 5.4.6).
#[must_use]
pub fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}

/// What seals and opens runs of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// ring, a packet at a time.
    Ring,
    /// Eight packets at a time, with AVX2.
    Avx2,
    /// Eight packets at a time, with AVX-512.
    Avx512,
}

impl Variant {
    /// All of them, the fastest last.
    pub const ALL: [Self; 3] = [Self::Ring, Self::Avx2, Self::Avx512];

    /// Its name in `HOLLOWAY_AEAD`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The fastest that this processor has, or the one that `HOLLOWAY_AEAD` names if the processor
    /// has it. Asked once a process.
    #[must_use]
    pub fn chosen() -> Self {
        static CHOSEN: OnceLock<Variant> = OnceLock::new();
        *CHOSEN.get_or_init(|| Self::of(std::env::var(VARIANT).ok().as_deref()))
    }

    /// The one of this name, or else the fastest, of those that this processor has.
    #[must_use]
    pub fn of(name: Option<&str>) -> Self {
        let mut available = Self::ALL.into_iter().rev().filter(|it| it.available());
        let fastest = available.clone().next().unwrap_or(Self::Ring);
        available
            .find(|it| Some(it.name()) == name)
            .unwrap_or(fastest)
    }

    /// Whether this processor has it.
    #[must_use]
    pub fn available(self) -> bool {
        match self {
            Self::Ring => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => wide::available(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}

/// A key that seals and opens in place and is wiped when dropped.
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

    /// Encrypt each packet in place: a text, and room for its tag behind it.
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

    /// Decrypt a group in place, ciphertexts and their tags, and empty it; tells in their order which
    /// were authentic. What is left of the others means nothing.
    pub fn open(&self, group: &mut Group<'_>, mut report: impl FnMut(bool)) {
        #[cfg(target_arch = "x86_64")]
        if group.is_worth_it(self.variant) {
            let tags = group.crypt::<false>(self.variant, &self.words);
            for ((_, packet), tag) in group.drain().zip(tags) {
                let at = packet.len() - TAG;
                let given = packet[at..]
                    .first_chunk()
                    .map(|tag| u128::from_le_bytes(*tag));
                // One comparison of 128 bits: constant in time.
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
