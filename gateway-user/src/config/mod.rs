//! The policy file: read, validated as a whole, every error at once.

mod ask;
mod check;
mod file;
mod floor;
mod heads;
mod import;
mod journal;
mod keys;
mod limit;
mod list;
mod list_file;
mod model;
mod named;
mod network;
mod notify;
mod overlap;
mod problem;
mod profile;
mod region;
mod schedule;
mod section;
mod site;
pub mod snapshot;
mod syntax;
mod tallies;
mod values;
mod windows;

use std::{path::Path, sync::Arc};

use jiff::civil::Date;
use toml::de::DeTable;

pub use floor::Breaker;
pub use list_file::{ListFile, Writer as ListWriter};
pub use model::*;
pub use problem::{Complaint, Problem, Problems, Warning};
pub use tallies::Tallies;
pub use values::duration;
pub use windows::allowance;

pub(crate) use region::known_region;
pub(crate) use tallies::MOST_NUMBERS;

use keys::Kind;
use list::Lists;
use problem::Report;
use section::Section;

/// The largest policy file; lists stand in files of their own.
const LARGEST: u64 = 4 << 20;

const EXAMPLE: &str = include_str!("../../policies/example.toml");

/// What the built-in example is called.
pub const EXAMPLE_NAME: &str = "built-in example (JP, enforce)";

/// The text of the built-in example policy.
pub const fn example() -> &'static str {
    EXAMPLE
}

/// The built-in example policy: region JP, enforcing, floor off. What `replay` and `explain` use without a policy.
pub fn built_in() -> Result<Config, Problems> {
    parse(EXAMPLE, None, Path::new(".")).map(|(config, _)| config)
}

/// Reads a policy file and the lists it names.
pub fn load(path: &Path) -> Result<(Config, Vec<Warning>), Problems> {
    let text = file::read_text(path, LARGEST).map_err(|unreadable| {
        let mut problems = Problems::of_file(&path.display().to_string(), unreadable.complaint);
        if let Some(problem) = problems.problems.first_mut() {
            problem.line = unreadable.line;
        }
        problems
    })?;
    let base_dir = path.parent().unwrap_or(Path::new("."));
    parse(&text, Some(path), base_dir)
}

/// Reads the text of a policy. `origin` is the file it came from, for messages; lists are found relative to `base_dir`.
pub fn parse(text: &str, origin: Option<&Path>, base_dir: &Path) -> Result<(Config, Vec<Warning>), Problems> {
    parse_on(text, origin, base_dir, jiff::Zoned::now().date())
}

/// [`parse`] as of one day: list entries that expired before it are skipped.
fn parse_on(
    text: &str,
    origin: Option<&Path>,
    base_dir: &Path,
    today: Date,
) -> Result<(Config, Vec<Warning>), Problems> {
    let file = origin.map_or_else(|| EXAMPLE_NAME.to_owned(), |path| path.display().to_string());
    let short =
        origin.and_then(Path::file_name).map_or_else(|| file.clone(), |name| name.to_string_lossy().into_owned());
    let mut report = Report::new(file, short, text);
    if let Some(span) = syntax::too_deep(text) {
        report.problem(&span, Complaint::new("keys nested hundreds deep", "look whether it is the right file"));
        return Err(report.problems());
    }
    let table = syntax::table(&mut report, text);
    let config = policy(&mut report, &table, &Lists { base_dir, today });
    let warnings = report.finish()?;
    Ok((Config { path: origin.map(Path::to_path_buf), ..config }, warnings))
}

/// Walks the whole file. Where something is wrong a default stands in, and the report says that there is a problem.
fn policy(report: &mut Report<'_>, table: &DeTable<'_>, lists: &Lists<'_>) -> Config {
    let top = Section::new(report, Kind::Top, table);
    let mode = top.choice(report, "mode", &[("monitor", Mode::Monitor), ("enforce", Mode::Enforce)]);
    let floor = top.flag(report, "floor").unwrap_or(true);
    let breaker = floor::breaker(report, &top);
    let interfaces = site::interfaces(report, &top);
    let sip = site::sip(report, &top);
    let calendar = schedule::calendar(report, &top, lists.today);
    let site = site::site(report, &top, calendar.zone.clone());
    let trunks = limit::trunks(report, &top, &interfaces);
    let limits = limit::limits(report, &top);
    let schedules = schedule::schedules(report, &top, &calendar);
    let emergency_unproved = limit::emergency(report, &top);
    let ceiling = limit::ceiling(report, &top);
    let journal = journal::journal(report, &top);
    let notify = notify::notify(report, &top, lists.base_dir);

    let mut written = vec![profile::Written::named("default")];
    for named in top.named(report, "profile", Kind::Profile) {
        let profile = profile::read(report, lists, &named);
        match written.first_mut() {
            Some(default) if profile.name == default.name => *default = profile,
            _ => written.push(profile),
        }
    }
    let entries: Vec<&schedule::Written> = written.iter().flat_map(profile::Written::scheduled).collect();
    schedule::check(report, &schedules, &entries, &limits);
    let (import_spans, imports): (Vec<_>, Vec<_>) = import::imports(report, &top, lists).into_iter().unzip();
    let profiles = profile::merge(&written, &site.region);
    ask::check(report, &limits, &notify);
    check::limits(report, &written, &limits);
    check::outside_registration(report, &site, &interfaces, &profiles);
    check::sources(report, &written, &trunks);
    check::profiles(report, &written, &profiles, &site.own_numbers);
    let config = Config {
        path: None,
        mode: mode.unwrap_or(Mode::Monitor),
        floor,
        breaker,
        interfaces,
        sip,
        site,
        profiles,
        trunks: trunks.into_iter().map(|(trunk, _)| trunk).collect(),
        emergency_unproved,
        ceiling,
        limits: limits.into_iter().map(|(_, limit)| limit).collect(),
        schedules: schedules.into_iter().map(|(_, schedule)| schedule).collect(),
        imports,
        imported: Arc::default(),
        journal,
        notify,
        as_of: None,
        overridden: Overridden::default(),
    };
    import::warnings(report, &config, &import_spans);
    config
}

#[cfg(test)]
mod tests;
