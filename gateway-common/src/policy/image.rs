//! The policy image: one array of words that holds everything a reload changes.
//!
//! The kernel reads slot 0 of an outer map once a packet and works on that array only, so a packet sees one policy,
//! entirely. Offsets are cell indices; zero means "nothing" everywhere.

use crate::{Class, Method};

pub use super::line::{LINE_CELLS, LINE_PROBES, LineEntry, line_key};

/// Cells of an image: 32 MiB.
pub const CELLS: u32 = 1 << 22;

/// What cell [`FORMAT`] holds: `TG` and the version of this layout.
pub const FORMAT_V1: u64 = 0x5447_0001;

/// Format of the image.
pub const FORMAT: u32 = 0;
/// Generation in the low half, switches ([`ENFORCE`] and so on) in the high half.
pub const SWITCHES: u32 = 1;
/// Node of the source table for IPv4, and for IPv6.
pub const SOURCES_V4: u32 = 2;
/// See [`SOURCES_V4`].
pub const SOURCES_V6: u32 = 3;
/// Root of the E.164 trie.
pub const TRIE: u32 = 4;
/// First vector: [`Vector`] by number.
pub const VECTORS: u32 = 5;
/// First profile, [`PROFILE_CELLS`] each.
pub const PROFILES: u32 = 6;
/// First limit, [`LIMIT_CELLS`] each.
pub const LIMITS: u32 = 7;
/// First trunk, [`TRUNK_CELLS`] each.
pub const TRUNKS: u32 = 8;
/// Start state of the automaton of the world's access codes.
pub const WORLD: u32 = 9;
/// Emission interval and tolerance, in nanoseconds, of emergency calls of an unproved source.
pub const EMERGENCY: u32 = 10;
/// Emission interval and tolerance, in nanoseconds, of packets of an unproved source.
pub const CEILING: u32 = 12;
/// Emission interval and tolerance, in nanoseconds, of later fragments to one destination.
pub const FRAGMENTS: u32 = 14;
/// Emission interval and tolerance, in nanoseconds, of TCP connections to SIP ports that an unproved source asks for.
pub const CONNECTIONS: u32 = 16;
/// Always zero, which no verifier knows.
pub const ZERO: u32 = 18;
/// The limit by which the floor counts, as a [`LIMIT_CELLS`] record of its own; 0 where the floor is off.
pub const FLOOR_LIMIT: u32 = 19;
/// Bit map of the countries in which fraud ends up: bit `country & 63` of cell `HOT + country / 64`, eight cells.
pub const HOT: u32 = 20;
/// First slot of the table of lines that orders are about, [`LINE_CELLS`] each; 0 where there is none.
pub const LINES: u32 = 28;
/// How many slots it has, a power of two, less one.
pub const LINES_MASK: u32 = 29;
/// Bit map of the SIP ports: bit `port & 63` of cell `PORTS + port / 64`.
pub const PORTS: u32 = 64;
/// First cell behind the header.
pub const BODY: u32 = PORTS + 1024;

/// The rules of the file act.
pub const ENFORCE: u64 = 1 << 32;
/// The floor is on.
pub const FLOOR: u64 = 1 << 33;

/// The Contacts of REGISTER and of 3xx responses are judged.
pub const REDIRECTS: u64 = 1 << 34;
/// P-Called-Party-ID is judged.
pub const CALLED_PARTY: u64 = 1 << 35;
/// Unproved sources get no TCP connection to a SIP port.
pub const TCP_DENY: u64 = 1 << 36;
/// What cannot be read over TCP passes.
pub const TCP_PASS: u64 = 1 << 37;

/// Only trunk, lan and known sources may start SIP.
pub const SHIELD: u64 = 1 << 38;

/// Some limit bans, so that presence is proved and answers are looked at.
pub const BANS: u64 = 1 << 39;

/// Some limit, or the floor, bounds the calls that are up at once.
pub const AT_ONCE: u64 = 1 << 40;
/// Nobody registers from outside.
pub const REGISTER_DENY: u64 = 1 << 41;
/// Who is not known registers from outside only where the file names his source.
pub const REGISTER_KNOWN: u64 = 1 << 42;

/// Cells of a profile.
pub const PROFILE_CELLS: u32 = 64;
/// Start state of the profile's dial plan; the flags of the empty string above, as in [`DialCell`].
pub const PLAN: u32 = 0;
/// Trie node of the own calling code (24 bits), the code's digits (8 bits at 24), the code itself (16 bits at 32).
pub const OWN_CODE: u32 = 1;
/// Shortest and longest extension (8 bits each, 0: none), longest national number with its calling code (8 bits), and with its
/// trunk prefix (8 bits), own country (16 bits at 32).
pub const NUMBERS: u32 = 2;
/// Start state of the automaton of `dial:` rules; 0 where there are none.
pub const DIAL_RULES: u32 = 3;
/// The profile's row of actions, by vector number.
pub const ACTIONS: u32 = 5;
/// The profile's [`Short`] answers, by the first three digits behind a plus; 0 where there are none.
pub const SHORT: u32 = 6;
/// Cells of a table of [`Short`] answers, two for each three digits.
pub const SHORTS: u32 = 2000;
/// Numbers of the limits, from 1, a byte each, 0 behind the last: one cell for each [list](list_of).
pub const PROFILE_LIMITS: u32 = 32;
/// The same of those that are asked before a request of an unproved source is read; [`IN_FRONT_CEILING`] among them.
pub const PROFILE_IN_FRONT: u32 = 40;
/// The same of all others.
pub const PROFILE_BEHIND: u32 = 48;
/// In place of a limit's number: the packet ceiling.
pub const IN_FRONT_CEILING: u64 = 0xff;
/// Lists of limits that a profile has, so that a request meets few that do not count it.
pub const LISTS: u32 = 5;

/// The list of the limits that may count a request of this method, or [`FAILURE`].
#[inline(always)]
pub const fn list_of(method: u8) -> u32 {
    if method == Method::Invite as u8 || method == Method::Refer as u8 {
        0
    } else if method == Method::Register as u8 {
        1
    } else if method == Method::Options as u8 {
        2
    } else if method == FAILURE {
        3
    } else {
        4
    }
}

/// A hash of the profile's name, which survives a swap: lines of two profiles are two.
pub const PROFILE_NAME: u32 = 31;
/// Actions of the classes, by class number.
pub const CLASS_ACTIONS: u32 = 8;

const _: () = assert!(
    CLASS_ACTIONS as usize + Class::ALL.len() <= PROFILE_NAME as usize
        && LISTS <= 8
        && PROFILE_BEHIND == PROFILE_LIMITS + 16,
    "the cells of a profile lie over one another"
);

/// Cells of a limit.
pub const LIMIT_CELLS: u32 = 13;
/// Name of the limit (32 bits: a hash that survives a swap), key kind (8 bits at 32), method, [`FAILURE`] or 0 (8 bits at 40),
/// class + 1 or 0 (8 bits at 48), what happens over it (8 bits at 56).
pub const LIMIT_HEAD: u32 = 0;
/// Emission interval, nanoseconds; of the floor's limit, how long a new country's first call is the only one.
pub const LIMIT_INTERVAL: u32 = 1;
/// Tolerance, nanoseconds.
pub const LIMIT_TOLERANCE: u32 = 2;
/// How long a suspension lasts, or the first ban of a source, nanoseconds.
pub const LIMIT_SUSPEND: u32 = 3;
/// Four [`Window`](crate::limit::window::Window)s of the key; a limit that has any has no rate.
pub const LIMIT_WINDOWS: u32 = 4;
/// Four windows for the whole site.
pub const LIMIT_SITE_WINDOWS: u32 = 8;
/// How many calls may be up at once: of the key in the lower half, of the whole site in the upper one; 0 for any number.
pub const LIMIT_AT_ONCE: u32 = 12;

/// Cells of a trunk.
pub const TRUNK_CELLS: u32 = 4;
/// Interface index the trunk's calls arrive on, or 0 for any; limit name above (32 bits at 32).
pub const TRUNK_HEAD: u32 = 0;
/// Emission interval, nanoseconds; 0 for no rate.
pub const TRUNK_INTERVAL: u32 = 1;
/// Tolerance, nanoseconds; the highest bit set where the rate drops.
pub const TRUNK_TOLERANCE: u32 = 2;

/// What shares one allowance of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Key {
    /// One source.
    Source = 1,
    /// One network.
    Network = 2,
    /// All unproved sources together.
    Unproved = 3,
    /// Everything.
    All = 4,
    /// One line of a profile: who a trunk or lan source says that it is.
    Line = 5,
    /// One country that is called.
    Country = 6,
    /// One source and one country.
    SourceCountry = 7,
    /// The site, beside another key.
    Site = 8,
}

impl Key {
    /// The key with this number, if there is one.
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            1 => Some(Self::Source),
            2 => Some(Self::Network),
            3 => Some(Self::Unproved),
            4 => Some(Self::All),
            5 => Some(Self::Line),
            6 => Some(Self::Country),
            7 => Some(Self::SourceCountry),
            8 => Some(Self::Site),
            _ => None,
        }
    }
}

/// What happens over a limit: the packet is dropped.
pub const OVER_DROP: u64 = 1;
/// What happens over a limit: it is counted and told.
pub const OVER_WARN: u64 = 2;
/// What happens over a limit: the packet is dropped, and so is what comes until the suspension ends.
pub const OVER_SUSPEND: u64 = 3;
/// What happens over a limit: the packet is dropped, and its source is banned for a time, if it is present.
pub const OVER_BAN: u64 = 4;

/// In place of a method: the limit counts requests that the PBX refused.
pub const FAILURE: u8 = 0xff;

/// A node of the source table is 256 cells, one per octet of the address; a cell is a node or a [`SourceEntry`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceEntry(pub u64);

impl SourceEntry {
    const LEAF: u64 = 1 << 63;
    const WATCHED: u64 = 1 << 20;
    const NAMED: u64 = 1 << 21;

    /// A leaf.
    #[inline(always)]
    pub const fn new(profile: u8, trunk: u8, order: Ruling, file: Ruling) -> Self {
        Self(Self::LEAF | profile as u64 | (trunk as u64) << 8 | (order as u64) << 16 | (file as u64) << 18)
    }

    /// The leaf of a source whose calls an order counts.
    pub const fn watched(self) -> Self {
        Self(self.0 | Self::WATCHED)
    }

    /// Whether an order counts the calls of the source.
    #[inline(always)]
    pub const fn is_watched(self) -> bool {
        self.0 & Self::WATCHED != 0
    }

    /// The leaf of a source that a profile of the file names.
    pub const fn named(self) -> Self {
        Self(self.0 | Self::NAMED)
    }

    /// Whether a profile of the file names the source.
    #[inline(always)]
    pub const fn is_named(self) -> bool {
        self.0 & Self::NAMED != 0
    }

    /// Whether this cell is a leaf.
    #[inline(always)]
    pub const fn is_leaf(self) -> bool {
        self.0 & Self::LEAF != 0
    }

    /// Number of the profile.
    #[inline(always)]
    pub const fn profile(self) -> u32 {
        (self.0 & 0xff) as u32
    }

    /// Number of the trunk from 1, or 0.
    #[inline(always)]
    pub const fn trunk(self) -> u32 {
        (self.0 >> 8 & 0xff) as u32
    }

    /// What an order says of the source.
    #[inline(always)]
    pub const fn order(self) -> Ruling {
        Ruling::from_bits(self.0 >> 16)
    }

    /// What the file says of the source.
    #[inline(always)]
    pub const fn file(self) -> Ruling {
        Ruling::from_bits(self.0 >> 18)
    }
}

/// What a rule says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ruling {
    /// Nothing.
    #[default]
    None = 0,
    /// Let it go on.
    Allow = 1,
    /// Stop it.
    Block = 2,
    /// Count it as one that would be stopped.
    Monitor = 3,
}

impl Ruling {
    /// The ruling in the two lowest bits.
    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::None,
            1 => Self::Allow,
            2 => Self::Block,
            _ => Self::Monitor,
        }
    }
}

/// What a profile does with a number: class, rulings and the reason of the file's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Action(pub u64);

impl Action {
    /// The number leaves the country, that is switched off, and it is no exception.
    pub const OFF: u64 = 1 << 10;
    /// What else the string may mean is looked at all the same, since that may be switched off: other readings, or the
    /// number behind a `dial:` rule.
    pub const LOOKS_ON: u64 = 1 << 11;

    /// An order counts such a call as one that it would stop, if nothing else stops it.
    pub const WATCHED: u64 = 1 << 12;

    /// An order allows so many calls: the number of the limit stands in place of the reason, which an allow has no use for.
    const COUNTED: u64 = 1 << 13;

    /// An action.
    pub const fn new(class: u8, order: Ruling, floor: Ruling, file: Ruling, reason: u8) -> Self {
        Self(class as u64 | (order as u64) << 4 | (floor as u64) << 6 | (file as u64) << 8 | (reason as u64) << 16)
    }

    /// The class, as its number.
    #[inline(always)]
    pub const fn class(self) -> u8 {
        (self.0 & 15) as u8
    }

    /// What an order of the operator says.
    #[inline(always)]
    pub const fn order(self) -> Ruling {
        Ruling::from_bits(self.0 >> 4)
    }

    /// What the floor says.
    #[inline(always)]
    pub const fn floor(self) -> Ruling {
        Ruling::from_bits(self.0 >> 6)
    }

    /// What the policy file says.
    #[inline(always)]
    pub const fn file(self) -> Ruling {
        Ruling::from_bits(self.0 >> 8)
    }

    /// The reason of the file's ruling, as its number.
    #[inline(always)]
    pub const fn reason(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// The action under an allowance: the number of a limit, from 1, whose windows are all that an order allows.
    pub const fn at_most(self, limit: u8) -> Self {
        if limit == 0 { self } else { Self(self.0 & !(0xff << 16) | Self::COUNTED | (limit as u64) << 16) }
    }

    /// The number of the limit that an order allows such calls by, 0 for no limit.
    #[inline(always)]
    pub const fn allowance(self) -> u8 {
        if self.0 & Self::COUNTED == 0 { 0 } else { (self.0 >> 16) as u8 }
    }

    /// The action with these flags.
    pub const fn with(self, flags: u64) -> Self {
        Self(self.0 | flags)
    }

    /// Whether calls that leave the country are switched off, and this is one.
    #[inline(always)]
    pub const fn is_off(self) -> bool {
        self.0 & Self::OFF != 0
    }

    /// Whether an order counts such a call.
    #[inline(always)]
    pub const fn is_watched(self) -> bool {
        self.0 & Self::WATCHED != 0
    }

    /// Whether something else that the string may mean is looked at all the same.
    #[inline(always)]
    pub const fn looks_on(self) -> bool {
        self.0 & Self::LOOKS_ON != 0
    }

    /// Whether something stops such a call, if it acts.
    #[inline(always)]
    pub const fn blocks(self) -> bool {
        if self.is_off() {
            return true;
        }
        match self.order() {
            Ruling::Block => true,
            Ruling::Allow => false,
            Ruling::None | Ruling::Monitor => {
                matches!(self.floor(), Ruling::Block) || matches!(self.file(), Ruling::Block)
            }
        }
    }
}

/// What a number is, whoever asks: country, possible lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vector(pub u64);

impl Vector {
    /// A vector. `country` counts from 1, 0 for none; `min` and `max` are digits of a whole number, calling code
    /// included.
    pub const fn new(country: u16, min: u8, max: u8) -> Self {
        Self(country as u64 | (min as u64) << 16 | (max as u64) << 24)
    }

    /// The country, from 1; 0 for none.
    #[inline(always)]
    pub const fn country(self) -> u16 {
        self.0 as u16
    }

    /// The least number of digits that can be dialled, calling code included.
    #[inline(always)]
    pub const fn min(self) -> u32 {
        (self.0 >> 16 & 0xff) as u32
    }

    /// The greatest number of digits of a whole number, calling code included; 0 where nobody knows.
    #[inline(always)]
    pub const fn max(self) -> u32 {
        (self.0 >> 24 & 0xff) as u32
    }
}

/// What is known of all numbers behind a plus and three digits, in two cells: the answer for those that no longer prefix
/// tells apart, and the trie node behind the digits, where there are longer prefixes. Zero where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Short(pub u64);

impl Short {
    /// An answer that stops a call; it holds from `least` digits on.
    pub const fn new(action: Action, country: u16, least: u32) -> Self {
        Self(action.0 & 0xff_ffff | (least as u64) << 24 | (country as u64) << 32)
    }

    /// The action.
    #[inline(always)]
    pub const fn action(self) -> Action {
        Action(self.0 & 0xff_ffff)
    }

    /// The country, from 1; 0 for none.
    #[inline(always)]
    pub const fn country(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// Whether it holds for a number of so many digits.
    #[inline(always)]
    pub const fn holds(self, digits: u32) -> bool {
        self.0 != 0 && digits >= (self.0 >> 24) as u32 & 0xff
    }
}

/// A node of the E.164 trie: where its children stand, the first and the number of the digits that they are for, and the
/// vector of the prefix. Digits between them without a child have a zero cell: that costs a little room, and no counting
/// of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node(pub u64);

impl Node {
    /// A node. The children of the digits `first .. first + count` stand from `children` on.
    pub const fn new(children: u32, first: u32, count: u32, vector: u16) -> Self {
        let range = (first as u64 & 15) << 24 | (count as u64 & 15) << 28;
        Self(children as u64 & 0xff_ffff | range | (vector as u64) << 40)
    }

    /// The cell of the child for `digit`; [`ZERO`] where there is none.
    #[inline(always)]
    pub const fn child(self, digit: u32) -> u32 {
        let place = digit.wrapping_sub((self.0 >> 24) as u32 & 15);
        if place < (self.0 >> 28) as u32 & 15 { (self.0 as u32 & 0xff_ffff) + place } else { ZERO }
    }

    /// The vector of the prefix, 0 where it has none of its own.
    #[inline(always)]
    pub const fn vector(self) -> u32 {
        (self.0 >> 40) as u32 & 0xffff
    }
}

/// A cell of a dial automaton: a state is sixteen of them, one per [`symbol`]; 0 is a dead end.
///
/// The flags say what the string up to and including the symbol is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DialCell(pub u64);

impl DialCell {
    /// Exactly an emergency number.
    pub const EMERGENCY: u64 = 1 << 24;
    /// Exactly a service that is never stopped, such as a disaster message board.
    pub const HARMLESS: u64 = 1 << 25;
    /// An access code ends here: E.164 digits follow.
    pub const ACCESS: u64 = 1 << 26;
    /// A trunk prefix ends here: a national number follows.
    pub const NATIONAL: u64 = 1 << 27;
    /// E.164 digits follow without any access code.
    pub const BARE: u64 = 1 << 28;
    /// A carrier code ends here or earlier, and no access code has followed yet.
    pub const CARRIER: u64 = 1 << 29;
    /// An access code that is the plus.
    pub const PLUS: u64 = 1 << 30;
    /// The national number that follows may begin with a zero: the plan has no trunk prefix.
    pub const ZERO: u64 = 1 << 31;
    /// In a dial plan: how many digits ago a national number began, if its head ends here.
    pub const BACK: u64 = 15 << 32;

    /// The flags of a cell on which a head of `digits` digits ends.
    pub const fn back(digits: u64) -> u64 {
        (digits & 15) << 32
    }

    /// How many digits ago a national number began; 0 for none.
    #[inline(always)]
    pub const fn began(self) -> u32 {
        (self.0 >> 32 & 15) as u32
    }

    /// The next state.
    #[inline(always)]
    pub const fn next(self) -> u32 {
        self.0 as u32 & 0xff_ffff
    }

    /// The number of the `dial:` rule's action, in an automaton of rules.
    #[inline(always)]
    pub const fn rule(self) -> u64 {
        self.0 >> 32
    }
}

/// What a dial automaton reads: digits are themselves.
#[inline(always)]
pub const fn symbol(c: u8) -> Option<u32> {
    match c {
        b'0'..=b'9' => Some((c - b'0') as u32),
        b'*' => Some(10),
        b'#' => Some(11),
        b'+' => Some(12),
        _ => None,
    }
}
