//! Received handshake messages and cookie replies: through the cookie checker to the brain.
//!
//! Floods end here, before anything expensive is done for them (kernel, receive.c,
//! wg_receive_handshake_packet). Called by the shard for everything but transport messages.

use std::sync::Arc;

use crate::clock::{Nanos, SECOND};
use crate::cookie::Verdict;
use crate::cookie::{COOKIE_REPLY, COOKIE_REPLY_SIZE, INITIATION, MACS, RESPONSE, RESPONSE_SIZE};
use crate::discard::Discard;
use crate::events::Handshake;
use crate::index::{Entry, IndexTable};
use crate::peer::Peer;
use crate::turn::Turn;
use crate::udp::{Train, Udp};

/// How long the device stays under load (kernel, receive.c: last_under_load).
const LOAD_LASTS: Nanos = SECOND;

/// Checks handshake messages, and remembers whether there is load.
#[derive(Debug, Default)]
pub struct Handshakes {
    loaded_until: Nanos,
}

impl Handshakes {
    /// Check a datagram that is not a transport message. Counts it if it is not passed on.
    pub fn receive(
        &mut self,
        turn: &Turn<'_>,
        index: &IndexTable<Arc<Peer>>,
        message: &[u8],
        train: &Train,
        socket: &Udp,
    ) {
        let result = match message.first() {
            None => Err((Discard::Truncated, None)),
            Some(&INITIATION) => self.check(turn, message, train, socket).map_err(unknown),
            Some(&RESPONSE) => expected(index, message)
                .and_then(|()| self.check(turn, message, train, socket))
                .map_err(unknown),
            Some(&COOKIE_REPLY) => cookie_reply(turn, index, message),
            Some(_) => Err((Discard::UnknownType, None)),
        };
        if let Err((reason, peer)) = result {
            turn.shared.discard(reason, 1, peer.map(|peer| &**peer));
        }
    }

    fn check(
        &mut self,
        turn: &Turn<'_>,
        message: &[u8],
        train: &Train,
        socket: &Udp,
    ) -> Result<(), Discard> {
        if turn.shared.events.crowded() {
            self.loaded_until = turn.now + LOAD_LASTS;
        }
        let loaded = turn.now < self.loaded_until;
        let mut checker = turn.shared.cookie_checker.lock();
        let verdict = checker.check(turn.now, message, &train.from.remote, loaded);
        drop(checker);
        match verdict {
            Verdict::Pass => turn.shared.events.push_handshake(Handshake {
                message: message[..message.len() - MACS].to_vec(),
                size: message.len(),
                remote: train.from,
            }),
            Verdict::Reply(reply) => {
                // If this is lost, the sender will send again.
                let _ = socket.send(&train.from, 0, &reply, reply.len());
                Err(Discard::CookieRequired)
            }
            Verdict::Discard(reason) => Err(reason),
        }
    }
}

/// Check that a response belongs to an initiation of ours.
fn expected(index: &IndexTable<Arc<Peer>>, message: &[u8]) -> Result<(), Discard> {
    if message.len() != RESPONSE_SIZE {
        return Err(Discard::UnknownType);
    }
    match receiver(message, 8).and_then(|receiver| index.get(receiver)) {
        Some(Entry::Awaiting(_)) => Ok(()),
        _ => Err(Discard::UnexpectedResponse),
    }
}

/// Take a cookie reply, which belongs to an initiation or to a response whose session is installed
/// already. It does not change the endpoint.
fn cookie_reply<'a>(
    turn: &Turn<'_>,
    index: &'a IndexTable<Arc<Peer>>,
    message: &[u8],
) -> Result<(), (Discard, Option<&'a Arc<Peer>>)> {
    if message.len() != COOKIE_REPLY_SIZE {
        return Err(unknown(Discard::UnknownType));
    }
    let entry = receiver(message, 4).and_then(|receiver| index.get(receiver));
    let Some(Entry::Awaiting(peer) | Entry::Session(peer, _)) = entry else {
        return Err(unknown(Discard::BadCookieReply));
    };
    let mut handshake = peer.handshake.lock();
    let result = handshake.cookie_generator.consume_reply(turn.now, message);
    result.map_err(|reason| (reason, Some(peer)))
}

/// The receiver index of a message.
fn receiver(message: &[u8], at: usize) -> Option<u32> {
    let bytes = message.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

const fn unknown<'a>(reason: Discard) -> (Discard, Option<&'a Arc<Peer>>) {
    (reason, None)
}
