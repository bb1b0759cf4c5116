//! `tollgate reload`.

use super::{
    Failure, Out,
    args::{JsonArgs, Places},
    ask, order,
};
use crate::control::protocol::Command;

pub(super) fn run(args: JsonArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    order::show(ask(places, &Command::Reload {}), args.json, out)
}
