//! The check before the handshake: sizes, mac1, mac2, cookies and rate limits (paper, 5.3 and 5.4.7;
//! kernel cookie.c and ratelimiter.c). Called by `handshakes`.

use std::net::{IpAddr, SocketAddr};

use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::bucket::{Bucket, Rate};
use crate::clock::{Nanos, SECOND};
use crate::cookie::{
    COOKIE_LIFE, COOKIE_REPLY, COOKIE_REPLY_SIZE, CookieReply, INITIATION, INITIATION_SIZE, Keys,
    MACS, RESPONSE, RESPONSE_SIZE, array, equal,
};
use crate::discard::Discard;
use crate::limiter::Limiter;
use crate::load::Load;
use crate::mac::{MAC, StartedMac, mac};

/// Cookie replies: at most 300,000 a second, and 1,000 at once.
const REPLIES: Rate = Rate::new(SECOND / 300_000, 1000);

/// What all initiations begin with (paper, 5.4.2).
const INITIATION_START: [u8; 4] = [INITIATION, 0, 0, 0];

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
    Reply(CookieReply),
    /// Count and drop it.
    Discard(Discard),
}

/// What follows from the public key.
struct Identity {
    keys: Keys,
    /// mac1 of initiations, which all begin with the same four bytes.
    initiation: StartedMac,
}

/// Checks initiations and responses before anything expensive is done for them.
pub struct CookieChecker {
    random: Random,
    identity: Option<Identity>,
    secrets: Option<Secrets>,
    load: Load,
    limiter: Limiter,
    replies: Bucket,
}

impl CookieChecker {
    /// Create a checker that accepts nothing until it has an identity.
    #[must_use]
    pub fn new(mut random: Random) -> Self {
        let mut seed = [0; 32];
        random(&mut seed);
        Self {
            random,
            identity: None,
            secrets: None,
            load: Load::default(),
            limiter: Limiter::new(seed),
            replies: Bucket::default(),
        }
    }

    /// Set the public key whose mac1 is accepted. `None` accepts nothing.
    pub fn set_identity(&mut self, public_key: Option<&[u8; 32]>) {
        self.identity = public_key.map(|public_key| {
            let keys = Keys::new(public_key);
            let initiation = StartedMac::new(&keys.mac1, &INITIATION_START);
            Identity { keys, initiation }
        });
        self.secrets = None;
    }

    /// Check a message of type 1 or 2. `crowded`: many messages wait for the brain, which is load, too.
    /// Never panics, whatever the bytes.
    pub fn check(
        &mut self,
        now: Nanos,
        message: &[u8],
        from: &SocketAddr,
        crowded: bool,
    ) -> Verdict {
        if let Err(discard) = self.check_mac1(message) {
            return Verdict::Discard(discard);
        }
        let (before, mac2) = message.split_at(message.len() - MAC);
        let claims_cookie = mac2 != [0; MAC];
        if claims_cookie
            && (crowded || self.load.lasts(now))
            && let Some(secrets) = self.secrets(now)
            && equal(&mac(&*secrets.cookie(from), before), mac2)
        {
            // The address is proven, so a limit per address hurts nobody else.
            return match self.limiter.allow(now, from.ip()) {
                true => Verdict::Pass,
                false => Verdict::Discard(Discard::RateLimited),
            };
        }
        if !self.load.requires_proof(now, crowded) {
            return Verdict::Pass;
        }
        if !self.replies.take(now, &REPLIES) {
            return Verdict::Discard(Discard::CookieRequired);
        }
        match self.secrets(now) {
            Some(secrets) => Verdict::Reply(secrets.reply(message, from)),
            None => Verdict::Discard(Discard::NoIdentity),
        }
    }

    /// Whether senders must prove their addresses.
    #[must_use]
    pub fn under_load(&self, now: Nanos) -> bool {
        self.load.lasts(now)
    }

    fn check_mac1(&self, message: &[u8]) -> Result<(), Discard> {
        let is_initiation = match (message.first_chunk(), message.len()) {
            (Some(&INITIATION_START), INITIATION_SIZE) => true,
            (Some(&[RESPONSE, 0, 0, 0]), RESPONSE_SIZE) => false,
            (None, _) => return Err(Discard::Truncated),
            _ => return Err(Discard::UnknownType),
        };
        let identity = self.identity.as_ref().ok_or(Discard::NoIdentity)?;
        let (before, macs) = message.split_at(message.len() - MACS);
        let computed = match is_initiation {
            true => identity
                .initiation
                .finish(&before[INITIATION_START.len()..]),
            false => mac(&identity.keys.mac1, before),
        };
        if equal(&computed, &macs[..MAC]) {
            Ok(())
        } else {
            Err(Discard::BadMac1)
        }
    }

    /// The secrets of now, at most two minutes old. None without an identity.
    fn secrets(&mut self, now: Nanos) -> Option<&mut Secrets> {
        self.secrets
            .take_if(|secrets| now.saturating_sub(secrets.since) >= COOKIE_LIFE);
        if self.secrets.is_none() {
            let key = &self.identity.as_ref()?.keys.cookie;
            self.secrets = Some(Secrets::new(now, key, &mut self.random));
        }
        self.secrets.as_mut()
    }
}

/// What cookies are made from, and what seals them.
struct Secrets {
    since: Nanos,
    cookie: Zeroizing<[u8; 32]>,
    /// The nonce of the next reply. Only its second part changes: the first one made the key.
    nonce: [u8; 24],
    sealer: LessSafeKey,
}

impl Secrets {
    fn new(now: Nanos, cookie_key: &[u8; 32], random: &mut Random) -> Self {
        let (mut cookie, mut nonce) = (Zeroizing::new([0; 32]), [0; 24]);
        random(&mut *cookie);
        random(&mut nonce);
        let start: [u8; 16] = array(&nonce[..16]);
        // XChaCha20 (draft-irtf-cfrg-xchacha, 2.3): a key for each first part of a nonce.
        let subkey: [u8; 32] = hchacha::<R20>(cookie_key.into(), &start.into()).into();
        let subkey = Zeroizing::new(subkey);
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*subkey);
        let key = key.expect("the key has 32 bytes");
        Self {
            since: now,
            cookie,
            nonce,
            sealer: LessSafeKey::new(key),
        }
    }

    /// The cookie for a source address and port.
    fn cookie(&self, from: &SocketAddr) -> Zeroizing<[u8; MAC]> {
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
        Zeroizing::new(mac(&*self.cookie, &source[..length + 2]))
    }

    /// The reply to a message with a valid mac1.
    fn reply(&mut self, message: &[u8], from: &SocketAddr) -> CookieReply {
        let mac1 = &message[message.len() - MACS..message.len() - MAC];
        let mut reply = [0; COOKIE_REPLY_SIZE];
        reply[0] = COOKIE_REPLY;
        reply[4..8].copy_from_slice(&message[4..8]); // their sender index is our receiver index
        reply[8..32].copy_from_slice(&self.nonce);
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.nonce[16..]);
        let next = u64::from_le_bytes(array(&nonce[4..])).wrapping_add(1);
        self.nonce[16..].copy_from_slice(&next.to_le_bytes());
        let (sealed, tag) = reply[32..].split_at_mut(MAC);
        sealed.copy_from_slice(&*self.cookie(from));
        let nonce = Nonce::assume_unique_for_key(nonce);
        let computed = self
            .sealer
            .seal_in_place_separate_tag(nonce, Aad::from(mac1), sealed)
            .expect("a cookie is not too long to be sealed");
        tag.copy_from_slice(computed.as_ref());
        reply
    }
}

impl std::fmt::Debug for CookieChecker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CookieChecker(hidden)")
    }
}
