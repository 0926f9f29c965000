//! Stream sockets as the relay uses them: peek, send, consume. Wrappers of system calls, no policy.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// TCP keepalive: seconds of silence before the first probe, seconds between probes, and how many
/// unanswered probes end the connection. They end half-closed connections whose other side is gone.
const KEEPALIVE: [(libc::c_int, libc::c_int); 3] = [
    (libc::TCP_KEEPIDLE, 300),
    (libc::TCP_KEEPINTVL, 30),
    (libc::TCP_KEEPCNT, 4),
];

/// A stream socket, of any family. No call blocks, whether it is a non-blocking one or not.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    pub const fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Give the socket away again.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Set TCP options for a relay. Sockets of other families refuse them, and do not need them.
    pub fn set_options(&self) {
        let raw = self.as_raw_fd();
        let _ = set(raw, libc::IPPROTO_TCP, libc::TCP_NODELAY, &1_i32);
        let _ = set(raw, libc::SOL_SOCKET, libc::SO_KEEPALIVE, &1_i32);
        for (option, value) in KEEPALIVE {
            let _ = set(raw, libc::IPPROTO_TCP, option, &value);
        }
    }

    /// Copy what has come, up to the buffer's size, without consuming it. 0 means the end.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, libc::MSG_PEEK)
    }

    /// Consume what was peeked at. TCP does not copy it again: this is the meaning of MSG_TRUNC there
    /// (tcp(7)). Other families copy it into the buffer, which has room for it.
    pub fn consume(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, libc::MSG_TRUNC)
    }

    fn receive(&self, buffer: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
        let flags = flags | libc::MSG_DONTWAIT;
        // SAFETY: the pointer and the length are those of one exclusive slice.
        count(unsafe {
            libc::recv(
                self.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                flags,
            )
        })
    }

    /// Send as much as the send buffer has room for.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: the pointer and the length are those of one slice.
        count(unsafe { libc::send(self.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) })
    }

    /// Shut down the sending direction.
    pub fn finish(&self) -> io::Result<()> {
        // SAFETY: no pointers.
        check(unsafe { libc::shutdown(self.as_raw_fd(), libc::SHUT_WR) })?;
        Ok(())
    }

    /// Return and clear the socket's pending error.
    pub fn error(&self) -> Option<i32> {
        let mut errno: libc::c_int = 0;
        let mut size = size_of::<libc::c_int>() as libc::socklen_t;
        let fd = self.as_raw_fd();
        // SAFETY: the value and its size are ours and valid for the call.
        let result = unsafe {
            libc::getsockopt(
                fd,
                libc::SOL_SOCKET,
                libc::SO_ERROR,
                (&raw mut errno).cast(),
                &raw mut size,
            )
        };
        (result == 0 && errno != 0).then_some(errno)
    }

    /// Close it with a reset instead of an orderly end.
    pub fn reset(self) {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let _ = set(self.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, &linger);
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Whether an error means that nothing can be done now.
pub fn is_idle(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn set<T>(fd: RawFd, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    let size = size_of::<T>() as libc::socklen_t;
    let pointer = std::ptr::from_ref(value).cast();
    // SAFETY: the pointer is to a value of that size, valid for the call.
    check(unsafe { libc::setsockopt(fd, level, option, pointer, size) })?;
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

fn count(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
