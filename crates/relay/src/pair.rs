//! One pair of sockets and the two ways between them.
//!
//! Nothing is kept here: bytes stay in the source's buffer until the sink has taken them, so that
//! a pair whose reader is slow costs the memory of its two sockets and no more.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::socket::{Socket, is_idle};

/// So many bytes at once at most: beyond, a relay gets no faster. Below the least, each byte costs
/// more calls than it saves copies.
pub const MOST: usize = 512 * 1024;
const LEAST: usize = 16 * 1024;

/// So many rounds of one way before others have their turn.
const ROUNDS: usize = 4;

/// So many for what a socket holds that broke.
const LAST_ROUNDS: usize = 64;

/// What ended a pair before its time: on which side (0 or 1), and the system's word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// 0 for the first socket of the pair, 1 for the second; None where neither is to blame.
    pub side: Option<usize>,
    /// An errno.
    pub errno: i32,
}

/// How a pair ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Which pair: its `Link::id`.
    pub id: u64,
    /// None where both sides had said all.
    pub failure: Option<Failure>,
}

/// How many bytes went from the first socket to the second, and back.
#[derive(Debug, Default)]
pub struct Moved([AtomicU64; 2]);

impl Moved {
    pub fn add(&self, way: usize, bytes: usize) {
        self.0[way].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn read(&self) -> [u64; 2] {
        [
            self.0[0].load(Ordering::Relaxed),
            self.0[1].load(Ordering::Relaxed),
        ]
    }
}

/// From one side to the other; way 0 goes from side 0 to side 1.
#[derive(Debug)]
struct Way {
    appetite: usize,
    left: Option<u64>,
    is_done: bool,
}

impl Way {
    const fn new(left: Option<u64>) -> Self {
        Self {
            appetite: 4 * LEAST,
            left,
            is_done: false,
        }
    }

    fn room(&self, buffer: usize) -> usize {
        let left = self.left.map_or(usize::MAX, |left| {
            usize::try_from(left).unwrap_or(usize::MAX)
        });
        self.appetite.min(buffer).min(left)
    }

    /// Ask for as much as goes away at once: looking at more copies it in vain.
    fn learn(&mut self, looked: usize, sent: usize) {
        if sent < looked {
            self.appetite = sent.saturating_mul(2).clamp(LEAST, MOST);
        } else if looked == self.appetite {
            self.appetite = (self.appetite * 2).min(MOST);
        }
    }
}

/// What a turn of a pair came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing can be done until a socket says so.
    Waits,
    /// There is more to do at once.
    Goes,
    /// It is over.
    Over(Option<Failure>),
}

/// Two sockets, what is known of them, and how far each way is.
#[derive(Debug)]
pub struct Pair {
    sides: [Socket; 2],
    ways: [Way; 2],
    readable: [bool; 2],
    writable: [bool; 2],
}

impl Pair {
    /// With `limit`, so many bytes go from the first to the second, and what it says beyond is
    /// thrown away.
    pub const fn new(sides: [Socket; 2], limit: Option<u64>) -> Self {
        Self {
            sides,
            ways: [Way::new(limit), Way::new(None)],
            readable: [true; 2],
            writable: [true; 2],
        }
    }

    pub const fn sides(&self) -> &[Socket; 2] {
        &self.sides
    }

    /// Take note of what epoll says of a side.
    pub fn ready(&mut self, side: usize, readable: bool, writable: bool) {
        self.readable[side] |= readable;
        self.writable[side] |= writable;
    }

    /// Move what can be moved, for a while.
    pub fn turn(&mut self, buffer: &mut [u8], moved: &[&Moved]) -> Turn {
        for way in 0..2 {
            for _ in 0..ROUNDS {
                match self.step(way, buffer, moved) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(failure) => return self.last_words(failure, buffer, moved),
                }
            }
        }
        if self.ways[0].is_done && self.ways[1].is_done {
            return Turn::Over(None);
        }
        if (0..2).any(|way| self.can_go(way)) {
            Turn::Goes
        } else {
            Turn::Waits
        }
    }

    /// What the broken side said before it broke is still passed on: a server that refuses an
    /// upload answers and resets in one breath.
    fn last_words(&mut self, failure: Failure, buffer: &mut [u8], moved: &[&Moved]) -> Turn {
        if let Some(side) = failure.side {
            let mut rounds = LAST_ROUNDS;
            while rounds > 0
                && matches!(self.sides[side].look(&mut buffer[..1]), Ok(1))
                && self.step(side, buffer, moved) == Ok(true)
            {
                rounds -= 1;
            }
        }
        Turn::Over(Some(failure))
    }

    /// Whether all that a side had to say was heard, so that reading finds no error any more.
    pub const fn is_heard(&self, side: usize) -> bool {
        self.ways[side].is_done
    }

    /// The error that a side which hung up holds, if that is how it hung up.
    pub fn failure(&self, side: usize) -> Option<Failure> {
        let errno = self.sides[side].error()?;
        Some(Failure {
            side: Some(side),
            errno,
        })
    }

    /// End both sides as a broken connection ends.
    pub fn reset(self) {
        for socket in self.sides {
            socket.reset();
        }
    }

    fn is_discarding(&self, way: usize) -> bool {
        self.ways[way].left == Some(0)
    }

    fn can_go(&self, way: usize) -> bool {
        let is_open = !self.ways[way].is_done && self.writable[1 - way];
        self.readable[way] && (is_open || self.is_discarding(way))
    }

    /// One look at the source; whether another one may help.
    fn step(&mut self, way: usize, buffer: &mut [u8], moved: &[&Moved]) -> Result<bool, Failure> {
        if self.is_discarding(way) {
            return self.discard(way, buffer);
        }
        if !self.can_go(way) {
            return Ok(false);
        }
        let room = self.ways[way].room(buffer.len());
        let looked = match self.sides[way].look(&mut buffer[..room]) {
            Ok(looked) => looked,
            Err(error) if is_idle(&error) => {
                self.readable[way] = false;
                return Ok(false);
            }
            Err(error) => return Err(failed(way, &error)),
        };
        if looked == 0 {
            self.finish(way)?;
            return Ok(false);
        }
        self.pass_on(way, &mut buffer[..looked], moved)
    }

    fn pass_on(&mut self, way: usize, bytes: &mut [u8], moved: &[&Moved]) -> Result<bool, Failure> {
        let sent = match self.sides[1 - way].send(bytes) {
            Ok(sent) => sent,
            Err(error) if is_idle(&error) => {
                self.writable[1 - way] = false;
                self.ways[way].appetite = LEAST;
                return Ok(false);
            }
            Err(error) => return Err(failed(1 - way, &error)),
        };
        self.ways[way].learn(bytes.len(), sent);
        self.take(way, &mut bytes[..sent])?;
        for each in moved {
            each.add(way, sent);
        }
        if let Some(left) = &mut self.ways[way].left {
            *left -= sent as u64;
        }
        Ok(true)
    }

    /// Consume what the sink has taken, in as many calls as the family needs.
    fn take(&self, way: usize, mut bytes: &mut [u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            match self.sides[way].consume(bytes) {
                Ok(0) => break,
                Ok(taken) => bytes = &mut bytes[taken..],
                Err(error) => return Err(failed(way, &error)),
            }
        }
        Ok(())
    }

    /// The source has said all: so shall the sink hear.
    fn finish(&mut self, way: usize) -> Result<(), Failure> {
        self.ways[way].is_done = true;
        match self.sides[1 - way].finish() {
            // The sink is already gone whole: its own way says how.
            Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => Ok(()),
            Err(error) => Err(failed(1 - way, &error)),
            Ok(()) => Ok(()),
        }
    }

    /// Read on where nothing more is passed on: closing with bytes unread would reset the
    /// connection, and the other way's last bytes with it.
    fn discard(&mut self, way: usize, buffer: &mut [u8]) -> Result<bool, Failure> {
        self.ways[way].is_done = true;
        if !self.readable[way] {
            return Ok(false);
        }
        match self.sides[way].consume(buffer) {
            Ok(0) => self.readable[way] = false,
            Ok(_) => return Ok(true),
            Err(error) if is_idle(&error) => self.readable[way] = false,
            Err(error) => return Err(failed(way, &error)),
        }
        Ok(false)
    }
}

fn failed(side: usize, error: &io::Error) -> Failure {
    Failure {
        side: Some(side),
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    }
}
