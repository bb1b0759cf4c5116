//! `tollgate undo`.

use super::{
    Failure, Out,
    args::{Places, UndoArgs},
    ask, order,
};
use crate::control::protocol::Command;

pub(super) fn run(args: &UndoArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let command = Command::Undo { order: args.order, reason: args.reason.clone() };
    order::show(ask(places, &command), args.json, out)
}
