//! Both roles meet; other bytes are refused. The bytes themselves are compared with another implementation's
//! in `tests/vectors`.

use std::sync::Arc;

use holloway_noise::{
    Ephemeral, Identity, InitiationFields, InitiatorState, Refusal, ResponderState, StaticStatic,
    UnprovenInitiation,
};
use proptest::prelude::*;

const TIMESTAMP: [u8; 12] = [7; 12];
const PSK: [u8; 32] = [9; 32];

struct Pair {
    us: Arc<Identity>,
    them: Arc<Identity>,
}

impl Pair {
    fn new() -> Self {
        Self {
            us: Arc::new(Identity::new(&[1; 32])),
            them: Arc::new(Identity::new(&[2; 32])),
        }
    }

    fn initiate(&self) -> (InitiationFields, InitiatorState) {
        let secret = StaticStatic::new(&self.us, self.them.public_key()).expect("a secret");
        InitiatorState::initiate(&secret, Ephemeral::generate(), 5, &TIMESTAMP)
    }

    fn consume(&self, fields: &InitiationFields) -> Result<ResponderState, Refusal> {
        let secret = StaticStatic::new(&self.them, self.us.public_key()).expect("a secret");
        UnprovenInitiation::decrypt_static(&self.them, fields)?.decrypt_timestamp(&secret)
    }
}

#[test]
fn both_sides_derive_the_same_keys() {
    let pair = Pair::new();
    let (initiation, state) = pair.initiate();
    let proven = pair.consume(&initiation).expect("an authentic message");
    assert_eq!(proven.timestamp(), &TIMESTAMP);
    let (response, theirs) = proven.respond(&PSK, &Ephemeral::generate(), 6);
    assert_eq!(
        state.consume(&[0; 32], &response).err(),
        Some(Refusal::Undecryptable)
    );
    let ours = state
        .consume(&PSK, &response)
        .expect("an authentic message");
    assert_eq!((&ours.send, &ours.receive), (&theirs.receive, &theirs.send));
    assert_ne!(ours.send, ours.receive);
    assert_eq!((ours.local_index, ours.remote_index), (5, 6));
    assert_eq!((theirs.local_index, theirs.remote_index), (6, 5));
}

#[test]
fn an_ephemeral_key_is_drawn_anew() {
    let pair = Pair::new();
    assert_ne!(pair.initiate().0.ephemeral, pair.initiate().0.ephemeral);
}

#[test]
fn no_debug_form_shows_a_secret() {
    let pair = Pair::new();
    let (initiation, state) = pair.initiate();
    let proven = pair.consume(&initiation).expect("an authentic message");
    let shown = format!("{:?} {state:?} {proven:?}", pair.us);
    assert_eq!(
        shown,
        "Identity(hidden) InitiatorState(hidden) ResponderState(hidden)"
    );
}

proptest! {
    #[test]
    fn an_initiation_with_any_bit_flipped_is_refused(bit in 0..108 * 8_usize) {
        let pair = Pair::new();
        let (mut fields, _) = pair.initiate();
        let byte = bit / 8;
        let flipped = match byte {
            0..32 => &mut fields.ephemeral[byte],
            32..80 => &mut fields.sealed_static[byte - 32],
            _ => &mut fields.sealed_timestamp[byte - 80],
        };
        *flipped ^= 1 << (bit % 8);
        // The highest bit of a point is ignored (RFC 7748, section 5), but it is in the hash.
        prop_assert!(pair.consume(&fields).is_err());
    }
}
