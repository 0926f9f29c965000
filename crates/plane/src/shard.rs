//! A thread that moves packets: waits for its queue of the TUN, its sockets or a wake, and processes them
//! in turns.
//!
//! It waits without a timeout, so an idle tunnel causes no wake-ups. It locks the sockets for one turn
//! at a time; changing them waits for the end of the turn.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::inbound::{Arrivals, Inbound};
use crate::outbound::Outbound;
use crate::shards::ShardHandle;
use crate::shared::Shared;
use crate::tun::Tun;
use crate::turn::Turn;
use holloway_poll::{NOTHING_READY, Ready};

/// What epoll reports.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Token {
    /// The interface has packets.
    Tun,
    /// The IPv4 socket has datagrams.
    V4,
    /// The IPv6 socket has datagrams.
    V6,
    /// Another thread has woken the shard.
    Wake,
}

/// One shard.
#[derive(Debug)]
pub struct Shard {
    shared: Arc<Shared>,
    tun: Arc<Tun>,
    number: usize,
    outbound: Outbound,
    inbound: Inbound,
}

impl Shard {
    /// Create the shard with a number, which watches its queue of `tun` and drops it when it ends. Sockets
    /// are watched once bound.
    pub fn new(shared: Arc<Shared>, tun: Arc<Tun>, number: usize) -> io::Result<Self> {
        let handle = handle(&shared, number)?;
        handle.epoll.add(tun.queue_fd(number), Token::Tun as u64)?;
        handle
            .epoll
            .add(handle.wake.as_raw_fd(), Token::Wake as u64)?;
        Ok(Self {
            outbound: Outbound::new(),
            inbound: Inbound::new(tun.offloads()),
            tun,
            number,
            shared,
        })
    }

    /// Run until `stop` is set, or until the interface is gone: then return the errno.
    pub fn run(&mut self) -> Result<(), i32> {
        let mut ready = NOTHING_READY;
        loop {
            let result = self.turn(&mut ready);
            result.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))?;
            if self.shared.stop.load(Ordering::Acquire) {
                return Ok(());
            }
        }
    }

    /// End the thread: drop all references to sessions, and after an error zero all keys and report it.
    pub fn end(&mut self, result: Result<(), i32>) {
        self.outbound = Outbound::new();
        self.inbound = Inbound::new(self.tun.offloads());
        if let Err(errno) = result {
            self.shared.die(errno);
        }
    }

    fn turn(&mut self, ready: &mut Ready) -> io::Result<()> {
        let (shared, tun) = (self.shared.clone(), self.tun.clone());
        let tokens = handle(&shared, self.number)?.epoll.wait(ready)?;
        let sockets = shared.sockets.read();
        let turn = Turn::begin(&shared, &tun, self.number, sockets.as_ref());
        for token in tokens {
            self.serve(&turn, token)?;
        }
        Ok(())
    }

    fn serve(&mut self, turn: &Turn<'_>, token: u64) -> io::Result<()> {
        const TUN: u64 = Token::Tun as u64;
        const WAKE: u64 = Token::Wake as u64;
        match token {
            TUN => self.outbound.turn(turn),
            WAKE => {
                self.flush(turn);
                Ok(())
            }
            token => self.receive(turn, token),
        }
    }

    fn receive(&mut self, turn: &Turn<'_>, token: u64) -> io::Result<()> {
        let pair = turn
            .sockets
            .and_then(|sockets| match token == Token::V4 as u64 {
                true => sockets.v4.as_ref(),
                false => sockets.v6.as_ref(),
            });
        if let Some(pair) = pair
            && let Some(socket) = pair.data.get(self.number)
        {
            let arrivals = match pair.handshakes.is_empty() {
                false => Arrivals::Data,
                true => Arrivals::Both,
            };
            self.inbound.turn(turn, socket, arrivals)?;
        }
        for peer in self.inbound.take_confirmed() {
            self.outbound.flush(turn, &peer);
        }
        self.outbound.finish(turn);
        Ok(())
    }

    fn flush(&mut self, turn: &Turn<'_>) {
        if let Some(handle) = turn.shared.shards.get(self.number) {
            handle.wake.clear();
            for peer in handle.take_flush() {
                self.outbound.flush(turn, &peer);
            }
        }
        self.outbound.finish(turn);
    }
}

fn handle(shared: &Shared, number: usize) -> io::Result<&ShardHandle> {
    let handle = shared.shards.get(number);
    handle.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
}
