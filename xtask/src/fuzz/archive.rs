//! The committed corpora: one archive, in it a folder a target.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use flate2::{Compression, GzBuilder, read::GzDecoder};

use crate::tool;

/// The archive stays smaller than this.
const LARGEST: usize = 3 << 20;

/// Inputs by target, each target's in the order of the archive.
type Corpora = BTreeMap<String, Vec<Vec<u8>>>;

fn path() -> PathBuf {
    tool::root().join("fuzz/corpora.tar.gz")
}

/// Puts a target's committed inputs into `folder`, beside what is there.
pub(crate) fn unpack(target: &str, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (number, input) in read()?.remove(target).unwrap_or_default().iter().enumerate() {
        let file = folder.join(format!("committed-{number:05}"));
        fs::write(&file, input).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Makes the files of `folder` the inputs of a target.
pub(crate) fn replace(target: &str, folder: &Path) -> Result<()> {
    let mut inputs = Vec::new();
    for file in tool::files_below(folder)? {
        inputs.push(tool::read(&file)?);
    }
    // The engine's names are digests, of which nothing is left after compression; the shortest first tells more.
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    let mut corpora = read()?;
    corpora.insert(target.to_owned(), inputs);
    let packed = pack(&corpora)?;
    if packed.len() > LARGEST {
        bail!("the archive would have {} octets; it stays below {LARGEST}", packed.len());
    }
    fs::write(path(), packed).with_context(|| format!("cannot write {}", path().display()))
}

/// What the archive holds, a line a target.
pub(crate) fn summary() -> Result<String> {
    let octets = fs::metadata(path()).with_context(|| format!("cannot read {}", path().display()))?.len();
    let rows = read()?.into_iter().map(|(target, inputs)| format!("{:>6}  {target}\n", inputs.len()));
    Ok(format!("{}{octets} octets", rows.collect::<String>()))
}

fn read() -> Result<Corpora> {
    let mut corpora = Corpora::new();
    if !path().exists() {
        return Ok(corpora);
    }
    let file = File::open(path()).with_context(|| format!("cannot read {}", path().display()))?;
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let damaged = || format!("{} is damaged: check it out again", path().display());
    for entry in archive.entries().with_context(damaged)? {
        let mut entry = entry.with_context(damaged)?;
        let name = entry.path().with_context(damaged)?.into_owned();
        let mut input = Vec::new();
        entry.read_to_end(&mut input).with_context(damaged)?;
        if let Some(target) = name.parent() {
            corpora.entry(target.to_string_lossy().into_owned()).or_default().push(input);
        }
    }
    Ok(corpora)
}

/// The archive's octets: the same for the same inputs, whoever makes it.
fn pack(corpora: &Corpora) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzBuilder::new().write(Vec::new(), Compression::best()));
    for (target, inputs) in corpora {
        for (number, input) in inputs.iter().enumerate() {
            let mut header = tar::Header::new_ustar();
            header.set_size(input.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("{target}/{number:05}"), input.as_slice())?;
        }
    }
    Ok(archive.into_inner()?.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_there_again_and_packs_to_the_same() {
        let corpora = Corpora::from([
            ("wire".to_owned(), vec![vec![], vec![0; 1000]]),
            ("what".to_owned(), vec![b"+1".to_vec()]),
        ]);
        let packed = pack(&corpora).unwrap();
        assert_eq!(pack(&corpora).unwrap(), packed);
        let mut names = Vec::new();
        for entry in tar::Archive::new(GzDecoder::new(packed.as_slice())).entries().unwrap() {
            let entry = entry.unwrap();
            names.push((entry.path().unwrap().display().to_string(), entry.size()));
        }
        let names: Vec<_> = names.iter().map(|(name, size)| (name.as_str(), *size)).collect();
        assert_eq!(names, [("what/00000", 2), ("wire/00000", 0), ("wire/00001", 1000)]);
    }
}
