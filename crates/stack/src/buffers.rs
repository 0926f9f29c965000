//! The two buffers of a stream, what of them is in memory, and when it is released.
//!
//! smoltcp uses them as rings. Where the bytes in a ring lie follows from what its calls took and gave.

use std::io;

use crate::mapping::Mapping;
use crate::timers::{Micros, SECOND};

/// A stream that is idle for so long releases memory if so many bytes went through its buffers.
const REST: Micros = SECOND;
const MIN_RELEASED: usize = 64 * 1024;
/// How many buffers of streams that have ended are kept at most, and what each may have in memory.
const SPARES: usize = 64;
const MAX_SPARE: usize = 16 * 1024;

/// One buffer.
#[derive(Debug)]
pub struct Ring {
    mapping: Mapping,
    /// Where the bytes begin, or end; see `Buffers`.
    at: usize,
    /// How many bytes may be in memory.
    touched: usize,
}

/// Both buffers.
#[derive(Debug)]
pub struct Buffers {
    /// Received bytes; `at` is where they begin.
    pub receive: Ring,
    /// Bytes to send; `at` is where they end.
    pub send: Ring,
    /// How many bytes went through the buffers since the last release.
    used: usize,
    last_used: Micros,
}

impl Ring {
    fn new(size: usize) -> io::Result<Self> {
        Ok(Self {
            mapping: Mapping::new(size)?,
            at: 0,
            touched: 0,
        })
    }

    /// The memory.
    ///
    /// # Safety
    /// As for `Mapping`.
    #[allow(unsafe_code)]
    #[must_use]
    pub unsafe fn as_static(&self) -> &'static mut [u8] {
        // SAFETY: the caller guarantees it.
        unsafe { self.mapping.as_static() }
    }

    /// Its size.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.mapping.length()
    }

    /// Record that bytes were written.
    pub fn wrote(&mut self, count: usize) {
        self.touched = (self.touched + count).min(self.size());
    }

    /// How many bytes may be in memory.
    #[must_use]
    pub const fn touched(&self) -> usize {
        self.touched
    }

    /// Record that `at` is `count` bytes after this place.
    pub fn moved_from(&mut self, place: *const u8, count: usize) {
        self.at = (self.mapping.offset(place) + count) % self.size();
    }

    /// The `count` bytes that begin `before` bytes before `at`, in two parts.
    ///
    /// # Safety
    /// As for `Mapping::part`.
    #[allow(unsafe_code)]
    #[must_use]
    pub unsafe fn parts(&self, before: usize, count: usize) -> [&[u8]; 2] {
        let start = (self.at + self.size() - before) % self.size();
        let first = count.min(self.size() - start);
        // SAFETY: the caller guarantees it.
        unsafe {
            [
                self.mapping.part(start, first),
                self.mapping.part(0, count - first),
            ]
        }
    }

    fn keep(&mut self, start: usize, count: usize) {
        self.mapping.release_all_but(start, count);
        self.touched = count;
    }
}

/// Buffers of streams that have ended, for the next ones. Where connections are short, mapping memory and
/// releasing it costs more than all else: the kernel interrupts each processor that runs the program.
#[derive(Debug, Default)]
pub struct Spares(Vec<Buffers>);

impl Spares {
    /// Two buffers, of `size` bytes each if they are new. All are of one size.
    pub fn take(&mut self, size: usize) -> io::Result<Buffers> {
        self.0.pop().map_or_else(|| Buffers::new(size), Ok)
    }

    /// Keep buffers, if they have little in memory and there are not enough.
    pub fn keep(&mut self, mut buffers: Buffers) {
        if self.0.len() < SPARES && buffers.touched() <= MAX_SPARE {
            buffers.begin();
            self.0.push(buffers);
        }
    }
}

impl Buffers {
    /// Two buffers of `size` bytes each.
    pub fn new(size: usize) -> io::Result<Self> {
        Ok(Self {
            receive: Ring::new(size)?,
            send: Ring::new(size)?,
            used: 0,
            last_used: 0,
        })
    }

    /// Become those of a new stream. What is in memory stays there.
    fn begin(&mut self) {
        (self.receive.at, self.send.at) = (0, 0);
        (self.used, self.last_used) = (0, 0);
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

    /// How many bytes may be in memory.
    #[must_use]
    pub const fn touched(&self) -> usize {
        self.receive.touched + self.send.touched
    }

    /// Release all memory but that of the first `received` bytes and of the last `queued` bytes to send.
    pub fn trim(&mut self, received: usize, queued: usize) {
        let received = received.min(self.receive.size());
        self.receive.keep(self.receive.at, received);
        let size = self.send.size();
        self.send
            .keep((self.send.at + size - queued) % size, queued);
    }

    /// The stream is idle, and its memory is released.
    pub fn rest(&mut self) {
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(buffers: &Buffers) -> *const u8 {
        // SAFETY: the only slice, which is not used.
        #[allow(unsafe_code)]
        unsafe { buffers.receive.as_static() }.as_ptr()
    }

    #[test]
    fn buffers_serve_the_next_stream_from_their_beginning() {
        let mut spares = Spares::default();
        let mut buffers = spares.take(1 << 20).expect("memory");
        let first = place(&buffers);
        buffers.receive.wrote(1000);
        buffers.receive.moved_from(first, 1000);
        buffers.moved(MIN_RELEASED, SECOND);
        spares.keep(buffers);
        let buffers = spares.take(1 << 20).expect("memory");
        assert_eq!(place(&buffers), first);
        assert_eq!((buffers.receive.at, buffers.rest_due()), (0, None));
        assert_eq!(buffers.touched(), 1000, "it is still in memory");
    }

    #[test]
    fn few_buffers_are_kept_and_none_with_much_in_memory() {
        let mut spares = Spares::default();
        let mut large = Buffers::new(1 << 20).expect("memory");
        large.send.wrote(MAX_SPARE + 1);
        spares.keep(large);
        assert!(spares.0.is_empty());
        for _ in 0..=SPARES {
            spares.keep(Buffers::new(1 << 20).expect("memory"));
        }
        assert_eq!(spares.0.len(), SPARES);
    }
}
