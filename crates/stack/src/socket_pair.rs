//! Our end of the socket pair that is the program's stream or UDP port.
//!
//! A stream must be able to end with an error. A socket pair has one, ECONNRESET, which a side gets if the
//! other side closes with unread bytes. So one byte always stays unread here: the last one that the program
//! wrote, which is peeked at when it comes and consumed with the next ones; the first is written when the
//! pair is created. An orderly end consumes it before closing. (Kernel: af_unix.c, unix_release_sock.)
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_void, iovec, msghdr};

/// Our end of a stream.
#[derive(Debug)]
pub struct StreamEnd(OwnedFd);

/// Our end of a UDP port: one message per datagram.
#[derive(Debug)]
pub struct DatagramEnd(OwnedFd);

impl StreamEnd {
    /// Create a pair for a connection: our end and the program's. What the program writes may be about `buffer`
    /// bytes; what it is to read, `FIRST` until `grow`.
    pub fn pair(buffer: usize) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = Self::unconnected()?;
        ours.grow(None);
        set_buffer(theirs.as_raw_fd(), buffer);
        Ok((ours, theirs))
    }

    /// Create a pair for a new socket of the program. Both buffers have the system's size until it is connected.
    pub fn unconnected() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = pair(libc::SOCK_STREAM)?;
        send(theirs.as_raw_fd(), &[0])?;
        Ok((Self(ours), theirs))
    }

    /// Make the program's end unwritable until `release`, as a socket is that is connecting.
    pub fn hold(theirs: RawFd) -> io::Result<()> {
        // The kernel calls it writable while less than a quarter of its buffer is used. What stays unread
        // in the end is a message of its own, which hardly counts.
        set_buffer(theirs, HELD);
        send(theirs, &[0; FILLER])?;
        send(theirs, &[0])?;
        Ok(())
    }

    /// Make the program's end writable: it is connected, or connecting has failed. The program may write as
    /// soon as it is, so just what `hold` wrote is read.
    pub fn release(&self) {
        let mut scrap = [0_u8; FILLER + 1];
        let mut left = scrap.len();
        while left > 0 {
            match self.read_into(&mut scrap[..left]) {
                0 => return,
                count => left -= count,
            }
        }
    }

    /// Whether the program has closed its end.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        is_gone(&self.0)
    }

    /// Send a message to a listening socket of the program: a connection.
    pub fn pass(&self, names: &[u8], connection: OwnedFd) -> io::Result<()> {
        let mut part = iovec {
            iov_base: names.as_ptr().cast_mut().cast(),
            iov_len: names.len(),
        };
        let mut control = Control::default();
        let size = size_of::<RawFd>() as u32;
        // SAFETY: plain data, for which zeros are valid.
        let mut message: msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        // SAFETY: the lengths of a header and one descriptor, for which `Control` has room.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(size) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size) as _;
            libc::CMSG_DATA(header)
                .cast::<RawFd>()
                .write_unaligned(connection.as_raw_fd());
        }
        // SAFETY: `message` names valid buffers, which are only read.
        check(unsafe { libc::sendmsg(self.as_raw_fd(), &raw const message, QUIET) })?;
        Ok(())
    }

    /// What the kernel counts for all that the program has not read yet.
    #[must_use]
    pub fn unread(&self) -> usize {
        let mut count: c_int = 0;
        // SAFETY: SIOCOUTQ writes one int.
        let result = unsafe { libc::ioctl(self.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
        if result < 0 {
            return 0;
        }
        usize::try_from(count).unwrap_or(0)
    }

    /// Let about `buffer` bytes wait for the program; without, as few as in the beginning.
    pub fn grow(&self, buffer: Option<usize>) {
        set_buffer(self.as_raw_fd(), buffer.unwrap_or(FIRST));
    }

    /// How many bytes of the program are not read yet.
    pub fn waiting(&self) -> usize {
        let mut count: c_int = 0;
        // SAFETY: FIONREAD writes one int.
        let result = unsafe { libc::ioctl(self.as_raw_fd(), libc::FIONREAD, &raw mut count) };
        if result < 0 {
            return 0;
        }
        usize::try_from(count).unwrap_or(0).saturating_sub(1)
    }

    /// Read into `buffer`, which is not empty and no longer than `waiting` says.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stale = [0];
        let before = buffer.len() - 1;
        let mut parts = [part(&mut stale), part(&mut buffer[..before])];
        let mut message = message(&mut parts);
        // SAFETY: `message` names two valid buffers.
        let count = unsafe { libc::recvmsg(self.as_raw_fd(), &raw mut message, QUIET) };
        let taken = check(count)?.saturating_sub(1);
        let last = (&raw mut buffer[taken]).cast();
        let flags = QUIET | libc::MSG_PEEK;
        // SAFETY: room for one byte.
        let count = check(unsafe { libc::recv(self.as_raw_fd(), last, 1, flags) })?;
        Ok(taken + count)
    }

    /// Write as much as there is room for.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        send(self.as_raw_fd(), bytes)
    }

    /// Shut down our direction: the program reads an end.
    pub fn finish(&self) {
        // SAFETY: no pointers.
        unsafe { libc::shutdown(self.as_raw_fd(), libc::SHUT_WR) };
    }

    /// Whether the program closed its end with unread bytes.
    pub fn is_reset(&self) -> bool {
        let mut error: c_int = 0;
        let mut size = size_of::<c_int>() as libc::socklen_t;
        let place = (&raw mut error).cast::<c_void>();
        // SAFETY: SO_ERROR writes one int.
        let result = unsafe {
            libc::getsockopt(
                self.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ERROR,
                place,
                &raw mut size,
            )
        };
        result == 0 && error == libc::ECONNRESET
    }

    /// Close without an error, whatever the program has written. Dropping it instead is a reset.
    pub fn close(self) {
        let mut unread = [0_u8; 4096];
        // A part of it is all that was left.
        while self.read_into(&mut unread) == unread.len() {}
    }

    /// Read what the program wrote, with the byte that stays unread otherwise. Returns how much.
    fn read_into(&self, buffer: &mut [u8]) -> usize {
        let place = buffer.as_mut_ptr().cast();
        // SAFETY: room for as many bytes as it says.
        let count = unsafe { libc::recv(self.as_raw_fd(), place, buffer.len(), QUIET) };
        usize::try_from(count).unwrap_or(0)
    }
}

impl DatagramEnd {
    /// Create a pair: our end and the program's. Its type has messages and reports when the other end closes.
    pub fn pair(buffer: usize) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = pair(libc::SOCK_SEQPACKET)?;
        for end in [&ours, &theirs] {
            set_buffer(end.as_raw_fd(), buffer);
        }
        Ok((Self(ours), theirs))
    }

    /// Whether the program has closed its end.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        is_gone(&self.0)
    }

    /// Read a message, truncated to the buffer.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let place = buffer.as_mut_ptr().cast();
        // SAFETY: room for as many bytes as it says.
        check(unsafe { libc::recv(self.as_raw_fd(), place, buffer.len(), QUIET) })
    }

    /// Write a message from two parts.
    pub fn write(&self, head: &[u8], body: &[u8]) -> io::Result<()> {
        let part = |bytes: &[u8]| iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        let mut parts = [part(head), part(body)];
        let message = message(&mut parts);
        // SAFETY: `message` names two valid buffers, which are only read.
        check(unsafe { libc::sendmsg(self.as_raw_fd(), &raw const message, QUIET) })?;
        Ok(())
    }
}

/// Whether the other end of a pair is closed.
fn is_gone(end: &OwnedFd) -> bool {
    let mut poll = libc::pollfd {
        fd: end.as_raw_fd(),
        events: 0,
        revents: 0,
    };
    // SAFETY: one valid pollfd, as the count says.
    let count = unsafe { libc::poll(&raw mut poll, 1, 0) };
    count == 1 && poll.revents & libc::POLLHUP != 0
}

impl AsRawFd for StreamEnd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsRawFd for DatagramEnd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// How many bytes may wait for a program that may never read them.
const FIRST: usize = 16 * 1024;

/// The program's buffer while it is connecting; the kernel doubles it.
const HELD: usize = 8 * 1024;
/// What fills it.
const FILLER: usize = 6 * 1024;

/// Room for a header and one descriptor.
#[derive(Default)]
#[repr(C, align(8))]
struct Control([u8; 32]);

const QUIET: c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

fn pair(kind: c_int) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    let kind = kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: room for two descriptors.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) } as isize)?;
    // SAFETY: both are new and nobody else owns them.
    let [ours, theirs] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    Ok((ours, theirs))
}

/// Bound what may be written to an end and not read yet. The kernel has bounds too.
fn set_buffer(end: RawFd, size: usize) {
    let size = c_int::try_from(size).unwrap_or(c_int::MAX);
    let place = (&raw const size).cast::<c_void>();
    let length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: SO_SNDBUF reads one int.
    unsafe { libc::setsockopt(end, libc::SOL_SOCKET, libc::SO_SNDBUF, place, length) };
}

fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: as many bytes as it says.
    check(unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), QUIET) })
}

fn part(bytes: &mut [u8]) -> iovec {
    iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    }
}

fn message(parts: &mut [iovec; 2]) -> msghdr {
    // SAFETY: plain data, for which zeros are valid.
    let mut message: msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len() as _;
    message
}

fn check(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn ends() -> (StreamEnd, UnixStream) {
        let (ours, theirs) = StreamEnd::pair(65_536).expect("a pair");
        (ours, UnixStream::from(theirs))
    }

    #[test]
    fn what_is_written_is_read_once_and_in_order() {
        let (ours, mut theirs) = ends();
        let mut read = Vec::new();
        for text in [&b"a"[..], b"bcd", b"efghij"] {
            theirs.write_all(text).expect("room");
            while ours.waiting() > 0 {
                let mut buffer = [0; 4];
                let count = ours.waiting().min(4);
                let count = ours.read(&mut buffer[..count]).expect("bytes");
                read.extend_from_slice(&buffer[..count]);
            }
        }
        assert_eq!(read, b"abcdefghij");
    }

    #[test]
    fn dropping_it_is_a_reset_whatever_was_written() {
        for text in [&b""[..], b"x", b"xyz"] {
            let (ours, mut theirs) = ends();
            theirs.write_all(text).expect("room");
            if !text.is_empty() {
                ours.read(&mut [0; 3][..text.len()]).expect("bytes");
            }
            drop(ours);
            let error = theirs.read(&mut [0; 1]).expect_err("a reset");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
    }

    #[test]
    fn closing_it_is_an_end_after_all_that_was_written() {
        let (ours, mut theirs) = ends();
        ours.write(b"bye").expect("room");
        theirs.write_all(b"x").expect("room");
        ours.read(&mut [0; 1]).expect("bytes");
        ours.close();
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).expect("an end");
        assert_eq!(all, b"bye");
    }

    #[test]
    fn closing_it_is_an_end_though_the_program_wrote_more() {
        let (ours, mut theirs) = ends();
        theirs.write_all(&[7; 10_000]).expect("room");
        ours.close();
        assert_eq!(theirs.read(&mut [0; 1]).expect("an end"), 0);
    }

    #[test]
    fn the_program_closing_with_bytes_unread_is_seen_as_a_reset() {
        let (ours, theirs) = ends();
        ours.write(b"unread").expect("room");
        drop(theirs);
        assert!(ours.is_reset());
    }

    #[test]
    fn an_end_that_is_held_becomes_writable_when_it_is_released_and_so_again() {
        let (ours, theirs) = StreamEnd::pair(65_536).expect("a pair");
        for _ in 0..3 {
            StreamEnd::hold(theirs.as_raw_fd()).expect("room");
            assert!(!holloway_poll::writable(&theirs, 0));
            ours.release();
            assert!(holloway_poll::writable(&theirs, 0));
            assert_eq!(ours.waiting(), 0);
        }
        let mut theirs = UnixStream::from(theirs);
        theirs.write_all(b"first").expect("room");
        let mut buffer = [0; 5];
        assert_eq!(ours.waiting(), 5);
        assert_eq!(ours.read(&mut buffer).expect("bytes"), 5);
        assert_eq!(&buffer, b"first");
        drop(ours);
        let error = theirs.read(&mut [0; 1]).expect_err("a reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn what_waits_to_be_accepted_is_counted_and_all_count_the_same() {
        let (ours, theirs) = StreamEnd::pair(65_536).expect("a pair");
        let mut counts = Vec::new();
        for _ in 0..3 {
            let (_, connection) = StreamEnd::pair(4096).expect("a pair");
            ours.pass(&[7; 36], connection).expect("room");
            counts.push(ours.unread());
        }
        assert!(counts[0] > 0);
        assert_eq!(counts[1], 2 * counts[0]);
        assert_eq!(counts[2], 3 * counts[0]);
        assert!(!ours.is_gone());
        drop(theirs);
        assert!(ours.is_gone());
    }
}
