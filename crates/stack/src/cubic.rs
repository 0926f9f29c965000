//! The congestion window of a stream: CUBIC (RFC 9438), counted in bytes; it shrinks no further than to what the
//! path holds without a queue.

use crate::timers::{Micros, SECOND};

const BETA: f64 = 0.7;
const C: f64 = 0.4;
/// RFC 6928.
const INITIAL_SEGMENTS: usize = 10;

/// The congestion window.
#[derive(Debug)]
pub struct Cubic {
    segment: f64,
    most: f64,
    window: f64,
    threshold: f64,
    /// The window at the last loss.
    before: f64,
    /// Where the curve is flat.
    plateau: f64,
    /// When the curve began.
    since: Option<Micros>,
    /// How many seconds after that it reaches the plateau.
    rise: f64,
    /// What Reno would have.
    reno: f64,
}

impl Cubic {
    /// The window of a new stream, for segments of this size, and never more than `most` bytes.
    #[must_use]
    pub fn new(segment: usize, most: usize) -> Self {
        let window = (INITIAL_SEGMENTS * segment) as f64;
        Self {
            segment: segment as f64,
            most: (most.max(segment)) as f64,
            window,
            threshold: f64::INFINITY,
            before: window,
            plateau: window,
            since: None,
            rise: 0.0,
            reno: window,
        }
    }

    /// How many bytes may be on their way.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window as usize
    }

    /// Bytes were acknowledged while `in_flight` were on their way.
    pub fn on_ack(
        &mut self,
        acknowledged: usize,
        in_flight: usize,
        now: Micros,
        round_trip: Micros,
    ) {
        let (acknowledged, in_flight) = (acknowledged as f64, in_flight as f64);
        if self.window < self.threshold {
            // A window that is not used says nothing about the path.
            if 2.0 * in_flight >= self.window {
                self.window = (self.window + acknowledged).min(self.most);
            }
            return;
        }
        if in_flight + (3.0 * self.segment).max(self.window / 8.0) < self.window {
            self.since = None;
            return;
        }
        let since = *self.since.get_or_insert_with(|| {
            (self.plateau, self.rise, self.reno) = (self.window, 0.0, self.window);
            now
        });
        let curve = |at: Micros| {
            let seconds = at as f64 / SECOND as f64 - self.rise;
            C * self.segment * seconds.powi(3) + self.plateau
        };
        let alpha = match self.reno >= self.before {
            true => 1.0,
            false => 3.0 * (1.0 - BETA) / (1.0 + BETA),
        };
        self.reno += alpha * self.segment * acknowledged / self.window;
        let grown = if curve(now - since) < self.reno {
            self.reno
        } else {
            let target = curve(now - since + round_trip).clamp(self.window, 1.5 * self.window);
            self.window + (target - self.window) * acknowledged / self.window
        };
        self.window = grown.clamp(self.window, self.most.max(self.window));
    }

    /// Something was lost; at most once a window. The path holds `holds` bytes without a queue: down to there the
    /// window shrinks, if that is more than CUBIC leaves of it. False if it does not shrink.
    pub fn on_loss(&mut self, now: Micros, holds: f64) -> bool {
        // While the window doubles, what arrives lags behind by a round trip.
        let lag = if self.window < self.threshold {
            2.0
        } else {
            1.0
        };
        if lag * holds >= self.window {
            return false;
        }
        self.before = self.window;
        self.plateau = match self.window < self.plateau {
            true => self.window * (1.0 + BETA) / 2.0,
            false => self.window,
        };
        self.threshold = self.reduced(holds);
        self.window = self.threshold;
        self.reno = self.window;
        self.rise = ((self.plateau - self.window).max(0.0) / (C * self.segment)).cbrt();
        self.since = Some(now);
        true
    }

    fn reduced(&self, holds: f64) -> f64 {
        (self.window * BETA)
            .max(holds.min(self.window))
            .max(2.0 * self.segment)
    }

    /// The retransmission timer expired; `is_first` unless it did already for the same segment (RFC 5681, 3.1).
    pub fn on_timeout(&mut self, is_first: bool, holds: f64) {
        if is_first {
            self.before = self.window;
            self.threshold = self.reduced(holds);
        }
        self.window = self.segment;
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: usize = 1000;

    fn full(cubic: &mut Cubic, bytes: usize, now: Micros) {
        let window = cubic.window();
        cubic.on_ack(bytes, window, now, 10_000);
    }

    #[test]
    fn it_doubles_each_round_trip_until_a_loss_takes_three_tenths() {
        let mut cubic = Cubic::new(SEGMENT, 1 << 22);
        full(&mut cubic, 10_000, 0);
        assert_eq!(cubic.window(), 20_000);
        cubic.on_loss(0, 0.0);
        assert_eq!(cubic.window(), 14_000);
        cubic.on_timeout(true, 0.0);
        assert_eq!(cubic.window(), SEGMENT);
    }

    #[test]
    fn after_a_loss_it_comes_back_to_the_plateau_and_rests_there() {
        let mut cubic = Cubic::new(SEGMENT, 1 << 30);
        cubic.window = 1e6;
        cubic.on_loss(0, 0.0);
        let mut windows = Vec::new();
        for round in 1..2000 {
            let bytes = cubic.window();
            full(&mut cubic, bytes, round * 100_000);
            windows.push(cubic.window());
        }
        let rise = (cubic.plateau - 7e5).cbrt(); // about 9 s
        assert!(windows.is_sorted() && rise > 0.0);
        let near = windows
            .iter()
            .filter(|&&window| (980_000..1_020_000).contains(&window));
        assert!(near.count() > 20, "it stays near the plateau");
        assert!(windows[1998] > 2_000_000, "and goes beyond");
    }

    #[test]
    fn a_loss_without_a_queue_costs_nothing_and_one_with_a_short_queue_costs_the_queue() {
        let mut cubic = Cubic::new(SEGMENT, 1 << 22);
        assert!(!cubic.on_loss(0, 5000.0));
        assert_eq!(cubic.window(), 10_000);
        cubic.threshold = 10_000.0;
        assert!(!cubic.on_loss(0, 10_000.0));
        assert!(cubic.on_loss(0, 9000.0));
        assert_eq!(cubic.window(), 9000);
        assert!(cubic.on_loss(0, 1000.0));
        assert_eq!(cubic.window(), 6300);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut cubic = Cubic::new(SEGMENT, 1 << 22);
        cubic.on_ack(1000, 1000, 0, 10_000);
        assert_eq!(cubic.window(), 10_000);
        cubic.on_loss(0, 0.0);
        cubic.on_ack(1000, 1000, SECOND, 10_000);
        assert_eq!(cubic.window(), 7000);
    }
}
