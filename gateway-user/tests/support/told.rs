//! What a daemon in this process tells: its notices, and `list lines`.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use gateway_user::{
    control::{
        Answer,
        protocol::{Command, ListKind},
    },
    daemon::Core,
};
use serde_json::Value;

/// The part of a policy that has notices written into the folder.
pub(crate) fn to(dir: &Path) -> String {
    let out = dir.join("notices");
    format!("[notify]\ncommand = [\"/bin/sh\", \"-c\", \"cat >> {0}; echo >> {0}\"]\n", out.display())
}

/// The notices of one kind, once there are so many.
pub(crate) fn told(dir: &Path, kind: &str, count: usize) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let text = fs::read_to_string(dir.join("notices")).unwrap_or_default();
        let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let notices = messages.flat_map(|message| message["notices"].as_array().unwrap().clone());
        let of_kind = notices.filter(|it| it["kind"] == kind);
        let told: Vec<String> = of_kind.map(|it| it["text"].as_str().unwrap().to_owned()).collect();
        if told.len() >= count {
            return told;
        }
        assert!(Instant::now() < end, "{kind}: {told:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// These four fields of each row of `list lines`.
pub(crate) fn lines(core: &mut Core, keys: [&str; 4]) -> Vec<[String; 4]> {
    let command = Command::List { kind: Some(ListKind::Lines), abroad: false };
    let Answer::Lines(lines) = core.handle(command, "owner").0 else { panic!("lines") };
    let rows = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    rows.map(|row| keys.map(|key| row[key].as_str().unwrap_or_default().to_owned())).collect()
}
