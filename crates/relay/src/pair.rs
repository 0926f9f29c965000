//! One pair of sockets and the two directions between them.
//!
//! A pair buffers nothing: bytes stay in the source's socket buffer until the sink has accepted them, so
//! a pair with a slow reader takes no memory beyond that of its two sockets.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::socket::{Socket, is_idle};

/// The maximum number of bytes per call: larger calls are not faster. Below the minimum, additional calls
/// cost more than the copies that they save.
pub const MAX_PEEK: usize = 512 * 1024;
const MIN_PEEK: usize = 16 * 1024;

/// Rounds of one direction before it is another pair's turn.
const ROUNDS: usize = 4;

/// Rounds for the bytes that a broken socket still holds.
const LAST_ROUNDS: usize = 64;

/// An error that ended a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// 0 for the first socket of the pair, 1 for the second. None if neither socket failed.
    pub side: Option<usize>,
    /// The errno.
    pub errno: i32,
}

/// How a pair ended.
#[derive(Debug)]
pub struct End {
    /// The pair's `PairHandle::id`.
    pub id: u64,
    /// None if both directions ended in order.
    pub failure: Option<Failure>,
    /// The first socket, as it was, if the second one did not connect.
    pub unconnected: Option<OwnedFd>,
}

/// What a pair does besides copying.
#[derive(Debug, Default)]
pub struct Options {
    /// How many bytes go from the first socket to the second; further ones are discarded.
    pub limit: Option<u64>,
    /// What each socket gets before the bytes of the other one, and once the second is connected.
    pub greetings: [Vec<u8>; 2],
    /// How long the second socket may take to connect; None if it is connected.
    pub connect_timeout: Option<Duration>,
}

/// Counts bytes from the first socket to the second, and back.
#[derive(Debug, Default)]
pub struct Moved([AtomicU64; 2]);

impl Moved {
    pub fn add(&self, direction: usize, bytes: usize) {
        self.0[direction].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn read(&self) -> [u64; 2] {
        [
            self.0[0].load(Ordering::Relaxed),
            self.0[1].load(Ordering::Relaxed),
        ]
    }
}

/// One direction. Direction 0 goes from side 0 to side 1.
#[derive(Debug)]
struct Direction {
    peek_size: usize,
    left: Option<u64>,
    is_done: bool,
}

impl Direction {
    const fn new(left: Option<u64>) -> Self {
        Self {
            peek_size: 4 * MIN_PEEK,
            left,
            is_done: false,
        }
    }

    fn capacity(&self, buffer: usize) -> usize {
        let left = self.left.map_or(usize::MAX, |left| {
            usize::try_from(left).unwrap_or(usize::MAX)
        });
        self.peek_size.min(buffer).min(left)
    }

    /// Adapt to how much the sink accepts at once: peeking at more copies it for nothing.
    fn adapt(&mut self, peeked: usize, sent: usize) {
        if sent < peeked {
            self.peek_size = sent.saturating_mul(2).clamp(MIN_PEEK, MAX_PEEK);
        } else if peeked == self.peek_size {
            self.peek_size = (self.peek_size * 2).min(MAX_PEEK);
        }
    }
}

/// The result of a pair's turn.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing can be done until a socket is ready.
    Idle,
    /// There is more to do now.
    Continue,
    /// The pair has ended.
    Done(Option<Failure>),
}

/// Two sockets, their readiness, and the state of each direction.
#[derive(Debug)]
pub struct Pair {
    sides: [Socket; 2],
    directions: [Direction; 2],
    readable: [bool; 2],
    writable: [bool; 2],
    greetings: [Vec<u8>; 2],
    is_connecting: bool,
    has_first_left: bool,
}

impl Pair {
    /// Create a pair.
    pub fn new(sides: [Socket; 2], options: Options) -> Self {
        let is_connecting = options.connect_timeout.is_some();
        Self {
            sides,
            directions: [Direction::new(options.limit), Direction::new(None)],
            readable: [true, !is_connecting],
            writable: [true, !is_connecting],
            greetings: options.greetings,
            is_connecting,
            has_first_left: false,
        }
    }

    /// Record that the first side is closed in both directions.
    pub const fn first_left(&mut self) {
        self.has_first_left = true;
    }

    /// Whether the second socket is not connected yet.
    pub const fn is_connecting(&self) -> bool {
        self.is_connecting
    }

    pub const fn sides(&self) -> &[Socket; 2] {
        &self.sides
    }

    /// Record the readiness of a side.
    pub fn ready(&mut self, side: usize, readable: bool, writable: bool) {
        self.readable[side] |= readable;
        self.writable[side] |= writable;
    }

    /// Copy in both directions, for a limited number of rounds.
    pub fn turn(&mut self, buffer: &mut [u8], moved: &[&Moved]) -> Turn {
        if self.is_connecting {
            if self.has_first_left {
                return Turn::Done(Some(FIRST_LEFT));
            }
            if !self.writable[1] {
                return Turn::Idle;
            }
            if let Some(failure) = self.failure(1) {
                return Turn::Done(Some(failure));
            }
            self.is_connecting = false;
            self.readable[1] = true;
        }
        // The first socket gets its greeting even if the second one breaks at once.
        for direction in [1, 0] {
            if let Err(failure) = self.greet(direction, moved) {
                return self.drain_broken(failure, buffer, moved);
            }
        }
        for direction in 0..2 {
            for _ in 0..ROUNDS {
                match self.step(direction, buffer, moved) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(failure) => return self.drain_broken(failure, buffer, moved),
                }
            }
        }
        if self.directions[0].is_done && self.directions[1].is_done {
            return Turn::Done(None);
        }
        if (0..2).any(|direction| self.can_move(direction)) {
            Turn::Continue
        } else {
            Turn::Idle
        }
    }

    /// Pass on what the broken side sent before it broke: a server that refuses an upload responds and
    /// resets right away.
    fn drain_broken(&mut self, failure: Failure, buffer: &mut [u8], moved: &[&Moved]) -> Turn {
        if let Some(side) = failure.side {
            let mut rounds = LAST_ROUNDS;
            while rounds > 0
                && matches!(self.sides[side].peek(&mut buffer[..1]), Ok(1))
                && self.step(side, buffer, moved) == Ok(true)
            {
                rounds -= 1;
            }
        }
        Turn::Done(Some(failure))
    }

    /// Whether everything that a side sent was read, so that reading cannot report its error any more.
    pub const fn is_finished(&self, side: usize) -> bool {
        self.directions[side].is_done
    }

    /// The error of a side that hung up, if there is one.
    pub fn failure(&self, side: usize) -> Option<Failure> {
        let errno = self.sides[side].error()?;
        Some(Failure {
            side: Some(side),
            errno,
        })
    }

    /// Close the second side, and return the first.
    pub fn into_first(self) -> OwnedFd {
        let [first, _] = self.sides;
        first.into_fd()
    }

    /// Reset both sides.
    pub fn reset(self) {
        for socket in self.sides {
            socket.reset();
        }
    }

    fn is_discarding(&self, direction: usize) -> bool {
        self.directions[direction].left == Some(0)
    }

    fn can_move(&self, direction: usize) -> bool {
        if !self.greetings[1 - direction].is_empty() {
            return self.writable[1 - direction];
        }
        let is_open = !self.directions[direction].is_done && self.writable[1 - direction];
        self.readable[direction] && (is_open || self.is_discarding(direction))
    }

    /// Send the sink its greeting, or what is left of it.
    fn greet(&mut self, direction: usize, moved: &[&Moved]) -> Result<(), Failure> {
        let sink = 1 - direction;
        if self.greetings[sink].is_empty() || !self.writable[sink] {
            return Ok(());
        }
        let sent = match self.sides[sink].send(&self.greetings[sink]) {
            Ok(sent) => sent,
            Err(error) if is_idle(&error) => {
                self.writable[sink] = false;
                return Ok(());
            }
            Err(error) => return Err(failed(sink, &error)),
        };
        self.greetings[sink].drain(..sent);
        // What the first socket gets is the caller's, not what the second one has sent.
        if direction == 0 {
            for each in moved {
                each.add(direction, sent);
            }
        }
        Ok(())
    }

    /// Copy once from the source to the sink. Returns whether another step may help.
    fn step(
        &mut self,
        direction: usize,
        buffer: &mut [u8],
        moved: &[&Moved],
    ) -> Result<bool, Failure> {
        if !self.greetings[1 - direction].is_empty() {
            return Ok(false);
        }
        if self.is_discarding(direction) {
            return self.discard(direction, buffer);
        }
        if !self.can_move(direction) {
            return Ok(false);
        }
        let capacity = self.directions[direction].capacity(buffer.len());
        let peeked = match self.sides[direction].peek(&mut buffer[..capacity]) {
            Ok(peeked) => peeked,
            Err(error) if is_idle(&error) => {
                self.readable[direction] = false;
                return Ok(false);
            }
            Err(error) => return Err(failed(direction, &error)),
        };
        if peeked == 0 {
            self.finish(direction)?;
            return Ok(false);
        }
        self.pass_on(direction, &mut buffer[..peeked], moved)
    }

    fn pass_on(
        &mut self,
        direction: usize,
        bytes: &mut [u8],
        moved: &[&Moved],
    ) -> Result<bool, Failure> {
        let sent = match self.sides[1 - direction].send(bytes) {
            Ok(sent) => sent,
            Err(error) if is_idle(&error) => {
                self.writable[1 - direction] = false;
                self.directions[direction].peek_size = MIN_PEEK;
                return Ok(false);
            }
            Err(error) => return Err(failed(1 - direction, &error)),
        };
        self.directions[direction].adapt(bytes.len(), sent);
        self.take(direction, &mut bytes[..sent])?;
        for each in moved {
            each.add(direction, sent);
        }
        if let Some(left) = &mut self.directions[direction].left {
            *left -= sent as u64;
        }
        Ok(true)
    }

    /// Consume what the sink has accepted, in as many calls as the address family needs.
    fn take(&self, direction: usize, mut bytes: &mut [u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            match self.sides[direction].consume(bytes) {
                Ok(0) => break,
                Ok(taken) => bytes = &mut bytes[taken..],
                Err(error) => return Err(failed(direction, &error)),
            }
        }
        Ok(())
    }

    /// The source has ended: end the sink too.
    fn finish(&mut self, direction: usize) -> Result<(), Failure> {
        self.directions[direction].is_done = true;
        match self.sides[1 - direction].finish() {
            // The sink has gone; its own direction reports how.
            Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => Ok(()),
            Err(error) => Err(failed(1 - direction, &error)),
            Ok(()) => Ok(()),
        }
    }

    /// Keep reading after the limit: closing with unread bytes would reset the connection, and the last
    /// bytes of the other direction would be lost.
    fn discard(&mut self, direction: usize, buffer: &mut [u8]) -> Result<bool, Failure> {
        self.directions[direction].is_done = true;
        if !self.readable[direction] {
            return Ok(false);
        }
        match self.sides[direction].consume(buffer) {
            Ok(0) => self.readable[direction] = false,
            Ok(_) => return Ok(true),
            Err(error) if is_idle(&error) => self.readable[direction] = false,
            Err(error) => return Err(failed(direction, &error)),
        }
        Ok(false)
    }
}

const FIRST_LEFT: Failure = Failure {
    side: Some(0),
    errno: libc::EPIPE,
};

fn failed(side: usize, error: &io::Error) -> Failure {
    Failure {
        side: Some(side),
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    }
}
