//! `tollgate replay`.

use std::{collections::BTreeMap, path::Path};

use gateway_common::{Reason, Verdict};
use jiff::Timestamp;

use super::{
    Failure, Out, Tone,
    args::{Engine as Choice, ReplayArgs},
    plain, when,
};
use crate::{
    config::{self, Config, EXAMPLE_NAME},
    engine::{Engine, host::HostEngine},
    kernel::Probe,
    policy::{self, PolicyImage},
    replay::{self, Line},
    zone,
};

pub(super) fn run(args: &ReplayArgs, out: &mut Out) -> Result<(), Failure> {
    let (config, name) = policy(args.config.as_deref())?;
    let at = args.at.as_ref().map_or_else(|| Ok(Timestamp::now()), when::Typed::here)?;
    let image = image(&config.at(at))?;
    let mut engine = engine(args.engine, image)?;
    if !args.json {
        out.line(&format!("policy: {name}"))?;
    }
    let mut summary = Summary::default();
    let mut unread = 0;
    for path in &args.paths {
        let sources = match replay::sources(path, args.sip) {
            Ok(sources) => sources,
            Err(error) => {
                complain(out, &error)?;
                unread += 1;
                continue;
            }
        };
        for source in sources {
            let mut output = Ok(());
            let ended = replay::replay(&source, engine.as_mut(), &mut |line| {
                summary.count(&line);
                output = if args.json { out.json(&line).map_err(Failure::from) } else { show(&line, out) };
                if output.is_err() {
                    anyhow::bail!("the output ended");
                }
                Ok(())
            });
            output?;
            if let Err(error) = ended {
                complain(out, &error)?;
                unread += 1;
            }
        }
    }
    if !args.json {
        summary.show(out)?;
    }
    if unread > 0 {
        return Err(Failure::Refused(format!("{unread} of the files could not be replayed to the end")));
    }
    Ok(())
}

/// The policy of a file, or the built-in example; and its name.
pub(super) fn policy(file: Option<&Path>) -> Result<(Config, String), Failure> {
    let found = match file {
        Some(path) => config::load(path).map(|(config, _)| (config, path.display().to_string())),
        None => config::built_in().map(|config| (config, EXAMPLE_NAME.to_owned())),
    };
    let (config, name) = found.map_err(|problems| Failure::Refused(problems.to_string()))?;
    zone::set(config.site.time_zone.as_deref());
    Ok((config, name))
}

/// The image of a policy without orders, whatever the interfaces are.
pub(super) fn image(config: &Config) -> Result<PolicyImage, Failure> {
    policy::compile(config, &[], &std::collections::HashMap::new(), 1)
        .map(|(image, _)| image)
        .map_err(|errors| Failure::Refused(errors.to_string()))
}

fn engine(choice: Choice, image: PolicyImage) -> Result<Box<dyn Engine>, Failure> {
    match choice {
        Choice::Host => Ok(Box::new(HostEngine::new(image))),
        Choice::Kernel => match Probe::new(&image.cells) {
            Ok(probe) => Ok(Box::new(probe)),
            Err(error) => Err(Failure::NoDaemon(format!("{error:#}; or leave out --engine kernel"))),
        },
    }
}

/// Says what went wrong behind the lines before it.
fn complain(out: &mut Out, error: &anyhow::Error) -> Result<(), Failure> {
    out.flush()?;
    eprintln!("tollgate: {error:#}");
    Ok(())
}

fn show(line: &Line, out: &mut Out) -> Result<(), Failure> {
    if line.reason_kind == Reason::NotSip {
        return Ok(());
    }
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let name =
        Path::new(&line.file).file_name().map_or_else(|| line.file.clone(), |name| name.to_string_lossy().into());
    let source = line.source.map_or_else(|| "-".to_owned(), |source| source.to_string());
    let text = format!(
        "{name:12} {:>6} {:>10.3}  {:10} {:19} {:9} {:22} {:15} {:2}  {source}",
        line.packet,
        line.time,
        line.verdict,
        line.reason,
        or_dash(line.method),
        or_dash(line.dialled.as_deref()),
        or_dash(line.class),
        or_dash(line.country),
    );
    Ok(out.toned(&text, Tone::of_verdict(line.verdict))?)
}

/// Packets by reason and verdict.
#[derive(Default)]
struct Summary(BTreeMap<(Verdict, Reason), u64>);

impl Summary {
    fn count(&mut self, line: &Line) {
        *self.0.entry((line.verdict_kind, line.reason_kind)).or_default() += 1;
    }

    fn show(&self, out: &mut Out) -> Result<(), Failure> {
        let total: u64 = self.0.values().sum();
        let of = |wanted: Verdict| -> u64 {
            self.0.iter().filter(|((verdict, _), _)| *verdict == wanted).map(|(_, count)| count).sum()
        };
        out.line("")?;
        let rows: Vec<_> = self
            .0
            .iter()
            .map(|((verdict, reason), count)| {
                vec![
                    plain(count.to_string()),
                    (verdict.as_str().to_owned(), Tone::of_verdict(verdict.as_str())),
                    plain(reason.as_str()),
                ]
            })
            .collect();
        out.table(&[">packets", "verdict", "reason"], &rows)?;
        let [passed, would, dropped] =
            [of(Verdict::Pass), of(Verdict::WouldDrop), of(Verdict::Drop) + of(Verdict::Reject)];
        Ok(out.line(&format!(
            "{total} packets: {passed} passed, {would} would be dropped in enforce mode, {dropped} dropped"
        ))?)
    }
}
