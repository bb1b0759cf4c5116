//! The answer to `suggest`, which is also the shape of its `--json`.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Rows of each kind that are told.
const ROWS: usize = 5;

/// `suggest --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuggestionView {
    /// The policy file in force; null where that is the built-in example.
    pub file: Option<String>,
    /// The limit in force that the windows are for; null where there is none on the calls abroad of a line.
    pub limit: Option<String>,
    /// Its windows in force, those of the site behind those of a line.
    pub in_force: Vec<String>,
    /// The oldest record of a call that passed; null where there is none.
    pub since: Option<Timestamp>,
    /// Seconds since then in which a daemon ran.
    pub observed: u64,
    /// Seconds that are missing before limits should be made from it.
    pub missing: u64,
    /// Calls abroad that the site placed.
    pub calls: u64,
    /// Calls abroad that a limit refused, which are in no peak.
    pub refused: u64,
    /// The most calls abroad of one line.
    pub line: PeakView,
    /// The most calls abroad of the site.
    pub site: PeakView,
    /// The lines that placed the most, the highest first.
    pub lines: Vec<PeakView>,
    /// The countries that were called most, the highest first.
    pub countries: Vec<PeakView>,
    /// The sources that sent the most INVITEs, the highest first.
    pub bursts: Vec<BurstView>,
    /// The windows suggested for a line.
    pub windows: Vec<String>,
    /// The windows suggested for the site.
    pub site_windows: Vec<String>,
    /// What the floor counts calls to one country by; empty where it is off.
    #[serde(default)]
    pub floor_in_force: Vec<String>,
    /// The windows suggested for it; empty where those in force leave room.
    #[serde(default)]
    pub floor_windows: Vec<String>,
    /// Records that are damaged and were left out.
    pub damaged: u64,
    /// Records given up since the daemon started.
    pub lost: u64,
}

/// The most calls in any time so long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeakView {
    /// Of which line, country, or of the site.
    pub of: String,
    /// In a minute, five minutes, an hour and a day.
    pub peaks: [u64; 4],
}

/// The most INVITEs of one source, retransmissions too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BurstView {
    /// Of which source.
    pub of: IpAddr,
    /// In a second and in a minute.
    pub peaks: [u64; 2],
}

/// The first rows of peaks.
pub(crate) fn rows(peaks: Vec<(String, [u64; 4])>) -> Vec<PeakView> {
    peaks.into_iter().take(ROWS).map(|(of, peaks)| PeakView { of, peaks }).collect()
}

/// The same of bursts.
pub(crate) fn bursts(peaks: Vec<(IpAddr, [u64; 2])>) -> Vec<BurstView> {
    peaks.into_iter().take(ROWS).map(|(of, peaks)| BurstView { of, peaks }).collect()
}
