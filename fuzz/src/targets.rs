//! The targets: one file a parser.

mod answer;
mod capture;
mod compile;
mod control;
mod explain;
mod frame;
mod list;
mod message;
mod number;
mod order;
mod policy;
mod rewrite;
mod what;
mod when;
mod wire;

use crate::seeds;

/// A parser under test.
pub struct Target {
    /// Its name, which is also that of its folder in the corpora.
    pub name: &'static str,
    /// Gives it one input; panics where a property does not hold.
    pub run: fn(&[u8]),
    /// What a search begins with.
    pub seeds: fn() -> anyhow::Result<Vec<Vec<u8>>>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "wire", run: wire::run, seeds: seeds::wire },
    Target { name: "frame", run: frame::run, seeds: seeds::frame },
    Target { name: "message", run: message::run, seeds: seeds::message },
    Target { name: "rewrite", run: rewrite::run, seeds: seeds::rewrite },
    Target { name: "answer", run: answer::run, seeds: seeds::answer },
    Target { name: "number", run: number::run, seeds: seeds::number },
    Target { name: "policy", run: policy::run, seeds: seeds::policy },
    Target { name: "compile", run: compile::run, seeds: seeds::compile },
    Target { name: "list", run: list::run, seeds: seeds::list },
    Target { name: "capture", run: capture::run, seeds: seeds::capture },
    Target { name: "what", run: what::run, seeds: seeds::what },
    Target { name: "when", run: when::run, seeds: seeds::when },
    Target { name: "control", run: control::run, seeds: seeds::control },
    Target { name: "order", run: order::run, seeds: seeds::order },
    Target { name: "explain", run: explain::run, seeds: seeds::explain },
];
