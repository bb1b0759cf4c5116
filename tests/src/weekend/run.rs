//! Plays calls on a scripted clock: requests that the gateway stops are sent again as RFC 3261 has it, until they pass or the
//! caller gives up.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use anyhow::Result;
use gateway_common::Reason;

use super::{
    call::{Answer, Call, Method, Request},
    gate::{Gate, Party, Seen},
};

/// Nanoseconds of a second.
pub(super) const SECOND: u64 = 1_000_000_000;
/// Between a message and what follows it, in nanoseconds.
const HOP: u64 = 20_000_000;
/// So long it rings, in seconds.
const RINGING: u64 = 4;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// They talked, or the request was answered.
    Taken,
    /// The other end was busy, or the provider had no channel left.
    Busy,
    /// The gateway stopped each of its requests; the reason of the last.
    Cut(Reason),
}

/// What is known of a call once it is decided.
pub(super) struct Ended<'a> {
    /// The call.
    pub(super) call: &'a Call,
    /// When it was dialled, in nanoseconds.
    pub(super) began: u64,
    /// When that was decided, in nanoseconds.
    pub(super) at: u64,
    /// How it ended.
    pub(super) end: End,
    /// Whether it went on only after a request of it had been stopped.
    pub(super) delayed: bool,
    /// What enforce mode would have stopped it for.
    pub(super) would: Option<Reason>,
}

/// A call under way.
struct Running {
    call: Call,
    began: u64,
    delayed: bool,
    would: Option<Reason>,
    /// Legs whose request passed.
    reached: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A request of a leg, the so-manieth time; with credentials.
    Ask { leg: usize, turn: usize, authorized: bool },
    /// The far end answers.
    Answer,
    /// The caller hangs up.
    HangUp,
}

/// The calls of a time, and the gateway between them.
pub(super) struct Run {
    gate: Gate,
    /// What happens next: when, in the order of its coming, to which call.
    agenda: BinaryHeap<Reverse<(u64, u64, u64, Step)>>,
    calls: HashMap<u64, Running>,
    next: u64,
    order: u64,
    up: usize,
    channels: usize,
    text: String,
}

impl Run {
    /// Through a gateway, to a provider that lets so many calls be up at once.
    pub(super) fn new(gate: Gate, channels: usize) -> Self {
        let (agenda, calls) = (BinaryHeap::new(), HashMap::new());
        Self { gate, agenda, calls, next: 1, order: 0, up: 0, channels, text: String::new() }
    }

    /// Plays calls, which come in the order of their time in nanoseconds. `ended` hears of each once it is decided, and may
    /// have another one dialled so many seconds later.
    ///
    /// # Errors
    /// Where the policy does not compile for some time.
    pub(super) fn play(
        &mut self,
        calls: impl IntoIterator<Item = (u64, Call)>,
        mut ended: impl FnMut(&Ended<'_>) -> Option<(u64, Call)>,
    ) -> Result<()> {
        let mut calls = calls.into_iter().peekable();
        loop {
            let due = self.agenda.peek().map(|Reverse((at, ..))| *at);
            match calls.peek() {
                Some((at, _)) if due.is_none_or(|due| *at <= due) => {
                    if let Some((at, call)) = calls.next() {
                        self.begin(at, call);
                    }
                }
                _ => {
                    let Some(Reverse((now, _, id, step))) = self.agenda.pop() else { return Ok(()) };
                    self.gate.keep_up(now)?;
                    self.step(now, id, step, &mut ended);
                }
            }
        }
    }

    fn begin(&mut self, at: u64, call: Call) {
        let id = self.next;
        self.next += 1;
        self.calls.insert(id, Running { call, began: at, delayed: false, would: None, reached: 0 });
        self.plan(at, id, Step::Ask { leg: 0, turn: 0, authorized: false });
    }

    fn plan(&mut self, at: u64, id: u64, step: Step) {
        self.order += 1;
        self.agenda.push(Reverse((at, self.order, id, step)));
    }

    fn step(&mut self, now: u64, id: u64, step: Step, ended: &mut impl FnMut(&Ended<'_>) -> Option<(u64, Call)>) {
        let Some(mut running) = self.calls.remove(&id) else { return };
        let end = match step {
            Step::Ask { leg, turn, authorized } => self.ask(now, id, &mut running, leg, turn, authorized),
            Step::Answer => Some(self.answer(now, id, &running)),
            Step::HangUp => {
                self.hang_up(now, id, &running);
                return;
            }
        };
        if let Some(end) = end {
            let Running { call, began, delayed, would, .. } = &running;
            let told = Ended { call, began: *began, at: now, end, delayed: *delayed, would: *would };
            if let Some((after, again)) = ended(&told) {
                self.begin(now + after * SECOND, again);
            }
        }
        if end.is_none() || end == Some(End::Taken) && running.call.method == Method::Invite {
            self.calls.insert(id, running);
        }
    }

    /// Sends the request of a leg.
    fn ask(
        &mut self,
        now: u64,
        id: u64,
        running: &mut Running,
        leg: usize,
        turn: usize,
        authorized: bool,
    ) -> Option<End> {
        let call = &running.call;
        let ends = call.legs[leg];
        let request = if authorized { Request::Authorized } else { Request::First };
        call.write(&mut self.text, id, leg, request);
        match self.gate.send(now, ends.from, ends.to, &self.text) {
            Seen::Passed => {}
            Seen::Would(reason) => running.would = Some(reason),
            Seen::Stopped(reason) => {
                running.delayed = true;
                let Some(timer) = call.timers().get(turn) else {
                    self.refuse(now, id, running, (503, "Service Unavailable"));
                    return Some(End::Cut(reason));
                };
                self.plan(now + timer * SECOND / 2, id, Step::Ask { leg, turn: turn + 1, authorized });
                return None;
            }
        }
        if ends.challenged && !authorized {
            call.write_answer(&mut self.text, id, leg, (401, "Unauthorized"), request);
            self.gate.send(now + HOP, ends.to, ends.from, &self.text);
            if call.method == Method::Invite {
                call.write(&mut self.text, id, leg, Request::AckRefusal(1));
                self.gate.send(now + HOP, ends.from, ends.to, &self.text);
            }
            self.plan(now + HOP, id, Step::Ask { leg, turn: 0, authorized: true });
            return None;
        }
        if call.method != Method::Invite {
            call.write_answer(&mut self.text, id, leg, (200, "OK"), request);
            self.gate.send(now, ends.to, ends.from, &self.text);
            return Some(End::Taken);
        }
        running.reached = leg + 1;
        if running.reached < running.call.legs.len() {
            self.plan(now + HOP, id, Step::Ask { leg: leg + 1, turn: 0, authorized: false });
        } else {
            self.plan(now + RINGING * SECOND, id, Step::Answer);
        }
        None
    }

    /// The far end takes the call, or does not.
    fn answer(&mut self, now: u64, id: u64, running: &Running) -> End {
        if running.call.answer == Answer::Busy || self.up >= self.channels {
            self.refuse(now, id, running, (486, "Busy Here"));
            return End::Busy;
        }
        self.up += 1;
        for leg in (0..running.reached).rev() {
            let (request, cseq) = asked(running, leg);
            self.reply(now, id, running, leg, (200, "OK"), request);
            running.call.write(&mut self.text, id, leg, Request::Ack(cseq));
            let ends = running.call.legs[leg];
            self.gate.send(now, ends.from, ends.to, &self.text);
        }
        self.plan(now + running.call.talk * SECOND, id, Step::HangUp);
        End::Taken
    }

    fn hang_up(&mut self, now: u64, id: u64, running: &Running) {
        self.up -= 1;
        for leg in 0..running.reached {
            let ends = running.call.legs[leg];
            running.call.write(&mut self.text, id, leg, Request::Bye);
            self.gate.send(now, ends.from, ends.to, &self.text);
            self.reply(now, id, running, leg, (200, "OK"), Request::Bye);
        }
    }

    /// The legs that came through are told that the call did not.
    fn refuse(&mut self, now: u64, id: u64, running: &Running, status: (u16, &str)) {
        for leg in (0..running.reached).rev() {
            let (request, cseq) = asked(running, leg);
            self.reply(now, id, running, leg, status, request);
            running.call.write(&mut self.text, id, leg, Request::AckRefusal(cseq));
            let ends = running.call.legs[leg];
            self.gate.send(now, ends.from, ends.to, &self.text);
        }
    }

    fn reply(&mut self, now: u64, id: u64, running: &Running, leg: usize, status: (u16, &str), request: Request) {
        let ends: [Party; 2] = [running.call.legs[leg].to, running.call.legs[leg].from];
        running.call.write_answer(&mut self.text, id, leg, status, request);
        self.gate.send(now, ends[0], ends[1], &self.text);
    }
}

/// The request of a leg that was let through, and its sequence number.
fn asked(running: &Running, leg: usize) -> (Request, u32) {
    if running.call.legs[leg].challenged { (Request::Authorized, 2) } else { (Request::First, 1) }
}
