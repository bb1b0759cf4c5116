//! What an object is made from, without asking cargo: sources, the resolved closure of its dependencies, settings.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use super::{Object, compiler};
use crate::tool;

/// Everything that decides what an object contains, the toolchain apart. Each entry is a name and what stands for its content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    /// Flags, profile, edition, and what the workspace says about direct dependencies.
    settings: BTreeMap<String, String>,
    /// Name and version of every crate in the closure, with the checksum of the lock file.
    dependencies: BTreeMap<String, String>,
    /// Every source file, with its SHA-256.
    sources: BTreeMap<String, String>,
}

impl Inputs {
    /// Reads the inputs of these objects from the checkout.
    pub(crate) fn collect(root: &Path, objects: &[Object]) -> Result<Self> {
        let workspace: Workspace = parse(&root.join("Cargo.toml"))?;
        let members = members(root, &workspace)?;
        let lock: Lock = parse(&root.join("Cargo.lock"))?;
        let mut inputs = Self { settings: compiler::settings(), ..Self::default() };
        inputs.settings.insert("edition".into(), workspace.edition());
        for object in objects {
            inputs.settings.insert(
                format!("object {}", object.file_name()),
                format!("{} {} {}", object.package, object.bin, object.features.join(",")),
            );
            inputs.add_package(root, &workspace, &members, &lock, object.package)?;
        }
        Ok(inputs)
    }

    fn add_package(
        &mut self,
        root: &Path,
        workspace: &Workspace,
        members: &BTreeMap<String, Member>,
        lock: &Lock,
        package: &str,
    ) -> Result<()> {
        for package in lock.closure(package, members)? {
            let Some(member) = members.get(&package.name) else {
                self.dependencies.insert(
                    format!("{} {}", package.name, package.version),
                    package.checksum.clone().unwrap_or_default(),
                );
                continue;
            };
            for name in &member.dependencies {
                if let Some(spec) = workspace.workspace.dependencies.get(name) {
                    self.settings.insert(format!("dependency {name}"), spec.to_string());
                }
            }
            let dir = root.join(&member.folder);
            let mut files = tool::files_below(&dir.join("src"))?;
            files.push(dir.join("Cargo.toml"));
            files.extend(Some(dir.join("build.rs")).filter(|file| file.exists()));
            for file in files {
                let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
                self.sources.insert(name, tool::sha256(&tool::read(&file)?));
            }
        }
        Ok(())
    }

    /// One hash over all of it.
    pub(crate) fn hash(&self) -> String {
        let mut text = String::new();
        for (kind, entries) in self.parts() {
            for (name, value) in entries {
                let _ = writeln!(text, "{kind}\t{name}\t{value}");
            }
        }
        tool::sha256(text.as_bytes())
    }

    /// One line for each entry that `now` has changed, added or removed.
    pub(crate) fn changes(&self, now: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for ((kind, then), (_, now)) in self.parts().into_iter().zip(now.parts()) {
            let names: BTreeSet<_> = then.keys().chain(now.keys()).collect();
            for name in names {
                match (then.get(name), now.get(name)) {
                    (Some(a), Some(b)) if a == b => {}
                    (Some(_), Some(_)) => lines.push(format!("{kind} {name} changed")),
                    (None, _) => lines.push(format!("{kind} {name} is new")),
                    (_, None) => lines.push(format!("{kind} {name} is gone")),
                }
            }
        }
        lines
    }

    fn parts(&self) -> [(&'static str, &BTreeMap<String, String>); 3] {
        [("setting", &self.settings), ("dependency", &self.dependencies), ("source", &self.sources)]
    }
}

fn parse<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    toml::from_str(&tool::read_text(file)?).with_context(|| format!("cannot parse {}", file.display()))
}

/// The part of the root Cargo.toml that matters here.
#[derive(Deserialize)]
struct Workspace {
    workspace: WorkspaceTable,
}

#[derive(Deserialize)]
struct WorkspaceTable {
    members: Vec<String>,
    #[serde(default)]
    package: toml::Table,
    #[serde(default)]
    dependencies: toml::Table,
}

impl Workspace {
    fn edition(&self) -> String {
        self.workspace.package.get("edition").map(ToString::to_string).unwrap_or_default()
    }
}

/// A member of the workspace.
struct Member {
    folder: String,
    /// Names of the crates that its build may use: not those of its tests.
    dependencies: BTreeSet<String>,
}

fn members(root: &Path, workspace: &Workspace) -> Result<BTreeMap<String, Member>> {
    let mut members = BTreeMap::new();
    for folder in &workspace.workspace.members {
        let manifest: toml::Table = parse(&root.join(folder).join("Cargo.toml"))?;
        let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
        let name = name.with_context(|| format!("{folder}/Cargo.toml names no package"))?;
        members.insert(name.to_owned(), Member { folder: folder.clone(), dependencies: build_dependencies(&manifest) });
    }
    Ok(members)
}

/// The crates that a manifest names outside `dev-dependencies`, under every target.
fn build_dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = std::iter::once(manifest)
        .chain(targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table));
    let mut names = BTreeSet::new();
    for table in tables {
        for kind in ["dependencies", "build-dependencies"] {
            for (key, spec) in table.get(kind).and_then(toml::Value::as_table).into_iter().flatten() {
                let renamed = spec.get("package").and_then(toml::Value::as_str);
                names.insert(renamed.unwrap_or(key).to_owned());
            }
        }
    }
    names
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Lock {
    /// The package and everything that building it may use, in name order.
    fn closure(&self, name: &str, members: &BTreeMap<String, Member>) -> Result<BTreeSet<&Package>> {
        let mut found = BTreeSet::new();
        let mut waiting = vec![self.find(name)?];
        while let Some(package) = waiting.pop() {
            if !found.insert(package) {
                continue;
            }
            for reference in &package.dependencies {
                let dependency = self.find(reference)?;
                let wanted =
                    members.get(&package.name).is_none_or(|member| member.dependencies.contains(&dependency.name));
                if wanted {
                    waiting.push(dependency);
                }
            }
        }
        Ok(found)
    }

    /// The package behind a reference of the lock file: `name`, `name version` or `name version (source)`.
    fn find(&self, reference: &str) -> Result<&Package> {
        let mut words = reference.split(' ');
        let name = words.next().unwrap_or_default();
        let version = words.next();
        self.package
            .iter()
            .find(|package| package.name == name && version.is_none_or(|version| package.version == version))
            .ok_or_else(|| {
                anyhow!("Cargo.lock has no package {reference}: run `cargo metadata` to bring it up to date")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4
[[package]]
name = "prog"
version = "0.1.0"
dependencies = ["common", "bpf 2.0.0", "harness"]
[[package]]
name = "common"
version = "0.1.0"
dependencies = ["proptest"]
[[package]]
name = "bpf"
version = "1.0.0"
checksum = "one"
[[package]]
name = "bpf"
version = "2.0.0"
checksum = "two"
dependencies = ["bindings"]
[[package]]
name = "bindings"
version = "0.5.0"
checksum = "bind"
dependencies = ["bpf 2.0.0"]
[[package]]
name = "proptest"
version = "1.0.0"
[[package]]
name = "harness"
version = "1.0.0"
[[package]]
name = "tokio"
version = "1.0.0"
"#;

    fn member(folder: &str, dependencies: &[&str]) -> Member {
        Member { folder: folder.into(), dependencies: dependencies.iter().map(ToString::to_string).collect() }
    }

    fn two_members() -> BTreeMap<String, Member> {
        BTreeMap::from([
            ("prog".to_owned(), member("prog", &["common", "bpf"])),
            ("common".to_owned(), member("common", &[])),
        ])
    }

    #[test]
    fn closure_follows_versions_and_cycles_and_leaves_out_test_dependencies() {
        let lock: Lock = toml::from_str(LOCK).unwrap();
        let names: Vec<_> = lock
            .closure("prog", &two_members())
            .unwrap()
            .into_iter()
            .map(|p| format!("{} {}", p.name, p.version))
            .collect();
        assert_eq!(names, ["bindings 0.5.0", "bpf 2.0.0", "common 0.1.0", "prog 0.1.0"]);
    }

    #[test]
    fn a_lock_file_without_the_package_is_refused() {
        let lock: Lock = toml::from_str(LOCK).unwrap();
        assert!(lock.closure("nobody", &two_members()).unwrap_err().to_string().contains("nobody"));
        let broken: Lock =
            toml::from_str("[[package]]\nname = \"prog\"\nversion = \"1.0.0\"\ndependencies = [\"lost\"]").unwrap();
        assert!(broken.closure("prog", &BTreeMap::new()).unwrap_err().to_string().contains("lost"));
    }

    #[test]
    fn dependencies_of_every_target_count_and_those_of_tests_do_not() {
        let manifest = toml::from_str(
            "[dependencies]\na.workspace = true\n[dev-dependencies]\nb = \"1\"\n[build-dependencies]\nc = \"1\"\n\
             [target.'cfg(target_arch = \"bpf\")'.dependencies]\nd = { package = \"real-d\", version = \"1\" }",
        )
        .unwrap();
        assert_eq!(build_dependencies(&manifest).into_iter().collect::<Vec<_>>(), ["a", "c", "real-d"]);
    }

    #[test]
    fn every_kind_of_change_moves_the_hash_and_is_named() {
        let entry = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let then = Inputs {
            settings: entry("flags", "1"),
            dependencies: entry("bpf 1.0.0", "x"),
            sources: entry("src/a.rs", "x"),
        };
        assert_eq!(then.hash(), then.clone().hash());
        assert!(then.changes(&then).is_empty());

        let flags = Inputs { settings: entry("flags", "2"), ..then.clone() };
        assert_ne!(flags.hash(), then.hash());
        assert_eq!(then.changes(&flags), ["setting flags changed"]);

        let updated = Inputs { dependencies: entry("bpf 1.0.1", "x"), ..then.clone() };
        assert_ne!(updated.hash(), then.hash());
        assert_eq!(then.changes(&updated), ["dependency bpf 1.0.0 is gone", "dependency bpf 1.0.1 is new"]);

        let edited = Inputs { sources: entry("src/a.rs", "y"), ..then.clone() };
        assert_ne!(edited.hash(), then.hash());
        assert_eq!(then.changes(&edited), ["source src/a.rs changed"]);
    }

    #[test]
    fn the_checkout_itself_has_the_expected_inputs() {
        let inputs = Inputs::collect(&tool::root(), super::super::OBJECTS).unwrap();
        assert!(inputs.sources.contains_key("gateway-common/src/lib.rs"));
        assert!(inputs.sources.contains_key("gateway-ebpf/Cargo.toml"));
        assert!(inputs.dependencies.keys().any(|name| name.starts_with("aya-ebpf ")));
        assert!(!inputs.dependencies.keys().any(|name| name.starts_with("tokio ")));
        assert!(inputs.settings.contains_key("dependency aya-ebpf"));
        assert!(!inputs.sources.keys().any(|name| name.starts_with("gateway-user")));
    }
}
