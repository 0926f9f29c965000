//! Connections that we ended: their ports are not used again for a while, so that late segments of the
//! old connection cannot reach a new one (RFC 9293, 3.3.2: TIME-WAIT).

use std::collections::{HashMap, VecDeque};

use crate::packet::Flow;
use crate::timers::{Micros, SECOND};

/// How long a connection is remembered.
const TIME_WAIT: Micros = 10 * SECOND;
/// How many are remembered; beyond, the oldest is forgotten.
const MAX_TIME_WAIT: usize = 16_384;

/// The connections, each with its end.
#[derive(Debug, Default)]
pub struct TimeWait {
    until: HashMap<Flow, Micros>,
    queue: VecDeque<(Micros, Flow)>,
}

impl TimeWait {
    /// Remember a connection from now on.
    pub fn add(&mut self, now: Micros, flow: Flow) {
        let until = now + TIME_WAIT;
        if self.until.insert(flow, until).is_none() {
            self.queue.push_back((until, flow));
        }
    }

    /// Whether a connection is remembered.
    #[must_use]
    pub fn contains(&self, flow: &Flow) -> bool {
        self.until.contains_key(flow)
    }

    /// Forget the connections whose time is over, and the oldest of too many.
    pub fn expire(&mut self, now: Micros) {
        while let Some(&(at, flow)) = self.queue.front()
            && (at <= now || self.queue.len() > MAX_TIME_WAIT)
        {
            self.queue.pop_front();
            self.until.remove(&flow);
        }
    }
}
