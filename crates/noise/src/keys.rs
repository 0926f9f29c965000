//! The keys of a handshake: static, ephemeral, and those of the session that it creates.

use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::{KEY, x25519};

/// Our static private key, and its public key.
pub struct Identity {
    private: Zeroizing<[u8; KEY]>,
    public: [u8; KEY],
}

impl Identity {
    /// Build from our private key; the caller wipes its copy.
    #[must_use]
    pub fn new(private: &[u8; KEY]) -> Self {
        Self {
            private: Zeroizing::new(*private),
            public: x25519::public_key(private),
        }
    }

    /// Our public key.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; KEY] {
        &self.public
    }

    pub(crate) fn shared(&self, public: &[u8; KEY]) -> Option<Zeroizing<[u8; KEY]>> {
        x25519::diffie_hellman(&self.private, public)
    }
}

/// Two static keys and their shared secret, computed once.
pub struct StaticStatic {
    pub(crate) us: Arc<Identity>,
    pub(crate) them: [u8; KEY],
    pub(crate) secret: Zeroizing<[u8; KEY]>,
}

impl StaticStatic {
    /// Compute the secret shared with the owner of a public key. None if that is of low order.
    #[must_use]
    pub fn new(us: &Arc<Identity>, them: &[u8; KEY]) -> Option<Self> {
        Some(Self {
            us: us.clone(),
            them: *them,
            secret: us.shared(them)?,
        })
    }
}

/// A private key for one handshake, and its public key.
pub struct Ephemeral {
    private: Zeroizing<[u8; KEY]>,
    pub(crate) public: [u8; KEY],
}

impl Ephemeral {
    /// Draw one from the system's random bytes.
    #[must_use]
    pub fn generate() -> Self {
        let mut private = Zeroizing::new([0; KEY]);
        SystemRandom::new()
            .fill(&mut *private)
            .expect("the kernel always has random bytes");
        Self::from_private(&private)
    }

    /// Build from a private key, for tests that repeat.
    #[must_use]
    pub fn from_private(private: &[u8; KEY]) -> Self {
        Self {
            private: Zeroizing::new(*private),
            public: x25519::public_key(private),
        }
    }

    pub(crate) fn shared(&self, public: &[u8; KEY]) -> Option<Zeroizing<[u8; KEY]>> {
        x25519::diffie_hellman(&self.private, public)
    }
}

/// The keys of a session in both directions, and its index on each side.
pub struct SessionKeys {
    /// The index by which the peer addresses us.
    pub local_index: u32,
    /// The index by which we address the peer.
    pub remote_index: u32,
    /// Our key.
    pub send: Zeroizing<[u8; KEY]>,
    /// The peer's key.
    pub receive: Zeroizing<[u8; KEY]>,
}

macro_rules! hidden {
    ($($name:ident),+) => {
        $(impl ::std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(hidden)"))
            }
        })+
    };
}
pub(crate) use hidden;

hidden!(Identity, StaticStatic, Ephemeral, SessionKeys);
