//! The harness that runs `tollgate`: what its processes see, and what a test is told when one of them fails.

use std::{io::ErrorKind, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Duration};

use gateway_tests::{
    capability::require_namespaces,
    daemon::{Tollgate, existing},
    netns::Namespace,
};
use rustix::process::Signal;

/// An installation whose `tollgate` is this shell script.
fn script(directory: &Path, text: &str, namespace: &Namespace) -> Tollgate {
    let path = directory.join("tollgate");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    // A child that another test has just forked may still hold the file open for writing; until it runs its program, this one cannot.
    while Command::new(&path).arg("probe").output().is_err_and(|e| e.kind() == ErrorKind::ExecutableFileBusy) {}
    Tollgate::new(existing(&path).unwrap(), namespace).unwrap()
}

#[test]
fn commands_see_their_own_places_and_namespaces() {
    if !require_namespaces("installation::commands_see_their_own_places_and_namespaces") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let namespace = Namespace::new().unwrap();
    let text = "mkdir -p $TOLLGATE_PIN_DIR && echo \"{\\\"net\\\":\\\"$(readlink /proc/self/ns/net)\\\",\\\"fs\\\":\\\"$(stat -f -c %T $TOLLGATE_PIN_DIR)\\\",\\\"arg\\\":\\\"$1\\\"}\"";
    let tollgate = script(directory.path(), text, &namespace);
    let said = tollgate.json(&["status"]).unwrap();
    assert_eq!(said["net"], format!("net:[{}]", namespace.inode().unwrap()));
    assert_eq!((said["fs"].as_str(), said["arg"].as_str()), (Some("bpf_fs"), Some("status")));
    assert!(tollgate.bpffs().run(|| Ok(tollgate.pin_dir().is_dir())).unwrap());
    let home = tollgate.directory().to_owned();
    drop(tollgate);
    assert!(!home.exists(), "files are left");
}

#[test]
fn a_daemon_that_ends_early_is_told_with_its_log() {
    if !require_namespaces("installation::a_daemon_that_ends_early_is_told_with_its_log") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let tollgate =
        script(directory.path(), "[ $1 = run ] && echo no such interface >&2; exit 3", &Namespace::new().unwrap());
    let mut daemon = tollgate.run(&[]).unwrap();
    let error = daemon.wait_ready_for(&tollgate, Duration::from_secs(60)).unwrap_err().to_string();
    assert!(error.contains("exit status: 3") && error.contains("no such interface"), "{error}");
    let error = tollgate.json(&["counters"]).unwrap_err().to_string();
    assert!(error.contains("`tollgate counters`"), "{error}");
}

#[test]
fn a_daemon_is_awaited_signalled_and_killed() {
    if !require_namespaces("installation::a_daemon_is_awaited_signalled_and_killed") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let text = "case $1 in run) trap 'exit 7' TERM; touch $TOLLGATE_SOCKET; while :; do sleep 0.01; done;; status) test -e $TOLLGATE_SOCKET;; esac";
    let tollgate = script(directory.path(), text, &Namespace::new().unwrap());
    let minute = Duration::from_secs(60);
    let mut daemon = tollgate.run(&["--mode", "enforce"]).unwrap();
    daemon.wait_ready_for(&tollgate, minute).unwrap();
    assert!(daemon.ended().unwrap().is_none());
    assert_eq!(daemon.signal(Signal::TERM, minute).unwrap().code(), Some(7));
    let mut daemon = tollgate.run(&[]).unwrap();
    daemon.wait_ready_for(&tollgate, minute).unwrap();
    let process = format!("/proc/{}", daemon.pid());
    assert!(Path::new(&process).exists());
    daemon.kill().unwrap();
    assert!(!Path::new(&process).exists());
}

#[test]
fn a_binary_that_does_not_exist_is_named() {
    let error = existing(Path::new("/nowhere/tollgate")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/tollgate"), "{error}");
}
