//! The `tollgate` daemon and CLI inside a namespace, with a socket, a state directory and pins of their own.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{bpffs::PrivateBpffs, netns::Namespace};

/// The environment variable that names the `tollgate` binary to try.
pub const BINARY: &str = "TOLLGATE_BIN";

/// How often a daemon that is awaited is asked.
const TICK: Duration = Duration::from_millis(20);

/// An installation of `tollgate` that nobody else meets: dropping it removes its files and pins.
#[derive(Debug)]
pub struct Tollgate {
    binary: PathBuf,
    namespace: Namespace,
    bpffs: PrivateBpffs,
    directory: TempDir,
}

impl Tollgate {
    /// Prepares an installation of `binary` in `namespace`.
    ///
    /// # Errors
    /// Where there is no room for files, or a bpffs cannot be mounted.
    pub fn new(binary: PathBuf, namespace: &Namespace) -> Result<Self> {
        let directory =
            tempfile::Builder::new().prefix("tollgate-").tempdir().context("cannot make a temporary directory")?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700))
            .context("cannot close the temporary directory to others")?;
        fs::create_dir(directory.path().join("state")).context("cannot make the state directory")?;
        let bpffs = PrivateBpffs::new(&directory.path().join("bpf"))?;
        Ok(Self { binary, namespace: namespace.clone(), bpffs, directory })
    }

    /// The directory that holds all files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.directory().join("control.sock")
    }

    /// The state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.directory().join("state")
    }

    /// The pin directory: seen inside [`Tollgate::bpffs`] only.
    pub fn pin_dir(&self) -> PathBuf {
        self.bpffs.path().join("tollgate")
    }

    /// The bpffs with the pins.
    pub const fn bpffs(&self) -> &PrivateBpffs {
        &self.bpffs
    }

    /// The policy file.
    pub fn policy(&self) -> PathBuf {
        self.directory().join("tollgate.toml")
    }

    /// What all daemons have written to standard output and error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The last 20 lines of [`Tollgate::log`], indented.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
        if last.is_empty() { "  (nothing)".to_owned() } else { format!("  {}", last.join("\n  ")) }
    }

    fn log_path(&self) -> PathBuf {
        self.directory().join("daemon.log")
    }

    /// Writes the policy file.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write_policy(&self, text: &str) -> Result<()> {
        fs::write(self.policy(), text).with_context(|| format!("cannot write {}", self.policy().display()))
    }

    /// A `tollgate` command of this installation, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.namespace.command(&self.binary);
        self.bpffs.enter_on_exec(&mut command);
        command
            .args(arguments)
            .env("TOLLGATE_CONFIG", self.policy())
            .env("TOLLGATE_SOCKET", self.socket())
            .env("TOLLGATE_STATE_DIR", self.state_dir())
            .env("TOLLGATE_PIN_DIR", self.pin_dir())
            .stdin(Stdio::null());
        command
    }

    /// Runs a `tollgate` command to its end.
    ///
    /// # Errors
    /// Where the binary cannot be started. What it answers, refusals included, is in the output.
    pub fn cli(&self, arguments: &[&str]) -> Result<Output> {
        self.command(arguments).output().with_context(|| format!("cannot start {}", self.binary.display()))
    }

    /// Runs a `tollgate` command that must end 0 and print one JSON object.
    ///
    /// # Errors
    /// Where it ends otherwise: with what it wrote to standard error.
    pub fn json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let output = self.cli(arguments)?;
        let words = arguments.join(" ");
        if !output.status.success() {
            bail!(
                "`tollgate {words}` ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("`tollgate {words}` printed no JSON object"))
    }

    /// Starts `tollgate run` with these further arguments. It does not wait: see [`Daemon::wait_ready`].
    ///
    /// # Errors
    /// Where the binary cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Result<Daemon> {
        let log =
            File::options().create(true).append(true).open(self.log_path()).context("cannot open the daemon's log")?;
        let mut command = self.command(&["run"]);
        command.args(arguments).stdout(log.try_clone().context("cannot share the daemon's log")?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.binary.display()))?;
        Ok(Daemon { child })
    }
}

/// A running daemon; dropping it kills it with SIGKILL, and its pins stay until the installation is dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// Waits until the daemon answers `tollgate status`, or `give_up` says so.
    ///
    /// # Errors
    /// Where the daemon ends first or the wait was given up: with the end of its log.
    pub fn wait_ready(&mut self, tollgate: &Tollgate, mut give_up: impl FnMut() -> bool) -> Result<()> {
        loop {
            if let Some(status) = self.child.try_wait().context("cannot ask for the daemon")? {
                bail!("the daemon ended before it was ready, with {status}:\n{}", tollgate.log_tail());
            }
            if tollgate.cli(&["status", "--json"])?.status.success() {
                return Ok(());
            }
            if give_up() {
                bail!("the daemon was not ready in time; its log ends:\n{}", tollgate.log_tail());
            }
            thread::sleep(TICK);
        }
    }

    /// As [`Daemon::wait_ready`], for so long.
    ///
    /// # Errors
    /// As there.
    pub fn wait_ready_for(&mut self, tollgate: &Tollgate, time: Duration) -> Result<()> {
        let deadline = Instant::now() + time;
        self.wait_ready(tollgate, || Instant::now() >= deadline)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its end, where it has ended.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot ask for the daemon")
    }

    /// Kills it with SIGKILL: it has no time for any farewell.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().context("cannot kill the daemon")?;
        self.child.wait().context("cannot wait for the daemon")?;
        Ok(())
    }

    /// Sends a signal and waits for the end.
    ///
    /// # Errors
    /// Where it has not ended within `time`; it is killed then.
    pub fn signal(mut self, signal: Signal, time: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + time;
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            kill_process(pid, signal).context("cannot signal the daemon")?;
        }
        while Instant::now() < deadline {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            thread::sleep(TICK);
        }
        bail!("the daemon did not end within {} s of the signal", time.as_secs())
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// As [`Daemon::signal`].
    pub fn terminate(self, time: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM, time)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds the `tollgate` binary: `TOLLGATE_BIN`, else beside this program or one directory above it, as cargo lays them out.
///
/// # Errors
/// Where there is none: with the command that builds it.
pub fn find_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY).map(PathBuf::from) {
        return existing(&path).with_context(|| format!("{BINARY} is {}", path.display()));
    }
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    program
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("tollgate"))
        .find(|path| path.is_file())
        .with_context(|| {
            let here = program.parent().unwrap_or(Path::new("/")).display();
            format!("there is no tollgate binary in {here}: build it with `cargo build -p gateway-user`, or name it in {BINARY}")
        })
}

/// The absolute path of a binary that must exist.
///
/// # Errors
/// Where it does not.
pub fn existing(path: &Path) -> Result<PathBuf> {
    // Absolute, since the child's working directory is another one.
    path.canonicalize().with_context(|| format!("there is no file {}", path.display()))
}
