//! `tollgate detach`.

use jiff::Timestamp;

use super::{
    Failure, Out,
    args::{JsonArgs, Places},
    ask, order,
};
use crate::{
    control::{client::ClientError, protocol::Command, views::ChangedView},
    daemon::forget_former,
    kernel,
};

pub(super) fn run(args: JsonArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let since = Timestamp::now();
    let answer = ask(places, &Command::Detach {});
    // What filters is in the kernel, and does not need a daemon that answers to be taken out of it.
    let warning = match &answer {
        Err(ClientError::NoDaemon { .. }) => None,
        Err(error @ ClientError::Broken { .. }) => Some(format!("{error}; it still runs and filters nothing")),
        _ => return order::show(answer, args.json, out),
    };
    let interfaces = kernel::detach(&places.pin_dir).map_err(|error| Failure::of(&error))?;
    if interfaces.is_empty() {
        return order::show(answer, args.json, out);
    }
    // As where the daemon does it: whoever starts again after this means the file.
    let left = forget_former(&places.state_dir).err().map(|error| {
        format!(
            "a former policy in {} cannot be removed: {error}; the next start goes back to it",
            places.state_dir.display()
        )
    });
    let view = ChangedView {
        ok: true,
        order: None,
        generation: None,
        done: format!("detach {} without the daemon", interfaces.join(" ")),
        since,
        in_force: Timestamp::now(),
        expires: None,
        confirm: None,
        receipt: None,
        overridden_by: Vec::new(),
        warnings: warning.into_iter().chain(left).collect(),
        undo: Some("tollgate run".into()),
    };
    order::show(Ok(view), args.json, out)
}
