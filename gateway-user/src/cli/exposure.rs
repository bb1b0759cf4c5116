//! `tollgate report --exposure`.

use std::path::Path;

use super::{
    Cell, Failure, Out, Tone,
    args::{Places, ReportArgs},
    ask, plain, when,
};
use crate::{
    config,
    control::{
        exposure::{ExposureView, HostView, ListensView, RegisteredView},
        protocol::Command,
    },
    exposed::{self, Answers, Exposed, Registered, Sides},
    zone,
};

pub(super) fn run(args: &ReportArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    if let Some(capture) = &args.capture {
        return captured(capture, args, out);
    }
    let found: ExposureView = ask(places, &Command::Exposure {})?;
    if args.json {
        return Ok(out.json(&found)?);
    }
    let ports: Vec<String> = found.ports.iter().map(ToString::to_string).collect();
    let since = found.answered.map_or_else(|| "never: the way out of the PBX is not seen".to_owned(), when::shown);
    out.facts(&[
        ("answers seen", plain(format!("since {since}"))),
        ("SIP ports", plain(ports.join(", "))),
        ("this machine", plain(listens(&found.listens))),
        ("REGISTER", plain(format!("{} since the filter was loaded, those of the site too", found.requests))),
    ])?;
    out.line("")?;
    if found.hosts.is_empty() {
        out.line("no host was seen to answer a call or a registration from outside")?;
    } else {
        let rows: Vec<Vec<Cell>> = found.hosts.iter().map(host).collect();
        out.table(&["answers outside", "on", ">REGISTER", ">known", ">unknown", "last"], &rows)?;
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
    for told in [
        "known, unknown: calls of sources whose credentials the PBX took, and of others",
        "only what the tables of the kernel remember: calls, and registrations with credentials; nothing of OPTIONS",
        "with OPTIONS too: tcpdump -i any -s 0 -w wan.pcap port 5060, then report --exposure --capture wan.pcap",
    ] {
        out.toned(told, Tone::Dim)?;
    }
    Ok(())
}

/// The sockets of the gateway itself.
fn listens(listens: &[ListensView]) -> String {
    if listens.is_empty() {
        return "no socket of its own is open on these ports".to_owned();
    }
    let each: Vec<String> = listens
        .iter()
        .map(|it| format!("{} {}", it.transport, std::net::SocketAddr::new(it.address, it.port)))
        .collect();
    format!("open are {}; whether anybody outside reaches them is not said by that", each.join(", "))
}

/// What a capture shows.
fn captured(capture: &Path, args: &ReportArgs, out: &mut Out) -> Result<(), Failure> {
    let config = match config::load(&args.config) {
        Ok((config, _)) => {
            zone::set(config.site.time_zone.as_deref());
            Some(config)
        }
        Err(_) if !args.config.exists() => None,
        Err(problems) => return Err(Failure::Refused(problems.to_string())),
    };
    let (found, cut) = exposed::exposed(capture, &Sides::of(config.as_ref(), &args.inside))
        .map_err(|error| Failure::Refused(error.to_string()))?;
    // What is whole of a capture that is still being written is worth reading.
    let cut = cut.map_or(Ok(()), |error| Err(Failure::Refused(error.to_string())));
    if args.json {
        out.json(&found)?;
        return cut;
    }
    out.facts(&[
        ("capture", plain(format!("{}: {} packets, {} of them SIP", capture.display(), found.packets, found.sip))),
        ("inside", plain(found.inside.join(" "))),
        (
            "trunks",
            match &config {
                Some(config) => plain(format!("{} of {}", config.trunks.len(), args.config.display())),
                None => {
                    (format!("none: {} is not there; name a policy with --config", args.config.display()), Tone::Warn)
                }
            },
        ),
    ])?;
    out.line("")?;
    if found.answers.is_empty() {
        out.line(nobody(&found))?;
    } else {
        let rows: Vec<Vec<Cell>> = found.answers.iter().map(answers).collect();
        out.table(&["answers outside", "port", "requests", "with", "asked by", "last"], &rows)?;
    }
    if !found.registered.is_empty() {
        out.line("")?;
        let rows: Vec<Vec<Cell>> = found.registered.iter().map(accepted).collect();
        out.table(&["registered from", "with", "port", ">times", "last"], &rows)?;
    }
    if found.left_out > 0 {
        out.toned(
            &format!("{} packets or rows are left out: the capture has too many sources", found.left_out),
            Tone::Warn,
        )?;
    }
    out.toned("only SIP over UDP and TCP that can be read; TLS and WebSocket cannot", Tone::Dim)?;
    cut
}

const fn nobody(found: &Exposed) -> &'static str {
    if found.sip == 0 {
        "no SIP is in it; capture with: tcpdump -i any -s 0 -w wan.pcap port 5060"
    } else {
        "no host inside was seen to answer outside; if the addresses of the PBX are public, name them with --inside"
    }
}

fn answers(row: &Answers) -> Vec<Cell> {
    let requests: Vec<String> = row.methods.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let statuses: Vec<String> = row.statuses.iter().map(ToString::to_string).collect();
    let sources = match row.sources {
        0 => String::new(),
        1 => "1 source".to_owned(),
        many => format!("{many} sources"),
    };
    let trunks = row.trunks.iter().map(|trunk| format!("trunk {trunk}"));
    let by: Vec<String> = Some(sources).filter(|it| !it.is_empty()).into_iter().chain(trunks).collect();
    // Whom nobody but the provider reaches is as it should be.
    let tone = if row.sources > 0 { Tone::Warn } else { Tone::Plain };
    vec![
        (row.host.to_string(), tone),
        plain(format!("{} {}", row.transport, row.port)),
        plain(requests.join(", ")),
        plain(statuses.join(" ")),
        (by.join(", "), tone),
        plain(when::shown(row.last)),
    ]
}

fn accepted(row: &Registered) -> Vec<Cell> {
    vec![
        plain(row.source.to_string()),
        plain(row.host.to_string()),
        plain(format!("{} {}", row.transport, row.port)),
        plain(row.count.to_string()),
        plain(when::shown(row.last)),
    ]
}

fn host(row: &HostView) -> Vec<Cell> {
    let count = |count: u64| plain(count.to_string());
    let ports: Vec<String> = row.ports.iter().map(|it| format!("{}/{}", it.port, it.transport)).collect();
    vec![
        plain(row.host.to_string()),
        plain(ports.join(" ")),
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
