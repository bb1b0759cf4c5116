//! Programs that fork: contained in a PID namespace, so that not one of their processes outlives them.

use std::{
    process::{Child, Command},
    sync::mpsc,
    thread,
};

use anyhow::{Context, Result};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// A child that is the first process of a PID namespace. When it ends, the kernel kills all that it has forked; when this process
/// ends, however it does, the kernel kills the child if its command came from [`crate::netns::Namespace::command`].
#[derive(Debug)]
pub struct Contained {
    child: Child,
    /// Its end lets the thread end that the child calls its parent.
    _keeper: mpsc::Sender<()>,
}

impl Contained {
    /// Starts `command` in a PID namespace of its own.
    ///
    /// # Errors
    /// Where it cannot be started, or the caller lacks CAP_SYS_ADMIN.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let (started, child) = mpsc::channel();
        let (keeper, until) = mpsc::channel::<()>();
        let parent = move || {
            // The receiver waits below.
            let _ = started.send(unshare_pids().and_then(|()| command.spawn().context("cannot start the program")));
            // The thread is the child's parent: if it ended, the child would be killed. Nothing is ever sent.
            let _ = until.recv();
        };
        thread::Builder::new().name("keeper".to_owned()).spawn(parent).context("cannot start a thread")?;
        let child = child.recv().context("the thread that starts the program ended")??;
        Ok(Self { child, _keeper: keeper })
    }

    /// The first process.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(unsafe_code, reason = "unshare has no safe wrapper")]
fn unshare_pids() -> Result<()> {
    // SAFETY: only CLONE_FILES can pull descriptors away from other threads, and it is not asked for.
    unsafe { unshare_unsafe(UnshareFlags::NEWPID) }.context("cannot make a PID namespace: run as root (CAP_SYS_ADMIN)")
}
