//! The two buffers of a stream, and when their memory is released.

use std::io;

use crate::mapping::Mapping;
use crate::timers::{Micros, SECOND};

/// A stream that is idle for so long releases memory if so many bytes went through its buffers.
const REST: Micros = SECOND;
const MIN_RELEASED: usize = 64 * 1024;

/// Both buffers.
#[derive(Debug)]
pub struct Buffers {
    /// Received bytes.
    pub receive: Mapping,
    /// Bytes to send.
    pub send: Mapping,
    /// How many bytes went through the buffers since the last release.
    used: usize,
    last_used: Micros,
}

impl Buffers {
    /// Two buffers of `size` bytes each.
    pub fn new(size: usize) -> io::Result<Self> {
        Ok(Self {
            receive: Mapping::new(size)?,
            send: Mapping::new(size)?,
            used: 0,
            last_used: 0,
        })
    }

    /// Record that bytes went through a buffer.
    pub fn moved(&mut self, bytes: usize, now: Micros) {
        self.used += bytes;
        self.last_used = now;
    }

    /// Record activity.
    pub fn touch(&mut self, now: Micros) {
        self.last_used = now;
    }

    /// When the stream was last active.
    #[must_use]
    pub fn last_used(&self) -> Micros {
        self.last_used
    }

    /// When memory is to be released if the stream stays idle.
    #[must_use]
    pub fn rest_due(&self) -> Option<Micros> {
        (self.used >= MIN_RELEASED).then(|| self.last_used + REST)
    }

    /// Release the memory of either buffer or both.
    pub fn release(&mut self, receive: bool, send: bool) {
        if receive {
            self.receive.release();
        }
        if send {
            self.send.release();
        }
        self.used = 0;
    }
}
