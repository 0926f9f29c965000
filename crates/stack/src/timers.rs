//! Who wants to be woken when: a heap in which each stream stands with its earliest time.
//!
//! Later wishes of a stream are not put into it; the stream is asked again when its time comes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::events::Id;

/// Microseconds since the stack began.
pub type Micros = i64;

/// A second.
pub const SECOND: Micros = 1_000_000;

/// The heap.
#[derive(Debug, Default)]
pub struct Timers(BinaryHeap<Reverse<(Micros, Id)>>);

impl Timers {
    /// Wake `id` at `at`, unless `timer`, its own note, says that it will be woken before.
    pub fn set(&mut self, id: Id, timer: &mut Option<Micros>, at: Micros) {
        if timer.is_none_or(|before| at < before) {
            *timer = Some(at);
            self.0.push(Reverse((at, id)));
        }
    }

    /// The next time that is due, and whose. It may be one that its owner has replaced.
    pub fn due(&mut self, now: Micros) -> Option<(Micros, Id)> {
        let Reverse((at, _)) = *self.0.peek()?;
        (at <= now)
            .then(|| self.0.pop())
            .flatten()
            .map(|Reverse(due)| due)
    }

    /// When to look again.
    #[must_use]
    pub fn next(&self) -> Option<Micros> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_earlier_wish_is_noted() {
        let mut timers = Timers::default();
        let mut timer = None;
        timers.set(1, &mut timer, 50);
        timers.set(1, &mut timer, 70);
        timers.set(1, &mut timer, 20);
        assert_eq!((timer, timers.next()), (Some(20), Some(20)));
        assert_eq!(timers.due(19), None);
        assert_eq!(timers.due(60), Some((20, 1)));
        assert_eq!(timers.due(60), Some((50, 1)));
        assert_eq!(timers.due(60), None);
    }
}
