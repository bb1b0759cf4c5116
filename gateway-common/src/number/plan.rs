//! From a dialled string to what it means under a dial plan, and what the policy does with it.
//!
//! The plan is an automaton (see [`DialCell`]) that marks where a number may begin: behind an access code, behind a
//! trunk prefix, or bare. Each such reading is looked up; one that is blocked decides, if its length is possible for its
//! country or it is exactly a prefix of the policy. What the plan does not resolve is tried under the world's access
//! codes: a foreign number there is suspicious.

use crate::{
    Class, Reason,
    judged::NO_NUMBER,
    number::shape::Shape,
    policy::{
        Policy,
        image::{
            ACTIONS, Action, CLASS_ACTIONS, DIAL_RULES, DialCell, NUMBERS, Node, OWN_CODE, PLAN, Ruling, TRIE, VECTORS,
            Vector, WORLD, symbol,
        },
    },
};

/// Digits of E.164 (ITU-T E.164 section 6.2.1).
const E164: u32 = 15;

/// Readings of one string. Sites whose codes leave more than four are rare, and a caller who knows the codes could fill
/// fewer.
const READINGS: u32 = 7;

const ACCESS: u64 = 1;
const NATIONAL: u64 = 2;
const BARE: u64 = 3;

/// What a dialled string means, and what the policy does with it.
///
/// One word, since that is what a function of the kernel can return: the action in the lowest 24 bits, where the digits
/// begin in the next 8, the country in 16, the calling code in front of the digits in 10, digits behind a whole number in 5,
/// whether it is unresolved in 1.
#[derive(Clone, Copy, Debug)]
pub struct Meaning(pub u64);

impl Meaning {
    #[inline(always)]
    const fn new(action: Action, at: u8, country: u16, own_code: u16) -> Self {
        Self(action.0 & 0xff_ffff | (at as u64) << 24 | (country as u64) << 32 | (own_code as u64) << 48)
    }

    /// This meaning of what was unresolved, of which a rule counts only if it did before.
    #[inline(always)]
    pub const fn instead_of(self, unresolved: Self) -> Self {
        Self(self.0 | unresolved.0 & Action::WATCHED)
    }

    /// A class without a number behind it.
    #[inline(always)]
    pub fn of_class<P: Policy>(env: &P, profile: u32, class: u32) -> Self {
        Self::new(Action(env.cell(profile + CLASS_ACTIONS + class)), NO_NUMBER, 0, 0)
    }

    const UNRESOLVED: u64 = 1 << 63;

    /// Whether [`junk`] has to say what it means.
    #[inline(always)]
    pub const fn is_unresolved(self) -> bool {
        self.0 & Self::UNRESOLVED != 0
    }

    /// Class and rulings.
    #[inline(always)]
    pub const fn action(self) -> Action {
        Action(self.0 & 0xff_ffff)
    }

    /// Where the number's digits begin in the dialled string, or [`NO_NUMBER`].
    #[inline(always)]
    pub const fn at(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// The country, from 1; 0 for none.
    #[inline(always)]
    pub const fn country(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// The calling code in front of those digits, 0 where they have it.
    #[inline(always)]
    pub const fn own_code(self) -> u16 {
        (self.0 >> 48) as u16 & 0x3ff
    }

    /// Digits at the end of the string that are dialled in vain, behind a whole number.
    #[inline(always)]
    pub const fn surplus(self) -> u32 {
        (self.0 >> 58 & 31) as u32
    }
}

/// Where numbers may begin in a string, in one word: readings of a byte each in the lowest 56 bits, the first
/// one found highest, the kind in the upper two bits of a byte and the position in its lower six; flags on top.
#[derive(Clone, Copy)]
pub struct Readings(pub u64);

impl Readings {
    const WHOLE: u64 = 1 << 63;
    const CARRIER: u64 = 1 << 62;
    const EMERGENCY: u64 = 1 << 61;
    const HARMLESS: u64 = 1 << 60;
    const ALL: u64 = 0xff_ffff_ffff_ffff;
    const FULL: u64 = 0xff << 48;

    #[inline(always)]
    const fn with(self, kind: u64, at: u32) -> Self {
        if self.0 & Self::FULL != 0 {
            return self;
        }
        Self(self.0 & !Self::ALL | self.0 << 8 & Self::ALL | kind << 6 | at as u64 & 63)
    }

    #[inline(always)]
    const fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }
}

/// The readings, and those that begin at `at`, where `octet` stands, behind `cell` of a plan.
#[inline(always)]
pub const fn mark(cell: DialCell, readings: Readings, at: u32, octet: u8) -> Readings {
    let mut readings = readings;
    // No calling code begins with a zero, and few national numbers do.
    let zero = octet == b'0' && cell.0 & DialCell::ZERO != 0;
    if zero || octet > b'0' && octet <= b'9' {
        if !zero && cell.0 & DialCell::ACCESS != 0 {
            readings = readings.with(ACCESS, at);
        } else if !zero && cell.0 & DialCell::BARE != 0 {
            readings = readings.with(BARE, at);
        }
        if cell.0 & DialCell::NATIONAL != 0 {
            readings = readings.with(NATIONAL, at);
        }
    }
    if cell.began() != 0 { readings.with(NATIONAL, at.wrapping_sub(cell.began())) } else { readings }
}

/// Walks a plan over a string.
#[inline(always)]
pub fn read<P: Policy>(env: &P, plan: u64, shape: Shape) -> Readings {
    let len = shape.len();
    let mut cell = DialCell(plan);
    let mut readings = Readings(0);
    let mut passed = 0u64;
    let mut at = shape.start();
    let mut i = 0u32;
    while i < P::OCTETS {
        let octet = if at < len { env.dialled(at) } else { 0 };
        passed |= cell.0;
        readings = env.mark(cell, readings, at, octet);
        if at >= len {
            break;
        }
        // Marks and pauses in front of a number are passed over, behind a code as anywhere.
        if let Some(symbol) = symbol(octet) {
            if cell.next() == 0 {
                break;
            }
            cell = DialCell(env.cell(cell.next() + symbol));
        }
        at = env.opaque(at as u64 + 1) as u32;
        i = env.rolled(i + 1);
    }
    let mut flags = 0;
    if at >= len {
        flags |= Readings::WHOLE;
        if cell.0 & DialCell::EMERGENCY != 0 {
            flags |= Readings::EMERGENCY;
        }
        if cell.0 & DialCell::HARMLESS != 0 {
            flags |= Readings::HARMLESS;
        }
    }
    if passed & DialCell::CARRIER != 0 {
        flags |= Readings::CARRIER;
    }
    Readings(readings.0 | flags)
}

/// One number looked up: its vector, its digits, and those of its longest prefix in the trie; 16, 8 and 8 bits.
#[derive(Clone, Copy)]
pub struct Found(pub u64);

impl Found {
    #[inline(always)]
    const fn new(vector: u32, digits: u32, depth: u32) -> Self {
        Self(vector as u64 | (digits as u64 & 0xff) << 16 | (depth as u64 & 0xff) << 24)
    }

    #[inline(always)]
    const fn with_digits(self, digits: u32) -> Self {
        Self(self.0 & !(0xff << 16) | (digits as u64 & 0xff) << 16)
    }

    /// The vector, 0 for none.
    #[inline(always)]
    pub const fn vector(self) -> u32 {
        self.0 as u32 & 0xffff
    }

    /// Its digits, those in front of the node that the search began at among them.
    #[inline(always)]
    pub const fn digits(self) -> u32 {
        (self.0 >> 16) as u32 & 0xff
    }

    /// Whether the digits are exactly a prefix of the trie.
    #[inline(always)]
    pub const fn exact(self) -> bool {
        self.vector() != 0 && self.digits() == self.depth()
    }

    /// Digits of its longest prefix in the trie.
    #[inline(always)]
    pub const fn depth(self) -> u32 {
        (self.0 >> 24) as u32 & 0xff
    }
}

/// Looks up the digits at `at..len` (a byte each of `span`), `digits` (the third byte) of which the trie node at `from`
/// has behind it.
#[inline(always)]
pub fn look_up<P: Policy>(env: &P, from: u32, span: u32) -> Found {
    let (at, len) = (span & 0xff, span >> 8 & 0xff);
    let behind = span >> 16 & 0xff;
    let mut node = Node(env.cell(from));
    let mut found = Found::new(node.vector(), behind, behind);
    let mut i = 0u32;
    while i < P::OCTETS {
        let here = at + i;
        if here >= len {
            break;
        }
        let octet = env.dialled(here);
        if octet == b'*' || octet == b'#' {
            break;
        }
        let digit = octet.wrapping_sub(b'0');
        if digit < 10 {
            node = Node(env.cell(node.child(digit as u32)));
            let digits = found.digits() + 1;
            if node.vector() != 0 {
                found = Found::new(node.vector(), digits, digits);
            } else if node.0 == 0 && env.all_digits() {
                found = found.with_digits(digits + len - here - 1);
                break;
            } else {
                found = found.with_digits(digits);
            }
        }
        found = Found(env.opaque(found.0));
        i = env.rolled(i + 1);
    }
    found
}

/// What a string of digits means to a source of `profile`, the cell index of its profile.
#[inline(always)]
pub fn meaning<P: Policy>(env: &P, profile: u32, shape: Shape) -> Meaning {
    let own = env.readings(env.cell(profile + PLAN), shape);
    if own.has(Readings::EMERGENCY) {
        return Meaning::of_class(env, profile, Class::Emergency as u32);
    }
    let rules = env.cell(profile + DIAL_RULES) as u32;
    let rule = if rules != 0 { env.dial_rule(rules, shape) } else { 0 };
    if rule != 0 && !Action(rule).looks_on() {
        return Meaning::new(Action(rule), NO_NUMBER, 0, 0);
    }
    let number = number(env, profile, own, shape);
    if rule == 0 || number.action().is_off() {
        return number;
    }
    // A rule that only counts says nothing else of the number.
    let counts = matches!((Action(rule).order(), Action(rule).file()), (Ruling::None, Ruling::None));
    if counts { Meaning(number.0 | Action::WATCHED) } else { Meaning::new(Action(rule), NO_NUMBER, 0, 0) }
}

/// What a string means that is no emergency number, whatever `dial:` rules say of it.
#[inline(always)]
fn number<P: Policy>(env: &P, profile: u32, own: Readings, shape: Shape) -> Meaning {
    if is_own(env.cell(profile + NUMBERS), own, shape) {
        return Meaning::of_class(env, profile, Class::None as u32);
    }
    let best = best(env, profile, own, shape, 0);
    if !best.is_none() {
        return best.meaning(env, profile);
    }
    if own.has(Readings::CARRIER) {
        return Meaning::of_class(env, profile, Class::CarrierService as u32);
    }
    let world = env.readings(env.cell(WORLD), shape);
    let best = self::best(env, profile, world, shape, FOREIGN);
    if !best.is_none() {
        return suspicious(env, profile, best.action());
    }
    let unresolved = env.opaque(if is_overlong(env, profile, shape) { Meaning::UNRESOLVED } else { 0 });
    Meaning(unknown(env, profile).0 | unresolved)
}

#[inline(always)]
fn unknown<P: Policy>(env: &P, profile: u32) -> Meaning {
    Meaning::of_class(env, profile, Class::Unknown as u32)
}

#[inline(always)]
fn suspicious<P: Policy>(env: &P, profile: u32, worst: Action) -> Meaning {
    let answer = Action(env.cell(profile + CLASS_ACTIONS + Class::Suspicious as u32));
    Meaning::new(answer.suspicious(worst), NO_NUMBER, 0, 0)
}

/// Whether a string is longer than any national number, as it is dialled.
#[inline(always)]
fn is_overlong<P: Policy>(env: &P, profile: u32, shape: Shape) -> bool {
    let longest = (env.cell(profile + NUMBERS) >> 24 & 0xff) as u32;
    shape.digits() > 10 && shape.digits() > longest
}

/// Digits in front of a foreign number that are taken for junk: scanners try whatever a server might strip.
const JUNK: u32 = 5;

/// What a string means that is [unresolved](Meaning::is_unresolved): no codes resolve it, and it has too many digits for the site's
/// country. It is suspicious if it is a foreign number; where it is digits alone, also behind up to five of them, or with more than any
/// number has. It is unknown if it is a number of the country with its calling code and no plus, or behind the digit of an outside
/// line that the policy does not name.
#[inline(always)]
pub fn junk<P: Policy>(env: &P, profile: u32, shape: Shape) -> Meaning {
    let plain = shape.digits() == shape.len();
    if plain {
        let behind_outside_line = env.readings(env.cell(profile + PLAN), shape.behind(1));
        let country = env.cell(profile + NUMBERS) >> 32 & 0xffff;
        for readings in [behind_outside_line, Readings(0).with(BARE, 0)] {
            let own = best(env, profile, readings, shape, 0).country();
            if own != 0 && own == country {
                return unknown(env, profile);
            }
        }
    }
    let mut readings = Readings(0).with(BARE, shape.start());
    let mut at = 1;
    while at <= JUNK && plain {
        readings = readings.with(BARE, at);
        at += 1;
    }
    let foreign = best(env, profile, readings, shape, FOREIGN);
    if !foreign.is_none() {
        return suspicious(env, profile, foreign.action());
    }
    if plain && shape.digits() > E164 {
        return suspicious(env, profile, Action(env.cell(profile + CLASS_ACTIONS + Class::International as u32)));
    }
    unknown(env, profile)
}

/// Own extensions and harmless services: they mean something only as a whole.
#[inline(always)]
fn is_own(numbers: u64, readings: Readings, shape: Shape) -> bool {
    let (shortest, longest) = ((numbers & 0xff) as u32, (numbers >> 8 & 0xff) as u32);
    let extension = shape.digits() == shape.len() && shape.len() >= shortest && shape.len() <= longest;
    extension || readings.has(Readings::HARMLESS)
}

/// The action of the longest `dial:` rule that the string begins with, 0 for none.
#[inline(always)]
pub fn dial_rule<P: Policy>(env: &P, start: u32, shape: Shape) -> u64 {
    let mut cell = DialCell(start as u64);
    let mut rule = 0;
    let mut i = 0u32;
    while i < P::OCTETS {
        if i >= shape.len() || cell.next() == 0 {
            break;
        }
        if let Some(symbol) = symbol(env.dialled(i)) {
            cell = DialCell(env.cell(cell.next() + symbol));
            if cell.rule() != 0 {
                rule = cell.rule();
            }
        }
        rule = env.opaque(rule);
        cell = DialCell(env.opaque(cell.0));
        i = env.rolled(i + 1);
    }
    rule
}

/// What one reading weighs, in one word: the action in the lowest 24 bits, where its digits begin in 6, the country in
/// 10, the calling code in front of the digits in 10, too many digits in 1, no other reading counts in 1, the rank in 4, the
/// digits behind a whole number in 5.
#[derive(Clone, Copy)]
pub struct Weight(pub u64);

impl Weight {
    const AT: u32 = 24;
    const COUNTRY: u32 = 30;
    const CODE: u32 = 40;
    const OVERLONG: u64 = 1 << 50;
    const LAST: u64 = 1 << 51;
    const RANK: u32 = 52;
    const SURPLUS: u32 = 56;

    #[inline(always)]
    const fn rank(self) -> u64 {
        self.0 >> Self::RANK & 15
    }

    #[inline(always)]
    const fn is_none(self) -> bool {
        self.rank() == 0
    }

    #[inline(always)]
    const fn action(self) -> Action {
        Action(self.0 & 0xff_ffff)
    }

    #[inline(always)]
    const fn country(self) -> u64 {
        self.0 >> Self::COUNTRY & 0x3ff
    }

    #[inline(always)]
    fn meaning<P: Policy>(self, env: &P, profile: u32) -> Meaning {
        if self.0 & Self::OVERLONG != 0 {
            return Meaning::of_class(env, profile, Class::Malformed as u32);
        }
        Meaning::new(
            self.action(),
            (self.0 >> Self::AT & 63) as u8,
            self.country() as u16,
            (self.0 >> Self::CODE & 0x3ff) as u16 | ((self.0 >> Self::SURPLUS & 31) as u16) << 10,
        )
    }
}

/// In a word with a reading: only a foreign number counts.
const FOREIGN: u64 = 1 << 8;
/// In a word with a reading: where the string begins with a plus, one higher, in the byte above.
const PLUS: u32 = 16;
/// In a word with a reading: the length of the string, in the byte above.
const LENGTH: u32 = 24;

/// The reading that decides: one that is blocked, else the first possible one of the strongest kind, of those that are not
/// too long where there are such.
#[inline(always)]
fn best<P: Policy>(env: &P, profile: u32, readings: Readings, shape: Shape, foreign: u64) -> Weight {
    let plus = if shape.plus() || shape.start() > 0 { shape.start() as u64 + 1 } else { 0 };
    let string = foreign | plus << PLUS | (shape.len() as u64) << LENGTH;
    let mut best = Weight(0);
    let mut r = 0u32;
    while r < READINGS {
        let reading = readings.0 >> (48 - 8 * r) & 0xff;
        r = env.rolled(r + 1);
        if reading != 0 {
            let weight = env.weigh(profile, reading | string);
            if weight.rank() > best.rank() {
                best = weight;
            }
            best = Weight(env.opaque(best.0));
            if weight.0 & Weight::LAST != 0 {
                break;
            }
        }
    }
    best
}

/// Weighs one reading of a string; see `best` for the word.
#[inline(always)]
pub fn weigh<P: Policy>(env: &P, profile: u32, word: u64) -> Weight {
    let (kind, at) = (word >> 6 & 3, word & 63);
    let own_code = env.cell(profile + OWN_CODE);
    let numbers = env.cell(profile + NUMBERS);
    let length = (word >> LENGTH & 0xff) as u32;
    let national = kind == NATIONAL;
    let from = if national { own_code as u32 & 0xff_ffff } else { env.cell(TRIE) as u32 };
    let digits = if national { (own_code >> 24 & 0xff) as u32 } else { 0 };
    let found = env.look_up(from, at as u32 | length << 8 | digits << 16);
    if found.vector() == 0 {
        return Weight(0);
    }
    let vector = Vector(env.cell(env.cell(VECTORS) as u32 + found.vector()));
    let action = Action(env.cell(env.cell(profile + ACTIONS) as u32 + found.vector()));
    let mut possible = found.digits() >= vector.min();
    let national_max = (numbers >> 16 & 0xff) as u32;
    if national && found.digits() > national_max || kind == BARE && vector.country() == 0 {
        possible = false;
    }
    let foreign = word & FOREIGN != 0;
    // Digits in front of it were left out: then it is one only if it has about as many as its country's have.
    if foreign && kind == BARE && at != 0 && found.digits() > vector.max() + 1 {
        return Weight(0);
    }
    if foreign {
        let own_country = (numbers >> 32) as u16;
        let is_foreign = action.class() == Class::International as u8 && vector.country() != own_country
            || action.class() == Class::NonGeographic as u8;
        if !is_foreign || found.digits() > E164 {
            return Weight(0);
        }
    }
    let decides = (possible || found.exact() && !foreign) && action.blocks();
    if !decides && !possible {
        return Weight(0);
    }
    // One with more digits than its country has is more likely a misreading of the codes in front.
    let fits = (found.digits() <= vector.max()) as u64;
    let rank = match decides {
        true if action.is_off() => 10,
        true => 8,
        false => (4 - kind) << 1 | fits,
    };
    // A plus in front of a number that may be whole leaves no other reading.
    let plus = word >> PLUS & 0xff;
    let last = decides && !action.looks_on() || plus != 0 && plus == at && found.digits() <= vector.max();
    let mut weight = action.0 & 0xff_ffff
        | at << Weight::AT
        | ((vector.country() & 0x3ff) as u64) << Weight::COUNTRY
        | rank << Weight::RANK;
    if national {
        weight |= (own_code >> 32 & 0x3ff) << Weight::CODE;
    }
    if found.digits() > E164 {
        // Exchanges take no notice of what is dialled behind a whole number.
        let surplus = (found.digits() - if vector.max() == 0 { E164 } else { vector.max() }) as u64;
        weight |= if decides { (surplus & 31) << Weight::SURPLUS } else { Weight::OVERLONG };
    }
    if last {
        weight |= Weight::LAST;
    }
    Weight(weight)
}

impl Action {
    const AS_INTERNATIONAL: u64 = 1 << 24;

    /// The answer of `suspicious` that follows what the number would get if it were international.
    pub const fn as_international(self) -> Self {
        Self(self.0 | Self::AS_INTERNATIONAL)
    }

    /// This answer for a suspicious string of which the worst reading gets `worst`.
    #[inline(always)]
    const fn suspicious(self, worst: Self) -> Self {
        let file = if self.0 & Self::AS_INTERNATIONAL != 0 { worst.file() } else { self.file() };
        let file = match file {
            Ruling::Allow => Ruling::None,
            other => other,
        };
        let class = Class::Suspicious as u8;
        let order = if matches!(self.order(), Ruling::None) { worst.order() } else { self.order() };
        Self::new(class, order, worst.floor(), file, Reason::Suspicious as u8)
            .with(worst.0 & Self::OFF | (worst.0 | self.0) & Self::WATCHED)
    }
}
