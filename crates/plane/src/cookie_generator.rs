//! Writes the macs of our handshake messages, and takes cookies (paper, 5.4.4 and 5.4.7; kernel
//! cookie.c). A peer has one.

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
use zeroize::Zeroizing;

use crate::clock::Nanos;
use crate::cookie::{COOKIE_LIFE, COOKIE_REPLY, COOKIE_REPLY_SIZE, Keys, array};
use crate::discard::Discard;
use crate::mac::{MAC, mac};

/// Writes mac1 and mac2 of messages to one peer, and keeps the peer's cookie.
pub struct CookieGenerator {
    keys: Keys,
    /// mac1 of the last message, until a cookie reply to it has come.
    sent: Option<[u8; MAC]>,
    cookie: Option<(Zeroizing<[u8; MAC]>, Nanos)>,
}

impl CookieGenerator {
    /// Create the generator for messages to the owner of a public key.
    #[must_use]
    pub fn new(peer_public_key: &[u8; 32]) -> Self {
        Self {
            keys: Keys::new(peer_public_key),
            sent: None,
            cookie: None,
        }
    }

    /// Write `bare`, a Noise message, and its two macs to `out`, which is `MACS` bytes longer.
    pub fn add_macs(&mut self, now: Nanos, bare: &[u8], out: &mut [u8]) {
        let (message, macs) = out.split_at_mut(bare.len());
        message.copy_from_slice(bare);
        let mac1 = mac(&self.keys.mac1, message);
        macs[..MAC].copy_from_slice(&mac1);
        self.sent = Some(mac1);
        self.cookie
            .take_if(|(_, since)| now.saturating_sub(*since) >= COOKIE_LIFE);
        let mac2 = match &self.cookie {
            Some((cookie, _)) => mac(&**cookie, &out[..bare.len() + MAC]),
            None => [0; MAC],
        };
        out[bare.len() + MAC..].copy_from_slice(&mac2);
    }

    /// Take the cookie from a reply to the last message, and return whether that was sent without one.
    /// Accepts one reply for each message. Never panics, whatever the bytes.
    pub fn consume_reply(&mut self, now: Nanos, message: &[u8]) -> Result<bool, Discard> {
        let message: &[u8; COOKIE_REPLY_SIZE] =
            message.try_into().map_err(|_| Discard::BadCookieReply)?;
        let mac1 = self.sent.ok_or(Discard::BadCookieReply)?;
        if message[..4] != [COOKIE_REPLY, 0, 0, 0] {
            return Err(Discard::BadCookieReply);
        }
        let (nonce, tag) = (array::<24>(&message[8..32]), array::<16>(&message[48..]));
        let mut cookie = Zeroizing::new(array::<MAC>(&message[32..48]));
        XChaCha20Poly1305::new(&self.keys.cookie.into())
            .decrypt_inout_detached(
                &nonce.into(),
                &mac1,
                cookie.as_mut_slice().into(),
                &tag.into(),
            )
            .map_err(|_| Discard::BadCookieReply)?;
        self.sent = None;
        Ok(self.cookie.replace((cookie, now)).is_none())
    }
}

impl std::fmt::Debug for CookieGenerator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CookieGenerator(hidden)")
    }
}
