//! What the other side has received beyond the acknowledged bytes, by its selective acknowledgements (RFC 2018).

use crate::window::distance;

/// How many ranges are remembered: a peer can report arbitrarily many.
const MAX_RANGES: usize = 1024;

/// The ranges, in order and disjoint; each from its first number to the one after its last.
#[derive(Debug, Default)]
pub struct Scoreboard {
    acknowledged: u32,
    ranges: Vec<(u32, u32)>,
}

impl Scoreboard {
    /// All before `ack` is acknowledged.
    pub fn acknowledge(&mut self, ack: u32) {
        self.acknowledged = ack;
        self.ranges.retain(|&(_, end)| distance(ack, end) > 0);
        if let Some((start, _)) = self.ranges.first_mut()
            && distance(*start, ack) > 0
        {
            *start = ack;
        }
    }

    /// The other side has these bytes, which were sent and lie beyond the acknowledged ones.
    pub fn add(&mut self, start: u32, end: u32) {
        let at = |number: u32| distance(self.acknowledged, number);
        let first = self.ranges.partition_point(|range| at(range.1) < at(start));
        let last = self.ranges.partition_point(|range| at(range.0) <= at(end));
        let (mut new_start, mut new_end) = (start, end);
        for &(start, end) in &self.ranges[first..last] {
            new_start = if at(start) < at(new_start) {
                start
            } else {
                new_start
            };
            new_end = if at(end) > at(new_end) { end } else { new_end };
        }
        if first < last || self.ranges.len() < MAX_RANGES {
            self.ranges.splice(first..last, [(new_start, new_end)]);
        }
    }

    /// Forget all ranges.
    pub fn clear(&mut self) {
        self.ranges.clear();
    }

    /// How many bytes they hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ranges
            .iter()
            .map(|&(start, end)| distance(start, end) as usize)
            .sum()
    }

    /// The end of the last range.
    #[must_use]
    pub fn highest(&self) -> Option<u32> {
        self.ranges.last().map(|&(_, end)| end)
    }

    /// What is missing before `end`, in order.
    pub fn holes(&self, end: u32) -> impl Iterator<Item = (u32, u32)> {
        let starts =
            std::iter::once(self.acknowledged).chain(self.ranges.iter().map(|range| range.1));
        let ends = self.ranges.iter().map(|range| range.0).chain([end]);
        let clip = move |(start, stop): (u32, u32)| {
            let stop = if distance(end, stop) > 0 { end } else { stop };
            (distance(start, stop) > 0).then_some((start, stop))
        };
        starts.zip(ends).filter_map(clip)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_join_and_leave_holes() {
        let mut board = Scoreboard::default();
        board.acknowledge(u32::MAX - 99);
        for (start, end) in [
            (200, 300),
            (400, 500),
            (300, 350),
            (0, 100),
            (u32::MAX - 49, 0),
        ] {
            board.add(start, end);
        }
        assert_eq!(board.bytes(), 150 + 100 + 150);
        let holes: Vec<_> = board.holes(450).collect();
        assert_eq!(
            holes,
            [(u32::MAX - 99, u32::MAX - 49), (100, 200), (350, 400)]
        );
        board.acknowledge(250);
        assert_eq!(board.holes(500).collect::<Vec<_>>(), [(350, 400)]);
        assert_eq!((board.bytes(), board.highest()), (200, Some(500)));
    }

    proptest! {
        #[test]
        fn it_is_the_same_as_a_set_of_numbers(
            base in any::<u32>(),
            steps in proptest::collection::vec((any::<bool>(), 0_u32..300, 1_u32..60), 1..40)
        ) {
            let mut board = Scoreboard::default();
            let (mut had, mut ack) = ([false; 400], 0_usize);
            board.acknowledge(base);
            for (is_ack, start, length) in steps {
                if is_ack {
                    ack = ack.max(start as usize / 4);
                    board.acknowledge(base.wrapping_add(ack as u32));
                } else if start as usize >= ack {
                    let start = base.wrapping_add(start);
                    board.add(start, start.wrapping_add(length));
                    let first = start.wrapping_sub(base) as usize;
                    had[first..first + length as usize].fill(true);
                }
                had[..ack].fill(false);
            }
            prop_assert_eq!(board.bytes(), had.iter().filter(|had| **had).count());
            let mut holes = [true; 400];
            holes[..ack].fill(false);
            for at in ack..400 {
                holes[at] = !had[at];
            }
            let found: usize = board
                .holes(base.wrapping_add(400))
                .map(|(start, end)| {
                    let first = start.wrapping_sub(base) as usize;
                    let count = distance(start, end) as usize;
                    assert!(holes[first..first + count].iter().all(|hole| *hole));
                    count
                })
                .sum();
            prop_assert_eq!(found, holes.iter().filter(|hole| **hole).count());
        }
    }
}
