//! `tollgate answer`.

use clap::{Args, ValueEnum};

use super::{Failure, Out, args::Places, ask, order};
use crate::control::protocol::Command;

/// `answer`.
#[derive(Clone, Copy, Debug, Args)]
pub struct AnswerArgs {
    /// Number of the question, as the notice and `tollgate status` show it
    #[arg(value_name = "N")]
    pub question: u64,
    /// What becomes of the calls
    #[arg(value_enum)]
    pub answer: Answer,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What becomes of the calls that a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Answer {
    /// They go on
    Keep,
    /// They are stopped
    Stop,
}

pub(super) fn run(args: AnswerArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let command = Command::Answer { question: args.question, keep: args.answer == Answer::Keep };
    order::show(ask(places, &command), args.json, out)
}
