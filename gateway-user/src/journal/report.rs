//! What was stopped and what was changed, summed up.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::IpAddr,
    ops::RangeInclusive,
};

use jiff::Timestamp;

use super::{Change, Decision, Entry, Lane, Reader};

/// How often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tally {
    /// Packets of trunk and lan sources that ended here; every one is in it.
    pub stopped: u64,
    /// Packets of trunk and lan sources that would have ended here in enforce mode; every one is in it.
    pub would_drop: u64,
    /// Packets of unproved sources that ended here, or would have; sampled, so it is the least.
    pub unproved: u64,
}

/// One row of an incident list: no number, and none can be made out from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incident {
    /// The hour in which it began, UTC.
    pub hour: Timestamp,
    /// The country that was called.
    pub country: Option<String>,
    /// Who called.
    pub source: IpAddr,
    /// `unproved`, `lan` or `trunk`.
    pub who: String,
    /// Why it was stopped.
    pub reason: String,
    /// Whether it was stopped; else it would have been in enforce mode.
    pub stopped: bool,
}

/// The sum of a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// All together.
    pub total: Tally,
    /// By country; `-` where the number has none.
    pub countries: BTreeMap<String, Tally>,
    /// By reason.
    pub reasons: BTreeMap<String, Tally>,
    /// By source.
    pub sources: HashMap<IpAddr, Tally>,
    /// By hour, UTC.
    pub hours: BTreeMap<Timestamp, Tally>,
    /// What was changed, oldest first.
    pub changes: Vec<Change>,
    /// Records that are damaged and were left out.
    pub damaged: u64,
}

/// Sums up what was stopped in `span`, and what was changed.
///
/// # Errors
///
/// Where the files cannot be read.
pub fn report(reader: &Reader, span: &RangeInclusive<Timestamp>) -> io::Result<Report> {
    let mut report = Report::default();
    let damaged = reader.read(&[Lane::Changes, Lane::Own, Lane::Unproved], span, &mut |entry| match entry {
        Entry::Change(change) => report.changes.push(change),
        Entry::Decision(decision) if decision.passed() => {}
        Entry::Decision(decision) => report.add(&decision),
    })?;
    report.changes.sort_by_key(|change| change.time);
    Ok(Report { damaged, ..report })
}

/// The incidents of `span` with how many packets each, oldest first, and how many damaged records were left out.
///
/// # Errors
///
/// Where the files cannot be read.
pub fn incidents(reader: &Reader, span: &RangeInclusive<Timestamp>) -> io::Result<(Vec<(Incident, u64)>, u64)> {
    let mut found: BTreeMap<Incident, u64> = BTreeMap::new();
    let damaged = reader.read(&[Lane::Own, Lane::Unproved], span, &mut |entry| {
        if let Entry::Decision(decision) = entry
            && !decision.passed()
        {
            let incident = Incident {
                hour: hour(decision.time),
                country: decision.country.as_deref().map(Into::into),
                source: decision.source,
                who: decision.who.clone().into(),
                reason: decision.reason.clone().into(),
                stopped: decision.stopped(),
            };
            *found.entry(incident).or_default() += decision.count;
        }
    })?;
    Ok((found.into_iter().collect(), damaged))
}

impl Report {
    fn add(&mut self, decision: &Decision) {
        let unproved = decision.lane() == Lane::Unproved;
        let country = decision.country.as_deref().unwrap_or("-").to_owned();
        let tallies = [
            &mut self.total,
            self.countries.entry(country).or_default(),
            self.reasons.entry(decision.reason.clone().into()).or_default(),
            self.sources.entry(decision.source).or_default(),
            self.hours.entry(hour(decision.time)).or_default(),
        ];
        for tally in tallies {
            let count = match (unproved, decision.stopped()) {
                (true, _) => &mut tally.unproved,
                (false, true) => &mut tally.stopped,
                (false, false) => &mut tally.would_drop,
            };
            *count += decision.count;
        }
    }
}

impl Tally {
    /// All of it, for the order of rows.
    pub const fn all(self) -> u64 {
        self.stopped + self.would_drop + self.unproved
    }
}

/// The hour that a time lies in.
fn hour(time: Timestamp) -> Timestamp {
    let second = time.as_second();
    Timestamp::from_second(second - second.rem_euclid(3600)).unwrap_or(time)
}
