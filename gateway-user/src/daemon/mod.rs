//! The daemon: one process that owns the attached filter, the orders and the control socket.

mod asking;
mod cell;
mod change;
mod core;
mod exposure;
mod former;
mod gateway;
mod guard;
mod held;
mod known;
mod listening;
mod listing;
mod mask;
mod news;
mod past;
mod reload;
mod run;
mod standing;
mod suggest;
mod switch;
mod tally;
mod used;
mod whole;

pub use self::core::{Adjuster, Clock, Core, Flow, Loader, Parts, Starter};
pub(crate) use cell::{cell_level, line_word};
pub use former::forget as forget_former;
pub use gateway::{
    ActiveOrder, Answers, Applied, AttachMode, CallState, Counters, Decided, Event, ExplainStep, Explanation,
    FromOutside, Gateway, Held, InterfaceState, LinkState, OrderRule, SiteState, Tried,
};
pub use mask::{MaskedNumber, Readable};
pub use run::{Options, run};
pub use tally::Levels;
