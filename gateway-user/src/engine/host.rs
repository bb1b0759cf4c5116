//! The engine in this process: the same decisions as the kernel's, over slices.

use std::{collections::HashMap, net::IpAddr};

use gateway_common::{
    Reason, Verdict,
    addr::Addr,
    call::{Call, Digest},
    dialog::Dialog,
    env::{self, Cells, Env},
    judge::{self, Arrival, Bill, Places, Side},
    judged::Judged,
    limit::{
        CellKey,
        channels::{self, CHANNELS, Holders, seize},
        gcra,
        heard::Entry,
        window::{Answer, How, Ring},
    },
    policy::{Policy, image::CELLS},
    sip::headers::{Headers, PLACES},
    site::Site,
    text::{DIALLED, Steps, Text, WINDOW},
    wire::{self, Datagram, Walk},
};

use super::Engine;
use crate::policy::{PolicyImage, charged::addr};

/// Decides by a policy image, and keeps its state from frame to frame.
pub struct HostEngine {
    image: Vec<u64>,
    state: State,
}

/// What the filter remembers.
#[derive(Default)]
struct State {
    cells: HashMap<CellKey, u64>,
    rings: HashMap<CellKey, Ring>,
    /// By which calls channels are held.
    channels: HashMap<CellKey, Holders>,
    /// Calls of sources that the site vouches for, and of others.
    calls: [HashMap<Digest, Call>; 2],
    known: HashMap<Addr, u64>,
    /// When attempts to call failed.
    failed: HashMap<Digest, u64>,
    /// What answers gave to which source, and until when sources are present.
    given: HashMap<Digest, u64>,
    present: HashMap<u64, u64>,
    /// Sources outside that are heard, by the value of their address.
    heard: HashMap<u64, Entry>,
    site: Site,
}

impl HostEngine {
    /// An engine that remembers nothing.
    pub fn new(image: PolicyImage) -> Self {
        Self { image: image.cells, state: State::default() }
    }

    /// Puts another policy in force; what is remembered stays.
    pub fn replace(&mut self, image: PolicyImage) {
        self.image = image.cells;
    }

    /// Begins with a cell that remembers its calls.
    pub(crate) fn set_ring(&mut self, key: CellKey, ring: &Ring) {
        self.state.rings.insert(key, *ring);
    }

    /// Begins with a ban.
    pub(crate) fn set_ban(&mut self, key: CellKey, ring: &Ring) {
        self.set_ring(key, ring);
        self.state.site.bans = 1;
    }

    /// Begins with a source whose credentials the PBX took.
    pub(crate) fn set_known(&mut self, source: IpAddr) {
        self.state.known.insert(addr(source), u64::MAX);
    }

    /// Begins with a cell of which so many calls are up.
    pub(crate) fn set_channels(&mut self, key: CellKey, up: u32) {
        let holders = self.state.channels.entry(key).or_insert([0; CHANNELS]);
        for (holder, nth) in holders.iter_mut().zip(0..up) {
            // Nobody else holds it: digests are keyed, and this engine has no key.
            *holder = u64::MAX - u64::from(nth);
            self.state.calls[0].insert(*holder, Call { until: u64::MAX, ..Call::default() });
        }
    }

    /// Bans a source for good, as going over a limit does.
    pub fn ban(&mut self, source: IpAddr) {
        let ring = Ring { admitted: 1, until: u64::MAX, ..Ring::FRESH };
        self.set_ban(CellKey::of_ban(addr(source).source()), &ring);
    }

    /// The calls that were followed, those that are over too.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.state.calls.iter().flat_map(HashMap::values)
    }

    /// The cells that remember their calls, of those that were asked to.
    #[cfg(test)]
    pub(crate) fn rings(&self) -> impl Iterator<Item = (&CellKey, &Ring)> {
        self.state.rings.iter()
    }

    /// Decides about one Ethernet frame; see [`Engine::judge`].
    pub fn judge(&mut self, frame: &[u8], side: Side, ifindex: u32, now_ns: u64) -> Judged {
        let arrival = Arrival { side, ifindex };
        let mut datagram = Datagram::default();
        let (verdict, reason) = match wire::walk(&mut wire::Slice::new(frame), &mut datagram) {
            Walk::Datagram => match self.datagram(frame, &datagram, arrival, now_ns) {
                Some(judged) => return judged,
                None => (Verdict::Pass, Reason::NotSip),
            },
            Walk::LaterFragment => judge::fragment(&mut self.env(&[], false, now_ns), datagram.dst, side)
                .unwrap_or((Verdict::Pass, Reason::Fragment)),
            Walk::Unparsed => (Verdict::Pass, Reason::UnparsedEncapsulation),
            Walk::Other | Walk::Deep => (Verdict::Pass, Reason::NotSip),
        };
        let mut record = Judged::NOTHING;
        judge::unjudged(&mut record, verdict, reason);
        record
    }

    fn env<'a>(&'a mut self, window: &'a [u8], whole: bool, now: u64) -> HostEnv<'a> {
        HostEnv {
            window,
            whole,
            image: &self.image,
            state: &mut self.state,
            now,
            dialled: [0; DIALLED],
            judged: Judged::NOTHING,
            kept: Judged::NOTHING,
            places: Places::default(),
            bill: Bill::default(),
            dialog: Dialog::default(),
            call: Call::default(),
            headers: [0; PLACES],
        }
    }

    fn datagram(&mut self, frame: &[u8], datagram: &Datagram, arrival: Arrival, now: u64) -> Option<Judged> {
        let start = (datagram.at as usize).min(frame.len());
        let payload = &frame[start..frame.len().min(start.saturating_add(datagram.len as usize))];
        let window = payload.get(..WINDOW as usize).unwrap_or(payload);
        // Behind the end of a segment the message may go on.
        let whole = window.len() == payload.len() && !datagram.first_fragment && !datagram.tcp;
        let mut env = self.env(window, whole, now);
        let to_sip = judge::is_sip_port(&env, datagram.dport);
        if !to_sip && !judge::is_sip_port(&env, datagram.sport) {
            return None;
        }
        if datagram.tcp {
            judge::segment(&mut env, datagram, arrival, to_sip)?;
        } else {
            env.message(datagram, arrival, 0);
        }
        Some(env.judged)
    }
}

impl Engine for HostEngine {
    fn judge(&mut self, frame: &[u8], side: Side, ifindex: u32, now_ns: u64) -> anyhow::Result<Judged> {
        Ok(Self::judge(self, frame, side, ifindex, now_ns))
    }

    fn reset(&mut self) -> anyhow::Result<()> {
        self.state = State::default();
        Ok(())
    }
}

/// Everything one packet needs.
struct HostEnv<'a> {
    window: &'a [u8],
    whole: bool,
    image: &'a [u64],
    state: &'a mut State,
    now: u64,
    dialled: [u8; DIALLED],
    judged: Judged,
    kept: Judged,
    places: Places,
    bill: Bill,
    dialog: Dialog,
    call: Call,
    headers: Headers,
}

const INDEX: usize = DIALLED - 1;

impl Steps for HostEnv<'_> {}

impl Text for HostEnv<'_> {
    fn len(&self) -> u32 {
        self.window.len() as u32
    }

    fn is_whole(&self) -> bool {
        self.whole
    }

    fn octet(&self, at: u32) -> Option<u8> {
        self.window.get(at as usize).copied()
    }

    fn word(&self, at: u32) -> u64 {
        let rest = self.window.get(at as usize..).unwrap_or(&[]);
        rest.iter().take(8).rev().fold(0, |word, octet| word << 8 | u64::from(*octet))
    }

    fn set_dialled(&mut self, at: u32, octet: u8) {
        self.dialled[at as usize & INDEX] = octet;
    }

    fn found(&mut self, header: u32) -> &mut u32 {
        &mut self.headers[header as usize & (PLACES - 1)]
    }
}

impl Policy for HostEnv<'_> {
    fn cell(&self, index: u32) -> u64 {
        self.image.get((index & (CELLS - 1)) as usize).copied().unwrap_or(0)
    }

    fn dialled(&self, at: u32) -> u8 {
        self.dialled[at as usize & INDEX]
    }
}

impl Env for HostEnv<'_> {
    fn now(&mut self) -> u64 {
        self.now
    }

    fn is_over(&mut self, key: &CellKey, now: u64, tolerance: u64) -> bool {
        gcra::is_over(self.tat(key), now, tolerance)
    }

    fn take(&mut self, key: &CellKey, now: u64, interval: u64, tolerance: u64) -> bool {
        env::take(self, key, now, interval, tolerance)
    }

    fn window(&mut self, key: &CellKey, how: How, now: u64) -> Answer {
        let mut ring = match self.state.rings.get(key) {
            Some(ring) => *ring,
            None if how.remembers() => Ring::FRESH,
            None => return Answer::Conforms,
        };
        let answer = ring.ask(self, how, now);
        self.state.rings.insert(*key, ring);
        answer
    }

    fn seize(&mut self, key: &CellKey, most: u32, call: Digest) -> bool {
        let State { channels, calls, .. } = &mut *self.state;
        let Some(holders) =
            (if call == 0 { channels.get_mut(key) } else { Some(channels.entry(*key).or_insert([0; CHANNELS])) })
        else {
            return true;
        };
        seize(&mut Channels { holders, calls, now: self.now }, most, call)
    }

    fn places(&mut self) -> &mut Places {
        &mut self.places
    }

    fn bill(&mut self) -> &mut Bill {
        &mut self.bill
    }

    fn site(&mut self) -> &mut Site {
        &mut self.state.site
    }

    fn is_known(&mut self, source: Addr) -> bool {
        self.state.known.get(&source).is_some_and(|until| self.now < *until)
    }

    fn know(&mut self, source: Addr, until: u64) {
        self.state.known.insert(source, until);
    }

    fn failed_at(&self, attempt: Digest) -> u64 {
        self.state.failed.get(&attempt).copied().unwrap_or(0)
    }

    fn note_failed(&mut self, attempt: Digest, at: u64) {
        self.state.failed.insert(attempt, at);
    }

    fn given(&self, what: Digest) -> u64 {
        self.state.given.get(&what).copied().unwrap_or(0)
    }

    fn give(&mut self, what: Digest, source: u64) {
        self.state.given.insert(what, source);
    }

    fn present_until(&self, source: u64) -> u64 {
        self.state.present.get(&source).copied().unwrap_or(0)
    }

    fn note_present(&mut self, source: u64, until: u64) {
        self.state.present.insert(source, until);
    }

    fn heard(&self, source: u64) -> Entry {
        self.state.heard.get(&source).copied().unwrap_or_default()
    }

    fn hear(&mut self, source: u64, entry: Entry, now: u64) {
        if self.heard(source).gives_way(entry, now) {
            self.state.heard.insert(source, entry);
        }
    }

    fn is_banned(&self, source: u64, now: u64) -> bool {
        self.state.rings.get(&CellKey::of_ban(source)).is_some_and(|ring| now < ring.until)
    }

    fn dialog(&mut self) -> &mut Dialog {
        &mut self.dialog
    }

    fn call(&mut self, id: Digest) -> Option<&mut Call> {
        let [own, other] = &mut self.state.calls;
        own.get_mut(&id).or_else(|| other.get_mut(&id))
    }

    fn fresh_call(&mut self) -> (&mut Call, &Dialog) {
        (&mut self.call, &self.dialog)
    }

    fn keep_call(&mut self, own: bool, id: Digest) {
        self.state.calls[usize::from(!own)].insert(id, self.call);
    }

    fn judged(&mut self) -> &mut Judged {
        &mut self.judged
    }

    fn keep_dialled(&mut self) {
        self.judged.dialled = self.dialled;
    }

    fn kept(&mut self) -> &mut Judged {
        &mut self.kept
    }

    fn keep_judged(&mut self) {
        self.kept = self.judged;
    }

    fn restore_judged(&mut self) {
        self.judged = self.kept;
    }
}

/// The channels of one cell.
struct Channels<'a> {
    holders: &'a mut Holders,
    calls: &'a [HashMap<Digest, Call>; 2],
    now: u64,
}

impl channels::Cell for Channels<'_> {
    fn holder(&mut self, channel: u32) -> Digest {
        self.holders.get(channel as usize).copied().unwrap_or(0)
    }

    fn hand_over(&mut self, channel: u32, from: Digest, to: Digest) -> bool {
        let held = self.holders.get_mut(channel as usize).filter(|holder| **holder == from);
        held.map(|holder| *holder = to).is_some()
    }

    fn is_up(&mut self, call: Digest) -> bool {
        let [own, other] = self.calls;
        own.get(&call).or_else(|| other.get(&call)).is_some_and(|call| call.is_up(self.now))
    }

    fn rolled(&self, counter: u32) -> u32 {
        counter
    }
}

impl Cells for HostEnv<'_> {
    fn tat(&mut self, key: &CellKey) -> u64 {
        self.state.cells.get(key).copied().unwrap_or(0)
    }

    fn tat_now(&mut self, key: &CellKey) -> u64 {
        self.tat(key)
    }

    fn swap(&mut self, key: &CellKey, old: u64, new: u64) -> bool {
        let same = self.tat(key) == old;
        if same {
            self.state.cells.insert(*key, new);
        }
        same
    }

    fn rolled(&self, counter: u32) -> u32 {
        counter
    }
}
