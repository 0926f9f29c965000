//! The thread that receives handshake messages: a flood of them costs it its time, and the shard none.
//!
//! It serves the sockets for everything but data (`sockets`), and waits without a timeout. A train there
//! can have transport messages behind the first, which it decrypts as the shard does. It sends only cookie
//! replies; other packets it leaves to the shard.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::inbound::{Arrivals, Inbound};
use crate::priority::prefer_this_thread;
use crate::shared::Shared;
use crate::tun::Tun;
use crate::turn::Turn;
use holloway_poll::{NOTHING_READY, Ready};

/// A flood that takes all processors leaves established tunnels less, and new clients are still let in.
const PREFERENCE: i32 = 4;

/// What epoll reports when the thread is to end. Sockets are reported by their number.
const WAKE: u64 = u64::MAX;

/// What the thread owns.
#[derive(Debug)]
pub struct HandshakeThread {
    shared: Arc<Shared>,
    tun: Arc<Tun>,
    inbound: Inbound,
}

impl HandshakeThread {
    /// Create the thread's state. Sockets are watched once bound.
    pub fn new(shared: Arc<Shared>, tun: Arc<Tun>) -> io::Result<Self> {
        let ends = shared.handshake_wake.as_raw_fd();
        shared.handshake_epoll.add(ends, WAKE)?;
        Ok(Self {
            inbound: Inbound::new(tun.offloads()),
            shared,
            tun,
        })
    }

    /// Run until `stop` is set, or until the interface is gone: the shard finds that out, too.
    pub fn run(&mut self) {
        prefer_this_thread(PREFERENCE);
        let mut ready = NOTHING_READY;
        while self.turn(&mut ready).is_ok() {
            if self.shared.stop.load(Ordering::Acquire) {
                return;
            }
        }
    }

    fn turn(&mut self, ready: &mut Ready) -> io::Result<()> {
        let (shared, tun) = (self.shared.clone(), self.tun.clone());
        let tokens = shared.handshake_epoll.wait(ready)?;
        let sockets = shared.sockets.read();
        let Some(sockets) = sockets.as_ref() else {
            return Ok(());
        };
        let turn = Turn::begin(&shared, &tun, Some(sockets));
        for token in tokens {
            let number = usize::try_from(token).unwrap_or(usize::MAX);
            if let Some(socket) = sockets.handshakes().nth(number) {
                self.inbound.turn(&turn, socket, Arrivals::Handshakes)?;
            }
        }
        for peer in self.inbound.take_confirmed() {
            shared.request_flush(&peer);
        }
        Ok(())
    }
}
