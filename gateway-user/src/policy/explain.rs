//! What would happen to one call now, in every step, and which entry decides.
//!
//! The decision is the engine's; the image holds no names, so the entry is found again in file and orders.

use std::{fmt::Write as _, net::IpAddr};

use gateway_common::{
    Class, Method, Reason,
    judge::Side,
    judged::{Judged, Who},
    limit::{CellKey, FLOOR_CELL, name_hash, window::Ring},
    policy::image::{SOURCES_V4, SOURCES_V6, TRUNK_CELLS, TRUNK_HEAD, TRUNKS},
};
use jiff::Timestamp;

use super::{
    Caller, PolicyImage,
    actions::on_floor,
    charged::{Charged, addr, address},
    matching::{Called, profile_of, suspected},
    say::Say,
};
use crate::{
    config::{Config, Count, Imported, Limit, LimitKey, Mode, Profile, Role, Scheduled},
    daemon::{self, ActiveOrder, ExplainStep, Explanation, Held, Levels, OrderRule},
    engine::host::HostEngine,
    numbering, replay,
    what::What,
    zone,
};

/// Octets of a number or URI that is asked about.
const LONGEST: usize = 1000;
/// Octets of a line that is asked about.
const LONGEST_LINE: usize = 64;
/// A time at which no limit has counted anything, nanoseconds.
const UNUSED: u64 = 1_000_000_000;

/// What the filter holds now, and the line that places the call.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'a> {
    /// The user of its From; without one, limits are taken as unused, but not bans.
    pub line: Option<&'a str>,
    /// Whether the PBX took the credentials of the source; `None` where no filter was asked, so that bans are not known either.
    pub known: Option<bool>,
    /// Every cell; one that is not here is empty.
    pub cells: &'a [(CellKey, Ring)],
    /// How many calls are up of what limits on calls at once count.
    pub channels: &'a [(CellKey, u32)],
    /// What the daemon has added up; `None` for nothing.
    pub summed: Option<&'a Levels>,
    /// The time, by the clock that cells run on.
    pub clock: u64,
    /// The same by the wall clock.
    pub now: Timestamp,
}

impl Holding<'_> {
    /// No filter is asked: nothing is counted, and nobody banned.
    pub const fn nothing(now: Timestamp) -> Self {
        Self { line: None, known: None, cells: &[], channels: &[], summed: None, clock: UNUSED, now }
    }

    /// The ban on a source.
    fn ban(&self, source: IpAddr) -> Option<(CellKey, Ring)> {
        let key = CellKey::of_ban(addr(source).source());
        let ring = self.cells.iter().find(|(other, _)| *other == key)?.1;
        (self.clock < ring.until).then_some((key, ring))
    }
}

/// What would happen now to a call to `input`, a dialled string or a URI, from `caller`; without a source, from the default
/// profile. `image` is what `config` and `orders` compiled to. Of a line, a telephone of the site, limits are as full as they are.
///
/// # Errors
///
/// Where `input` is nothing that a request can carry, and where no From can name the line.
pub fn explain(
    config: &Config,
    image: &PolicyImage,
    orders: &[ActiveOrder],
    input: &str,
    caller: &Caller,
    holding: &Holding<'_>,
) -> anyhow::Result<Explanation> {
    let from = caller.from;
    let side = match (caller.side, holding.line) {
        (Some(Role::Lan), _) | (None, Some(_)) => Side::Lan,
        (Some(Role::Wan), Some(_)) => anyhow::bail!(
            "a line is told by the From of what comes in on a LAN interface, and this source is outside: leave out --line, or write \
             --side lan"
        ),
        (Some(Role::Wan) | None, None) => Side::Wan,
    };
    if let Some(line) = holding.line {
        names_a_line(line)?;
    }
    let uri = request_uri(input)?;
    let mut image = image.clone();
    if from.is_none() {
        for table in [SOURCES_V4, SOURCES_V6] {
            if let Some(cell) = image.cells.get_mut(table as usize) {
                *cell = 0;
            }
        }
    }
    meet_trunks_anywhere(&mut image, config.trunks.len());
    let frame = replay::invite(from, holding.line.unwrap_or_default(), &uri)?;
    let mut engine = HostEngine::new(image);
    let ban = from.and_then(|from| holding.ban(from));
    if let Some((key, ring)) = &ban {
        engine.set_ban(*key, ring);
    }
    if let (Some(from), Some(true)) = (from, holding.known) {
        engine.set_known(from);
    }
    if holding.line.is_some() {
        holding.cells.iter().for_each(|(key, ring)| engine.set_ring(*key, ring));
        holding.channels.iter().for_each(|(key, up)| engine.set_channels(*key, *up));
    }
    let judged = engine.judge(&frame, side, 0, holding.clock);
    let Some(profile) = profile_of(config, from) else { anyhow::bail!("the policy has no profile") };
    let dialled = String::from_utf8_lossy(judged.dialled()).into_owned();
    let e164: String = judged.e164().map(char::from).collect();
    let digits = match judged.class() {
        Class::Suspicious => suspected(profile, &dialled),
        _ => e164.clone(),
    };
    let called = Called {
        class: judged.class(),
        dialled: &dialled,
        digits: &digits,
        profile,
        from,
        line: judged.line,
        vouched: judged.who() != Who::Unproved,
    };
    let charged = if holding.line.is_some() { charged(config, profile, &judged, holding) } else { Vec::new() };
    let call = Call { config, orders, called, judged: &judged, charged: &charged, caller, holding, ban };
    let steps = call.steps();
    let rule = steps.iter().find(|step| step.decides).map(|step| step.finding.clone());
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(Explanation {
        input: input.to_owned(),
        profile: profile.name.clone(),
        dialled: some(&dialled),
        e164: some(&e164),
        class: judged.class(),
        country: replay::country(judged.country).map(str::to_owned),
        verdict: judged.verdict(),
        reason: judged.reason(),
        rule,
        steps,
        charged: charged.into_iter().map(|(_, held)| held).collect(),
    })
}

/// Whether a From can name a line so.
fn names_a_line(line: &str) -> anyhow::Result<()> {
    let is_user = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.!~*'()&=+$%#".contains(&octet);
    if !(1..=LONGEST_LINE).contains(&line.len()) || !line.bytes().all(is_user) || line.starts_with('#') {
        anyhow::bail!(
            "{line:?} names no line here: write what stands in front of the @ of From, such as 203; a digest tells nothing of its \
             name",
        );
    }
    Ok(())
}

/// Lets a trunk be a trunk on any WAN interface: the call that is asked about arrives on the one that it is named with.
fn meet_trunks_anywhere(image: &mut PolicyImage, trunks: usize) {
    let first = image.cells.get(TRUNKS as usize).map_or(0, |first| *first as usize);
    for trunk in 0..trunks {
        if let Some(head) = image.cells.get_mut(first + trunk * TRUNK_CELLS as usize + TRUNK_HEAD as usize) {
            // The number of the interface is the lower half.
            *head &= !u64::from(u32::MAX);
        }
    }
}

/// The cells that a call of a line is charged to, each with whether it is of the floor.
fn charged(config: &Config, profile: &Profile, judged: &Judged, of: &Holding<'_>) -> Vec<(bool, Held)> {
    let call = Charged {
        who: judged.who(),
        source: address(judged.source),
        line: judged.line,
        country: judged.country,
        class: judged.class(),
        method: judged.method(),
    };
    let keys = call.cells(config, profile, of.now).into_iter();
    let level = |key: CellKey| {
        let found = of.cells.iter().find(|(other, _)| *other == key);
        let ring = found.map_or(&Ring::FRESH, |(_, ring)| ring);
        let up = of.channels.iter().find(|(other, _)| *other == key).map_or(0, |(_, up)| *up);
        let level = daemon::cell_level(
            config,
            &key,
            ring,
            up,
            of.summed.and_then(|summed| summed.get(&key)),
            (of.now, of.clock),
        );
        (key.limit == FLOOR_CELL, level)
    };
    keys.map(level).collect()
}

/// The Request-URI of a call to `input`.
fn request_uri(input: &str) -> anyhow::Result<String> {
    let text = input.trim();
    // As a header writes a URI.
    let text = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text);
    if text.is_empty() || text.len() > LONGEST {
        anyhow::bail!(
            "write a number as it is dialled, such as 010232761234567, or a SIP or tel URI, of at most {LONGEST} octets"
        );
    }
    let lower = text.to_ascii_lowercase();
    if ["sip:", "sips:", "tel:", "urn:"].iter().any(|scheme| lower.starts_with(scheme)) {
        if text.bytes().any(|octet| octet.is_ascii_whitespace() || octet.is_ascii_control() || octet == b'>') {
            anyhow::bail!("{text:?} is no URI: take out blanks and brackets");
        }
        return Ok(text.to_owned());
    }
    if text.contains([':', '@']) {
        anyhow::bail!(
            "{text:?} is neither a number nor a URI that a server dials; begin it with sip:, sips:, tel: or urn:"
        );
    }
    let mut user = String::new();
    for octet in text.bytes().filter(|octet| *octet != b' ') {
        if octet.is_ascii_alphanumeric() || b"+*#-.()_~".contains(&octet) {
            user.push(char::from(octet));
        } else {
            let _ = write!(user, "%{octet:02X}");
        }
    }
    Ok(format!("sip:{user}@gateway.invalid"))
}

/// One call, judged.
struct Call<'a> {
    config: &'a Config,
    orders: &'a [ActiveOrder],
    called: Called<'a>,
    judged: &'a Judged,
    /// What it would be charged to, and whether that is of the floor; empty where no line is asked about.
    charged: &'a [(bool, Held)],
    caller: &'a Caller,
    holding: &'a Holding<'a>,
    /// The ban on the source.
    ban: Option<(CellKey, Ring)>,
}

impl Call<'_> {
    /// Every step in the order of decisions. The one that decides is marked.
    fn steps(&self) -> Vec<ExplainStep> {
        let decided = self.deciding();
        let mut findings = vec![
            ("source", self.source()),
            ("dialled string", self.dialled()),
            ("emergency", self.emergency()),
            ("shield", self.shield()),
            ("kill switch", self.kill_switch()),
            ("bans", self.bans()),
            ("orders", self.order()),
            ("floor", self.floor()),
            ("policy file", self.file()),
            ("limits", self.limits()),
        ];
        findings.extend(self.schedules().map(|finding| ("schedules", finding)));
        findings
            .into_iter()
            .map(|(name, finding)| ExplainStep { name: name.to_owned(), finding, decides: name == decided })
            .collect()
    }

    fn deciding(&self) -> &'static str {
        match self.judged.reason() {
            Reason::Inbound => "source",
            Reason::Emergency => "emergency",
            Reason::Shield => "shield",
            Reason::InternationalOff => "kill switch",
            Reason::Banned => "bans",
            Reason::Order => "orders",
            Reason::Allowed if self.called.deciding_order(self.orders).is_some() => "orders",
            Reason::Floor => "floor",
            Reason::Suspended if self.charged.iter().any(|(floor, held)| *floor && held.until.is_some()) => "floor",
            Reason::Unreadable | Reason::AmbiguousTarget | Reason::NoNumber | Reason::NotSip | Reason::SipOther => {
                "dialled string"
            }
            reason if limit(reason) => "limits",
            _ => "policy file",
        }
    }

    fn source(&self) -> String {
        let profile = &self.called.profile.name;
        let line = if self.called.line == 0 { "" } else { ", a telephone of the site" };
        let Some(from) = self.called.from else { return format!("no source named{line}: profile {profile}") };
        let trunk = self.config.trunks.iter().find(|trunk| trunk.sources.iter().any(|network| network.contains(from)));
        match (self.judged.who(), trunk) {
            (Who::Trunk, Some(trunk)) => {
                format!(
                    "{from} is trunk.{}: an inbound call, which destination rules of the file leave alone",
                    trunk.name
                )
            }
            (who, _) => {
                let by = if self.caller.by.is_empty() { String::new() } else { format!(" ({})", self.caller.by) };
                format!("{from} is {}{by}, profile {profile}", who.as_str())
            }
        }
    }

    /// Who may be banned, and whether he is.
    fn bans(&self) -> String {
        match (self.called.from, self.judged.who(), &self.ban) {
            (None, _, _) => "no source named".to_owned(),
            (_, Who::Lan | Who::Trunk, None) => "trunks and the LAN are never banned".to_owned(),
            (_, _, None) if self.holding.known.is_none() => "not looked at: no filter was asked".to_owned(),
            (_, _, None) => "none".to_owned(),
            (_, who, Some((key, ring))) => {
                let held = daemon::cell_level(self.config, key, ring, 0, None, (self.holding.now, self.holding.clock));
                let Held { counts, until, resume, .. } = held;
                let is_its = |limit: &&Limit| u64::from(name_hash(limit.name.as_bytes())) == ring.used;
                let limit = self.config.limits.iter().find(is_its).map_or_else(
                    || "a limit that the policy no longer has".to_owned(),
                    |limit| format!("[limit.{}]", limit.name),
                );
                let until = until.map_or_else(String::new, |until| format!(" until {}", zone::shown(until)));
                let acts = match (who, self.config.mode) {
                    (Who::Lan | Who::Trunk, _) => "; of this side it is not asked",
                    (_, Mode::Monitor) => "; in monitor mode it is counted only",
                    (_, Mode::Enforce) => "",
                };
                format!("{counts}: banned{until}, over {limit}; tollgate resume {resume} lifts it{acts}")
            }
        }
    }

    fn dialled(&self) -> String {
        let class = self.called.class.as_str();
        let country = replay::country(self.judged.country);
        let place = country.map_or_else(String::new, |code| {
            format!(" in {} ({code})", numbering::country_name(code).unwrap_or("an unnamed country"))
        });
        let region = &self.called.profile.region;
        if self.called.dialled.is_empty() {
            return format!("no number: {}", self.judged.reason().as_str());
        }
        match self.called.class {
            Class::None => format!("{} is an extension, a service or a word", self.called.dialled),
            Class::Suspicious => format!(
                "{} means nothing in the dial plan of {region}, and +{}{} under an access code of other countries",
                self.called.dialled,
                self.called.digits,
                named_country(self.called.digits),
            ),
            _ if self.called.digits.is_empty() => {
                format!("{} is {class} in the dial plan of {region}", self.called.dialled)
            }
            _ => format!("{} is +{}, {class}{place}", self.called.dialled, self.called.digits),
        }
    }

    fn emergency(&self) -> String {
        if self.called.class == Class::Emergency {
            return "an emergency call: no rule, order or limit stops it".to_owned();
        }
        "no".to_owned()
    }

    fn shield(&self) -> String {
        match self.orders.iter().find(|order| order.rule == OrderRule::Shield) {
            Some(order) if self.judged.who() == Who::Unproved => format!(
                "order {}: shield on, in either mode: sources that nobody knows start nothing; tollgate undo {} takes it back",
                order.number, order.number
            ),
            Some(order) => format!("up by order {}, and not for this source", order.number),
            None => "down".to_owned(),
        }
    }

    fn kill_switch(&self) -> String {
        if let Some(order) = self.called.switched_off(self.orders) {
            let (number, scope) = (order.number, &order.scope);
            return format!(
                "order {number}: {} ({scope}), in either mode, above every other order; tollgate undo {number} takes it back",
                order.action()
            );
        }
        if self.orders.iter().any(|order| order.rule == OrderRule::InternationalOff) {
            "international calls are off, and that does not concern it".to_owned()
        } else {
            "international calls are not switched off".to_owned()
        }
    }

    fn order(&self) -> String {
        let counts = match self.called.watching_order(self.orders) {
            Some((order, what)) => {
                format!("; order {} counts it: block {what} --monitor ({})", order.number, order.scope)
            }
            None => String::new(),
        };
        format!("{}{counts}", self.acting_order())
    }

    fn acting_order(&self) -> String {
        match self.called.deciding_order(self.orders) {
            Some((order, what)) => {
                let (number, verb, scope) = (order.number, order.rule.as_str(), &order.scope);
                let max = order.max.map(|max| format!(" --max {max}")).unwrap_or_default();
                format!(
                    "order {number}: {verb} {what}{max} ({scope}), in either mode; tollgate undo {number} takes it back"
                )
            }
            None if self.orders.is_empty() => "none in force".to_owned(),
            None => format!("none of {} in force matches", self.orders.len()),
        }
    }

    fn floor(&self) -> String {
        if !self.config.floor {
            return "off".to_owned();
        }
        match numbering::lookup(self.called.digits) {
            Some(range) if on_floor(range) => {
                format!("+{} is refused in either mode; tollgate allow +{} lets it pass", range.prefix, range.prefix)
            }
            _ => match self.levels(true).as_slice() {
                [] => "does not concern it".to_owned(),
                told => format!("counts it: {}", told.join("; ")),
            },
        }
    }

    /// What the floor, or the limits of the file, count the call by, and how full that is.
    fn levels(&self, floor: bool) -> Vec<String> {
        self.charged.iter().filter(|(of_floor, _)| *of_floor == floor).map(|(_, held)| held.to_string()).collect()
    }

    fn file(&self) -> String {
        let acts = match self.config.mode {
            Mode::Enforce => "",
            Mode::Monitor => "; in monitor mode it is counted only",
        };
        let dial = self.called.entry(|what| matches!(what, What::Dial(_)));
        let entry = dial.or_else(|| self.called.entry(|what| matches!(what, What::Prefix(_) | What::Country(_))));
        if let Some((say, entry)) = entry {
            let reason = entry.reason.as_ref().map_or_else(String::new, |reason| format!(", {reason}"));
            return format!("{} at {}{reason}{acts}", ruling(say, &entry.what), entry.place);
        }
        if let Some(Imported { import, network }) = self.imported() {
            return format!("import.{import} names {network}{acts}");
        }
        let class = self.called.class;
        let by_schedule = |it: &&Scheduled| it.entry.what == What::Class(class) && self.holds(&it.schedule).0;
        let entry = self.called.profile.scheduled.iter().filter(by_schedule).min_by_key(|it| it.allow);
        if let Some(it) = entry {
            let (list, place, schedule) = (it.list(), &it.entry.place, &it.schedule);
            return format!("{list} {} at {place}, schedule {schedule}{acts}", class.as_str());
        }
        let answer = self.called.profile.class[class as usize].as_str();
        match class {
            Class::None | Class::Emergency => "no rule concerns it".to_owned(),
            _ => format!(
                "no entry names it; class.{} = {answer} of profile {}{acts}",
                class.as_str(),
                self.called.profile.name
            ),
        }
    }

    /// What an import names around the source, where that and no entry decides.
    fn imported(&self) -> Option<&Imported> {
        let from = self.called.from.filter(|_| self.judged.reason() == Reason::BlockedPrefix)?;
        self.config.imported.iter().find(|imported| imported.network.contains(from))
    }

    /// Whether a schedule holds, and until when it does or does not.
    fn holds(&self, name: &str) -> (bool, String) {
        let (Some(now), Some(schedule)) = (self.config.as_of, self.config.schedule(name)) else {
            return (false, String::new());
        };
        let until =
            schedule.next_change(now).map(|change| change.to_zoned(zone::of(self.config.site.time_zone.as_deref())));
        let until = until.map_or_else(String::new, |until| format!(" until {}", until.strftime("%a %F %T %Z")));
        (schedule.is_active(now), until)
    }

    /// The entries and limits of schedules that concern the call, whether they act or not.
    fn schedules(&self) -> Option<String> {
        let profile = self.called.profile;
        let entries = profile.scheduled.iter().filter(|it| self.called.names(&it.entry.what));
        let entries =
            entries.map(|it| (format!("{} {} at {}", it.list(), it.entry.what, it.entry.place), &it.schedule));
        let class = self.called.class;
        let limits = self.config.limits.iter().filter(|limit| limit.class.is_none_or(|it| it == class));
        let limits = limits.filter_map(|limit| Some((format!("limit.{}", limit.name), limit.schedule.as_ref()?)));
        let told: Vec<String> = entries
            .chain(limits)
            .map(|(what, name)| match self.holds(name) {
                (true, until) => format!("{what} acts by schedule {name}{until}"),
                (false, until) => format!("{what} does not act by schedule {name}{until}"),
            })
            .collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    fn limits(&self) -> String {
        let counts = |name: &&String| {
            let limit = self.config.limits.iter().find(|limit| limit.name == **name);
            limit.is_some_and(|limit| {
                limit.class.is_none_or(|class| class == self.called.class)
                    && limit.method.is_none_or(|method| method == Method::Invite)
                    && limit.count == Count::Requests
                    && limit.heads.is_empty()
                    && (limit.key != LimitKey::Unproved || self.judged.who() == Who::Unproved)
            })
        };
        let names: Vec<String> =
            self.called.profile.limits.iter().filter(counts).map(|name| format!("limit.{name}")).collect();
        let levels = self.levels(false);
        if !levels.is_empty() {
            return format!("{} would count it: {}", names.join(", "), levels.join("; "));
        }
        match (self.called.class, names.is_empty()) {
            (Class::Emergency, _) => "the flood bucket of emergency calls, for sources that nobody knows".to_owned(),
            (_, true) => "none counts it".to_owned(),
            (_, false) => format!("{} would count it, if it is not refused before", names.join(", ")),
        }
    }
}

/// What an entry does, with the name of a country.
pub(super) fn ruling(say: Say, what: &What) -> String {
    let verb = match say {
        Say::Block => "block",
        Say::Allow => "allow",
    };
    match what {
        What::Country(code) => format!("{verb} {code} ({})", numbering::country_name(code).unwrap_or("unnamed")),
        _ => format!("{verb} {what}"),
    }
}

/// ` in Sierra Leone (SL)`, or nothing.
pub(super) fn named_country(digits: &str) -> String {
    let country = numbering::lookup(digits).and_then(|range| range.country);
    country
        .map_or_else(String::new, |code| format!(" in {} ({code})", numbering::country_name(code).unwrap_or("unnamed")))
}

pub(super) const fn limit(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::SourceLimit
            | Reason::NetworkLimit
            | Reason::UnprovedLimit
            | Reason::SiteLimit
            | Reason::LineLimit
            | Reason::DestinationLimit
            | Reason::Suspended
            | Reason::PacketLimit
            | Reason::EmergencyFlood
    )
}
