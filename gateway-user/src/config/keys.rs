//! The keys of the policy file, section by section: one list for reading, for examples and for the nearest name.

use super::problem::Complaint;

/// A key that this version understands.
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// A line that is right.
    pub(super) example: &'static str,
}

/// A key of the policy language whose meaning this version cannot keep. Ignoring it would leave a hole that the
/// operator believes closed.
struct Later {
    name: &'static str,
    remedy: &'static str,
}

/// The kinds of section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Top,
    Interface,
    Sip,
    Site,
    Profile,
    Class,
    Trunk,
    Emergency,
    Ceiling,
    Limit,
    Schedule,
    Entry,
    Import,
    Journal,
    Notify,
}

macro_rules! keys {
    ($( $name:literal => $example:literal ),* $(,)?) => { &[ $( Key { name: $name, example: $example }, )* ] };
}

impl Kind {
    /// Every kind that keys can stand in.
    const ALL: [Self; 15] = [
        Self::Top,
        Self::Interface,
        Self::Sip,
        Self::Site,
        Self::Profile,
        Self::Class,
        Self::Trunk,
        Self::Emergency,
        Self::Ceiling,
        Self::Limit,
        Self::Schedule,
        Self::Entry,
        Self::Import,
        Self::Journal,
        Self::Notify,
    ];

    /// The keys that stand in it.
    pub(super) const fn keys(self) -> &'static [Key] {
        match self {
            Self::Top => keys! {
                "mode" => r#"mode = "monitor""#,
                "floor" => "floor = true",
                "floor_windows" => r#"floor_windows = ["40/1h", "64/8h"]"#,
                "floor_concurrent" => "floor_concurrent = 12",
                "interface" => "[interface.eth0]",
                "sip" => "[sip]",
                "site" => "[site]",
                "profile" => "[profile.default]",
                "trunk" => "[trunk.NAME]",
                "emergency" => "[emergency]",
                "ceiling" => "[ceiling]",
                "limit" => "[limit.NAME]",
                "schedule" => "[schedule.NAME]",
                "import" => "[import.NAME]",
                "journal" => "[journal]",
                "notify" => "[notify]",
            },
            Self::Interface => keys! { "role" => r#"role = "wan""# },
            Self::Sip => keys! {
                "ports" => "ports = [5060, 5061]",
                "tcp" => r#"tcp = "inspect""#,
                "redirects" => "redirects = false",
                "called_party" => "called_party = false",
                "reject" => "reject = 603",
            },
            Self::Site => keys! {
                "region" => r#"region = "JP""#,
                "extensions" => r#"extensions = "2-5""#,
                "own_numbers" => r#"own_numbers = ["+81312345678"]"#,
                "time_zone" => r#"time_zone = "Asia/Tokyo""#,
                "holidays" => r#"holidays = ["JP", "2026-12-29"]"#,
                "outside_registration" => r#"outside_registration = "known""#,
            },
            Self::Profile => keys! {
                "sources" => r#"sources = ["192.0.2.0/28"]"#,
                "region" => r#"region = "JP""#,
                "outside_line" => r#"outside_line = ["0"]"#,
                "access_codes" => r#"access_codes = ["010"]"#,
                "carrier_codes" => r#"carrier_codes = ["0033"]"#,
                "service_codes" => r#"service_codes = ["184", "186"]"#,
                "emergency" => r#"emergency = ["119"]"#,
                "bare_e164" => "bare_e164 = true",
                "block" => r#"block = ["SL", "+881", "dial:0570"]"#,
                "allow" => r#"allow = ["US", "+44"]"#,
                "block_files" => r#"block_files = ["irsf.txt"]"#,
                "limits" => r#"limits = ["caller"]"#,
                "class" => r#"class.international = "block""#,
            },
            Self::Class => keys! {
                "national" => r#"national = "allow""#,
                "premium" => r#"premium = "monitor""#,
                "international" => r#"international = "block""#,
                "non-geographic" => r#"non-geographic = "block""#,
                "unassigned" => r#"unassigned = "block""#,
                "carrier-service" => r#"carrier-service = "allow""#,
                "suspicious" => r#"suspicious = "as-international""#,
                "unknown" => r#"unknown = "allow""#,
                "malformed" => r#"malformed = "block""#,
            },
            Self::Trunk => keys! {
                "sources" => r#"sources = ["203.0.113.10"]"#,
                "interface" => r#"interface = "eth0""#,
                "rate" => r#"rate = "50/s""#,
                "burst" => "burst = 100",
                "over" => r#"over = "warn""#,
            },
            Self::Emergency => {
                keys! { "unproved" => r#"unproved = "3/10s""#, "burst" => "burst = 3" }
            }
            Self::Ceiling => {
                keys! {
                    "unproved" => r#"unproved = "50/s""#,
                    "burst" => "burst = 200",
                    "connections" => r#"connections = "10/s""#,
                    "fragments" => r#"fragments = "10000/s""#,
                }
            }
            Self::Limit => keys! {
                "key" => r#"key = "source""#,
                "method" => r#"method = "INVITE""#,
                "class" => r#"class = "international""#,
                "rate" => r#"rate = "10/s""#,
                "burst" => "burst = 20",
                "over" => r#"over = "drop""#,
                "ban" => r#"ban = "5m""#,
                "count" => r#"count = "failures""#,
                "windows" => r#"windows = ["5/60s", "6/300s", "10/1h", "30/24h"]"#,
                "site_windows" => r#"site_windows = ["20/1h", "60/24h"]"#,
                "concurrent" => "concurrent = 3",
                "site_concurrent" => "site_concurrent = 12",
                "minutes" => r#"minutes = "60/1h, 300/1d""#,
                "site_minutes" => r#"site_minutes = "200/1h, 1000/1d""#,
                "distinct" => r#"distinct = "30/1h""#,
                "site_distinct" => r#"site_distinct = "100/1h""#,
                "same" => r#"same = "10/1h""#,
                "site_same" => r#"site_same = "30/1h""#,
                "heads" => r#"heads = "6/10m""#,
                "suspend" => r#"suspend = "24h""#,
                "schedule" => r#"schedule = "night""#,
                "ask" => r#"ask = "15m""#,
                "ask_schedule" => r#"ask_schedule = "business""#,
            },
            Self::Schedule => keys! {
                "hours" => r#"hours = "18:00-08:00""#,
                "days" => r#"days = "mon-fri""#,
                "holidays" => r#"holidays = "exclude""#,
                "time_zone" => r#"time_zone = "Asia/Tokyo""#,
            },
            Self::Import => keys! {
                "file" => r#"file = "voipbl.txt""#,
                "format" => r#"format = "auto""#,
                "expires" => r#"expires = "7d""#,
            },
            Self::Entry => keys! {
                "what" => r#"{ what = "international", schedule = "night" }"#,
                "schedule" => r#"{ what = "international", schedule = "night" }"#,
            },
            Self::Notify => keys! {
                "command" => r#"command = ["/usr/local/bin/page", "noc"]"#,
                "webhook" => r#"webhook = "https://noc.example.net/tollgate""#,
                "key_file" => r#"key_file = "/etc/tollgate/webhook.key""#,
                "burst" => r#"burst = "10/m""#,
            },
            Self::Journal => keys! { "days" => "days = 14", "size" => r#"size = "64MB""# },
        }
    }

    const fn later(self) -> &'static [Later] {
        const WINDOW: &str = r#"use windows = ["10/1h", "30/24h"], or remove it"#;
        match self {
            Self::Limit => &[Later { name: "monthly", remedy: WINDOW }],
            _ => &[],
        }
    }

    /// How the section is written; the top of the file has no heading.
    const fn heading(self) -> Option<&'static str> {
        Some(match self {
            Self::Top => return None,
            Self::Interface => "[interface.NAME]",
            Self::Sip => "[sip]",
            Self::Site => "[site]",
            Self::Profile => "[profile.NAME]",
            Self::Class => "[profile.NAME.class]",
            Self::Trunk => "[trunk.NAME]",
            Self::Emergency => "[emergency]",
            Self::Ceiling => "[ceiling]",
            Self::Limit => "[limit.NAME]",
            Self::Schedule => "[schedule.NAME], and name that by schedule = \"NAME\"",
            Self::Import => "[import.NAME]",
            Self::Entry => "an entry such as { what = \"SL\", schedule = \"night\" }",
            Self::Journal => "[journal]",
            Self::Notify => "[notify]",
        })
    }

    /// A line with `key` that is right.
    pub(super) fn example(self, key: &str) -> &'static str {
        self.keys().iter().find(|k| k.name == key).map_or("", |k| k.example)
    }

    /// What to say of `key` if the section does not have it.
    pub(super) fn judge(self, key: &str) -> Option<Complaint> {
        let keys = self.keys();
        if keys.iter().any(|k| k.name == key) {
            return None;
        }
        if let Some(later) = self.later().iter().find(|k| k.name == key) {
            return Some(Complaint::new(format!("{key} is not supported by this version"), later.remedy));
        }
        if let (Self::Class, "emergency" | "none") = (self, key) {
            let message = format!("class {key} has no answer: such calls pass before every rule");
            return Some(Complaint::new(message, "remove it"));
        }
        let what = if self == Self::Top { "unknown key or section" } else { "unknown key" };
        let key = shown(key);
        let elsewhere = Self::ALL.iter().find(|kind| kind.keys().iter().any(|k| k.name == key));
        let remedy = if let Some(kind) = elsewhere {
            kind.belongs(&key)
        } else if let Some(near) = nearest(&key, keys.iter().map(|k| k.name)) {
            format!("write {}", self.example(near))
        } else {
            let known = join(keys.iter().map(|k| k.name));
            format!("remove it; known here are {known}")
        };
        Some(Complaint::new(format!("{what} {key:?}"), remedy))
    }

    /// Where one of its keys is to be written.
    fn belongs(self, key: &str) -> String {
        let example = self.example(key);
        match self.heading() {
            Some(heading) => format!("write it in {heading}"),
            None if example.starts_with('[') => format!("write {example}"),
            None => format!("write {example} at the top of the file, above the first [section]"),
        }
    }
}

/// The known name that a mistyped one is near enough to have been meant for.
pub(super) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_lowercase();
    let allowed = (name.chars().count() / 2).clamp(1, 3);
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&lower, k), k))
        .filter(|&(distance, k)| distance <= allowed && distance < k.len())
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, k)| k)
}

/// What the operator wrote, short enough for a message.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// `a, b, c`.
pub(super) fn join<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}
