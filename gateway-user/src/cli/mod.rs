//! The command line.

pub mod answer;
pub mod args;
mod check;
mod counters;
mod detach;
pub mod diff;
mod doctor;
mod events;
mod explain;
mod exposure;
mod failure;
pub mod init;
mod list;
mod order;
mod orders;
mod out;
mod reload;
mod replay;
mod report;
mod resume;
pub mod run;
mod status;
pub mod suggest;
mod switch;
mod trace;
mod undo;
pub mod when;
mod why;

use std::process::ExitCode;

use clap::Parser as _;

pub use failure::Failure;
pub use out::{Cell, Out, Tone, plain};

use crate::{
    control::{
        client::{Client, ClientError},
        protocol::Command as Request,
    },
    daemon::Starter,
    kernel::Kernel,
};
use args::{Cli, Command, Places};

/// Reads the command line, does what it says, says how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = Out::stdout();
    let result = dispatch(&cli, &mut out).and_then(|()| Ok(out.flush()?));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // What was printed before the failure is still worth reading, unless its reader is gone.
            let _ = out.flush();
            if !failure.message().is_empty() {
                eprintln!("tollgate: {}", failure.message());
            }
            failure.exit_code()
        }
    }
}

fn dispatch(cli: &Cli, out: &mut Out) -> Result<(), Failure> {
    let places = &cli.places;
    match &cli.command {
        Command::Run(args) => run::run(args, places, starter(places), out),
        Command::Init(args) => init::run(args, out),
        Command::Check(args) => check::run(args, out),
        Command::Diff(args) => diff::run(args, places, out),
        Command::Block(args) => order::run(Request::Block, &args.order, (args.monitor, None), places, out),
        Command::Allow(args) => order::run(Request::Allow, &args.order, (false, args.max.as_deref()), places, out),
        Command::International(command) => switch::international(command, places, out),
        Command::Shield(command) => switch::shield(command, places, out),
        Command::Undo(args) => undo::run(args, places, out),
        Command::Resume(args) => resume::run(args, places, out),
        Command::Answer(args) => answer::run(*args, places, out),
        Command::Orders(args) => orders::run(*args, places, out),
        Command::List(args) => list::run(*args, places, out),
        Command::Status(args) => status::run(*args, places, out),
        Command::Counters(args) => counters::run(*args, places, out),
        Command::Events(args) => events::run(*args, places, out),
        Command::Explain(args) => explain::run(args, places, out),
        Command::Why(args) => why::run(args, places, out),
        Command::Report(args) if args.exposure => exposure::run(args, places, out),
        Command::Report(args) => report::run(args, places, out),
        Command::Suggest(args) => suggest::run(args, places, out),
        Command::Replay(args) => replay::run(args, out),
        Command::Reload(args) => reload::run(*args, places, out),
        Command::Confirm(args) => reload::confirm(*args, places, out),
        Command::Doctor(args) => doctor::run(args, places, out),
        Command::Trace(args) => trace::run(*args, places, out),
        Command::Detach(args) => detach::run(*args, places, out),
    }
}

/// How the daemon puts the filter in force.
fn starter(places: &Places) -> Starter {
    let pin_dir = places.pin_dir.clone();
    Box::new(move |config, orders| {
        let (kernel, applied) = Kernel::start(&pin_dir, config, orders)?;
        Ok((Box::new(kernel), applied))
    })
}

/// Asks the daemon one thing.
fn ask<T: serde::de::DeserializeOwned>(places: &Places, request: &Request) -> Result<T, ClientError> {
    Client::connect(&places.socket)?.ask(request)
}
