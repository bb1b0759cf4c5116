//! What the site calls, from the journal, and the limit that is to hold it.

use jiff::Timestamp;

use super::{Core, core::reply};
use crate::{
    config::LimitKey,
    control::{
        Answer,
        suggest::{PeakView, SuggestionView, bursts, rows},
    },
    journal,
    suggest::{ENOUGH, LEAST, Proposed, of_floor, of_line, of_site},
};

impl Core {
    /// Windows for calls abroad, from what the journal has of them since then.
    pub(super) fn suggest(&self, since: Option<Timestamp>) -> Answer {
        let span = self.span(since, None);
        let lost = self.journal.state().lost;
        let file = self.config.path.as_ref().map(|path| path.display().to_string());
        let abroad = Some(gateway_common::Class::International);
        let limit = self.config.limits.iter().find(|limit| {
            limit.key == LimitKey::Line
                && limit.class == abroad
                && !limit.windows.is_empty()
                && limit.schedule.is_none()
        });
        let in_force = limit.into_iter().flat_map(|limit| limit.windows.iter().chain(&limit.site_windows));
        let in_force = in_force.map(ToString::to_string).collect();
        let limit = limit.map(|limit| limit.name.clone());
        let floor = if self.config.floor { self.config.breaker.windows.clone() } else { Vec::new() };
        self.later(move |reader| {
            let found = journal::peaks(reader, &span)?;
            // The line that reached the most is another in each window.
            let highest = |place: usize| found.lines.iter().map(|(_, peaks)| peaks[place]).max().unwrap_or(0);
            let line = [0, 1, 2, 3].map(highest);
            let country = |place: usize| found.countries.iter().map(|(_, peaks)| peaks[place]).max().unwrap_or(0);
            let floor_windows = of_floor([0, 1, 2, 3].map(country), &floor);
            let texts = |windows: Vec<Proposed>| windows.iter().map(Proposed::text).collect();
            let observed = u64::try_from(found.observed.as_secs()).unwrap_or(0);
            let view = SuggestionView {
                file,
                limit,
                in_force,
                since: found.since,
                observed,
                missing: ENOUGH.saturating_sub(observed),
                calls: found.calls,
                refused: found.refused,
                line: PeakView { of: "line".into(), peaks: line },
                site: PeakView { of: "site".into(), peaks: found.site },
                windows: texts(of_line(line, &LEAST)),
                site_windows: texts(of_site(found.site, &LEAST)),
                floor_in_force: floor.iter().map(ToString::to_string).collect(),
                floor_windows: texts(floor_windows),
                lines: rows(found.lines),
                countries: rows(found.countries),
                bursts: bursts(found.bursts),
                damaged: found.damaged,
                lost,
            };
            Ok(Answer::Reply(reply(&view)))
        })
    }
}
