//! Timers of streams: a heap with the earliest time of each stream.
//!
//! A later time of a stream is not added; the stream is asked again when its timer is due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::events::Id;

/// Microseconds since the stack started.
pub type Micros = i64;

/// One second.
pub const SECOND: Micros = 1_000_000;

/// The heap.
#[derive(Debug, Default)]
pub struct Timers(BinaryHeap<Reverse<(Micros, Id)>>);

impl Timers {
    /// Set a timer of `id`, unless an earlier one is set. The caller keeps the set time in `timer`.
    pub fn set(&mut self, id: Id, timer: &mut Option<Micros>, at: Micros) {
        if timer.is_none_or(|before| at < before) {
            *timer = Some(at);
            self.0.push(Reverse((at, id)));
        }
    }

    /// Remove and return the next due timer, which an earlier one may have replaced.
    pub fn due(&mut self, now: Micros) -> Option<(Micros, Id)> {
        let Reverse((at, _)) = *self.0.peek()?;
        (at <= now)
            .then(|| self.0.pop())
            .flatten()
            .map(|Reverse(due)| due)
    }

    /// The time of the next timer.
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
