//! Figures, and how they are shown.

use std::fmt;

use gateway_user::daemon::AttachMode;
use serde::Serialize;

use super::traffic::Bare;

/// The figures of several runs of the same thing, in nanoseconds a packet.
#[derive(Clone, Debug, Default)]
pub struct Runs(Vec<f64>);

impl Runs {
    /// Adds a run.
    pub fn add(&mut self, nanoseconds: f64) {
        self.0.push(nanoseconds);
        self.0.sort_by(f64::total_cmp);
    }

    /// The mean of the fastest quarter: the machine is shared, and nothing but the work itself is in every run. A mean,
    /// because the kernel tells whole nanoseconds.
    pub fn best(&self) -> f64 {
        let quarter = self.0.get(..self.0.len().div_ceil(4)).unwrap_or_default();
        quarter.iter().sum::<f64>() / quarter.len() as f64
    }

    /// The one in the middle.
    pub fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// What a row has come to. Times are nanoseconds a packet.
#[derive(Clone, Debug, Serialize)]
pub struct Result {
    /// The name of the row.
    pub row: String,
    /// The bare program that it is compared with: `drop` or `pass`.
    pub bare: &'static str,
    /// `driver` or `generic`; `other` for a filter that is no XDP program of ours.
    pub mode: &'static str,
    /// Millions of packets a second, the fastest quarter of the runs.
    pub mpps: f64,
    /// The same, run in the middle.
    pub mpps_median: f64,
    /// The bare program on the same frames.
    pub bare_mpps: f64,
    /// The same, run in the middle.
    pub bare_mpps_median: f64,
    /// `mpps / bare_mpps`.
    pub share: f64,
    /// `1 / mpps - 1 / bare_mpps`: the filter without the generator.
    pub added_ns: f64,
    /// The same of the runs in the middle.
    pub added_ns_median: f64,
    /// A test run of one warm packet, without a network.
    pub test_run_ns: f64,
    /// The bare program there.
    pub bare_test_run_ns: f64,
    /// The reason that its frames were counted under; none where nothing judges.
    pub reason: Option<&'static str>,
}

impl Result {
    /// Works out a row from its runs: live frames and test runs, each of the filter and of the bare program.
    pub fn new(row: String, compared: Bare, mode: AttachMode, [live, bare, test, bare_test]: [&Runs; 4]) -> Self {
        Self {
            row,
            bare: compared.as_str(),
            mode: mode.as_str(),
            mpps: 1000.0 / live.best(),
            mpps_median: 1000.0 / live.median(),
            bare_mpps: 1000.0 / bare.best(),
            bare_mpps_median: 1000.0 / bare.median(),
            share: bare.best() / live.best(),
            added_ns: live.best() - bare.best(),
            added_ns_median: live.median() - bare.median(),
            test_run_ns: test.best(),
            bare_test_run_ns: bare_test.best(),
            reason: None,
        }
    }

    /// The head of the table.
    pub fn head() -> String {
        format!(
            "{:<44} {:>7} {:>7} {:>7} {:>6} {:>9} {:>9} {:>9} {:>7}  {}",
            "row", "Mpps", "median", "bare", "share", "added ns", "median", "test-run", "bare", "reason"
        )
    }
}

/// The head of a table in Markdown.
pub const MARKDOWN_HEAD: &str = "| row | beside | Mpps | share | added ns | median | test-run | bare |\n\
                                 |---|---|---:|---:|---:|---:|---:|---:|";

impl Result {
    /// The row of a table in Markdown.
    pub fn markdown(&self) -> String {
        let cell = |value: f64, digits: usize| if value.is_nan() { String::new() } else { format!("{value:.digits$}") };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            self.row,
            self.bare,
            cell(self.mpps, if self.mpps < 0.1 { 3 } else { 2 }),
            cell(self.share, 2),
            cell(self.added_ns, 0),
            cell(self.added_ns_median, 0),
            cell(self.test_run_ns, 1),
            cell(self.bare_test_run_ns, 1),
        )
    }
}

impl fmt::Display for Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = |value: f64, width: usize, digits: usize| {
            if value.is_nan() { format!("{:>width$}", "-") } else { format!("{value:>width$.digits$}") }
        };
        write!(
            f,
            "{:<44} {} {} {} {} {} {} {} {}  {} ({})",
            self.row,
            // Below a tenth of a million the table would have no digits to show.
            cell(self.mpps, 7, if self.mpps < 0.1 { 3 } else { 2 }),
            cell(self.mpps_median, 7, if self.mpps < 0.1 { 3 } else { 2 }),
            cell(self.bare_mpps, 7, 2),
            cell(self.share, 6, 2),
            cell(self.added_ns, 9, 1),
            cell(self.added_ns_median, 9, 1),
            cell(self.test_run_ns, 9, 1),
            cell(self.bare_test_run_ns, 7, 1),
            self.reason.unwrap_or("-"),
            self.bare,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_has_no_figure() {
        let mut runs = Runs::default();
        runs.add(100.0);
        let none = Runs::default();
        let result = Result::new("a".into(), Bare::Drop, AttachMode::Driver, [&runs, &none, &none, &none]);
        assert_eq!(result.markdown(), "| a | drop | 10.00 |  |  |  |  |  |");
        assert!(!result.to_string().contains("NaN"), "{result}");
    }

    #[test]
    fn the_best_run_and_the_one_in_the_middle() {
        let mut runs = Runs::default();
        for nanoseconds in [30.0, 10.0, 20.0, 90.0, 40.0] {
            runs.add(nanoseconds);
        }
        assert_eq!((runs.best(), runs.median()), (15.0, 30.0));
        assert!(Runs::default().best().is_nan());
    }
}
