//! Received handshake messages and cookie replies: through the cookie checker to the brain.
//!
//! Floods end here, before anything expensive is done for them (kernel, receive.c,
//! wg_receive_handshake_packet). Called by `inbound` for everything but transport messages.

use std::sync::Arc;

use parking_lot::MutexGuard;

use crate::cookie::{
    COOKIE_REPLY, COOKIE_REPLY_SIZE, CookieReply, INITIATION, MACS, RESPONSE, RESPONSE_SIZE,
};
use crate::cookie_checker::{CookieChecker, Verdict};
use crate::discard::Discard;
use crate::endpoint::Endpoint;
use crate::events::{Event, Handshake};
use crate::index::{Entry, IndexTable};
use crate::mmsg::{self, MAX_TRAINS, OutgoingTrain};
use crate::peer::Peer;
use crate::turn::Turn;
use crate::udp::Udp;

/// State reused across batches.
#[derive(Debug, Default)]
pub struct Handshakes {
    replies: Vec<(Endpoint, CookieReply)>,
}

/// The handshake messages of one batch. The cookie checker is locked from the first of them on.
pub struct HandshakeBatch<'a> {
    turn: &'a Turn<'a>,
    index: &'a IndexTable<Arc<Peer>>,
    socket: &'a Udp,
    checker: Option<MutexGuard<'a, CookieChecker>>,
    /// Many messages wait for the brain.
    crowded: bool,
    replies: &'a mut Vec<(Endpoint, CookieReply)>,
}

impl Handshakes {
    /// Begin a batch, whose cookie replies leave through `socket`.
    pub fn batch<'a>(
        &'a mut self,
        turn: &'a Turn<'a>,
        index: &'a IndexTable<Arc<Peer>>,
        socket: &'a Udp,
    ) -> HandshakeBatch<'a> {
        HandshakeBatch {
            turn,
            index,
            socket,
            checker: None,
            crowded: false,
            replies: &mut self.replies,
        }
    }
}

impl HandshakeBatch<'_> {
    /// Whether senders must prove their addresses.
    pub fn under_load(&mut self) -> bool {
        let now = self.turn.now;
        self.checker().under_load(now)
    }

    /// Check a datagram that is not a transport message. Counts it if it is not passed on.
    pub fn receive(&mut self, message: &[u8], from: &Endpoint) {
        let result = match message.first() {
            None => Err((Discard::Truncated, None)),
            Some(&INITIATION) => self.check(message, from).map_err(unknown),
            Some(&RESPONSE) => expected(self.index, message)
                .and_then(|()| self.check(message, from))
                .map_err(unknown),
            Some(&COOKIE_REPLY) => take_cookie(self.turn, self.index, message),
            Some(_) => Err((Discard::UnknownType, None)),
        };
        if let Err((reason, peer)) = result {
            let peer = peer.map(|peer| &**peer);
            self.turn.shared.discard(reason, 1, peer);
        }
    }

    fn check(&mut self, message: &[u8], from: &Endpoint) -> Result<(), Discard> {
        let (now, crowded) = (self.turn.now, self.crowded);
        let verdict = self.checker().check(now, message, &from.remote, crowded);
        match verdict {
            Verdict::Pass => {
                // A batch can have thousands of messages, so what is known of the queue must not be old.
                self.crowded = self.turn.shared.events.push_handshake(Handshake {
                    message: message[..message.len() - MACS].to_vec(),
                    size: message.len(),
                    remote: *from,
                })?;
                Ok(())
            }
            Verdict::Reply(reply) => {
                self.replies.push((*from, reply));
                if self.replies.len() == MAX_TRAINS {
                    self.send_replies();
                }
                Err(Discard::CookieRequired)
            }
            Verdict::Discard(reason) => Err(reason),
        }
    }

    fn checker(&mut self) -> &mut CookieChecker {
        let shared = self.turn.shared;
        self.checker.get_or_insert_with(|| {
            self.crowded = shared.events.crowded();
            shared.cookie_checker.lock()
        })
    }

    /// Send the cookie replies of the batch.
    pub fn finish(mut self) {
        self.checker = None;
        self.send_replies();
    }

    /// If a reply is lost, its receiver will send again.
    fn send_replies(&mut self) {
        let Some(last) = self.replies.len().checked_sub(1) else {
            return;
        };
        let trains: [_; MAX_TRAINS] = std::array::from_fn(|number| {
            let (to, reply) = &self.replies[number.min(last)];
            OutgoingTrain {
                to: *to,
                class: 0,
                data: reply,
                segment: reply.len(),
            }
        });
        let mut rest = &trains[..=last];
        while !rest.is_empty() {
            // One that is refused is skipped: it may have gone to an address that cannot be reached.
            let sent = mmsg::send(self.socket, rest).unwrap_or(0);
            rest = &rest[(sent + 1).min(rest.len())..];
        }
        self.replies.clear();
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
fn take_cookie<'a>(
    turn: &Turn<'_>,
    index: &'a IndexTable<Arc<Peer>>,
    message: &[u8],
) -> Result<(), (Discard, Option<&'a Arc<Peer>>)> {
    if message.len() != COOKIE_REPLY_SIZE {
        return Err(unknown(Discard::UnknownType));
    }
    let entry = receiver(message, 4).and_then(|receiver| index.get(receiver));
    let (peer, awaits) = match entry {
        Some(Entry::Awaiting(peer)) => (peer, true),
        Some(Entry::Session(peer, _)) => (peer, false),
        None => return Err(unknown(Discard::BadCookieReply)),
    };
    let mut handshake = peer.handshake.lock();
    let result = handshake.cookie_generator.consume_reply(turn.now, message);
    drop(handshake);
    let is_first = result.map_err(|reason| (reason, Some(peer)))?;
    if awaits && is_first {
        turn.shared.events.push(Event::CookieReceived(peer.id()));
    }
    Ok(())
}

/// The receiver index of a message.
fn receiver(message: &[u8], at: usize) -> Option<u32> {
    let bytes = message.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

const fn unknown<'a>(reason: Discard) -> (Discard, Option<&'a Arc<Peer>>) {
    (reason, None)
}
