//! `tollgate report --exposure`.

use super::{
    Cell, Failure, Out, Tone,
    args::{Places, ReportArgs},
    ask, plain, when,
};
use crate::control::{
    exposure::{ExposureView, HostView, RegisteredView},
    protocol::Command,
};

pub(super) fn run(args: ReportArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let found: ExposureView = ask(places, &Command::Exposure {})?;
    if args.json {
        return Ok(out.json(&found)?);
    }
    let ports: Vec<String> = found.ports.iter().map(ToString::to_string).collect();
    let since = found.answered.map_or_else(|| "never: the way out of the PBX is not seen".to_owned(), when::shown);
    out.facts(&[
        ("answers seen", plain(format!("since {since}"))),
        ("ports", plain(format!("{}; on which of them a host answered is not known", ports.join(", ")))),
        ("REGISTER", plain(format!("{} since the filter was loaded, those of the site too", found.requests))),
    ])?;
    out.line("")?;
    if found.hosts.is_empty() {
        out.line("no host was seen to answer a call or a registration from outside")?;
    } else {
        let rows: Vec<Vec<Cell>> = found.hosts.iter().map(host).collect();
        out.table(&["answers outside", ">registrations", ">calls of known", ">calls of unknown", "last"], &rows)?;
    }
    out.line("")?;
    if found.registered.is_empty() {
        out.line("nobody outside registered with credentials")?;
    } else {
        let rows: Vec<Vec<Cell>> = found.registered.iter().map(registered).collect();
        out.table(&["registered from", "account", "with", "last", "known until"], &rows)?;
    }
    if found.left_out > 0 {
        out.toned(&format!("{} rows are left out", found.left_out), Tone::Warn)?;
    }
    out.toned(
        "only what the tables of the kernel remember; registrations without credentials leave nothing there",
        Tone::Dim,
    )?;
    Ok(())
}

fn host(row: &HostView) -> Vec<Cell> {
    let count = |count: u64| plain(count.to_string());
    vec![
        plain(row.host.to_string()),
        count(row.registrations),
        count(row.known_calls),
        count(row.unproved_calls),
        plain(when::shown(row.last)),
    ]
}

fn registered(row: &RegisteredView) -> Vec<Cell> {
    let dash = || "-".to_owned();
    let until = match row.known_until {
        Some(until) => plain(when::shown(until)),
        None => ("not known: no credentials that held".to_owned(), Tone::Warn),
    };
    vec![
        plain(row.source.to_string()),
        plain(row.account.clone().unwrap_or_else(dash)),
        plain(row.host.map_or_else(dash, |host| host.to_string())),
        plain(when::shown(row.last)),
        until,
    ]
}
