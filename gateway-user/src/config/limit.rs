//! `[trunk.*]`, `[emergency]`, `[ceiling]` and `[limit.*]`: everything with a rate.

use std::time::Duration;

use gateway_common::{Class, Method, limit::channels::CHANNELS};

use super::{
    Ceiling, Count, Interface, Limit, LimitKey, Network, Over, Rate, Role, Trunk, ask, heads,
    keys::{Kind, join, nearest, shown},
    problem::{Complaint, Report},
    section::{Named, Section, Span},
    tallies,
    values::{self, PerTime},
    windows,
};

/// The largest burst: more than a second of line rate serves nobody.
const MOST_BURST: u32 = 1_000_000;
/// A bucket that takes longer to refill is a window, and its cell would outlive its memory.
const LONGEST_REFILL: Duration = Duration::from_secs(31 * 86_400);

/// Methods that complete or end what was allowed to begin: dropping one leaves a call hanging.
const NEVER_LIMITED: [Method; 4] = [Method::Ack, Method::Bye, Method::Cancel, Method::Prack];

/// `key` and `burst` together; without `burst`, a whole allowance at once, or `burst_factor` of it.
fn rate(report: &mut Report<'_>, section: &Section<'_>, key: &str, burst_factor: u32) -> Option<Rate> {
    let written = section.parsed(report, key, values::rate);
    let burst = section.number(report, "burst", 1, MOST_BURST);
    if let (None, Some(span)) = (section.span(key), section.span("burst")) {
        report
            .missing(&span, Complaint::new(format!("burst without {key}"), format!("write {key} = \"10/s\" as well")));
    }
    with_burst(report, section, key, written?, burst, burst_factor)
}

/// The rate of `key`, which takes `burst_factor` of its allowance at once.
fn alone(report: &mut Report<'_>, section: &Section<'_>, key: &str, burst_factor: u32) -> Option<Rate> {
    let written = section.parsed(report, key, values::rate)?;
    with_burst(report, section, key, written, None, burst_factor)
}

fn with_burst(
    report: &mut Report<'_>,
    section: &Section<'_>,
    key: &str,
    PerTime { count, per }: PerTime,
    burst: Option<u32>,
    burst_factor: u32,
) -> Option<Rate> {
    let burst = burst.unwrap_or_else(|| count.saturating_mul(burst_factor).clamp(1, MOST_BURST));
    let refill = per.as_secs().saturating_mul(u64::from(burst)) / u64::from(count);
    if refill > LONGEST_REFILL.as_secs() {
        let span = section.span("burst").or_else(|| section.span(key)).unwrap_or_default();
        let message = format!("a burst of {burst} at this rate takes more than 31 days to fill again");
        report.problem(&span, Complaint::new(message, "write a smaller burst or a higher rate"));
        return None;
    }
    Some(Rate { count, per, burst })
}

/// `[emergency]`: the flood bucket of sources that nobody knows.
pub(super) fn emergency(report: &mut Report<'_>, top: &Section<'_>) -> Rate {
    let section = top.section(report, "emergency", Kind::Emergency);
    rate(report, &section, "unproved", 1).unwrap_or(Rate { count: 3, per: Duration::from_secs(10), burst: 3 })
}

/// `[ceiling]`: what holds whatever a packet says.
pub(super) fn ceiling(report: &mut Report<'_>, top: &Section<'_>) -> Ceiling {
    const FACTOR: u32 = 4;
    let section = top.section(report, "ceiling", Kind::Ceiling);
    let otherwise = |count| Rate { count, per: Duration::from_secs(1), burst: count * FACTOR };
    Ceiling {
        unproved: rate(report, &section, "unproved", FACTOR).unwrap_or(otherwise(50)),
        connections: alone(report, &section, "connections", FACTOR).unwrap_or(otherwise(10)),
        fragments: alone(report, &section, "fragments", FACTOR).unwrap_or(otherwise(10_000)),
    }
}

/// What happens over a limit, of the words that it can be.
fn over(report: &mut Report<'_>, section: &Section<'_>, otherwise: Over, by: By) -> Over {
    let words = [("drop", Over::Drop), ("warn", Over::Warn), ("ban", Over::Ban), ("suspend", Over::Suspend)];
    let chosen = section.choice(report, "over", &words).unwrap_or(otherwise);
    let remedy = match chosen {
        Over::Drop | Over::Warn => return chosen,
        Over::Suspend if by == By::Windows => return chosen,
        Over::Ban if matches!(by, By::Rate | By::Heads) => return chosen,
        Over::Suspend if by == By::Heads => r#"write over = "ban", or over = "warn""#,
        Over::Suspend => r#"write over = "drop" or over = "warn"; only a limit by windows suspends"#,
        Over::Ban if by == By::Windows => r#"write over = "suspend", or a limit by rate that bans"#,
        Over::Ban => r#"write over = "drop" or over = "warn"; a trunk is never banned"#,
    };
    if let Some(span) = section.span("over") {
        let word = chosen.as_str();
        report.problem(&span, Complaint::new(format!("over = {word:?} is not for {}", by.as_str()), remedy));
    }
    chosen
}

/// What counts, by which follows what can happen over it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rate,
    Windows,
    Heads,
    Trunk,
}

impl By {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "a rate",
            Self::Windows => "windows",
            Self::Heads => "heads",
            Self::Trunk => "a trunk",
        }
    }
}

/// How long a ban lasts at first; design and RFC know no figure: fail2ban's default of ten minutes, halved, since it doubles.
const BAN: Duration = Duration::from_secs(300);
/// How long it can last.
const LONGEST_BAN: Duration = Duration::from_secs(24 * 3600);

/// How long the first ban of a source lasts, where the limit bans; and that it counts what one source does.
fn ban(report: &mut Report<'_>, section: &Section<'_>, over: Over, key: LimitKey) -> Option<Duration> {
    let written = section.parsed(report, "ban", values::duration);
    let span = section.span("ban");
    if over != Over::Ban {
        if let Some(span) = span {
            report.warn(&span, Complaint::new("ban has no effect: this limit does not ban", "remove it"));
        }
        return None;
    }
    if key != LimitKey::Source {
        let message = format!("over = \"ban\" bans a source, and key = {:?} counts several together", key.as_str());
        let span = section.span("key").unwrap_or_default();
        report.problem(&span, Complaint::new(message, r#"write key = "source", or over = "drop""#));
    }
    if let (Some(written), Some(span)) = (written, span)
        && written > LONGEST_BAN
    {
        let message = "a ban lasts 24h at most, since an address has another owner tomorrow";
        report.problem(&span, Complaint::new(message, r#"write ban = "5m": each is twice as long as the one before"#));
    }
    Some(written.unwrap_or(BAN))
}

/// What counts: requests, or those that the PBX refused.
fn count(report: &mut Report<'_>, section: &Section<'_>, over: Over) -> Count {
    let words = [("requests", Count::Requests), ("failures", Count::Failures)];
    let chosen = section.choice(report, "count", &words).unwrap_or_default();
    if chosen == Count::Requests {
        return chosen;
    }
    for other in ["method", "class"].iter().chain(&windows::KEYS) {
        if let Some(span) = section.span(other) {
            let message =
                format!("{other} beside count = \"failures\", which counts answers of the PBX, whatever was asked");
            report.problem(&span, Complaint::new(message, format!("remove {other}")));
        }
    }
    if over != Over::Ban {
        let span = section.span("over").or_else(|| section.span("count")).unwrap_or_default();
        let message =
            "count = \"failures\" stops nothing unless it bans: the requests have passed when the PBX refuses them";
        report.problem(&span, Complaint::new(message, r#"write over = "ban""#));
    }
    chosen
}

fn own_name(report: &mut Report<'_>, named: &Named<'_>) -> String {
    if let Err(complaint) = values::name(named.name) {
        report.problem(&named.span, complaint);
    }
    named.name.to_owned()
}

/// The trunks, each source with the place where it stands.
pub(super) fn trunks(
    report: &mut Report<'_>,
    top: &Section<'_>,
    interfaces: &[Interface],
) -> Vec<(Trunk, Vec<(Span, Network)>)> {
    let mut out = Vec::new();
    for named in top.named(report, "trunk", Kind::Trunk) {
        let section = &named.section;
        let name = own_name(report, &named);
        let sources = section.parsed_list(report, "sources", trunk_source).unwrap_or_default();
        if section.span("sources").is_none() {
            let message = format!("trunk.{} has no sources", shown(&name));
            report.missing(&named.span, Complaint::new(message, format!("write {}", Kind::Trunk.example("sources"))));
        }
        let interface = section.text(report, "interface");
        if let Some((span, interface)) = &interface {
            known_interface(report, span, interface, interfaces);
        }
        let trunk = Trunk {
            sources: sources.iter().map(|(_, network)| *network).collect(),
            interface: interface.map(|(_, name)| name.to_owned()),
            rate: rate(report, section, "rate", 1),
            over: over(report, section, Over::Warn, By::Trunk),
            name,
        };
        if let (None, Some(span)) = (section.span("rate"), section.span("over")) {
            report.missing(
                &span,
                Complaint::new("over without rate", format!("write {} as well", Kind::Trunk.example("rate"))),
            );
        }
        out.push((trunk, sources));
    }
    out
}

/// No destination rule holds for what a trunk sends, so a trunk must not be everybody.
fn trunk_source(text: &str) -> Result<Network, Complaint> {
    let network: Network = text.parse()?;
    if network.prefix_len == 0 {
        let message = format!("{network} would make every source a trunk, and no rule would hold");
        return Err(Complaint::new(message, "write the addresses that your provider sends from"));
    }
    Ok(network)
}

fn known_interface(report: &mut Report<'_>, span: &Span, name: &str, interfaces: &[Interface]) {
    match interfaces.iter().find(|i| i.name == name) {
        Some(Interface { role: Role::Wan, .. }) => {}
        Some(Interface { role: Role::Lan, .. }) => {
            let message = format!("interface {name} has role lan, where every source is the site's own");
            report.warn(
                span,
                Complaint::new(
                    message,
                    format!("write role = \"wan\" in [interface.{name}] if the trunk arrives there"),
                ),
            );
        }
        None => {
            let message = format!("interface {:?} is not in this file", shown(name));
            let remedy = match nearest(name, interfaces.iter().map(|i| i.name.as_str())) {
                Some(near) => format!("write interface = {near:?}"),
                None => format!("write [interface.{}] as well, or remove the key for any wan interface", shown(name)),
            };
            report.missing(span, Complaint::new(message, remedy));
        }
    }
}

/// The limits, each with the place of its name.
pub(super) fn limits(report: &mut Report<'_>, top: &Section<'_>) -> Vec<(Span, Limit)> {
    let mut out = Vec::new();
    for named in top.named(report, "limit", Kind::Limit) {
        let name = own_name(report, &named);
        let section = &named.section;
        let by = match windows::KEYS.iter().any(|key| section.span(key).is_some()) {
            _ if heads::any(section) => By::Heads,
            true => By::Windows,
            false => By::Rate,
        };
        for key in ["key", "rate"] {
            if section.span(key).is_none() && (key == "key" || by == By::Rate) {
                let message = format!("limit.{} has no {key}", shown(&name));
                let or = if key == "rate" { ", or windows for calls" } else { "" };
                let remedy = format!("write {}{or}", Kind::Limit.example(key));
                report.missing(&named.span, Complaint::new(message, remedy));
            }
        }
        let key = section.parsed(report, "key", limit_key);
        let method = section.parsed(report, "method", method);
        let class = section.parsed(report, "class", class);
        if let (Some(method), Some(_), Some(span)) = (method, class, section.span("class"))
            && !method.makes_call()
        {
            let message = format!("{} makes no call, so it has no class", method.as_str());
            report.problem(&span, Complaint::new(message, r#"remove class, or write method = "INVITE""#));
        }
        let over = over(report, section, Over::Drop, by);
        let key = key.unwrap_or(LimitKey::Source);
        let ban = ban(report, section, over, key);
        let count = count(report, section, over);
        let [windows, site_windows] = ["windows", "site_windows"].map(|it| windows::list(report, section, it));
        let rate = match by {
            By::Rate | By::Trunk => {
                windows::key_of_rate(report, section, key);
                rate(report, section, "rate", 1)
            }
            By::Windows => {
                windows::alone(report, section, key, method, over);
                tallies::check(report, section, key, method, over);
                None
            }
            By::Heads => {
                heads::check(report, section, key, method, over);
                None
            }
        };
        let [concurrent, site_concurrent] =
            ["concurrent", "site_concurrent"].map(|it| section.number(report, it, 1, CHANNELS as u32));
        let [tallies, site_tallies] = tallies::both(report, section);
        let suspend = windows::suspension(report, section, over, class);
        let schedule = section.text(report, "schedule").map(|(_, name)| name.to_owned());
        let (ask, ask_schedule) = ask::ask(report, section, over);
        let limit = Limit {
            name,
            key,
            method,
            class,
            count,
            rate,
            windows,
            site_windows,
            concurrent,
            site_concurrent,
            tallies,
            site_tallies,
            heads: heads::list(report, section),
            over,
            suspend,
            ban,
            schedule,
            ask,
            ask_schedule,
        };
        out.push((named.span, limit));
    }
    out
}

fn limit_key(text: &str) -> Result<LimitKey, Complaint> {
    super::section::choose(
        text,
        &[
            ("source", LimitKey::Source),
            ("network", LimitKey::Network),
            ("unproved", LimitKey::Unproved),
            ("all", LimitKey::All),
            ("line", LimitKey::Line),
            ("site", LimitKey::Site),
            ("country", LimitKey::Country),
            ("source-country", LimitKey::SourceCountry),
        ],
    )
}

fn method(text: &str) -> Result<Method, Complaint> {
    let upper = text.to_ascii_uppercase();
    let Some(method) = Method::from_name(&upper) else {
        let names = || Method::ALL.iter().filter(|m| !NEVER_LIMITED.contains(m)).map(|m| m.as_str());
        let near = names().map(|name| (strsim::damerau_levenshtein(&upper, name), name)).filter(|(d, _)| *d <= 2).min();
        let remedy =
            near.map_or_else(|| format!("write one of {}", join(names())), |(_, name)| format!("write {name:?}"));
        return Err(Complaint::new(format!("{:?} is no SIP method", shown(text)), remedy));
    };
    if NEVER_LIMITED.contains(&method) {
        let message = format!("{upper} is never limited: without it a call could not be ended");
        return Err(Complaint::new(message, r#"write method = "INVITE", or remove the limit"#));
    }
    if upper == text {
        Ok(method)
    } else {
        Err(Complaint::new(format!("{text:?} is not in capital letters"), format!("write {upper:?}")))
    }
}

fn class(text: &str) -> Result<Class, Complaint> {
    let all = Class::ALL.map(|class| (class.as_str(), class));
    match super::section::choose(text, &all)? {
        Class::Emergency => Err(Complaint::new(
            "a limit of this class would drop an emergency call",
            "remove it: [emergency] unproved is the one bucket for emergency calls",
        )),
        class => Ok(class),
    }
}
