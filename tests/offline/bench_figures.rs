//! The arithmetic behind the figures of `benches/redis`, which a benchmark cannot test itself.
#![allow(clippy::float_cmp)]

#[path = "../../benches/redis/figures.rs"]
mod figures;

use figures::{Latency, ceiling, median, percentile, rate_between};
use proptest::prelude::*;

#[test]
fn a_percentile_is_the_value_of_the_nearest_rank() {
    let hundred: Vec<u32> = (1..=100).collect();
    for (sorted, percent, expected) in [
        (&[][..], 50, 0),
        (&[7], 0, 7),
        (&[7], 99, 7),
        (&[1, 2], 50, 1),
        (&[1, 2, 3], 50, 2),
        (&[1, 2, 3], 99, 3),
        (&hundred, 99, 99),
        (&hundred, 100, 100),
    ] {
        assert_eq!(
            percentile(sorted, percent),
            expected,
            "{percent}% of {sorted:?}"
        );
    }
}

#[test]
fn a_median_of_an_even_number_is_the_mean_of_the_middle() {
    for (values, expected) in [
        (&[][..], None),
        (&[3.0], Some(3.0)),
        (&[9.0, 1.0, 2.0], Some(2.0)),
        (&[4.0, 1.0, 2.0, 9.0], Some(3.0)),
    ] {
        assert_eq!(median(values), expected, "{values:?}");
    }
}

#[test]
fn a_read_and_a_write_of_each_key_take_the_time_of_both() {
    assert_eq!(ceiling(&[(1.0, 200.0)]), 200.0);
    assert_eq!(ceiling(&[(1.0, 200.0), (1.0, 200.0)]), 100.0);
    assert_eq!(ceiling(&[(1.0, 100.0), (0.5, 50.0)]), 50.0);
}

#[test]
fn a_rate_needs_two_reports_with_work_between_them() {
    for (marks, expected) in [
        (&[][..], None),
        (&[(1.0, 10)], None),
        (&[(1.0, 10), (1.0, 20)], None),
        (&[(1.0, 10), (3.0, 10)], None),
        (&[(1.0, 10), (3.0, 5)], None),
        (&[(1.0, 10), (2.0, 15), (3.0, 50)], Some(20.0)),
    ] {
        assert_eq!(rate_between(marks), expected, "{marks:?}");
    }
}

#[test]
fn several_runs_keep_the_worst_answer_and_the_middle_of_the_rest() {
    let run = |p50, p99, max| Latency { p50, p99, max };
    let over = Latency::over(&[run(1, 30, 100), run(3, 10, 900), run(2, 20, 200)]);
    assert_eq!(over, run(2, 20, 900));
    assert_eq!(Latency::over(&[]), Latency::default());
}

proptest! {
    #[test]
    fn no_sample_is_longer_than_the_maximum(samples in prop::collection::vec(any::<u32>(), 1..200)) {
        let longest = samples.iter().max().copied().unwrap_or_default();
        let latency = Latency::of(samples);
        prop_assert_eq!(latency.max, longest);
        prop_assert!(latency.p50 <= latency.p99 && latency.p99 <= latency.max);
    }
}
