//! What the relay's thread shares with the others: its commands, and what it reports.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use holloway_poll::{Epoll, Wake};

use crate::pair::{End, Moved, Pair};
use crate::socket::Socket;

#[derive(Debug)]
pub struct Shared {
    pub epoll: Epoll,
    pub wake: Wake,
    pub ended: Wake,
    pub next: AtomicU64,
    pub total: Moved,
    /// None once the thread has ended.
    pub commands: Mutex<Option<Commands>>,
    pub ends: Mutex<Vec<End>>,
}

/// What other threads ask of the relay's thread.
#[derive(Debug, Default)]
pub struct Commands {
    pub list: Vec<Command>,
    pub is_woken: bool,
    /// When the thread wakes up by itself.
    pub alarm: Option<Instant>,
}

#[derive(Debug)]
pub enum Command {
    Join(Box<Join>),
    Abort(u64),
    Close,
}

#[derive(Debug)]
pub struct Join {
    pub id: u64,
    pub moved: Arc<Moved>,
    pub pair: Box<Pair>,
    /// Until when the second socket may connect.
    pub deadline: Option<Instant>,
    pub is_watched: bool,
}

impl Shared {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new()?,
            wake: Wake::new()?,
            ended: Wake::new()?,
            next: AtomicU64::new(0),
            total: Moved::default(),
            commands: Mutex::new(Some(Commands::default())),
            ends: Mutex::default(),
        })
    }

    /// Pass a command to the thread, if it has not ended.
    pub fn command(&self, command: Command) {
        if let Some(commands) = lock(&self.commands).as_mut() {
            commands.list.push(command);
            self.wake(commands);
        }
    }

    /// Wake the thread, unless it is woken already.
    pub fn wake(&self, commands: &mut Commands) {
        if !std::mem::replace(&mut commands.is_woken, true) {
            self.wake.set();
        }
    }

    /// Watch for the connection of the second socket, and the end of the first. False if that failed.
    pub fn watch_connecting(&self, id: u64, sides: &[Socket; 2]) -> bool {
        let [first, second] = sides.each_ref().map(AsRawFd::as_raw_fd);
        if self.epoll.add_closing(first, token(id, 0)).is_err() {
            return false;
        }
        let is_watched = self.epoll.add_stream(second, token(id, 1)).is_ok();
        if !is_watched {
            self.epoll.remove(first);
        }
        is_watched
    }
}

pub const fn token(id: u64, side: usize) -> u64 {
    id * 2 + side as u64
}

/// Lock, ignoring poison: the locks are held only for a push or a take, which cannot panic.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub const WAKE: u64 = u64::MAX;
