//! What of a stream is on its way, what of it is lost, and how much more may be sent (RFC 6675, and for
//! retransmissions that are lost too, what came after them).
//!
//! smoltcp keeps the bytes, sends new ones and has the retransmission timer. How much it may send, it learns from
//! the window field of what it receives, which `stream` rewrites; lost segments are sent past it.

use crate::cubic::Cubic;
use crate::path::Path;
use crate::scoreboard::Scoreboard;
use crate::segment::Segment;
use crate::timers::Micros;
use crate::window::distance;

/// How many segments beyond a gap indicate a loss (RFC 6675, 4).
const DUPLICATES: usize = 3;

/// A retransmission that is on its way.
#[derive(Clone, Copy, Debug)]
struct Resent {
    start: u32,
    end: u32,
    /// The number after the last one sent before it.
    mark: u32,
}

/// The state of the sending side of a stream.
#[derive(Debug)]
pub struct Recovery {
    cubic: Cubic,
    board: Scoreboard,
    /// In order, and disjoint.
    resent: Vec<Resent>,
    segment: usize,
    /// All before is acknowledged.
    acknowledged: u32,
    /// The number after the last one sent.
    sent: u32,
    /// Where smoltcp sends next.
    next: u32,
    /// Once this is acknowledged, a recovery ends.
    until: Option<u32>,
    /// Recovery is by the timer: smoltcp sends all again, from the first byte that is not acknowledged.
    is_timed_out: bool,
    /// The timer has expired for the first byte that is not acknowledged.
    has_expired: bool,
    /// The other side's window.
    window: usize,
    /// When something was last acknowledged, or first sent.
    since: Micros,
    /// A round trip that is being measured: the number, and when it was sent.
    sample: Option<(u32, Micros)>,
    path: Path,
    /// How many bytes were acknowledged in all.
    total: u64,
    /// The losses of this recovery made the window shrink.
    is_reduced: bool,
}

impl Recovery {
    /// A stream whose first number is `first`.
    #[must_use]
    pub fn new(first: u32, segment: usize, most: usize) -> Self {
        let mut board = Scoreboard::default();
        board.acknowledge(first);
        Self {
            cubic: Cubic::new(segment, most),
            board,
            resent: Vec::new(),
            segment,
            acknowledged: first,
            sent: first,
            next: first,
            until: None,
            is_timed_out: false,
            has_expired: false,
            window: 0,
            since: 0,
            sample: None,
            path: Path::default(),
            total: 0,
            is_reduced: false,
        }
    }

    /// The other side's first window.
    pub fn open(&mut self, window: usize) {
        self.window = window;
    }

    /// Record that smoltcp has sent these numbers. True if it was because its timer expired.
    pub fn record_sent(&mut self, start: u32, end: u32, now: Micros) -> bool {
        if distance(start, end) == 0 {
            return false;
        }
        if self.acknowledged == self.sent {
            self.since = now;
        }
        let is_timeout = start == self.acknowledged && distance(start, self.next) > 0;
        if distance(self.sent, end) > 0 {
            self.sent = end;
            self.sample.get_or_insert((end, now));
        }
        if self.window == 0 {
            // A probe of the closed window, which smoltcp forgets.
            return false;
        }
        self.next = end;
        if is_timeout {
            self.cubic.on_timeout(!self.has_expired, self.path.holds());
            self.is_reduced = true;
            self.has_expired = true;
            self.is_timed_out = true;
            self.until = Some(self.sent);
            self.board.clear();
            self.resent.clear();
            self.sample = None;
            self.since = now;
        }
        is_timeout
    }

    /// Receive an acknowledgement. `window` is the window that it announces.
    pub fn acknowledged(&mut self, segment: &Segment, window: usize, now: Micros) {
        let count = distance(self.acknowledged, segment.ack) as usize;
        if segment.ack != self.acknowledged && count == 0 || distance(self.sent, segment.ack) > 0 {
            return;
        }
        let in_flight = self.in_flight();
        self.window = window;
        if count > 0 {
            self.advance(segment.ack, now);
        }
        if !self.is_timed_out {
            for &(start, end) in segment.selective() {
                let is_sound = distance(self.acknowledged, start) > 0
                    && distance(start, end) > 0
                    && distance(end, self.sent) < 1 << 31
                    && distance(self.sent, end) == 0;
                if is_sound {
                    self.board.add(start, end);
                }
            }
            let arrived = self.total + self.board.bytes() as u64;
            self.path.arrived(arrived, now);
            self.find_losses(now);
        }
        if count > 0 && (self.until.is_none() || self.is_timed_out || !self.is_reduced) {
            let round_trip = self.path.round_trip();
            self.cubic.on_ack(count, in_flight, now, round_trip);
        }
    }

    fn advance(&mut self, ack: u32, now: Micros) {
        self.total += u64::from(distance(self.acknowledged, ack));
        self.acknowledged = ack;
        self.since = now;
        self.has_expired = false;
        self.board.acknowledge(ack);
        self.resent.retain(|resent| distance(ack, resent.end) > 0);
        if distance(self.next, ack) > 0 {
            self.next = ack;
        }
        if self.until.is_some_and(|until| distance(ack, until) == 0) {
            self.until = None;
            self.is_timed_out = false;
        }
        if let Some((number, sent)) = self.sample
            && distance(ack, number) == 0
        {
            self.path.measured(now - sent);
            self.sample = None;
        }
    }

    /// Begin a recovery if something is lost, and find the retransmissions that are lost.
    fn find_losses(&mut self, now: Micros) {
        let Some(highest) = self.board.highest() else {
            return;
        };
        let is_last = highest == self.sent;
        let beyond = (DUPLICATES * self.segment) as u32;
        self.resent.retain(|resent| {
            let after = distance(resent.mark, highest);
            after < beyond && !(is_last && after > 0)
        });
        if self.until.is_none() && self.board.holes(self.lost_end()).next().is_some() {
            self.until = Some(self.sent);
            self.sample = None;
            self.is_reduced = self.cubic.on_loss(now, self.path.holds());
        }
    }

    /// The number before which everything is lost that the other side does not have: enough came after it, or
    /// the other side has the last segment, so that nothing more will come (RFC 5827).
    fn lost_end(&self) -> u32 {
        match self.board.highest() {
            Some(highest) if highest == self.sent => highest,
            Some(highest) => {
                let end = highest.wrapping_sub((DUPLICATES * self.segment) as u32);
                self.acknowledged
                    .wrapping_add(distance(self.acknowledged, end))
            }
            None => self.acknowledged,
        }
    }

    /// What is lost and not on its way again. Of each hole, the first such part.
    fn lost(&self) -> impl Iterator<Item = (u32, u32)> {
        let holes = self.board.holes(self.lost_end());
        holes.filter_map(|(mut start, mut end)| {
            let is_before = |resent: &Resent| distance(start, resent.end) == 0;
            let first = self.resent.partition_point(is_before);
            for resent in &self.resent[first..] {
                if distance(start, resent.start) > 0 {
                    end =
                        start.wrapping_add(distance(start, end).min(distance(start, resent.start)));
                    break;
                }
                start = start.wrapping_add(distance(start, resent.end));
            }
            (distance(start, end) > 0).then_some((start, end))
        })
    }

    /// How many bytes are on their way (RFC 6675: pipe).
    fn in_flight(&self) -> usize {
        if self.is_timed_out {
            return distance(self.acknowledged, self.next) as usize;
        }
        let outstanding = distance(self.acknowledged, self.sent) as usize;
        let lost = self
            .lost()
            .map(|(start, end)| distance(start, end) as usize);
        outstanding.saturating_sub(self.board.bytes() + lost.sum::<usize>())
    }

    /// What is to be sent again now: its first number and its length.
    #[must_use]
    pub fn resend(&self, most: usize) -> Option<(u32, usize)> {
        if self.is_timed_out {
            return None;
        }
        let (start, end) = self.lost().next()?;
        let length = distance(start, end) as usize;
        let room = match self.cubic.window().saturating_sub(self.in_flight()) {
            // All waits for the first one (RFC 6675, 5, 4.3).
            room if start == self.acknowledged => room.max(self.segment),
            room if room < self.segment.min(length) => 0,
            room => room,
        };
        let length = length.min(room).min(most);
        (length > 0).then_some((start, length))
    }

    /// Record that this was sent again.
    pub fn record_resent(&mut self, start: u32, length: usize) {
        let end = start.wrapping_add(length as u32);
        let mark = self.sent;
        let at = self
            .resent
            .partition_point(|resent| distance(start, resent.end) == 0);
        self.resent.insert(at, Resent { start, end, mark });
        self.sample = None;
    }

    /// How many bytes beyond the acknowledged ones smoltcp may have sent: whole segments more.
    #[must_use]
    pub fn allowed(&self) -> usize {
        let room = self.cubic.window().saturating_sub(self.in_flight());
        let more = room / self.segment * self.segment;
        let outstanding = match self.is_timed_out {
            true => distance(self.acknowledged, self.next),
            false => distance(self.acknowledged, self.sent),
        };
        self.window.min(outstanding as usize + more)
    }

    /// Whether smoltcp's timer may be due: it is at least so long.
    #[must_use]
    pub fn may_time_out(&self, now: Micros, least: Micros) -> bool {
        self.acknowledged != self.sent && now >= self.since + least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u32 = 1000;

    /// A stream that has sent ten segments.
    fn sending() -> Recovery {
        let mut recovery = Recovery::new(0, SEGMENT as usize, 1 << 20);
        ack(&mut recovery, 0, &[]);
        recovery.record_sent(0, 10 * SEGMENT, 0);
        recovery
    }

    fn ack(recovery: &mut Recovery, ack: u32, blocks: &[(u32, u32)]) {
        let mut segment = Segment::acknowledging(ack * SEGMENT);
        for &(start, end) in blocks {
            segment.add_selective(start * SEGMENT, end * SEGMENT);
        }
        recovery.acknowledged(&segment, 1 << 20, 1000);
    }

    fn resend_all(recovery: &mut Recovery) -> Vec<(u32, usize)> {
        let mut all = Vec::new();
        while let Some((start, length)) = recovery.resend(1 << 16) {
            recovery.record_resent(start, length);
            all.push((start / SEGMENT, length));
        }
        all
    }

    #[test]
    fn all_holes_are_sent_again_at_once_and_cost_one_reduction() {
        let mut recovery = sending();
        ack(&mut recovery, 1, &[(2, 4), (5, 6), (7, 10)]);
        assert_eq!(resend_all(&mut recovery), [(1, 1000), (4, 1000), (6, 1000)]);
        assert_eq!(recovery.cubic.window(), 7000);
        assert_eq!(recovery.allowed(), 9000 + 4000);
        ack(&mut recovery, 4, &[(5, 6), (7, 10)]);
        ack(&mut recovery, 10, &[]);
        assert_eq!((recovery.cubic.window(), recovery.allowed()), (7000, 7000));
    }

    #[test]
    fn the_first_hole_is_closed_though_the_window_is_full() {
        let mut recovery = sending();
        ack(&mut recovery, 10, &[]);
        let sent = recovery.cubic.window() as u32;
        recovery.record_sent(10 * SEGMENT, 10 * SEGMENT + sent, 0);
        ack(&mut recovery, 10, &[(12, 15)]);
        assert_eq!(resend_all(&mut recovery), [(10, 1000)]);
        ack(&mut recovery, 10, &[(12, 20)]);
        assert_eq!(resend_all(&mut recovery), [(11, 1000)]);
    }

    #[test]
    fn what_came_out_of_order_by_two_is_not_lost() {
        let mut recovery = sending();
        ack(&mut recovery, 1, &[(2, 4)]);
        assert_eq!(recovery.resend(1 << 16), None);
        ack(&mut recovery, 1, &[(2, 5)]);
        assert_eq!(recovery.resend(1 << 16), Some((1000, 1000)));
    }

    #[test]
    fn a_retransmission_is_lost_once_enough_of_what_was_sent_after_it_has_come() {
        let mut recovery = sending();
        ack(&mut recovery, 0, &[(1, 10)]);
        assert_eq!(resend_all(&mut recovery), [(0, 1000)]);
        recovery.record_sent(10 * SEGMENT, 15 * SEGMENT, 0);
        ack(&mut recovery, 0, &[(1, 12)]);
        assert_eq!(resend_all(&mut recovery), []);
        ack(&mut recovery, 0, &[(1, 13)]);
        assert_eq!(resend_all(&mut recovery), [(0, 1000)]);
    }

    #[test]
    fn after_a_timeout_all_is_sent_again_slowly() {
        let mut recovery = sending();
        ack(&mut recovery, 2, &[(5, 6)]);
        assert!(recovery.record_sent(2 * SEGMENT, 3 * SEGMENT, 5000));
        assert_eq!((recovery.allowed(), recovery.resend(1 << 16)), (1000, None));
        ack(&mut recovery, 3, &[]);
        assert_eq!(recovery.allowed(), 2000);
        assert!(!recovery.record_sent(3 * SEGMENT, 5 * SEGMENT, 6000));
        ack(&mut recovery, 10, &[]);
        assert!(!recovery.record_sent(10 * SEGMENT, 11 * SEGMENT, 7000));
        assert!(recovery.resend(1 << 16).is_none());
    }

    #[test]
    fn acknowledgements_of_what_was_not_sent_change_nothing() {
        let mut recovery = sending();
        ack(&mut recovery, 0, &[(11, 20), (8, 30), (9, 8)]);
        assert_eq!(recovery.board.bytes(), 0);
        ack(&mut recovery, 11, &[]);
        assert_eq!(recovery.acknowledged, 0);
    }
}
