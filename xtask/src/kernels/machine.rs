//! The emulated machine: started, listened to on its serial line, stopped.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// The line, followed by the test's exit code, that ends a run.
pub(super) const EXIT_LINE: &str = "VMTEST-EXIT: ";
/// A boot takes 2 to 3 s on two cores, a test with traffic 13 s; a busy CI machine gets twenty times that.
const LIMIT: Duration = Duration::from_secs(300);

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The test ended with this code.
    Exit(i32),
    /// Nothing ended the test in time.
    TimedOut,
    /// The machine stopped, and the test had not ended: the kernel panicked or did not boot.
    Died,
}

/// What a run gave.
pub(super) struct Boot {
    pub(super) ending: Ending,
    pub(super) lines: Vec<String>,
    pub(super) took: Duration,
}

/// What the machine's clock goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Time.
    Time,
    /// Instructions: each takes a nanosecond, whatever else the host does. There is one CPU then.
    Instructions,
}

/// Boots an image, hands each line of the serial line to `show`, and returns when the machine is off.
pub(super) fn boot(image: &Path, initrd: &Path, clock: Clock, show: impl FnMut(&str)) -> Result<Boot> {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-accel", "tcg", "-cpu", "max", "-m", "1024", "-nodefaults", "-no-reboot"]);
    match clock {
        Clock::Time => qemu.args(["-smp", "2"]),
        Clock::Instructions => qemu.args(["-smp", "1", "-icount", "shift=0,align=off,sleep=off"]),
    };
    qemu.args(["-display", "none", "-serial", "stdio", "-append", "console=ttyS0 quiet panic=-1"]);
    qemu.arg("-kernel").arg(image).arg("-initrd").arg(initrd);
    let started = Instant::now();
    let mut child = qemu
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start qemu-system-x86_64: run `cargo xtask setup`")?;
    let output = child.stdout.take().context("qemu has no output")?;
    let (ending, lines) = listen(output, started + LIMIT, show);
    stop(&mut child);
    Ok(Boot { ending, lines, took: started.elapsed() })
}

fn stop(child: &mut Child) {
    // It has closed its output, so it is ending, or it is past its time: either way nothing of it is wanted any more.
    let _ = child.kill();
    let _ = child.wait();
}

fn listen(output: ChildStdout, until: Instant, mut show: impl FnMut(&str)) -> (Ending, Vec<String>) {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                break;
            }
        }
    });
    let mut lines = Vec::new();
    let mut ending = Ending::Died;
    loop {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some(code) = exit_code(&line) {
                    ending = Ending::Exit(code);
                } else if !line.is_empty() {
                    show(&line);
                    lines.push(line);
                }
            }
            Err(RecvTimeoutError::Timeout) if ending == Ending::Died => {
                return (Ending::TimedOut, lines);
            }
            Err(_) => return (ending, lines),
        }
    }
}

fn exit_code(line: &str) -> Option<i32> {
    line.split_once(EXIT_LINE)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen_to(script: &str, limit: Duration) -> (Ending, Vec<String>) {
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let heard = listen(output, Instant::now() + limit, |_| {});
        stop(&mut child);
        heard
    }

    #[test]
    fn the_exit_line_decides_and_is_not_shown() {
        let (ending, lines) = listen_to("printf 'one\\r\\n\\nVMTEST-EXIT: 3\\r\\n'", LIMIT);
        assert_eq!(ending, Ending::Exit(3));
        assert_eq!(lines, ["one"]);
    }

    #[test]
    fn a_machine_that_stops_early_has_died() {
        assert_eq!(listen_to("echo 'Kernel panic'", LIMIT).0, Ending::Died);
    }

    #[test]
    fn a_machine_that_hangs_runs_out_of_time() {
        assert_eq!(listen_to("echo up; exec sleep 60", Duration::from_millis(50)).0, Ending::TimedOut);
    }
}
