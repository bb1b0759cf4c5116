//! The listening end of the control socket: one daemon a path, whatever a dead one left behind.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use tokio::net::UnixListener;

/// Mode of the socket: its owner and its group may order.
const SOCKET_MODE: u32 = 0o660;
/// Mode of the directory, where it has to be made.
const DIRECTORY_MODE: u32 = 0o750;
/// Longest path that fits `sockaddr_un`, the closing NUL left out (unix(7)).
const MAX_PATH: usize = 107;

/// Why the daemon cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another daemon holds the socket.
    #[error("a daemon{} already listens on {path}; stop it, or give this one a --socket, --state-dir and --pin-dir of \
             its own", .pid.as_ref().map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    AnotherDaemon {
        /// The socket.
        path: PathBuf,
        /// Its process, if it is known.
        pid: Option<u32>,
    },
    /// Something that is not a socket has the path.
    #[error("{path} exists and is not a socket; move it away, or choose another path with --socket")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The path does not fit.
    #[error(
        "the path of the control socket is {length} octets long, and the kernel takes at most {MAX_PATH}; choose a \
             shorter one with --socket"
    )]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The system refused.
    #[error(
        "cannot listen on {path}: {cause}; check that its directory can be written by this user, or choose another \
             path with --socket"
    )]
    Io {
        /// The path.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
}

/// The listening socket, held for the life of the daemon.
#[derive(Debug)]
pub struct Listener {
    path: PathBuf,
    /// Locked as long as the daemon lives; the kernel unlocks it however the daemon ends.
    _lock: File,
    pub(super) socket: UnixListener,
}

impl Listener {
    /// Listens on `path`. Must be called inside a tokio runtime.
    pub fn bind(path: &Path) -> Result<Self, ListenError> {
        let length = path.as_os_str().len();
        if length > MAX_PATH {
            return Err(ListenError::TooLong { length });
        }
        let failed = |cause| ListenError::Io { path: path.to_owned(), cause };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory).map_err(failed)?;
        }
        let lock = lock(path)?;
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(ListenError::NotASocket { path: path.to_owned() });
            }
            // A daemon that lives holds the lock, so this one is dead.
            Ok(_) => fs::remove_file(path).map_err(failed)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed(e)),
        }
        let socket = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), _lock: lock, socket })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the control socket");
        }
    }
}

/// Takes the lock beside the socket and writes this process into it.
fn lock(path: &Path) -> Result<File, ListenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let failed = |cause| ListenError::Io { path: path.to_owned(), cause };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(name)
        .map_err(failed)?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(failed(error.into()));
        }
        let mut text = String::new();
        let pid = file.take(16).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
        return Err(ListenError::AnotherDaemon { path: path.to_owned(), pid });
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_daemon_is_refused_and_a_dead_one_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/control.sock");
        let first = Listener::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, SOCKET_MODE);
        let refused = Listener::bind(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("(pid {})", std::process::id())), "{refused}");
        assert!(refused.contains("control.sock"), "{refused}");
        drop(first);
        assert!(!path.exists());

        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a dead daemon leaves its socket");
        drop(Listener::bind(&path).unwrap());
    }

    #[tokio::test]
    async fn what_is_not_a_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Listener::bind(&path), Err(ListenError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let long = dir.path().join("x".repeat(MAX_PATH));
        assert!(matches!(Listener::bind(&long), Err(ListenError::TooLong { .. })));
    }
}
