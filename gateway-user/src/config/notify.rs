//! `[notify]`: who is told.

use std::{path::Path, time::Duration};

use super::{
    Notify, Webhook,
    keys::{Kind, shown},
    problem::{Complaint, Report},
    section::Section,
    values,
};

/// Where no burst is named: more stops in a minute than people make by mistake.
const BURST: (u32, Duration) = (10, Duration::from_secs(60));
/// Arguments of the command.
const MOST_WORDS: usize = 64;

pub(super) fn notify(report: &mut Report<'_>, top: &Section<'_>, base_dir: &Path) -> Notify {
    let section = top.section(report, "notify", Kind::Notify);
    let burst = section.parsed(report, "burst", values::rate).map_or(BURST, |rate| (rate.count, rate.per));
    Notify { command: command(report, &section), webhook: webhook(report, &section, base_dir), burst }
}

fn command(report: &mut Report<'_>, section: &Section<'_>) -> Option<Vec<String>> {
    let words = section.parsed_list(report, "command", |word| {
        if word.contains('\0') { Err(Complaint::new("holds a NUL octet", "remove it")) } else { Ok(word.to_owned()) }
    })?;
    let span = section.span("command").unwrap_or_default();
    let first = words.first().map(|(_, word)| word.as_str()).unwrap_or_default();
    if !first.starts_with('/') || words.len() > MOST_WORDS {
        let message = "command must begin with the whole path of a program, and have at most 64 words";
        report.problem(&span, Complaint::new(message, format!("write {}", Kind::Notify.example("command"))));
        return None;
    }
    Some(words.into_iter().map(|(_, word)| word).collect())
}

fn webhook(report: &mut Report<'_>, section: &Section<'_>, base_dir: &Path) -> Option<Webhook> {
    let url = section.parsed(report, "webhook", url);
    let key_file = section.text(report, "key_file");
    match (section.span("webhook"), key_file) {
        (Some(span), None) => {
            let remedy = "make a key with `(umask 077; head -c 32 /dev/urandom | base64 > /etc/tollgate/webhook.key)`, and \
                          write key_file = \"/etc/tollgate/webhook.key\"";
            report.missing(&span, Complaint::new("webhook without key_file: nobody could tell who posts", remedy));
            None
        }
        (None, Some((span, _))) => {
            let remedy = format!("write {} as well, or remove it", Kind::Notify.example("webhook"));
            report.missing(&span, Complaint::new("key_file without webhook", remedy));
            None
        }
        (Some(_), Some((_, file))) => Some(Webhook { url: url?, key_file: base_dir.join(file) }),
        (None, None) => None,
    }
}

/// `https://…`, or `http://` to this machine: what is told must not be read or changed on its way.
fn url(text: &str) -> Result<String, Complaint> {
    let complaint = |why: &str| {
        let remedy = format!("write {}", Kind::Notify.example("webhook"));
        Err(Complaint::new(format!("{:?} {why}", shown(text)), remedy))
    };
    let Ok(uri) = text.parse::<ureq::http::Uri>() else { return complaint("is no address of the web") };
    let host = uri.host().unwrap_or_default();
    if host.is_empty() || uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return complaint("has no host, or has a password in it");
    }
    let here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    match uri.scheme_str() {
        Some("https") => Ok(text.to_owned()),
        Some("http") if here => Ok(text.to_owned()),
        Some("http") => complaint("is not encrypted, and leaves this machine"),
        _ => complaint("is neither https nor http"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encrypted_or_stay_here() {
        for fine in
            ["https://noc.example.net/tollgate?x=1", "http://127.0.0.1:9000/", "http://[::1]:1/", "http://localhost"]
        {
            assert_eq!(url(fine), Ok(fine.to_owned()));
        }
        for (wrong, why) in [
            ("http://noc.example.net/", "leaves this machine"),
            ("http://localhost.example.net/", "leaves this machine"),
            ("https://user:secret@noc.example.net/", "password"),
            ("http://127.0.0.1@noc.example.net/", "password"),
            ("ftp://noc.example.net/", "neither"),
            ("noc.example.net", "neither"),
            ("/tollgate", "no host"),
            ("https://", "no address"),
            ("https://a b/", "no address"),
            ("", "no address"),
        ] {
            let complaint = url(wrong).unwrap_err();
            assert!(complaint.message.contains(why) && complaint.remedy.contains("https://"), "{wrong}: {complaint}");
        }
    }

    fn problems(section: &str) -> Vec<String> {
        let text = format!("[site]\nregion = \"JP\"\n[notify]\n{section}\n");
        match super::super::parse(&text, None, Path::new("/etc/tollgate")) {
            Ok(_) => Vec::new(),
            Err(found) => found.problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn what_is_half_is_refused() {
        for (section, needle) in [
            ("command = [\"page\"]", "whole path"),
            ("command = []", "whole path"),
            ("command = \"page\"", "list"),
            ("command = [\"/bin/page\", \"a\\u0000b\"]", "NUL"),
            ("webhook = \"https://noc.example.net/\"", "key_file"),
            ("key_file = \"k\"", "without webhook"),
            ("burst = \"10\"", "10/s"),
            ("comand = []", "command"),
        ] {
            let found = problems(section);
            assert!(found.len() == 1 && found[0].contains(needle), "{section}: {found:?}");
        }
        let text = "[site]\nregion = \"JP\"\n[notify]\nwebhook = \"https://noc.example.net/\"\nkey_file = \"hook.key\"\n\
                    command = [\"/bin/page\", \"noc\"]\nburst = \"3/10s\"\n";
        let (config, _) = super::super::parse(text, None, Path::new("/etc/tollgate")).unwrap();
        let webhook = config.notify.webhook.unwrap();
        assert_eq!(webhook.key_file, Path::new("/etc/tollgate/hook.key"));
        assert_eq!(config.notify.burst, (3, Duration::from_secs(10)));
    }
}
