//! `tollgate international off` and `restore`, `tollgate shield on` and `off`.

use clap::{Args, Subcommand};

use super::{
    Failure, Out,
    args::{End, Places, what},
    ask,
    order::{expires, show},
};
use crate::control::protocol::{Command, NewOrder, ScopeView};

pub(super) const INTERNATIONAL_EXAMPLES: &str = "\
Examples:
  tollgate international off --reason 'calls to Sierra Leone at night'
  tollgate international off --except GB +37167 --until 'mon 08:00'
  tollgate international off --profile lobby
  tollgate international restore

No allow, of an order or of the file, lifts it; only --except does. Emergency calls, calls inside the country, own numbers
and extensions stay open. It ends 1 where the self-test that follows finds a call judged otherwise.";

/// `shield`.
#[derive(Clone, Debug, Subcommand)]
pub enum Shield {
    /// Stop what sources that nobody knows start, now, in either mode; emergency calls pass
    On(ShieldOnArgs),
    /// Take every shield in force down
    Off(ShieldOffArgs),
}

/// `shield on`.
#[derive(Clone, Debug, Args)]
pub struct ShieldOnArgs {
    /// When it ends.
    #[command(flatten)]
    pub end: End,
    /// Why; kept with the order
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `shield off`.
#[derive(Clone, Debug, Args)]
pub struct ShieldOffArgs {
    /// Why; kept with the order
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `international`.
#[derive(Clone, Debug, Subcommand)]
pub enum International {
    /// Stop every call that leaves the country, now, in either mode
    #[command(after_help = INTERNATIONAL_EXAMPLES)]
    Off(InternationalOffArgs),
    /// Take back every `international off` in force
    Restore(RestoreArgs),
}

/// `international off`.
#[derive(Clone, Debug, Args)]
pub struct InternationalOffArgs {
    /// Only calls of the sources of this profile
    #[arg(long, value_name = "NAME", conflicts_with = "line")]
    pub profile: Option<String>,
    /// Only calls of this line
    #[arg(long, value_name = "NAME")]
    pub line: Option<String>,
    /// What stays open: numbers that begin so (+4420) or countries (GB)
    #[arg(long, value_name = "WHAT", num_args = 1.., value_parser = what)]
    pub except: Vec<String>,
    /// When it ends.
    #[command(flatten)]
    pub end: End,
    /// Why; kept with the order
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `international restore`.
#[derive(Clone, Debug, Args)]
pub struct RestoreArgs {
    /// Only what was switched off for this profile
    #[arg(long, value_name = "NAME", conflicts_with = "line")]
    pub profile: Option<String>,
    /// Only what was switched off for this line
    #[arg(long, value_name = "NAME")]
    pub line: Option<String>,
    /// Why; kept with the order
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

pub(super) fn international(command: &International, places: &Places, out: &mut Out) -> Result<(), Failure> {
    match command {
        International::Off(args) => off(args, places, out),
        International::Restore(args) => restore(args, places, out),
    }
}

fn off(args: &InternationalOffArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let new = NewOrder {
        what: args.except.clone(),
        scope: scope(args.profile.as_ref(), args.line.as_ref()).unwrap_or_default(),
        reason: args.reason.clone(),
        expires: expires(&args.end, places)?,
        ..NewOrder::default()
    };
    show(ask(places, &Command::InternationalOff(new)), args.json, out)
}

fn restore(args: &RestoreArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let scope = scope(args.profile.as_ref(), args.line.as_ref());
    show(ask(places, &Command::InternationalRestore { scope, reason: args.reason.clone() }), args.json, out)
}

pub(super) fn shield(command: &Shield, places: &Places, out: &mut Out) -> Result<(), Failure> {
    match command {
        Shield::On(args) => {
            let expires = expires(&args.end, places)?;
            let new = NewOrder { reason: args.reason.clone(), expires, ..NewOrder::default() };
            show(ask(places, &Command::ShieldOn(new)), args.json, out)
        }
        Shield::Off(args) => show(ask(places, &Command::ShieldOff { reason: args.reason.clone() }), args.json, out),
    }
}

fn scope(profile: Option<&String>, line: Option<&String>) -> Option<ScopeView> {
    let profile = profile.map(|name| ScopeView::Profile(name.clone()));
    profile.or_else(|| line.map(|name| ScopeView::Line(name.clone())))
}
