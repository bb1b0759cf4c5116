//! The files of one lane: segments that are only appended to, and removed whole, oldest first.
//!
//! A segment is named by its number and by the day on which it was begun, so neither purging nor bounding reads any. It
//! holds one day at most.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use jiff::civil::Date;

/// As many segments share the room of a lane; removing one loses so much at once.
const PARTS: u64 = 16;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its number; numbers grow.
    pub(super) number: u64,
    /// The day on which it was begun, UTC.
    pub(super) day: Date,
    /// Octets.
    pub(super) len: u64,
    /// Where it lies.
    pub(super) path: PathBuf,
}

/// Writes octets; tests bring one that runs full.
pub(super) type Writer = Box<dyn FnMut(&mut File, &[u8]) -> io::Result<()> + Send>;

/// One lane, to be written to.
pub(super) struct LaneFiles {
    dir: PathBuf,
    room: u64,
    segments: VecDeque<Segment>,
    /// The last segment, open.
    current: Option<File>,
    writer: Writer,
}

/// The segments in `dir`, oldest first. What has another name is left alone.
pub(super) fn segments(dir: &Path) -> io::Result<VecDeque<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((number, day)) = name.to_str().and_then(parse) else { continue };
        let meta = match entry.path().symlink_metadata() {
            Ok(meta) => meta,
            // Removed since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if meta.is_file() {
            found.push(Segment { number, day, len: meta.len(), path: entry.path() });
        }
    }
    found.sort_by_key(|segment| segment.number);
    Ok(found.into())
}

fn name(number: u64, day: Date) -> String {
    format!("{number:010}-{day}.log")
}

fn parse(name: &str) -> Option<(u64, Date)> {
    let (number, rest) = name.strip_suffix(".log")?.split_once('-')?;
    Some((number.parse().ok()?, rest.parse().ok()?))
}

impl LaneFiles {
    /// Opens the lane in `dir`, making the directory where it is missing.
    pub(super) fn open(dir: &Path, room: u64) -> io::Result<Self> {
        Self::with_writer(dir, room, Box::new(File::write_all))
    }

    pub(super) fn with_writer(dir: &Path, room: u64, writer: Writer) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Ok(Self { dir: dir.to_owned(), room, segments: segments(dir)?, current: None, writer })
    }

    /// Changes how many octets it may take.
    pub(super) fn set_room(&mut self, room: u64) {
        self.room = room;
    }

    /// Octets that it takes.
    pub(super) fn len(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// The day of the oldest record.
    pub(super) fn oldest(&self) -> Option<Date> {
        self.segments.front().map(|segment| segment.day)
    }

    /// Removes the segments that were begun before `day`.
    pub(super) fn purge(&mut self, day: Date) -> io::Result<()> {
        // A clock that goes back leaves a younger segment in front of an older one, so all are looked at.
        while let Some(at) = self.segments.iter().position(|segment| segment.day < day) {
            self.remove(at)?;
        }
        Ok(())
    }

    /// Appends whole lines on `day`, and makes them durable. Returns how many of them are; the rest is not there.
    pub(super) fn append(&mut self, day: Date, lines: &[String]) -> (usize, io::Result<()>) {
        let mut done = 0;
        while let Some(rest) = lines.get(done..).filter(|rest| !rest.is_empty()) {
            match self.append_some(day, rest) {
                Ok(count) => done += count,
                Err(error) => return (done, Err(error)),
            }
        }
        (done, Ok(()))
    }

    /// Appends as many lines as the current segment takes, at least one.
    fn append_some(&mut self, day: Date, lines: &[String]) -> io::Result<usize> {
        let part = (self.room / PARTS).max(1);
        let begins = self.segments.back().is_none_or(|segment| segment.day != day || segment.len >= part);
        if begins {
            self.begin(day)?;
        }
        let used = self.segments.back().map_or(0, |segment| segment.len);
        let mut octets = Vec::new();
        let mut count = 0;
        for line in lines {
            if count > 0 && used + (octets.len() + line.len()) as u64 > part {
                break;
            }
            octets.extend_from_slice(line.as_bytes());
            count += 1;
        }
        while self.segments.len() > 1 && self.len() + octets.len() as u64 > self.room {
            self.remove(0)?;
        }
        self.write(&octets)?;
        Ok(count)
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        if self.current.is_none() {
            let (file, len) = reopen(&segment.path)?;
            segment.len = len;
            self.current = Some(file);
        }
        let Some(file) = &mut self.current else { return Ok(()) };
        let written = (self.writer)(file, octets).and_then(|()| file.sync_data());
        match written {
            Ok(()) => {
                segment.len += octets.len() as u64;
                Ok(())
            }
            Err(error) => {
                // What is there of it is taken back, so that it is not there twice when it is written again. If even
                // that fails, the next opening ends the broken line.
                let _ = file.set_len(segment.len);
                self.current = None;
                Err(error)
            }
        }
    }

    fn begin(&mut self, day: Date) -> io::Result<()> {
        let number = self.segments.back().map_or(1, |segment| segment.number + 1);
        let path = self.dir.join(name(number, day));
        self.current = None;
        let (file, len) = reopen(&path)?;
        // Else a crash may leave the octets and not the name.
        File::open(&self.dir)?.sync_all()?;
        self.current = Some(file);
        self.segments.push_back(Segment { number, day, len, path });
        Ok(())
    }

    fn remove(&mut self, at: usize) -> io::Result<()> {
        let Some(segment) = self.segments.get(at) else { return Ok(()) };
        match fs::remove_file(&segment.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if at + 1 == self.segments.len() {
            self.current = None;
        }
        self.segments.remove(at);
        Ok(())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options
}

/// Opens a segment that another run, or a failed write, left; ends a line that was cut short. Returns it with its length.
fn reopen(path: &Path) -> io::Result<(File, u64)> {
    let mut file = options().create(true).open(path)?;
    let len = file.metadata()?.len();
    if len == 0 {
        return Ok((file, 0));
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" {
        return Ok((file, len));
    }
    file.write_all(b"\n")?;
    Ok((file, len + 1))
}
