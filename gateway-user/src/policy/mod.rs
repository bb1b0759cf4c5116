//! The policy compiler: policy file and orders in, the array that the kernel decides by out.

mod actions;
mod answers;
mod automaton;
mod base;
mod cells;
pub(crate) mod charged;
mod compile;
mod decided;
mod explain;
pub mod floor;
pub(crate) mod limits;
mod lines;
mod lists;
mod matching;
mod off;
mod overlay;
mod plan;
mod rehearse;
mod say;
mod scopes;
mod short;
mod sources;
mod trie;

pub(crate) use answers::Answers;
pub use compile::{CompileErrors, Compiler, PolicyImage, compile};
pub use decided::decided;
pub(crate) use explain::explain_summed;
pub use explain::{OfLine, explain, explain_line};
pub use lists::Lists;
pub(crate) use matching::profile_of;
pub(crate) use off::leaves;
pub use rehearse::{Grip, Remembered, rehearse};
