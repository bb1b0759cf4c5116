//! What toll fraud costs over a weekend under the shipped policy, and what honest years and storms lose by it.
//!
//! Everything is played on a scripted clock through the engine of this process: real frames, both directions, with the
//! answers of PBX and provider and the timers of RFC 3261; at the edges of schedules the policy is put in force anew, as the
//! daemon does it. Results are counts, and the same in every run.
//!
//! The paces are those of known cases: 22 calls a minute (a call each 2.67 s in the New York Times' case), 4 (11,000 calls to
//! Latvia and Somalia in 46 hours), 2.8 (8,000 calls to Sierra Leone in two days, Asahi Shimbun, 2015).

mod attack;
mod call;
mod gate;
mod honest;
mod run;
mod storm;
mod world;

use std::fmt::Write as _;

use anyhow::Result;
use gateway_user::config::Mode;

pub use attack::{Aim, Attack, Loss, Place, WEEKEND, When};
pub use gate::installed;
pub use honest::{Office, Tally};
pub use storm::{STORMS, Storm};
pub use world::Tariff;

/// What a weekend of fraud costs under the shipped policy for Japan, and what honest years lose by it.
///
/// Two tables: attacks, each in monitor and in enforce mode; and offices and storms, with what was cut in enforce mode, and in
/// monitor mode, where only the floor acts.
#[derive(Debug, clap::Parser)]
#[command(name = "tollgate-weekend")]
pub struct Options {
    /// Every combination of attacks instead of those that differ from the first in one thing.
    #[arg(long)]
    all: bool,
    /// Hours of the weekend, from Friday 18:00 on.
    #[arg(long, default_value_t = WEEKEND / 3600)]
    hours: u64,
    /// Days of the honest years.
    #[arg(long, default_value_t = 365)]
    days: u64,
}

/// Plays everything and prints the tables.
pub fn main(options: &Options) -> Result<()> {
    weekend(options)?;
    years(options)
}

fn weekend(options: &Options) -> Result<()> {
    let tariff = Tariff::load()?;
    println!(
        "The weekend: {} hours from Friday 18:00 on, and a day from Tuesday 10:00 on; policies/jp.toml with its trunk named, \
         floor on",
        options.hours
    );
    println!(
        "{:<7} {:<8} {:>6} {:>6} {:>5} {:<9} {:>7} {:<8} {:>8} {:>8} {:>10} {:>9} {:>14}  cut for",
        "when",
        "from",
        "/day",
        "talk s",
        "users",
        "to",
        "sources",
        "mode",
        "dialled",
        "through",
        "before cut",
        "last at h",
        "yen"
    );
    let attacks = if options.all { attack::all() } else { attack::shown() };
    for attack in attacks {
        for mode in [Mode::Monitor, Mode::Enforce] {
            let loss = attack.play(mode, attack.seconds().min(options.hours * 3600), &tariff)?;
            println!("{}", line(&attack, mode, &loss));
        }
    }
    Ok(())
}

fn line(attack: &Attack, mode: Mode, loss: &Loss) -> String {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let when = match attack.when {
        When::Friday => "friday",
        When::Tuesday => "tuesday",
    };
    let place = match attack.place {
        Place::Account => "account",
        Place::Pc => "pc",
        Place::Pbx => "pbx",
    };
    let aim = match attack.aim {
        Aim::Listed => "listed",
        Aim::Unlisted => "unlisted",
        Aim::Twenty => "20",
    };
    format!(
        "{when:<7} {place:<8} {:>6} {:>6} {:>5} {aim:<9} {:>7} {:<8} {:>8} {:>8} {:>10} {:>9} {:>14}  {}",
        attack.pace,
        attack.talk,
        attack.users,
        attack.sources,
        mode.as_str(),
        loss.dialled,
        loss.through,
        or_none(loss.before_cut.map(|calls| calls.to_string())),
        or_none(loss.last.map(|second| format!("{:.1}", second as f64 / 3600.0))),
        loss.yen,
        or_none(loss.reason.map(|reason| reason.as_str().to_owned())),
    )
}

fn years(options: &Options) -> Result<()> {
    println!("\nHonest years: {} days from a Monday on", options.days);
    println!(
        "{:<48} {:>8} {:>7} {:>8} {:>7} {:>5} {:>8} {:>9}  cut for",
        "", "calls", "abroad", "others", "delayed", "cut", "but list", "by floor"
    );
    for stations in [10, 30, 100] {
        for (abroad, partner) in [(0.1, false), (0.3, false), (0.3, true)] {
            let office = Office { stations, abroad, partner };
            let half = if partner { ", half to one country" } else { "" };
            let name = format!("{stations} stations, {:.0} % abroad{half}", abroad * 100.0);
            let (enforced, monitored) =
                (office.play(Mode::Enforce, options.days)?, office.play(Mode::Monitor, options.days)?);
            println!("{}", tallied(&name, &enforced, &monitored));
        }
    }
    for storm in STORMS {
        println!("{}", tallied(storm.name(), &storm.play(Mode::Enforce)?, &storm.play(Mode::Monitor)?));
    }
    Ok(())
}

fn tallied(name: &str, enforced: &Tally, monitored: &Tally) -> String {
    let mut reasons = String::new();
    for (reason, count) in &enforced.cut {
        // Writing to a String cannot fail.
        let _ = write!(reasons, " {reason} {count}");
    }
    format!(
        "{name:<48} {:>8} {:>7} {:>8} {:>7} {:>5} {:>8} {:>9} {}",
        enforced.calls,
        enforced.abroad,
        enforced.others,
        enforced.delayed,
        enforced.cuts(),
        enforced.cuts_but_listed(),
        monitored.cuts(),
        if reasons.is_empty() { " -" } else { &reasons },
    )
}
