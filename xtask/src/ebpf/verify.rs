//! Rebuilds the committed objects: the same toolchain must make the same code, another must pass the same tests.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result, bail};

use super::{
    Object, bpf_target_dir,
    compiler::{self, Compiler},
    folders,
    manifest::Manifest,
    objects_in,
};
use crate::{test, tool};

/// How many differing lines are shown.
const SHOWN: usize = 10;

/// Verifies every committed object.
pub(crate) fn run(root: &Path, toolchain: Option<&str>) -> Result<()> {
    super::check(root)?;
    let compiler = Compiler::find(toolchain)?;
    let dir = bpf_target_dir(root).join("verify");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for folder in folders() {
        let manifest = Manifest::read(&root.join(folder))?;
        let same = manifest.toolchain == *compiler.identity();
        if !same {
            println!(
                "ebpf verify: the toolchain here is not the manifest's, so code is not compared; every kernel test runs on the rebuilt object"
            );
            println!("  manifest: {}\n  here:     {}", manifest.toolchain, compiler.identity());
        }
        for object in objects_in(folder) {
            let rebuilt = dir.join(object.file_name());
            fs::write(&rebuilt, compiler.build(root, &object)?)
                .with_context(|| format!("cannot write {}", rebuilt.display()))?;
            if same {
                compare(root, &object, &rebuilt)?;
            } else if object == super::OBJECTS[0] {
                run_tests(&rebuilt)?;
            }
        }
    }
    Ok(())
}

fn compare(root: &Path, object: &Object, rebuilt: &Path) -> Result<()> {
    let committed = root.join(object.output);
    if tool::read(&committed)? == tool::read(rebuilt)? {
        println!("ebpf verify: {} is what its sources make, octet for octet", object.output);
        return Ok(());
    }
    let difference = first_difference(&content(&committed)?, &content(rebuilt)?);
    if let Some(difference) = difference {
        bail!(
            "{} is not what its sources make with the manifest's toolchain (- committed, + rebuilt):\n{difference}",
            object.output
        );
    }
    println!("ebpf verify: {} holds the code that its sources make; only debug information differs", object.output);
    Ok(())
}

/// What the kernel would be given: code with its relocations, and data.
fn content(object: &Path) -> Result<Vec<String>> {
    let mut lines = normal(&compiler::disassembly(object)?);
    lines.extend(normal(&compiler::data(object)?));
    Ok(lines)
}

/// Runs the tests on the rebuilt object; as root none of those that need the kernel may be skipped. All packages are
/// named, so that what was compiled for the tests of the committed object serves again.
fn run_tests(rebuilt: &Path) -> Result<()> {
    if !tool::is_root() {
        bail!("the tests of the rebuilt object need root: run `cargo xtask ebpf verify` as root");
    }
    let report = test::run_tests(&[], Some(rebuilt))?;
    if report.failed > 0 || report.passed == 0 {
        bail!(
            "the object that this toolchain makes is not good: {} tests passed, {} failed",
            report.passed,
            report.failed
        );
    }
    println!("ebpf verify: the rebuilt object passes {} tests", report.passed);
    Ok(())
}

/// A disassembly without what may differ between two builds of the same code: the file's name and the hashes in symbols.
fn normal(disassembly: &str) -> Vec<String> {
    let lines = disassembly.lines().filter(|line| !line.contains("file format"));
    lines.map(without_symbol_hashes).collect()
}

fn without_symbol_hashes(line: &str) -> String {
    let mut text = line.to_owned();
    let mut from = 0;
    while let Some(at) = text[from..].find("17h").map(|at| at + from + 3) {
        let hash = text[at..].bytes().take_while(u8::is_ascii_hexdigit).count();
        if hash >= 16 {
            text.replace_range(at..at + 16, "");
        }
        from = at;
    }
    text
}

/// The first lines that differ, with the line before them; `None` where there is no difference.
fn first_difference(committed: &[String], rebuilt: &[String]) -> Option<String> {
    let length = committed.len().max(rebuilt.len());
    let mut differing = (0..length).filter(|&line| committed.get(line) != rebuilt.get(line)).peekable();
    let first = *differing.peek()?;
    let mut text = String::new();
    if let Some(before) = first.checked_sub(1).and_then(|line| committed.get(line)) {
        let _ = writeln!(text, "  line {first}: {}", before.trim_end());
    }
    for line in differing.take(SHOWN) {
        for (sign, side) in [('-', committed), ('+', rebuilt)] {
            if let Some(line) = side.get(line) {
                let _ = writeln!(text, "{sign} {}", line.trim_end());
            }
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str =
        "\na.o:\tfile format elf64-bpf\n\n<sip>:\n 0: r0 = 1\n 1: call _ZN4core3ptr17h0123456789abcdefE\n 2: exit\n";

    #[test]
    fn file_names_and_symbol_hashes_are_no_difference() {
        let other = CODE.replace("a.o", "elsewhere/b.o").replace("0123456789abcdef", "fedcba9876543210");
        assert_eq!(first_difference(&normal(CODE), &normal(&other)), None);
    }

    #[test]
    fn another_instruction_is_shown_with_its_place() {
        let text = first_difference(&normal(CODE), &normal(&CODE.replace("r0 = 1", "r0 = 2"))).unwrap();
        assert!(text.contains("<sip>:") && text.contains("-  0: r0 = 1") && text.contains("+  0: r0 = 2"), "{text}");
    }

    #[test]
    fn a_longer_or_shorter_program_is_a_difference() {
        let longer = format!("{CODE} 3: exit\n");
        assert!(first_difference(&normal(CODE), &normal(&longer)).unwrap().contains("+  3: exit"));
        assert!(first_difference(&normal(&longer), &normal(CODE)).unwrap().contains("-  3: exit"));
        assert!(first_difference(&[], &normal(CODE)).is_some());
    }

    #[test]
    fn short_or_unfinished_hashes_are_left_alone() {
        assert_eq!(without_symbol_hashes("x17h12"), "x17h12");
        assert_eq!(without_symbol_hashes("17h17h0123456789abcdefE17h"), "17h17hE17h");
    }
}
