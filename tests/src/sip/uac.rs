//! The built-in caller: INVITE, 200, ACK, BYE, 200, with the timers of RFC 3261 17.1.

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::message::{Invite, Message, StartLine};

/// When a request is sent again, and when it is given up.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// First interval between transmissions; each next one is double (RFC 3261 17.1.1.2, T1).
    pub t1: Duration,
    /// How long an INVITE is tried without any answer (Timer B).
    pub give_up: Duration,
    /// How long an answered call lasts until it is hung up.
    pub talk: Duration,
}

impl Timers {
    /// Those of RFC 3261 for a call that is to complete: T1 of 500 ms, 64 × T1.
    pub const STANDARD: Self =
        Self { t1: Duration::from_millis(500), give_up: Duration::from_secs(32), talk: Duration::from_millis(50) };
    /// For a call that is expected to meet silence: two transmissions, then the next.
    pub const IMPATIENT: Self =
        Self { t1: Duration::from_millis(150), give_up: Duration::from_millis(300), talk: Duration::ZERO };
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, acknowledged, ended, and the end was confirmed.
    Completed,
    /// It was answered and acknowledged, and nobody confirmed its end.
    HangupUnanswered,
    /// It was refused with this code.
    Refused(u16),
    /// Nobody answered.
    Silence,
}

/// A call that has been tried.
#[derive(Clone, Debug)]
pub struct Call {
    /// How it ended.
    pub outcome: Outcome,
    /// INVITE datagrams sent.
    pub invites: u64,
    /// Its Call-ID.
    pub call_id: String,
}

/// Places calls, one after the other, from one socket.
#[derive(Debug)]
pub struct Caller {
    socket: UdpSocket,
    local: SocketAddr,
    target: SocketAddr,
    timers: Timers,
}

impl Caller {
    /// A caller on `socket` that sends everything to `target`.
    ///
    /// # Errors
    /// Where the socket has no address.
    pub fn new(socket: UdpSocket, target: SocketAddr, timers: Timers) -> Result<Self> {
        let local = socket.local_addr().context("cannot read the caller's address")?;
        Ok(Self { socket, local, target, timers })
    }

    /// Places one call and waits for its end.
    ///
    /// # Errors
    /// Where the socket cannot send or receive.
    pub fn call(&self, line: StartLine) -> Result<Call> {
        let invite = Invite::new(line, self.local);
        let datagram = invite.to_bytes();
        let (answer, invites) = self.transact(&datagram, self.timers.give_up, |m| {
            m.call_id() == invite.call_id
                && m.cseq().is_some_and(|(n, method)| n == 1 && method.eq_ignore_ascii_case("INVITE"))
        })?;
        let outcome = match answer {
            None => Outcome::Silence,
            Some(answer) => match answer.code() {
                Some(200..300) => self.talk(&answer, &invite)?,
                code => {
                    self.send(&answer.ack_of_refusal(&invite))?;
                    Outcome::Refused(code.unwrap_or_default())
                }
            },
        };
        Ok(Call { outcome, invites, call_id: invite.call_id })
    }

    fn talk(&self, answer: &Message, invite: &Invite) -> Result<Outcome> {
        self.send(&answer.in_dialog("ACK", 1, invite))?;
        thread::sleep(self.timers.talk);
        let bye = answer.in_dialog("BYE", 2, invite);
        // Timer F: a BYE is tried as long as an INVITE would be by the standard.
        let (confirmed, _) = self.transact(&bye, self.timers.t1 * 64, |m| {
            m.call_id() == invite.call_id
                && m.cseq().is_some_and(|(n, method)| n == 2 && method.eq_ignore_ascii_case("BYE"))
        })?;
        Ok(match confirmed.and_then(|m| m.code()) {
            Some(200..300) => Outcome::Completed,
            _ => Outcome::HangupUnanswered,
        })
    }

    /// Sends a request, again and again, until its final answer arrives or `give_up` has passed. A provisional answer stops the
    /// repetitions (RFC 3261 17.1.1.2). Returns the answer and the number of transmissions.
    fn transact(
        &self,
        request: &[u8],
        give_up: Duration,
        ours: impl Fn(&Message) -> bool,
    ) -> Result<(Option<Message>, u64)> {
        let start = Instant::now();
        let mut interval = self.timers.t1;
        let mut again = Some(start + interval);
        self.send(request)?;
        let mut sent = 1;
        let mut end = start + give_up;
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok((None, sent));
            }
            if let Some(due) = again.filter(|&due| now >= due) {
                self.send(request)?;
                sent += 1;
                interval *= 2;
                again = Some(due + interval);
            }
            let until = again.map_or(end, |due| due.min(end));
            match self.receive(until.saturating_duration_since(now))?.filter(|m| m.code().is_some() && ours(m)) {
                Some(message) if message.code().is_some_and(|code| code >= 200) => {
                    return Ok((Some(message), sent));
                }
                Some(_) => {
                    again = None;
                    // It rings: the caller waits as long as a person would.
                    end = end.max(start + Timers::STANDARD.give_up);
                }
                None => {}
            }
        }
    }

    fn send(&self, datagram: &[u8]) -> Result<()> {
        match self.socket.send_to(datagram, self.target) {
            Ok(_) => Ok(()),
            // The ICMP error of an earlier datagram: this one has not been sent.
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => self
                .socket
                .send_to(datagram, self.target)
                .map(|_| ())
                .with_context(|| format!("cannot send to {}", self.target)),
            Err(e) => Err(e).with_context(|| format!("cannot send to {}", self.target)),
        }
    }

    fn receive(&self, wait: Duration) -> Result<Option<Message>> {
        let mut buffer = [0; 8192];
        // A timeout of zero would mean to wait for ever.
        self.socket
            .set_read_timeout(Some(wait.max(Duration::from_millis(1))))
            .context("cannot set a timeout on the caller's socket")?;
        match self.socket.recv(&mut buffer) {
            Ok(length) => Ok(buffer.get(..length).and_then(Message::parse)),
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(e).context("cannot receive on the caller's socket"),
        }
    }
}
