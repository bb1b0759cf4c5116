//! Reading what was kept, while it is being written to.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _},
    ops::RangeInclusive,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use jiff::{Timestamp, tz::TimeZone};

use super::{Entry, Lane, lane, line};

/// Longest line that is read; longer ones are damaged.
const LONGEST: u64 = 64 * 1024;

/// Hands every record of these lanes whose packets arrived in `span` to `visit`, each lane from the oldest to the newest.
/// Returns how many lines are damaged and were left out.
///
/// # Errors
///
/// Where a lane, or a segment of it, cannot be read. A lane that was never written to is empty.
pub(super) fn read(
    dir: &Path,
    lanes: &[Lane],
    span: &RangeInclusive<Timestamp>,
    visit: &mut dyn FnMut(Entry),
) -> io::Result<u64> {
    let mut damaged = 0;
    // A record is written later than it happened, never earlier.
    let first_day = span.start().to_zoned(TimeZone::UTC).date();
    for lane in lanes {
        let segments = match lane::segments(&dir.join(lane.name())) {
            Ok(segments) => segments,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for segment in segments.iter().filter(|segment| segment.day >= first_day) {
            let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&segment.path) {
                Ok(file) => file,
                // Purged meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            damaged += read_segment(file, &mut |entry| {
                let end = match &entry {
                    Entry::Decision(decision) => decision.end(),
                    Entry::Change(change) => change.time,
                };
                if end >= *span.start() && entry.time() <= *span.end() {
                    visit(entry);
                }
            })?;
        }
    }
    Ok(damaged)
}

/// The lines of one segment. What follows its last line end is still being written.
fn read_segment(file: File, visit: &mut dyn FnMut(Entry)) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(LONGEST as usize, file.take(len));
    let mut line = Vec::new();
    let mut damaged = 0;
    loop {
        line.clear();
        reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        match line.pop() {
            None => return Ok(damaged),
            Some(b'\n') if line.is_empty() => {}
            Some(b'\n') => match line::decode(&line) {
                Some(entry) => visit(entry),
                None => damaged += 1,
            },
            Some(_) => damaged += u64::from(line.len() as u64 + 1 == LONGEST),
        }
    }
}
