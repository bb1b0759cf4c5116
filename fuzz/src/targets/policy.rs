//! The policy file.

use std::path::Path;

use gateway_user::config::{self, Problems};

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if reads_lists(text) {
        return;
    }
    match config::parse(text, Some(Path::new("policy.toml")), Path::new("/nonexistent")) {
        Ok((config, warnings)) => {
            assert!(!config.profiles.is_empty() && !config.sip.ports.is_empty(), "a policy that guards nothing");
            for warning in &warnings {
                assert!(!warning.0.message.is_empty() && !warning.0.remedy.is_empty(), "{warning}");
            }
        }
        Err(problems) => check(&problems, &[("policy.toml", text)]),
    }
}

/// Whether the policy may name lists anywhere on this machine; `list` reads them from a folder of its own.
pub(crate) fn reads_lists(text: &str) -> bool {
    text.contains("block_files") && text.contains(['/', '\\'])
}

/// Each problem names a line of one of the files, the cause, and what to write instead.
pub(crate) fn check(problems: &Problems, files: &[(&str, &str)]) {
    assert!(!problems.problems.is_empty(), "refused without a problem");
    for problem in &problems.problems {
        assert!(!problem.message.is_empty() && !problem.remedy.is_empty(), "{problem}");
        let Some((_, text)) = files.iter().find(|(name, _)| *name == problem.file) else {
            panic!("{problem}: nobody knows this file");
        };
        let lines = text.split('\n').count();
        assert!((1..=lines).contains(&problem.line), "{problem}: line {} of {lines}", problem.line);
        assert!(!problem.to_string().contains('\n'), "{problem:?} takes several lines");
    }
}
