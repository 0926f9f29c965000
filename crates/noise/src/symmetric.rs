//! The symmetric state of a handshake: the chaining key and the hash of all that was said (Noise, 5.2).

use blake2::digest::Update;
use blake2::{Blake2s256, Digest};
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use zeroize::{Zeroize, Zeroizing};

use crate::{KEY, TAG};

const CONSTRUCTION: &[u8] = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"; // paper, 5.4
const IDENTIFIER: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com"; // paper, 5.4
const BLOCK: usize = 64;
/// Every key of a handshake encrypts once, with counter 0 (paper, 5.4).
const NONCE: [u8; 12] = [0; 12];

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A public key is of low order: it gives everyone the same secret.
    LowOrder,
    /// The message is forged, or for another key or preshared key.
    Undecryptable,
}

/// A key that encrypts once.
pub type OnceKey = Zeroizing<[u8; KEY]>;

/// The symmetric state.
#[derive(Clone)]
pub struct SymmetricState {
    chaining_key: [u8; KEY],
    hash: [u8; KEY],
}

impl SymmetricState {
    /// The state with which message 1 to the owner of a public key begins.
    pub fn toward(responder: &[u8; KEY]) -> Self {
        let chaining_key = hash(&[CONSTRUCTION]);
        let mut state = Self {
            chaining_key,
            hash: hash(&[&chaining_key, IDENTIFIER]),
        };
        state.mix_hash(responder);
        state
    }

    pub fn mix_hash(&mut self, data: &[u8]) {
        self.hash = hash(&[&self.hash, data]);
    }

    /// Mix in what no key is needed of.
    pub fn mix_chain(&mut self, data: &[u8]) {
        let secret = hmac(&self.chaining_key, &[data]);
        self.chaining_key = *hmac(&secret, &[&[1]]);
    }

    /// Mix in a secret, and return a key that depends on it.
    pub fn mix_key(&mut self, data: &[u8]) -> OnceKey {
        let secret = hmac(&self.chaining_key, &[data]);
        self.chaining_key = *hmac(&secret, &[&[1]]);
        hmac(&secret, &[&self.chaining_key, &[2]])
    }

    /// Mix a preshared key into chaining key and hash, and return a key that depends on it.
    pub fn mix_key_and_hash(&mut self, preshared_key: &[u8; KEY]) -> OnceKey {
        let secret = hmac(&self.chaining_key, &[preshared_key]);
        self.chaining_key = *hmac(&secret, &[&[1]]);
        let mixed = hmac(&secret, &[&self.chaining_key, &[2]]);
        self.mix_hash(&*mixed);
        hmac(&secret, &[&*mixed, &[3]])
    }

    /// Encrypt the first bytes of `field`, and write the tag to its last 16.
    pub fn encrypt(&mut self, key: &OnceKey, field: &mut [u8]) {
        let (text, room) = field.split_at_mut(field.len() - TAG);
        let tag = ChaCha20Poly1305::new((&**key).into())
            .encrypt_inout_detached(&NONCE.into(), &self.hash, text.into())
            .expect("a field is far below the cipher's limit");
        room.copy_from_slice(&tag);
        self.mix_hash(field);
    }

    /// Decrypt a field whose last 16 bytes are the tag.
    pub fn decrypt<const LENGTH: usize>(
        &mut self,
        key: &OnceKey,
        field: &[u8],
    ) -> Result<[u8; LENGTH], Refusal> {
        let (sealed, tag) = field
            .split_at_checked(LENGTH)
            .ok_or(Refusal::Undecryptable)?;
        let tag: [u8; TAG] = tag.try_into().map_err(|_| Refusal::Undecryptable)?;
        let mut text: [u8; LENGTH] = sealed.try_into().map_err(|_| Refusal::Undecryptable)?;
        ChaCha20Poly1305::new((&**key).into())
            .decrypt_inout_detached(
                &NONCE.into(),
                &self.hash,
                text.as_mut_slice().into(),
                &tag.into(),
            )
            .map_err(|_| Refusal::Undecryptable)?;
        self.mix_hash(field);
        Ok(text)
    }

    /// The two keys of the session; the initiator sends with the first.
    pub fn split(&self) -> (OnceKey, OnceKey) {
        let secret = hmac(&self.chaining_key, &[]);
        let first = hmac(&secret, &[&[1]]);
        let second = hmac(&secret, &[&*first, &[2]]);
        (first, second)
    }
}

impl Drop for SymmetricState {
    fn drop(&mut self) {
        self.chaining_key.zeroize();
        self.hash.zeroize();
    }
}

fn hash(parts: &[&[u8]]) -> [u8; KEY] {
    let mut state = Blake2s256::new();
    for part in parts {
        Update::update(&mut state, part);
    }
    state.finalize().into()
}

/// HMAC-BLAKE2s (RFC 2104) of a key that is shorter than a block.
fn hmac(key: &[u8; KEY], parts: &[&[u8]]) -> Zeroizing<[u8; KEY]> {
    let mut padded = Zeroizing::new([0x36; BLOCK]);
    for (byte, key) in padded.iter_mut().zip(key) {
        *byte ^= key;
    }
    let mut state = Blake2s256::new();
    Update::update(&mut state, &*padded);
    for part in parts {
        Update::update(&mut state, part);
    }
    let inner: Zeroizing<[u8; KEY]> = Zeroizing::new(state.finalize().into());
    for byte in padded.iter_mut() {
        *byte ^= 0x36 ^ 0x5c;
    }
    Zeroizing::new(hash(&[&*padded, &*inner]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_rfc_7693() {
        let expected = [
            0x50, 0x8c, 0x5e, 0x8c, 0x32, 0x7c, 0x14, 0xe2, 0xe1, 0xa7, 0x2b, 0xa3, 0x4e, 0xeb,
            0x45, 0x2f, 0x37, 0x45, 0x8b, 0x20, 0x9e, 0xd6, 0x3a, 0x29, 0x4d, 0x99, 0x9b, 0x4c,
            0x86, 0x67, 0x59, 0x82,
        ];
        assert_eq!(hash(&[b"a", b"bc"]), expected);
    }

    #[test]
    fn a_field_of_another_length_is_refused() {
        let key = Zeroizing::new([1; KEY]);
        let mut state = SymmetricState::toward(&[2; KEY]);
        for length in [0, 15, 16, 27, 29, 48] {
            let found: Result<[u8; 12], _> = state.decrypt(&key, &vec![0; length]);
            assert_eq!(found, Err(Refusal::Undecryptable));
        }
    }
}
