//! Waiting for descriptors: epoll, and an eventfd by which one thread wakes another. Wrappers of
//! system calls, no policy.
#![allow(unsafe_code)]

mod process;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

pub use process::Process;

/// A file descriptor that is readable while it is set.
#[derive(Debug)]
pub struct Wake(File);

impl Wake {
    /// Create one that is not set.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before it is owned.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: `fd` is new and nobody else owns it.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Make it readable.
    pub fn set(&self) {
        // The only failure is EAGAIN, after 2^64 - 2 calls; it stays set then.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    /// Make it unreadable.
    pub fn clear(&self) {
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// An epoll set: level-triggered and for reading, except for streams.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

/// The events that `Epoll::wait` fills in.
pub type Ready = [libc::epoll_event; 8];

/// No events.
pub const NOTHING_READY: Ready = [libc::epoll_event { events: 0, u64: 0 }; 8];

impl Epoll {
    /// Create an empty set.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before it is owned.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `fd` is new and nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watch `fd` for reading; `wait` reports it as `token`. Any thread may call this.
    pub fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, libc::EPOLLIN)
    }

    /// Watch a stream socket, edge-triggered, for reading, writing and the end of the other side. Any
    /// thread may call this.
    pub fn add_stream(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, STREAM)
    }

    /// The same, except that what the other end reads wakes nobody, until `watch_stream`.
    pub fn add_reading(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, STREAM & !libc::EPOLLOUT)
    }

    /// Watch a stream socket only for the end of both directions. Any thread may call this.
    pub fn add_closing(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, libc::EPOLLET)
    }

    /// Watch a socket of `add_closing` or `add_reading` as `add_stream` does.
    pub fn watch_stream(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, STREAM)
    }

    fn control(&self, call: i32, fd: RawFd, token: u64, events: i32) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: events.cast_unsigned(),
            u64: token,
        };
        // SAFETY: `event` is valid for the call, which copies it.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), call, fd, &raw mut event) })?;
        Ok(())
    }

    /// Stop watching `fd`.
    pub fn remove(&self, fd: RawFd) {
        let epoll = self.0.as_raw_fd();
        let null = std::ptr::null_mut();
        // SAFETY: EPOLL_CTL_DEL ignores the event. The only failure here is ENOENT, which is harmless.
        unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_DEL, fd, null) };
    }

    /// Block until something is ready, and yield its tokens. Yields none if interrupted.
    pub fn wait<'a>(&self, ready: &'a mut Ready) -> io::Result<impl Iterator<Item = u64> + 'a> {
        let events = self.wait_for(ready, -1)?;
        Ok(events.iter().map(|event| event.u64))
    }

    /// Block for at most `milliseconds` (-1: without a timeout) and return what is ready: nothing if
    /// interrupted.
    pub fn wait_for<'a>(
        &self,
        ready: &'a mut [libc::epoll_event],
        milliseconds: i32,
    ) -> io::Result<&'a [libc::epoll_event]> {
        let size = ready.len().cast_signed() as libc::c_int;
        let events = ready.as_mut_ptr();
        // SAFETY: `ready` has room for `size` events and outlives the call.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events, size, milliseconds) };
        let count = match check(count) {
            Ok(count) => count.cast_unsigned() as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        Ok(&ready[..count])
    }
}

const STREAM: i32 = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;

/// Wait at most `milliseconds` until `fd` is writable, and return whether it is.
#[must_use]
pub fn writable(fd: &impl AsRawFd, milliseconds: i32) -> bool {
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one valid pollfd, as the count says.
    unsafe { libc::poll(&raw mut poll, 1, milliseconds) == 1 }
}

/// Duplicate a descriptor that somebody else owns.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the result is checked before it is owned.
    let ours = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })?;
    // SAFETY: `ours` is new and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(ours) })
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
