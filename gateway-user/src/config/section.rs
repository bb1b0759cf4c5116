//! One section of the file, read key by key; every reading reports what it finds wrong and goes on.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    keys::{Kind, join, nearest, shown},
    problem::{Complaint, Report},
};

/// Octets of the file.
pub(super) type Span = Range<usize>;

/// A table of the file.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    kind: Kind,
    table: Option<&'a DeTable<'a>>,
}

/// A table `[kind.NAME]`.
pub(super) struct Named<'a> {
    /// NAME.
    pub(super) name: &'a str,
    /// Where the name stands.
    pub(super) span: Span,
    /// What stands in it.
    pub(super) section: Section<'a>,
}

/// A list of strings and tables, each with its place.
pub(super) struct Mixed<'a, T> {
    pub(super) texts: Vec<(Span, T)>,
    pub(super) tables: Vec<(Span, Section<'a>)>,
}

impl<'a> Section<'a> {
    /// Takes a table and reports every key that its kind does not have.
    pub(super) fn new(report: &mut Report<'_>, kind: Kind, table: &'a DeTable<'a>) -> Self {
        for (key, _) in table {
            match kind.judge(key.get_ref()) {
                // Below a [section] whose heading cannot be read, every key looks misplaced.
                Some(complaint) if kind == Kind::Top => report.missing(&key.span(), complaint),
                Some(complaint) => report.problem(&key.span(), complaint),
                None => {}
            }
        }
        Self { kind, table: Some(table) }
    }

    /// A section that the file does not have.
    const fn empty(kind: Kind) -> Self {
        Self { kind, table: None }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table?.get(key)
    }

    /// Where the value of a key stands.
    pub(super) fn span(&self, key: &str) -> Option<Span> {
        self.value(key).map(Spanned::span)
    }

    fn wrong_type(&self, report: &mut Report<'_>, key: &str, expected: &str, value: &Spanned<DeValue<'_>>) {
        let message = format!("{key} takes {expected}, not {}", described(value.get_ref()));
        report.problem(&value.span(), Complaint::new(message, format!("write {}", self.kind.example(key))));
    }

    /// The section `[key]`, empty if the file has none.
    pub(super) fn section(&self, report: &mut Report<'_>, key: &str, kind: Kind) -> Section<'a> {
        let Some(value) = self.value(key) else {
            return Self::empty(kind);
        };
        if let Some(table) = value.get_ref().as_table() {
            return Self::new(report, kind, table);
        }
        self.wrong_type(report, key, "a section", value);
        Self::empty(kind)
    }

    /// The section `[key]` again, where what is wrong with its keys has been told.
    pub(super) fn quiet_section(&self, key: &str, kind: Kind) -> Section<'a> {
        Self { kind, table: self.value(key).and_then(|value| value.get_ref().as_table()) }
    }

    /// The strings of a list, whatever else is in it.
    pub(super) fn texts(&self, key: &str) -> impl Iterator<Item = &'a str> {
        let items = self.value(key).and_then(|value| value.get_ref().as_array());
        items.into_iter().flatten().filter_map(|item| item.get_ref().as_str())
    }

    /// The sections `[key.NAME]`, in the order of the file.
    pub(super) fn named(&self, report: &mut Report<'_>, key: &str, kind: Kind) -> Vec<Named<'a>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(report, key, "a section with a name", value);
            return Vec::new();
        };
        let mut all = Vec::new();
        for (name, value) in table {
            if let Some(inner) = value.get_ref().as_table() {
                let section = Self::new(report, kind, inner);
                all.push(Named { name: name.get_ref().as_ref(), span: name.span(), section });
            } else {
                let message = format!("[{key}] needs a name, and {:?} is no section", shown(name.get_ref()));
                report.problem(&name.span(), Complaint::new(message, format!("write {}", self.kind.example(key))));
            }
        }
        all.sort_by_key(|n| n.span.start);
        all
    }

    /// A string.
    pub(super) fn text(&self, report: &mut Report<'_>, key: &str) -> Option<(Span, &'a str)> {
        let value = self.value(key)?;
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(report, key, "a string in quotes", value);
            return None;
        };
        Some((value.span(), text))
    }

    /// A string that `parse` understands.
    pub(super) fn parsed<T>(
        &self,
        report: &mut Report<'_>,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        let (span, text) = self.text(report, key)?;
        parse(text).map_err(|complaint| report.problem(&span, prefixed(key, complaint))).ok()
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, report: &mut Report<'_>, key: &str, words: &[(&str, T)]) -> Option<T> {
        self.parsed(report, key, |text| choose(text, words))
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, report: &mut Report<'_>, key: &str) -> Option<bool> {
        let value = self.value(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(report, key, "true or false", value);
        }
        flag
    }

    /// A whole number from `least` to `most`.
    pub(super) fn number(&self, report: &mut Report<'_>, key: &str, least: u32, most: u32) -> Option<u32> {
        let value = self.value(key)?;
        if !value.get_ref().is_integer() {
            self.wrong_type(report, key, "a whole number", value);
            return None;
        }
        let number = integer(value.get_ref()).filter(|n| (least..=most).contains(n));
        if number.is_none() {
            let message = format!("{key} is {}", described(value.get_ref()));
            report.problem(&value.span(), Complaint::new(message, format!("write a number from {least} to {most}")));
        }
        number
    }

    /// One of several whole numbers, the first where the key is absent, or `None` for `false`.
    pub(super) fn one_of(&self, report: &mut Report<'_>, key: &str, numbers: &[u16]) -> Option<u16> {
        let Some(value) = self.value(key) else { return numbers.first().copied() };
        if value.get_ref().as_bool() == Some(false) {
            return None;
        }
        let number =
            integer(value.get_ref()).and_then(|number| numbers.iter().copied().find(|&it| u32::from(it) == number));
        if number.is_none() {
            let message = format!("{key} is {}", described(value.get_ref()));
            let known = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            report.problem(&value.span(), Complaint::new(message, format!("write one of {known}, or false")));
        }
        number
    }

    fn list(&self, report: &mut Report<'_>, key: &str, of: &str) -> Option<Vec<&'a Spanned<DeValue<'a>>>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Array(items) => Some(items.iter().collect()),
            DeValue::String(text) => {
                let message = format!("{key} takes a list of {of}, not a single string");
                let text = shown(text);
                report.problem(&value.span(), Complaint::new(message, format!("write {key} = [{text:?}]")));
                None
            }
            _ => {
                self.wrong_type(report, key, &format!("a list of {of}"), value);
                None
            }
        }
    }

    /// A list of strings that `parse` understands; `None` where the key is absent.
    pub(super) fn parsed_list<T>(
        &self,
        report: &mut Report<'_>,
        key: &str,
        mut parse: impl FnMut(&str) -> Result<T, Complaint>,
    ) -> Option<Vec<(Span, T)>> {
        let items = self.list(report, key, "strings")?;
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            out.extend(self.item(report, key, item, &mut parse));
        }
        Some(out)
    }

    /// The same, also of one string with commas.
    pub(super) fn parsed_either<T>(
        &self,
        report: &mut Report<'_>,
        key: &str,
        mut parse: impl FnMut(&str) -> Result<T, Complaint>,
    ) -> Option<Vec<(Span, T)>> {
        let value = self.value(key)?;
        let DeValue::String(text) = value.get_ref() else { return self.parsed_list(report, key, parse) };
        let mut out = Vec::new();
        for part in text.split(',') {
            match parse(part.trim()) {
                Ok(it) => out.push((value.span(), it)),
                Err(complaint) => report.problem(&value.span(), prefixed(key, complaint)),
            }
        }
        Some(out)
    }

    fn item<T>(
        &self,
        report: &mut Report<'_>,
        key: &str,
        item: &Spanned<DeValue<'_>>,
        parse: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<(Span, T)> {
        let result = match item.get_ref() {
            DeValue::String(text) => parse(text).map_err(|complaint| prefixed(key, complaint)),
            other => Err(self.not_a_string(key, other)),
        };
        match result {
            Ok(value) => Some((item.span(), value)),
            Err(complaint) => {
                report.problem(&item.span(), complaint);
                None
            }
        }
    }

    /// A list of strings that `parse` understands, and of tables `{ … }` of one kind.
    pub(super) fn mixed_list<T>(
        &self,
        report: &mut Report<'_>,
        key: &str,
        kind: Kind,
        mut parse: impl FnMut(&str) -> Result<T, Complaint>,
    ) -> Option<Mixed<'a, T>> {
        let items = self.list(report, key, "strings")?;
        let mut out = Mixed { texts: Vec::with_capacity(items.len()), tables: Vec::new() };
        for item in items {
            match item.get_ref().as_table() {
                Some(table) => out.tables.push((item.span(), Self::new(report, kind, table))),
                None => out.texts.extend(self.item(report, key, item, &mut parse)),
            }
        }
        Some(out)
    }

    fn not_a_string(&self, key: &str, value: &DeValue<'_>) -> Complaint {
        let message = format!("{key} takes strings in quotes, not {}", described(value));
        let number = if self.listing_numbers(key) { None } else { value.as_integer() };
        Complaint::new(
            message,
            match number {
                Some(digits) => format!("write {:?}", digits.to_string()),
                None => format!("write {}", self.kind.example(key)),
            },
        )
    }

    /// Lists in which bare digits would be refused in quotes, too.
    fn listing_numbers(&self, key: &str) -> bool {
        self.kind == Kind::Profile && matches!(key, "block" | "allow" | "sources" | "block_files")
    }

    /// A list of ports; `None` where the key is absent.
    pub(super) fn ports(&self, report: &mut Report<'_>, key: &str) -> Option<Vec<(Span, u16)>> {
        let items = self.list(report, key, "port numbers")?;
        let mut out: Vec<(Span, u16)> = Vec::with_capacity(items.len());
        for item in items {
            let port = integer(item.get_ref()).and_then(|n| u16::try_from(n).ok()).filter(|&n| n != 0);
            match port {
                Some(port) => out.push((item.span(), port)),
                None => report.problem(
                    &item.span(),
                    Complaint::new(
                        format!("{} is no port", described(item.get_ref())),
                        "write a number from 1 to 65535, without quotes",
                    ),
                ),
            }
        }
        Some(out)
    }
}

fn integer(value: &DeValue<'_>) -> Option<u32> {
    let number = value.as_integer()?;
    u32::from_str_radix(number.as_str(), number.radix()).ok()
}

/// What a value is, in the operator's words.
fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {:?}", shown(text)),
        DeValue::Integer(number) => format!("the number {}", shown(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", shown(&number.to_string())),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}

fn prefixed(key: &str, complaint: Complaint) -> Complaint {
    Complaint { message: format!("{key}: {}", complaint.message), ..complaint }
}

/// The value of one of several words.
pub(super) fn choose<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Complaint> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let names = || words.iter().map(|(word, _)| *word);
    let message = format!("{:?} is not one of {}", shown(text), join(names()));
    Err(Complaint::new(
        message,
        match nearest(text, names()) {
            Some(near) => format!("write {near:?}"),
            None => format!("write {}", names().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(" or ")),
        },
    ))
}
