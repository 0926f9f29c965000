//! The plane as its owner sees it: starts and ends the shards, binds sockets, creates peers.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};

use holloway_poll::Process;
use parking_lot::Mutex;

use crate::discard::REASONS;
use crate::endpoint::Endpoint;
use crate::events::Event;
use crate::handle::Handle;
use crate::handshake_thread::HandshakeThread;
use crate::icmp_sockets::IcmpSockets;
use crate::peer::{Peer, PeerId};
use crate::shard::{Shard, Token};
use crate::shared::Shared;
use crate::sockets::Sockets;
use crate::tun::Tun;

/// The MTU until `set_mtu` is called: WireGuard's default.
const DEFAULT_MTU: u32 = 1420;

/// Moves packets between one TUN and UDP sockets, in threads of its own: for handshakes, and the shards.
#[derive(Debug)]
pub struct Plane {
    owner: Process,
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    last_peer: AtomicU32,
    /// Further shards need it.
    tun: Weak<Tun>,
}

impl Plane {
    /// Start one on `tun`, with one shard. There can be as many as it has queues.
    pub fn new(tun: Arc<Tun>) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(DEFAULT_MTU, tun.queues(), tun.steering())?);
        let shard = Shard::new(shared.clone(), tun.clone(), 0)?;
        let watched = Arc::downgrade(&tun);
        let mut handshakes = HandshakeThread::new(shared.clone(), tun)?;
        let plane = Self {
            owner: Process::current(),
            shared,
            threads: Mutex::default(),
            last_peer: AtomicU32::new(0),
            tun: watched,
        };
        let mut threads = plane.threads.lock();
        threads.push(start_shard(shard)?);
        let shared = plane.shared.clone();
        threads.push(spawn("holloway-handshakes", move || {
            if catch_unwind(AssertUnwindSafe(|| handshakes.run())).is_err() {
                shared.die(libc::EIO);
            }
        })?);
        drop(threads);
        Ok(plane)
    }

    /// Start shards until there are `wanted`, or as many as there can be. Traffic goes on meanwhile.
    fn grow(&self, wanted: usize) {
        let shards = &self.shared.shards;
        let wanted = wanted.min(shards.most());
        if shards.count() >= wanted {
            return;
        }
        let mut threads = self.threads.lock();
        let has_stopped = self.shared.stop.load(Ordering::Acquire) || !self.owner.is_current();
        let Some(tun) = self.tun.upgrade().filter(|_| !has_stopped) else {
            return;
        };
        while shards.count() < wanted {
            // The shards that run do the work of those that the system refuses.
            if self.add_shard(&tun, &mut threads).is_err() {
                return;
            }
        }
    }

    /// Start a shard, then have datagrams and packets come to it.
    fn add_shard(&self, tun: &Arc<Tun>, threads: &mut Vec<JoinHandle<()>>) -> io::Result<()> {
        let number = self.shared.shards.prepare()?;
        let shard = Shard::new(self.shared.clone(), tun.clone(), number)?;
        threads.push(start_shard(shard)?);
        let mut place = self.shared.sockets.write();
        self.shared.shards.publish(number);
        if let Some(sockets) = &mut *place {
            sockets.grow(number + 1);
            watch_data(&self.shared, sockets, number)?;
        }
        drop(place);
        tun.attach(number)
    }

    /// Remove and return up to `limit` events.
    #[must_use]
    pub fn events(&self, limit: usize) -> Vec<Event> {
        self.shared.events.take(limit)
    }

    /// Open the sockets on `port` (0: any), or change the mark if they are open on it already. Changes
    /// nothing if it fails.
    pub fn bind(&self, port: u16, mark: u32) -> io::Result<u16> {
        if let Some(sockets) = &*self.shared.sockets.read()
            && port == sockets.port
        {
            sockets.set_mark(mark)?;
            return Ok(port);
        }
        let sockets = Sockets::bind(port, mark)?;
        let port = sockets.port;
        self.swap(Some(sockets))?;
        Ok(port)
    }

    /// Close the sockets.
    pub fn unbind(&self) -> io::Result<()> {
        self.swap(None)
    }

    /// The lock waits for the end of all threads' turns, so the old sockets are closed on return.
    fn swap(&self, mut sockets: Option<Sockets>) -> io::Result<()> {
        let shared = &self.shared;
        let mut place = shared.sockets.write();
        if let Some(sockets) = &mut sockets {
            sockets.grow(shared.shards.count());
            watch(shared, sockets)?;
        }
        if let Some(before) = std::mem::replace(&mut *place, sockets) {
            for socket in before.all() {
                for shard in shared.shards.iter() {
                    shard.epoll.remove(socket.as_raw_fd());
                }
                shared.handshake_epoll.remove(socket.as_raw_fd());
            }
        }
        Ok(())
    }

    /// Set the public key whose mac1 is accepted. None accepts no handshake.
    pub fn set_identity(&self, public_key: Option<&[u8; 32]>) {
        self.shared.cookie_checker.lock().set_identity(public_key);
    }

    /// Set the interface's MTU.
    pub fn set_mtu(&self, mtu: u32) {
        self.shared.mtu.store(mtu, Ordering::Relaxed);
    }

    /// Send ICMP errors for packets that cannot be delivered, through these sockets.
    pub fn set_icmp_sockets(&self, sockets: IcmpSockets) {
        *self.shared.icmp_sockets.lock() = sockets;
    }

    /// Set whether such packets are reported.
    pub fn report_unreachable(&self, wanted: bool) {
        self.shared
            .reports_unreachable
            .store(wanted, Ordering::Relaxed);
    }

    /// Add a peer. Each has a shard, as far as there can be so many.
    #[must_use]
    pub fn peer(&self, public_key: &[u8; 32]) -> Handle {
        let id = self.last_peer.fetch_add(1, Ordering::Relaxed) + 1;
        let peer = Arc::new(Peer::new(id, public_key));
        let mut peers = self.shared.peers.lock();
        peers.insert(id, peer.clone());
        let count = peers.len();
        drop(peers);
        self.grow(count);
        Handle::new(self.shared.clone(), peer)
    }

    /// The peer with this number, if it still exists.
    #[must_use]
    pub fn handle(&self, id: PeerId) -> Option<Handle> {
        let peer = self.shared.peers.lock().get(&id)?.clone();
        Some(Handle::new(self.shared.clone(), peer))
    }

    /// Whether a session, or an initiation that awaits its response, has this local index.
    #[must_use]
    pub fn uses_index(&self, index: u32) -> bool {
        self.shared.index.read().get(index).is_some()
    }

    /// The peer whose allowed IPs contain an inner address: the longest prefix decides.
    #[must_use]
    pub fn lookup_allowed_ip(&self, address: IpAddr) -> Option<PeerId> {
        let routes = self.shared.routes.read();
        routes.lookup(address).map(|peer| peer.id())
    }

    /// The paths whose local addresses are valid only while the route leads out of the interface where
    /// their packets come in.
    #[must_use]
    pub fn sticky_sources(&self) -> Vec<(PeerId, Endpoint)> {
        let peers = self.shared.peers.lock();
        let paths = peers
            .values()
            .filter_map(|peer| Some((peer.id(), peer.sticky_path()?)));
        // An interface that is part of the peer's address determines the route.
        paths.filter(|(_, path)| path.scope() == 0).collect()
    }

    /// The packets that were not passed on, by reason.
    #[must_use]
    pub fn discards(&self) -> [u64; REASONS] {
        self.shared.discards.snapshot()
    }

    /// Stop the threads, close the sockets, zero the keys. A second call does nothing, nor does one in a fork.
    pub fn close(&self) {
        let threads = {
            let mut threads = self.threads.lock();
            // No shard is added from now on.
            let stop = self.owner.is_current();
            self.shared.stop.store(stop, Ordering::Release);
            std::mem::take(&mut *threads)
        };
        if !self.owner.is_current() {
            // A fork has no such threads, and would stop the original's sockets from being watched.
            std::mem::forget(threads);
            return;
        }
        if threads.is_empty() {
            return;
        }
        self.shared.shards.wake();
        self.shared.handshake_wake.set();
        for thread in threads {
            // The threads catch their panics, so joining cannot fail.
            let _ = thread.join();
        }
        self.shared.erase_all();
        self.set_icmp_sockets(IcmpSockets::default());
        let _ = self.unbind();
    }
}

/// Watch the sockets of both families, each in the thread that serves it.
fn watch(shared: &Shared, sockets: &Sockets) -> io::Result<()> {
    for number in 0..shared.shards.count() {
        watch_data(shared, sockets, number)?;
    }
    let epoll = &shared.handshake_epoll;
    for (number, socket) in sockets.handshakes().enumerate() {
        epoll.add(socket.as_raw_fd(), number as u64)?;
    }
    Ok(())
}

/// Watch a shard's sockets of both families.
fn watch_data(shared: &Shared, sockets: &Sockets, number: usize) -> io::Result<()> {
    let Some(shard) = shared.shards.get(number) else {
        return Ok(());
    };
    for (pair, token) in [(&sockets.v4, Token::V4), (&sockets.v6, Token::V6)] {
        if let Some(socket) = pair.as_ref().and_then(|pair| pair.data.get(number)) {
            shard.epoll.add(socket.as_raw_fd(), token as u64)?;
        }
    }
    Ok(())
}

fn start_shard(mut shard: Shard) -> io::Result<JoinHandle<()>> {
    spawn("holloway-shard", move || {
        let result = catch_unwind(AssertUnwindSafe(|| shard.run()));
        shard.end(result.unwrap_or(Err(libc::EIO)));
    })
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(run)
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.close();
    }
}

impl AsRawFd for Plane {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.events.as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
