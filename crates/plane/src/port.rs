//! An interface without the kernel: the packets of a `Tun` go to, and come from, a TCP/IP stack in
//! another thread of this program.
//!
//! Two bounded queues, each packet behind its vnet_hdr as on a TUN with all offloads for TCP. Like a
//! network card's rings they drop what does not fit; the stack is told when it may go on sending.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::poll::Wake;

/// What may wait for the stack: some windows of the usual size.
const INWARD: usize = 8 << 20;
/// What may wait for the plane, which is quick: more would only be delay.
const OUTWARD: usize = 1 << 20;
/// What a packet costs beyond its bytes.
const PACKET: usize = 256;
/// So many buffers are kept for the packets to come.
const SPARE: usize = 32;
/// Buffers smaller than this are cheaper made anew.
const WORTH_KEEPING: usize = 4096;

#[derive(Debug)]
struct Lane {
    queue: Mutex<Queue>,
    /// Readable while packets wait, or the other end is closed.
    ready: Wake,
    limit: usize,
}

#[derive(Debug, Default)]
struct Queue {
    packets: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    cost: usize,
    is_closed: bool,
    /// The sender found no room.
    is_awaited: bool,
}

/// The plane's end, within its `Tun`.
#[derive(Debug)]
pub struct Near {
    name: String,
    inward: Arc<Lane>,
    outward: Arc<Lane>,
}

/// The stack's end. Its descriptor is readable when packets came, when there is room again after
/// `send` failed, when the other end closed, and after `wake`.
#[derive(Debug)]
pub struct Port {
    inward: Arc<Lane>,
    outward: Arc<Lane>,
}

/// Both ends.
pub fn pair(name: &str) -> io::Result<(Near, Port)> {
    let inward = Arc::new(Lane::new(INWARD)?);
    let outward = Arc::new(Lane::new(OUTWARD)?);
    let near = Near {
        name: name.into(),
        inward: inward.clone(),
        outward: outward.clone(),
    };
    Ok((near, Port { inward, outward }))
}

impl Lane {
    fn new(limit: usize) -> io::Result<Self> {
        Ok(Self {
            queue: Mutex::default(),
            ready: Wake::new()?,
            limit,
        })
    }

    fn close(&self) {
        self.queue.lock().is_closed = true;
        self.ready.set();
    }
}

impl Queue {
    fn has_room(&mut self, length: usize, limit: usize) -> bool {
        let fits = self.cost + length + PACKET <= limit;
        self.is_awaited |= !fits;
        fits
    }

    fn push(&mut self, packet: Vec<u8>, ready: &Wake) {
        if self.packets.is_empty() {
            ready.set();
        }
        self.cost += packet.len() + PACKET;
        self.packets.push_back(packet);
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let packet = self.packets.pop_front()?;
        self.cost -= packet.len() + PACKET;
        Some(packet)
    }

    fn keep(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE && buffer.capacity() >= WORTH_KEEPING {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

impl Near {
    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Read one packet of the stack with its vnet_hdr.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut queue = self.outward.queue.lock();
        let Some(packet) = queue.pop() else {
            if queue.is_closed {
                return Err(io::Error::from_raw_os_error(libc::EBADFD));
            }
            self.outward.ready.clear();
            return Err(io::ErrorKind::WouldBlock.into());
        };
        if queue.is_awaited && queue.cost <= self.outward.limit / 2 {
            queue.is_awaited = false;
            self.inward.ready.set();
        }
        let length = packet.len().min(buffer.len());
        buffer[..length].copy_from_slice(&packet[..length]);
        queue.keep(packet);
        Ok(length)
    }

    /// Write one packet from its parts, the vnet_hdr first.
    pub fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let length = parts.iter().map(|part| part.len()).sum();
        let mut queue = self.inward.queue.lock();
        if queue.is_closed {
            return Err(io::Error::from_raw_os_error(libc::EBADFD));
        }
        if !queue.has_room(length, self.inward.limit) {
            return Err(io::Error::from_raw_os_error(libc::ENOBUFS));
        }
        let mut packet = match length >= WORTH_KEEPING {
            true => queue.spare.pop().unwrap_or_default(),
            false => Vec::new(),
        };
        packet.reserve_exact(length);
        parts.iter().for_each(|part| packet.extend_from_slice(part));
        queue.push(packet, &self.inward.ready);
        Ok(length)
    }
}

impl AsRawFd for Near {
    fn as_raw_fd(&self) -> RawFd {
        self.outward.ready.as_raw_fd()
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        self.inward.close();
    }
}

impl Port {
    /// Move up to `limit` packets that came to the end of `packets`. False: none will come again.
    pub fn receive(&self, packets: &mut VecDeque<Vec<u8>>, limit: usize) -> bool {
        let mut queue = self.inward.queue.lock();
        self.inward.ready.clear();
        for _ in 0..limit {
            match queue.pop() {
                Some(packet) => packets.push_back(packet),
                None => return !queue.is_closed,
            }
        }
        self.inward.ready.set();
        true
    }

    /// Return the buffer of a packet that came.
    pub fn recycle(&self, buffer: Vec<u8>) {
        if buffer.capacity() >= WORTH_KEEPING {
            self.inward.queue.lock().keep(buffer);
        }
    }

    /// Whether a packet of this length can be sent; if not, a wake says when.
    #[must_use]
    pub fn has_room(&self, length: usize) -> bool {
        self.outward
            .queue
            .lock()
            .has_room(length, self.outward.limit)
    }

    /// An empty buffer for a packet of this length.
    #[must_use]
    pub fn buffer(&self, length: usize) -> Vec<u8> {
        let kept = match length >= WORTH_KEEPING {
            true => self.outward.queue.lock().spare.pop(),
            false => None,
        };
        let mut buffer = kept.unwrap_or_default();
        buffer.reserve_exact(length);
        buffer
    }

    /// Hand over a packet with its vnet_hdr. The caller has asked for room.
    pub fn send(&self, packet: Vec<u8>) {
        let mut queue = self.outward.queue.lock();
        queue.push(packet, &self.outward.ready);
    }

    /// Whether all that was sent is taken.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.outward.queue.lock().packets.is_empty()
    }

    /// Make the descriptor readable.
    pub fn wake(&self) {
        self.inward.ready.set();
    }
}

impl AsRawFd for Port {
    fn as_raw_fd(&self) -> RawFd {
        self.inward.ready.as_raw_fd()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.inward.queue.lock().is_closed = true;
        self.outward.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(near: &Near, bytes: &[u8]) -> io::Result<usize> {
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        near.write(&[IoSlice::new(head), IoSlice::new(tail)])
    }

    #[test]
    fn packets_pass_both_ways_in_order() {
        let (near, port) = pair("inner").expect("a pair");
        write(&near, b"first").expect("room");
        write(&near, &[7; 9000]).expect("room");
        let mut came = VecDeque::new();
        assert!(port.receive(&mut came, 64));
        assert_eq!(came, [b"first".to_vec(), vec![7; 9000]]);
        assert!(port.has_room(6));
        port.send(b"answer".to_vec());
        let mut buffer = [0; 64];
        assert_eq!(near.read(&mut buffer).expect("a packet"), 6);
        assert_eq!(&buffer[..6], b"answer");
        let error = near.read(&mut buffer).expect_err("nothing");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_memory_stays_bounded() {
        let (near, port) = pair("inner").expect("a pair");
        let fitting = (0..10_000).take_while(|_| write(&near, &[0; 1000]).is_ok());
        assert_eq!(fitting.count(), INWARD / (1000 + PACKET));
        let error = write(&near, &[0; 1000]).expect_err("full");
        assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
        let mut came = VecDeque::new();
        assert!(port.receive(&mut came, 1));
        assert!(write(&near, &[0; 1000]).is_ok());
    }

    #[test]
    fn either_end_sees_that_the_other_is_gone() {
        let (near, port) = pair("inner").expect("a pair");
        port.send(b"last".to_vec());
        drop(port);
        assert_eq!(near.read(&mut [0; 64]).expect("still there"), 4);
        let error = near.read(&mut [0; 64]).expect_err("gone");
        assert_eq!(error.raw_os_error(), Some(libc::EBADFD));
        assert!(write(&near, b"x").is_err());
        let (near, port) = pair("inner").expect("a pair");
        drop(near);
        assert!(!port.receive(&mut VecDeque::new(), 1));
    }
}
