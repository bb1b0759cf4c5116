//! `tollgate trace`.

use super::{
    Failure, Out,
    args::{Places, Switch, TraceArgs},
    ask,
};
use crate::control::protocol::Command;

pub(super) fn run(args: TraceArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let on = args.state == Switch::On;
    ask::<()>(places, &Command::Trace { on })?;
    Ok(out.line(if on {
        "kernel traces are on, in the log of the daemon; `tollgate trace off` ends them"
    } else {
        "kernel traces are off"
    })?)
}
