//! Why a packet was not passed on: one reason for each packet, counted per device and per peer.
//!
//! A bad packet is counted; it is not an error and not logged. Called by the shard.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! reasons {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal,)+) => {
        /// Why a packet was not passed on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Discard {
            $($(#[$doc])+ $variant,)+
        }

        impl Discard {
            /// Every reason, in the order of the counters.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// The names of all reasons, in the same order.
            pub const NAMES: &[&str] = &[$($name,)+];
        }
    };
}

reasons! {
    /// Outbound: the packet is neither IPv4 nor IPv6.
    NotIp = "not_ip",
    /// Outbound: no peer has the destination among its allowed IPs.
    NoPeer = "no_peer",
    /// Outbound: the peer's endpoint is not known.
    NoEndpoint = "no_endpoint",
    /// Outbound: the oldest staged packet was dropped for a newer one.
    StagedOverflow = "staged_overflow",
    /// Outbound: staged packets dropped with the handshake that they waited for.
    StagedDropped = "staged_dropped",
    /// Outbound: the system refused to send.
    SendFailed = "send_failed",
    /// Outbound: the offload header contradicts the packet.
    BadOffload = "bad_offload",
    /// Outbound: no socket is open for the endpoint's address family.
    NoSocket = "no_socket",
    /// Inbound: too short for its type, or cut by the receive buffer.
    Truncated = "truncated",
    /// Inbound: not one of WireGuard's four message types, or of a wrong size for its type.
    UnknownType = "unknown_type",
    /// Inbound: mac1 is wrong, so the sender does not know our public key.
    BadMac1 = "bad_mac1",
    /// Inbound, under load: no valid mac2; a cookie reply was sent instead.
    CookieRequired = "cookie_required",
    /// Inbound, under load: too many handshakes from one proven address.
    RateLimited = "rate_limited",
    /// Inbound: the queue of handshakes to the brain is full.
    QueueFull = "queue_full",
    /// Inbound: the device has no private key yet.
    NoIdentity = "no_identity",
    /// Inbound: a response that no initiation of ours awaits.
    UnexpectedResponse = "unexpected_response",
    /// Inbound: a cookie reply that is forged or does not belong to a message of ours.
    BadCookieReply = "bad_cookie_reply",
    /// Inbound: no session has the receiver index.
    UnknownIndex = "unknown_index",
    /// The session is past REJECT_AFTER_TIME.
    Expired = "expired",
    /// The session is past REJECT_AFTER_MESSAGES.
    Exhausted = "exhausted",
    /// Inbound: authentication failed.
    Forged = "forged",
    /// Inbound: the counter was seen before, or is behind the window.
    Replayed = "replayed",
    /// Inbound: the decrypted bytes are not an IP packet, or shorter than its header says.
    MalformedInner = "malformed_inner",
    /// Inbound: the decrypted packet's source is not among the peer's allowed IPs.
    SourceNotAllowed = "source_not_allowed",
    /// Inbound: the interface refused the packet.
    WriteFailed = "write_failed",
}

/// How many reasons there are.
pub const REASONS: usize = Discard::ALL.len();

impl Discard {
    /// The reason's name, as users see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// One counter per reason.
#[derive(Debug)]
pub struct Discards([AtomicU64; REASONS]);

impl Discards {
    /// Create the counters, all zero.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; REASONS])
    }

    /// Count `packets` discarded for `reason`.
    pub fn count(&self, reason: Discard, packets: u64) {
        self.0[reason as usize].fetch_add(packets, Ordering::Relaxed);
    }

    /// The values of the counters, in the order of `Discard::ALL`.
    #[must_use]
    pub fn snapshot(&self) -> [u64; REASONS] {
        std::array::from_fn(|reason| self.0[reason].load(Ordering::Relaxed))
    }
}

impl Default for Discards {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_name_and_counter() {
        let discards = Discards::new();
        for (times, reason) in Discard::ALL.iter().enumerate() {
            discards.count(*reason, times as u64);
            assert_eq!(
                Discard::NAMES
                    .iter()
                    .filter(|name| **name == reason.name())
                    .count(),
                1
            );
        }
        assert_eq!(
            discards.snapshot(),
            std::array::from_fn::<u64, REASONS, _>(|at| at as u64)
        );
    }
}
