//! From policy file and orders to the image.

use std::{collections::HashMap, fmt, sync::Arc};

use gateway_common::{
    Class,
    policy::image::{
        ACTIONS, AT_ONCE, BANS, BODY, CALLED_PARTY, CEILING, CELLS, CLASS_ACTIONS, CONNECTIONS, DIAL_RULES, EMERGENCY,
        ENFORCE, FLOOR, FORMAT, FORMAT_V1, FRAGMENTS, LIMITS, LINES, LINES_MASK, LISTS, NUMBERS, OWN_CODE, PLAN, PORTS,
        PROFILE_BEHIND, PROFILE_CELLS, PROFILE_IN_FRONT, PROFILE_LIMITS, PROFILE_NAME, PROFILES, REDIRECTS,
        REGISTER_DENY, REGISTER_KNOWN, SHIELD, SHORT, SOURCES_V4, SOURCES_V6, SWITCHES, TCP_DENY, TCP_PASS, TRIE,
        TRUNKS, VECTORS, WORLD,
    },
};
use sha2::{Digest as _, Sha256};

use super::{
    actions::{Rules, country_number},
    automaton::States,
    base::{self, Base},
    cells::{Cells, Full},
    floor,
    limits::{self, parameters},
    lines::Lines,
    off,
    overlay::{self, Outcomes},
    plan::{self, DialRules},
    say::Say,
    scopes::{Effective, Effectives},
    short::{Basis, Shorts},
    sources, trie,
};
use crate::{
    config::{Config, Mode, OutsideRegistration, Over, Profile, TcpPolicy},
    daemon::{ActiveOrder, OrderRule},
    numbering,
    orders::Scope,
    what::What,
};

/// Orders that the trie can tell apart.
const MOST_ORDERS: usize = 1 << 16;

const TOO_MANY_PROFILES: &str = "more than 256 profiles, sources and lines with orders of their own: undo some orders with \
                                 --source or --line, or give them for a profile";

/// A policy as the kernel reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyImage {
    /// The cells, from the header on; what is missing up to the size of the map is zero.
    pub cells: Vec<u64>,
    /// How many E.164 prefixes the trie holds.
    pub prefixes: usize,
    /// Digest of everything but the generation, hexadecimal.
    pub hash: String,
    /// Number of this image.
    pub generation: u32,
}

impl PolicyImage {
    /// The same policy under another number.
    fn numbered(mut self, generation: u32) -> Self {
        if let Some(switches) = self.cells.get_mut(SWITCHES as usize) {
            *switches = *switches >> 32 << 32 | u64::from(generation);
        }
        Self { generation, ..self }
    }
}

/// Compiles one policy after another. What the lists of a policy come to is kept, so that an order costs what it changes.
#[derive(Default)]
pub struct Compiler {
    /// Of the last policies: that in force, and one that may follow it. The latest comes last.
    bases: Vec<Arc<Base>>,
    /// What was only checked, since it is put in force next.
    checked: Option<Checked>,
}

/// A compiled policy, and what of.
struct Checked {
    config: Config,
    orders: Vec<ActiveOrder>,
    interfaces: HashMap<String, u32>,
    image: PolicyImage,
    warnings: Vec<String>,
}

/// Everything that keeps a policy from being put in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CompileErrors(pub Vec<String>);

impl fmt::Display for CompileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// Compiles a policy and the orders in force; returns it with what the operator should know.
///
/// `interfaces` are the indices of the interfaces by name; a trunk on any other is met on every WAN interface.
#[expect(clippy::implicit_hasher, reason = "every caller has the standard map, and the name stays short")]
pub fn compile(
    config: &Config,
    orders: &[ActiveOrder],
    interfaces: &HashMap<String, u32>,
    generation: u32,
) -> Result<(PolicyImage, Vec<String>), CompileErrors> {
    Compiler::default().compile(config, orders, interfaces, generation)
}

impl Compiler {
    /// Policies whose lists are kept.
    const KEPT: usize = 2;

    /// Compiles a policy for its errors and warnings; one that is compiled next, of the same, is there already.
    pub fn check(
        &mut self,
        config: &Config,
        orders: &[ActiveOrder],
        interfaces: &HashMap<String, u32>,
    ) -> Result<Vec<String>, CompileErrors> {
        let (image, warnings) = self.compile(config, orders, interfaces, 0)?;
        self.checked = Some(Checked {
            config: config.clone(),
            orders: orders.to_vec(),
            interfaces: interfaces.clone(),
            image,
            warnings: warnings.clone(),
        });
        Ok(warnings)
    }

    /// [`compile`].
    pub fn compile(
        &mut self,
        config: &Config,
        orders: &[ActiveOrder],
        interfaces: &HashMap<String, u32>,
        generation: u32,
    ) -> Result<(PolicyImage, Vec<String>), CompileErrors> {
        if let Some(checked) = self.checked.take()
            && checked.orders == orders
            && checked.interfaces == *interfaces
            && checked.config == *config
        {
            return Ok((checked.image.numbered(generation), checked.warnings));
        }
        let mut warnings = Vec::new();
        let mut errors = Vec::new();
        limits::problems(config, &mut errors, &mut warnings);
        unenforceable(config, orders, &mut errors);
        if !errors.is_empty() {
            return Err(CompileErrors(errors));
        }
        let image = self.base(config).and_then(|base| build(&base, config, orders, interfaces, generation));
        Ok((image.map_err(|error| CompileErrors(vec![error]))?, warnings))
    }

    /// Keeps only what belongs to the policy that was compiled last.
    pub fn settle(&mut self) {
        self.bases.drain(..self.bases.len().saturating_sub(1));
        self.checked = None;
    }

    /// What the lists of a policy come to.
    fn base(&mut self, config: &Config) -> Result<Arc<Base>, String> {
        let base = match self.bases.iter().position(|base| base.is_of(config)) {
            Some(place) => self.bases.remove(place),
            None => Arc::new(Base::new(config).map_err(|problem| refused(&problem, config))?),
        };
        self.bases.push(Arc::clone(&base));
        self.bases.drain(..self.bases.len().saturating_sub(Self::KEPT));
        Ok(base)
    }
}

impl fmt::Debug for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiler").field("kept", &self.bases.len()).finish_non_exhaustive()
    }
}

fn refused(problem: &base::Problem, config: &Config) -> String {
    match problem {
        base::Problem::Full => too_large(config),
        base::Problem::TooMany => too_many(config),
    }
}

/// An order that never acts is worse than none.
fn unenforceable(config: &Config, orders: &[ActiveOrder], errors: &mut Vec<String>) {
    for order in orders {
        let number = order.number;
        let asker = |what: &What| matches!(what, What::Source(_) | What::Line(_));
        if matches!(order.scope, Scope::Line(_)) && order.what.iter().any(asker) {
            errors.push(format!(
                "order {number}: a line has a source, and is no other line: name a destination for it, such as SL, or the \
                 line itself without --line"
            ));
        }
        let unlimited = |what: &What| asker(what) || matches!(what, What::Dial(_));
        if order.max.is_some() && order.what.iter().any(unlimited) {
            errors.push(format!(
                "order {number}: --max counts calls to numbers: name a prefix, a country or a class, such as LV"
            ));
        }
        if order.what.iter().any(|what| matches!(what, What::Class(Class::Emergency | Class::None))) {
            errors
                .push(format!("order {number}: emergency calls and calls to no number take no orders; name a prefix"));
        }
    }
    let counted = config.limits.len() + orders.iter().filter(|order| order.max.is_some()).count();
    if counted > limits::MOST {
        errors.push(format!(
            "{counted} limits and orders with --max, and the kernel can tell {} apart: undo some",
            limits::MOST
        ));
    }
    if orders.len() > MOST_ORDERS {
        let count = orders.len();
        errors.push(format!("{count} orders in force, and the kernel can tell {MOST_ORDERS} apart: undo some"));
    }
}

fn build(
    base: &Base,
    config: &Config,
    orders: &[ActiveOrder],
    interfaces: &HashMap<String, u32>,
    generation: u32,
) -> Result<PolicyImage, String> {
    let mut cells = base.cells();
    let mut effectives = Effectives::new(config);
    let [v4, v6] = sources::put(&mut cells, config, orders, &mut effectives).map_err(|problem| match problem {
        sources::Problem::Full => too_large(config),
        sources::Problem::TooManyProfiles => TOO_MANY_PROFILES.to_owned(),
        sources::Problem::SharedTrunk(network, name) => format!(
            "trunk.{name}: {network} already belongs to another trunk, and the kernel tells trunks by their address: \
             remove it from one of the two"
        ),
    })?;
    let full = |_full: Full| too_large(config);
    let lines = Lines::new(config, orders, &mut effectives).ok_or_else(|| TOO_MANY_PROFILES.to_owned())?;

    let rules = Rules::new(config, orders, effectives.all());
    let mut outcomes = Outcomes::new(&rules, base);
    let mut digest = Sha256::new();
    digest.update(base.digest);
    let gained = overlay::put(&mut cells, &mut outcomes, orders, &mut digest);
    let gained = gained.map_err(|problem| refused(&problem, config))?;
    let root = base.root;
    let numbered: Vec<u64> = outcomes.vectors.iter().map(|vector| vector.0).collect();
    let vectors = cells.put(&numbered).map_err(full)?;

    let mut states = States::default();
    let world = plan::world(&mut cells, &mut states).map_err(full)?;
    let profiles = cells.room(effectives.all().len() * PROFILE_CELLS as usize).map_err(full)?;
    let mut plans: HashMap<usize, u64> = HashMap::new();
    let mut shorts = Shorts::default();
    for (number, effective) in effectives.all().iter().enumerate() {
        let Some(profile) = config.profiles.get(effective.profile) else { continue };
        let base = profiles + number as u32 * PROFILE_CELLS;
        let plan = match plans.get(&effective.profile) {
            Some(&plan) => plan,
            None => plan::dial_plan(&mut cells, &mut states, profile).map_err(full)?,
        };
        plans.insert(effective.profile, plan);
        cells.set(base + PLAN, plan);
        let (own_code, numbers) = own(&cells, config, profile, root);
        cells.set(base + OWN_CODE, own_code);
        cells.set(base + NUMBERS, numbers);
        let dial = dial_rules(config, orders, effective, profile);
        let dial = dial.put(&mut cells, &mut states).map_err(full)?;
        cells.set(base + DIAL_RULES, dial);
        for list in 0..LISTS {
            cells.set(base + PROFILE_LIMITS + list, limits::of_profile(config, profile, list));
            cells.set(base + PROFILE_IN_FRONT + list, limits::in_front(config, profile, list));
            cells.set(base + PROFILE_BEHIND + list, limits::behind(config, profile, list));
        }
        cells.set(base + PROFILE_NAME, limits::line_of(&profile.name, 0));
        let actions_of = outcomes.row(number);
        let row = cells.put(&actions_of).map_err(full)?;
        cells.set(base + ACTIONS, u64::from(row));
        let basis = Basis { plan, dial, root, vectors: &numbered, row: &actions_of };
        let short = shorts.put(&mut cells, &basis).map_err(full)?;
        cells.set(base + SHORT, u64::from(short));
        for class in Class::ALL {
            cells.set(base + CLASS_ACTIONS + class as u32, rules.class_action(effective, class).0);
        }
    }

    let limits = limits::put_limits(&mut cells, config, orders).map_err(full)?;
    let [lines, lines_mask] = lines.put(&mut cells).map_err(full)?;
    floor::put(&mut cells, config).map_err(full)?;
    let trunks = limits::put_trunks(&mut cells, &config.trunks, interfaces).map_err(full)?;
    for (at, value) in [
        (FORMAT, FORMAT_V1),
        (SOURCES_V4, u64::from(v4)),
        (SOURCES_V6, u64::from(v6)),
        (TRIE, u64::from(root)),
        (VECTORS, u64::from(vectors)),
        (PROFILES, u64::from(profiles)),
        (LIMITS, u64::from(limits)),
        (TRUNKS, u64::from(trunks)),
        (WORLD, world),
        (LINES, u64::from(lines)),
        (LINES_MASK, u64::from(lines_mask)),
    ] {
        cells.set(at, value);
    }
    for (at, rate) in [
        (EMERGENCY, &config.emergency_unproved),
        (CEILING, &config.ceiling.unproved),
        (CONNECTIONS, &config.ceiling.connections),
        (FRAGMENTS, &config.ceiling.fragments),
    ] {
        let [interval, tolerance] = parameters(rate);
        cells.set(at, interval);
        cells.set(at + 1, tolerance);
    }
    for port in &config.sip.ports {
        let at = PORTS + u32::from(port >> 6);
        cells.set(at, cells.get(at) | 1 << (port & 63));
    }
    let switches = switches(config, orders);
    cells.set(SWITCHES, switches);
    // The trie is in the digest already: that of the lists, and how orders changed it.
    cells.digest(0, BODY, &mut digest);
    cells.digest(base.end(), cells.len(), &mut digest);
    let hash = hexadecimal(digest);
    cells.set(SWITCHES, switches | u64::from(generation));
    Ok(PolicyImage { cells: cells.into_inner(), prefixes: base.prefixes + gained, hash, generation })
}

fn switches(config: &Config, orders: &[ActiveOrder]) -> u64 {
    [
        (config.mode == Mode::Enforce, ENFORCE),
        (config.floor, FLOOR),
        (config.sip.redirects, REDIRECTS),
        (config.sip.called_party, CALLED_PARTY),
        (config.sip.tcp == TcpPolicy::Deny, TCP_DENY),
        (config.sip.tcp == TcpPolicy::Pass, TCP_PASS),
        (orders.iter().any(|order| order.rule == OrderRule::Shield), SHIELD),
        (config.limits.iter().any(|limit| limit.over == Over::Ban), BANS),
        (config.floor || config.limits.iter().any(|limit| limits::at_once(limit) != 0), AT_ONCE),
        (config.site.outside_registration == OutsideRegistration::Deny, REGISTER_DENY),
        (config.site.outside_registration == OutsideRegistration::Known, REGISTER_KNOWN),
    ]
    .into_iter()
    .fold(0, |all, (on, switch)| if on { all | switch } else { all })
}

/// The cells of the own calling code, and of the lengths of own numbers.
fn own(cells: &Cells, config: &Config, profile: &Profile, root: u32) -> (u64, u64) {
    let (shortest, longest) = config.site.extensions.unwrap_or((0, 0));
    let mut numbers = u64::from(shortest) | u64::from(longest) << 8;
    numbers |= country_number(&profile.region).map_or(0, u64::from) << 32;
    let Some(region) = numbering::region(&profile.region) else { return (0, numbers) };
    let Some(code) = region.calling_code else { return (0, numbers) };
    let node = trie::node(cells, root, code).unwrap_or(0);
    let digits = code.len() as u64;
    let trunk = region.national_prefix.map_or(0, |prefix| prefix.len() as u64);
    numbers |= (u64::from(region.national_max) + digits) << 16 | (u64::from(region.national_max) + trunk) << 24;
    let value: u64 = code.parse().unwrap_or(0);
    (u64::from(node) | digits << 24 | value << 32, numbers)
}

fn dial_rules(config: &Config, orders: &[ActiveOrder], effective: &Effective, profile: &Profile) -> DialRules {
    let mut rules = DialRules::default();
    for (list, say) in [(&profile.block, Say::Block), (&profile.allow, Say::Allow)] {
        for entry in list {
            if let What::Dial(keys) = &entry.what {
                rules.file(keys, say);
            }
        }
    }
    for what in profile.block_files.iter().flat_map(|list| list.others()) {
        if let What::Dial(keys) = what {
            rules.file(keys, super::say::Say::Block);
        }
    }
    for order in orders.iter().filter(|order| effective.has(order, config)) {
        for what in &order.what {
            if let What::Dial(keys) = what {
                rules.order(keys, order.scope.narrowness(), order.rule);
            }
        }
    }
    if off::holds(orders, effective, config) {
        rules.look_on();
    }
    rules
}

fn hexadecimal(hash: Sha256) -> String {
    let mut text = String::with_capacity(64);
    for octet in hash.finalize() {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        text.extend([digit(octet >> 4), digit(octet & 15)]);
    }
    text
}

/// The longest lists of a policy, for an error that says where to cut.
fn longest_lists(config: &Config) -> String {
    let mut files: HashMap<&str, usize> = HashMap::new();
    for entry in config.profiles.iter().flat_map(|profile| profile.block.iter().chain(&profile.allow)) {
        let file = entry.place.rsplit_once(':').map_or(entry.place.as_str(), |(file, _)| file);
        *files.entry(file).or_default() += 1;
    }
    for list in config.profiles.iter().flat_map(|profile| &profile.block_files) {
        *files.entry(list.name()).or_default() += list.len();
    }
    let mut files: Vec<(&str, usize)> = files.into_iter().collect();
    files.sort_unstable_by_key(|(file, count)| (usize::MAX - count, *file));
    let shown: Vec<String> = files.iter().take(3).map(|(file, count)| format!("{file} ({count} entries)")).collect();
    shown.join(", ")
}

fn too_large(config: &Config) -> String {
    let lists = longest_lists(config);
    format!(
        "the policy needs more than the {CELLS} cells that the kernel holds: shorten {lists}, or give sources with the same rules one profile"
    )
}

fn too_many(config: &Config) -> String {
    let lists = longest_lists(config);
    format!(
        "the policy tells more than 65535 kinds of numbers apart: shorten {lists}, or give sources with the same rules one profile"
    )
}
