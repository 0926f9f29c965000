//! The two buffers of a stream, and when the memory that they have taken is given back.

use std::io;

use crate::mapping::Mapping;
use crate::timers::{Micros, SECOND};

/// A stream that has rested so long gives its memory back if it has used so much.
const REST: Micros = SECOND;
const MIN_RELEASED: usize = 64 * 1024;

/// Both buffers.
#[derive(Debug)]
pub struct Buffers {
    /// For what comes.
    pub receive: Mapping,
    /// For what is sent.
    pub send: Mapping,
    /// How many bytes went through them since the last release.
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

    /// Note that bytes went through a buffer.
    pub fn moved(&mut self, bytes: usize, now: Micros) {
        self.used += bytes;
        self.last_used = now;
    }

    /// Note that the stream does not rest.
    pub fn touch(&mut self, now: Micros) {
        self.last_used = now;
    }

    /// When the stream was last active.
    #[must_use]
    pub fn last_used(&self) -> Micros {
        self.last_used
    }

    /// When memory is to be released if the stream rests until then.
    #[must_use]
    pub fn rest_due(&self) -> Option<Micros> {
        (self.used >= MIN_RELEASED).then(|| self.last_used + REST)
    }

    /// Give back the memory of the buffers that are empty.
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
