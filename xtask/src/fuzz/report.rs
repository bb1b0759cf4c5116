//! What the engine says of a search, in one line.

use std::time::Duration;

/// The names of the columns.
pub(crate) const HEADING: &str =
    "target     sanitizer   executions      a second    edges  features   inputs   seconds   last new edge at";

/// What one search of a target came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    target: String,
    sanitizer: &'static str,
    /// Inputs that were tried, by all processes together.
    executions: u64,
    /// Edges covered at the end, the most of any process.
    edges: u64,
    /// Edges by how often they were taken, and comparisons.
    features: u64,
    /// Inputs in the corpus.
    inputs: u64,
    /// The execution that covered the last new edge, the latest of any process.
    last_new: u64,
    /// How long it took.
    pub(crate) time: Duration,
    /// What failed.
    pub(crate) faults: Vec<String>,
}

impl Report {
    pub(crate) fn new(target: &str, sanitizer: &'static str) -> Self {
        Self { target: target.to_owned(), sanitizer, ..Self::default() }
    }

    /// Takes in what one process printed: `#4096 NEW    cov: 512 ft: 900 corp: 40/3Kb …`, and figures at the end.
    pub(crate) fn take(&mut self, log: &str) {
        let (mut edges, mut last_new) = (0, 0);
        for line in log.lines() {
            if let Some(executions) = line.strip_prefix("stat::number_of_executed_units:") {
                self.executions += executions.trim().parse().unwrap_or(0);
            }
            let Some(number) = line.strip_prefix('#').and_then(|rest| rest.split_whitespace().next()) else { continue };
            let (Ok(number), Some(covered)) = (number.parse(), figure(line, "cov:")) else { continue };
            if covered > edges {
                (edges, last_new) = (covered, number);
            }
            self.features = self.features.max(figure(line, "ft:").unwrap_or(0));
            self.inputs = self.inputs.max(figure(line, "corp:").unwrap_or(0));
        }
        self.edges = self.edges.max(edges);
        self.last_new = self.last_new.max(last_new);
    }

    /// One row under [`HEADING`].
    pub(crate) fn line(&self) -> String {
        let rate = self.executions as f64 / self.time.as_secs_f64().max(0.001);
        format!(
            "{:<10} {:<9} {:>12} {:>13.0} {:>8} {:>9} {:>8} {:>9} {:>18}",
            self.target,
            self.sanitizer,
            self.executions,
            rate,
            self.edges,
            self.features,
            self.inputs,
            self.time.as_secs(),
            self.last_new
        )
    }
}

/// The number behind a word: `corp: 40/3Kb` has 40 inputs.
fn figure(line: &str, word: &str) -> Option<u64> {
    let rest = line.split_once(word)?.1.trim_start();
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "INFO: Running with entropic power schedule\n\
        #2\tINITED cov: 100 ft: 101 corp: 1/1b exec/s: 0 rss: 90Mb\n\
        #900\tNEW    cov: 150 ft: 300 corp: 20/3Kb lim: 4 exec/s: 0 rss: 90Mb\n\
        #1000\tREDUCE cov: 150 ft: 305 corp: 21/3Kb lim: 4 exec/s: 0 rss: 90Mb\n\
        #4096\tDONE   cov: 150 ft: 305 corp: 21/3Kb exec/s: 50 rss: 90Mb\n\
        stat::number_of_executed_units: 4096\n";

    #[test]
    fn the_figures_of_several_processes_come_together() {
        let mut report = Report::new("wire", "none");
        report.take(LOG);
        report.take(&LOG.replace("150", "149"));
        assert_eq!((report.executions, report.edges, report.features), (8192, 150, 305));
        assert_eq!((report.inputs, report.last_new), (21, 900));
        report.time = Duration::from_secs(2);
        let row = report.line();
        assert_eq!(row.len(), HEADING.len(), "{row}");
        assert!(row.contains(" 4096 ") && row.ends_with(" 900"), "{row}");
    }
}
