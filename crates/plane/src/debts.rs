//! The two debts of a peer: since when we owe an answer, and since when we await one.
//!
//! They replace the kernel's timer calls per packet (timers.c): the shard writes a debt only when it
//! begins or is settled. The brain collects what is due (`due`); a `DebtBegan` event wakes it once when
//! a debt begins while armed. Times come from the caller; 0 means none. It knows no peer and no clock.
//!
//! There is no counterpart of the kernel's `need_another_keepalive`: the keepalive that its timer has
//! just queued also settles the packets that the flag stands for, so the flag has no effect.

#[cfg(feature = "loom")]
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(not(feature = "loom"))]
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use crate::clock::Nanos;

/// What `Debts::due` collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Data came and nothing went back for long enough: send a keepalive.
    pub keepalive: bool,
    /// Data went out and nothing came back for long enough: start a handshake.
    pub handshake: bool,
    /// Nothing went either way for long enough: send a persistent keepalive.
    pub persistent: bool,
    /// When to call `due` again. `None`: after the next `DebtBegan`.
    pub next: Option<Nanos>,
}

/// The debts of one peer: written by the shard, collected by the brain.
#[derive(Debug)]
pub struct Debts {
    owed_since: AtomicU64,
    awaited_since: AtomicU64,
    last_traffic: AtomicU64,
    armed: AtomicBool,
}

impl Debts {
    /// Create it without debts; the first one pushes `DebtBegan`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            owed_since: AtomicU64::new(0),
            awaited_since: AtomicU64::new(0),
            last_traffic: AtomicU64::new(0),
            armed: AtomicBool::new(true),
        }
    }

    /// Note that an authenticated packet was sent. `data` says that it was no keepalive and no handshake.
    /// If it returns true the caller must push `DebtBegan`.
    #[must_use]
    pub fn sent(&self, now: Nanos, data: bool) -> bool {
        self.touch(now);
        settle(&self.owed_since);
        data && self.begin(&self.awaited_since, now)
    }

    /// Note that an authenticated packet was received; otherwise like `sent`.
    #[must_use]
    pub fn received(&self, now: Nanos, data: bool) -> bool {
        self.touch(now);
        settle(&self.awaited_since);
        data && self.begin(&self.owed_since, now)
    }

    /// Collect and clear what is due. If no debt stays open the call arms `DebtBegan`, so that no debt
    /// that begins meanwhile is missed. The last three parameters are durations; `persistent` 0 is off.
    #[must_use]
    pub fn due(&self, now: Nanos, keepalive: Nanos, handshake: Nanos, persistent: Nanos) -> Due {
        let mut due = Due {
            keepalive: collect(&self.owed_since, now, keepalive),
            handshake: collect(&self.awaited_since, now, handshake),
            ..Due::default()
        };
        if persistent != 0 {
            let (collected, next) = self.collect_persistent(now, persistent);
            due.persistent = collected;
            due.next = Some(next);
        }
        if let Some(earliest) = self
            .open_until(keepalive, handshake)
            .or_else(|| self.arm(keepalive, handshake))
        {
            // A debt may be settled and begin again before it is due; a look at least every
            // `keepalive` finds the new one in time.
            let next = earliest.min(now.saturating_add(keepalive));
            due.next = Some(due.next.map_or(next, |persistent| persistent.min(next)));
        }
        due
    }

    fn touch(&self, now: Nanos) {
        if self.last_traffic.load(Ordering::Relaxed) != now {
            self.last_traffic.store(now, Ordering::Relaxed);
        }
    }

    fn begin(&self, debt: &AtomicU64, now: Nanos) -> bool {
        if debt.load(Ordering::Relaxed) != 0 {
            return false;
        }
        if debt
            .compare_exchange(0, now.max(1), Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            return false;
        }
        fence(Ordering::SeqCst); // pairs with the one in `arm`: one of the two sees the other
        self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel)
    }

    /// Arm `DebtBegan`, then check again: a debt that began before that has pushed nothing.
    fn arm(&self, keepalive: Nanos, handshake: Nanos) -> Option<Nanos> {
        self.armed.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        let earliest = self.open_until(keepalive, handshake)?;
        self.armed.store(false, Ordering::Release);
        Some(earliest)
    }

    fn open_until(&self, keepalive: Nanos, handshake: Nanos) -> Option<Nanos> {
        let end = |debt: &AtomicU64, span: Nanos| match debt.load(Ordering::Relaxed) {
            0 => None,
            since => Some(since.saturating_add(span)),
        };
        let owed = end(&self.owed_since, keepalive);
        let awaited = end(&self.awaited_since, handshake);
        owed.into_iter().chain(awaited).min()
    }

    /// Collecting restarts the interval, so that a keepalive that finds no session is not due again at
    /// once.
    fn collect_persistent(&self, now: Nanos, persistent: Nanos) -> (bool, Nanos) {
        let last = self.last_traffic.load(Ordering::Relaxed);
        let next = last.saturating_add(persistent);
        if last != 0 && now < next {
            return (false, next);
        }
        self.last_traffic.store(now.max(1), Ordering::Relaxed);
        (true, now.saturating_add(persistent))
    }
}

impl Default for Debts {
    fn default() -> Self {
        Self::new()
    }
}

fn settle(debt: &AtomicU64) {
    if debt.load(Ordering::Relaxed) != 0 {
        debt.swap(0, Ordering::AcqRel); // not a store: all writes of a debt are in one order
    }
}

fn collect(debt: &AtomicU64, now: Nanos, span: Nanos) -> bool {
    let since = debt.load(Ordering::Relaxed);
    since != 0
        && now >= since.saturating_add(span)
        && debt
            .compare_exchange(since, 0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
}

#[cfg(all(test, not(feature = "loom")))]
mod tests;

#[cfg(all(test, feature = "loom"))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::{Debts, Due, Nanos};

    const KEEPALIVE: Nanos = 10;
    const HANDSHAKE: Nanos = 15;

    /// Debts that have pushed `DebtBegan` and are settled, with `DebtBegan` not armed.
    fn all_settled() -> Arc<Debts> {
        let debts = Debts::new();
        assert!(debts.received(1, true));
        assert!(!debts.sent(2, false));
        Arc::new(debts)
    }

    fn due(debts: &Debts, now: Nanos) -> Due {
        debts.due(now, KEEPALIVE, HANDSHAKE, 0)
    }

    #[test]
    fn debts_that_begin_while_debt_began_is_armed_are_pushed_or_seen() {
        loom::model(|| {
            let debts = all_settled();
            let shard = thread::spawn({
                let debts = Arc::clone(&debts);
                move || debts.received(3, true)
            });
            let seen = due(&debts, 3).next.is_some();
            let pushed = shard.join().expect("the shard");
            assert!(seen || pushed, "a debt began and nobody will look");
        });
    }

    #[test]
    fn debts_of_two_shards_are_pushed_or_seen() {
        loom::model(|| {
            let debts = all_settled();
            let shards = [true, false].map(|receives| {
                let debts = Arc::clone(&debts);
                thread::spawn(move || {
                    if receives {
                        debts.received(3, true)
                    } else {
                        debts.sent(3, true)
                    }
                })
            });
            let seen = due(&debts, 3).next.is_some();
            let pushed = shards.map(|shard| shard.join().expect("a shard"));
            let open = due(&debts, 3).next.is_some();
            assert!(
                !open || seen || pushed.contains(&true),
                "a debt is open and nobody will look"
            );
        });
    }

    #[test]
    fn debts_settled_while_they_are_collected_are_collected_at_most_once() {
        loom::model(|| {
            let debts = all_settled();
            assert!(!debts.received(3, true));
            let shard = thread::spawn({
                let debts = Arc::clone(&debts);
                move || {
                    let first = debts.sent(13, false);
                    first || debts.received(13, true)
                }
            });
            let first = due(&debts, 13);
            let pushed = shard.join().expect("the shard");
            let second = due(&debts, 13);
            assert!(!second.keepalive, "what began at 13 is not due at 13");
            assert!(second.next.is_some(), "and what began is not lost");
            assert!(
                first.next.is_some() || pushed,
                "a debt began and nobody will look"
            );
        });
    }
}
