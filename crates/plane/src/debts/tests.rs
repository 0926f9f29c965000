//! Debts against timers that each packet sets and resets.

use super::*;
use crate::clock::SECOND;
use proptest::prelude::*;

const KEEPALIVE: Nanos = 10 * SECOND;
const HANDSHAKE: Nanos = 15 * SECOND;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Keepalive,
    Handshake,
    Persistent,
}

type Log = Vec<(Nanos, Action)>;

/// The kernel's timers (timers.c), changed by each packet.
#[derive(Default)]
struct Eager {
    keepalive: Option<Nanos>,
    handshake: Option<Nanos>,
    persistent: Option<Nanos>,
    interval: Nanos,
}

impl Eager {
    fn traversed(&mut self, now: Nanos) {
        if self.interval != 0 {
            self.persistent = Some(now + self.interval);
        }
    }

    fn sent(&mut self, now: Nanos, data: bool) {
        self.traversed(now);
        self.keepalive = None;
        if data {
            self.handshake.get_or_insert(now + HANDSHAKE);
        }
    }

    fn received(&mut self, now: Nanos, data: bool) {
        self.traversed(now);
        self.handshake = None;
        if data {
            self.keepalive.get_or_insert(now + KEEPALIVE);
        }
    }

    fn next(&self) -> Option<Nanos> {
        [self.keepalive, self.handshake, self.persistent]
            .into_iter()
            .flatten()
            .min()
    }

    /// Fire what is due; each sends a packet that is not data. Timers due together all fire.
    fn fire(&mut self, now: Nanos, log: &mut Log) {
        let due = [
            (self.keepalive.take_if(|at| *at <= now), Action::Keepalive),
            (self.handshake.take_if(|at| *at <= now), Action::Handshake),
            (self.persistent.take_if(|at| *at <= now), Action::Persistent),
        ];
        for (_, action) in due.into_iter().filter(|(at, _)| at.is_some()) {
            log.push((now, action));
            self.sent(now, false);
        }
    }
}

/// The brain's part: one timer, set by `due` and by `DebtBegan`.
struct Lazy {
    debts: Debts,
    look: Option<Nanos>,
    interval: Nanos,
    looks: usize,
}

impl Lazy {
    fn look(&mut self, now: Nanos, log: &mut Log) {
        self.looks += 1;
        let due = self.debts.due(now, KEEPALIVE, HANDSHAKE, self.interval);
        self.look = due.next;
        for (is_due, action) in [
            (due.keepalive, Action::Keepalive),
            (due.handshake, Action::Handshake),
            (due.persistent, Action::Persistent),
        ] {
            if is_due {
                log.push((now, action));
                assert!(
                    !self.debts.sent(now, false),
                    "what is not data begins no debt"
                );
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Packet {
    after: Nanos,
    is_sent: bool,
    is_data: bool,
}

fn packet() -> impl Strategy<Value = Packet> {
    let after = prop_oneof![0..SECOND, 0..12 * SECOND, 0..40 * SECOND];
    (after, any::<bool>(), any::<bool>()).prop_map(|(after, is_sent, is_data)| Packet {
        after,
        is_sent,
        is_data,
    })
}

/// Run both until a minute after the trace. Returns the actions of each, and how often the brain called `due`.
fn run(trace: &[Packet], interval: Nanos) -> (Log, Log, usize) {
    let start = 100 * SECOND;
    let (mut eager_log, mut lazy_log) = (vec![], vec![]);
    let mut eager = Eager {
        interval,
        ..Eager::default()
    };
    let mut lazy = Lazy {
        debts: Debts::new(),
        look: None,
        interval,
        looks: 0,
    };
    eager.sent(start, false); // a handshake has just ended
    assert!(!lazy.debts.sent(start, false));
    lazy.look(start, &mut lazy_log);
    let mut now = start;
    let last = Packet {
        after: 60 * SECOND,
        is_sent: true,
        is_data: false,
    };
    for packet in trace.iter().chain([&last]) {
        let arrival = now + packet.after;
        while let Some(at) = eager.next().filter(|at| *at <= arrival) {
            eager.fire(at, &mut eager_log);
        }
        while let Some(at) = lazy.look.filter(|at| *at <= arrival) {
            lazy.look(at, &mut lazy_log);
        }
        now = arrival;
        let begun = if packet.is_sent {
            eager.sent(now, packet.is_data);
            lazy.debts.sent(now, packet.is_data)
        } else {
            eager.received(now, packet.is_data);
            lazy.debts.received(now, packet.is_data)
        };
        if begun {
            lazy.look(now, &mut lazy_log);
        }
    }
    (eager_log, lazy_log, lazy.looks)
}

proptest! {
    #[test]
    fn debts_do_what_timers_do_at_the_same_times(
        trace in prop::collection::vec(packet(), 0..60), persistent in 0u64..40,
    ) {
        let (eager, lazy, _) = run(&trace, persistent * SECOND);
        prop_assert_eq!(lazy, eager);
    }
}

#[test]
fn a_million_packets_in_a_minute_wake_the_brain_a_few_times() {
    let step = |number: u64| Packet {
        after: 60 * SECOND / 1_000_000,
        is_sent: number.is_multiple_of(3),
        is_data: number.is_multiple_of(2),
    };
    let trace: Vec<Packet> = (0..1_000_000).map(step).collect();
    let (_, _, looks) = run(&trace, 0);
    assert!(looks <= 20, "{looks}");
}

#[test]
fn without_traffic_a_persistent_keepalive_is_due_at_once_and_then_at_its_interval() {
    let debts = Debts::new();
    let now = 5 * SECOND;
    let due = debts.due(now, KEEPALIVE, HANDSHAKE, 25 * SECOND);
    let expected = Due {
        persistent: true,
        next: Some(now + 25 * SECOND),
        ..Due::default()
    };
    assert_eq!(due, expected);
    let again = debts.due(now + SECOND, KEEPALIVE, HANDSHAKE, 25 * SECOND);
    assert_eq!(
        again,
        Due {
            persistent: false,
            ..expected
        }
    );
}

#[test]
fn idle_peers_are_never_looked_at() {
    let debts = Debts::new();
    assert_eq!(debts.due(SECOND, KEEPALIVE, HANDSHAKE, 0), Due::default());
}

#[test]
fn active_is_pushed_once_until_it_is_armed_again() {
    let debts = Debts::new();
    assert!(debts.received(SECOND, true));
    assert!(!debts.received(SECOND, true), "the debt stands already");
    assert!(!debts.sent(SECOND, true), "another debt, but not armed");
    let due = debts.due(2 * SECOND, KEEPALIVE, HANDSHAKE, 0);
    assert_eq!(
        due,
        Due {
            next: Some(12 * SECOND),
            ..Due::default()
        }
    );
    assert!(
        !debts.received(3 * SECOND, false),
        "settles what we awaited"
    );
    assert!(
        debts
            .due(12 * SECOND, KEEPALIVE, HANDSHAKE, 0)
            .next
            .is_none()
    );
    assert!(debts.sent(13 * SECOND, true));
}

#[test]
fn keepalives_are_never_answered_with_keepalives() {
    let debts = Debts::new();
    assert!(!debts.received(SECOND, false));
    assert_eq!(
        debts.due(100 * SECOND, KEEPALIVE, HANDSHAKE, 0),
        Due::default()
    );
}
