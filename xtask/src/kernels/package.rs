//! Debian's kernel packages, used as data: found by series, downloaded once, unpacked, never installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::tool;

/// A kernel that was unpacked.
#[derive(Debug)]
pub(super) struct Kernel {
    /// The release as `uname -r` prints it, such as `6.1.0-56-cloud-amd64`.
    pub(super) release: String,
    /// The bootable image.
    pub(super) image: PathBuf,
    modules: PathBuf,
}

/// The newest kernel of a series that the package sources, or the cache, have.
pub(super) fn fetch(series: &str, cache: &Path) -> Result<Option<Kernel>> {
    let mut names = available(series)?;
    if names.is_empty() && tool::is_root() && tool::is_debian() {
        tool::run(Command::new("apt-get").args(["-q", "update"]))?;
        names = available(series)?;
    }
    // Old versions vanish from the mirror before they vanish from the lists.
    for name in names.iter().rev() {
        let dir = cache.join(name);
        if !dir.join("boot").exists() {
            eprintln!("kernels: downloading {name}");
            if let Err(error) = download(name, &dir) {
                eprintln!("kernels: {name}: {error:#}");
                continue;
            }
        }
        return Kernel::open(&dir).map(Some);
    }
    cached(series, cache)
}

fn available(series: &str) -> Result<Vec<String>> {
    if tool::which("apt-cache").is_none() {
        return Ok(Vec::new());
    }
    let list =
        tool::output(Command::new("apt-cache").args(["search", "--names-only", "^linux-image-.*-cloud-amd64$"]))?;
    Ok(of_series(series, list.lines().filter_map(|line| line.split(' ').next())))
}

/// The packages of a series, oldest first. Meta-packages, which name no exact version, are left out.
fn of_series<'a>(series: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let prefix = format!("linux-image-{series}.");
    let mut names: Vec<_> = names.filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect();
    names.sort_by_key(|name| numbers(name));
    names
}

/// The numbers in a name, by which versions compare.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

fn download(name: &str, dir: &Path) -> Result<()> {
    let part = dir.with_extension("part");
    let _ = fs::remove_dir_all(&part);
    fs::create_dir_all(&part).with_context(|| format!("cannot create {}", part.display()))?;
    tool::run(
        Command::new("apt-get").args(["-q", "-o", "APT::Sandbox::User=root", "download", name]).current_dir(&part),
    )?;
    let package = tool::files_below(&part)?.into_iter().find(|file| file.extension().is_some_and(|e| e == "deb"));
    let package = package.context("apt-get downloaded no package")?;
    tool::run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&part))?;
    fs::remove_file(&package).with_context(|| format!("cannot remove {}", package.display()))?;
    fs::rename(&part, dir).with_context(|| format!("cannot create {}", dir.display()))
}

/// The newest of the series that was downloaded before, for a machine without network.
fn cached(series: &str, cache: &Path) -> Result<Option<Kernel>> {
    let entries = fs::read_dir(cache).with_context(|| format!("cannot list {}", cache.display()))?;
    let names: Vec<_> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let names = names.iter().map(String::as_str).filter(|name| cache.join(name).join("boot").exists());
    of_series(series, names).last().map(|name| Kernel::open(&cache.join(name))).transpose()
}

impl Kernel {
    fn open(dir: &Path) -> Result<Self> {
        let boot = dir.join("boot");
        let images = tool::files_below(&boot)?;
        for image in images {
            let name = image.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if let Some(release) = name.strip_prefix("vmlinuz-") {
                let release = release.to_owned();
                // /lib on older releases, /usr/lib since Debian 13.
                let roots = ["lib/modules", "usr/lib/modules"].map(|root| dir.join(root).join(&release));
                let modules = roots
                    .into_iter()
                    .find(|root| root.exists())
                    .with_context(|| format!("{} holds no modules", dir.display()))?;
                return Ok(Self { release, image, modules });
            }
        }
        bail!("{} holds no kernel image: remove {} and try again", boot.display(), dir.display())
    }

    /// A module, after those that it needs: names and contents, in the order of loading. None where it is built in.
    pub(super) fn module_with_dependencies(&self, name: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let files = tool::files_below(&self.modules)?;
        let mut loaded = Vec::new();
        load_after_dependencies(name, &mut loaded, &|name| find_module(&files, name))?;
        Ok(loaded)
    }
}

fn load_after_dependencies(
    name: &str,
    loaded: &mut Vec<(String, Vec<u8>)>,
    find: &dyn Fn(&str) -> Result<Option<Vec<u8>>>,
) -> Result<()> {
    if loaded.iter().any(|(other, _)| other == name) {
        return Ok(());
    }
    let Some(content) = find(name)? else {
        return Ok(());
    };
    for dependency in dependencies(&content) {
        load_after_dependencies(&dependency, loaded, find)?;
    }
    loaded.push((name.to_owned(), content));
    Ok(())
}

/// The content of a module, unpacked if it is packed; `None` where the kernel has it built in.
fn find_module(files: &[PathBuf], name: &str) -> Result<Option<Vec<u8>>> {
    for file in files {
        let file_name = file.file_name().map(|name| name.to_string_lossy().replace('-', "_")).unwrap_or_default();
        if file_name == format!("{name}.ko") {
            return tool::read(file).map(Some);
        }
        if file_name == format!("{name}.ko.xz") {
            let unpacked = Command::new("busybox").arg("xzcat").arg(file).output().context("cannot start busybox")?;
            if !unpacked.status.success() {
                bail!("cannot unpack {}", file.display());
            }
            return Ok(Some(unpacked.stdout));
        }
    }
    Ok(None)
}

/// The modules that a module names in its section `.modinfo`: `depends=a,b`, ended by a zero.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value: Vec<u8> = module.iter().skip(at + KEY.len()).take_while(|&&byte| byte != 0).copied().collect();
    let value = String::from_utf8_lossy(&value);
    value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_series_comes_last_and_meta_packages_do_not_count() {
        let names = [
            "linux-image-6.12-cloud-amd64",
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.12.101+deb12-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.12.99+deb12-cloud-amd64",
            "linux-image-cloud-amd64",
        ];
        assert_eq!(
            of_series("6.1", names.into_iter()),
            ["linux-image-6.1.0-9-cloud-amd64", "linux-image-6.1.0-56-cloud-amd64"]
        );
        assert_eq!(of_series("6.12", names.into_iter()).last().unwrap(), "linux-image-6.12.101+deb12-cloud-amd64");
        assert!(of_series("5.10", names.into_iter()).is_empty());
    }

    #[test]
    fn dependencies_of_a_module() {
        assert_eq!(dependencies(b"ELF\0license=GPL\0depends=llc,stp\0name=x\0"), ["llc", "stp"]);
        assert!(dependencies(b"ELF\0license=GPL\0depends=\0name=x\0").is_empty());
        assert!(dependencies(b"").is_empty());
    }

    #[test]
    fn modules_come_after_what_they_need_once_each_and_without_those_built_in() {
        let find = |name: &str| -> Result<Option<Vec<u8>>> {
            Ok(match name {
                "bridge" => Some(b"\0depends=stp,llc,ipv6\0".to_vec()),
                "stp" => Some(b"\0depends=llc\0".to_vec()),
                "llc" => Some(b"\0depends=\0".to_vec()),
                _ => None,
            })
        };
        let mut loaded = Vec::new();
        load_after_dependencies("bridge", &mut loaded, &find).unwrap();
        assert_eq!(loaded.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["llc", "stp", "bridge"]);
    }
}
