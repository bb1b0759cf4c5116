//! `tollgate reload` and `tollgate confirm`.

use super::{
    Failure, Out,
    args::{JsonArgs, Places, ReloadArgs},
    ask, order,
};
use crate::control::protocol::Command;

pub(super) fn run(args: ReloadArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let command = Command::Reload { confirm: args.confirm.map(|length| length.as_secs()) };
    order::show(ask(places, &command), args.json, out)
}

pub(super) fn confirm(args: JsonArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    order::show(ask(places, &Command::Confirm {}), args.json, out)
}
