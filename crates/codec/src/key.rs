//! A WireGuard key: 32 bytes, in base64 for people and in hexadecimal in the UAPI.
//!
//! Both encodings take constant time, because a key may be a secret.

use std::fmt;

use base64ct::{Base64, Encoding};
use curve25519_dalek::MontgomeryPoint;

/// The length of a key in bytes.
pub const LENGTH: usize = 32;

/// A public, private or preshared key. All zeros stand for no key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; LENGTH]);

impl Key {
    /// No key; in an update it removes a key.
    pub const ZERO: Self = Self([0; LENGTH]);

    /// Create a key from its bytes.
    #[must_use]
    pub const fn new(raw: [u8; LENGTH]) -> Self {
        Self(raw)
    }

    /// Parse 64 hexadecimal digits of either case.
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let mut raw = [0; LENGTH];
        let decoded = base16ct::mixed::decode(text, &mut raw).ok()?;
        (decoded.len() == LENGTH).then_some(Self(raw))
    }

    /// Parse 44 characters of canonical base64.
    #[must_use]
    pub fn from_base64(text: &[u8]) -> Option<Self> {
        let mut raw = [0; LENGTH];
        let decoded = Base64::decode(text, &mut raw).ok()?;
        (decoded.len() == LENGTH).then_some(Self(raw))
    }

    /// The bytes.
    #[must_use]
    pub const fn raw(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// Whether all bits are zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// The public key of this private key (X25519, RFC 7748).
    #[must_use]
    pub fn public(&self) -> Self {
        Self(MontgomeryPoint::mul_base_clamped(self.0).to_bytes())
    }

    /// Write it as 64 hexadecimal digits.
    pub fn write_hex(&self, out: &mut Vec<u8>) {
        let mut digits = [0; 2 * LENGTH];
        if let Ok(digits) = base16ct::lower::encode(&self.0, &mut digits) {
            out.extend_from_slice(digits);
        }
    }

    /// Write it as 44 characters of base64.
    pub fn write_base64(&self, out: &mut Vec<u8>) {
        let mut characters = [0; 44];
        if let Ok(characters) = Base64::encode(&self.0, &mut characters) {
            out.extend_from_slice(characters.as_bytes());
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE64: &str = "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=";

    #[test]
    fn the_public_key_is_that_of_rfc_7748() {
        let private = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
        let public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
        let key = |text: &str| Key::from_hex(text.as_bytes()).expect("a key");
        assert_eq!(key(private).public(), key(public));
    }

    #[test]
    fn other_texts_of_the_same_bytes_are_no_keys() {
        assert!(Key::from_base64(BASE64.as_bytes()).is_some());
        let tail = |end: &str| format!("{}{end}", &BASE64[..42]);
        for text in [
            tail("V="),
            tail("U"),
            tail("U=="),
            tail("U=\n"),
            tail("U=A"),
            tail("-="),
        ] {
            assert_eq!(Key::from_base64(text.as_bytes()), None, "{text}");
        }
        for text in [
            "",
            "05",
            &"05".repeat(33),
            &"0g".repeat(32),
            &"5".repeat(63),
        ] {
            assert_eq!(Key::from_hex(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", Key::new([5; 32])), "Key(hidden)");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(raw: [u8; 32]) {
            let (key, mut hex, mut base64) = (Key::new(raw), Vec::new(), Vec::new());
            key.write_hex(&mut hex);
            key.write_base64(&mut base64);
            prop_assert_eq!(Key::from_hex(&hex), Some(key.clone()));
            prop_assert_eq!(Key::from_hex(&hex.to_ascii_uppercase()), Some(key.clone()));
            prop_assert_eq!(Key::from_base64(&base64), Some(key));
        }
    }
}
