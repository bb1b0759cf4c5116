//! `tollgate international off` and `restore`, `tollgate shield on` and `off`.

use super::{
    Failure, Out,
    args::{International, InternationalOffArgs, Places, RestoreArgs, Shield},
    ask,
    order::{expires, show},
};
use crate::control::protocol::{Command, NewOrder, ScopeView};

pub(super) fn international(command: &International, places: &Places, out: &mut Out) -> Result<(), Failure> {
    match command {
        International::Off(args) => off(args, places, out),
        International::Restore(args) => restore(args, places, out),
    }
}

fn off(args: &InternationalOffArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let new = NewOrder {
        what: args.except.clone(),
        scope: scope(args.profile.as_ref(), args.line.as_ref()).unwrap_or_default(),
        reason: args.reason.clone(),
        expires: expires(args.end)?,
        ..NewOrder::default()
    };
    show(ask(places, &Command::InternationalOff(new)), args.json, out)
}

fn restore(args: &RestoreArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let scope = scope(args.profile.as_ref(), args.line.as_ref());
    show(ask(places, &Command::InternationalRestore { scope, reason: args.reason.clone() }), args.json, out)
}

pub(super) fn shield(command: &Shield, places: &Places, out: &mut Out) -> Result<(), Failure> {
    match command {
        Shield::On(args) => {
            let expires = expires(args.end)?;
            let new = NewOrder { reason: args.reason.clone(), expires, ..NewOrder::default() };
            show(ask(places, &Command::ShieldOn(new)), args.json, out)
        }
        Shield::Off(args) => show(ask(places, &Command::ShieldOff { reason: args.reason.clone() }), args.json, out),
    }
}

fn scope(profile: Option<&String>, line: Option<&String>) -> Option<ScopeView> {
    let profile = profile.map(|name| ScopeView::Profile(name.clone()));
    profile.or_else(|| line.map(|name| ScopeView::Line(name.clone())))
}
