//! `[import.NAME]`: lists of sources that others keep.

use super::{
    Config,
    keys::{Kind, shown},
    list::Lists,
    problem::{Complaint, Report},
    section::{Section, Span},
    values,
};
use crate::imports::{self, Format, Import, LONGEST, Protected};

/// The imports, each with the place of its file.
pub(super) fn imports(report: &mut Report<'_>, top: &Section<'_>, lists: &Lists<'_>) -> Vec<(Span, Import)> {
    let mut out = Vec::new();
    for named in top.named(report, "import", Kind::Import) {
        let section = &named.section;
        if let Err(complaint) = values::name(named.name) {
            report.problem(&named.span, complaint);
        }
        let format = section.choice(report, "format", &Format::WORDS).unwrap_or(Format::Auto);
        let expires = section.parsed(report, "expires", |text| {
            let expires = values::duration(text)?;
            if expires <= LONGEST {
                return Ok(expires);
            }
            let message = format!("{:?} is too long: addresses change hands within days", shown(text));
            Err(Complaint::new(message, r#"write at most "7d""#))
        });
        let Some((span, file)) = section.text(report, "file") else {
            if section.span("file").is_none() {
                let message = format!("import.{} has no file", shown(named.name));
                report.missing(&named.span, Complaint::new(message, format!("write {}", Kind::Import.example("file"))));
            }
            continue;
        };
        if file.is_empty() || file.contains('\0') {
            report.problem(
                &span,
                Complaint::new(format!("{:?} names no file", shown(file)), "write such as \"voipbl.txt\""),
            );
            continue;
        }
        // Whole, so that the same file is the same wherever the policy was read from.
        let file = lists.base_dir.join(file);
        let file = std::path::absolute(&file).unwrap_or(file);
        let import = Import { name: named.name.to_owned(), file, format, expires: expires.unwrap_or(LONGEST) };
        out.push((span, import));
    }
    out
}

/// Warns of what an import would not block, or why it blocks nothing. That keeps no policy from loading: a list that
/// somebody else writes must not.
pub(super) fn warnings(report: &mut Report<'_>, config: &Config, spans: &[Span]) {
    if config.imports.is_empty() {
        return;
    }
    let protected = Protected::of(config);
    for (import, span) in config.imports.iter().zip(spans) {
        let (told, otherwise) = match imports::read(import, &protected) {
            Ok(contents) => (contents.left_out, "take it out of the list, if the list is yours"),
            Err(error) => (vec![error], "until then the last good list holds"),
        };
        for text in told {
            let (message, remedy) = text.rsplit_once("; ").unwrap_or((&text, otherwise));
            report.warn(span, Complaint::new(message, remedy));
        }
    }
}
