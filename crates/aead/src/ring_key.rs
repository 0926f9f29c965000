//! ring's key, wiped on drop.
//!
//! ring does not wipe its keys, so each has a box of its own, which is overwritten.
#![allow(unsafe_code)]

use std::sync::atomic::{Ordering, compiler_fence};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce as RingNonce, UnboundKey};

use crate::parameters::{Nonce, TAG};

// The key's memory is overwritten before its box is freed, so the box must not run drop code on it.
const _: () = assert!(!std::mem::needs_drop::<LessSafeKey>());

/// A key that seals and opens one packet at a time.
pub struct RingKey(Box<LessSafeKey>);

impl RingKey {
    /// Expand a key.
    pub fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("a key of 32 bytes");
        Self(Box::new(LessSafeKey::new(key)))
    }

    /// Encrypt a plaintext in place, and write its tag to the last 16 bytes.
    pub fn seal(&self, nonce: Nonce, packet: &mut [u8]) {
        let (text, room) = packet.split_at_mut(packet.len() - TAG);
        let tag = self
            .0
            .seal_in_place_separate_tag(RingNonce::assume_unique_for_key(nonce), Aad::empty(), text)
            .expect("a packet is far below the cipher's limit");
        room.copy_from_slice(tag.as_ref());
    }

    /// Decrypt in place, and return whether the packet is authentic.
    pub fn open(&self, nonce: Nonce, packet: &mut [u8]) -> bool {
        self.0
            .open_in_place(
                RingNonce::assume_unique_for_key(nonce),
                Aad::empty(),
                packet,
            )
            .is_ok()
    }
}

impl Drop for RingKey {
    fn drop(&mut self) {
        let key = std::ptr::from_mut::<LessSafeKey>(&mut self.0).cast::<u8>();
        for offset in 0..size_of::<LessSafeKey>() {
            // SAFETY: `offset` is inside the boxed key, which is ours alone. The key has no drop code
            // (asserted above) and nothing reads it again: the box only frees its memory.
            unsafe { key.add(offset).write_volatile(0) };
        }
        compiler_fence(Ordering::SeqCst);
    }
}
