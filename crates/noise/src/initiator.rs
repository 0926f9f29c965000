//! The initiator: builds message 1 and consumes message 2 (paper, 5.4.2, 5.4.3 and 5.4.5).

use std::sync::Arc;

use crate::keys::{Ephemeral, Identity, SessionKeys, StaticStatic, hidden};
use crate::responder::ResponseFields;
use crate::symmetric::{Refusal, SymmetricState};
use crate::{KEY, TAG, TIMESTAMP};

/// What message 1 consists of, but its type.
#[derive(Clone, Debug)]
pub struct InitiationFields {
    /// The initiator's index.
    pub sender: u32,
    /// Its ephemeral public key.
    pub ephemeral: [u8; KEY],
    /// Its static public key, encrypted.
    pub sealed_static: [u8; KEY + TAG],
    /// Its timestamp, encrypted.
    pub sealed_timestamp: [u8; TIMESTAMP + TAG],
}

/// The state after message 1, needed to consume message 2.
pub struct InitiatorState {
    us: Arc<Identity>,
    index: u32,
    ephemeral: Ephemeral,
    state: SymmetricState,
}

impl InitiatorState {
    /// Build message 1.
    #[must_use]
    pub fn initiate(
        static_static: &StaticStatic,
        ephemeral: Ephemeral,
        index: u32,
        timestamp: &[u8; TIMESTAMP],
    ) -> (InitiationFields, Self) {
        let mut state = SymmetricState::toward(&static_static.them);
        state.mix_chain(&ephemeral.public);
        state.mix_hash(&ephemeral.public);
        let mut fields = InitiationFields {
            sender: index,
            ephemeral: ephemeral.public,
            sealed_static: [0; KEY + TAG],
            sealed_timestamp: [0; TIMESTAMP + TAG],
        };
        let secret = ephemeral
            .shared(&static_static.them)
            .expect("whether a public key is of low order depends on no private key");
        let key = state.mix_key(&*secret);
        fields.sealed_static[..KEY].copy_from_slice(static_static.us.public_key());
        state.encrypt(&key, &mut fields.sealed_static);
        let key = state.mix_key(&*static_static.secret);
        fields.sealed_timestamp[..TIMESTAMP].copy_from_slice(timestamp);
        state.encrypt(&key, &mut fields.sealed_timestamp);
        let us = static_static.us.clone();
        (
            fields,
            Self {
                us,
                index,
                ephemeral,
                state,
            },
        )
    }

    /// The index of message 1.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Consume message 2, and derive the session's keys. The state can consume another message after one
    /// that is refused.
    pub fn consume(
        &self,
        preshared_key: &[u8; KEY],
        fields: &ResponseFields,
    ) -> Result<SessionKeys, Refusal> {
        let mut state = self.state.clone();
        state.mix_chain(&fields.ephemeral);
        state.mix_hash(&fields.ephemeral);
        let shared = self.ephemeral.shared(&fields.ephemeral);
        state.mix_chain(&*shared.ok_or(Refusal::LowOrder)?);
        let shared = self.us.shared(&fields.ephemeral);
        state.mix_chain(&*shared.ok_or(Refusal::LowOrder)?);
        let key = state.mix_key_and_hash(preshared_key);
        let [] = state.decrypt(&key, &fields.sealed_nothing)?;
        let (send, receive) = state.split();
        Ok(SessionKeys {
            local_index: self.index,
            remote_index: fields.sender,
            send,
            receive,
        })
    }
}

hidden!(InitiatorState);
