//! What a list in a file of its own holds: a million prefixes take 16 octets each, sorted, and no string.

use std::collections::HashMap;

use super::Entry;
use crate::{digits::Digits, what::What};

/// The entries of a list that are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFile {
    /// The file, as the policy names it.
    name: String,
    /// In the order of their digits; the same ones in that of their lines.
    prefixes: Vec<Listed>,
    /// Countries, then what is dialled; each in the order of its text.
    others: Vec<(What, u32, u32)>,
    /// The reasons that entries give, each once.
    reasons: Vec<String>,
}

/// One prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    digits: Digits,
    line: u32,
    /// Place of its reason, from 1; 0 for none.
    reason: u32,
}

/// A list while its lines are read.
pub struct Writer {
    list: ListFile,
    reasons: HashMap<String, u32>,
}

impl Writer {
    /// Of a list that the policy names so.
    pub fn new(name: &str) -> Self {
        let list = ListFile { name: name.to_owned(), prefixes: Vec::new(), others: Vec::new(), reasons: Vec::new() };
        Self { list, reasons: HashMap::new() }
    }

    /// Adds a prefix that stands at a line.
    pub fn prefix(&mut self, digits: Digits, line: usize, reason: Option<&str>) {
        let reason = self.reason(reason);
        self.list.prefixes.push(Listed { digits, line: line as u32, reason });
    }

    /// Adds what stands at a line.
    pub fn add(&mut self, what: What, line: usize, reason: Option<&str>) {
        if let What::Prefix(digits) = &what {
            return self.prefix(Digits::new(digits), line, reason);
        }
        let reason = self.reason(reason);
        self.list.others.push((what, line as u32, reason));
    }

    fn reason(&mut self, reason: Option<&str>) -> u32 {
        let Some(reason) = reason else { return 0 };
        if let Some(&known) = self.reasons.get(reason) {
            return known;
        }
        self.list.reasons.push(reason.to_owned());
        let number = self.list.reasons.len() as u32;
        self.reasons.insert(reason.to_owned(), number);
        number
    }

    /// The list, sorted.
    pub fn finish(self) -> ListFile {
        let mut list = self.list;
        list.prefixes.sort_unstable();
        list.prefixes.shrink_to_fit();
        list.others.sort_unstable_by(|a, b| (order(&a.0), a.1).cmp(&(order(&b.0), b.1)));
        // Numbered in the order of the entries, so that lists of the same entries are equal.
        let mut numbers = vec![0; list.reasons.len() + 1];
        let mut reasons = Vec::with_capacity(list.reasons.len());
        let prefixes = list.prefixes.iter_mut().map(|listed| &mut listed.reason);
        for reason in prefixes.chain(list.others.iter_mut().map(|(_, _, reason)| reason)).filter(|it| **it != 0) {
            let number = &mut numbers[*reason as usize];
            if *number == 0 {
                reasons.push(std::mem::take(&mut list.reasons[*reason as usize - 1]));
                *number = reasons.len() as u32;
            }
            *reason = *number;
        }
        list.reasons = reasons;
        list
    }
}

impl ListFile {
    /// The file, as the policy names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many entries are in force.
    pub const fn len(&self) -> usize {
        self.prefixes.len() + self.others.len()
    }

    /// Whether none is.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its prefixes in the order of their digits; one that stands there twice comes twice.
    pub fn prefixes(&self) -> impl Iterator<Item = Digits> {
        self.prefixes.iter().map(|listed| listed.digits)
    }

    /// What of it is no prefix.
    pub fn others(&self) -> impl Iterator<Item = &What> {
        self.others.iter().map(|(what, _, _)| what)
    }

    /// The entry at a place: the prefixes by their digits, then the others.
    pub fn entry(&self, place: usize) -> Option<Entry> {
        let Some(listed) = self.prefixes.get(place) else {
            let (what, line, reason) = self.others.get(place - self.prefixes.len())?;
            return Some(self.made(what.clone(), *line, *reason));
        };
        Some(self.made(What::Prefix(listed.digits.to_string()), listed.line, listed.reason))
    }

    /// Every entry, as [`ListFile::entry`] counts them.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        (0..self.len()).filter_map(|place| self.entry(place))
    }

    /// The entries that are no prefixes.
    pub fn other_entries(&self) -> impl Iterator<Item = Entry> {
        (self.prefixes.len()..self.len()).filter_map(|place| self.entry(place))
    }

    /// The first entry that names exactly this.
    pub fn find(&self, what: &What) -> Option<Entry> {
        if let What::Prefix(digits) = what {
            return self.find_prefix(Digits::new(digits));
        }
        let place = self.others.partition_point(|(other, _, _)| order(other) < order(what));
        self.others.get(place).filter(|(other, _, _)| other == what)?;
        self.entry(self.prefixes.len() + place)
    }

    /// The entry of the longest `dial:` that a dialled string begins with.
    pub fn longest_dial(&self, dialled: &str) -> Option<Entry> {
        if !matches!(self.others.last(), Some((What::Dial(_), _, _))) {
            return None;
        }
        let heads = (1..=dialled.len()).rev().filter_map(|length| dialled.get(..length));
        heads.into_iter().find_map(|head| self.find(&What::Dial(head.to_owned())))
    }

    /// The entries that are countries.
    pub fn countries(&self) -> impl Iterator<Item = Entry> {
        let countries = self.others.iter().take_while(|(what, _, _)| matches!(what, What::Country(_))).count();
        (self.prefixes.len()..self.prefixes.len() + countries).filter_map(|place| self.entry(place))
    }

    /// The entry of the longest prefix that a number begins with.
    pub fn longest(&self, number: &str) -> Option<Entry> {
        let number = Digits::new(number);
        (1..=number.len()).rev().find_map(|len| self.find_prefix(number.head(len)))
    }

    fn find_prefix(&self, digits: Digits) -> Option<Entry> {
        let place = self.prefixes.partition_point(|listed| listed.digits < digits);
        self.prefixes.get(place).filter(|listed| listed.digits == digits).and_then(|_| self.entry(place))
    }

    fn made(&self, what: What, line: u32, reason: u32) -> Entry {
        let reason = (reason as usize).checked_sub(1).and_then(|place| self.reasons.get(place)).cloned();
        Entry { what, place: format!("{}:{line}", self.name), reason }
    }
}

/// How what is no prefix is sorted.
fn order(what: &What) -> (u8, &str) {
    match what {
        What::Country(code) => (0, code),
        What::Dial(keys) => (1, keys),
        // A list names destinations, and nothing else.
        What::Prefix(_) | What::Source(_) | What::Class(_) | What::Line(_) => (2, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> ListFile {
        let mut writer = Writer::new("irsf.txt");
        for (line, text, reason) in [
            (1, "+2327", Some("seen in March")),
            (2, "SL", None),
            (4, "+232", None),
            (5, "+2327", None),
            (6, "dial:0570", Some("seen in March")),
            (9, "+88213", Some("asked for")),
        ] {
            writer.add(text.parse().unwrap(), line, reason);
        }
        writer.finish()
    }

    fn shown(entry: Option<Entry>) -> String {
        entry.map_or_else(String::new, |it| format!("{} {} {}", it.what, it.place, it.reason.unwrap_or_default()))
    }

    #[test]
    fn entries_keep_line_and_reason() {
        let all: Vec<String> = list().entries().map(|it| shown(Some(it))).collect();
        assert_eq!(
            all,
            [
                "+232 irsf.txt:4 ",
                "+2327 irsf.txt:1 seen in March",
                "+2327 irsf.txt:5 ",
                "+88213 irsf.txt:9 asked for",
                "SL irsf.txt:2 ",
                "dial:0570 irsf.txt:6 seen in March"
            ]
        );
        assert_eq!((list().len(), list().is_empty(), list().entry(6)), (6, false, None));
    }

    #[test]
    fn the_longest_prefix_is_found_and_of_equal_ones_the_first() {
        let list = list();
        for (number, found) in [
            ("23276123456", "+2327 irsf.txt:1 seen in March"),
            ("2321", "+232 irsf.txt:4 "),
            ("232", "+232 irsf.txt:4 "),
            ("23", ""),
            ("882139999999999", "+88213 irsf.txt:9 asked for"),
            ("", ""),
        ] {
            assert_eq!(shown(list.longest(number)), found, "{number}");
        }
        assert_eq!(shown(list.find(&"SL".parse().unwrap())), "SL irsf.txt:2 ");
        assert_eq!(list.find(&"+23".parse().unwrap()), None);
        assert_eq!(list.find(&"GB".parse().unwrap()), None);
        assert_eq!(shown(list.longest_dial("0570123")), "dial:0570 irsf.txt:6 seen in March");
        assert_eq!(list.longest_dial("057"), None);
        assert_eq!(list.countries().count(), 1);
    }
}
