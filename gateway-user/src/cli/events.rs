//! `tollgate events`.

use super::{
    Failure, Out, Tone,
    args::{FollowArgs, Places},
    when,
};
use crate::control::{
    client::Client,
    protocol::Command,
    views::{EventView, LostView},
};

pub(super) fn run(args: FollowArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let lines = Client::connect(&places.socket)?.stream(&Command::Events { follow: args.follow })?;
    let mut any = false;
    for line in lines {
        let line = line?;
        any = true;
        if args.json {
            out.json_line(&line)?;
        } else if let Ok(lost) = serde_json::from_str::<LostView>(&line) {
            out.toned(&format!("... {} events were too fast for this terminal ...", lost.lost), Tone::Warn)?;
        } else {
            let event: EventView = serde_json::from_str(&line)?;
            out.toned(&text(&event), Tone::of_verdict(&event.verdict))?;
        }
        if args.follow {
            out.flush()?;
        }
    }
    if args.follow {
        return Err(Failure::NoDaemon("the daemon has stopped; what was in force stays in force".into()));
    }
    if !any && !args.json {
        out.line("no events yet; `tollgate events --follow` waits for them")?;
    }
    Ok(())
}

fn text(event: &EventView) -> String {
    format!(
        "{}  {:10}  {:20}  {:8}  {:2}  {:18}  {} on {}",
        when::shown(event.time),
        event.verdict,
        event.reason,
        event.method.as_deref().unwrap_or("-"),
        event.country.as_deref().unwrap_or("-"),
        event.number.as_deref().unwrap_or("-"),
        event.source,
        event.interface
    )
}
