//! The forms of outside lists.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::Network;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Whatever of the others it looks like.
    Auto,
    /// One address or network a line; `#` and `;` begin comments. VoIPBL's lists are such.
    Lines,
    /// Comma separated; the first column that is an address counts, and the first line may be a heading.
    Csv,
    /// JSON with the addresses in `ipaddress`, as APIBAN answers.
    Apiban,
    /// As `Lines`.
    Voipbl,
}

impl Format {
    /// The words of the policy file.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("auto", Self::Auto),
        ("lines", Self::Lines),
        ("csv", Self::Csv),
        ("apiban", Self::Apiban),
        ("voipbl", Self::Voipbl),
    ];

    /// The word of the policy file.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, format)| *format == self).map_or("", |(word, _)| word)
    }

    /// What a text looks like.
    fn found(self, text: &str) -> Self {
        if self != Self::Auto {
            return self;
        }
        if text.trim_start().starts_with('{') {
            return Self::Apiban;
        }
        let first = text.lines().map(without_comment).find(|line| !line.is_empty());
        if first.is_some_and(|line| line.contains(',')) { Self::Csv } else { Self::Lines }
    }
}

#[derive(Deserialize)]
struct Apiban {
    ipaddress: Vec<String>,
}

/// The networks of a list; what is wrong begins with `:LINE` where it is about one.
pub(super) fn parse(format: Format, text: &str) -> Result<Vec<Network>, String> {
    let found = match format.found(text) {
        Format::Apiban => {
            let list: Apiban = serde_json::from_str(text)
                .map_err(|error| format!(": is not JSON with a list `ipaddress`: {error}; fetch it again"))?;
            let parse = |text: &String| network(text).ok_or_else(|| wrong("", text));
            list.ipaddress.iter().map(parse).collect::<Result<Vec<_>, _>>()?
        }
        Format::Csv => rows(text, |line, number| {
            let columns = line.split(',').map(|column| column.trim().trim_matches('"'));
            match columns.into_iter().find_map(network) {
                Some(network) => Ok(Some(network)),
                None if number == 1 => Ok(None),
                None => Err(wrong(&format!(":{number}"), line)),
            }
        })?,
        Format::Auto | Format::Lines | Format::Voipbl => {
            rows(text, |line, number| network(line).map(Some).ok_or_else(|| wrong(&format!(":{number}"), line)))?
        }
    };
    if found.is_empty() {
        // An empty file is what a fetch that failed leaves; to block nobody is to remove the import.
        return Err(": holds no address; fetch it again, or remove the import".to_owned());
    }
    Ok(found)
}

fn rows(text: &str, row: impl Fn(&str, usize) -> Result<Option<Network>, String>) -> Result<Vec<Network>, String> {
    let lines = text.lines().zip(1..).map(|(line, number)| (without_comment(line), number));
    lines.filter(|(line, _)| !line.is_empty()).filter_map(|(line, number)| row(line, number).transpose()).collect()
}

fn wrong(place: &str, text: &str) -> String {
    let shown: String = text.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{place}: {shown:?} is no address; fetch it again, or name its format")
}

fn without_comment(line: &str) -> &str {
    line.split(['#', ';']).next().unwrap_or_default().trim()
}

/// An address or a network; lists of others set host bits, and mean the network.
fn network(text: &str) -> Option<Network> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    match length {
        None => Some(Network::host(address)),
        Some(length) => Network::around(address, length),
    }
}
