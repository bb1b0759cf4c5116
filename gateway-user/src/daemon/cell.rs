//! A cell of a limit by windows, in the words of the policy file and of the command line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gateway_common::{
    Class,
    limit::{
        CellKey, FLOOR_CELL, Table, line_digest, name_hash,
        window::{CALLS, LONGEST_BAN, Ring},
    },
    policy::image::Key,
};
use jiff::{SignedDuration, Timestamp};

use super::{Held, tally};
use crate::{
    config::{Config, Limit, Mode, Network, Window},
    control::views::ListView,
    daemon::ActiveOrder,
    numbering,
    policy::{floor, limits},
    what::What,
    zone,
};

/// The coarse clock, which times of events are of, stands still for so long: a tick of a kernel with 100 a second.
pub(super) const TICK: u64 = 10_000_000;

/// The wall clock and the clock of the kernel's cells, read together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    pub(super) wall: Timestamp,
    pub(super) kernel: u64,
}

impl Clocks {
    /// The wall time of a time in a cell, before or after now.
    pub(super) fn wall_of(self, kernel: u64) -> Timestamp {
        let nanoseconds = i128::from(kernel) - i128::from(self.kernel);
        let from_now = SignedDuration::from_nanos_i128(nanoseconds);
        self.wall.checked_add(from_now).unwrap_or(self.wall)
    }
}

/// Countries by their number in the policy image.
pub(super) struct Site;

impl Site {
    /// The ISO code of a country's number; `None` for no country.
    pub(super) fn code(number: u64) -> Option<&'static str> {
        numbering::country_codes().get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }

    /// The number of an ISO code; 0 where it has none.
    pub(super) fn number(code: &str) -> u16 {
        let place = numbering::country_codes().binary_search(&code).ok();
        place.and_then(|place| u16::try_from(place + 1).ok()).unwrap_or(0)
    }

    pub(super) fn name(number: u64) -> String {
        let named = |code| format!("{} ({code})", numbering::country_name(code).unwrap_or("unnamed"));
        Self::code(number).map_or_else(|| "no country".to_owned(), named)
    }
}

/// A cell with the limit that it belongs to; `None` for the floor's, and where the policy no longer has it.
pub(super) struct Named<'c> {
    config: &'c Config,
    pub(super) key: &'c CellKey,
    limit: Option<&'c Limit>,
    /// The order whose allowance it is.
    order: Option<(&'c ActiveOrder, Window)>,
}

impl<'c> Named<'c> {
    pub(super) fn of(config: &'c Config, orders: &'c [ActiveOrder], key: &'c CellKey) -> Self {
        let limit = config.limits.iter().find(|limit| name_hash(limit.name.as_bytes()) == key.limit);
        let is_its = |order: &ActiveOrder| name_hash(limits::allowance_name(order.number).as_bytes()) == key.limit;
        let order = orders.iter().filter(|order| is_its(order)).find_map(|order| Some((order, order.max?)));
        Self { config, key, limit, order }
    }

    fn kind(&self) -> Option<Key> {
        Key::from_u8(self.key.kind as u8)
    }

    fn is_of_floor(&self) -> bool {
        self.key.limit == FLOOR_CELL
    }

    fn is_ban(&self) -> bool {
        self.key.table() == Table::Bans
    }

    fn is_of_site(&self) -> bool {
        matches!(self.kind(), Some(Key::All | Key::Site))
    }

    /// The class of the limit; what the floor counts is international.
    fn class(&self) -> Option<Class> {
        if self.is_of_floor() { Some(Class::International) } else { self.limit.and_then(|limit| limit.class) }
    }

    /// Whether anything in force still counts by it.
    pub(super) fn is_current(&self) -> bool {
        self.is_of_floor() || self.is_ban() || self.limit.is_some() || self.order.is_some()
    }

    /// The word that `resume` takes for it.
    pub(super) fn word(&self) -> String {
        match self.kind() {
            Some(Key::Source | Key::SourceCountry) => source(self.key.value),
            Some(Key::Network) => network(self.key.value).to_string(),
            Some(Key::Line) => format!("line:#{:016x}", self.key.value),
            Some(Key::Country) => Site::code(self.key.value).unwrap_or("none").to_owned(),
            Some(Key::All | Key::Site | Key::Unproved) | None => {
                self.class().unwrap_or(Class::International).as_str().to_owned()
            }
        }
    }

    /// What it counts.
    pub(super) fn what(&self) -> String {
        if let Some((order, _)) = self.order {
            return format!("{} ({})", order.action(), order.scope);
        }
        if self.is_ban() {
            return format!("SIP of {}", source(self.key.value));
        }
        let calls = self.class().map_or_else(|| "calls".to_owned(), |class| format!("{} calls", class.as_str()));
        match self.kind() {
            Some(Key::Source) => format!("{calls} of {}", source(self.key.value)),
            Some(Key::Network) => format!("{calls} of {}", network(self.key.value)),
            Some(Key::Line) => format!("{calls} of the line {}", self.word()),
            Some(Key::Country) => format!("{calls} to {}", Site::name(self.key.value)),
            Some(Key::SourceCountry) => {
                format!("{calls} of {} to {}", source(self.key.value), Site::name(u64::from(self.key.kind >> 16)))
            }
            Some(Key::All | Key::Site | Key::Unproved) | None => format!("all {calls} of the site"),
        }
    }

    fn windows(&self) -> &[Window] {
        match (self.limit, &self.order) {
            _ if self.is_of_floor() => &self.config.breaker.windows,
            (Some(limit), _) if self.kind() == Some(Key::Site) => &limit.site_windows,
            (Some(limit), _) => &limit.windows,
            (None, Some((_, max))) => std::slice::from_ref(max),
            (None, None) => &[],
        }
    }

    /// How many calls may be up at once.
    pub(super) fn at_once(&self) -> Option<u32> {
        match self.limit {
            _ if self.is_of_floor() => (self.kind() == Some(Key::Country)).then_some(self.config.breaker.at_once),
            Some(limit) if self.kind() == Some(Key::Site) => limit.site_concurrent,
            limit => limit?.concurrent,
        }
    }

    /// How many calls its fullest window holds.
    pub(super) fn count(&self, ring: &Ring, now: u64) -> u64 {
        self.windows().iter().map(|it| ring.level(raw(it), now)).max().unwrap_or_default()
    }

    fn origin(&self) -> String {
        match (self.limit, self.order) {
            _ if self.is_of_floor() => "the floor".to_owned(),
            (Some(limit), _) => format!("[limit.{}]", limit.name),
            (None, Some((order, _))) => format!("order {}", order.number),
            (None, None) => "a limit that the policy no longer has".to_owned(),
        }
    }

    /// A suspension for a person: what, since when, which country, how many calls or what else is `over`, until when, how to
    /// lift it.
    pub(super) fn suspension(&self, ring: &Ring, clocks: Clocks, mode: Mode, over: Option<String>) -> String {
        let (since, until) = (clocks.wall_of(ring.since), clocks.wall_of(ring.until));
        let shown = zone::shown;
        if self.is_ban() {
            let would = if mode == Mode::Monitor { "would be banned in enforce mode" } else { "is banned" };
            return format!(
                "{} {would} from the SIP ports since {} until {}, for the {} time within a day: over {}; `tollgate resume {}` lifts it",
                source(self.key.value),
                shown(since),
                shown(until),
                ordinal(ring.admitted),
                self.banned_by(ring),
                self.word()
            );
        }
        let stops = if mode == Mode::Monitor && !self.is_of_floor() {
            "would be suspended in enforce mode"
        } else {
            "are suspended"
        };
        let country = Site::name(ring.cause);
        let why = if self.is_of_floor() {
            format!("more than {} to {country} by the whole site", self.config.breaker.shown("or"))
        } else if let Some(over) = over {
            over
        } else if let (Some(limit), true) = (self.limit, self.windows().is_empty()) {
            format!("more than {}, the last call to {country}", tally::allowed(limit, self.key).join(" or "))
        } else {
            let count = self.count(ring, ring.since);
            let windows: Vec<String> = self.windows().iter().map(ToString::to_string).collect();
            format!("more than {}: {count} calls before, the last to {country}", windows.join(", "))
        };
        format!(
            "{} {stops} since {} until {}: {why} ({}); `tollgate resume {}` lifts it",
            self.what(),
            shown(since),
            shown(until),
            self.origin(),
            self.lift(ring)
        )
    }

    /// The limit that a ban is for.
    fn banned_by(&self, ring: &Ring) -> String {
        let limit = self.config.limits.iter().find(|limit| u64::from(name_hash(limit.name.as_bytes())) == ring.used);
        limit.map_or_else(
            || "a limit that the policy no longer has".to_owned(),
            |limit| format!("[limit.{}]", limit.name),
        )
    }

    /// The word that lifts a suspension: the country, where the floor stopped all because of one.
    pub(super) fn lift(&self, ring: &Ring) -> String {
        match Site::code(ring.cause) {
            Some(code) if self.is_of_floor() && self.is_of_site() => code.to_owned(),
            _ => self.word(),
        }
    }

    /// What refused a call at `at`, a time of the kernel's clock, if it was full or suspended then.
    /// `up` of its calls were up.
    pub(super) fn held(&self, ring: &Ring, up: u32, at: u64, clocks: Clocks) -> Option<Held> {
        // The clock of a record is coarse: the cell may have been written within the tick behind it.
        let then = at.saturating_add(TICK);
        let suspended = (1..=then).contains(&ring.since) && at < ring.until;
        let windows = self.levels(ring, up, at, then);
        if !suspended && !windows.iter().any(|(full, _)| *full) {
            return None;
        }
        Some(self.told(ring, at, clocks, windows, suspended))
    }

    fn levels(&self, ring: &Ring, up: u32, at: u64, then: u64) -> Vec<(bool, String)> {
        // The breaker counts nothing itself.
        let latch = self.is_of_floor() && self.is_of_site();
        let windows = if latch { &[][..] } else { self.windows() };
        let mut told: Vec<(bool, String)> = windows.iter().map(|it| level_then(ring, it, at, then)).collect();
        told.extend(self.at_once().map(|most| (up >= most, format!("{} of {most} at once", up.min(most)))));
        if self.is_of_floor() && self.is_hot() && ring.used == 0 {
            let age = then.saturating_sub(ring.first);
            let had = ring.first != 0 && u128::from(age) < floor::NEW.as_nanos();
            if had || ring.first == 0 {
                let hours = floor::NEW.as_secs() / 3600;
                told.push((had, format!("{} of 1/{hours}h while the country is new to the site", u8::from(had))));
            }
        }
        told
    }

    /// Whether it is of a country in which fraud ends up.
    fn is_hot(&self) -> bool {
        self.kind() == Some(Key::Country)
            && Site::code(self.key.value).is_some_and(|code| floor::hot().any(|hot| hot == code))
    }

    fn told(&self, ring: &Ring, at: u64, clocks: Clocks, windows: Vec<(bool, String)>, suspended: bool) -> Held {
        Held {
            limit: self.origin(),
            counts: self.what(),
            windows: windows.into_iter().map(|(_, told)| told).collect(),
            since: suspended.then(|| clocks.wall_of(ring.since)),
            until: suspended.then(|| clocks.wall_of(ring.until)),
            resume: self.lift(ring),
            read_after_ms: clocks.kernel.saturating_sub(at) / 1_000_000,
        }
    }

    /// Whether it refuses calls now, or would refuse the next one.
    pub(super) fn holds(&self, ring: &Ring, now: u64) -> bool {
        now < ring.until || self.windows().iter().any(|window| ring.is_full(raw(window), now))
    }

    /// Whether no window of its limit holds a call any more.
    pub(super) fn is_idle(&self, ring: &Ring, now: u64) -> bool {
        if self.is_ban() {
            return now.saturating_sub(ring.until) > LONGEST_BAN;
        }
        self.windows().iter().all(|window| ring.level(raw(window), now) == 0)
    }

    /// Whether WHAT of `resume` means it.
    pub(super) fn is_meant(&self, what: &What, ring: &Ring) -> bool {
        if self.order.is_some() {
            return false;
        }
        let country = |code: &str| u64::from(Site::number(code));
        match (what, self.kind()) {
            (What::Source(asked), Some(Key::Source | Key::SourceCountry)) => {
                contains(asked, &of_source(self.key.value)) || contains(&of_source(self.key.value), asked)
            }
            (What::Source(asked), Some(Key::Network)) => {
                contains(asked, &network(self.key.value)) || contains(&network(self.key.value), asked)
            }
            (What::Country(code), Some(Key::Country)) => self.key.value == country(code),
            (What::Country(code), Some(Key::SourceCountry)) => u64::from(self.key.kind >> 16) == country(code),
            (What::Country(code), Some(Key::All | Key::Site)) => self.is_of_floor() && ring.cause == country(code),
            (What::Class(class), Some(Key::All | Key::Site)) => self.class().is_none_or(|it| it == *class),
            (What::Line(name), Some(Key::Line)) => self.is_line(name),
            _ => false,
        }
    }

    /// Whether its line is the one of this name, or of the digest behind a `#`.
    fn is_line(&self, name: &str) -> bool {
        lines(self.config, name).is_some_and(|digests| {
            let mut cells = self
                .config
                .profiles
                .iter()
                .flat_map(|profile| digests.iter().map(|digest| limits::line_of(&profile.name, *digest)));
            cells.any(|cell| cell == self.key.value)
        })
    }

    /// The cell as `list` shows it.
    pub(super) fn view(&self, ring: &Ring, up: u32, summed: &[String], clocks: Clocks) -> ListView {
        let suspended = clocks.kernel < ring.until;
        let kind = match self.kind() {
            _ if self.is_ban() => "ban",
            Some(Key::Source | Key::SourceCountry) => "source",
            Some(Key::Network) => "network",
            Some(Key::Line) => "line",
            Some(Key::Country) => "country",
            Some(Key::All | Key::Site | Key::Unproved) | None => "site",
        };
        let windows = self.windows().iter().map(|it| format!("{} of {it}", ring.level(raw(it), clocks.kernel)));
        let at_once = self.at_once().map(|most| format!("{up} of {most} at once"));
        let level: Vec<String> = windows.chain(at_once).chain(summed.iter().cloned()).collect();
        ListView {
            kind: kind.into(),
            value: self.what(),
            action: match (suspended, self.is_ban()) {
                (true, true) if self.config.mode == Mode::Monitor => "would ban",
                (true, true) => "banned",
                (false, true) => "free",
                (true, false) => "suspended",
                (false, false) => "counted",
            }
            .into(),
            profile: None,
            origin: if self.is_ban() { self.banned_by(ring) } else { self.origin() },
            reason: match (suspended, self.is_ban()) {
                (_, true) => Some(format!("the {} ban within a day", ordinal(ring.admitted))),
                (true, false) => Some(format!("{} calls refused, {}", ring.refused, Site::name(ring.cause))),
                (false, false) => None,
            },
            since: suspended.then(|| clocks.wall_of(ring.since)),
            expires: suspended.then(|| clocks.wall_of(ring.until)),
            schedule: None,
            active: true,
            level: (!level.is_empty()).then(|| level.join(", ")),
            undo: Some(match self.order {
                Some((order, _)) => format!("tollgate undo {}", order.number),
                None => format!("tollgate resume {}", self.lift(ring)),
            }),
        }
    }
}

fn ordinal(n: u64) -> String {
    match n {
        0 | 1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        n => format!("{n}th"),
    }
}

/// The digests that a line may have in a record: of its name; or, behind a `#`, the digest of a cell, which the name of a
/// profile is part of, or of the line itself. `None` where it is neither.
pub(super) fn lines(config: &Config, name: &str) -> Option<Vec<u64>> {
    let Some(digest) = name.strip_prefix('#') else {
        return (!name.is_empty()).then(|| vec![line_digest(name.as_bytes())]);
    };
    let digest = u64::from_str_radix(digest, 16).ok()?;
    let of_cells = config.profiles.iter().map(|profile| limits::line_of(&profile.name, digest));
    Some(std::iter::once(digest).chain(of_cells).collect())
}

/// A cell as full as it is now; without `summed`, nothing was added up for it.
pub(crate) fn cell_level(
    config: &Config,
    key: &CellKey,
    ring: &Ring,
    up: u32,
    summed: Option<&Vec<String>>,
    (wall, kernel): (Timestamp, u64),
) -> Held {
    let named = Named::of(config, &[], key);
    let mut levels = named.levels(ring, up, kernel, kernel);
    let none = || named.limit.map(|limit| tally::empty(limit, key)).unwrap_or_default();
    levels.extend(summed.cloned().unwrap_or_else(none).into_iter().map(|told| (false, told)));
    named.told(ring, kernel, Clocks { wall, kernel }, levels, kernel < ring.until)
}

/// The word for a line, as `list lines` shows it and `resume` takes it.
pub(crate) fn line_word(profile: &str, digest: u64) -> String {
    format!("line:#{:016x}", limits::line_of(profile, digest))
}

/// How full a window was at `at`, and whether it was full. What came behind the tick that ends at `then` is left out; where
/// so much came that calls of that time are forgotten, it was at least so full.
fn level_then(ring: &Ring, window: &Window, at: u64, then: u64) -> (bool, String) {
    let raw = raw(window);
    let kept = ring.admitted.min(CALLS as u64);
    let last: Vec<u64> =
        (1..=kept).filter_map(|back| ring.calls.get((ring.admitted - back) as usize % CALLS)).copied().collect();
    let level = last.iter().filter(|time| **time <= then && at.saturating_sub(**time) < raw.time()).count() as u64;
    let level = level.min(raw.calls());
    let forgotten = ring.admitted > kept && last.iter().all(|time| at.saturating_sub(*time) < raw.time());
    let least = if forgotten && level < raw.calls() { "at least " } else { "" };
    (level >= raw.calls(), format!("{least}{level} of {window}"))
}

fn raw(window: &Window) -> gateway_common::limit::window::Window {
    let [first, ..] = limits::windows(std::slice::from_ref(window));
    gateway_common::limit::window::Window(first)
}

fn contains(outer: &Network, inner: &Network) -> bool {
    outer.prefix_len <= inner.prefix_len && outer.contains(inner.address)
}

/// What a source is: an IPv4 address, or an IPv6 /64.
pub(super) fn of_source(value: u64) -> Network {
    of(value, 32, 64)
}

fn source(value: u64) -> String {
    of_source(value).to_string()
}

/// What a network is: an IPv4 /24, or an IPv6 /56.
fn network(value: u64) -> Network {
    of(value, 24, 56)
}

fn of(value: u64, v4: u8, v6: u8) -> Network {
    if value >> 32 == 0xffff {
        Network { address: IpAddr::V4(Ipv4Addr::from_bits(value as u32)), prefix_len: v4 }
    } else {
        Network { address: IpAddr::V6(Ipv6Addr::from_bits(u128::from(value) << 64)), prefix_len: v6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn ring(times: impl IntoIterator<Item = u64>) -> Ring {
        let mut ring = Ring::FRESH;
        for time in times {
            ring.calls[ring.admitted as usize % CALLS] = time;
            ring.admitted += 1;
        }
        ring
    }

    #[test]
    fn a_window_is_told_as_it_was_when_the_call_came() {
        let window = Window { count: 3, per: std::time::Duration::from_secs(60) };
        let told = |ring: &Ring, at: u64| level_then(ring, &window, at * SECOND, at * SECOND + TICK);
        let calls = ring([100, 110, 120, 150, 160].map(|second| second * SECOND));
        assert_eq!(told(&calls, 105), (false, "1 of 3/1m".into()), "what came later is left out");
        assert_eq!(told(&calls, 125), (true, "3 of 3/1m".into()));
        assert_eq!(told(&calls, 165), (true, "3 of 3/1m".into()), "what is older than the window is left out");
        assert_eq!(told(&calls, 500), (false, "0 of 3/1m".into()));
        // Within the tick of the coarse clock it may have been the one that filled the window.
        let last = ring([100 * SECOND, 110 * SECOND, 120 * SECOND + TICK / 2]);
        assert!(told(&last, 120).0);
        // So many calls since that those of that time are forgotten.
        let forgotten = ring((0..80).map(|n| 200 * SECOND + n));
        assert_eq!(told(&forgotten, 150), (false, "at least 0 of 3/1m".into()));
    }

    #[test]
    fn a_line_has_a_digest_by_name_and_by_what_list_shows() {
        let config = crate::config::built_in().unwrap();
        let digest = line_digest(b"203");
        assert_eq!(lines(&config, "203"), Some(vec![digest]));
        let word = line_word(&config.profiles[0].name, digest);
        assert!(lines(&config, word.strip_prefix("line:").unwrap()).unwrap().contains(&digest));
        assert!(lines(&config, &format!("#{digest:x}")).unwrap().contains(&digest));
        assert_eq!((lines(&config, ""), lines(&config, "#"), lines(&config, "#x")), (None, None, None));
    }
}
