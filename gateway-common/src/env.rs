//! The environment of a decision: what differs between the kernel and the host, beyond the text.

use crate::{
    addr::Addr,
    call::{Call, Digest},
    dialog::Dialog,
    judge::{self, Arrival, Asker, Bill, Charge, Decision, Finding, Floor, Front, Places, Request},
    judged::Judged,
    limit::{
        CellKey, gcra,
        heard::Entry,
        window::{Answer, How},
    },
    number::plan::Meaning,
    policy::{
        Policy,
        image::{Action, LineEntry},
    },
    sip::target::Target,
    site::Site,
    text::Text,
    wire::Datagram,
};

/// Policy, state, clock and the record to write, for one packet.
pub trait Env: Text + Policy {
    /// Decides about one message, and notes what it does to the calls and shows of its source; see [`judge::judge`],
    /// [`judge::follow`] and [`judge::presence`].
    #[inline(always)]
    fn message(&mut self, datagram: &Datagram, arrival: Arrival, from: u32) -> Decision
    where
        Self: Sized,
    {
        if judge::judge(self, datagram, arrival, from).is_none() {
            judge::charge(self);
        }
        let decision = judge::follow(self, datagram, arrival, from);
        judge::presence(self, datagram, arrival, from);
        decision
    }

    /// Judges one place of a request, and says whether there is another; see [`judge::place`].
    #[inline(always)]
    fn place(&mut self, profile: u32, asker: Asker, request: Request) -> bool
    where
        Self: Sized,
    {
        judge::place(self, profile, asker, request)
    }

    /// What is known of the places judged so far.
    fn places(&mut self) -> &mut Places;

    /// What a target means; see [`judge::number`].
    #[inline(always)]
    fn number(&self, profile: u32, target: Target) -> Meaning
    where
        Self: Sized,
    {
        judge::number(self, profile, target)
    }

    /// What one place of a request gets; see [`judge::rule`].
    #[inline(always)]
    fn rule(&self, asker: Asker, action: Action, place: u64) -> Finding {
        judge::rule(asker, action, place)
    }

    /// Whether one limit refuses; see [`judge::limit`].
    #[inline(always)]
    fn limit(&mut self, profile: u32, asker: Asker, charge: Charge, now: u64) -> u64
    where
        Self: Sized,
    {
        judge::limit(self, profile, asker, charge, now)
    }

    /// Which limit of a profile refuses; see [`judge::over`].
    #[inline(always)]
    fn limits(&mut self, profile: u32, asker: Asker, request: Charge) -> u64
    where
        Self: Sized,
    {
        judge::over(self, profile, asker, request)
    }

    /// What is to be charged.
    fn bill(&mut self) -> &mut Bill;

    /// Whether the floor stops a call abroad; see [`judge::floor`].
    #[inline(always)]
    fn floor(&mut self, ask: Floor, now: u64) -> u64
    where
        Self: Sized,
    {
        judge::floor(self, ask, now)
    }

    /// Whether one limit has no channel left; see [`judge::channel`].
    #[inline(always)]
    fn channel(&mut self, profile: u32, asker: Asker, charge: Charge, call: Digest) -> u64
    where
        Self: Sized,
    {
        judge::channel(self, profile, asker, charge, call)
    }

    /// Which limit has no channel left for the call at hand; see [`judge::channels`].
    #[inline(always)]
    fn channels(&mut self, call: Digest) -> u64
    where
        Self: Sized,
    {
        judge::channels(self, call)
    }

    /// Whether one of the first `most` channels of a cell is free, by [`channels::seize`](crate::limit::channels::seize); a
    /// `call` that is not 0 seizes it. Where there is no room for the cell, one is.
    fn seize(&mut self, key: &CellKey, most: u32, call: Digest) -> bool;

    /// Asks a cell that remembers its calls, by [`Ring::ask`](crate::limit::window::Ring::ask) under the image's terms. One
    /// that does not exist is made where it is to remember something; where there is no room, the call conforms.
    fn window(&mut self, key: &CellKey, how: How, now: u64) -> Answer;

    /// Nanoseconds of a monotonic clock, read once a packet.
    fn now(&mut self) -> u64;

    /// Whether a request at `now` is over the limit of a cell, by [`gcra::is_over`].
    fn is_over(&mut self, key: &CellKey, now: u64, tolerance: u64) -> bool;

    /// Takes one from a cell, unless it is over its limit.
    fn take(&mut self, key: &CellKey, now: u64, interval: u64, tolerance: u64) -> bool;

    /// What was learned of the site.
    fn site(&mut self) -> &mut Site;

    /// Whether a request of a call that the filter has not seen begin is spared.
    #[inline(always)]
    fn spares_unknown(&mut self) -> bool
    where
        Self: Sized,
    {
        let now = self.now();
        now < self.site().spared
    }

    /// Whether the PBX took credentials of a source, and that still counts.
    fn is_known(&mut self, source: Addr) -> bool;

    /// Notes that the PBX took credentials of a source.
    fn know(&mut self, source: Addr, until: u64);

    /// When an attempt to call failed last, by [`call::redial`](crate::call::redial); 0 for never, or where it is forgotten.
    fn failed_at(&self, attempt: Digest) -> u64;

    /// Notes when an attempt to call failed; 0 takes it back.
    fn note_failed(&mut self, attempt: Digest, at: u64);

    /// To which source something was given: its value, or 0. What is not heard of for long is forgotten.
    fn given(&self, what: Digest) -> u64;

    /// Notes to which source something was given.
    fn give(&mut self, what: Digest, source: u64);

    /// Until when a source is present, nanoseconds; 0 where it has not shown that it is.
    fn present_until(&self, source: u64) -> u64;

    /// Notes that a source is present.
    fn note_present(&mut self, source: u64, until: u64);

    /// What is kept in the place of a source; see [`heard`](crate::limit::heard).
    fn heard(&self, source: u64) -> Entry;

    /// Puts an entry into the place of a source, where what stands there gives way at `now`.
    fn hear(&mut self, source: u64, entry: Entry, now: u64);

    /// What the limits in front say of a request; see [`judge::front`].
    #[inline(always)]
    fn front(&mut self, src: Addr, asked: Front, now: u64) -> Asker
    where
        Self: Sized,
    {
        judge::front(self, src, asked, now)
    }

    /// Whether a limit in front is used up; see [`judge::is_used_up`].
    #[inline(always)]
    fn is_used_up(&mut self, src: Addr, asked: Front, now: u64) -> u64
    where
        Self: Sized,
    {
        judge::is_used_up(self, src, asked, now)
    }

    /// Whether a source is banned.
    fn is_banned(&self, source: u64, now: u64) -> bool;

    /// What names the call of the message at hand.
    fn dialog(&mut self) -> &mut Dialog;

    /// The call with this Call-ID, if it is known: of sources that the site vouches for first.
    fn call(&mut self, id: Digest) -> Option<&mut Call>;

    /// A record to fill in and to [keep](Self::keep_call), and the dialog at hand.
    fn fresh_call(&mut self) -> (&mut Call, &Dialog);

    /// Keeps that record under a Call-ID, in the table of sources that the site vouches for (`own`) or in the other.
    fn keep_call(&mut self, own: bool, id: Digest);

    /// What the call table says of the INVITE at hand; see [`judge::again`].
    #[inline(always)]
    fn again(&mut self, datagram: &Datagram, at: u32, who: u8) -> u64
    where
        Self: Sized,
    {
        judge::again(self, datagram, at, who)
    }

    /// What orders make of a line; see [`judge::line`].
    #[inline(always)]
    fn line(&self, key: u64) -> LineEntry
    where
        Self: Sized,
    {
        judge::line(self, key)
    }

    /// The record of this packet.
    fn judged(&mut self) -> &mut Judged;

    /// Copies the dialled string into the record.
    fn keep_dialled(&mut self);

    /// The record that was put aside last.
    fn kept(&mut self) -> &mut Judged;

    /// Puts the record aside.
    fn keep_judged(&mut self);

    /// Takes back the record that was put aside last.
    fn restore_judged(&mut self);
}

/// Limiter cells: a table of theoretical arrival times.
pub trait Cells {
    /// The theoretical arrival time of a cell, 0 where there is none.
    fn tat(&mut self, key: &CellKey) -> u64;

    /// The same of the cell last asked for, after another CPU has changed it.
    fn tat_now(&mut self, key: &CellKey) -> u64;

    /// Sets the cell last asked for from `old` to `new`, or makes it where there was none; `false` if it was not `old`.
    fn swap(&mut self, key: &CellKey, old: u64, new: u64) -> bool;

    /// A loop's counter, which the compiler shall not unroll.
    fn rolled(&self, counter: u32) -> u32;
}

/// Takes one from a cell by [`gcra`]; a lost race counts as over the limit after a few tries.
#[inline(always)]
pub fn take<C: Cells>(cells: &mut C, key: &CellKey, now: u64, interval: u64, tolerance: u64) -> bool {
    let mut tat = cells.tat(key);
    let mut i = 0u32;
    while i < gcra::TRIES {
        if gcra::is_over(tat, now, tolerance) {
            return false;
        }
        if cells.swap(key, tat, gcra::admit(tat, now, interval)) {
            return true;
        }
        tat = cells.tat_now(key);
        i = cells.rolled(i + 1);
    }
    false
}
