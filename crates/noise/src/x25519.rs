//! X25519 (RFC 7748).
//!
//! Where the processor has the instructions, graviola computes it, whose code is that of s2n-bignum, proven
//! formally and two to three times as fast. Elsewhere curve25519-dalek does. Both take constant time.

use curve25519_dalek::MontgomeryPoint;
use zeroize::Zeroizing;

use crate::KEY;

/// The public key of a private key.
pub fn public_key(private: &[u8; KEY]) -> [u8; KEY] {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if fast::available() {
        return fast::public_key(private);
    }
    portable_public_key(private)
}

/// The secret that a private key shares with the owner of a public key. None if the public key is of low
/// order: then the secret is all zeros, whatever the private key is (RFC 7748, section 6.1).
pub fn diffie_hellman(private: &[u8; KEY], public: &[u8; KEY]) -> Option<Zeroizing<[u8; KEY]>> {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if fast::available() {
        return fast::diffie_hellman(private, public);
    }
    portable_diffie_hellman(private, public)
}

fn portable_public_key(private: &[u8; KEY]) -> [u8; KEY] {
    MontgomeryPoint::mul_base_clamped(*private).to_bytes()
}

fn portable_diffie_hellman(
    private: &[u8; KEY],
    public: &[u8; KEY],
) -> Option<Zeroizing<[u8; KEY]>> {
    let secret = MontgomeryPoint(*public).mul_clamped(*private);
    let secret = Zeroizing::new(secret.to_bytes());
    // All bytes are joined before the comparison, so its time depends on no single one.
    let any = secret.iter().fold(0, |bits, byte| bits | byte);
    (any != 0).then_some(secret)
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod fast {
    use graviola::key_agreement::x25519::{PublicKey, StaticPrivateKey};
    use zeroize::Zeroizing;

    use crate::KEY;

    /// Whether the processor has all that graviola requires, which panics without it.
    #[cfg(target_arch = "x86_64")]
    pub fn available() -> bool {
        is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("adx")
            && is_x86_feature_detected!("avx2")
    }

    /// Whether the processor has all that graviola requires, which panics without it.
    #[cfg(target_arch = "aarch64")]
    pub fn available() -> bool {
        use std::arch::is_aarch64_feature_detected;
        is_aarch64_feature_detected!("neon")
            && is_aarch64_feature_detected!("aes")
            && is_aarch64_feature_detected!("pmull")
            && is_aarch64_feature_detected!("sha2")
    }

    pub fn public_key(private: &[u8; KEY]) -> [u8; KEY] {
        StaticPrivateKey::from_array(private)
            .public_key()
            .as_bytes()
    }

    pub fn diffie_hellman(private: &[u8; KEY], public: &[u8; KEY]) -> Option<Zeroizing<[u8; KEY]>> {
        let secret = StaticPrivateKey::from_array(private)
            .diffie_hellman(&PublicKey::from_array(public))
            .ok()?;
        Some(Zeroizing::new(secret.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Points of small order, and their forms that are not reduced (paper of Bernstein, "Curve25519", and
    /// <https://cr.yp.to/ecdh.html#validate>).
    const LOW_ORDER: [&str; 5] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];

    fn key(text: &str) -> [u8; KEY] {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("digits");
        std::array::from_fn(|byte| digit(2 * byte))
    }

    #[test]
    fn the_vectors_of_rfc_7748_hold() {
        let scalar = key("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
        let point = key("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
        let product = key("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
        assert_eq!(diffie_hellman(&scalar, &point).as_deref(), Some(&product));
        let private = key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let public = key("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(public_key(&private), public);
    }

    /// Wycheproof's vectors: edge cases of the field, points on the twist and of low order, public keys that
    /// are not reduced.
    #[test]
    fn wycheproofs_vectors_hold() {
        let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).expect("a set");
        let mut seen = 0;
        for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
            let array = |bytes: &[u8]| <[u8; KEY]>::try_from(bytes).ok();
            let (Some(private), Some(public)) = (array(&test.private_key), array(&test.public_key))
            else {
                continue;
            };
            seen += 1;
            let expected = array(&test.shared_secret).filter(|secret| *secret != [0; KEY]);
            for compute in [diffie_hellman, portable_diffie_hellman] {
                let secret = compute(&private, &public).map(|secret| *secret);
                assert_eq!(secret, expected, "vector {}", test.tc_id);
            }
        }
        assert!(seen > 500, "{seen} vectors");
    }

    #[test]
    fn a_point_of_low_order_gives_no_secret() {
        for point in LOW_ORDER {
            assert_eq!(diffie_hellman(&[7; KEY], &key(point)), None, "{point}");
            let portable = portable_diffie_hellman(&[7; KEY], &key(point));
            assert_eq!(portable, None, "{point}");
        }
    }

    proptest! {
        #[test]
        fn both_implementations_agree(private: [u8; KEY], public: [u8; KEY]) {
            prop_assert_eq!(public_key(&private), portable_public_key(&private));
            let portable = portable_diffie_hellman(&private, &public);
            prop_assert_eq!(diffie_hellman(&private, &public), portable);
        }
    }
}
