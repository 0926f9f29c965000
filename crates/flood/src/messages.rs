//! The messages of a flood, made beforehand: while it sends, only the headers before them change.

use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, KeyInit, Update};
use blake2::{Blake2s256, Blake2sMac, Digest};

use crate::random::Random;

/// The number of messages: so many that a device cannot gain by remembering the last ones, and so few
/// that they stay in the processor's cache.
const COUNT: usize = 2048;
/// The longest random message: IPv4 and UDP carry it in an Ethernet frame.
const LONGEST: usize = 1452;

const INITIATION: u8 = 1;
const RESPONSE: u8 = 2;
const TRANSPORT: u8 = 4;
const INITIATION_SIZE: usize = 148;
const RESPONSE_SIZE: usize = 92;
const MAC: usize = 16;

/// What the messages are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Initiations for the owner of a public key: mac1 is valid, and all else random.
    Initiation([u8; 32]),
    /// Responses, with a valid mac1 too, that nobody awaits.
    Response([u8; 32]),
    /// Initiations whose mac1 is random.
    WrongMac1,
    /// Random bytes of random length.
    Noise,
    /// One message again and again.
    Replay(Vec<u8>),
    /// Transport messages with a wrong tag, to these receiver indices; to random ones if there are none.
    Transport(Vec<u32>),
    /// A transport message and an initiation, in turn, of one length and from one source, so that the
    /// kernel's receive offload (GRO) may join the two to one train.
    MixedTrain([u8; 32]),
}

/// The messages, and how many that follow one another share a source.
pub struct Messages {
    pub all: Vec<Vec<u8>>,
    pub train: usize,
}

/// Make the messages of a kind.
pub fn make(kind: &Kind, random: &mut Random) -> Messages {
    let train = match kind {
        Kind::MixedTrain(_) => 2,
        _ => 1,
    };
    let all = (0..COUNT)
        .map(|number| message(kind, number, random))
        .collect();
    Messages { all, train }
}

fn message(kind: &Kind, number: usize, random: &mut Random) -> Vec<u8> {
    match kind {
        Kind::Initiation(key) => with_mac1(typed(INITIATION, INITIATION_SIZE, random), key),
        Kind::Response(key) => with_mac1(typed(RESPONSE, RESPONSE_SIZE, random), key),
        Kind::WrongMac1 => typed(INITIATION, INITIATION_SIZE, random),
        Kind::Noise => {
            let mut bytes = vec![0; 1 + random.below(LONGEST)];
            random.fill(&mut bytes);
            bytes
        }
        Kind::Replay(message) => message.clone(),
        Kind::Transport(receivers) => transport(receivers, random),
        Kind::MixedTrain(_) if number.is_multiple_of(2) => transport(&[], random),
        Kind::MixedTrain(key) => with_mac1(typed(INITIATION, INITIATION_SIZE, random), key),
    }
}

/// A message that is random but for its type, as long as an initiation so that it looks like data.
fn transport(receivers: &[u32], random: &mut Random) -> Vec<u8> {
    let mut message = typed(TRANSPORT, INITIATION_SIZE, random);
    if !receivers.is_empty() {
        let receiver = receivers[random.below(receivers.len())];
        message[4..8].copy_from_slice(&receiver.to_le_bytes());
    }
    // A counter that no session reaches and none refuses, so that only the tag is wrong.
    message[8..16].copy_from_slice(&(random.next() >> 24).to_le_bytes());
    message
}

fn typed(kind: u8, size: usize, random: &mut Random) -> Vec<u8> {
    let mut message = vec![0; size];
    random.fill(&mut message);
    message[..4].copy_from_slice(&[kind, 0, 0, 0]);
    message
}

/// Write mac1 (paper, 5.4.4), and a mac2 of zeros: without a cookie.
fn with_mac1(mut message: Vec<u8>, public_key: &[u8; 32]) -> Vec<u8> {
    let key = Digest::finalize(
        Blake2s256::new()
            .chain_update(b"mac1----")
            .chain_update(public_key),
    );
    let end = message.len() - 2 * MAC;
    let (before, macs) = message.split_at_mut(end);
    let mut state = <Blake2sMac<U16> as KeyInit>::new_from_slice(&key).expect("32 bytes");
    Update::update(&mut state, before);
    macs[..MAC].copy_from_slice(&state.finalize_fixed());
    macs[MAC..].fill(0);
    message
}
