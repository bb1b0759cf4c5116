//! Standard output: aligned for a person, one object a line for a program, colour only on a terminal.

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};

use serde::Serialize;

/// What a piece of output means; shown as colour where there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// A heading.
    Head,
    /// As it should be.
    Good,
    /// To be looked at.
    Warn,
    /// Stopped, or wrong.
    Bad,
    /// Beside the point.
    Dim,
}

impl Tone {
    /// The ANSI sequence that begins it (ECMA-48 SGR).
    const fn sgr(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Head => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Dim => "\x1b[2m",
        }
    }

    /// The tone of a verdict's name.
    pub fn of_verdict(verdict: &str) -> Self {
        match verdict {
            "drop" | "reject" => Self::Bad,
            "would-drop" => Self::Warn,
            _ => Self::Plain,
        }
    }
}

/// A cell of a table.
pub type Cell = (String, Tone);

/// A cell without a tone.
pub fn plain(text: impl Into<String>) -> Cell {
    (text.into(), Tone::Plain)
}

/// Standard output.
pub struct Out {
    writer: BufWriter<StdoutLock<'static>>,
    colour: bool,
    terminal: bool,
}

impl Out {
    /// Standard output of this process. Colour wants a terminal, and no `NO_COLOR` (no-color.org).
    pub fn stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { writer: BufWriter::new(io::stdout().lock()), colour: terminal && !no_color, terminal }
    }

    /// Whether a person looks at it.
    pub const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes a line. Control characters in it do not reach the terminal.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.writer, "{}", harmless(text))
    }

    /// Writes a line in a tone.
    pub fn toned(&mut self, text: &str, tone: Tone) -> io::Result<()> {
        let text = self.paint(&harmless(text), tone);
        writeln!(self.writer, "{text}")
    }

    /// Writes one JSON object as a line.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), serde_json::Error> {
        serde_json::to_writer(&mut self.writer, value)?;
        self.writer.write_all(b"\n").map_err(serde_json::Error::io)
    }

    /// Writes a line that is JSON already.
    pub fn json_line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.writer, "{line}")
    }

    /// Writes `key  value` lines, the values aligned; an empty key continues the one above.
    pub fn facts(&mut self, facts: &[(&str, Cell)]) -> io::Result<()> {
        let width = facts.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        for (key, (text, tone)) in facts {
            let text = self.paint(&harmless(text), *tone);
            writeln!(self.writer, "  {key:width$}  {text}")?;
        }
        Ok(())
    }

    /// Writes a table under a heading. Columns whose heading begins with `>` are aligned to the right.
    pub fn table(&mut self, heading: &[&str], rows: &[Vec<Cell>]) -> io::Result<()> {
        let names: Vec<&str> = heading.iter().map(|name| name.trim_start_matches('>')).collect();
        let rows: Vec<Vec<Cell>> = rows
            .iter()
            .map(|row| row.iter().map(|(text, tone)| (harmless(text).into_owned(), *tone)).collect())
            .collect();
        let widths: Vec<usize> = names
            .iter()
            .enumerate()
            .map(|(i, name)| {
                rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.0.chars().count()).fold(name.len(), usize::max)
            })
            .collect();
        let head: Vec<Cell> = names.iter().map(|&name| (name.to_owned(), Tone::Head)).collect();
        for row in std::iter::once(&head).chain(&rows) {
            let mut line = String::new();
            for (i, (text, tone)) in row.iter().enumerate() {
                let space = " ".repeat(widths[i].saturating_sub(text.chars().count()));
                let painted = self.paint(text, *tone);
                let last = i + 1 == row.len();
                if heading[i].starts_with('>') {
                    line += &space;
                    line += &painted;
                } else {
                    line += &painted;
                    line += if last { "" } else { &space };
                }
                line += if last { "" } else { "  " };
            }
            writeln!(self.writer, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Clears a terminal, so that the next table takes the place of the last.
    pub fn clear(&mut self) -> io::Result<()> {
        if self.terminal { write!(self.writer, "\x1b[H\x1b[2J") } else { Ok(()) }
    }

    /// Hands over what has been written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    fn paint(&self, text: &str, tone: Tone) -> String {
        if self.colour && tone != Tone::Plain && !text.is_empty() {
            format!("{}{text}\x1b[0m", tone.sgr())
        } else {
            text.to_owned()
        }
    }
}

/// A text in lines of so many columns, cut behind `separator`; what has none is not cut.
pub(super) fn wrapped(text: &str, separator: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in text.split_inclusive(separator) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + part.trim_end().chars().count() <= width => line.push_str(part),
            _ => lines.push(part.to_owned()),
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// The text without control characters: what comes from packets or from other operators does not drive the terminal.
fn harmless(text: &str) -> std::borrow::Cow<'_, str> {
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>().into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(harmless("plain ü •"), "plain ü •");
        assert_eq!(harmless("a\u{1b}[2J\nb"), "a\u{fffd}[2J\u{fffd}b");
    }

    #[test]
    fn a_text_is_cut_into_lines_that_fit_and_nothing_of_it_is_lost() {
        let level = "4 of 5/1m, 4 of 6/5m, 4 of 10/1h, 4 of 30/1d, 1 of 3 at once";
        assert_eq!(wrapped(level, ", ", 67), [level]);
        let long = format!("{level}, of the site 7 of 20/1h, 7 of 60/1d");
        let lines = wrapped(&long, ", ", 67);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().all(|line| line.len() <= 67) && lines.join(" ") == long, "{lines:?}");
        assert_eq!(wrapped("", " ", 67), Vec::<String>::new());
        assert_eq!(wrapped("sehr-lange-grün x", " ", 4), ["sehr-lange-grün", "x"]);
    }
}
