//! The stack as its owner sees it: the thread, requests and events.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use holloway_plane::LinkEndpoint;
use holloway_poll::Process;
use parking_lot::Mutex;

use crate::counts::{Counts, REASONS, Reason};
use crate::engine::Engine;
use crate::events::{Accepted, Event, Events, Id};
use crate::net::Settings;
use crate::shared::{Request, Shared};
use crate::timers::Micros;

/// How long closing waits until the plane has taken the last resets.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// TCP, UDP and ICMP over a `LinkEndpoint`, in a thread of its own.
#[derive(Debug)]
pub struct Stack {
    owner: Process,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Stack {
    /// Start the thread.
    pub fn new(endpoint: LinkEndpoint, settings: &Settings) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            endpoint: Arc::new(endpoint),
            events: Events::new()?,
            requests: Mutex::new(VecDeque::new()),
            counts: Arc::new(Counts::default()),
            last_id: AtomicU64::new(0),
        });
        let mut engine = Engine::new(shared.clone(), settings)?;
        let ours = shared.clone();
        let thread = thread::Builder::new()
            .name("holloway-stack".into())
            .spawn(move || {
                let result = catch_unwind(AssertUnwindSafe(|| run(&mut engine, &ours)));
                // All sockets fail before the owner gets the event.
                drop(engine);
                if let Err(errno) = result.unwrap_or(Err(libc::EIO)) {
                    ours.events.push(Event::Ended(errno));
                }
            })?;
        Ok(Self {
            owner: Process::current(),
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Remove and return up to `limit` events.
    #[must_use]
    pub fn events(&self, limit: usize) -> Vec<Event> {
        self.shared.events.take(limit)
    }

    /// Connect by TCP; `timeout` is in microseconds.
    pub fn connect(&self, local: Option<SocketAddr>, remote: SocketAddr, timeout: Micros) -> Id {
        self.submit(|id| Request::Connect(id, local, remote, timeout))
    }

    /// Listen for TCP connections.
    pub fn listen(&self, local: SocketAddr, backlog: usize) -> Id {
        self.submit(|id| Request::Listen(id, local, backlog.max(1)))
    }

    /// Remove and return a connection of a listener.
    #[must_use]
    pub fn accept(&self, listener: Id) -> Option<Accepted> {
        self.shared.events.accept(listener)
    }

    /// Open a UDP port.
    pub fn datagrams(&self, local: Option<SocketAddr>, remote: Option<SocketAddr>) -> Id {
        self.submit(|id| Request::Datagrams(id, local, remote))
    }

    /// Send an ICMP echo request.
    pub fn echo(&self, to: IpAddr) -> Id {
        self.submit(|id| Request::Echo(id, to))
    }

    /// Cancel what is not open yet, or close a listener.
    pub fn cancel(&self, id: Id) {
        self.request(Request::Cancel(id));
    }

    /// What was dropped, by reason.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); REASONS] {
        Reason::ALL.map(|(reason, name)| (name, self.shared.counts.of(reason)))
    }

    fn submit(&self, request: impl FnOnce(Id) -> Request) -> Id {
        let id = self.shared.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        self.request(request(id));
        id
    }

    fn request(&self, request: Request) {
        let is_first = {
            let mut requests = self.shared.requests.lock();
            requests.push_back(request);
            requests.len() == 1
        };
        if is_first {
            self.shared.endpoint.wake();
        }
    }

    /// Have the thread do what `close` does, and do not wait for its end.
    pub fn start_closing(&self) {
        self.request(Request::Close);
        self.shared.endpoint.wake();
    }

    /// Whether the thread has ended, so that `close` does not wait.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let thread = self.thread.lock();
        thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Reset all streams, close all ports, and end the thread. A second call does nothing, nor does one in a fork.
    pub fn close(&self) {
        let Some(thread) = self.thread.lock().take() else {
            return;
        };
        if !self.owner.is_current() {
            std::mem::forget(thread); // a fork has no such thread
            return;
        }
        self.start_closing();
        // The thread catches its panics, so joining cannot fail.
        let _ = thread.join();
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.close();
    }
}

impl AsRawFd for Stack {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.events.as_raw_fd()
    }
}

fn run(engine: &mut Engine, shared: &Shared) -> Result<(), i32> {
    engine.run()?;
    let until = std::time::Instant::now() + CLOSE_TIMEOUT;
    while !(engine.close() && shared.endpoint.is_drained()) && std::time::Instant::now() < until {
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
