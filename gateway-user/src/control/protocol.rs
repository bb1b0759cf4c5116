//! The lines of the control socket; the results in them are in [`super::views`].
//!
//! A request is `{"v":1,"cmd":"…", …}`; a reply is `{"v":1,"ok":true,"result":…}` or
//! `{"v":1,"ok":false,"error":{"kind":"…","message":"…"}}`. What streams (`list`, `events`) sends one reply with the
//! result `null` and then one object a line.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::past::WhyQuestion;
use crate::{config::Role, daemon::OrderRule, orders::Scope, what::What, zone};

/// Version of the protocol; a request of another one is refused.
pub const VERSION: u64 = 1;
/// Longest request line, in octets.
pub const MAX_REQUEST: usize = 64 * 1024;

/// What is asked of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// What is attached, in which mode, under which policy.
    Status {},
    /// Nothing: every reply names the time zone of the site.
    Zone {},
    /// The counters.
    Counters {},
    /// The orders.
    Orders {},
    /// What blocks, allows and limits: streams.
    List {
        /// Only this.
        kind: Option<ListKind>,
        /// Of calls, only those that leave the country.
        #[serde(default)]
        abroad: bool,
    },
    /// Stops calls.
    Block(NewOrder),
    /// Lets calls pass the floor and the policy file.
    Allow(NewOrder),
    /// Switches international calls off; what the order names is excepted.
    InternationalOff(NewOrder),
    /// Takes back the orders that switched international calls off.
    InternationalRestore {
        /// Only those given for this; all, where it is left out.
        #[serde(default)]
        scope: Option<ScopeView>,
        /// Why.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Puts the shield up, on the whole site.
    ShieldOn(NewOrder),
    /// Takes the shield down.
    ShieldOff {
        /// Why.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Reverses an order.
    Undo {
        /// Its number.
        order: u64,
        /// Why.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Answers a question of a limit that asks before it suspends.
    Answer {
        /// Its number.
        question: u64,
        /// Whether the calls go on; otherwise they are stopped.
        keep: bool,
    },
    /// Lifts what a limit or the floor has suspended.
    Resume {
        /// For whom, as typed.
        what: String,
    },
    /// Reads the policy file again: all of it or nothing.
    Reload {
        /// So many seconds to confirm in, after which the former policy comes back.
        #[serde(default)]
        confirm: Option<u64>,
    },
    /// Lets the policy that waits for it stay.
    Confirm {},
    /// The policy in force, whole: streams the lines of `config::snapshot`.
    Policy {},
    /// What would happen now to a call.
    Explain {
        /// A number or a URI.
        input: String,
        /// The source.
        #[serde(default)]
        from: Option<IpAddr>,
        /// The line of a telephone of the site.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<String>,
        /// When; now, where it is left out.
        #[serde(default)]
        at: Option<Timestamp>,
        /// The side that the source is on; found out, where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        side: Option<Role>,
    },
    /// Switches the kernel's debug traces.
    Trace {
        /// On or off.
        on: bool,
    },
    /// Sampled decisions: streams.
    Events {
        /// As they happen, until the connection ends; otherwise the latest, and the stream ends.
        follow: bool,
    },
    /// What was decided, and why: streams.
    Why(WhyQuestion),
    /// What was stopped and changed.
    Report {
        /// Since then.
        since: Timestamp,
    },
    /// What answers outside, and who registered from there.
    Exposure {},
    /// Windows for calls abroad, from what the site called.
    Suggest {
        /// Since then; as far as the journal goes, where it is left out.
        #[serde(default)]
        since: Option<Timestamp>,
    },
    /// What was stopped, without any number: streams.
    Incidents {
        /// Since then.
        since: Timestamp,
    },
    /// Detaches from every interface, removes every pin, ends the daemon.
    Detach {},
}

/// An order to be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// What it names, as typed.
    pub what: Vec<String>,
    /// Where it holds.
    #[serde(default)]
    pub scope: ScopeView,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// When it ends by itself.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// Whether it may hit the site's own country, numbers, trunks or everything.
    #[serde(default)]
    pub force: bool,
    /// Whether it is only tried on the calls of the journal.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether a block only counts.
    #[serde(default)]
    pub monitor: bool,
    /// How many calls an allow lets through, as typed: `20/1d`.
    #[serde(default)]
    pub max: Option<String>,
}

impl NewOrder {
    /// What a block of it does.
    pub const fn block(&self) -> OrderRule {
        if self.monitor { OrderRule::Monitor } else { OrderRule::Block }
    }
}

/// Where an order holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeView {
    /// Everywhere.
    #[default]
    Site,
    /// For the sources of this profile.
    Profile(String),
    /// For this source or network.
    Source(String),
    /// For this line.
    Line(String),
}

impl TryFrom<ScopeView> for Scope {
    type Error = String;

    fn try_from(view: ScopeView) -> Result<Self, String> {
        Ok(match view {
            ScopeView::Site => Self::Site,
            ScopeView::Profile(name) => Self::Profile(name),
            ScopeView::Source(text) => Self::Source(text.parse().map_err(|e| format!("{text}: {e}"))?),
            ScopeView::Line(line) => match format!("line:{line}").parse() {
                Ok(What::Line(line)) => Self::Line(line),
                Ok(_) => return Err(format!("{line}: no line; write the name of one, such as 203")),
                Err(e) => return Err(format!("{line}: {e}")),
            },
        })
    }
}

/// A part of what `list` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ListKind {
    /// Prefixes, countries, dialled strings and classes.
    Prefixes,
    /// Sources: blocked, allowed, of profiles, of trunks.
    Sources,
    /// Limits.
    Limits,
    /// Calls that are set up or go on; in no other list.
    Calls,
    /// What limits by windows count: lines, sources, countries, the site.
    Lines,
}

/// Why a request was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The request makes no sense: malformed, unknown, out of range.
    Usage,
    /// It makes sense and was refused.
    Refused,
    /// Too many requests at once.
    Busy,
    /// Another version of the protocol.
    Version,
}

/// The error of a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ErrorView {
    /// Why.
    pub kind: ErrorKind,
    /// For the operator: place, cause, remedy.
    pub message: String,
}

impl ErrorView {
    /// A request that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Usage, message: message.into() }
    }

    /// A request that was refused.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Refused, message: message.into() }
    }
}

/// The request line for a command, line end included.
pub fn encode_request(command: &Command) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(command)?;
    if let Value::Object(map) = &mut value {
        map.insert("v".into(), VERSION.into());
    }
    Ok(format!("{value}\n"))
}

/// The command in a request line.
pub fn decode_request(line: &[u8]) -> Result<Command, ErrorView> {
    let mut value: Value =
        serde_json::from_slice(line).map_err(|e| ErrorView::usage(format!("the request is not JSON: {e}")))?;
    let Some(map) = value.as_object_mut() else {
        return Err(ErrorView::usage("the request is not a JSON object"));
    };
    match map.remove("v").as_ref().map(|v| (v, v.as_u64())) {
        Some((_, Some(VERSION))) => {}
        Some((other, _)) => {
            return Err(ErrorView {
                kind: ErrorKind::Version,
                message: format!(
                    "the request speaks version {other} of the control protocol, the daemon version {VERSION}; \
                     use the `tollgate` that belongs to the running daemon, or restart the daemon"
                ),
            });
        }
        None => {
            return Err(ErrorView::usage(format!("the request lacks \"v\":{VERSION}")));
        }
    }
    serde_json::from_value(value).map_err(|e| ErrorView::usage(format!("the request cannot be read: {e}")))
}

/// The reply line, line end included.
pub fn encode_reply(reply: &Result<Value, ErrorView>) -> String {
    let mut value = match reply {
        Ok(result) => serde_json::json!({"v": VERSION, "ok": true, "result": result}),
        Err(error) => serde_json::json!({"v": VERSION, "ok": false, "error": error}),
    };
    // In which zone a person is to be shown the times of the result.
    if let (Some(map), Some(zone)) = (value.as_object_mut(), zone::name()) {
        map.insert("zone".into(), zone.into());
    }
    format!("{value}\n")
}

/// The time zone of the site in a reply line, where the policy names one.
pub fn zone_of(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Reply {
        #[serde(default)]
        zone: Option<String>,
    }
    serde_json::from_str::<Reply>(line).ok()?.zone
}

/// The result in a reply line. The outer error is a line that is no reply.
pub fn decode_reply<T: DeserializeOwned>(line: &str) -> Result<Result<T, ErrorView>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Reply {
        #[serde(default)]
        result: Value,
        error: Option<ErrorView>,
    }
    let reply: Reply = serde_json::from_str(line)?;
    match reply.error {
        Some(error) => Ok(Err(error)),
        None => serde_json::from_value(reply.result).map(Ok),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_the_line() {
        for command in [
            Command::Status {},
            Command::Block(NewOrder {
                what: vec!["+232".into(), "SL".into()],
                scope: ScopeView::Source("192.0.2.0/24".into()),
                reason: Some("fraud\u{0}\n".into()),
                expires: Some(Timestamp::from_second(1_800_000_000).unwrap()),
                force: true,
                dry_run: true,
                monitor: true,
                max: Some("20/1d".into()),
            }),
            Command::Undo { order: u64::MAX, reason: None },
        ] {
            let line = encode_request(&command).unwrap();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(decode_request(line.trim_end().as_bytes()), Ok(command));
        }
    }

    #[test]
    fn what_is_no_request_is_told_why() {
        for (line, kind, needle) in [
            (r#"{"v":2,"cmd":"status"}"#, ErrorKind::Version, "version 2"),
            (r#"{"v":"1","cmd":"status"}"#, ErrorKind::Version, "version \"1\""),
            (r#"{"cmd":"status"}"#, ErrorKind::Usage, "lacks"),
            (r#"{"v":1,"cmd":"explode"}"#, ErrorKind::Usage, "explode"),
            (r#"{"v":1,"cmd":"undo"}"#, ErrorKind::Usage, "order"),
            (r#"{"v":1,"cmd":"undo","order":-1}"#, ErrorKind::Usage, "-1"),
            (r#"{"v":1,"cmd":"undo","order":1,"orders":2}"#, ErrorKind::Usage, "orders"),
            (r#"{"v":1,"cmd":"block","what":["SL"],"forse":true}"#, ErrorKind::Usage, "forse"),
            ("[1]", ErrorKind::Usage, "object"),
            ("", ErrorKind::Usage, "not JSON"),
            ("{\"v\":1,\0\"cmd\":\"status\"}", ErrorKind::Usage, "not JSON"),
            ("\u{feff}{}", ErrorKind::Usage, "not JSON"),
        ] {
            let error = decode_request(line.as_bytes()).unwrap_err();
            assert_eq!(error.kind, kind, "{line}");
            assert!(error.message.contains(needle), "{line}: {}", error.message);
        }
        let deep = "[".repeat(60_000);
        assert_eq!(decode_request(deep.as_bytes()).unwrap_err().kind, ErrorKind::Usage);
    }
}
