//! The shards of a plane as other threads see them: how to wake one, what it is to do, how busy it is.
//!
//! Their number grows and never shrinks. A session belongs to the shard that the low byte of its local
//! index names (`sockets`), so the shard is chosen with the index. It knows no packet and no key.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::balance::{Balance, Load};
use crate::clock::Nanos;
use crate::peer::Peer;
use crate::session::Session;
use holloway_poll::{Epoll, Wake};

/// All shards, some of which may not run yet.
#[derive(Debug)]
pub struct Shards {
    slots: Box<[OnceLock<ShardHandle>]>,
    running: AtomicUsize,
    balance: Mutex<Balance>,
}

/// One shard. On cache lines of its own, because its counter changes with every batch.
#[derive(Debug)]
#[repr(align(128))]
pub struct ShardHandle {
    /// What it waits on.
    pub epoll: Epoll,
    /// Wakes it.
    pub wake: Wake,
    flush: Mutex<Vec<Arc<Peer>>>,
    packets: AtomicU64,
}

impl Shards {
    /// Room for so many, of which the first exists.
    pub fn new(most: usize) -> io::Result<Self> {
        let shards = Self {
            slots: (0..most.max(1)).map(|_| OnceLock::new()).collect(),
            running: AtomicUsize::new(0),
            balance: Mutex::default(),
        };
        let first = shards.prepare()?;
        shards.publish(first);
        Ok(shards)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// How many there can be.
    #[must_use]
    pub const fn most(&self) -> usize {
        self.slots.len()
    }

    /// Those that there are, and one that is prepared.
    pub fn iter(&self) -> impl Iterator<Item = &ShardHandle> {
        self.slots.iter().map_while(OnceLock::get)
    }

    /// The shard with a number. Only its own thread and its creator ask for it, so it exists.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&ShardHandle> {
        self.slots.get(number)?.get()
    }

    /// Make what a further one needs, and return its number. One thread at a time calls this.
    pub fn prepare(&self) -> io::Result<usize> {
        let number = self.count();
        let slot = self.slots.get(number);
        let slot = slot.ok_or_else(|| io::Error::from_raw_os_error(libc::E2BIG))?;
        // It is there already if its thread could not be started before.
        if slot.get().is_none() {
            let _ = slot.set(ShardHandle::new()?);
        }
        Ok(number)
    }

    /// Count the one that was prepared, whose thread runs now.
    pub fn publish(&self, number: usize) {
        self.running.store(number + 1, Ordering::Release);
    }

    /// Count packets that a shard has opened or sealed.
    pub fn count_packets(&self, shard: usize, packets: usize) {
        if let Some(shard) = self.get(shard) {
            shard.packets.fetch_add(packets as u64, Ordering::Relaxed);
        }
    }

    /// Have one shard send the staged packets of `peer`: always the same one.
    pub fn flush(&self, peer: &Arc<Peer>) {
        if let Some(shard) = self.get(peer.id() as usize % self.count()) {
            shard.flush.lock().push(peer.clone());
            shard.wake.set();
        }
    }

    /// Wake all.
    pub fn wake(&self) {
        self.iter().for_each(|shard| shard.wake.set());
    }

    /// Change the low byte of a new index, so that its session comes to the shard where it should run:
    /// that of the peer's current `session`, unless another one is so much less busy that a move pays.
    #[must_use]
    pub fn steer_index(&self, index: u32, session: Option<&Session>, now: Nanos) -> u32 {
        let count = self.count();
        if count < 2 {
            return index;
        }
        let load = session.map(|session| Load {
            shard: shard_of(session.local_index(), count),
            rate: session.packets_per_second(now),
        });
        let counts = self.iter().take(count);
        let counts = counts.map(|shard| shard.packets.load(Ordering::Relaxed));
        let mut balance = self.balance.lock();
        balance.measure(now, counts);
        let shard = balance.place(load);
        drop(balance);
        with_shard(index, shard, count)
    }
}

impl ShardHandle {
    fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new()?,
            wake: Wake::new()?,
            flush: Mutex::default(),
            packets: AtomicU64::new(0),
        })
    }

    /// Remove and return the peers whose staged packets are to be sent.
    #[must_use]
    pub fn take_flush(&self) -> Vec<Arc<Peer>> {
        let peers = std::mem::take(&mut *self.flush.lock());
        for peer in &peers {
            let _ = peer.set_to_flush(false);
        }
        peers
    }
}

/// The shard of a session: the remainder that the kernel computes, too (`sockets`).
#[must_use]
pub const fn shard_of(index: u32, count: usize) -> usize {
    (index & 0xff) as usize % count
}

/// `index` with another low byte, which is `shard` modulo `count`. The others stay random.
const fn with_shard(index: u32, shard: usize, count: usize) -> u32 {
    let low = (index & 0xff) as usize;
    let mut steered = low - low % count + shard;
    if steered > 0xff {
        steered -= count;
    }
    index & !0xff | steered as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Deadlines;

    fn session(index: u32) -> Session {
        let deadlines = Deadlines {
            renew_on_send: Nanos::MAX,
            renew_on_receive: Nanos::MAX,
            reject: Nanos::MAX,
        };
        Session::new(index, 0, &[1; 32], &[2; 32], deadlines)
    }

    #[test]
    fn an_index_gets_every_shard_and_keeps_its_other_bytes() {
        for count in [2, 3, 5, 64] {
            for low in 0..=0xff {
                for shard in 0..count {
                    let index = with_shard(0xabcd_ef00 | low, shard, count);
                    assert_eq!(shard_of(index, count), shard);
                    assert_eq!(index >> 8, 0x00ab_cdef);
                }
            }
        }
    }

    #[test]
    fn one_shard_leaves_every_index_as_it_is() {
        let shards = Shards::new(1).expect("descriptors");
        for index in [0, 1, 0xff, u32::MAX] {
            assert_eq!(shards.steer_index(index, None, 0), index);
        }
        assert!(shards.prepare().is_err());
    }

    #[test]
    fn new_sessions_are_spread_evenly() {
        let shards = Shards::new(4).expect("descriptors");
        for number in 1..4 {
            assert_eq!(shards.prepare().ok(), Some(number));
            shards.publish(number);
        }
        let mut sessions = [0; 4];
        for index in (0..400).map(|number: u32| number.wrapping_mul(0x9e37_79b9)) {
            sessions[shard_of(shards.steer_index(index, None, 0), 4)] += 1;
        }
        assert_eq!(sessions, [100; 4]);
    }

    #[test]
    fn a_renewed_session_stays_where_moving_gains_nothing() {
        let shards = Shards::new(2).expect("descriptors");
        shards.publish(shards.prepare().expect("room"));
        let busy = session(0x100).with_counter(1_000_000);
        shards.count_packets(0, 1_000_000);
        let now = busy.began() + 60 * crate::clock::SECOND;
        // It is all that its shard has to do.
        assert_eq!(shards.steer_index(0x301, Some(&busy), now), 0x300);
    }

    #[test]
    fn a_renewed_session_leaves_a_shard_that_is_busier_than_another() {
        let shards = Shards::new(2).expect("descriptors");
        shards.publish(shards.prepare().expect("room"));
        let sessions = [session(0x100), session(0x200)];
        let sessions = sessions.map(|each| each.with_counter(600_000));
        shards.count_packets(0, 1_200_000);
        let now = sessions[1].began() + 60 * crate::clock::SECOND;
        let _ = shards.steer_index(0, None, now - 59 * crate::clock::SECOND); // the first measurement
        shards.count_packets(0, 1_200_000);
        let moved = sessions.map(|each| shard_of(shards.steer_index(0, Some(&each), now), 2));
        assert_eq!(
            moved,
            [1, 0],
            "one moves, and the other has the shard for itself"
        );
    }
}
