//! `tollgate init`.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{Failure, Out};
use crate::{config, init, numbering};

/// `init`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate init                                        from the interfaces of this machine
  tollgate init --pcap calls.pcap --region JP          from a capture as well: ports, providers, countries
  sudo tollgate init --output /etc/tollgate/tollgate.toml
The policy is in monitor mode: it counts and stops nothing. A file that is there is never overwritten.")]
pub struct InitArgs {
    /// A capture (pcap, pcapng) of an ordinary day: who speaks SIP, on which ports, with which countries
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Your country (ISO 3166-1), in place of that of this machine's time zone
    #[arg(long, value_name = "CC", value_parser = region)]
    pub region: Option<String>,
    /// Write to this new file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

pub(super) fn run(args: &InitArgs, out: &mut Out) -> Result<(), Failure> {
    let found = init::look(args.pcap.as_deref(), args.region.as_deref()).map_err(|error| Failure::of(&error))?;
    let text = init::policy(&found).map_err(|error| Failure::of(&error))?;
    // What is written must load, whatever names and addresses were found.
    config::parse(&text, Some(Path::new("tollgate.toml")), Path::new("."))
        .map_err(|problems| Failure::Refused(format!("what was found makes no policy: {problems}")))?;
    let Some(output) = &args.output else {
        for line in text.lines() {
            out.line(line)?;
        }
        return Ok(());
    };
    write(output, &text)?;
    let output = output.display();
    Ok(out.line(&format!("{output}: written; read it, then tollgate check {output}"))?)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        let path = path.display();
        match error.kind() {
            ErrorKind::AlreadyExists => Failure::Refused(format!(
                "{path} is there and stays as it is; write to another file, and see tollgate diff NEW --config {path}"
            )),
            ErrorKind::PermissionDenied => Failure::NoDaemon(format!("no permission to write {path}; run as root")),
            _ => Failure::Refused(format!("cannot write {path}: {error}; check that its directory is there")),
        }
    })
}

fn region(text: &str) -> Result<String, String> {
    let upper = text.to_ascii_uppercase();
    numbering::region(&upper)
        .map(|region| region.code.to_owned())
        .ok_or_else(|| "a region is an ISO 3166-1 code, such as JP, or ZZ for none".to_owned())
}
