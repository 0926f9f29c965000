//! A TUN without the kernel: its packets go to, and come from, a TCP/IP stack in another thread of
//! this program.
//!
//! Two bounded queues. Each packet follows its vnet_hdr, as on a TUN with all offloads for TCP. Like the
//! rings of a network card, the queues drop what does not fit. The stack is woken when there is room again.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use parking_lot::Mutex;

use holloway_poll::Wake;

/// The limit of the queue to the stack: a few windows of the usual size.
const TO_STACK_LIMIT: usize = 8 << 20;
/// The limit of the queue to the plane, which is fast: more would only add delay.
const TO_PLANE_LIMIT: usize = 1 << 20;
/// What a packet counts beyond its bytes.
const PACKET: usize = 256;
/// How many buffers are kept for reuse.
const MAX_SPARE: usize = 32;
/// Smaller buffers are cheaper to allocate than to keep.
const MIN_RECYCLED: usize = 4096;

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    /// Readable while packets wait or the other end is closed.
    ready: Wake,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    packets: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    cost: usize,
    is_closed: bool,
    /// The sender found no room.
    sender_waits: bool,
}

/// The plane's end, within its `Tun`.
#[derive(Debug)]
pub struct ChannelTun {
    name: String,
    to_stack: Arc<Queue>,
    to_plane: Arc<Queue>,
}

/// The stack's end. Its descriptor becomes readable when packets come, when there is room again after
/// `has_room` was false, when the other end closes, and after `wake`.
#[derive(Debug)]
pub struct LinkEndpoint {
    to_stack: Arc<Queue>,
    to_plane: Arc<Queue>,
}

/// Create both ends.
pub fn pair(name: &str) -> io::Result<(ChannelTun, LinkEndpoint)> {
    let to_stack = Arc::new(Queue::new(TO_STACK_LIMIT)?);
    let to_plane = Arc::new(Queue::new(TO_PLANE_LIMIT)?);
    let tun = ChannelTun {
        name: name.into(),
        to_stack: to_stack.clone(),
        to_plane: to_plane.clone(),
    };
    Ok((tun, LinkEndpoint { to_stack, to_plane }))
}

impl Queue {
    fn new(limit: usize) -> io::Result<Self> {
        Ok(Self {
            state: Mutex::default(),
            ready: Wake::new()?,
            limit,
        })
    }

    fn close(&self) {
        self.state.lock().is_closed = true;
        self.ready.set();
    }
}

impl State {
    fn has_room(&mut self, length: usize, limit: usize) -> bool {
        let fits = self.cost + length + PACKET <= limit;
        self.sender_waits |= !fits;
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

    fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < MAX_SPARE && buffer.capacity() >= MIN_RECYCLED {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

impl ChannelTun {
    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Read one packet from the stack, with its vnet_hdr.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.to_plane.state.lock();
        let Some(packet) = state.pop() else {
            if state.is_closed {
                return Err(io::Error::from_raw_os_error(libc::EBADFD));
            }
            self.to_plane.ready.clear();
            return Err(io::ErrorKind::WouldBlock.into());
        };
        if state.sender_waits && state.cost <= self.to_plane.limit / 2 {
            state.sender_waits = false;
            self.to_stack.ready.set();
        }
        let length = packet.len().min(buffer.len());
        buffer[..length].copy_from_slice(&packet[..length]);
        state.recycle(packet);
        Ok(length)
    }

    /// Write one packet from its parts, the vnet_hdr first.
    pub fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let length = parts.iter().map(|part| part.len()).sum();
        let mut state = self.to_stack.state.lock();
        if state.is_closed {
            return Err(io::Error::from_raw_os_error(libc::EBADFD));
        }
        if !state.has_room(length, self.to_stack.limit) {
            return Err(io::Error::from_raw_os_error(libc::ENOBUFS));
        }
        let mut packet = match length >= MIN_RECYCLED {
            true => state.spare.pop().unwrap_or_default(),
            false => Vec::new(),
        };
        packet.reserve_exact(length);
        parts.iter().for_each(|part| packet.extend_from_slice(part));
        state.push(packet, &self.to_stack.ready);
        Ok(length)
    }
}

impl AsRawFd for ChannelTun {
    fn as_raw_fd(&self) -> RawFd {
        self.to_plane.ready.as_raw_fd()
    }
}

impl Drop for ChannelTun {
    fn drop(&mut self) {
        self.to_stack.close();
    }
}

impl LinkEndpoint {
    /// Append up to `limit` received packets to `packets`. False if no more will come.
    pub fn receive(&self, packets: &mut VecDeque<Vec<u8>>, limit: usize) -> bool {
        let mut state = self.to_stack.state.lock();
        self.to_stack.ready.clear();
        for _ in 0..limit {
            match state.pop() {
                Some(packet) => packets.push_back(packet),
                None => return !state.is_closed,
            }
        }
        self.to_stack.ready.set();
        true
    }

    /// Return the buffer of a received packet for reuse.
    pub fn recycle(&self, buffer: Vec<u8>) {
        if buffer.capacity() >= MIN_RECYCLED {
            self.to_stack.state.lock().recycle(buffer);
        }
    }

    /// Whether a packet of this length can be sent. If not, the descriptor becomes readable once it can.
    #[must_use]
    pub fn has_room(&self, length: usize) -> bool {
        self.to_plane
            .state
            .lock()
            .has_room(length, self.to_plane.limit)
    }

    /// An empty buffer for a packet of this length.
    #[must_use]
    pub fn buffer(&self, length: usize) -> Vec<u8> {
        let kept = match length >= MIN_RECYCLED {
            true => self.to_plane.state.lock().spare.pop(),
            false => None,
        };
        let mut buffer = kept.unwrap_or_default();
        buffer.reserve_exact(length);
        buffer
    }

    /// Send a packet with its vnet_hdr. The caller has checked `has_room`.
    pub fn send(&self, packet: Vec<u8>) {
        let mut state = self.to_plane.state.lock();
        state.push(packet, &self.to_plane.ready);
    }

    /// Whether the plane has read everything that was sent.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.to_plane.state.lock().packets.is_empty()
    }

    /// Make the descriptor readable.
    pub fn wake(&self) {
        self.to_stack.ready.set();
    }
}

impl AsRawFd for LinkEndpoint {
    fn as_raw_fd(&self) -> RawFd {
        self.to_stack.ready.as_raw_fd()
    }
}

impl Drop for LinkEndpoint {
    fn drop(&mut self) {
        self.to_stack.state.lock().is_closed = true;
        self.to_plane.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(tun: &ChannelTun, bytes: &[u8]) -> io::Result<usize> {
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        tun.write(&[IoSlice::new(head), IoSlice::new(tail)])
    }

    #[test]
    fn packets_pass_both_ways_in_order() {
        let (tun, endpoint) = pair("inner").expect("a pair");
        write(&tun, b"first").expect("room");
        write(&tun, &[7; 9000]).expect("room");
        let mut received = VecDeque::new();
        assert!(endpoint.receive(&mut received, 64));
        assert_eq!(received, [b"first".to_vec(), vec![7; 9000]]);
        assert!(endpoint.has_room(6));
        endpoint.send(b"answer".to_vec());
        let mut buffer = [0; 64];
        assert_eq!(tun.read(&mut buffer).expect("a packet"), 6);
        assert_eq!(&buffer[..6], b"answer");
        let error = tun.read(&mut buffer).expect_err("nothing");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_memory_stays_bounded() {
        let (tun, endpoint) = pair("inner").expect("a pair");
        let fitting = (0..10_000).take_while(|_| write(&tun, &[0; 1000]).is_ok());
        assert_eq!(fitting.count(), TO_STACK_LIMIT / (1000 + PACKET));
        let error = write(&tun, &[0; 1000]).expect_err("full");
        assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
        let mut received = VecDeque::new();
        assert!(endpoint.receive(&mut received, 1));
        assert!(write(&tun, &[0; 1000]).is_ok());
    }

    #[test]
    fn either_end_sees_that_the_other_is_gone() {
        let (tun, endpoint) = pair("inner").expect("a pair");
        endpoint.send(b"last".to_vec());
        drop(endpoint);
        assert_eq!(tun.read(&mut [0; 64]).expect("still there"), 4);
        let error = tun.read(&mut [0; 64]).expect_err("gone");
        assert_eq!(error.raw_os_error(), Some(libc::EBADFD));
        assert!(write(&tun, b"x").is_err());
        let (tun, endpoint) = pair("inner").expect("a pair");
        drop(tun);
        assert!(!endpoint.receive(&mut VecDeque::new(), 1));
    }
}
