//! Every input that a search found worth keeping, every finding and every seed, on stable Rust.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

use std::{
    collections::BTreeSet,
    fs,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use gateway_fuzz::{TARGETS, Target, archive, target};

/// Gives a target its inputs; fails with the name and the octets of each that it does not stand.
fn replay<'a>(target: &Target, inputs: impl Iterator<Item = (String, &'a [u8])>) -> usize {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, input) in inputs {
        count += 1;
        if panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
            wrong.push(format!("{}/{name}: {}", target.name, input.escape_ascii()));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} fail, see above:\n{}", wrong.len(), wrong.join("\n"));
    count
}

#[test]
fn the_committed_corpora() {
    let corpora = archive::read(&archive::path()).expect("the archive is read");
    for target in TARGETS {
        let inputs = corpora.get(target.name).unwrap_or_else(|| panic!("the archive has no inputs of {}", target.name));
        let count = replay(target, inputs.iter().map(|(name, input)| (name.clone(), input.as_slice())));
        assert!(count > 0);
        println!("{}: {count} inputs", target.name);
    }
    for name in corpora.keys() {
        assert!(target(name).is_some(), "the archive has inputs of {name}, which is no target");
    }
}

#[test]
fn the_seeds() {
    for target in TARGETS {
        let seeds = (target.seeds)().expect("the seeds are read");
        let count = replay(target, seeds.iter().enumerate().map(|(i, seed)| (format!("seed {i}"), seed.as_slice())));
        assert!(count > 0, "{} has no seeds", target.name);
    }
}

/// A folder a target, a file a finding; the file `README.md` says of each what it was.
#[test]
fn the_findings() {
    let list = fs::read_to_string(archive::regressions().join("README.md")).expect("the list is read");
    let mut there = BTreeSet::new();
    for target in TARGETS {
        let Ok(folder) = fs::read_dir(archive::regressions().join(target.name)) else { continue };
        for entry in folder {
            let path = entry.expect("the folder is read").path();
            let input = fs::read(&path).expect("the finding is read");
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            replay(target, [(name.clone(), input.as_slice())].into_iter());
            there.insert(format!("{}/{name}", target.name));
        }
    }
    let told: BTreeSet<String> = list
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(path, _)| path.to_owned())
        .collect();
    assert_eq!(there, told, "the findings, and those that {} tells of", Path::new("regressions/README.md").display());
}
