//! Notices to a program, on its standard input.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    fs::{MemfdFlags, memfd_create},
    process::{Pid, Signal, kill_process_group},
};

use super::{Failed, Outlet};

/// How long the program may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rest between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the program once for each message.
pub(super) struct Runner {
    words: Vec<String>,
    patience: Duration,
}

impl Runner {
    pub(super) fn new(words: Vec<String>) -> Self {
        Self { words, patience: PATIENCE }
    }

    fn run(&self, body: &[u8]) -> Result<(), String> {
        let (program, arguments) = self.words.split_first().ok_or("the command is empty")?;
        // A file in memory: writing to a pipe would wait for a program that does not read.
        let mut input = File::from(memfd_create("notice", MemfdFlags::CLOEXEC).map_err(|error| error.to_string())?);
        input.write_all(body).and_then(|()| input.rewind()).map_err(|error| error.to_string())?;
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir("/")
            .stdin(Stdio::from(input))
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot run {program}: {error}"))?;
        match self.wait(&mut child) {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(format!("{program} ended with {status}; its messages are in the daemon's log")),
            Ok(None) => Err(format!("{program} did not end within {} s and was killed", self.patience.as_secs())),
            Err(error) => Err(format!("cannot wait for {program}: {error}")),
        }
    }

    /// Waits for the program; kills it, and what it has started, where it takes too long.
    fn wait(&self, child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
        let end = Instant::now() + self.patience;
        while Instant::now() < end {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            std::thread::sleep(LOOK);
        }
        if let Some(group) = Pid::from_raw(child.id() as i32) {
            // It may have ended in between.
            let _ = kill_process_group(group, Signal::KILL);
        }
        child.wait()?;
        Ok(None)
    }
}

impl Outlet for Runner {
    fn deliver(&mut self, _id: &str, body: &[u8]) -> Result<(), Failed> {
        self.run(body).map_err(|cause| Failed { cause, again: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(script: &str) -> Runner {
        Runner { words: ["/bin/sh", "-c", script].map(Into::into).into(), patience: Duration::from_secs(30) }
    }

    #[test]
    fn the_program_gets_the_message_and_nothing_of_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let body = vec![b'x'; 1 << 20];
        runner(&format!("cat > {0}; env >> {0}", out.display())).run(&body).unwrap();
        let got = std::fs::read(&out).unwrap();
        assert!(got.starts_with(&body));
        let rest = String::from_utf8_lossy(&got[body.len()..]).into_owned();
        assert!(rest.contains("PATH=") && !rest.contains("CARGO") && !rest.contains("HOME="), "{rest}");
    }

    #[test]
    fn a_program_that_fails_hangs_or_is_not_there_is_told() {
        assert!(runner("exit 3").run(b"{}").unwrap_err().contains('3'));
        assert_eq!(runner("exec <&-; exit 0").run(&vec![b'x'; 1 << 20]), Ok(()), "it need not read");
        let missing = Runner::new(vec!["/nonexistent/page".into()]).run(b"{}").unwrap_err();
        assert!(missing.contains("/nonexistent/page"), "{missing}");
        let dir = tempfile::tempdir().unwrap();
        let late = dir.path().join("late");
        let hung = Runner {
            patience: Duration::from_millis(300),
            ..runner(&format!("(sleep 5; touch {}) & wait", late.display()))
        };
        assert!(hung.run(b"{}").unwrap_err().contains("killed"));
        // What it had started is killed as well, which takes the kernel a moment.
        let alive = || {
            let started = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains(&late.display().to_string())
            });
            started.count()
        };
        let end = Instant::now() + Duration::from_secs(4);
        while alive() > 0 {
            assert!(Instant::now() < end, "what the program had started goes on");
            std::thread::sleep(LOOK);
        }
        assert!(!late.exists());
    }
}
