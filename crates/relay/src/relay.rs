//! The thread that serves all pairs, and the handles that other threads have to it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use holloway_poll::{Epoll, Wake};

use crate::pair::{End, Failure, MAX_PEEK, Moved, Options, Pair, Turn};
use crate::socket::Socket;

/// A running relay. Dropping it resets every pair.
#[derive(Debug)]
pub struct Relay {
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

#[derive(Debug)]
struct Shared {
    epoll: Epoll,
    wake: Wake,
    ended: Wake,
    next: AtomicU64,
    total: Moved,
    /// None once the thread has ended.
    commands: Mutex<Option<Vec<Command>>>,
    ends: Mutex<Vec<End>>,
}

#[derive(Debug)]
enum Command {
    Join(u64, Arc<Moved>, Box<Pair>, Option<Instant>),
    Abort(u64),
    Close,
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
        if self
            .shared
            .command(Command::Join(id, moved, pair, deadline))
        {
            Ok(handle)
        } else {
            Err(io::Error::from_raw_os_error(libc::ESHUTDOWN))
        }
    }

    /// Reset a pair; its `End` has ECONNABORTED.
    pub fn abort(&self, id: u64) {
        let _ = self.shared.command(Command::Abort(id));
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

    /// End all pairs and the thread. `ends` still returns their ends.
    pub fn close(&self) {
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            let _ = self.shared.command(Command::Close);
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

impl Shared {
    fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new()?,
            wake: Wake::new()?,
            ended: Wake::new()?,
            next: AtomicU64::new(0),
            total: Moved::default(),
            commands: Mutex::new(Some(Vec::new())),
            ends: Mutex::default(),
        })
    }

    /// Pass a command to the thread. False if the thread has ended.
    fn command(&self, command: Command) -> bool {
        let mut commands = lock(&self.commands);
        let Some(waiting) = commands.as_mut() else {
            return false;
        };
        // The thread clears the wake before it takes the commands, so one wake is enough for all of them.
        let is_first = waiting.is_empty();
        waiting.push(command);
        drop(commands);
        if is_first {
            self.wake.set();
        }
        true
    }
}

#[derive(Debug)]
struct Slot {
    id: u64,
    moved: Arc<Moved>,
    pair: Box<Pair>,
    is_queued: bool,
}

/// The state of the thread.
struct Worker {
    shared: Arc<Shared>,
    slots: Vec<Option<Slot>>,
    indices: HashMap<u64, usize>,
    /// Until when pairs may connect, the earliest first; some of them are connected meanwhile.
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    vacant: Vec<usize>,
    /// Slots of ended pairs, which this batch of events may still refer to.
    left: Vec<usize>,
    queue: VecDeque<usize>,
    buffer: Vec<u8>,
}

impl Worker {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            slots: Vec::new(),
            indices: HashMap::new(),
            deadlines: BinaryHeap::new(),
            vacant: Vec::new(),
            left: Vec::new(),
            queue: VecDeque::new(),
            buffer: vec![0; MAX_PEEK],
        }
    }

    fn run(&mut self) -> io::Result<()> {
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 256];
        loop {
            let timeout = if self.queue.is_empty() {
                self.expire()
            } else {
                0
            };
            let shared = Arc::clone(&self.shared);
            for event in shared.epoll.wait_for(&mut ready, timeout)? {
                let (token, events) = (event.u64, event.events);
                if token != WAKE {
                    self.handle_event(token, events);
                } else if !self.run_commands() {
                    return Ok(());
                }
            }
            for _ in 0..self.queue.len() {
                if let Some(index) = self.queue.pop_front() {
                    self.turn(index);
                }
            }
            self.vacant.append(&mut self.left);
        }
    }

    /// Execute the commands of other threads. False if one of them is to end.
    fn run_commands(&mut self) -> bool {
        self.shared.wake.clear();
        let commands = lock(&self.shared.commands).replace(Vec::new());
        for command in commands.into_iter().flatten() {
            match command {
                Command::Join(id, moved, pair, deadline) => {
                    self.deadlines
                        .extend(deadline.map(|until| Reverse((until, id))));
                    self.join(id, moved, pair);
                }
                Command::Abort(id) => self.abort(id),
                Command::Close => {
                    self.end_all(libc::ECONNABORTED);
                    return false;
                }
            }
        }
        true
    }

    fn join(&mut self, id: u64, moved: Arc<Moved>, pair: Box<Pair>) {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        for (side, socket) in pair.sides().iter().enumerate() {
            socket.set_options();
            let token = (index * 2 + side) as u64;
            if let Err(error) = self.shared.epoll.add_stream(socket.as_raw_fd(), token) {
                self.left.push(index);
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                let failure = Failure {
                    side: Some(side),
                    errno,
                };
                return self.end(id, *pair, Some(failure));
            }
        }
        let is_queued = true;
        self.indices.insert(id, index);
        self.slots[index] = Some(Slot {
            id,
            moved,
            pair,
            is_queued,
        });
        self.queue.push_back(index);
    }

    fn abort(&mut self, id: u64) {
        if let Some(&index) = self.indices.get(&id) {
            self.finish(index, Some(ABORTED));
        }
    }

    /// End pairs that did not connect in time; returns the milliseconds until the next deadline, or -1.
    fn expire(&mut self) -> i32 {
        while let Some(&Reverse((deadline, id))) = self.deadlines.peek() {
            if let Some(index) = self.connecting(id) {
                let left = deadline.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX);
                }
                self.finish(index, Some(TIMED_OUT));
            }
            self.deadlines.pop();
        }
        -1
    }

    /// The slot of a pair, if that is still connecting.
    fn connecting(&self, id: u64) -> Option<usize> {
        let index = *self.indices.get(&id)?;
        let slot = self.slots[index].as_ref()?;
        slot.pair.is_connecting().then_some(index)
    }

    fn handle_event(&mut self, token: u64, events: u32) {
        let (index, side) = ((token / 2) as usize, (token % 2) as usize);
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let has = |flags: libc::c_int| events & flags.cast_unsigned() != 0;
        let is_broken = has(libc::EPOLLERR | libc::EPOLLHUP);
        let readable = is_broken || has(libc::EPOLLIN | libc::EPOLLRDHUP);
        if side == 0 && is_broken {
            slot.pair.first_left();
        }
        slot.pair
            .ready(side, readable, is_broken || has(libc::EPOLLOUT));
        if has(libc::EPOLLERR)
            && slot.pair.is_finished(side)
            && let Some(failure) = slot.pair.failure(side)
        {
            return self.finish(index, Some(failure));
        }
        if !std::mem::replace(&mut slot.is_queued, true) {
            self.queue.push_back(index);
        }
    }

    fn turn(&mut self, index: usize) {
        let Some(slot) = &mut self.slots[index] else {
            return;
        };
        match slot
            .pair
            .turn(&mut self.buffer, &[&slot.moved, &self.shared.total])
        {
            Turn::Idle => slot.is_queued = false,
            Turn::Continue => self.queue.push_back(index),
            Turn::Done(failure) => self.finish(index, failure),
        }
    }

    fn finish(&mut self, index: usize, failure: Option<Failure>) {
        if let Some(slot) = self.slots[index].take() {
            self.indices.remove(&slot.id);
            self.left.push(index);
            self.end(slot.id, *slot.pair, failure);
        }
    }

    fn end(&self, id: u64, pair: Pair, failure: Option<Failure>) {
        let mut unconnected = None;
        if pair.is_connecting() {
            let first = pair.into_first();
            self.shared.epoll.remove(first.as_raw_fd());
            unconnected = Some(first);
        } else if failure.is_some() {
            pair.reset();
        } else {
            drop(pair);
        }
        let mut ends = lock(&self.shared.ends);
        // `ends` clears the wake before it takes them, so one wake is enough for all of them.
        let is_first = ends.is_empty();
        ends.push(End {
            id,
            failure,
            unconnected,
        });
        drop(ends);
        if is_first {
            self.shared.ended.set();
        }
    }

    fn end_all(&mut self, errno: i32) {
        let failure = Some(Failure { side: None, errno });
        for index in 0..self.slots.len() {
            self.finish(index, failure);
        }
        let commands = lock(&self.shared.commands).take();
        for command in commands.into_iter().flatten() {
            if let Command::Join(id, _, pair, _) = command {
                self.end(id, *pair, failure);
            }
        }
    }
}

/// Lock, ignoring poison: the locks are held only for a push or a take, which cannot panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const WAKE: u64 = u64::MAX;
const ABORTED: Failure = Failure {
    side: None,
    errno: libc::ECONNABORTED,
};
const TIMED_OUT: Failure = Failure {
    side: Some(1),
    errno: libc::ETIMEDOUT,
};
