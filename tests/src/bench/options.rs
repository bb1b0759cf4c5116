//! The command line of the measurements.

use std::path::PathBuf;

use clap::Parser;

/// Measures Tollgate: packets per second through a veth pair, beside a program that does nothing, and the time of one packet.
///
/// Everything happens in a network namespace that vanishes with the process. Needs root.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "tollgate-bench",
    version,
    after_help = "Examples:\n  tollgate-bench --quick\n  tollgate-bench --filter country --json\n\n`cargo xtask bench --object FILE`, or TOLLGATE_EBPF_OBJECT=FILE, measures another BPF object.\n\nExit codes: 0 measured, 1 not, 2 usage."
)]
pub struct Options {
    /// Print one JSON object a row instead of the table.
    #[arg(long)]
    pub json: bool,

    /// Print the table of docs/performance.md.
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,

    /// Fewer runs: about a minute, and less steady.
    #[arg(long)]
    pub quick: bool,

    /// Only rows whose name contains this.
    #[arg(long, value_name = "NAME")]
    pub filter: Option<String>,

    /// Print the names of the rows and measure nothing.
    #[arg(long)]
    pub list: bool,

    /// Measure other filters on the same frames too: those of `tests/peers` that are installed (`cargo xtask setup --peers`).
    #[arg(long)]
    pub peers: bool,

    /// Also draw the plots of the documents, from this run, into this folder.
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,

    /// The CPU that sends and receives; the last one unless given.
    #[arg(long, value_name = "N")]
    pub cpu: Option<usize>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
    }
}
