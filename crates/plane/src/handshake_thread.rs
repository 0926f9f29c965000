//! The thread that receives handshake messages: a flood of them costs it its time, and the shard none.
//!
//! It serves the sockets for everything but data (`sockets`), and waits without a timeout. A train there
//! can have transport messages behind the first, which it decrypts as the shard does. It sends only cookie
//! replies; other packets it leaves to the shard.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clock;
use crate::inbound::{Arrivals, Inbound};
use crate::shared::Shared;
use crate::sockets::Pair;
use crate::tun::Tun;
use crate::turn::Turn;
use holloway_poll::{NOTHING_READY, Ready};

/// What epoll reports.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Token {
    /// The IPv4 socket has datagrams.
    V4,
    /// The IPv6 socket has datagrams.
    V6,
    /// The thread is to end.
    Wake,
}

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
        shared.handshake_epoll.add(ends, Token::Wake as u64)?;
        Ok(Self {
            inbound: Inbound::new(tun.offloads()),
            shared,
            tun,
        })
    }

    /// Run until `stop` is set, or until the interface is gone: the shard finds that out, too.
    pub fn run(&mut self) {
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
        let turn = Turn {
            shared: &shared,
            tun: &tun,
            sockets: Some(sockets),
            now: clock::now(),
            mtu: shared.mtu.load(Ordering::Relaxed) as usize,
        };
        for token in tokens {
            let pair = match token {
                token if token == Token::V4 as u64 => &sockets.v4,
                token if token == Token::V6 as u64 => &sockets.v6,
                _ => continue,
            };
            self.receive(&turn, pair.as_ref())?;
        }
        Ok(())
    }

    fn receive(&mut self, turn: &Turn<'_>, pair: Option<&Pair>) -> io::Result<()> {
        let Some(socket) = pair.and_then(|pair| pair.handshakes.as_ref()) else {
            return Ok(());
        };
        self.inbound.turn(turn, socket, Arrivals::Handshakes)?;
        for peer in self.inbound.take_confirmed() {
            turn.shared.request_flush(&peer);
        }
        Ok(())
    }
}
