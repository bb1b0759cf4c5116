//! `[interface.*]`, `[sip]` and `[site]`.

use super::{
    Interface, OutsideRegistration, Role, Sip, Site, TcpPolicy,
    keys::{Kind, shown},
    problem::{Complaint, Report},
    region::known_region,
    section::Section,
    values,
};
use crate::answer;

/// SIP as registered with IANA, and where PBXs are found to listen beside that.
const PORTS: [u16; 5] = [5060, 5061, 5062, 5080, 5160];
/// As many ports as one policy names; each is one bit in the image, but a range written out is a mistake.
const MOST_PORTS: usize = 256;

pub(super) fn interfaces(report: &mut Report<'_>, top: &Section<'_>) -> Vec<Interface> {
    let mut out = Vec::new();
    for named in top.named(report, "interface", Kind::Interface) {
        let role = named.section.choice(report, "role", &[("wan", Role::Wan), ("lan", Role::Lan)]);
        match values::interface_name(named.name) {
            Ok(name) => out.push(Interface { name, role: role.unwrap_or(Role::Wan) }),
            Err(complaint) => report.problem(&named.span, complaint),
        }
    }
    out
}

pub(super) fn sip(report: &mut Report<'_>, top: &Section<'_>) -> Sip {
    let section = top.section(report, "sip", Kind::Sip);
    let mut ports = Vec::new();
    let written = section.ports(report, "ports");
    if let (Some(span), Some(0)) = (section.span("ports"), written.as_ref().map(Vec::len)) {
        report
            .missing(&span, Complaint::new("no port carries SIP, so nothing would be judged", "write ports = [5060]"));
    }
    for (span, port) in written.unwrap_or_else(|| PORTS.map(|port| (0..0, port)).into()) {
        if ports.contains(&port) {
            report.problem(&span, Complaint::new(format!("port {port} stands twice"), "remove one of the two"));
        } else if ports.len() == MOST_PORTS {
            report.problem(&span, Complaint::new("more than 256 ports", "name only those that carry SIP"));
            break;
        } else {
            ports.push(port);
        }
    }
    let words = [("inspect", TcpPolicy::Inspect), ("deny", TcpPolicy::Deny), ("pass", TcpPolicy::Pass)];
    let tcp = section.choice(report, "tcp", &words).unwrap_or(TcpPolicy::Inspect);
    let redirects = section.flag(report, "redirects").unwrap_or(false);
    let called_party = section.flag(report, "called_party").unwrap_or(false);
    let reject = section.one_of(report, "reject", &answer::STATUS.map(|(code, _)| code));
    Sip { ports, tcp, redirects, called_party, reject }
}

pub(super) fn site(report: &mut Report<'_>, top: &Section<'_>, time_zone: Option<String>) -> Site {
    let section = top.section(report, "site", Kind::Site);
    let region = section.parsed(report, "region", region);
    if section.span("region").is_none() {
        let message = "no region: only numbers written with + are read as international";
        report
            .warn_whole(Complaint::new(message, r#"write region = "JP", your country, in [site], or "ZZ" to say so"#));
    }
    let mut own_numbers = Vec::new();
    for (span, number) in section.parsed_list(report, "own_numbers", values::own_number).unwrap_or_default() {
        if own_numbers.contains(&number) {
            report.warn(&span, Complaint::new(format!("own_numbers has +{number} twice"), "remove one of the two"));
        } else {
            own_numbers.push(number);
        }
    }
    let words = [
        ("allow", OutsideRegistration::Allow),
        ("known", OutsideRegistration::Known),
        ("deny", OutsideRegistration::Deny),
    ];
    Site {
        time_zone,
        region: region.unwrap_or_else(|| "ZZ".to_owned()),
        extensions: section.parsed(report, "extensions", values::extensions),
        own_numbers,
        outside_registration: section.choice(report, "outside_registration", &words).unwrap_or_default(),
        outside_registration_at: section.span("outside_registration").map(|span| report.place(&span)),
    }
}

/// A country, or `ZZ` for none.
pub(super) fn region(text: &str) -> Result<String, Complaint> {
    let upper = text.to_ascii_uppercase();
    let known = upper == "ZZ" || known_region(&upper);
    if known && upper == text {
        return Ok(upper);
    }
    let message = format!("{:?} is no region", shown(text));
    Err(Complaint::new(
        message,
        if known {
            format!("write {upper:?}")
        } else {
            r#"write an ISO 3166-1 code in two capital letters, such as "JP", or "ZZ" for none"#.to_owned()
        },
    ))
}
