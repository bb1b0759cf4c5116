//! `[profile.NAME]`: read on its own, then merged with `profile.default`.

use std::sync::Arc;

use gateway_common::Class;

use super::{
    Answer, Entry, ListFile, Network, Profile, Scheduled,
    keys::{Kind, shown},
    list::Lists,
    problem::{Complaint, Report},
    schedule,
    section::{Named, Section, Span, choose},
    site::region,
    values,
};
use crate::what::What;

/// The answer of each class where the file says nothing, indexed by `Class as usize`.
const DEFAULT_ANSWERS: [Answer; Class::ALL.len()] = {
    let mut answers = [Answer::Allow; Class::ALL.len()];
    answers[Class::Premium as usize] = Answer::Monitor;
    answers[Class::NonGeographic as usize] = Answer::Block;
    answers[Class::Unassigned as usize] = Answer::Block;
    answers[Class::Suspicious as usize] = Answer::AsInternational;
    answers[Class::Malformed as usize] = Answer::Block;
    answers
};

/// A profile as the file has it: `None` where it says nothing.
#[derive(Default)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) sources: Vec<(Span, Network)>,
    region: Option<String>,
    outside_line: Option<Vec<String>>,
    access_codes: Option<Vec<String>>,
    carrier_codes: Option<Vec<String>>,
    service_codes: Option<Vec<String>>,
    emergency: Option<Vec<String>>,
    bare_e164: Option<bool>,
    pub(super) block: Option<Vec<Entry>>,
    block_files: Option<Vec<Arc<ListFile>>>,
    pub(super) allow: Option<Vec<Entry>>,
    /// Entries with a schedule, of `block` and of `allow`.
    scheduled: [Option<Vec<schedule::Written>>; 2],
    pub(super) limits: Option<Vec<(Span, String)>>,
    class: [Option<Answer>; Class::ALL.len()],
}

/// The profiles, each with what it lacks from the first, which is `default`.
pub(super) fn merge(written: &[Written], site_region: &str) -> Vec<Profile> {
    let Some(default) = written.first() else {
        return Vec::new();
    };
    written.iter().map(|profile| profile.merged(default, site_region)).collect()
}

/// Reads one profile.
pub(super) fn read(report: &mut Report<'_>, lists: &Lists<'_>, named: &Named<'_>) -> Written {
    let section = &named.section;
    let name = match values::name(named.name) {
        Ok(name) => name,
        Err(complaint) => {
            report.problem(&named.span, complaint);
            named.name.to_owned()
        }
    };
    let sources = section.parsed_list(report, "sources", str::parse).unwrap_or_default();
    if let (true, Some(span)) = (name == "default", section.span("sources")) {
        let message = "profile.default holds for every source that no other profile names";
        report.problem(&span, Complaint::new(message, "remove sources, or give the profile another name"));
    } else if name != "default" && sources.is_empty() {
        let message = format!("profile.{} names no source, so it holds for none", shown(&name));
        report.warn(&named.span, Complaint::new(message, format!("write {}", Kind::Profile.example("sources"))));
    }
    let (block, block_scheduled) = entries(report, section, "block").unzip();
    let (allow, allow_scheduled) = entries(report, section, "allow").unzip();
    Written {
        name,
        span: named.span.clone(),
        sources,
        region: section.parsed(report, "region", region),
        outside_line: codes(report, section, "outside_line", |t| values::code(t).map(Some)),
        access_codes: codes(report, section, "access_codes", values::access_code),
        carrier_codes: codes(report, section, "carrier_codes", |t| values::code(t).map(Some)),
        service_codes: codes(report, section, "service_codes", |t| values::code(t).map(Some)),
        emergency: codes(report, section, "emergency", |t| values::emergency(t).map(Some)),
        bare_e164: section.flag(report, "bare_e164"),
        block,
        block_files: block_files(report, lists, section),
        allow,
        scheduled: [block_scheduled, allow_scheduled],
        limits: section.parsed_list(report, "limits", |t| Ok(t.to_owned())),
        class: answers(report, section),
    }
}

/// A list of codes, each once.
fn codes(
    report: &mut Report<'_>,
    section: &Section<'_>,
    key: &str,
    parse: impl FnMut(&str) -> Result<Option<String>, Complaint>,
) -> Option<Vec<String>> {
    let mut out = Vec::new();
    for (span, code) in section.parsed_list(report, key, parse)? {
        let Some(code) = code else { continue };
        if out.contains(&code) {
            report.warn(&span, Complaint::new(format!("{key} has {code:?} twice"), "remove one of the two"));
        } else {
            out.push(code);
        }
    }
    Some(out)
}

/// The entries of a list, and those of them that have a schedule.
fn entries(report: &mut Report<'_>, section: &Section<'_>, key: &str) -> Option<(Vec<Entry>, Vec<schedule::Written>)> {
    let found = section.mixed_list(report, key, Kind::Entry, |t| destination(t, key == "allow"))?;
    let mut out: Vec<Entry> = Vec::with_capacity(found.texts.len());
    let mut seen = std::collections::HashSet::new();
    for (span, what) in found.texts {
        if seen.insert(what.clone()) {
            out.push(Entry { what, place: report.place(&span), reason: None });
        } else {
            report.warn(&span, Complaint::new(format!("{key} has {what} twice"), "remove one of the two"));
        }
    }
    let scheduled = found.tables.iter().filter_map(|(span, table)| scheduled(report, key, span, table)).collect();
    Some((out, scheduled))
}

/// `{ what = "international", schedule = "night" }`.
fn scheduled(report: &mut Report<'_>, key: &str, span: &Span, table: &Section<'_>) -> Option<schedule::Written> {
    for needed in ["what", "schedule"] {
        if table.span(needed).is_none() {
            let message = format!("an entry of {key} has no {needed}");
            report.missing(span, Complaint::new(message, format!("write {}", Kind::Entry.example(needed))));
        }
    }
    let allow = key == "allow";
    let what = table.parsed(report, "what", |text| match text.parse()? {
        What::Class(class) if Kind::Class.judge(class.as_str()).is_none() => Ok(What::Class(class)),
        _ => destination(text, allow),
    });
    let (name_span, name) = table.text(report, "schedule")?;
    let entry = Entry { what: what?, place: report.place(span), reason: None };
    Some((name_span, Scheduled { allow, entry, schedule: name.to_owned() }))
}

/// A WHAT that lists of the policy file take: a destination. The others have places of their own.
pub(super) fn destination(text: &str, allow: bool) -> Result<What, Complaint> {
    let verb = if allow { "allow" } else { "block" };
    let what: What = text.parse()?;
    let remedy = match &what {
        What::Prefix(_) | What::Country(_) | What::Dial(_) => return Ok(what),
        What::Source(network) => {
            format!(
                "give {network} a profile of its own with sources = [\"{network}\"], or run tollgate {verb} {network}"
            )
        }
        What::Class(class) if Kind::Class.judge(class.as_str()).is_none() => {
            format!("write class.{} = \"{verb}\" in the profile", class.as_str())
        }
        What::Class(_) => "remove it: this class has no answer of its own".to_owned(),
        What::Line(name) => {
            format!("name countries, numbers or dial: here, and run tollgate {verb} WHAT --line {name}")
        }
    };
    Err(Complaint::new(format!("{what} is no destination"), remedy))
}

fn block_files(report: &mut Report<'_>, lists: &Lists<'_>, section: &Section<'_>) -> Option<Vec<Arc<ListFile>>> {
    let files = section.parsed_list(report, "block_files", |t| {
        if t.is_empty() || t.contains('\0') {
            Err(Complaint::new(format!("{:?} names no file", shown(t)), r#"write such as "irsf.txt""#))
        } else {
            Ok(t.to_owned())
        }
    })?;
    let mut out = Vec::new();
    for (span, file) in files {
        let list = lists.read(report, &span, &file);
        if list.as_ref().is_none_or(|list| list.is_empty()) {
            let message = format!("block_files: {} holds no entry in force", shown(&file));
            report.warn(&span, Complaint::new(message, "fill it, or remove it; entries may have passed their day"));
        }
        out.extend(list);
    }
    Some(out)
}

fn answers(report: &mut Report<'_>, section: &Section<'_>) -> [Option<Answer>; Class::ALL.len()] {
    const WORDS: [(&str, Answer); 3] =
        [("allow", Answer::Allow), ("monitor", Answer::Monitor), ("block", Answer::Block)];
    const SUSPICIOUS: [(&str, Answer); 4] =
        [WORDS[0], WORDS[1], WORDS[2], ("as-international", Answer::AsInternational)];
    let section = section.section(report, "class", Kind::Class);
    let mut out = [None; Class::ALL.len()];
    for class in Class::ALL {
        if !Kind::Class.keys().iter().any(|k| k.name == class.as_str()) {
            continue;
        }
        let words: &[_] = if class == Class::Suspicious { &SUSPICIOUS } else { &WORDS };
        if let Some(slot) = out.get_mut(class as usize) {
            *slot = section.parsed(report, class.as_str(), |t| choose(t, words));
        }
    }
    out
}

impl Written {
    /// Its own entries that have a schedule.
    pub(super) fn scheduled(&self) -> impl Iterator<Item = &schedule::Written> {
        self.scheduled.iter().flatten().flatten()
    }

    /// A profile that says nothing.
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The profile, with what it lacks from `default`, and what that lacks from the site and the built-in defaults.
    fn merged(&self, default: &Self, site_region: &str) -> Profile {
        fn pick<T: Clone + Default>(own: Option<&T>, default: Option<&T>) -> T {
            own.or(default).cloned().unwrap_or_default()
        }
        let mut class = DEFAULT_ANSWERS;
        for (slot, answer) in class.iter_mut().zip(self.class.iter().zip(&default.class)) {
            *slot = (*answer.0).or(*answer.1).unwrap_or(*slot);
        }
        let region = self.region.as_ref().or(default.region.as_ref());
        Profile {
            name: self.name.clone(),
            sources: self.sources.iter().map(|(_, network)| *network).collect(),
            region: region.map_or_else(|| site_region.to_owned(), Clone::clone),
            outside_line: pick(self.outside_line.as_ref(), default.outside_line.as_ref()),
            access_codes: pick(self.access_codes.as_ref(), default.access_codes.as_ref()),
            carrier_codes: pick(self.carrier_codes.as_ref(), default.carrier_codes.as_ref()),
            service_codes: pick(self.service_codes.as_ref(), default.service_codes.as_ref()),
            emergency: pick(self.emergency.as_ref(), default.emergency.as_ref()),
            bare_e164: pick(self.bare_e164.as_ref(), default.bare_e164.as_ref()),
            block: pick(self.block.as_ref(), default.block.as_ref()),
            block_files: pick(self.block_files.as_ref(), default.block_files.as_ref()),
            allow: pick(self.allow.as_ref(), default.allow.as_ref()),
            scheduled: self
                .scheduled
                .iter()
                .zip(&default.scheduled)
                .flat_map(|(own, default)| pick(own.as_ref(), default.as_ref()))
                .map(|(_, scheduled)| scheduled)
                .collect(),
            limits: pick(self.limits.as_ref(), default.limits.as_ref()).into_iter().map(|(_, name)| name).collect(),
            class,
        }
    }
}
