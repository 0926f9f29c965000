//! A transport session: two keys, a send counter, a replay window, and when to stop using them.
//!
//! It knows nonce limits, because they are the cipher's; the times are numbers that the brain gives.
//! It knows no peer and no socket. Called by the shard, for packets of a batch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use holloway_aead::{Group, Key, TAG, nonce};
use parking_lot::{Mutex, MutexGuard};

use crate::clock::Nanos;
use crate::discard::Discard;
use crate::replay::{WINDOW, Window};

/// Bytes of a transport message before its encrypted payload (paper, 5.4.6).
pub const HEADER: usize = 16;
/// Bytes that a transport message adds to its payload.
pub const OVERHEAD: usize = HEADER + TAG;
/// The type of a transport message.
pub const TRANSPORT: u8 = 4;
/// Send counters above this ask for a new session (paper, 6.1).
pub const REKEY_AFTER_MESSAGES: u64 = 1 << 60;
/// Counters from this on are never used (paper, 6.1: 2^64 - 2^13 - 1).
pub const REJECT_AFTER_MESSAGES: u64 = u64::MAX - WINDOW;

/// The length of a plaintext once padded: to a multiple of 16, but not beyond the MTU (paper, 5.4.6;
/// kernel send.c, calculate_skb_padding). MTU 0 is unknown and bounds nothing.
#[must_use]
pub const fn padded(length: usize, mtu: usize) -> usize {
    let rounded = length.next_multiple_of(16);
    if mtu == 0 || rounded <= mtu {
        rounded
    } else if length > mtu {
        length
    } else {
        mtu
    }
}

/// When a session is to be renewed and when it ends, on the brain's clock.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Sending from here on asks for a new session; `Nanos::MAX` for a responder.
    pub renew_on_send: Nanos,
    /// Receiving from here on asks for a new session, once; `Nanos::MAX` for a responder.
    pub renew_on_receive: Nanos,
    /// From here on nothing is sent or accepted.
    pub reject: Nanos,
}

/// One session with one peer.
#[derive(Debug)]
pub struct Session {
    local_index: u32,
    remote_index: u32,
    send: Key,
    receive: Key,
    next_counter: AtomicU64,
    replay: Mutex<Window>,
    deadlines: Deadlines,
    asked_on_receive: AtomicBool,
}

impl Session {
    /// A session from what a handshake agreed on. The caller wipes its copies of the keys.
    #[must_use]
    pub fn new(
        local_index: u32,
        remote_index: u32,
        send_key: &[u8; 32],
        receive_key: &[u8; 32],
        deadlines: Deadlines,
    ) -> Self {
        Self {
            local_index,
            remote_index,
            send: Key::new(send_key),
            receive: Key::new(receive_key),
            next_counter: AtomicU64::new(0),
            replay: Mutex::new(Window::new()),
            deadlines,
            asked_on_receive: AtomicBool::new(false),
        }
    }

    /// The same session further on: its next send counter is `counter`.
    #[cfg(test)]
    #[must_use]
    pub fn with_counter(self, counter: u64) -> Self {
        Self {
            next_counter: AtomicU64::new(counter),
            ..self
        }
    }

    /// The index by which the peer addresses us.
    #[must_use]
    pub const fn local_index(&self) -> u32 {
        self.local_index
    }

    /// From when on nothing is sent or accepted.
    #[must_use]
    pub const fn reject(&self) -> Nanos {
        self.deadlines.reject
    }

    /// Whether a packet could be sent now.
    #[must_use]
    pub fn usable(&self, now: Nanos) -> bool {
        now < self.deadlines.reject
            && self.next_counter.load(Ordering::Relaxed) < REJECT_AFTER_MESSAGES
    }

    /// Take `packets` counters to send with, all or none; gives the first.
    pub fn reserve(&self, now: Nanos, packets: u64) -> Result<u64, Discard> {
        if now >= self.deadlines.reject {
            return Err(Discard::Expired);
        }
        self.next_counter
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |first| {
                first
                    .checked_add(packets)
                    .filter(|&end| end <= REJECT_AFTER_MESSAGES)
            })
            .map_err(|_| Discard::Exhausted)
    }

    /// Whether sending now should ask for a new session (kernel send.c, keep_key_fresh): the
    /// message count binds both roles, the age only the initiator.
    #[must_use]
    pub fn needs_renewal_on_send(&self, now: Nanos) -> bool {
        now >= self.deadlines.renew_on_send
            || self.next_counter.load(Ordering::Relaxed) > REKEY_AFTER_MESSAGES
    }

    /// Whether receiving now should ask for a new session; true once in a session's life (kernel
    /// receive.c, keep_key_fresh: sent_lastminute_handshake).
    pub fn needs_renewal_on_receive(&self, now: Nanos) -> bool {
        now >= self.deadlines.renew_on_receive
            && !self.asked_on_receive.swap(true, Ordering::Relaxed)
    }

    /// Make transport messages in place of `packets`: each 16 bytes to come, the padded plaintext, 16
    /// bytes to come. Their counters, from `first` on, were reserved and are used once.
    pub fn seal<'a>(&self, first: u64, packets: impl Iterator<Item = &'a mut [u8]>) {
        self.send.seal(packets.enumerate().map(|(number, packet)| {
            let counter = first.wrapping_add(number as u64);
            let (header, rest) = packet.split_at_mut(HEADER);
            header[..4].copy_from_slice(&[TRANSPORT, 0, 0, 0]);
            header[4..8].copy_from_slice(&self.remote_index.to_le_bytes());
            header[8..].copy_from_slice(&counter.to_le_bytes());
            (nonce(counter), rest)
        }));
    }

    /// The counter of a transport message that may be opened now. It must yet pass `replay`.
    pub fn admit(&self, now: Nanos, packet: &[u8]) -> Result<u64, Discard> {
        if now >= self.deadlines.reject {
            return Err(Discard::Expired);
        }
        if packet.len() < OVERHEAD {
            return Err(Discard::Truncated);
        }
        let bytes = packet[8..].first_chunk().ok_or(Discard::Truncated)?;
        let counter = u64::from_le_bytes(*bytes);
        if counter >= REJECT_AFTER_MESSAGES {
            return Err(Discard::Exhausted);
        }
        Ok(counter)
    }

    /// Decrypt what follows the headers of transport messages, in place, and tell in their order
    /// which were authentic. Never panics, whatever the bytes.
    pub fn open(&self, group: &mut Group<'_>, report: impl FnMut(bool)) {
        self.receive.open(group, report);
    }

    /// The replay window, locked: taken once for all packets of a batch, after decryption, so that a
    /// forged counter never moves it.
    pub fn replay(&self) -> MutexGuard<'_, Window> {
        self.replay.lock()
    }
}

#[cfg(test)]
mod tests;
