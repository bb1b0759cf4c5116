//! A bpffs that nobody else sees: pins in it end with the last process and handle that hold it, even after SIGKILL.

use std::{
    fs::{self, File},
    os::fd::{AsFd, OwnedFd},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use anyhow::{Context, Result};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe},
};

use crate::netns::on_a_thread;

/// A mount namespace of its own, in which a bpffs is mounted on a directory.
///
/// Everything else is the same as outside: files written on either side are seen on the other. Only the bpffs is not: look into it
/// with [`PrivateBpffs::run`].
#[derive(Clone, Debug)]
pub struct PrivateBpffs {
    mounts: Arc<OwnedFd>,
    path: PathBuf,
}

impl PrivateBpffs {
    /// Mounts a bpffs on `directory`, which is made where it is missing.
    ///
    /// # Errors
    /// Where the caller lacks CAP_SYS_ADMIN, or the kernel has no bpffs.
    pub fn new(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let mounts = on_a_thread("bpffs", || {
            unshare(UnshareFlags::NEWNS).context("cannot make a mount namespace: run as root (CAP_SYS_ADMIN)")?;
            // What is mounted here must not spread to the host.
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
                .context("cannot make the mounts private")?;
            mount("bpf", directory, "bpf", MountFlags::empty(), Some(c"mode=0700"))
                .with_context(|| format!("cannot mount a bpffs on {}", directory.display()))?;
            let file = File::open("/proc/thread-self/ns/mnt")
                .context("cannot open /proc/thread-self/ns/mnt: is /proc mounted?")?;
            Ok(OwnedFd::from(file))
        })?;
        Ok(Self { mounts: Arc::new(mounts), path: directory.to_owned() })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `f` on a thread that sees the bpffs, and waits for it.
    ///
    /// # Errors
    /// Those of `f`; or the mount namespace cannot be entered.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_a_thread("bpffs", || {
            // A thread that shares its root directory with others may not change mount namespace.
            unshare(UnshareFlags::FS)?;
            move_into_link_name_space(self.mounts.as_fd(), Some(LinkNameSpaceType::Mount))
                .context("cannot enter the mount namespace")?;
            f()
        })
    }

    /// Makes `command` see the bpffs. Its working directory becomes `/`.
    #[expect(unsafe_code, reason = "the child enters the mount namespace between fork and exec")]
    pub fn enter_on_exec(&self, command: &mut Command) {
        let mounts = Arc::clone(&self.mounts);
        let enter = move || Ok(move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))?);
        // SAFETY: the closure makes one system call; it allocates nothing and takes no lock.
        unsafe { command.pre_exec(enter) };
    }
}

#[expect(unsafe_code, reason = "unshare has no safe wrapper")]
fn unshare(flags: UnshareFlags) -> Result<()> {
    // SAFETY: only CLONE_FILES can pull descriptors away from other threads, and no caller asks for it.
    unsafe { unshare_unsafe(flags) }?;
    Ok(())
}
