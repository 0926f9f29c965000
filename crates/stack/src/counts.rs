//! Packets and connections that went nowhere, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Reason {
    /// Not IP, cut short, or a header that contradicts itself.
    Malformed,
    /// A checksum is wrong.
    Checksum,
    /// For an address that is not ours.
    NotOurs,
    /// A fragment that never became whole.
    Fragment,
    /// The plane took no more.
    QueueFull,
    /// A datagram for a port that nobody has.
    NoPort,
    /// The program did not read its datagrams.
    NotRead,
    /// A datagram of the program that cannot be sent.
    BadDatagram,
    /// A connection beyond the backlog of a listener.
    Backlog,
    /// A connection given up because too many were half open.
    HalfOpen,
    /// No descriptor or memory for a connection.
    NoResources,
}

/// How many reasons there are.
pub const REASONS: usize = 11;

impl Reason {
    /// All of them, in order, with their names.
    pub const ALL: [(Self, &'static str); REASONS] = [
        (Self::Malformed, "malformed"),
        (Self::Checksum, "checksum"),
        (Self::NotOurs, "not_ours"),
        (Self::Fragment, "fragment"),
        (Self::QueueFull, "queue_full"),
        (Self::NoPort, "no_port"),
        (Self::NotRead, "not_read"),
        (Self::BadDatagram, "bad_datagram"),
        (Self::Backlog, "backlog"),
        (Self::HalfOpen, "half_open"),
        (Self::NoResources, "no_resources"),
    ];
}

/// The counts; any thread may look.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; REASONS]);

impl Counts {
    /// One more.
    pub fn add(&self, reason: Reason) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }
}
