//! Counts of packets and connections that were dropped, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a packet or connection was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Reason {
    /// Not IP, truncated, or a header that contradicts itself.
    Malformed,
    /// A wrong checksum.
    Checksum,
    /// A destination that is not ours.
    NotOurs,
    /// A fragment that contradicts others of its datagram, or one too many.
    Fragment,
    /// The queue to the plane is full.
    QueueFull,
    /// A port that no socket has, or a protocol that is not supported.
    NoPort,
    /// A datagram that the program did not read in time.
    NotRead,
    /// A datagram of the program that cannot be sent.
    BadDatagram,
    /// A connection beyond the backlog of a listener.
    Backlog,
    /// A half-open connection that was dropped because there were too many.
    HalfOpen,
    /// No descriptor or memory for a connection, or too many connections.
    NoResources,
    /// A segment that the memory budget has no room for.
    Memory,
    /// A connection that the program has closed, dropped before all was sent because there were too many.
    Orphan,
}

/// The number of reasons.
pub const REASONS: usize = 13;

impl Reason {
    /// All reasons in order, with their names.
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
        (Self::Memory, "memory"),
        (Self::Orphan, "orphan"),
    ];
}

/// The counts, which any thread may read.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; REASONS]);

impl Counts {
    /// Count one.
    pub fn add(&self, reason: Reason) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The count of a reason.
    #[must_use]
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }
}
