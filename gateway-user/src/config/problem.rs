//! What is wrong with a policy: where, why, and what to write instead.

use std::{fmt, ops::Range};

/// How many problems a report keeps; the rest is counted. Nobody mends more in one sitting.
const KEPT: usize = 500;

/// What is wrong with one value, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {remedy}")]
pub struct Complaint {
    /// The cause.
    pub message: String,
    /// What to write or type instead.
    pub remedy: String,
}

impl Complaint {
    /// A cause and its remedy.
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

/// An error in a policy file or in a list that it names. A policy with one is not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as the operator named it.
    pub file: String,
    /// Line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 where the whole line is meant.
    pub column: usize,
    /// The cause.
    pub message: String,
    /// What to write or type instead.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}; {}", self.message, self.remedy)
    }
}

/// Something in a policy that loads but cannot be what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub Problem);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Every problem of a policy, in the order of its lines; shown one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The problems; never empty.
    pub problems: Vec<Problem>,
    /// How many more there were than are kept.
    pub more: usize,
}

impl Problems {
    /// One problem with a file as a whole.
    pub(super) fn of_file(file: &str, complaint: Complaint) -> Self {
        Self { problems: vec![at(file, 0, 0, complaint)], more: 0 }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A complaint with its place.
pub(super) fn at(file: &str, line: usize, column: usize, complaint: Complaint) -> Problem {
    Problem { file: file.to_owned(), line, column, message: complaint.message, remedy: complaint.remedy }
}

/// Collects what is found while a policy is read.
pub(super) struct Report<'t> {
    /// The file as the operator named it.
    file: String,
    /// Its last component, for the places that entries carry.
    short: String,
    text: &'t str,
    /// Offset at which each line begins.
    lines: Vec<usize>,
    problems: Vec<Problem>,
    more: usize,
    warnings: Vec<Warning>,
    /// Lines that are not TOML. What is said about them, or about something missing, would only repeat that.
    broken: Vec<usize>,
}

impl<'t> Report<'t> {
    pub(super) fn new(file: String, short: String, text: &'t str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Self { file, short, text, lines, problems: Vec::new(), more: 0, warnings: Vec::new(), broken: Vec::new() }
    }

    /// Line and column of an offset, both from 1.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|&start| start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..offset).map_or(0, |s| s.chars().count());
        (line, column + 1)
    }

    /// The place of an offset as entries carry it: `tollgate.toml:12`.
    pub(super) fn place(&self, span: &Range<usize>) -> String {
        format!("{}:{}", self.short, self.position(span.start).0)
    }

    fn keep(&mut self, problem: Problem) {
        if self.problems.len() >= KEPT {
            self.more += 1;
        } else if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// A line that is not TOML.
    pub(super) fn syntax(&mut self, span: &Range<usize>, complaint: Complaint) {
        let (line, column) = self.position(span.start);
        if self.broken.len() < KEPT {
            self.broken.push(line);
        }
        self.keep(at(&self.file.clone(), line, column, complaint));
    }

    /// A problem with what stands at `span`.
    pub(super) fn problem(&mut self, span: &Range<usize>, complaint: Complaint) {
        let (line, column) = self.position(span.start);
        if !self.broken.contains(&line) {
            self.keep(at(&self.file.clone(), line, column, complaint));
        }
    }

    /// A problem with something that is not there, told at the place that asks for it.
    pub(super) fn missing(&mut self, span: &Range<usize>, complaint: Complaint) {
        if self.broken.is_empty() {
            self.problem(span, complaint);
        }
    }

    /// A problem with an entry, which knows its own place.
    pub(super) fn problem_at_place(&mut self, place: &str, complaint: Complaint) {
        let problem = self.resolve(place, complaint);
        self.keep(problem);
    }

    /// A problem in a file that the policy names.
    pub(super) fn problem_in(&mut self, file: &str, line: usize, complaint: Complaint) {
        self.keep(at(file, line, 0, complaint));
    }

    fn resolve(&self, place: &str, complaint: Complaint) -> Problem {
        let (file, line) = place.rsplit_once(':').unwrap_or((place, "0"));
        let file = if file == self.short { &self.file } else { file };
        at(file, line.parse().unwrap_or(0), 0, complaint)
    }

    pub(super) fn warn(&mut self, span: &Range<usize>, complaint: Complaint) {
        let (line, column) = self.position(span.start);
        self.keep_warning(Warning(at(&self.file.clone(), line, column, complaint)));
    }

    pub(super) fn warn_whole(&mut self, complaint: Complaint) {
        self.keep_warning(Warning(at(&self.file.clone(), 0, 0, complaint)));
    }

    pub(super) fn warn_at_place(&mut self, place: &str, complaint: Complaint) {
        let warning = Warning(self.resolve(place, complaint));
        self.keep_warning(warning);
    }

    fn keep_warning(&mut self, warning: Warning) {
        if self.warnings.len() < KEPT && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The problems found so far.
    pub(super) fn problems(self) -> Problems {
        Problems { problems: self.problems, more: self.more }
    }

    /// The warnings, or the problems if there is one; both in the order of the lines, the policy file first.
    pub(super) fn finish(self) -> Result<Vec<Warning>, Problems> {
        let Self { file, mut problems, more, mut warnings, .. } = self;
        let order = |p: &Problem| (p.file != file, p.file.clone(), p.line, p.column);
        if problems.is_empty() {
            warnings.sort_by_key(|w| order(&w.0));
            Ok(warnings)
        } else {
            problems.sort_by_key(order);
            Err(Problems { problems, more })
        }
    }
}
