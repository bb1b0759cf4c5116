//! `tollgate check`.

use super::{Failure, Out, Tone, args::CheckArgs};
use crate::config::{self, Problem};

pub(super) fn run(args: &CheckArgs, out: &mut Out) -> Result<(), Failure> {
    let file = args.file.display();
    match config::load(&args.file) {
        Ok((_, warnings)) => {
            for warning in &warnings {
                show(&warning.0, "warning", Tone::Warn, args.json, out)?;
            }
            if args.json {
                out.json(&serde_json::json!({"ok": true, "file": args.file, "warnings": warnings.len()}))?;
            } else {
                let more = match warnings.len() {
                    0 => String::new(),
                    1 => ", 1 warning".to_owned(),
                    many => format!(", {many} warnings"),
                };
                out.toned(&format!("{file}: would load{more}"), Tone::Good)?;
            }
            Ok(())
        }
        Err(found) => {
            for problem in &found.problems {
                show(problem, "error", Tone::Bad, args.json, out)?;
            }
            let errors = found.problems.len() + found.more;
            if args.json {
                out.json(&serde_json::json!({"ok": false, "file": args.file, "errors": errors}))?;
            }
            let errors = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
            Err(Failure::Refused(format!("{file}: {errors}, so it would not load; what is in force stays")))
        }
    }
}

fn show(problem: &Problem, kind: &str, tone: Tone, json: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        return Ok(out.json(&serde_json::json!({
            "kind": kind,
            "file": problem.file,
            "line": (problem.line > 0).then_some(problem.line),
            "column": (problem.column > 0).then_some(problem.column),
            "message": problem.message,
            "remedy": problem.remedy,
        }))?);
    }
    Ok(out.toned(&format!("{kind}: {problem}"), tone)?)
}
