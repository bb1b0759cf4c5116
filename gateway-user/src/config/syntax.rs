//! From text to TOML tables: every error of the syntax at once.

use std::ops::Range;

use toml::de::{DeTable, Error};

use super::problem::{Complaint, Report};

/// Dots outside quotes in one line. Each may be one more table within a table, and tables are dropped by recursion.
const MOST_DOTS: usize = 250;

/// Where keys nest so deeply that a parser would run out of stack.
pub(super) fn too_deep(text: &str) -> Option<Range<usize>> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if bare_dots(line) > MOST_DOTS {
            return Some(start..start + line.len());
        }
        start += line.len();
    }
    None
}

/// Dots in a line that stand neither in quotes nor in a comment.
fn bare_dots(line: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    let mut dots = 0;
    for octet in line.bytes() {
        match (quote, octet) {
            (Some(b'"'), b'\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), _) if octet == open && !escaped => quote = None,
            (None, b'"' | b'\'') => quote = Some(octet),
            (None, b'#') => break,
            (None, b'.') => dots += 1,
            _ => {}
        }
        escaped = false;
    }
    dots
}

/// The tables of the text, as far as they can be made out; what is not TOML is reported.
pub(super) fn table<'t>(report: &mut Report<'_>, text: &'t str) -> DeTable<'t> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        report.syntax(&span, complaint(&error));
    }
    document.into_inner()
}

fn complaint(error: &Error) -> Complaint {
    let message = error.message();
    let remedy = if message.contains("duplicate key") {
        "keep one of the two, or put both values in one list"
    } else if message.contains("string") || message.contains("quote") {
        r#"write strings in double quotes on one line, such as "JP""#
    } else if message.contains("array") || message.contains('[') || message.contains(']') {
        r#"write lists as ["SL", "GB"] and sections as [name]"#
    } else {
        r#"write key = value, with strings in double quotes, such as mode = "monitor""#
    };
    Complaint::new(format!("not TOML: {message}"), remedy)
}
