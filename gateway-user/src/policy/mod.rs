//! The policy compiler: policy file and orders in, the array that the kernel decides by out.

mod actions;
mod answers;
mod automaton;
mod base;
mod caller;
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
pub use caller::Caller;
pub use compile::{CompileErrors, Compiler, PolicyImage, compile};
pub use decided::decided;
pub use explain::{Holding, explain};
pub use lists::Lists;
pub(crate) use matching::profile_of;
pub(crate) use off::leaves;
pub use rehearse::{Grip, Remembered, rehearse};
