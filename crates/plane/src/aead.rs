//! One direction's transport key: ChaCha20-Poly1305 with a 64-bit counter as nonce (paper, 5.4.6).
//!
//! ring does not wipe its keys, so each is kept in a box of its own that is overwritten on drop.
//! This is the only file of the pure half with `unsafe`. Called by the session.
#![allow(unsafe_code)]

use std::sync::atomic::{Ordering, compiler_fence};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

/// Length of the authentication tag.
pub const TAG: usize = 16;

// The key's memory is overwritten before its box is freed, which must then run no drop code on it.
const _: () = assert!(!std::mem::needs_drop::<LessSafeKey>());

/// A key that seals and opens in place and is wiped when dropped.
pub struct AeadKey(Box<LessSafeKey>);

impl AeadKey {
    /// Expand a key. The caller wipes its own copy.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("a key of 32 bytes");
        Self(Box::new(LessSafeKey::new(key)))
    }

    /// Encrypt `text` in place and give its tag.
    #[must_use]
    pub fn seal(&self, counter: u64, text: &mut [u8]) -> [u8; TAG] {
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(counter), Aad::empty(), text)
            .expect("a packet is far below the cipher's limit");
        tag.as_ref().try_into().expect("a tag of 16 bytes")
    }

    /// Decrypt `text`, a ciphertext and its tag, in place; whether it was authentic.
    #[must_use]
    pub fn open(&self, counter: u64, text: &mut [u8]) -> bool {
        self.0
            .open_in_place(nonce(counter), Aad::empty(), text)
            .is_ok()
    }
}

impl Drop for AeadKey {
    fn drop(&mut self) {
        let key = std::ptr::from_mut::<LessSafeKey>(&mut self.0).cast::<u8>();
        for offset in 0..size_of::<LessSafeKey>() {
            // SAFETY: `offset` lies inside the boxed key, which we own alone. The key has no drop
            // code (asserted above) and nothing reads it again: the box only frees its memory.
            unsafe { key.add(offset).write_volatile(0) };
        }
        compiler_fence(Ordering::SeqCst);
    }
}

impl std::fmt::Debug for AeadKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AeadKey(hidden)")
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}
