//! `tollgate suggest`.

use std::{fs, path::PathBuf, time::Duration};

use clap::Args;
use jiff::Timestamp;

use super::{Cell, Failure, Out, Tone, args::Places, ask, plain, when, why::back};
use crate::{
    config,
    control::{
        protocol::Command,
        suggest::{PeakView, SuggestionView},
    },
    suggest::{LEAST, Limit, edited, of_line, of_site, unified},
    zone,
};

/// `suggest`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate suggest                       what the site calls, and the limits from that as a diff; changes nothing
  tollgate suggest --diff > new.diff     only the diff, for patch(1)
  tollgate suggest --since 30d --json
It needs a week of the journal; --anyway does with less.
Ends 0 whether or not there is something to change, 1 if too little was observed.")]
pub struct SuggestArgs {
    /// Only so far back: 48h, 30d; as far as the journal goes, where it is left out
    #[arg(long, value_name = "TIME", value_parser = crate::config::duration)]
    pub since: Option<Duration>,
    /// Do with less than a week
    #[arg(long)]
    pub anyway: bool,
    /// The policy file to change, where it is not the one in force
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the diff and nothing else
    #[arg(long, conflicts_with = "json")]
    pub diff: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(args: &SuggestArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let since = args.since.map(|length| back(Timestamp::now(), length)).transpose()?;
    let found: SuggestionView = ask(places, &Command::Suggest { since })?;
    if args.json {
        out.json(&found)?;
    } else if !args.diff {
        show(&found, out)?;
    }
    if found.missing > 0 && !args.anyway {
        return Err(Failure::Refused(format!(
            "{} observed, and limits from less than {} know no whole week: {} are missing. Ask again then, or write --anyway",
            if found.observed == 0 { "nothing was".into() } else { format!("{} were", long(found.observed)) },
            long(crate::suggest::ENOUGH),
            long(found.missing)
        )));
    }
    if args.json {
        return Ok(());
    }
    let diff = diff(args, &found)?;
    if diff.is_empty() {
        return if args.diff { Ok(()) } else { Ok(out.line("the limits of the file are what this would suggest")?) };
    }
    if !args.diff {
        out.line("")?;
    }
    for line in diff.lines() {
        match line.as_bytes().first() {
            Some(b'+') if !args.diff => out.toned(line, Tone::Good)?,
            Some(b'-') if !args.diff => out.toned(line, Tone::Warn)?,
            _ => out.line(line)?,
        }
    }
    Ok(())
}

/// What the windows change of the file.
fn diff(args: &SuggestArgs, found: &SuggestionView) -> Result<String, Failure> {
    let file = args.config.clone().or_else(|| found.file.as_ref().map(PathBuf::from)).ok_or_else(|| {
        Failure::Refused("the built-in example is in force, which no file has: name one with --config".into())
    })?;
    let name = file.display().to_string();
    let (config, _) = config::load(&file).map_err(|problems| {
        Failure::Refused(format!("{name} would not load, so nothing is suggested for it\n{problems}"))
    })?;
    let own = found.limit.as_ref().and_then(|name| config.limits.iter().find(|limit| limit.name == *name));
    if let (None, Some(_), Some(limit)) = (&args.config, &found.limit, own) {
        let written: Vec<String> = limit.windows.iter().chain(&limit.site_windows).map(ToString::to_string).collect();
        if written != found.in_force {
            return Err(Failure::Refused(format!(
                "[limit.{}] is {} in {name} and {} in force: `tollgate diff {name}` shows the rest, `tollgate reload` puts \
                 the file in force",
                limit.name,
                written.join(", "),
                found.in_force.join(", ")
            )));
        }
    }
    let before =
        fs::read_to_string(&file).map_err(|error| Failure::Refused(format!("{name} cannot be read: {error}")))?;
    // A file that is not the one in force may lack the limit, and gets it.
    let limit = if args.config.is_some() { own.map(|limit| limit.name.as_str()) } else { found.limit.as_deref() };
    let (windows, site_windows) = (of_line(found.line.peaks, &LEAST), of_site(found.site.peaks, &LEAST));
    let since = found
        .since
        .map_or_else(|| "no call".to_owned(), |since| since.to_zoned(zone::current()).strftime("%F").to_string());
    let observed = format!("{} calls abroad in {} since {since}", found.calls, long(found.observed));
    let limit = Limit { name: limit, windows: &windows, site_windows: &site_windows, observed: &observed };
    let after = edited(&before, &limit).map_err(|error| Failure::Refused(format!("{name}: {error:#}")))?;
    let dir = file.parent().unwrap_or_else(|| std::path::Path::new("."));
    config::parse(&after, Some(&file), dir).map_err(|problems| {
        Failure::Refused(format!("{name} would not load with these limits, so they are not suggested\n{problems}"))
    })?;
    Ok(unified(&before, &after, &name))
}

fn show(found: &SuggestionView, out: &mut Out) -> Result<(), Failure> {
    let since = found.since.map_or_else(|| "no call that passed is in the journal".to_owned(), when::shown);
    out.facts(&[
        ("since", plain(since)),
        ("observed", plain(format!("{} with a daemon that read events", long(found.observed)))),
        (
            "calls abroad",
            plain(format!("{} placed, {} refused by limits and in no figure below", found.calls, found.refused)),
        ),
    ])?;
    for (heading, rows) in [
        ("most by", &[found.line.clone(), found.site.clone()][..]),
        ("line", &found.lines),
        ("country", &found.countries),
    ] {
        if found.calls > 0 {
            out.line("")?;
            let rows: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
            out.table(&[heading, ">in 60s", ">in 300s", ">in 1h", ">in 24h"], &rows)?;
        }
    }
    if !found.bursts.is_empty() {
        out.line("")?;
        let row = |it: &crate::control::suggest::BurstView| {
            vec![plain(it.of.to_string()), plain(it.peaks[0].to_string()), plain(it.peaks[1].to_string())]
        };
        out.table(&["INVITEs of", ">in 1s", ">in 60s"], &found.bursts.iter().map(row).collect::<Vec<_>>())?;
        out.toned("other requests that passed are counted by method only, in `tollgate counters`", Tone::Dim)?;
    }
    if !found.floor_windows.is_empty() {
        let windows: Vec<String> = found.floor_windows.iter().map(|window| format!("{window:?}")).collect();
        let told = format!(
            "the floor stops all calls abroad at more than {} to one country, which leaves no room: write floor_windows = [{}] at the \
             top of the file",
            found.floor_in_force.join(" or "),
            windows.join(", ")
        );
        out.toned(&told, Tone::Warn)?;
    }
    if found.damaged + found.lost > 0 {
        let told =
            format!("{} records are damaged, {} were lost: there may have been more calls", found.damaged, found.lost);
        out.toned(&told, Tone::Warn)?;
    }
    Ok(())
}

fn cells(row: &PeakView) -> Vec<Cell> {
    std::iter::once(plain(&row.of)).chain(row.peaks.map(|peak| plain(peak.to_string()))).collect()
}

/// A time in days and hours, or in minutes where it is short.
fn long(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60) {
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, _) => format!("{hours}h"),
        (days, 0, _) => format!("{days}d"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}
