//! baresip (Debian package `baresip`): a telephone as people have it on their desks.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::find_program;
use crate::netns::Namespace;

/// How often its screen is looked at.
const TICK: Duration = Duration::from_millis(20);
/// Where Debian keeps its modules; elsewhere it knows by itself.
const MODULES: &str = "/usr/lib/baresip/modules";
/// What it shows in front of the reason for which a call ended.
const CLOSED: &str = ": session closed: ";

/// An installed baresip.
#[derive(Clone, Debug)]
pub struct Baresip {
    program: PathBuf,
}

/// A baresip that runs; dropping it kills it.
struct Running {
    child: Child,
    directory: TempDir,
}

impl Baresip {
    /// Finds baresip.
    pub fn find() -> Option<Self> {
        find_program("baresip").map(|program| Self { program })
    }

    /// Dials a URI from the address of an interface of `namespace`, and returns what the telephone shows when the call ends.
    ///
    /// # Errors
    /// Where it cannot be started, or the call has not ended in `time`: with what it showed.
    pub fn dial(
        &self,
        namespace: &Namespace,
        (interface, from): (&str, SocketAddr),
        uri: &str,
        time: Duration,
    ) -> Result<String> {
        let directory = tempfile::Builder::new()
            .prefix("tollgate-baresip-")
            .tempdir()
            .context("cannot make a temporary directory")?;
        let modules = if Path::new(MODULES).is_dir() { format!("module_path {MODULES}\n") } else { String::new() };
        let configuration = format!(
            "sip_listen {from}\nnet_interface {interface}\n{modules}module g711.so\nmodule_app account.so\nmodule_app menu.so\n"
        );
        let account = format!("<sip:203@{}>;regint=0\n", from.ip());
        for (file, text) in [("config", configuration.as_str()), ("accounts", &account), ("contacts", "")] {
            fs::write(directory.path().join(file), text).with_context(|| format!("cannot write baresip's {file}"))?;
        }
        let screen = fs::File::create(directory.path().join("screen")).context("cannot make baresip's screen")?;
        let mut command = namespace.command(&self.program);
        command.arg("-f").arg(directory.path()).arg("-e").arg(format!("/dial {uri}")).stdin(Stdio::null());
        command.stdout(screen.try_clone().context("cannot share baresip's screen")?).stderr(screen);
        let mut running = Running { child: command.spawn().context("cannot start baresip")?, directory };
        let deadline = Instant::now() + time;
        loop {
            let ended = running.child.try_wait().context("cannot ask for baresip")?;
            let shown = running.screen();
            if let Some(reason) = closed(&shown) {
                return Ok(reason.to_owned());
            }
            if let Some(status) = ended {
                bail!("baresip ended with {status}: {shown}");
            }
            if Instant::now() >= deadline {
                bail!("the call has not ended after {} s; baresip shows: {shown}", time.as_secs());
            }
            thread::sleep(TICK);
        }
    }
}

impl Running {
    fn screen(&self) -> String {
        let shown = fs::read(self.directory.path().join("screen")).unwrap_or_default();
        String::from_utf8_lossy(&shown).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The reason for which a call ended, in a whole line of the screen.
fn closed(shown: &str) -> Option<&str> {
    let (_, behind) = shown.split_once(CLOSED)?;
    behind.split_once('\n').map(|(reason, _)| reason.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_read_once_its_line_is_whole() {
        assert_eq!(closed("sip:1@h: session closed: 603 Decline\nua: stop all\n"), Some("603 Decline"));
        assert_eq!(closed("sip:1@h: session closed: 603"), None);
        assert_eq!(closed("baresip is ready.\n"), None);
    }
}
