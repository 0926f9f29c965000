//! The responder: consumes message 1 in two steps and builds message 2 (paper, 5.4.2, 5.4.3 and 5.4.5).
//!
//! Two steps, because the peer has to be found between them: its static-static secret opens the timestamp,
//! which proves the message. A third one builds message 2, if the brain wants that.

use crate::initiator::InitiationFields;
use crate::keys::{Ephemeral, Identity, SessionKeys, StaticStatic, hidden};
use crate::symmetric::{Refusal, SymmetricState};
use crate::{KEY, TAG, TIMESTAMP};

/// What message 2 consists of, but its type.
#[derive(Clone, Debug)]
pub struct ResponseFields {
    /// The responder's index.
    pub sender: u32,
    /// The responder's ephemeral public key.
    pub ephemeral: [u8; KEY],
    /// Nothing, encrypted.
    pub sealed_nothing: [u8; TAG],
}

/// A message 1 whose static key is decrypted; its timestamp does not prove it yet.
pub struct UnprovenInitiation {
    remote_index: u32,
    static_key: [u8; KEY],
    ephemeral: [u8; KEY],
    sealed_timestamp: [u8; TIMESTAMP + TAG],
    state: SymmetricState,
}

impl UnprovenInitiation {
    /// Decrypt the static public key.
    pub fn decrypt_static(us: &Identity, fields: &InitiationFields) -> Result<Self, Refusal> {
        let mut state = SymmetricState::toward(us.public_key());
        state.mix_chain(&fields.ephemeral);
        state.mix_hash(&fields.ephemeral);
        let secret = us.shared(&fields.ephemeral).ok_or(Refusal::LowOrder)?;
        let key = state.mix_key(&*secret);
        Ok(Self {
            remote_index: fields.sender,
            static_key: state.decrypt(&key, &fields.sealed_static)?,
            ephemeral: fields.ephemeral,
            sealed_timestamp: fields.sealed_timestamp,
            state,
        })
    }

    /// The public key that the message claims to come from.
    #[must_use]
    pub const fn static_key(&self) -> &[u8; KEY] {
        &self.static_key
    }

    /// Decrypt the timestamp, which proves the sender.
    pub fn decrypt_timestamp(
        &self,
        static_static: &StaticStatic,
    ) -> Result<ResponderState, Refusal> {
        let mut state = self.state.clone();
        let key = state.mix_key(&*static_static.secret);
        Ok(ResponderState {
            remote_index: self.remote_index,
            timestamp: state.decrypt(&key, &self.sealed_timestamp)?,
            ephemeral: self.ephemeral,
            them: static_static.them,
            state,
        })
    }
}

/// The state after a proven message 1, needed to build message 2.
pub struct ResponderState {
    remote_index: u32,
    timestamp: [u8; TIMESTAMP],
    ephemeral: [u8; KEY],
    them: [u8; KEY],
    state: SymmetricState,
}

impl ResponderState {
    /// The timestamp of message 1.
    #[must_use]
    pub const fn timestamp(&self) -> &[u8; TIMESTAMP] {
        &self.timestamp
    }

    /// Build message 2, and derive the session's keys.
    #[must_use]
    pub fn respond(
        &self,
        preshared_key: &[u8; KEY],
        ephemeral: &Ephemeral,
        index: u32,
    ) -> (ResponseFields, SessionKeys) {
        let mut state = self.state.clone();
        state.mix_chain(&ephemeral.public);
        state.mix_hash(&ephemeral.public);
        for public in [&self.ephemeral, &self.them] {
            let secret = ephemeral
                .shared(public)
                .expect("another private key has had a secret with each of them");
            state.mix_chain(&*secret);
        }
        let key = state.mix_key_and_hash(preshared_key);
        let mut sealed_nothing = [0; TAG];
        state.encrypt(&key, &mut sealed_nothing);
        let (receive, send) = state.split();
        let fields = ResponseFields {
            sender: index,
            ephemeral: ephemeral.public,
            sealed_nothing,
        };
        let keys = SessionKeys {
            local_index: index,
            remote_index: self.remote_index,
            send,
            receive,
        };
        (fields, keys)
    }
}

hidden!(UnprovenInitiation, ResponderState);
