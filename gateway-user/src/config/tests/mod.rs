//! Good policies, bad policies, and policies that were never meant as one.

mod bad;
mod lists;
mod mutations;
mod small;

use std::{path::Path, time::Duration};

use gateway_common::{Class, Method};

use super::*;
use crate::what::What;

const NAME: &str = "tollgate.toml";

fn read(text: &str) -> Result<(Config, Vec<Warning>), Problems> {
    parse(text, Some(Path::new(NAME)), Path::new("."))
}

fn good(text: &str) -> Config {
    match read(text) {
        Ok((config, _)) => config,
        Err(problems) => panic!("{problems}"),
    }
}

fn bad(text: &str) -> Vec<Problem> {
    read(text).expect_err("the policy has a problem").problems
}

fn warnings(text: &str) -> Vec<String> {
    read(text).expect("the policy loads").1.iter().map(ToString::to_string).collect()
}

/// The entries of its lists in files of their own.
fn listed(profile: &Profile) -> Vec<Entry> {
    profile.block_files.iter().flat_map(|list| list.entries()).collect()
}

fn whats(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.what.to_string()).collect()
}

/// The policy under which the evasion catalogue is judged: every access code of the catalogue at once.
const EVASION: &str = r##"
mode = "enforce"
floor = false

[sip]
ports = [5060, 5080]

[site]
region = "ZZ"

[profile.default]
access_codes = ["+", "00", "011", "010", "0011", "810", "119", "1010288011", "0101001", "9011", "01033"]
carrier_codes = ["0033", "0061", "001", "005345", "009130", "0041", "0038", "0046"]
service_codes = ["184", "186", "*67", "*82", "*31*", "#31#"]
outside_line = ["9", "0", "8"]
emergency = ["110", "112", "118", "119", "171"]
bare_e164 = true
block = ["+232"]
"##;

/// Every key that there is, each with a value that is not the default.
const EVERY_KEY: &str = r#"
mode = "enforce"
floor = false

[interface.eth0]
role = "wan"
[interface.eth1]
role = "lan"

[sip]
ports = [5060, 15060]
tcp = "deny"
redirects = true
called_party = true
reject = 486

[site]
region = "JP"
extensions = "2-5"
own_numbers = ["+81312345678"]
outside_registration = "deny"
time_zone = "Asia/Tokyo"
holidays = ["JP", "2026-12-29"]

[import.voipbl]
file = "no-such-list.txt"
format = "voipbl"
expires = "2d"

[schedule.night]
hours = "18:00-08:00"
days = "mon-fri"
holidays = "exclude"
time_zone = "Europe/Berlin"

[profile.default]
outside_line = ["0"]
access_codes = ["00"]
carrier_codes = ["0033"]
service_codes = ["184"]
emergency = ["171"]
bare_e164 = true
block = ["SL", "+881", "dial:0570", { what = "international", schedule = "night" }]
allow = ["US", "GB"]
limits = ["caller", "abroad"]

[profile.default.class]
national = "monitor"
international = "monitor"
premium = "block"
non-geographic = "monitor"
unassigned = "monitor"
carrier-service = "block"
suspicious = "block"
unknown = "monitor"
malformed = "monitor"

[profile.lobby]
sources = ["192.0.2.0/28", "2001:db8::/56"]
class.international = "block"
limits = []

[trunk.itsp]
sources = ["203.0.113.10"]
interface = "eth0"
rate = "50/s"
burst = 100
over = "drop"

[emergency]
unproved = "6/20s"
burst = 4

[ceiling]
unproved = "100/s"
burst = 300
connections = "5/s"
fragments = "1000/s"

[limit.caller]
key = "source"
method = "INVITE"
rate = "10/s"
burst = 20
over = "drop"
ban = "5m"
schedule = "night"

[limit.abroad]
key = "network"
class = "international"
rate = "3/10s"
over = "warn"
"#;

#[test]
fn evasion_policy_loads() {
    let config = good(EVASION);
    assert_eq!((config.mode, config.floor), (Mode::Enforce, false));
    assert_eq!(config.sip.ports, [5060, 5080]);
    assert_eq!(config.site.region, "ZZ");
    let [profile] = config.profiles.as_slice() else { panic!("one profile") };
    assert_eq!(profile.access_codes.first().map(String::as_str), Some("00"), "+ is always one and not listed");
    assert_eq!(profile.service_codes.last().map(String::as_str), Some("#31#"));
    assert!(profile.bare_e164);
    assert_eq!(
        profile.block,
        [Entry { what: What::Prefix("232".into()), place: "tollgate.toml:18".into(), reason: None }]
    );
}

#[test]
fn built_in_example_loads_without_warning() {
    let (config, warnings) = parse(example(), None, Path::new(".")).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config, built_in().unwrap());
    assert_eq!((config.mode, config.floor, config.path), (Mode::Enforce, false, None));
    assert_eq!(config.site.region, "JP");
    let [profile] = config.profiles.as_slice() else { panic!("one profile") };
    assert_eq!(whats(&profile.block), ["SL", "+881", "+882"]);
}

#[test]
fn every_key_is_understood() {
    let config = good(EVERY_KEY);
    assert_eq!(config.path.as_deref(), Some(Path::new(NAME)));
    assert_eq!(
        config.interfaces,
        [Interface { name: "eth0".into(), role: Role::Wan }, Interface { name: "eth1".into(), role: Role::Lan },]
    );
    assert_eq!(
        config.sip,
        Sip { ports: vec![5060, 15060], tcp: TcpPolicy::Deny, redirects: true, called_party: true, reject: Some(486) }
    );
    assert_eq!(
        config.site,
        Site {
            time_zone: Some("Asia/Tokyo".into()),
            region: "JP".into(),
            extensions: Some((2, 5)),
            own_numbers: vec!["81312345678".into()],
            outside_registration: OutsideRegistration::Deny,
            outside_registration_at: Some("tollgate.toml:21".into()),
        }
    );
    let second = Duration::from_secs(1);
    assert_eq!(config.emergency_unproved, Rate { count: 6, per: second * 20, burst: 4 });
    assert_eq!(
        config.ceiling,
        Ceiling {
            unproved: Rate { count: 100, per: second, burst: 300 },
            connections: Rate { count: 5, per: second, burst: 20 },
            fragments: Rate { count: 1000, per: second, burst: 4000 },
        }
    );
    assert_eq!(
        config.trunks,
        [Trunk {
            name: "itsp".into(),
            sources: vec!["203.0.113.10".parse().unwrap()],
            interface: Some("eth0".into()),
            rate: Some(Rate { count: 50, per: second, burst: 100 }),
            over: Over::Drop,
        }]
    );
    let mut limits = config.limits;
    limits.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(
        limits,
        [
            Limit {
                name: "abroad".into(),
                key: LimitKey::Network,
                method: None,
                class: Some(Class::International),
                count: Count::Requests,
                rate: Some(Rate { count: 3, per: second * 10, burst: 3 }),
                windows: Vec::new(),
                site_windows: Vec::new(),
                concurrent: None,
                site_concurrent: None,
                tallies: Tallies::default(),
                site_tallies: Tallies::default(),
                heads: Vec::new(),
                suspend: None,
                over: Over::Warn,
                ban: None,
                schedule: None,
                ask: None,
                ask_schedule: None,
            },
            Limit {
                name: "caller".into(),
                key: LimitKey::Source,
                method: Some(Method::Invite),
                class: None,
                count: Count::Requests,
                rate: Some(Rate { count: 10, per: second, burst: 20 }),
                windows: Vec::new(),
                site_windows: Vec::new(),
                concurrent: None,
                site_concurrent: None,
                tallies: Tallies::default(),
                site_tallies: Tallies::default(),
                heads: Vec::new(),
                suspend: None,
                over: Over::Drop,
                ban: None,
                schedule: Some("night".into()),
                ask: None,
                ask_schedule: None,
            },
        ]
    );
    let [night] = config.schedules.as_slice() else { panic!("one schedule") };
    assert_eq!((night.shown_hours().as_str(), night.shown_days().as_str()), ("18:00-08:00", "mon, tue, wed, thu, fri"));
    assert_eq!((night.holidays, night.zone.as_deref()), (OnHolidays::Exclude, Some("Europe/Berlin")));
    assert!(night.dates.contains(&jiff::civil::date(2026, 12, 29)) && night.dates.len() > 50);
    let scheduled = &config.profiles[0].scheduled;
    assert_eq!(scheduled.len(), 1);
    assert_eq!((scheduled[0].entry.what.to_string().as_str(), &*scheduled[0].schedule), ("international", "night"));
    let [default, lobby] = config.profiles.as_slice() else { panic!("two profiles") };
    let answer = |profile: &Profile, class: Class| profile.class[class as usize];
    for (class, expected) in [
        (Class::None, Answer::Allow),
        (Class::Emergency, Answer::Allow),
        (Class::National, Answer::Monitor),
        (Class::Premium, Answer::Block),
        (Class::International, Answer::Monitor),
        (Class::NonGeographic, Answer::Monitor),
        (Class::Unassigned, Answer::Monitor),
        (Class::CarrierService, Answer::Block),
        (Class::Suspicious, Answer::Block),
        (Class::Unknown, Answer::Monitor),
        (Class::Malformed, Answer::Monitor),
    ] {
        assert_eq!(answer(default, class), expected, "{class:?}");
    }
    assert_eq!(default.limits, ["caller", "abroad"]);
    assert_eq!(whats(&default.block), ["SL", "+881", "dial:0570"]);
    assert_eq!(answer(lobby, Class::International), Answer::Block, "its own");
    assert_eq!(answer(lobby, Class::Premium), Answer::Block, "tables merge key by key");
    assert_eq!(lobby.limits, [""; 0], "a list given replaces it whole");
    assert_eq!(lobby.sources.len(), 2);
    assert_eq!((&lobby.block, &lobby.emergency, &lobby.region), (&default.block, &default.emergency, &default.region));
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let config = good("[site]\nregion = \"JP\"\n");
    assert_eq!((config.mode, config.floor), (Mode::Monitor, true));
    assert_eq!(
        config.sip,
        Sip {
            ports: vec![5060, 5061, 5062, 5080, 5160],
            tcp: TcpPolicy::Inspect,
            redirects: false,
            called_party: false,
            reject: Some(603)
        }
    );
    assert_eq!(config.emergency_unproved, Rate { count: 3, per: Duration::from_secs(10), burst: 3 });
    let second = Duration::from_secs(1);
    assert_eq!(
        config.ceiling,
        Ceiling {
            unproved: Rate { count: 50, per: second, burst: 200 },
            connections: Rate { count: 10, per: second, burst: 40 },
            fragments: Rate { count: 10_000, per: second, burst: 40_000 },
        }
    );
    let [profile] = config.profiles.as_slice() else { panic!("one profile") };
    let answers: Vec<_> = Class::ALL.iter().map(|&class| (class, profile.class[class as usize])).collect();
    assert!(answers.contains(&(Class::International, Answer::Allow)));
    assert!(answers.contains(&(Class::Premium, Answer::Monitor)));
    assert!(answers.contains(&(Class::NonGeographic, Answer::Block)));
    assert!(answers.contains(&(Class::Unassigned, Answer::Block)));
    assert!(answers.contains(&(Class::Suspicious, Answer::AsInternational)));
    assert!(answers.contains(&(Class::Malformed, Answer::Block)));
}

#[test]
fn shipped_policies_load_without_warning() {
    for (name, text) in [
        ("jp.toml", include_str!("../../../policies/jp.toml")),
        ("us.toml", include_str!("../../../policies/us.toml")),
        ("de.toml", include_str!("../../../policies/de.toml")),
    ] {
        assert_eq!(warnings(text), [""; 0], "{name}");
        let config = good(text);
        assert_eq!(config.mode, Mode::Monitor, "{name}");
        assert_eq!(config.site.region.to_lowercase(), name[..2]);
        assert!(!config.profiles[0].block.is_empty());
    }
}

/// Every section, with the keys and values that others rely on.
#[test]
fn a_policy_with_every_section_is_understood() {
    let text = r#"mode = "monitor"
floor = true

[interface.eth0]
role = "wan"
[interface.eth1]
role = "lan"

[sip]
ports = [5060, 5061, 5062, 5080, 5160]
tcp = "inspect"
redirects = false

[site]
region = "JP"
extensions = "2-5"
own_numbers = ["+81312345678"]

[profile.default]
outside_line = ["0"]
block = ["SL", "+881", "+882"]
allow = ["US", "GB"]
block_files = []
limits = ["caller", "abroad"]

[profile.default.class]
international = "allow"
premium = "monitor"
non-geographic = "block"
unassigned = "block"
suspicious = "as-international"
unknown = "allow"
malformed = "block"

[profile.lobby]
sources = ["192.0.2.0/28"]
class.international = "block"

[trunk.itsp]
sources = ["203.0.113.10"]
interface = "eth0"
rate = "50/s"

[emergency]
unproved = "3/10s"

[ceiling]
unproved = "50/s"

[limit.caller]
key = "source"
method = "INVITE"
rate = "10/s"
burst = 20
over = "drop"
ban = "5m"

[limit.abroad]
key = "line"
class = "international"
windows = ["5/60s", "6/300s", "10/1h", "30/24h"]
site_windows = ["20/1h", "60/24h"]
concurrent = 3
over = "suspend"
"#;
    let (config, problems) = super::parse(text, None, Path::new(".")).unwrap();
    let warned: Vec<_> = problems.iter().map(|it| it.0.message.as_str()).collect();
    assert_eq!(warned, ["ban has no effect: this limit does not ban"]);
    let abroad = config.limits.iter().find(|limit| limit.name == "abroad").unwrap();
    assert_eq!((abroad.windows.len(), abroad.concurrent, abroad.over), (4, Some(3), Over::Suspend));
}

#[test]
fn who_is_to_be_known_must_be_able_to_become_so() {
    let site = "[site]\nregion = \"JP\"\noutside_registration = \"known\"\n";
    let home = "[profile.home]\nsources = [\"198.51.100.0/24\"]\n";
    let lan = "[interface.eth0]\n[interface.eth1]\nrole = \"lan\"\n";
    assert_eq!(warnings(&format!("{site}{home}{lan}")), [""; 0]);
    assert_eq!(warnings(&format!("{site}{home}")), [""; 0], "interfaces may be named by `run --iface`");
    let found = warnings(&format!("{site}{lan}"));
    assert!(found[0].contains("tollgate.toml:3: a telephone outside that was away for a day"), "{found:?}");
    let found = warnings(&format!("{site}{home}[interface.eth0]\n"));
    assert!(found[0].contains("nobody outside is ever known"), "{found:?}");
    let found = warnings(&format!("{site}{lan}[profile.all]\nsources = [\"0.0.0.0/0\"]\n"));
    assert!(found[0].contains("everybody in 0.0.0.0/0 may register, since profile.all names it"), "{found:?}");
    assert_eq!(found.len(), 1);
    for word in ["allow", "deny"] {
        assert_eq!(warnings(&format!("{}[interface.eth0]\n", site.replace("known", word))), [""; 0], "{word}");
    }
}

#[test]
fn a_limit_asks_in_business_hours_whom_it_reaches() {
    let limit = "[profile.default]\nlimits = [\"abroad\"]\n[limit.abroad]\nkey = \"source\"\nclass = \"international\"\n\
                 windows = [\"5/60s\"]\nover = \"suspend\"\nask = \"15m\"\nask_schedule = \"business\"\n";
    let rest = "[schedule.business]\nhours = \"09:00-18:00\"\n[notify]\ncommand = [\"/bin/true\"]\n";
    let whole = format!("[site]\nregion = \"JP\"\n{limit}{rest}");
    let config = good(&whole);
    assert_eq!(warnings(&whole), [""; 0]);
    let over = |time: &str| config.at(time.parse().unwrap()).limits[0].over;
    let zone = jiff::tz::TimeZone::system();
    let at = |hour| {
        jiff::civil::date(2026, 11, 20).at(hour, 0, 0, 0).to_zoned(zone.clone()).unwrap().timestamp().to_string()
    };
    assert_eq!(
        (over(&at(8)), over(&at(9)), over(&at(17)), over(&at(18))),
        (Over::Suspend, Over::Warn, Over::Warn, Over::Suspend)
    );
    let dead = config.without_asking();
    assert_eq!(dead.at(at(12).parse().unwrap()).limits[0].over, Over::Suspend, "nobody is there to ask");
    for (from, to, message, remedy) in [
        ("over = \"suspend\"", "over = \"drop\"", "ask beside over = \"drop\"", "write over = \"suspend\""),
        ("windows = ", "concurrent = 3\nwindows = ", "concurrent beside ask", "in a limit of its own"),
        ("ask_schedule = \"business\"\n", "", "ask without ask_schedule", "[schedule.business]"),
        ("ask = \"15m\"\n", "", "ask_schedule without ask", "write ask = \"15m\""),
        ("ask = \"15m\"", "ask = \"30s\"", "less than a minute", "write ask = \"15m\""),
        ("ask = \"15m\"", "ask = \"13h\"", "more than 12h", "write ask = \"15m\""),
        ("[notify]\ncommand = [\"/bin/true\"]\n", "", "limit.abroad asks, and nobody would hear it", "write [notify]"),
        ("[schedule.business]", "[schedule.busines]", "there is no schedule \"business\"", "write \"busines\""),
    ] {
        let found = bad(&whole.replace(from, to));
        assert!(
            found.iter().any(|it| it.to_string().contains(message) && it.to_string().contains(remedy)),
            "{to}: {found:?}"
        );
    }
}

#[test]
fn minutes_and_numbers_are_read_in_one_string_or_a_list() {
    let text = format!(
        "{OF_MINUTES}minutes = \"60/1h, 300/1d\"\nsite_minutes = [\"200/1h\"]\ndistinct = \"30/h\"\n\
         site_distinct = \"100/1h\"\nsame = [\"10/1h\", \"20/1d\"]\nsite_same = \"30/1h\"\nover = \"suspend\"\n"
    );
    let (config, warnings) = parse(&text, None, Path::new(".")).unwrap();
    assert_eq!(warnings, []);
    let limit = &config.limits[0];
    let shown = |windows: &[Window]| windows.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let of = |it: &Tallies| [shown(&it.minutes), shown(&it.distinct), shown(&it.same)];
    assert_eq!(of(&limit.tallies), ["60/1h 300/1d", "30/1h", "10/1h 20/1d"]);
    assert_eq!(of(&limit.site_tallies), ["200/1h", "100/1h", "30/1h"]);
    assert_eq!(limit.tallies.longest(), Duration::from_secs(86_400));
    assert!(limit.windows.is_empty() && limit.rate.is_none() && limit.suspend.is_some());
    let shadowed = text.replace("300/1d", "60/30m");
    let (_, warnings) = parse(&shadowed, None, Path::new(".")).unwrap();
    assert!(warnings[0].to_string().contains("60/30m never decides: 60/1h is stricter"), "{warnings:?}");
}

const OF_MINUTES: &str = "[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"lan\"\n[site]\nregion = \"JP\"\n\
                                  [profile.default]\nlimits = [\"talk\"]\n[limit.talk]\nkey = \"line\"\nclass = \"international\"\n";

#[test]
fn heads_are_read_and_ban_or_warn() {
    let limit = "[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"lan\"\n[site]\nregion = \"JP\"\n\
                 [profile.default]\nlimits = [\"plan\"]\n[limit.plan]\nkey = \"source\"\nheads = \"6/10m, 20/1d\"\n";
    for (over, ban) in [("ban", Some(300)), ("warn", None)] {
        let (config, warnings) = parse(&format!("{limit}over = {over:?}\n"), None, Path::new(".")).unwrap();
        assert_eq!(warnings, []);
        let [plan] = config.limits.as_slice() else { panic!("one limit") };
        let windows: Vec<String> = plan.heads.iter().map(ToString::to_string).collect();
        assert_eq!((windows.join(" ").as_str(), plan.over.as_str()), ("6/10m 20/1d", over));
        assert_eq!((plan.ban, plan.rate, &plan.tallies), (ban.map(Duration::from_secs), None, &Tallies::default()));
    }
    let found = bad(&format!("{limit}over = \"suspend\"\n"));
    assert!(found.iter().any(|it| it.to_string().contains("is not for heads; write over = \"ban\"")), "{found:?}");
}
