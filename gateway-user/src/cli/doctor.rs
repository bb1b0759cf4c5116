//! `tollgate doctor`.

use super::{
    Failure, Out, Tone,
    args::{DoctorArgs, Places},
    plain,
};
use crate::doctor::{self, Grade};

pub(super) fn run(args: &DoctorArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let checks = doctor::examine(&places.pin_dir, &args.iface);
    for check in &checks {
        if args.json {
            out.json(&serde_json::json!({
                "check": check.name,
                "subject": check.subject,
                "status": check.grade.as_str(),
                "finding": check.finding,
                "remedy": check.remedy,
            }))?;
            continue;
        }
        let tone = match check.grade {
            Grade::Good => Tone::Good,
            Grade::Note => Tone::Warn,
            Grade::Bad => Tone::Bad,
        };
        let subject = check.subject.as_ref().map(|subject| format!("{subject} ")).unwrap_or_default();
        out.toned(&format!("{:4}  {subject}{}: {}", check.grade.as_str(), check.name, check.finding), tone)?;
        if let Some(remedy) = &check.remedy {
            out.facts(&[("    ->", plain(remedy))])?;
        }
    }
    let bad = checks.iter().filter(|check| check.grade == Grade::Bad).count();
    if bad == 0 {
        return Ok(());
    }
    Err(Failure::Refused(format!("{bad} of {} checks found what keeps Tollgate from working", checks.len())))
}
