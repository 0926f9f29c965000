//! The replay window against a set of all counters.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn step() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => -20i64..=20,
        2 => -9000i64..=9000,
        1 => -200_000i64..=200_000,
        1 => prop::sample::select(vec![-8193, -8192, -8191, 8191, 8192, 8193, 8255, 8256, 8257]),
    ]
}

proptest! {
    #[test]
    fn every_counter_within_the_window_is_judged_exactly(
        start: u64, steps in prop::collection::vec(step(), 1..600),
    ) {
        let (mut window, mut seen) = (Window::new(), HashSet::new());
        let (mut counter, mut greatest) = (start, 0);
        for step in steps {
            counter = counter.saturating_add_signed(step);
            let in_window = counter >= greatest || greatest - counter <= WINDOW;
            let expected = in_window && seen.insert(counter);
            prop_assert_eq!(window.accept(counter), expected, "counter {}", counter);
            greatest = greatest.max(counter);
        }
    }
}

#[test]
fn the_first_counter_may_be_zero_once() {
    let mut window = Window::new();
    assert!(window.accept(0));
    assert!(!window.accept(0));
}

#[test]
fn a_whole_window_in_reverse_is_accepted_once() {
    let mut window = Window::new();
    assert!(window.accept(WINDOW + 77));
    for counter in (77..WINDOW + 77).rev() {
        assert!(window.accept(counter), "counter {counter}");
    }
    assert!(!window.accept(76), "one behind the window");
    assert!((0..=WINDOW + 77).all(|counter| !window.accept(counter)));
}

#[test]
fn the_greatest_counters_do_not_wrap() {
    let mut window = Window::new();
    assert!(window.accept(u64::MAX));
    assert!(window.accept(u64::MAX - WINDOW));
    assert!(!window.accept(u64::MAX));
    assert!(!window.accept(0));
}
