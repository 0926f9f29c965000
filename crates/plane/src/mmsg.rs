//! Several trains of datagrams in one system call (recvmmsg, sendmmsg), which costs more than the rest
//! if they are small. Called by `inbound` and `transmit`.
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;
use std::os::fd::AsRawFd;

use libc::{c_int, c_uint, socklen_t};

use crate::cmsg::CmsgBuffer;
use crate::endpoint::Endpoint;
use crate::udp::{RECEIVE_SIZE, Train, Udp, encode, message};

/// How many trains one call receives.
pub const SLOTS: usize = 32;
/// The distance from one train to the next. It is not a multiple of the page size, or the beginnings of
/// all trains would share few sets of the cache. It is a multiple of the cache line, because decryption
/// is a little faster then.
pub const STRIDE: usize = RECEIVE_SIZE + 17 * 64;
/// How many trains one call sends.
pub const MAX_TRAINS: usize = 16;

/// The addresses and control messages of a receive, reused across calls.
pub struct Slots {
    names: Box<[libc::sockaddr_storage]>,
    cmsgs: Box<[CmsgBuffer]>,
}

/// A train to send.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingTrain<'a> {
    /// Its destination and source.
    pub to: Endpoint,
    /// The traffic class of its IP headers.
    pub class: u8,
    /// Its datagrams, one after the other.
    pub data: &'a [u8],
    /// The length of each datagram except the last, which may be shorter.
    pub segment: usize,
}

impl Slots {
    /// Allocate them.
    #[must_use]
    pub fn new() -> Self {
        // SAFETY: zeros are a valid sockaddr_storage.
        let name: libc::sockaddr_storage = unsafe { zeroed() };
        Self {
            names: vec![name; SLOTS].into_boxed_slice(),
            cmsgs: (0..SLOTS).map(|_| CmsgBuffer::new()).collect(),
        }
    }

    /// Receive the trains that have come, at most as many as `buffer` has strides. Calls `report` for each
    /// with its offset in `buffer`, and returns their number. Never blocks.
    pub fn receive(
        &mut self,
        socket: &Udp,
        buffer: &mut [u8],
        mut report: impl FnMut(usize, Option<Train>),
    ) -> io::Result<usize> {
        // SAFETY: zeros are valid for both.
        let (mut parts, mut messages): ([libc::iovec; SLOTS], [libc::mmsghdr; SLOTS]) =
            unsafe { zeroed() };
        let (slots, _) = buffer.as_chunks_mut::<STRIDE>();
        let most = slots.len().min(SLOTS);
        for (number, slot) in slots[..most].iter_mut().enumerate() {
            parts[number].iov_base = slot.as_mut_ptr().cast();
            parts[number].iov_len = RECEIVE_SIZE;
            let (name, cmsg) = (&mut self.names[number], &mut self.cmsgs[number]);
            cmsg.reserve();
            let length = size_of_val(name) as socklen_t;
            messages[number].msg_hdr = message(name, length, &mut parts[number], cmsg);
        }
        let (fd, at) = (socket.as_raw_fd(), messages.as_mut_ptr());
        let never = std::ptr::null_mut();
        // SAFETY: the first `most` messages point to names, parts, cmsgs and slots of their own,
        // which outlive the call, with their sizes.
        let count = unsafe { libc::recvmmsg(fd, at, most as c_uint, 0, never) };
        let count = check(count)?;
        for (number, message) in messages[..count].iter().enumerate() {
            let cmsg = &mut self.cmsgs[number];
            #[allow(clippy::unnecessary_cast)] // musl has an u32
            cmsg.written(message.msg_hdr.msg_controllen as usize);
            let length = message.msg_len as usize;
            let flags = message.msg_hdr.msg_flags;
            report(
                number * STRIDE,
                Train::of(&self.names[number], cmsg, length, flags),
            );
        }
        Ok(count)
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Slots")
    }
}

/// Send trains in order, at most `MAX_TRAINS`, until one is refused. Returns how many were sent; sending
/// the next one again returns its error. Fails if the first one is refused.
pub fn send(socket: &Udp, trains: &[OutgoingTrain<'_>]) -> io::Result<usize> {
    // SAFETY: zeros are valid for all three.
    let (mut names, mut parts, mut messages): (
        [libc::sockaddr_storage; MAX_TRAINS],
        [libc::iovec; MAX_TRAINS],
        [libc::mmsghdr; MAX_TRAINS],
    ) = unsafe { zeroed() };
    let mut cmsgs = [const { CmsgBuffer::new() }; MAX_TRAINS];
    let most = trains.len().min(MAX_TRAINS);
    for (number, train) in trains[..most].iter().enumerate() {
        let (name, length) = encode(&train.to.remote);
        names[number] = name;
        cmsgs[number] = socket.cmsg(&train.to, train.class, train.data, train.segment);
        parts[number].iov_base = train.data.as_ptr().cast_mut().cast();
        parts[number].iov_len = train.data.len();
        let (name, cmsg) = (&mut names[number], &mut cmsgs[number]);
        messages[number].msg_hdr = message(name, length, &mut parts[number], cmsg);
    }
    let (fd, at) = (socket.as_raw_fd(), messages.as_mut_ptr());
    // SAFETY: the first `most` messages point to names, parts and cmsgs of their own and to the
    // trains, all of which outlive the call; sendmmsg only reads the trains.
    check(unsafe { libc::sendmmsg(fd, at, most as c_uint, 0) })
}

fn check(result: c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests;
