//! Connections that the program has closed while something is still to be sent: their number is bounded, and
//! they go first where memory is used up.

use std::collections::VecDeque;

use crate::events::Id;

/// How many there may be.
pub const MAX_ORPHANS: usize = 1024;

/// These connections, the oldest first; some have ended since.
#[derive(Debug, Default)]
pub struct Orphans(VecDeque<Id>);

impl Orphans {
    /// Add one. Returns the one to drop, if there are too many or `is_scarce`.
    pub fn add(&mut self, id: Id, is_scarce: bool, lives: impl Fn(Id) -> bool) -> Option<Id> {
        self.0.push_back(id);
        if is_scarce || self.0.len() > MAX_ORPHANS {
            self.0.retain(|&id| lives(id));
        }
        let is_too_many = is_scarce || self.0.len() > MAX_ORPHANS;
        is_too_many.then(|| self.0.pop_front()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_lives_makes_room() {
        let mut orphans = Orphans::default();
        let full = MAX_ORPHANS as Id;
        assert!((0..full).all(|id| orphans.add(id, false, |_| true).is_none()));
        assert_eq!(orphans.add(full, false, |id| id != 0), None);
        assert_eq!(orphans.add(full + 1, false, |id| id != 0), Some(1));
        assert_eq!(orphans.add(full + 2, true, |id| id > 5), Some(6));
    }
}
