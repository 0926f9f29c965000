//! The thread that receives handshake messages: a flood of them costs it its time, and the shards none.
//!
//! It serves the sockets for everything but data (`sockets`), and says which half of all addresses may write
//! while they have no room for all (`alternation`). A train there can have transport messages behind the
//! first, which it decrypts as a shard does. It sends only cookie replies; other packets it leaves to the shards.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::alternation::Alternation;
use crate::cookie_checker::system_random;
use crate::inbound::{Arrivals, Inbound};
use crate::priority::prefer_this_thread;
use crate::shared::Shared;
use crate::sockets::Sockets;
use crate::tun::Tun;
use crate::turn::Turn;
use holloway_poll::{NOTHING_READY, Ready};

/// A flood that takes all processors leaves established tunnels less, and new clients are still let in.
const PREFERENCE: i32 = 5;

/// What epoll reports when the thread is to end. Sockets are reported by their number.
const WAKE: u64 = u64::MAX;

/// Whose queue and socket it uses for the few packets that come behind handshake messages.
const FIRST: usize = 0;

const FOREVER: i32 = -1;
const SECOND_IN_MILLISECONDS: i32 = 1000;

/// What the thread owns.
#[derive(Debug)]
pub struct HandshakeThread {
    shared: Arc<Shared>,
    tun: Arc<Tun>,
    inbound: Inbound,
    /// One for each socket.
    alternations: Vec<Alternation>,
    keys: [u32; 2],
    /// How long to wait for messages, in milliseconds.
    patience: i32,
}

impl HandshakeThread {
    /// Create the thread's state. Sockets are watched once bound.
    pub fn new(shared: Arc<Shared>, tun: Arc<Tun>) -> io::Result<Self> {
        let ends = shared.handshake_wake.as_raw_fd();
        shared.handshake_epoll.add(ends, WAKE)?;
        let mut keys = [[0; 4]; 2];
        system_random()(keys.as_flattened_mut());
        Ok(Self {
            inbound: Inbound::new(tun.offloads()),
            alternations: Vec::new(),
            keys: keys.map(|key| u32::from_le_bytes(key) | 1),
            patience: FOREVER,
            shared,
            tun,
        })
    }

    /// Run until `stop` is set, or until the interface is gone: the shards find that out, too.
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
        let events = shared.handshake_epoll.wait_for(ready, self.patience)?;
        let sockets = shared.sockets.read();
        let Some(sockets) = sockets.as_ref() else {
            return Ok(());
        };
        let turn = Turn::begin(&shared, &tun, FIRST, Some(sockets));
        self.alternate(&turn, sockets);
        for event in events {
            let number = usize::try_from(event.u64).unwrap_or(usize::MAX);
            if let Some(socket) = sockets.handshakes().nth(number) {
                self.inbound.turn(&turn, socket, Arrivals::Handshakes)?;
            }
        }
        for peer in self.inbound.take_confirmed() {
            shared.request_flush(&peer);
        }
        Ok(())
    }

    /// Where half of the senders are turned away, the turn of the others must come even if nothing else does.
    fn alternate(&mut self, turn: &Turn<'_>, sockets: &Sockets) {
        self.alternations
            .resize_with(sockets.handshakes().count(), Alternation::default);
        self.patience = FOREVER;
        for (alternation, socket) in self.alternations.iter_mut().zip(sockets.handshakes()) {
            if alternation.update(turn.now, socket, self.keys) {
                self.patience = SECOND_IN_MILLISECONDS;
            }
        }
    }
}
