//! What was decided: the decisions that a question picks, the latest of them.

use std::{io, net::IpAddr, ops::RangeInclusive};

use jiff::Timestamp;

use super::{Decision, Entry, Lane, Reader};

/// Which decisions are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Only of this source.
    pub from: Option<IpAddr>,
    /// Only to one of these numbers, masked as the journal has them; empty for any.
    pub numbers: Vec<String>,
    /// Only of a line with one of these digests; empty for any.
    pub lines: Vec<u64>,
    /// Only of this time.
    pub span: RangeInclusive<Timestamp>,
    /// As many, the latest.
    pub most: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The latest decisions, oldest first, each with its lane.
    pub decisions: Vec<(Lane, Decision)>,
    /// How many older ones were left out.
    pub more: u64,
    /// Records that are damaged and were left out.
    pub damaged: u64,
}

/// Answers a question.
///
/// # Errors
///
/// Where the files cannot be read.
pub fn ask(reader: &Reader, question: &Question) -> io::Result<Found> {
    let mut latest = Latest::new(question.most);
    let damaged = reader.read(&[Lane::Own, Lane::Passed, Lane::Unproved], &question.span, &mut |entry| {
        let lane = entry.lane();
        if let Entry::Decision(decision) = entry
            && question.from.is_none_or(|from| from == decision.source)
            && (question.lines.is_empty() || decision.line().is_some_and(|line| question.lines.contains(&line)))
            && (question.numbers.is_empty() || decision.number.as_ref().is_some_and(|it| question.numbers.contains(it)))
        {
            latest.take(lane, decision);
        }
    })?;
    let (decisions, more) = latest.finish();
    Ok(Found { decisions, more, damaged })
}

/// The latest of many decisions, in bounded memory.
pub struct Latest {
    most: usize,
    kept: Vec<(Lane, Decision)>,
    left_out: u64,
}

impl Latest {
    /// As many, and no more.
    pub const fn new(most: usize) -> Self {
        Self { most, kept: Vec::new(), left_out: 0 }
    }

    /// Takes one.
    pub fn take(&mut self, lane: Lane, decision: Decision) {
        self.kept.push((lane, decision));
        if self.kept.len() > 4 * self.most.max(16) {
            self.cut();
        }
    }

    /// The latest, oldest first, and how many were left out.
    pub fn finish(mut self) -> (Vec<(Lane, Decision)>, u64) {
        self.cut();
        (self.kept, self.left_out)
    }

    fn cut(&mut self) {
        self.kept.sort_by_key(|(_, decision)| decision.end());
        let over = self.kept.len().saturating_sub(self.most);
        self.kept.drain(..over);
        self.left_out += over as u64;
    }
}
