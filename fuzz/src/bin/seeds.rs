//! Writes what each target begins with into a folder a target: `fuzz-seeds FOLDER`.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).context("write `fuzz-seeds FOLDER`")?);
    for target in gateway_fuzz::TARGETS {
        let into = folder.join(target.name);
        fs::create_dir_all(&into).with_context(|| format!("cannot make {}", into.display()))?;
        for (number, seed) in (target.seeds)()?.into_iter().enumerate() {
            let file = into.join(format!("seed-{number:04}"));
            fs::write(&file, seed).with_context(|| format!("cannot write {}", file.display()))?;
        }
        println!("{}", target.name);
    }
    Ok(())
}
