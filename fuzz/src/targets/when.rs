//! Times of the command line. The first octet chooses what the clock shows.

use gateway_user::cli::when;
use jiff::Zoned;

/// An ordinary day, the two days on which clocks change, a leap day, and the ends of what a clock can show.
const CLOCKS: [&str; 6] = [
    "2026-11-20T12:00:00+01:00[Europe/Berlin]",
    "2026-03-29T01:59:59+01:00[Europe/Berlin]",
    "2026-11-01T01:30:00-04:00[America/New_York]",
    "2028-02-29T23:59:59+09:00[Asia/Tokyo]",
    "9999-12-30T20:00:00+00:00[UTC]",
    "-009999-01-03T00:00:00+00:00[UTC]",
];

pub(crate) fn run(input: &[u8]) {
    let [clock, text @ ..] = input else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let now: Zoned = match CLOCKS[usize::from(*clock) % CLOCKS.len()].parse() {
        Ok(now) => now,
        Err(error) => panic!("a clock of the target shows nothing: {error}"),
    };
    match when::until(text, &now) {
        Ok(end) => {
            assert!(end > now.timestamp(), "{text} has passed");
            assert!(!when::length(when::between(now.timestamp(), end)).is_empty(), "{text}");
        }
        Err(error) => assert!(!error.is_empty() && !error.contains('\n'), "{error:?}"),
    }
}
