//! The receive window that the other side gets: what the program reads lets it grow, and the budget bounds it.
//!
//! smoltcp announces its whole buffer. The field is corrected as a segment leaves, and what comes beyond the
//! announced end is not accepted.

/// The first window of a stream, which it keeps until the program reads.
const FIRST: usize = 64 * 1024;
/// The largest window of a SYN, which is not scaled.
const UNSCALED: usize = 65_535;

/// The receive window of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// How many bytes the stream may hold, if the budget allows it.
    pub limit: usize,
    /// How many bytes the program has read since the limit last grew.
    read: usize,
    /// The number of the first byte that we have no room for.
    end: u32,
    /// The end that the other side was given.
    pub edge: u32,
    /// The end that smoltcp gave. It accepts nothing beyond.
    given: u32,
    /// The scale of the field.
    shift: u8,
}

impl Window {
    /// The window of a new stream that may hold `share` bytes.
    #[must_use]
    pub fn new(share: usize) -> Self {
        Self {
            limit: FIRST.min(share),
            read: 0,
            end: 0,
            edge: 0,
            given: 0,
            shift: 0,
        }
    }

    /// The field of a SYN in which smoltcp wrote `field`.
    #[must_use]
    pub fn of_syn(&self, field: u16) -> u16 {
        field.min(self.limit.min(UNSCALED) as u16)
    }

    /// The first byte of the other side has this number, and our fields are scaled.
    pub fn begin(&mut self, first: u32, shift: u8) {
        self.shift = shift;
        self.edge = first.wrapping_add(self.limit.min(UNSCALED) as u32);
        self.given = self.edge;
        self.end = self.edge;
    }

    /// The program has read `count` bytes, the last of which is before `next`; the stream may hold `share`.
    pub fn advance(&mut self, count: usize, next: u32, share: usize, most: usize) {
        self.read += count;
        if self.read >= self.limit {
            self.limit = (self.limit * 2).min(most);
            self.read = 0;
        }
        self.end = next.wrapping_add(self.limit.min(share) as u32);
    }

    /// How far beyond the first window the other side may send, where the program has read up to `next`.
    #[must_use]
    pub fn promised(&self, next: u32) -> usize {
        (distance(next, self.edge) as usize).saturating_sub(FIRST)
    }

    /// The field of a segment that acknowledges `ack`, in which smoltcp wrote `field`. An end that was given is
    /// never taken back (RFC 9293, 3.8.6).
    pub fn announce(&mut self, ack: u32, field: u16) -> u16 {
        self.given = ack.wrapping_add(u32::from(field) << self.shift);
        let room = distance(ack, self.end).max(distance(ack, self.edge));
        let units = (room >> self.shift).min(u32::from(field));
        self.edge = ack.wrapping_add((units << self.shift).max(distance(ack, self.edge)));
        units as u16
    }

    /// The field of a segment that acknowledges `ack` and announces nothing new.
    #[must_use]
    pub fn repeat(&self, ack: u32) -> u16 {
        (distance(ack, self.edge) >> self.shift).min(u32::from(u16::MAX)) as u16
    }

    /// The field of an acknowledgement that is worth sending for its window alone, where `next` is the next
    /// number expected and segments have up to `segment` bytes. smoltcp does not know that the window was small.
    pub fn reopen(&mut self, next: u32, segment: usize) -> Option<u16> {
        let room = distance(next, self.end).min(distance(next, self.given));
        let left = distance(next, self.edge);
        let enough = (self.limit / 2).min(segment) as u32;
        let is_worth = (left as usize) < self.limit / 2 && room >= left + left.max(enough);
        let units = (room >> self.shift).min(u32::from(u16::MAX));
        if !is_worth || units << self.shift <= left {
            return None;
        }
        self.edge = next.wrapping_add(units << self.shift);
        Some(units as u16)
    }
}

/// How far `to` is after `from`; 0 if it is before.
#[must_use]
pub fn distance(from: u32, to: u32) -> u32 {
    to.wrapping_sub(from).cast_signed().max(0).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        let mut window = Window::new(usize::MAX);
        window.begin(1000, 7);
        window
    }

    #[test]
    fn it_grows_as_the_program_reads_and_shrinks_without_taking_back() {
        let mut window = window();
        window.advance(FIRST, 1000 + FIRST as u32, usize::MAX, 1 << 20);
        assert_eq!(window.announce(1000 + FIRST as u32, 30_000), 1024);
        let edge = window.edge;
        window.advance(10, 1010 + FIRST as u32, 4096, 1 << 20);
        let field = window.announce(1010 + FIRST as u32, 30_000);
        assert!(window.edge == edge && u32::from(field) << 7 <= 2 << 16);
        let mut next = edge.wrapping_sub(100);
        window.advance(1, next, 4096, 1 << 20);
        assert_eq!(window.announce(next, 30_000), 32);
        next = next.wrapping_add(4096);
        assert_eq!(window.announce(next, 30_000), 0);
    }

    #[test]
    fn it_is_reopened_once_there_is_room_again() {
        let mut window = window();
        let full = window.edge;
        assert_eq!(window.announce(full, 30_000), 0);
        assert_eq!(window.reopen(full, 1380), None);
        window.advance(
            100,
            full.wrapping_sub(FIRST as u32 - 100),
            usize::MAX,
            1 << 20,
        );
        assert_eq!(window.reopen(full, 1380), None, "a silly window");
        window.advance(
            9900,
            full.wrapping_sub(FIRST as u32 - 10_000),
            usize::MAX,
            1 << 20,
        );
        assert_eq!(window.reopen(full, 1380), Some(78));
        assert_eq!(window.reopen(full, 1380), None);
    }
}
