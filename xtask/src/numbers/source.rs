//! Where the metadata comes from: the package `phonenumber` of crates.io, which ships libphonenumber's XML files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

/// The package, pinned: the tables change when this line does.
const PACKAGE: &str = "phonenumber";
const VERSION: &str = "=0.3.10";

/// The folder with the XML files, and the version to name in the tables.
pub(super) struct Source {
    /// The folder.
    pub(super) dir: PathBuf,
    /// Such as `libphonenumber 9.0.33 (from crates.io phonenumber 0.3.10)`.
    pub(super) version: String,
}

impl Source {
    /// The package's `assets` in Cargo's cache, fetched if need be, or `dir`.
    pub(super) fn locate(dir: Option<&Path>) -> Result<Self> {
        let dir = match dir {
            Some(dir) => dir.to_owned(),
            None => fetch()?,
        };
        let version = version(&dir)?;
        Ok(Self { dir, version })
    }
}

/// Lets Cargo fetch and verify the package, by way of an empty project that depends on it.
fn fetch() -> Result<PathBuf> {
    let project = tempfile::tempdir().context("cannot make a temporary folder")?;
    let manifest = project.path().join("Cargo.toml");
    fs::write(
        &manifest,
        format!(
            "[package]\nname = \"numbers-source\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{PACKAGE} = \"{VERSION}\"\n"
        ),
    )?;
    fs::create_dir(project.path().join("src"))?;
    fs::write(project.path().join("src/lib.rs"), "")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output =
        Command::new(cargo).args(["metadata", "--format-version", "1", "--manifest-path"]).arg(&manifest).output();
    let output = output.context("cannot run cargo")?;
    if !output.status.success() {
        bail!(
            "cargo could not fetch {PACKAGE} {VERSION}: {}\nwithout a network, name a folder that holds PhoneNumberMetadata.xml and ShortNumberMetadata.xml with --metadata DIR",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let graph: serde_json::Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = graph["packages"].as_array().context("cargo metadata names no packages")?;
    let package = packages
        .iter()
        .find(|package| package["name"] == PACKAGE)
        .with_context(|| format!("cargo metadata does not name {PACKAGE}"))?;
    let manifest = package["manifest_path"].as_str().context("cargo metadata gives no path")?;
    Ok(Path::new(manifest).with_file_name("assets"))
}

/// The version, from the package's manifest above `dir`, or from a file `VERSION` in it.
fn version(dir: &Path) -> Result<String> {
    if let Ok(text) = fs::read_to_string(dir.join("VERSION")) {
        return Ok(format!("libphonenumber {}", text.trim()));
    }
    let manifest = dir.join("../Cargo.toml");
    let missing =
        || format!("cannot tell the version of the metadata in {0}: write it into {0}/VERSION", dir.display());
    let text = fs::read_to_string(&manifest).with_context(missing)?;
    let manifest: toml::Value = toml::from_str(&text).with_context(missing)?;
    let version = manifest.get("package").and_then(|package| package.get("version")).and_then(toml::Value::as_str);
    let (package, metadata) = version.and_then(|version| version.split_once('+')).with_context(missing)?;
    Ok(format!("libphonenumber {metadata} (from crates.io {PACKAGE} {package})"))
}
