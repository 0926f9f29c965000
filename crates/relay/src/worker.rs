//! The thread that serves all pairs.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

use crate::pair::{End, Failure, MAX_PEEK, Moved, Pair, Turn};
use crate::shared::{Command, Join, Shared, WAKE, lock, token};

#[derive(Debug)]
struct Slot {
    moved: Arc<Moved>,
    pair: Box<Pair>,
    is_queued: bool,
}

/// The state of the thread.
pub struct Worker {
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
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            slots: HashMap::new(),
            deadlines: BinaryHeap::new(),
            alarm: None,
            queue: VecDeque::new(),
            buffer: vec![0; MAX_PEEK],
        }
    }

    pub fn run(&mut self) -> io::Result<()> {
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

    pub fn end_all(&mut self, errno: i32) {
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

const ABORTED: Failure = Failure {
    side: None,
    errno: libc::ECONNABORTED,
};
const TIMED_OUT: Failure = Failure {
    side: Some(1),
    errno: libc::ETIMEDOUT,
};
