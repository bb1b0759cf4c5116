//! `tollgate resume`.

use super::{
    Failure, Out,
    args::{Places, ResumeArgs},
    ask, order,
};
use crate::control::protocol::Command;

pub(super) fn run(args: &ResumeArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    order::show(ask(places, &Command::Resume { what: args.what.clone() }), args.json, out)
}
