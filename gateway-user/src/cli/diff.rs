//! `tollgate diff`.

use std::{collections::HashMap, path::PathBuf};

use clap::Args;

use super::{
    Failure, Out, Tone,
    args::{POLICY, Places},
};
use crate::{
    config::{self, Config, snapshot},
    control::{client::Client, protocol::Command},
    diff,
};

/// Lines shown of one part; a list of another month can differ in thousands.
const SHOWN: usize = 40;

/// `diff`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate diff                                        what a reload would change: the policy file against the policy in force
  tollgate diff new.toml                               another file against the policy in force
  tollgate diff new.toml --config /etc/tollgate/tollgate.toml
  tollgate diff new.toml --json | jq -r 'select(.after == \"allow\") | .what'
Lists and classes are compared by what they answer. Orders are left out: they stay, whatever the file says.
Ends 0 if nothing would change, 1 if something would, 2 if a policy does not load.")]
pub struct DiffArgs {
    /// The policy file that would be loaded
    #[arg(value_name = "FILE", env = "TOLLGATE_CONFIG", hide_env_values = true, default_value = POLICY)]
    pub file: PathBuf,
    /// Compare with this policy file instead of the policy in force
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object for each difference, then one for the whole
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(args: &DiffArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let after = load(&args.file)?;
    let before = match &args.config {
        Some(file) => load(file)?,
        None => in_force(places)?,
    };
    let changes = diff::changes(&before, &after);
    if args.json {
        for change in &changes {
            out.json(change)?;
        }
        out.json(&serde_json::json!({"same": changes.is_empty(), "file": args.file, "changes": changes.len()}))?;
    } else {
        show(&changes, out)?;
        kept(&before, out)?;
    }
    if changes.is_empty() { Ok(()) } else { Err(Failure::Refused(String::new())) }
}

fn load(file: &std::path::Path) -> Result<Config, Failure> {
    config::load(file).map(|(config, _)| config).map_err(|problems| {
        Failure::Usage(format!("{}: would not load, so there is nothing to compare\n{problems}", file.display()))
    })
}

fn in_force(places: &Places) -> Result<Config, Failure> {
    let lines = Client::connect(&places.socket)?.stream(&Command::Policy {})?;
    snapshot::read(lines).map_err(|error| {
        Failure::Refused(format!(
            "the daemon's policy cannot be read: {error}; use the `tollgate` that belongs to the running daemon, or \
             compare with a file by --config"
        ))
    })
}

fn show(changes: &[diff::Change], out: &mut Out) -> Result<(), Failure> {
    if changes.is_empty() {
        return Ok(out.toned("nothing would change", Tone::Good)?);
    }
    let mut shown: HashMap<&str, usize> = HashMap::new();
    for change in changes {
        let count = shown.entry(&change.part).or_default();
        *count += 1;
        if *count <= SHOWN {
            let tone = match change.after.as_deref() {
                _ if change.before == change.after => Tone::Dim,
                Some("block") => Tone::Bad,
                Some("allow") => Tone::Good,
                _ => Tone::Plain,
            };
            out.toned(&change.to_string(), tone)?;
        }
    }
    let mut more: Vec<_> = shown.into_iter().filter(|(_, count)| *count > SHOWN).collect();
    more.sort_unstable();
    for (part, count) in more {
        out.toned(&format!("{part}: and {} more; --json shows all", count - SHOWN), Tone::Dim)?;
    }
    Ok(())
}

/// What a reload would leave alone.
fn kept(before: &Config, out: &mut Out) -> Result<(), Failure> {
    for (kept, what, option) in
        [(before.overridden.mode, "the mode", "--mode"), (before.overridden.interfaces, "the interfaces", "--iface")]
    {
        if kept {
            out.toned(&format!("{what} would stay: the daemon was started with {option}"), Tone::Dim)?;
        }
    }
    Ok(())
}
