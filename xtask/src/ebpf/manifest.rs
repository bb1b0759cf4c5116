//! The manifest beside committed objects: what they are, what they were made from, and with which toolchain.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Object, inputs::Inputs};
use crate::tool;

const FILE: &str = "MANIFEST.toml";
const HEADER: &str = "# Written by `cargo xtask ebpf build`. `cargo xtask ebpf check` compares it with the sources, offline;\n\
                      # `cargo xtask ebpf verify` rebuilds the objects. docs/building.md explains both.\n\n";

/// The programs that make an object. Two equal toolchains make the same object from the same sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Toolchain {
    /// `rustc -V`, whole.
    pub(crate) rustc: String,
    /// The LLVM that is part of the compiler.
    pub(crate) rustc_llvm: String,
    /// The version of bpf-linker.
    pub(crate) bpf_linker: String,
    /// The LLVM that the linker uses, where it can be told: a release binary of bpf-linker has its own.
    pub(crate) linker_llvm: String,
    /// Where `core` comes from: `prebuilt`, or `build-std` for a nightly with rust-src.
    pub(crate) core: String,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, LLVM {}, bpf-linker {} (LLVM {}), core {}",
            self.rustc, self.rustc_llvm, self.bpf_linker, self.linker_llvm, self.core
        )
    }
}

/// The content of the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// SHA-256 over the inputs below.
    input_hash: String,
    /// What made the objects.
    pub(crate) toolchain: Toolchain,
    /// SHA-256 of each object, by the name of its file.
    objects: BTreeMap<String, String>,
    /// What the objects were made from.
    inputs: Inputs,
}

impl Manifest {
    /// A manifest of no objects yet.
    pub(crate) fn new(inputs: Inputs, toolchain: Toolchain) -> Self {
        Self { input_hash: inputs.hash(), toolchain, objects: BTreeMap::new(), inputs }
    }

    /// Enters an object.
    pub(crate) fn add(&mut self, object: &Object, content: &[u8]) {
        self.objects.insert(object.file_name().to_owned(), tool::sha256(content));
    }

    /// Reads the manifest of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE);
        toml::from_str(&tool::read_text(&file)?)
            .with_context(|| format!("{} is not a manifest of this version", file.display()))
    }

    /// Writes the manifest of a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let file = folder.join(FILE);
        let text = format!("{HEADER}{}", toml::to_string(self)?);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Every way in which the checkout departs from this manifest.
    pub(crate) fn faults(&self, root: &Path, objects: &[Object], now: &Inputs) -> Vec<String> {
        let mut faults = self.inputs.changes(now);
        if faults.is_empty() && self.input_hash != now.hash() {
            faults.push("the manifest's input hash is not that of the inputs it lists: it was edited by hand".into());
        }
        for object in objects {
            match (self.objects.get(object.file_name()), fs::read(root.join(object.output))) {
                (None, _) => {
                    faults.push(format!("object {} is not in the manifest", object.output));
                }
                (_, Err(error)) => {
                    faults.push(format!("object {} cannot be read: {error}", object.output));
                }
                (Some(hash), Ok(content)) if *hash != tool::sha256(&content) => {
                    faults.push(format!("object {} is not the one that the manifest names", object.output));
                }
                _ => {}
            }
        }
        for name in self.objects.keys().filter(|name| !objects.iter().any(|object| object.file_name() == *name)) {
            faults.push(format!("the manifest names {name}, which nothing builds"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const OBJECT: Object = Object { package: "p", bin: "b", features: &[], output: "out/a.o" };

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("tollgate-manifest-{}-{name}", std::process::id()));
        fs::create_dir_all(dir.join("out")).unwrap();
        dir
    }

    fn toolchain() -> Toolchain {
        let text = String::from;
        Toolchain {
            rustc: text("rustc 1"),
            rustc_llvm: text("22"),
            bpf_linker: text("0.13.0"),
            linker_llvm: text("22"),
            core: text("prebuilt"),
        }
    }

    #[test]
    fn what_is_written_is_read_and_is_without_fault() {
        let root = folder("good");
        fs::write(root.join("out/a.o"), b"code").unwrap();
        let mut manifest = Manifest::new(Inputs::default(), toolchain());
        manifest.add(&OBJECT, b"code");
        manifest.write(&root.join("out")).unwrap();
        let read = Manifest::read(&root.join("out")).unwrap();
        assert_eq!(read.toolchain, toolchain());
        assert!(read.faults(&root, &[OBJECT], &Inputs::default()).is_empty());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_changed_missing_or_unknown_object_is_a_fault() {
        let root = folder("bad");
        let mut manifest = Manifest::new(Inputs::default(), toolchain());
        assert!(manifest.faults(&root, &[OBJECT], &Inputs::default())[0].contains("not in the manifest"));
        manifest.add(&OBJECT, b"code");
        assert!(manifest.faults(&root, &[OBJECT], &Inputs::default())[0].contains("cannot be read"));
        fs::write(root.join("out/a.o"), b"other code").unwrap();
        assert!(manifest.faults(&root, &[OBJECT], &Inputs::default())[0].contains("not the one"));
        assert!(manifest.faults(&root, &[], &Inputs::default())[0].contains("nothing builds"));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_missing_or_foreign_manifest_is_an_error_that_names_it() {
        let root = folder("none");
        assert!(format!("{:#}", Manifest::read(&root.join("out")).unwrap_err()).contains("MANIFEST.toml"));
        fs::write(root.join("out/MANIFEST.toml"), "objects = 3").unwrap();
        assert!(format!("{:#}", Manifest::read(&root.join("out")).unwrap_err()).contains("not a manifest"));
        fs::remove_dir_all(root).unwrap();
    }
}
