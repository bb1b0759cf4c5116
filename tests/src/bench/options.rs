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
    after_help = "Examples:\n  tollgate-bench --quick\n  tollgate-bench --filter country --json\n  tollgate-bench --only pbx --only voice\n\n`cargo xtask bench --object FILE`, or TOLLGATE_EBPF_OBJECT=FILE, measures another BPF object.\n\nExit codes: 0 measured, 1 not, 2 usage."
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

    /// Only these tables. Without it, all of them; with --quick neither `pbx` nor `voice`.
    #[arg(long, value_enum, value_name = "TABLE")]
    pub only: Vec<Table>,

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

/// A table, or what is measured apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Table {
    /// Packets a second.
    Packets,
    /// A million prefixes, from a file into the kernel.
    Policy,
    /// What the loaded filter takes of the kernel's memory.
    Memory,
    /// Calls that a PBX behind the gateway completes while it is attacked: two minutes; Kamailio, sipp, nftables.
    Pbx,
    /// The delay of voice through the gateway meanwhile: two minutes; the same programs.
    Voice,
}

impl Options {
    /// Whether a row of this name in this table is to be measured.
    pub fn wants(&self, table: Table, name: &str) -> bool {
        let only = if self.only.is_empty() {
            !(self.quick && matches!(table, Table::Pbx | Table::Voice))
        } else {
            self.only.contains(&table)
        };
        only && self.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()))
    }
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
