//! Several trains of datagrams in one system call (recvmmsg, sendmmsg): of small ones the call costs
//! more than the rest. Called by `inbound` and `transmit`; decides nothing.
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;
use std::os::fd::AsRawFd;

use libc::{c_int, c_uint, socklen_t};

use crate::cmsg::CmsgBuffer;
use crate::endpoint::Endpoint;
use crate::udp::{RECEIVE_SIZE, Train, Udp, encode, message};

/// The most trains of one receive.
pub const SLOTS: usize = 32;
/// From one train to the next. Not a whole number of pages, or the beginnings of all would share few
/// sets of the cache; but of cache lines, for decryption is a little faster where packets begin so.
pub const STRIDE: usize = RECEIVE_SIZE + 17 * 64;
/// The most trains of one send.
pub const MAX_TRAINS: usize = 16;

/// What a receive fills in beside the data, kept from one to the next.
pub struct Slots {
    names: Box<[libc::sockaddr_storage]>,
    cmsgs: Box<[CmsgBuffer]>,
}

/// A train to be sent.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingTrain<'a> {
    /// Where to, and from where.
    pub to: Endpoint,
    /// The traffic class of its IP headers.
    pub class: u8,
    /// Its datagrams, one behind the other.
    pub data: &'a [u8],
    /// The length of each but the last.
    pub segment: usize,
}

impl Slots {
    /// Made once.
    #[must_use]
    pub fn new() -> Self {
        // SAFETY: zeros are a valid sockaddr_storage.
        let name: libc::sockaddr_storage = unsafe { zeroed() };
        Self {
            names: vec![name; SLOTS].into_boxed_slice(),
            cmsgs: (0..SLOTS).map(|_| CmsgBuffer::new()).collect(),
        }
    }

    /// Receive as many trains as there are, at most as many as `buffer` has strides. Tells of each
    /// where in `buffer` it begins; gives how many there were. Never blocks.
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

/// Send trains in their order, at most `MAX_TRAINS` of them, until one is refused. Gives how many left; why
/// the next did not is for the next send to say. An error says why the first did not.
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
