//! The check before the handshake: sizes, mac1, mac2, cookies and rate limits (paper, 5.3 and 5.4.7;
//! kernel cookie.c and ratelimiter.c), and the macs of messages to be sent.
//!
//! The brain reads and writes Noise messages without macs. No private key is needed: the keys of mac1
//! and cookies are derived from public keys. Called by the shard and the peer.

use std::net::{IpAddr, SocketAddr};

use blake2::{Blake2s256, Digest};
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::{Zeroize, Zeroizing};

use crate::clock::{Nanos, SECOND};
use crate::discard::Discard;
use crate::limiter::Limiter;
use crate::mac::{MAC, mac};

/// Type of the first handshake message (paper, 5.4).
pub const INITIATION: u8 = 1;
/// Type of the second.
pub const RESPONSE: u8 = 2;
/// Type of the reply under load.
pub const COOKIE_REPLY: u8 = 3;

/// Length of an initiation.
pub const INITIATION_SIZE: usize = 148;
/// Length of a response.
pub const RESPONSE_SIZE: usize = 92;
/// Length of a cookie reply.
pub const COOKIE_REPLY_SIZE: usize = 64;
/// Length of mac1 and mac2 together, the end of each handshake message.
pub const MACS: usize = 2 * MAC;

/// Lifetime of a cookie and of the secret that it is made with (paper, 5.4.7: two minutes).
const COOKIE_LIFE: Nanos = 120 * SECOND;

/// Fills a buffer with random bytes.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// The system's random bytes.
#[must_use]
pub fn system_random() -> Random {
    let random = SystemRandom::new();
    Box::new(move |bytes| {
        random
            .fill(bytes)
            .expect("the kernel always has random bytes")
    })
}

/// What to do with a handshake message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it to the brain.
    Pass,
    /// Send this cookie reply, and count the message as `Discard::CookieRequired`.
    Reply([u8; COOKIE_REPLY_SIZE]),
    /// Count and drop it.
    Discard(Discard),
}

/// Checks initiations and responses before anything expensive is done for them.
pub struct CookieChecker {
    random: Random,
    keys: Option<Keys>,
    secret: Zeroizing<[u8; 32]>,
    secret_since: Option<Nanos>,
    limiter: Limiter,
}

impl CookieChecker {
    /// Create a checker that accepts nothing until it has an identity.
    #[must_use]
    pub fn new(mut random: Random) -> Self {
        let mut seed = [0; 32];
        random(&mut seed);
        Self {
            random,
            keys: None,
            secret: Zeroizing::new([0; 32]),
            secret_since: None,
            limiter: Limiter::new(seed),
        }
    }

    /// Set the public key whose mac1 is accepted. `None` accepts nothing.
    pub fn set_identity(&mut self, public_key: Option<&[u8; 32]>) {
        self.keys = public_key.map(Keys::new);
    }

    /// Check a message of type 1 or 2. Never panics, whatever the bytes.
    pub fn check(
        &mut self,
        now: Nanos,
        message: &[u8],
        from: &SocketAddr,
        under_load: bool,
    ) -> Verdict {
        if let Err(discard) = self.check_mac1(message) {
            return Verdict::Discard(discard);
        }
        if !under_load {
            return Verdict::Pass;
        }
        let cookie = self.cookie(now, from);
        let (before, mac2) = message.split_at(message.len() - MAC);
        if !equal(&mac(&*cookie, before), mac2) {
            return self.reply(message, &cookie);
        }
        // The address is proven now, so a limit per address hurts nobody else.
        if self.limiter.allow(now, from.ip()) {
            Verdict::Pass
        } else {
            Verdict::Discard(Discard::RateLimited)
        }
    }

    fn check_mac1(&self, message: &[u8]) -> Result<(), Discard> {
        match (message.get(..4), message.len()) {
            (Some([INITIATION, 0, 0, 0]), INITIATION_SIZE)
            | (Some([RESPONSE, 0, 0, 0]), RESPONSE_SIZE) => {}
            (None, _) => return Err(Discard::Truncated),
            _ => return Err(Discard::UnknownType),
        }
        let keys = self.keys.as_ref().ok_or(Discard::NoIdentity)?;
        let (before, macs) = message.split_at(message.len() - MACS);
        if equal(&mac(&keys.mac1, before), &macs[..MAC]) {
            Ok(())
        } else {
            Err(Discard::BadMac1)
        }
    }

    /// The cookie for a source address and port. The secret is at most two minutes old.
    fn cookie(&mut self, now: Nanos, from: &SocketAddr) -> Zeroizing<[u8; MAC]> {
        if self
            .secret_since
            .is_none_or(|since| now.saturating_sub(since) >= COOKIE_LIFE)
        {
            (self.random)(&mut *self.secret);
            self.secret_since = Some(now);
        }
        let mut source = [0; 18];
        let length = match from.ip().to_canonical() {
            IpAddr::V4(address) => {
                source[..4].copy_from_slice(&address.octets());
                4
            }
            IpAddr::V6(address) => {
                source[..16].copy_from_slice(&address.octets());
                16
            }
        };
        source[length..length + 2].copy_from_slice(&from.port().to_be_bytes());
        Zeroizing::new(mac(&*self.secret, &source[..length + 2]))
    }

    fn reply(&mut self, message: &[u8], cookie: &[u8; MAC]) -> Verdict {
        let Some(keys) = &self.keys else {
            return Verdict::Discard(Discard::NoIdentity);
        };
        let mac1 = &message[message.len() - MACS..message.len() - MAC];
        let mut reply = [0; COOKIE_REPLY_SIZE];
        let mut nonce = [0; 24];
        (self.random)(&mut nonce);
        reply[0] = COOKIE_REPLY;
        reply[4..8].copy_from_slice(&message[4..8]); // their sender index is our receiver index
        reply[8..32].copy_from_slice(&nonce);
        let (sealed, tag) = reply[32..].split_at_mut(MAC);
        sealed.copy_from_slice(cookie);
        let cipher = XChaCha20Poly1305::new(&keys.cookie.into());
        match cipher.encrypt_inout_detached(&nonce.into(), mac1, sealed.into()) {
            Ok(computed) => tag.copy_from_slice(&computed),
            Err(_) => return Verdict::Discard(Discard::CookieRequired),
        }
        Verdict::Reply(reply)
    }
}

impl std::fmt::Debug for CookieChecker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CookieChecker(hidden)")
    }
}

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

    /// Take the cookie from a reply to the last message. Accepts one reply for each message. Never
    /// panics, whatever the bytes.
    pub fn consume_reply(&mut self, now: Nanos, message: &[u8]) -> Result<(), Discard> {
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
        self.cookie = Some((cookie, now));
        self.sent = None;
        Ok(())
    }
}

impl std::fmt::Debug for CookieGenerator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CookieGenerator(hidden)")
    }
}

/// The two keys derived from a public key (paper, 5.4.4 and 5.4.7).
struct Keys {
    mac1: [u8; 32],
    cookie: [u8; 32],
}

impl Keys {
    fn new(public_key: &[u8; 32]) -> Self {
        let derive = |label: &[u8]| {
            Blake2s256::new()
                .chain_update(label)
                .chain_update(public_key)
                .finalize()
                .into()
        };
        Self {
            mac1: derive(b"mac1----"),
            cookie: derive(b"cookie--"),
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.mac1.zeroize();
        self.cookie.zeroize();
    }
}

/// Compare in constant time.
fn equal(computed: &[u8; MAC], claimed: &[u8]) -> bool {
    u128::from_ne_bytes(*computed) == u128::from_ne_bytes(array(claimed))
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller passes N bytes")
}

#[cfg(test)]
mod tests;
