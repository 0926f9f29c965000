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
    commands: Mutex<Option<Commands>>,
    ends: Mutex<Vec<End>>,
}

/// What other threads ask of the relay's thread.
#[derive(Debug, Default)]
struct Commands {
    list: Vec<Command>,
    is_woken: bool,
    /// When the thread wakes up by itself.
    alarm: Option<Instant>,
}

#[derive(Debug)]
enum Command {
    Join(Box<Join>),
    Abort(u64),
    Close,
}

#[derive(Debug)]
struct Join {
    id: u64,
    moved: Arc<Moved>,
    pair: Box<Pair>,
    /// Until when the second socket may connect.
    deadline: Option<Instant>,
    is_watched: bool,
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

    /// End all pairs and the thread. `ends` still returns their ends.
    pub fn close(&self) {
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
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

impl Shared {
    fn new() -> io::Result<Self> {
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
    fn command(&self, command: Command) {
        if let Some(commands) = lock(&self.commands).as_mut() {
            commands.list.push(command);
            self.wake(commands);
        }
    }

    /// Wake the thread, unless it is woken already.
    fn wake(&self, commands: &mut Commands) {
        if !std::mem::replace(&mut commands.is_woken, true) {
            self.wake.set();
        }
    }

    /// Watch for the connection of the second socket, and the end of the first. False if that failed.
    fn watch_connecting(&self, id: u64, sides: &[Socket; 2]) -> bool {
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

const fn token(id: u64, side: usize) -> u64 {
    id * 2 + side as u64
}

#[derive(Debug)]
struct Slot {
    moved: Arc<Moved>,
    pair: Box<Pair>,
    is_queued: bool,
}

/// The state of the thread.
struct Worker {
    shared: Arc<Shared>,
    slots: HashMap<u64, Slot>,
    /// Until when pairs may connect, the earliest first; some of them are connected meanwhile.
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    /// When to look at the deadlines again: at the earliest one or before.
    alarm: Option<Instant>,
    queue: VecDeque<u64>,
    buffer: Vec<u8>,
}

impl Worker {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            slots: HashMap::new(),
            deadlines: BinaryHeap::new(),
            alarm: None,
            queue: VecDeque::new(),
            buffer: vec![0; MAX_PEEK],
        }
    }

    fn run(&mut self) -> io::Result<()> {
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 256];
        loop {
            let timeout = if self.queue.is_empty() {
                self.alarm.map_or(-1, milliseconds_until)
            } else {
                0
            };
            let shared = Arc::clone(&self.shared);
            let events = shared.epoll.wait_for(&mut ready, timeout)?;
            if events.iter().any(|event| event.u64 == WAKE) {
                self.shared.wake.clear();
            }
            // First, because the events may be those of new pairs.
            if !self.run_commands() {
                return Ok(());
            }
            for event in events {
                if event.u64 != WAKE {
                    self.handle_event(event.u64, event.events);
                }
            }
            if self.alarm.is_some_and(|alarm| alarm <= Instant::now()) && !self.expire() {
                return Ok(());
            }
            for _ in 0..self.queue.len() {
                if let Some(id) = self.queue.pop_front() {
                    self.turn(id);
                }
            }
        }
    }

    /// Execute the commands of other threads. False if one of them is to end.
    fn run_commands(&mut self) -> bool {
        let mut commands = lock(&self.shared.commands);
        let Some(waiting) = commands.as_mut() else {
            return false;
        };
        waiting.is_woken = false;
        let list = std::mem::take(&mut waiting.list);
        drop(commands);
        for command in list {
            match command {
                Command::Join(join) => self.join(*join),
                Command::Abort(id) => self.finish(id, Some(ABORTED)),
                Command::Close => {
                    self.end_all(libc::ECONNABORTED);
                    return false;
                }
            }
        }
        true
    }

    fn join(&mut self, join: Join) {
        let Join { id, pair, .. } = join;
        for (side, socket) in pair.sides().iter().enumerate() {
            socket.set_options();
            if join.is_watched {
                continue;
            }
            let token = token(id, side);
            if let Err(error) = self.shared.epoll.add_stream(socket.as_raw_fd(), token) {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                let failure = Failure {
                    side: Some(side),
                    errno,
                };
                return self.end(id, *pair, Some(failure));
            }
        }
        let slot = Slot {
            moved: join.moved,
            pair,
            is_queued: !join.is_watched,
        };
        self.slots.insert(id, slot);
        if !join.is_watched {
            self.queue.push_back(id);
        }
        if let Some(deadline) = join.deadline {
            self.deadlines.push(Reverse((deadline, id)));
            if self.alarm.is_none_or(|alarm| deadline < alarm) {
                self.set_alarm(Some(deadline));
            }
        }
    }

    /// End pairs that did not connect in time. False if the thread is to end.
    fn expire(&mut self) -> bool {
        // From here on new pairs wake the thread; those before are among the commands.
        self.set_alarm(None);
        if !self.run_commands() {
            return false;
        }
        let now = Instant::now();
        while let Some(&Reverse((deadline, id))) = self.deadlines.peek() {
            if self.is_connecting(id) {
                if deadline > now {
                    self.set_alarm(Some(deadline));
                    break;
                }
                self.finish(id, Some(TIMED_OUT));
            }
            self.deadlines.pop();
        }
        true
    }

    fn set_alarm(&mut self, alarm: Option<Instant>) {
        self.alarm = alarm;
        if let Some(commands) = lock(&self.shared.commands).as_mut() {
            commands.alarm = alarm;
        }
    }

    fn is_connecting(&self, id: u64) -> bool {
        let slot = self.slots.get(&id);
        slot.is_some_and(|slot| slot.pair.is_connecting())
    }

    fn handle_event(&mut self, token: u64, events: u32) {
        let (id, side) = (token / 2, (token % 2) as usize);
        let Some(slot) = self.slots.get_mut(&id) else {
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
            return self.finish(id, Some(failure));
        }
        if !std::mem::replace(&mut slot.is_queued, true) {
            self.queue.push_back(id);
        }
    }

    fn turn(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let was_connecting = slot.pair.is_connecting();
        let turn = slot
            .pair
            .turn(&mut self.buffer, &[&slot.moved, &self.shared.total]);
        if was_connecting && !slot.pair.is_connecting() {
            let first = slot.pair.sides()[0].as_raw_fd();
            // It can fail only where the socket is not watched, and `join` has made sure that it is.
            let _ = self.shared.epoll.watch_stream(first, token(id, 0));
        }
        match turn {
            Turn::Idle => slot.is_queued = false,
            Turn::Continue => self.queue.push_back(id),
            Turn::Done(failure) => self.finish(id, failure),
        }
    }

    fn finish(&mut self, id: u64, failure: Option<Failure>) {
        if let Some(slot) = self.slots.remove(&id) {
            self.end(id, *slot.pair, failure);
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
        for (id, slot) in std::mem::take(&mut self.slots) {
            self.end(id, *slot.pair, failure);
        }
        let commands = lock(&self.shared.commands).take();
        for command in commands.into_iter().flat_map(|commands| commands.list) {
            if let Command::Join(join) = command {
                self.end(join.id, *join.pair, failure);
            }
        }
    }
}

fn milliseconds_until(time: Instant) -> i32 {
    let left = time.saturating_duration_since(Instant::now());
    i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX)
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
