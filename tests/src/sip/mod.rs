//! A small SIP user agent over UDP (RFC 3261): enough to place, answer and end real calls, and to flood.

pub mod disguise;
pub mod flood;
pub mod id;
pub mod message;
pub mod uac;
pub mod uas;

pub use disguise::Disguise;
pub use message::{Invite, Message, Start, StartLine};
pub use uac::{Caller, Outcome, Timers};
pub use uas::{Pbx, Seen};
