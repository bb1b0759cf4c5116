//! The BPF objects that are committed: build them, check that they are fresh, verify them by a rebuild, read them.

mod compiler;
mod inputs;
mod manifest;
mod verify;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

pub(crate) use self::compiler::{BPF_LINKER, LLVM_MAJOR, LLVM_PREFIX, a_compiler_is_here};
use self::{compiler::Compiler, inputs::Inputs, manifest::Manifest};
use crate::tool;

/// One committed object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// The package that holds the program.
    package: &'static str,
    /// Its bin target.
    bin: &'static str,
    /// The package's features that are switched on.
    features: &'static [&'static str],
    /// Where the object is committed, from the root of the repository. A manifest lies beside it.
    output: &'static str,
}

/// Every committed object. The first is the one that the product runs.
pub(crate) const OBJECTS: &[Object] = &[
    Object { package: "gateway-ebpf", bin: "gateway", features: &[], output: "gateway-user/ebpf/tollgate.bpfel.o" },
    Object {
        package: "gateway-ebpf",
        bin: "gateway",
        features: &["trace"],
        output: "gateway-user/ebpf/tollgate-trace.bpfel.o",
    },
    Object { package: "bench-ebpf", bin: "traffic", features: &[], output: "tests/ebpf/traffic.bpfel.o" },
];

impl Object {
    fn file_name(&self) -> &'static str {
        self.output.rsplit('/').next().unwrap_or(self.output)
    }

    fn folder(&self) -> &'static str {
        self.output.rsplit_once('/').map_or(".", |(folder, _)| folder)
    }
}

/// What to do with the objects.
#[derive(clap::Subcommand)]
pub(crate) enum Task {
    /// Builds the objects and writes them, with their manifest, where they are committed.
    Build {
        /// Build with this rustup toolchain (it needs the component rust-src) even where Debian's compiler is installed.
        #[arg(long, value_name = "NAME")]
        toolchain: Option<String>,
    },
    /// Fails when a committed object is older than its sources. Needs neither network nor BPF toolchain.
    Check,
    /// Rebuilds the objects and compares their code with the committed ones.
    ///
    /// Where the toolchain is not the one that the manifest names, the code may differ; then every kernel test is run
    /// on the rebuilt object instead.
    Verify {
        /// Build with this rustup toolchain even where Debian's compiler is installed.
        #[arg(long, value_name = "NAME")]
        toolchain: Option<String>,
    },
    /// Prints the code of a committed object, with its relocations.
    Disasm {
        /// The object, by the name of its file.
        #[arg(default_value = "tollgate.bpfel.o")]
        object: String,
    },
}

/// Runs one of the tasks.
pub(crate) fn run(task: Task) -> Result<()> {
    let root = tool::root();
    match task {
        Task::Build { toolchain } => build(&root, toolchain.as_deref()),
        Task::Check => check(&root),
        Task::Verify { toolchain } => verify::run(&root, toolchain.as_deref()),
        Task::Disasm { object } => disasm(&root, &object),
    }
}

fn folders() -> BTreeSet<&'static str> {
    OBJECTS.iter().map(Object::folder).collect()
}

fn objects_in(folder: &str) -> Vec<Object> {
    OBJECTS.iter().copied().filter(|object| object.folder() == folder).collect()
}

fn build(root: &Path, toolchain: Option<&str>) -> Result<()> {
    let compiler = Compiler::find(toolchain)?;
    eprintln!("building with {}", compiler.identity());
    for folder in folders() {
        let objects = objects_in(folder);
        let dir = root.join(folder);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let mut manifest = Manifest::new(Inputs::collect(root, &objects)?, compiler.identity().clone());
        for object in &objects {
            let built = compiler.build(root, object)?;
            fs::write(root.join(object.output), &built).with_context(|| format!("cannot write {}", object.output))?;
            println!("{}: {} octets", object.output, built.len());
            manifest.add(object, &built);
        }
        manifest.write(&dir)?;
    }
    Ok(())
}

/// What is wrong with the committed objects: nothing, or one line a fault.
pub(crate) fn faults(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for folder in folders() {
        let objects = objects_in(folder);
        let inputs = Inputs::collect(root, &objects)?;
        match Manifest::read(&root.join(folder)) {
            Ok(manifest) => faults.extend(manifest.faults(root, &objects, &inputs)),
            Err(error) => faults.push(format!("{error:#}")),
        }
    }
    Ok(faults)
}

/// Fails, naming what changed and the command to run, unless every committed object is fresh.
pub(crate) fn check(root: &Path) -> Result<()> {
    let faults = faults(root)?;
    if faults.is_empty() {
        println!("ebpf check: {} objects are those of their sources", OBJECTS.len());
        return Ok(());
    }
    bail!(
        "the committed BPF objects are not those of their sources:\n  {}\nrun `cargo xtask ebpf build` and commit what it writes",
        faults.join("\n  ")
    );
}

/// Rebuilds and compares, with the compiler that is found.
pub(crate) fn verify(root: &Path) -> Result<()> {
    verify::run(root, None)
}

/// Builds gateway-common for the host with the compiler of the BPF build: both compilers must take the decisions' code.
pub(crate) fn build_common(root: &Path) -> Result<()> {
    let compiler = Compiler::find(None)?;
    compiler.build_for_host(root, "gateway-common")?;
    println!("gateway-common builds with {}", compiler.identity().rustc);
    Ok(())
}

fn disasm(root: &Path, name: &str) -> Result<()> {
    let Some(object) = OBJECTS.iter().find(|object| object.file_name() == name) else {
        let names: Vec<_> = OBJECTS.iter().map(Object::file_name).collect();
        bail!("there is no object {name}; there are {}", names.join(", "));
    };
    print!("{}", compiler::disassembly(&root.join(object.output))?);
    Ok(())
}

/// Where objects are built, apart from the host's, so that neither build throws the other's away.
fn bpf_target_dir(root: &Path) -> PathBuf {
    root.join("target/bpf")
}
