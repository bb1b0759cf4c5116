//! Network namespaces without a name: made by a thread, held by a file descriptor, gone with the process.

use std::{
    fs::{self, File},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
    sync::Arc,
    thread,
};

use anyhow::{Context, Result, anyhow};
use rustix::{
    process::{Signal, set_parent_process_death_signal},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe},
};

use crate::link;

/// A network namespace of its own. It ends, with every interface in it, when the last handle and the last process inside end.
#[derive(Clone, Debug)]
pub struct Namespace {
    fd: Arc<OwnedFd>,
}

impl Namespace {
    /// Makes a namespace whose loopback is up.
    ///
    /// # Errors
    /// Where the caller lacks CAP_SYS_ADMIN, or the kernel has no network namespaces.
    pub fn new() -> Result<Self> {
        let fd = on_a_thread("netns", || {
            unshare_network().context("cannot make a network namespace: run as root (CAP_SYS_ADMIN)")?;
            let file = File::open("/proc/thread-self/ns/net")
                .context("cannot open /proc/thread-self/ns/net: is /proc mounted?")?;
            Ok(OwnedFd::from(file))
        })?;
        let namespace = Self { fd: Arc::new(fd) };
        link::up(&namespace, "lo")?;
        Ok(namespace)
    }

    /// The descriptor that holds the namespace.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Runs `f` on a thread inside the namespace and waits for it. Sockets opened there stay there, whoever uses them later.
    ///
    /// # Errors
    /// Those of `f`; or the namespace cannot be entered.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_a_thread("netns", || {
            self.enter()?;
            f()
        })
    }

    /// Moves the calling thread, and no other, into the namespace for good.
    ///
    /// # Errors
    /// Where the caller lacks CAP_SYS_ADMIN.
    pub fn enter(&self) -> Result<()> {
        move_into_link_name_space(self.fd(), Some(LinkNameSpaceType::Network))
            .context("cannot enter the network namespace")
    }

    /// A command whose process runs inside the namespace, in a process group of its own, and is killed when the thread that starts it
    /// ends. It sees the same files: nothing is mounted over `/sys`, so that pins stay visible.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        self.enter_on_exec(&mut command);
        command
    }

    /// Makes `command` start inside the namespace, as [`Namespace::command`] says.
    #[expect(unsafe_code, reason = "the child enters the namespace between fork and exec")]
    pub fn enter_on_exec(&self, command: &mut Command) {
        let fd = Arc::clone(&self.fd);
        let parent = std::process::id();
        let enter = move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have ended before the line above took effect. It has no number in a PID namespace of the child's own.
            let number = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get() as u32);
            if number.is_some_and(|number| number != parent) {
                return Err(rustix::io::Errno::SRCH.into());
            }
            move_into_link_name_space(fd.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(())
        };
        command.process_group(0);
        // SAFETY: the closure makes three system calls; it allocates nothing and takes no lock.
        unsafe { command.pre_exec(enter) };
    }

    /// Writes a sysctl of this namespace: `net/ipv4/ip_forward`, `1`.
    ///
    /// # Errors
    /// Where the kernel has no such key or refuses the value.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        // /proc/sys/net shows the namespace of the thread that opens the file.
        self.run(|| {
            fs::write(Path::new("/proc/sys").join(key), value)
                .with_context(|| format!("cannot set sysctl {key} to {value}"))
        })
    }

    /// Whether `other` is the same namespace.
    ///
    /// # Errors
    /// Where a descriptor cannot be read.
    pub fn is(&self, other: &Self) -> Result<bool> {
        Ok(self.inode()? == other.inode()?)
    }

    /// The number by which the kernel names the namespace: N of `net:[N]` in `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// Where the descriptor cannot be read.
    pub fn inode(&self) -> Result<u64> {
        Ok(rustix::fs::fstat(self.fd())?.st_ino)
    }
}

impl AsRawFd for Namespace {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

/// Runs `f` on a new thread, which may change its namespaces, and waits for it.
pub(crate) fn on_a_thread<T: Send>(name: &str, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let handle =
            thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, f).context("cannot start a thread")?;
        handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[expect(unsafe_code, reason = "unshare(CLONE_NEWNET) has no safe wrapper")]
fn unshare_network() -> Result<()> {
    // SAFETY: only CLONE_FILES can pull descriptors away from other threads, and it is not asked for.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.map_err(|e| anyhow!(std::io::Error::from(e)))
}
