//! A transport session: two keys, a send counter, a replay window, and when it ends.
//!
//! It knows the limits of nonces, because they are the cipher's; the brain provides the times. It knows
//! no peer and no socket. Called by the shard for the packets of a batch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use holloway_aead::{Group, Key, TAG, nonce};
use parking_lot::{Mutex, MutexGuard};

use crate::clock::{self, Nanos, SECOND};
use crate::discard::Discard;
use crate::replay::{WINDOW, Window};

/// Bytes of a transport message before its encrypted payload (paper, 5.4.6).
pub const HEADER: usize = 16;
/// Bytes that a transport message adds to its payload.
pub const OVERHEAD: usize = HEADER + TAG;
/// The type of a transport message.
pub const TRANSPORT: u8 = 4;
/// A send counter above this requires a new session (paper, 6.1).
pub const REKEY_AFTER_MESSAGES: u64 = 1 << 60;
/// Counters from here on are never used (paper, 6.1: 2^64 - 2^13 - 1).
pub const REJECT_AFTER_MESSAGES: u64 = u64::MAX - WINDOW;

/// The length of a padded plaintext: a multiple of 16, but not beyond the MTU (paper, 5.4.6; kernel
/// send.c, calculate_skb_padding). MTU 0 means unknown, and no bound.
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

/// When a session is renewed and when it ends.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From here on sending requires a new session; `Nanos::MAX` for a responder.
    pub renew_on_send: Nanos,
    /// From here on receiving requires a new session, once; `Nanos::MAX` for a responder.
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
    began: Nanos,
}

impl Session {
    /// Create a session from the results of a handshake. The caller wipes its copies of the keys.
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
            began: clock::now(),
        }
    }

    /// The same session with `counter` as its next send counter.
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

    /// When it was created.
    #[cfg(test)]
    #[must_use]
    pub const fn began(&self) -> Nanos {
        self.began
    }

    /// How many packets it had in a second, both directions together, on the average.
    #[must_use]
    pub fn packets_per_second(&self, now: Nanos) -> u64 {
        let packets = self.next_counter.load(Ordering::Relaxed) + self.replay.lock().greatest();
        packets / (now.saturating_sub(self.began) / SECOND).max(1)
    }

    /// The time from which on nothing is sent or accepted.
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

    /// Reserve `packets` send counters, all or none, and return the first.
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

    /// Whether sending now requires a new session (kernel send.c, keep_key_fresh): the number of messages
    /// counts for both roles, the age only for the initiator.
    #[must_use]
    pub fn needs_renewal_on_send(&self, now: Nanos) -> bool {
        now >= self.deadlines.renew_on_send
            || self.next_counter.load(Ordering::Relaxed) > REKEY_AFTER_MESSAGES
    }

    /// Whether receiving now requires a new session; true at most once per session (kernel receive.c,
    /// keep_key_fresh: sent_lastminute_handshake).
    pub fn needs_renewal_on_receive(&self, now: Nanos) -> bool {
        now >= self.deadlines.renew_on_receive
            && !self.asked_on_receive.swap(true, Ordering::Relaxed)
    }

    /// Turn `packets` into transport messages in place. Each is 16 bytes for the header, the padded
    /// plaintext, and 16 bytes for the tag. Their counters, from `first` on, must be reserved and unused.
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

    /// The counter of a transport message, if it may be opened now. It must still pass `replay`.
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

    /// Decrypt the contents of transport messages in place, and call `report` for each in order with
    /// whether it is authentic. Never panics, whatever the bytes.
    pub fn open(&self, group: &mut Group<'_>, report: impl FnMut(bool)) {
        self.receive.open(group, report);
    }

    /// Lock the replay window: once for all packets of a batch, and after decryption, so that a forged
    /// counter does not move it.
    pub fn replay(&self) -> MutexGuard<'_, Window> {
        self.replay.lock()
    }
}

#[cfg(test)]
mod tests;
