//! The rules of this repository that no compiler checks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{ebpf, tool};

/// A Rust file longer than this is two topics.
const MAX_LINES: usize = 600;
/// Folders at the root that are not part of the sources.
const NOT_SOURCES: [&str; 2] = ["target", ".git"];
/// Words that mark unfinished work, and paths that exist on one machine only. Written in pieces, so that this file passes.
const UNWANTED: [&str; 5] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("/wo", "rk/"), concat!("/tmp/", "wt"), concat!("/tmp/", "tgt")];
/// The commands that a visitor tries first.
const README_COMMANDS: [&str; 2] = ["cargo xtask run", "cargo xtask test"];
/// Where programs are written or loaded.
const NAME_AYA: [&str; 4] =
    ["gateway-user/src/kernel", "gateway-ebpf/", "tests/bench-ebpf/", "tests/src/bench/traffic.rs"];
const REASONS: &str = "gateway-common/src/verdict.rs";
const REASONS_DOC: &str = "docs/reasons.md";

/// Runs `cargo xtask tidy`.
pub(crate) fn run() -> Result<()> {
    let root = tool::root();
    let mut faults = members(&root)?;
    for file in text_files(&root)? {
        let name = file.strip_prefix(&root).unwrap_or(&file).to_string_lossy().into_owned();
        faults.extend(text_faults(&name, &tool::read_text(&file)?));
    }
    faults.extend(reasons(&root)?);
    faults.extend(readme(&tool::read_text(&root.join("README.md")).unwrap_or_default()));
    faults.extend(ebpf::faults(&root)?.into_iter().map(|fault| format!("{fault}: run `cargo xtask ebpf build`")));
    if faults.is_empty() {
        println!("tidy: nothing found");
        return Ok(());
    }
    bail!("tidy:\n  {}", faults.join("\n  "))
}

/// Every member inherits the lints; the crate that users install needs neither a BPF toolchain nor a build script.
fn members(root: &Path) -> Result<Vec<String>> {
    let workspace: toml::Table = parse(&root.join("Cargo.toml"))?;
    let members = workspace.get("workspace").and_then(|table| table.get("members")).and_then(toml::Value::as_array);
    let mut faults = Vec::new();
    for member in members.context("the root Cargo.toml lists no members")? {
        let folder = member.as_str().unwrap_or_default();
        faults.extend(member_faults(folder, &parse(&root.join(folder).join("Cargo.toml"))?));
    }
    if root.join("gateway-user/build.rs").exists() {
        faults.push(
            "gateway-user/build.rs: `cargo install` must need nothing but stable Rust; what it does belongs in xtask"
                .into(),
        );
    }
    Ok(faults)
}

fn member_faults(folder: &str, manifest: &toml::Table) -> Vec<String> {
    let mut faults = Vec::new();
    let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
    if inherits != Some(true) {
        faults.push(format!(
            "{folder}/Cargo.toml: write `[lints]` and `workspace = true`, else no lint of the workspace holds there"
        ));
    }
    if folder == "gateway-user"
        && ["dependencies", "build-dependencies"]
            .iter()
            .any(|kind| manifest.get(*kind).is_some_and(|table| table.get("gateway-ebpf").is_some()))
    {
        faults.push(
            "gateway-user/Cargo.toml: gateway-ebpf must not be a dependency; the committed object is embedded instead"
                .into(),
        );
    }
    faults
}

fn parse(file: &Path) -> Result<toml::Table> {
    toml::from_str(&tool::read_text(file)?).with_context(|| format!("cannot parse {}", file.display()))
}

/// The files that people write, below every folder but those that are not sources.
fn text_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root).with_context(|| format!("cannot list {}", root.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_dir() && !NOT_SOURCES.iter().any(|folder| name == *folder) {
            files.extend(tool::files_below(&entry.path())?);
        } else if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.retain(|file| {
        file.extension().is_some_and(|extension| {
            ["rs", "md", "toml", "sh", "yml", "service"].iter().any(|wanted| extension == *wanted)
        })
    });
    files.sort();
    Ok(files)
}

fn text_faults(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let rust = Path::new(name).extension().is_some_and(|extension| extension == "rs");
    let lines = text.lines().count();
    if rust && lines > MAX_LINES {
        faults.push(format!(
            "{name}: {lines} lines; more than {MAX_LINES} in one file hide what is where: split it by topic"
        ));
    }
    let may_name_aya = !rust || NAME_AYA.iter().any(|folder| name.starts_with(folder));
    for (number, line) in text.lines().enumerate() {
        for word in UNWANTED.iter().filter(|word| contains_word(line, word)) {
            faults.push(format!("{name}:{}: `{word}` must not be committed", number + 1));
        }
        if !may_name_aya && contains_word(line, concat!("aya", "::")) {
            faults.push(format!(
                "{name}:{}: only gateway-user/src/kernel and the traffic of bench name aya, so that one folder knows how programs are loaded",
                number + 1
            ));
        }
    }
    faults
}

/// Whether the line contains the word, and not as the end of a longer one.
fn contains_word(line: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let starts_with_letter = word.starts_with(is_letter);
    line.match_indices(word).any(|(at, _)| !(starts_with_letter && line[..at].ends_with(is_letter)))
}

/// Every reason that a verdict can have is explained to operators.
fn reasons(root: &Path) -> Result<Vec<String>> {
    let names = reason_names(&tool::read_text(&root.join(REASONS))?);
    if names.is_empty() {
        bail!("{REASONS}: no reason found in the table `reasons!`: bring xtask/src/tidy.rs up to date with its form");
    }
    let doc = tool::read_text(&root.join(REASONS_DOC)).unwrap_or_default();
    Ok(names
        .iter()
        .filter(|name| !doc.contains(&format!("`{name}`")))
        .map(|name| format!("{REASONS_DOC}: `{name}` is not explained there"))
        .collect())
}

/// The names in lines such as `NotSip = 0, "not-sip", pass;`.
fn reason_names(source: &str) -> Vec<String> {
    let table = source.split_once("\nreasons! {").map_or("", |(_, table)| table);
    let table = table.split_once("\n}").map_or(table, |(table, _)| table);
    let rows = table.lines().map(str::trim).filter(|line| !line.starts_with("//") && line.ends_with(';'));
    rows.filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

fn readme(text: &str) -> Vec<String> {
    let missing = README_COMMANDS.iter().filter(|command| !text.contains(**command));
    missing.map(|command| format!("README.md: `{command}` is not shown there")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_without_the_lints_is_found() {
        let good = toml::from_str("[lints]\nworkspace = true").unwrap();
        assert!(member_faults("tests", &good).is_empty());
        let bad = toml::from_str("[package]\nname = \"x\"").unwrap();
        assert_eq!(member_faults("tests", &bad).len(), 1);
    }

    #[test]
    fn the_installed_crate_may_not_depend_on_the_bpf_crate() {
        let manifest =
            toml::from_str("[lints]\nworkspace = true\n[dependencies]\ngateway-ebpf.workspace = true").unwrap();
        assert!(member_faults("gateway-user", &manifest)[0].contains("gateway-ebpf"));
        assert!(member_faults("tests", &manifest).is_empty());
    }

    #[test]
    fn unfinished_work_machine_paths_and_long_files_are_found() {
        let text = format!("fine\n// {}: later\nlet p = \"{}x\";\n", UNWANTED[0], UNWANTED[2]);
        let faults = text_faults("xtask/src/a.rs", &text);
        assert!(faults.len() == 2 && faults[0].contains("a.rs:2") && faults[1].contains("a.rs:3"), "{faults:?}");
        assert!(text_faults("a.rs", &"x\n".repeat(MAX_LINES)).is_empty());
        assert_eq!(text_faults("a.rs", &"x\n".repeat(MAX_LINES + 1)).len(), 1);
        assert!(text_faults("a.md", &"x\n".repeat(MAX_LINES + 1)).is_empty());
    }

    #[test]
    fn aya_is_named_in_one_folder_only() {
        let line = format!("use {}maps::Array;\n", concat!("aya", "::"));
        assert_eq!(text_faults("gateway-user/src/daemon.rs", &line).len(), 1);
        assert!(text_faults("gateway-user/src/kernel/maps.rs", &line).is_empty());
        assert!(text_faults("gateway-ebpf/src/main.rs", &line).is_empty());
        assert!(text_faults("docs/a.md", &line).is_empty());
        assert!(text_faults("gateway-user/src/daemon.rs", "use malaya::x;").is_empty());
    }

    #[test]
    fn names_of_reasons_come_from_the_table_alone() {
        let source = "macro_rules! reasons { () => { \"no\"; } }\nreasons! {\n    /// Doc \"quoted\";\n    NotSip = 0, \"not-sip\", pass;\n\n    \
                      Banned = 43, \"banned\", stop;\n}\nconst X: &str = \"other\";\n";
        assert_eq!(reason_names(source), ["not-sip", "banned"]);
        let names = reason_names(&tool::read_text(&tool::root().join(REASONS)).unwrap());
        assert!(names.len() >= 30 && names.contains(&"fragment-short".to_owned()), "{names:?}");
    }

    #[test]
    fn a_readme_without_the_commands_is_found() {
        assert!(readme("Try `cargo xtask run`, then `cargo xtask test`.").is_empty());
        assert_eq!(readme("Try `cargo xtask run`."), ["README.md: `cargo xtask test` is not shown there"]);
    }
}
