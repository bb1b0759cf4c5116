//! The kernel façade: one loaded, attached and pinned instance of the filter. Nothing outside knows how that is done.

mod answers;
mod attach;
mod calls;
mod cells;
mod channels;
mod counters;
mod events;
mod golden;
mod image;
mod load;
mod mapped;
mod measure;
mod memory;
mod object;
mod pin;
mod probe;
mod rules;
mod trace;

use std::{
    cell::RefCell,
    collections::HashMap,
    net::IpAddr,
    os::fd::BorrowedFd,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::Ebpf;
use gateway_common::{
    Reason,
    call::Call,
    judged::Judged,
    limit::{CellKey, window::Ring},
};
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

pub use golden::Golden;
pub use image::{Prepared, Slot};
pub use measure::{Measured, Repeated, Told};
pub use object::OBJECT;
pub use probe::Probe;

use self::{
    answers::Answers,
    attach::Attached,
    events::{Clocks, Events, Numbers},
    load::Use,
    object::Schema,
    pin::Pins,
    rules::Rules,
    trace::Trace,
};
use crate::{
    config::{Config, Interface, Role},
    daemon::{
        ActiveOrder, Applied, CallState, Counters, Event, Explanation, FromOutside, Gateway, InterfaceState, Levels,
        LinkState, SiteState,
    },
    doctor::rtnetlink::{self, Link},
    policy::{self, Caller, Compiler, PolicyImage},
    selftest::{self, SelfTest},
};

/// How often the interfaces are looked at: one that went and came back is filtered again.
const MEND: Duration = Duration::from_secs(2);
/// How often sources that are known no more are forgotten: they count no more before.
const FORGET: Duration = Duration::from_secs(3600);

/// One loaded, attached and pinned instance of the filter. Dropping it leaves everything in force.
pub struct Kernel {
    ebpf: Ebpf,
    events: Events,
    answers: Answers,
    numbers: Numbers,
    trace: Option<Trace>,
    pins: Pins,
    maps: pin::Maps,
    attached: Vec<Attached>,
    /// What the lists in force come to.
    compiler: RefCell<Compiler>,
    in_force: InForce,
    /// The rules before those in force, until the events that they decided are read.
    former: Option<Rules>,
    /// The filter once more, for the self-test: it gets each image before the one that is attached does.
    proof: Probe,
    mended: Instant,
    tidied: Instant,
}

/// The policy in force.
struct InForce {
    rules: Rules,
    image: PolicyImage,
}

impl Kernel {
    /// Loads the filter, puts policy and orders in force, proves the filter by test runs, attaches and pins. What a
    /// former daemon left is adopted: its state goes on, and its program is replaced without a gap.
    pub fn start(pin_dir: &Path, config: &Config, orders: &[ActiveOrder]) -> Result<(Self, Applied)> {
        load::check_kernel()?;
        ensure!(
            !config.interfaces.is_empty(),
            "the policy names no interface: write [interface.eth0] into it, or give --iface eth0"
        );
        let links = attach::find(&config.interfaces)?;
        let generation = 1;
        let mut compiler = Compiler::default();
        let (image, warnings) = compiler.compile(config, orders, &indices(&links, &[]), generation)?;
        let written = Prepared::new(&image.cells)?;
        let mut proof = Probe::proving(&written)?;
        prove_by(&mut proof, &golden::golden(&image))?;
        spared(&mut proof, config, orders)?;

        let object = object::plain()?;
        let pins = Pins::open(pin_dir)?;
        let maps = pins.maps(&Schema::of(&object)?)?;
        let mut ebpf = load::open(&object, Use::Filter(&maps.dir))?;
        let since = Timestamp::now();
        written.put(&mut ebpf)?;
        let numbers = Numbers::keyed(calls::begin(&mut ebpf)?);
        pins.keep_tables(&ebpf)?;
        let attached = attach_all(&mut ebpf, &pins, &config.interfaces, &links).inspect_err(|_| {
            // Without an attachment the state is of no use.
            if !maps.adopted && pins.links().is_ok_and(|links| links.is_empty()) {
                let _ = pin::remove_part(&maps.dir);
            }
        })?;
        let events = Events::open(&mut ebpf)?;
        let answers = Answers::open(&mut ebpf, &events)?;
        let applied = applied(&image, warnings);
        let rules = Rules::new(config, orders, &image, since);
        let in_force = InForce { rules, image };
        let mended = Instant::now();
        let compiler = RefCell::new(compiler);
        let mut kernel = Self {
            ebpf,
            events,
            answers,
            numbers,
            trace: None,
            pins,
            maps,
            attached,
            compiler,
            in_force,
            former: None,
            proof,
            mended,
            tidied: mended,
        };
        kernel.tidy()?;
        for attached in &kernel.attached {
            tracing::info!(
                interface = attached.name,
                program = attached.program,
                "{} in {} mode",
                if attached.replaced { "replaced the program" } else { "attached" },
                attached.mode.as_str()
            );
        }
        Ok((kernel, applied))
    }

    /// How many instructions the verifier walked through, by program.
    pub fn verified(&self) -> Vec<(String, u32)> {
        load::verified(&self.ebpf)
    }

    /// Pins the programs that run, and removes the pins that nothing needs any more.
    fn tidy(&mut self) -> Result<()> {
        let mut unused = self.pins.links()?;
        unused.retain(|link| !self.attached.iter().any(|attached| attached.pin == link.path));
        attach::unpin(&unused)?;
        for link in unused {
            tracing::info!(interface = link.interface, "no longer filtered");
        }
        self.pins.keep_only_tables(self.trace.as_ref().map_or(&self.ebpf, Trace::shown))?;
        for old in self.pins.programs()? {
            pin::unlink(&old)?;
        }
        for attached in &self.attached {
            let pin = self.pins.program(attached.program);
            if !pin.exists() {
                let program = load::program(self.trace.as_mut().map_or(&mut self.ebpf, Trace::ebpf), attached.program)?;
                program.pin(&pin).map_err(|error| load::refused(error, format!("cannot pin {}", pin.display())))?;
            }
        }
        for outdated in std::mem::take(&mut self.maps.outdated) {
            pin::remove_part(&outdated)?;
        }
        Ok(())
    }

    /// Filters interfaces that went and came back.
    fn mend(&mut self) {
        if self.mended.elapsed() < MEND {
            return;
        }
        self.mended = Instant::now();
        if self.tidied.elapsed() >= FORGET {
            self.tidied = Instant::now();
            if let Err(error) = calls::tidy(&mut self.ebpf) {
                tracing::warn!("sources whose time is over stay in the table of known ones: {error:#}");
            }
        }
        let Ok(links) = rtnetlink::links() else { return };
        let is_back = |attached: &Attached| {
            !links.iter().any(|link| link.index == attached.index)
                && links.iter().any(|link| link.name == attached.name)
        };
        if !self.attached.iter().any(is_back) {
            return;
        }
        let (config, orders) = (Arc::clone(&self.in_force.rules.config), self.in_force.rules.orders.clone());
        match self.apply(&config, &orders) {
            Ok(_) => tracing::warn!("an interface went and came back: it is filtered again"),
            Err(error) => tracing::error!("an interface came back and cannot be filtered: {error:#}"),
        }
    }

    /// The interfaces of a policy that are there. One that is filtered already may be away; a new one may not.
    fn present(&self, config: &Config) -> Result<(Vec<Interface>, Vec<Link>)> {
        let links = rtnetlink::links().context("the kernel does not list its interfaces")?;
        let is_away = |interface: &Interface| {
            self.attached.iter().any(|attached| attached.name == interface.name)
                && !links.iter().any(|link| link.name == interface.name)
        };
        let present: Vec<Interface> =
            config.interfaces.iter().filter(|interface| !is_away(interface)).cloned().collect();
        let links = attach::find(&present)?;
        Ok((present, links))
    }

    /// Attaches where a policy says so and nothing runs yet. On an error everything is as it was.
    fn attach_missing(&mut self, interfaces: &[Interface], links: &[Link]) -> Result<Vec<Attached>> {
        let ebpf = self.trace.as_mut().map_or(&mut self.ebpf, Trace::ebpf);
        let mut after: Vec<Attached> = Vec::new();
        let mut fresh: Vec<usize> = Vec::new();
        for (interface, link) in interfaces.iter().zip(links) {
            let before = self.attached.iter().find(|attached| attached.index == link.index);
            if let Some(before) = before.filter(|before| before.role == interface.role && before.name == link.name) {
                after.push(before.clone());
                continue;
            }
            match attach::attach(ebpf, &self.pins, interface.role, link) {
                Ok(attached) => {
                    fresh.push(after.len());
                    after.push(attached);
                }
                Err(error) => {
                    for attached in fresh.iter().filter_map(|&place| after.get(place)) {
                        take_back(ebpf, attached, &self.attached);
                    }
                    return Err(error);
                }
            }
        }
        Ok(after)
    }
}

impl Gateway for Kernel {
    fn check(&self, config: &Config, orders: &[ActiveOrder]) -> Result<Vec<String>> {
        let (_, links) = self.present(config)?;
        let interfaces = indices(&links, &self.attached);
        Ok(self.compiler.borrow_mut().check(config, orders, &interfaces)?)
    }

    fn apply(&mut self, config: &Config, orders: &[ActiveOrder]) -> Result<Applied> {
        ensure!(!config.interfaces.is_empty(), "the policy names no interface, so nothing would be filtered");
        let (interfaces, links) = self.present(config)?;
        let generation = self.in_force.image.generation.wrapping_add(1);
        let compiler = self.compiler.get_mut();
        let (image, warnings) = compiler.compile(config, orders, &indices(&links, &self.attached), generation)?;
        let written = Prepared::new(&image.cells)?;
        self.proof.set_image(&written)?;
        spared(&mut self.proof, config, orders)?;
        let before = self.attached.clone();
        let mut after = self.attach_missing(&interfaces, &links)?;
        // What is away stays known, so that it is filtered again once it is back.
        after.extend(
            before
                .iter()
                .filter(|away| {
                    config.interfaces.iter().any(|interface| interface.name == away.name)
                        && !after.iter().any(|attached| attached.name == away.name)
                })
                .cloned()
                .collect::<Vec<_>>(),
        );
        let ebpf = self.trace.as_mut().map_or(&mut self.ebpf, Trace::ebpf);
        if let Err(error) = written.put(ebpf) {
            for attached in after.iter().filter(|attached| !before.contains(attached)) {
                take_back(ebpf, attached, &before);
            }
            return Err(error);
        }
        self.compiler.get_mut().settle();
        let applied = applied(&image, warnings);
        let rules = self.in_force.rules.next(config, orders, &image);
        let before = std::mem::replace(&mut self.in_force, InForce { rules, image });
        self.former = Some(before.rules);
        self.attached = after;
        if let Err(error) = self.tidy() {
            tracing::error!("the policy is in force; old pins stay: {error:#}");
        }
        Ok(applied)
    }

    fn counters(&self) -> Result<Counters> {
        let mut counters = counters::shown(&*counters::read(&self.ebpf)?);
        self.answers.add_to(&mut counters.answers);
        Ok(counters)
    }

    fn calls(&self) -> Result<Vec<CallState>> {
        calls::list(&self.ebpf, Clocks::now())
    }

    fn outside_calls(&self) -> Result<Vec<FromOutside>> {
        calls::outside_calls(&self.ebpf, Clocks::now())
    }

    fn call_records(&self) -> Result<Vec<Call>> {
        calls::records(&self.ebpf)
    }

    fn own_calls(&self) -> Result<Vec<(u64, Call)>> {
        calls::own_records(&self.ebpf)
    }

    fn run(&self) -> Result<u64> {
        Ok(self.numbers.run())
    }

    fn site(&self) -> Result<SiteState> {
        calls::site(&self.ebpf, Clocks::now())
    }

    fn known(&self) -> Result<Vec<(IpAddr, u64)>> {
        calls::known(&self.ebpf)
    }

    fn make_known(&mut self, sources: &[(IpAddr, u64)]) -> Result<()> {
        calls::make_known(&mut self.ebpf, sources)
    }

    fn cells(&self) -> Result<Vec<(CellKey, Ring)>> {
        cells::read(&self.ebpf)
    }

    fn cell(&self, key: &CellKey) -> Result<Option<Ring>> {
        cells::read_one(&self.ebpf, key)
    }

    fn present_until(&self, source: u64) -> Result<u64> {
        calls::present_until(&self.ebpf, source)
    }

    fn set_cell(&mut self, key: &CellKey, ring: Option<&Ring>) -> Result<()> {
        cells::write(&mut self.ebpf, key, ring)
    }

    fn channels(&self) -> Result<Vec<(CellKey, u32)>> {
        channels::read(&self.ebpf)
    }

    fn up_at_once(&self, key: &CellKey) -> Result<u32> {
        channels::up(&self.ebpf, key)
    }

    fn forget_channels(&mut self, key: &CellKey) -> Result<()> {
        channels::remove(&mut self.ebpf, key)
    }

    fn clock(&self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    fn interfaces(&self) -> Vec<InterfaceState> {
        let links = rtnetlink::links().unwrap_or_default();
        let runs = |attached: &Attached| {
            links.iter().any(|link| link.index == attached.index && link.xdp.is_some()) && attached.pin.exists()
        };
        self.attached
            .iter()
            .map(|attached| InterfaceState {
                name: attached.name.clone(),
                role: attached.role,
                attach: attached.mode,
                link: if runs(attached) { LinkState::Pinned } else { LinkState::Defunct },
            })
            .collect()
    }

    fn poll_events(&mut self, sink: &mut dyn FnMut(Event)) {
        let (attached, clocks, numbers) = (&self.attached, Clocks::now(), &self.numbers);
        let known = [Some(&self.in_force.rules), self.former.as_ref()];
        let rules = |event: &Event| known.into_iter().flatten().find(|rules| rules.decided(event));
        self.answers.give(self.in_force.rules.config.sip.reject, |judged| {
            let event = events::event(judged, clocks, String::new(), Role::Lan, numbers);
            let rules = rules(&event).filter(|_| event.reason == Reason::Order)?;
            policy::decided(&rules.config, &rules.orders, &rules.lists, judged, event.source).order
        });
        self.events.drain(&mut |judged| {
            let interface = attached.iter().find(|attached| attached.index == judged.ifindex);
            let name = interface.map_or_else(|| judged.ifindex.to_string(), |interface| interface.name.clone());
            let side = interface.map_or(Role::Wan, |interface| interface.role);
            let mut event = events::event(&judged, clocks, name, side, numbers);
            if let Some(rules) = rules(&event) {
                event.policy = Some(Arc::clone(&rules.hash));
                event.decided =
                    Some(policy::decided(&rules.config, &rules.orders, &rules.lists, &judged, event.source));
            }
            sink(event);
        });
        // A new policy is in force when the last packet under the old one has been judged, so its events were among these.
        self.former = None;
        if let Some(trace) = &mut self.trace {
            trace.flush();
        }
        self.mend();
    }

    fn events_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.events.fd())
    }

    fn self_test(&mut self) -> Result<SelfTest> {
        // Its slot has the image in force, since that was tried before it was attached.
        selftest::whole(&mut self.proof, &self.in_force.rules.config, &self.in_force.rules.orders)
    }

    fn explain(&self, input: &str, caller: &Caller, line: Option<&str>, summed: &Levels) -> Result<Explanation> {
        let InForce { rules, image } = &self.in_force;
        let (cells, channels, known) = (self.cells()?, self.channels()?, self.known()?);
        let known = caller.from.is_some_and(|from| known.iter().any(|(source, _)| *source == from.to_canonical()));
        let (clock, now) = (self.clock(), Timestamp::now());
        let (cells, channels, summed) = (&cells, &channels, Some(summed));
        let holding = policy::Holding { line, known: Some(known), cells, channels, summed, clock, now };
        policy::explain(&rules.config, image, &rules.orders, input, caller, &holding)
    }

    fn set_trace(&mut self, on: bool) -> Result<()> {
        if on == self.trace.is_some() {
            return Ok(());
        }
        let mut trace = if on { Some(Trace::open(&self.maps.dir, &self.events)?) } else { None };
        let ebpf = trace.as_mut().map_or(&mut self.ebpf, Trace::ebpf);
        self.pins.keep_tables(ebpf)?;
        for attached in &self.attached {
            match attach::replace(ebpf, &attached.pin, attached.program) {
                Err(error) if load::os_error(&error) != Some(libc::ENOLINK) => {
                    return Err(error.context(format!("cannot replace the program on {}", attached.name)));
                }
                _ => {}
            }
        }
        self.trace = trace;
        self.tidy()
    }

    fn detach(&mut self) -> Result<()> {
        self.trace = None;
        detach(self.pins.dir())?;
        self.attached.clear();
        Ok(())
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").field("attached", &self.attached).field("maps", &self.maps).finish_non_exhaustive()
    }
}

/// Detaches from every interface and removes every pin under `pin_dir`, with or without a daemon. Returns the interfaces
/// that were filtered.
pub fn detach(pin_dir: &Path) -> Result<Vec<String>> {
    pin::remove(pin_dir)
}

/// Attaches to every interface. On an error those that were not filtered before are not filtered.
fn attach_all(ebpf: &mut Ebpf, pins: &Pins, interfaces: &[Interface], links: &[Link]) -> Result<Vec<Attached>> {
    let mut done: Vec<Attached> = Vec::new();
    for (interface, link) in interfaces.iter().zip(links) {
        match attach::attach(ebpf, pins, interface.role, link) {
            Ok(attached) => done.push(attached),
            Err(error) => {
                for attached in &done {
                    take_back(ebpf, attached, &[]);
                }
                return Err(error);
            }
        }
    }
    Ok(done)
}

/// Undoes an attachment: the program that ran before runs again, or none where none ran.
fn take_back(ebpf: &mut Ebpf, attached: &Attached, before: &[Attached]) {
    let result = match before.iter().find(|before| before.pin == attached.pin) {
        Some(before) => attach::replace(ebpf, &before.pin, before.program),
        None if attached.replaced => Ok(()),
        None => attach::unpin(&[attached.link_pin()]),
    };
    if let Err(error) = result {
        tracing::error!(interface = attached.name, "cannot undo the attachment: {error:#}");
    }
}

/// The indices of the interfaces by name; those that are away keep theirs.
fn indices(links: &[Link], attached: &[Attached]) -> HashMap<String, u32> {
    let away = attached.iter().map(|attached| (attached.name.clone(), attached.index));
    away.chain(links.iter().map(|link| (link.name.clone(), link.index))).collect()
}

/// Proves that this kernel runs the filter as the host does: judges the frames one after the other under the policy of
/// `cells`, and refuses any difference.
pub fn prove(cells: &[u64], golden: &[Golden]) -> Result<()> {
    prove_by(&mut Probe::new(cells)?, golden)
}

/// Refuses an image, which `probe` has, under which an emergency call of somebody whom the site vouches for does not pass.
pub fn spared(probe: &mut Probe, config: &Config, orders: &[ActiveOrder]) -> Result<()> {
    let found = selftest::emergency(probe, config, orders).context("the policy cannot be tried on emergency calls")?;
    tracing::debug!(calls = found.emergency, took = ?found.took, "emergency calls tried");
    ensure!(
        found.is_good(),
        "{} of {} emergency calls would not pass, so nothing was changed: {}. If no entry or order named here explains it, \
         report this",
        found.wrong,
        found.emergency,
        found.failures.join("; ")
    );
    Ok(())
}

fn prove_by(probe: &mut Probe, golden: &[Golden]) -> Result<()> {
    for (number, frame) in golden.iter().enumerate() {
        let judged = probe.judge(&frame.frame, frame.side, frame.ifindex, frame.now_ns)?;
        if comparable(judged) != comparable(frame.judged) {
            bail!(
                "the self-test failed, and nothing was attached: this kernel judges packet {} of {} as {}, and not as {}. \
                 Boot another kernel, and report this",
                number + 1,
                golden.len(),
                shown(&judged),
                shown(&frame.judged)
            );
        }
    }
    Ok(())
}

/// The record without what lies behind the dialled string, which means nothing.
fn comparable(mut judged: Judged) -> Judged {
    let end = usize::from(judged.dialled_len);
    judged.dialled.iter_mut().skip(end).for_each(|octet| *octet = 0);
    judged
}

/// Everything in a record; the numbers in golden frames are nobody's.
fn shown(judged: &Judged) -> String {
    let e164: String = judged.e164().map(char::from).collect();
    format!(
        "{} {} ({:?} {} country {} dialled {:?} e164 {e164:?} {} generation {} interface {} time {})",
        judged.verdict().as_str(),
        judged.reason().as_str(),
        judged.method(),
        judged.class().as_str(),
        judged.country,
        String::from_utf8_lossy(judged.dialled()),
        judged.who().as_str(),
        judged.generation,
        judged.ifindex,
        judged.time
    )
}

fn applied(image: &PolicyImage, warnings: Vec<String>) -> Applied {
    Applied {
        generation: image.generation.into(),
        hash: image.hash.clone(),
        prefixes: image.prefixes,
        in_force: Timestamp::now(),
        warnings,
    }
}
