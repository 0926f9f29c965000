//! A relay, and the handles to its pairs.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use holloway_poll::Process;

use crate::pair::{End, Moved, Options, Pair};
use crate::shared::{Command, Join, Shared, WAKE, lock};
use crate::socket::Socket;
use crate::worker::Worker;

/// A running relay. Dropping it resets every pair.
#[derive(Debug)]
pub struct Relay {
    owner: Process,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A handle to a pair.
#[derive(Debug, Clone)]
pub struct PairHandle {
    id: u64,
    moved: Arc<Moved>,
}

impl PairHandle {
    /// The number that the pair's `End` will have.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// How many bytes went from the first socket to the second, and back, so far.
    #[must_use]
    pub fn moved(&self) -> [u64; 2] {
        self.moved.read()
    }
}

impl Relay {
    /// Start the thread.
    pub fn new() -> io::Result<Self> {
        let shared = Arc::new(Shared::new()?);
        shared.epoll.add(shared.wake.as_raw_fd(), WAKE)?;
        let mut worker = Worker::new(Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("holloway-relay".into())
            .spawn(move || {
                // A panic must not leave anybody waiting for an end.
                if !matches!(catch_unwind(AssertUnwindSafe(|| worker.run())), Ok(Ok(()))) {
                    worker.end_all(libc::EIO);
                }
            })?;
        Ok(Self {
            owner: Process::current(),
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Copy between two stream sockets from now on, or once the second one is connected; the relay owns
    /// both. No end follows the bytes of a limit.
    pub fn join(
        &self,
        first: OwnedFd,
        second: OwnedFd,
        options: Options,
    ) -> io::Result<PairHandle> {
        let sides = [Socket::new(first), Socket::new(second)];
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let moved = Arc::new(Moved::default());
        let deadline = options.connect_timeout.map(|limit| Instant::now() + limit);
        let pair = Box::new(Pair::new(sides, options));
        let handle = PairHandle {
            id,
            moved: Arc::clone(&moved),
        };
        // Under the lock, so that the thread finds the pair once it gets an event of its sockets.
        let mut commands = lock(&self.shared.commands);
        let Some(commands) = commands.as_mut() else {
            return Err(io::Error::from_raw_os_error(libc::ESHUTDOWN));
        };
        // The thread has nothing to do for a pair that is connecting, before its first event.
        let is_watched = deadline.is_some() && self.shared.watch_connecting(id, pair.sides());
        let needs_alarm = commands
            .alarm
            .is_none_or(|alarm| deadline.is_some_and(|deadline| deadline < alarm));
        commands.list.push(Command::Join(Box::new(Join {
            id,
            moved,
            pair,
            deadline,
            is_watched,
        })));
        if needs_alarm || !is_watched {
            self.shared.wake(commands);
        }
        Ok(handle)
    }

    /// Reset a pair; its `End` has ECONNABORTED.
    pub fn abort(&self, id: u64) {
        self.shared.command(Command::Abort(id));
    }

    /// The pairs that have ended since the last call.
    pub fn ends(&self) -> Vec<End> {
        self.shared.ended.clear();
        std::mem::take(&mut *lock(&self.shared.ends))
    }

    /// How many bytes went from first sockets to second ones, and back, in all pairs.
    #[must_use]
    pub fn moved(&self) -> [u64; 2] {
        self.shared.total.read()
    }

    /// End all pairs and the thread. `ends` still returns their ends. Does nothing in a fork.
    pub fn close(&self) {
        let thread = lock(&self.thread).take();
        if !self.owner.is_current() {
            std::mem::forget(thread); // a fork has no such thread
        } else if let Some(thread) = thread {
            self.shared.command(Command::Close);
            let _ = thread.join();
        }
    }
}

impl AsRawFd for Relay {
    /// Readable while `ends` has something to return.
    fn as_raw_fd(&self) -> RawFd {
        self.shared.ended.as_raw_fd()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}
