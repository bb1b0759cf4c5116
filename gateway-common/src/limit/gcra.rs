//! The generic cell rate algorithm (ITU-T I.371 annex A, virtual scheduling), on one word.
//!
//! The state is the theoretical arrival time (TAT) in nanoseconds. A request that arrives at `now` conforms if
//! `TAT - now <= tolerance`; it then moves TAT to `max(TAT, now) + interval`. With `tolerance = (burst - 1) *
//! interval`, any time `t` admits at most `burst + t / interval` requests. A cell whose TAT has passed equals an absent
//! one, so evicting it loses nothing; a refused request writes nothing.

/// Tries of the compare-and-swap before a request counts as over the limit.
pub const TRIES: u32 = 4;

/// Whether a request at `now` is over the limit, given the cell's TAT.
///
/// A TAT at the end of the clock is over whatever the time is: it was not moved by a whole interval, and would let everything
/// through that arrives within the tolerance of the end.
#[inline(always)]
pub const fn is_over(tat: u64, now: u64, tolerance: u64) -> bool {
    tat == u64::MAX || tat.saturating_sub(now) > tolerance
}

/// The TAT behind an admitted request.
#[inline(always)]
pub const fn admit(tat: u64, now: u64, interval: u64) -> u64 {
    let base = if tat > now { tat } else { now };
    base.saturating_add(interval)
}

/// Emission interval and tolerance, in nanoseconds, of `count` per `per_ns` with `burst` at once.
///
/// The interval is rounded up, so the rate admitted is never above the one asked for, and below it by less than one
/// part in `interval`.
pub const fn parameters(count: u32, per_ns: u64, burst: u32) -> (u64, u64) {
    let interval = if count == 0 { u64::MAX } else { per_ns.div_ceil(count as u64) };
    let above_one = if burst > 1 { burst as u64 - 1 } else { 0 };
    (interval, interval.saturating_mul(above_one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(interval: u64, tolerance: u64, arrivals: impl Iterator<Item = u64>) -> u64 {
        let mut tat = 0;
        let mut n = 0;
        for now in arrivals {
            if !is_over(tat, now, tolerance) {
                tat = admit(tat, now, interval);
                n += 1;
            }
        }
        n
    }

    #[test]
    fn a_burst_is_exactly_the_burst() {
        let (interval, tolerance) = parameters(10, 1_000_000_000, 20);
        assert_eq!(interval, 100_000_000);
        assert_eq!(admitted(interval, tolerance, core::iter::repeat_n(5, 1000)), 20);
    }

    #[test]
    fn any_time_t_admits_at_most_burst_plus_rate_times_t() {
        let (interval, tolerance) = parameters(10, 1_000_000_000, 20);
        for seconds in [1u64, 2, 10, 60] {
            let n = admitted(interval, tolerance, (0..seconds * 1000).map(|ms| ms * 1_000_000));
            assert!(n <= 20 + 10 * seconds, "{n} in {seconds} s");
            assert!(n >= 19 + 10 * seconds, "{n} in {seconds} s");
        }
    }

    #[test]
    fn extremes_of_clock_and_rate_do_not_overflow() {
        assert!(!is_over(0, u64::MAX, 0));
        assert!(is_over(u64::MAX, 0, u64::MAX - 1));
        assert_eq!(admit(u64::MAX, 0, u64::MAX), u64::MAX);
        assert_eq!(parameters(0, 1, 1).0, u64::MAX);
        assert_eq!(parameters(1, 1_000, 0), (1_000, 0));
    }

    #[test]
    fn the_end_of_the_clock_admits_no_more_than_any_other_time() {
        let (interval, tolerance) = parameters(10, 1_000_000_000, 20);
        let n = admitted(interval, tolerance, (0..1000).rev().map(|ms| u64::MAX - ms * 1_000_000));
        assert!((1..=20 + 10).contains(&n), "{n} in the last second");
    }
}
