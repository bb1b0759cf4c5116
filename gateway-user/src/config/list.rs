//! `block_files`: one entry a line, `#` comments, or CSV `prefix,expiry,reason`.

use std::{ops::Range, path::Path, sync::Arc};

use jiff::civil::Date;

use super::{
    ListFile, ListWriter,
    file::{self, read_text},
    keys::shown,
    problem::{Complaint, Report},
    profile::destination,
};
use crate::digits::Digits;

/// A million lines with expiry and reason, twice over.
const LARGEST: u64 = 128 << 20;
/// Problems told of one list; a list of another kind altogether would fill the screen.
const TOLD: usize = 100;
/// Characters of a reason that are kept.
const REASON: usize = 200;

/// Reads lists relative to one folder, as of one day.
pub(super) struct Lists<'a> {
    /// The folder that the policy stands in.
    pub(super) base_dir: &'a Path,
    /// Entries that expired before this day are skipped.
    pub(super) today: Date,
}

impl Lists<'_> {
    /// Reads the list that the policy names at `span`: what of it is in force, and `None` where it cannot be read.
    pub(super) fn read(&self, report: &mut Report<'_>, span: &Range<usize>, name: &str) -> Option<Arc<ListFile>> {
        match read_text(&self.base_dir.join(name), LARGEST) {
            Ok(text) => Some(Arc::new(self.lines(report, name, &text))),
            Err(file::Unreadable { line: 0, complaint }) => {
                let message = format!("block_files: {}: {}", shown(name), complaint.message);
                report.problem(span, Complaint { message, ..complaint });
                None
            }
            Err(file::Unreadable { line, complaint }) => {
                report.problem_in(name, line, complaint);
                None
            }
        }
    }

    fn lines(&self, report: &mut Report<'_>, name: &str, text: &str) -> ListFile {
        let mut list = ListWriter::new(name);
        let mut wrong = 0;
        let mut last = 0;
        for (i, line) in text.lines().enumerate() {
            // Nearly every line of a long list is a plus and digits.
            if let Some(digits) = line.strip_prefix('+').and_then(|rest| Digits::of_prefix(rest.as_bytes())) {
                list.prefix(digits, i + 1, None);
                continue;
            }
            match self.line(line) {
                Ok(Some((what, reason))) => list.add(what, i + 1, reason.as_deref()),
                Ok(None) => {}
                Err(complaint) => {
                    wrong += 1;
                    last = i + 1;
                    if wrong <= TOLD {
                        report.problem_in(name, i + 1, complaint);
                    }
                }
            }
        }
        if wrong > TOLD {
            let message = format!("and {} more lines like these, the last at line {last}", wrong - TOLD);
            report.problem_in(
                name,
                last,
                Complaint::new(message, "write one entry a line; nothing of the list is loaded"),
            );
        }
        list.finish()
    }

    /// What a line says: nothing, an entry that is in force, or why it cannot be read.
    fn line(&self, line: &str) -> Result<Option<(crate::what::What, Option<String>)>, Complaint> {
        let line = without_comment(line).trim();
        if line.is_empty() {
            return Ok(None);
        }
        let mut fields = line.splitn(3, ',').map(|field| field.trim().trim_matches('"'));
        let what = destination(fields.next().unwrap_or_default(), false)?;
        let expiry = fields.next().unwrap_or_default();
        if !expiry.is_empty() {
            let Ok(date) = expiry.parse::<Date>() else {
                return Err(Complaint::new(
                    format!("{:?} is no date", shown(expiry)),
                    "write the day it expires, such as 2026-12-31",
                ));
            };
            if date < self.today {
                return Ok(None);
            }
        }
        let reason = fields.next().filter(|reason| !reason.is_empty());
        Ok(Some((what, reason.map(clean))))
    }
}

/// The line up to a `#` that begins it or follows a blank; one inside `dial:#31#` is a key of the telephone.
fn without_comment(line: &str) -> &str {
    if !line.contains('#') {
        return line;
    }
    let mut before = ' ';
    for (i, c) in line.char_indices() {
        if c == '#' && before.is_whitespace() {
            return line.get(..i).unwrap_or(line);
        }
        before = c;
    }
    line
}

/// A reason that a terminal can show.
fn clean(reason: &str) -> String {
    reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON).collect()
}
