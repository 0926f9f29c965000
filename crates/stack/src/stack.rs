//! The stack as its owner sees it: the thread, requests and events.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use holloway_plane::LinkEndpoint;
use holloway_poll::Process;
use parking_lot::Mutex;

use crate::attempt::Attempt;
use crate::counts::{Counts, REASONS, Reason};
use crate::engine::Engine;
use crate::events::{Event, Events, Id};
use crate::local::Local;
use crate::net::Settings;
use crate::shared::{Answer, Request, Requests, Shared};
use crate::socket_pair::{DatagramEnd, StreamEnd};
use crate::timers::Micros;

/// How long closing waits until the plane has taken the last resets.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// TCP, UDP and ICMP over a `LinkEndpoint`, in a thread of its own.
#[derive(Debug)]
pub struct Stack {
    owner: Process,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    pair_buffer: usize,
}

impl Stack {
    /// Start the thread.
    pub fn new(endpoint: LinkEndpoint, settings: &Settings) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            endpoint: Arc::new(endpoint),
            events: Events::new()?,
            requests: Requests::default(),
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
                ours.requests.end();
                drop(engine);
                if let Err(errno) = result.unwrap_or(Err(libc::EIO)) {
                    ours.events.push(Event::Ended(errno));
                }
            })?;
        Ok(Self {
            owner: Process::current(),
            shared,
            thread: Mutex::new(Some(thread)),
            pair_buffer: settings.pair_buffer(),
        })
    }

    /// Remove and return up to `limit` events.
    #[must_use]
    pub fn events(&self, limit: usize) -> Vec<Event> {
        self.shared.events.take(limit)
    }

    /// Make a TCP socket: its number and the program's descriptor.
    pub fn stream(&self) -> io::Result<(Id, OwnedFd)> {
        let (ours, theirs) = StreamEnd::unconnected()?;
        Ok((self.submit(|id| Request::Stream(id, ours)), theirs))
    }

    /// Make a UDP socket: its number and the program's descriptor.
    pub fn datagrams(&self) -> io::Result<(Id, OwnedFd)> {
        let (ours, theirs) = DatagramEnd::pair(self.pair_buffer)?;
        Ok((self.submit(|id| Request::Datagrams(id, ours)), theirs))
    }

    /// Bind a socket. Returns its address, or an errno.
    pub fn bind(&self, id: Id, local: Local) -> Result<SocketAddr, i32> {
        self.ask(|answer| Request::Bind(id, local, answer))
    }

    /// The local address of a socket, or an errno.
    pub fn name(&self, id: Id) -> Result<SocketAddr, i32> {
        self.ask(|answer| Request::Name(id, answer))
    }

    /// Connect a TCP socket; `timeout` is in microseconds. The program's descriptor `theirs` is not writable
    /// until the attempt ends.
    pub fn connect(
        &self,
        id: Id,
        theirs: RawFd,
        remote: SocketAddr,
        timeout: Micros,
    ) -> io::Result<Arc<Attempt>> {
        StreamEnd::hold(theirs)?;
        let attempt = Arc::new(Attempt::default());
        self.request(Request::Connect(id, remote, timeout, attempt.clone()));
        Ok(attempt)
    }

    /// Connect a UDP socket. Returns its address, or an errno.
    pub fn associate(&self, id: Id, remote: SocketAddr) -> Result<SocketAddr, i32> {
        self.ask(|answer| Request::Associate(id, remote, answer))
    }

    /// Listen for TCP connections with a bound socket. Returns its address, or an errno.
    pub fn listen(&self, id: Id, backlog: usize) -> Result<SocketAddr, i32> {
        self.ask(|answer| Request::Listen(id, backlog.max(1), answer))
    }

    /// Send an ICMP echo request.
    pub fn echo(&self, to: IpAddr) -> Id {
        self.submit(|id| Request::Echo(id, to))
    }

    /// Cancel an echo request.
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

    /// Wait for the engine's answer to a request; it takes as long as a turn of its loop.
    fn ask(&self, request: impl FnOnce(Answer) -> Request) -> Result<SocketAddr, i32> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.request(request(answer));
        answered.recv().unwrap_or(Err(libc::ENETDOWN))
    }

    fn request(&self, request: Request) {
        if self.shared.requests.push(request) {
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
