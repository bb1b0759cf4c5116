//! The asking end of the control socket.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::de::DeserializeOwned;

use super::protocol::{Command, ErrorView, decode_reply, encode_request, zone_of};
use crate::zone;

/// How long the daemon may take to reply: a reload of a million prefixes takes seconds.
const REPLY_TIME: Duration = Duration::from_secs(60);

/// Why the daemon gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon listens on {path}; start one with `tollgate run`, or name its socket with --socket")]
    NoDaemon {
        /// The socket.
        path: PathBuf,
    },
    /// This user may not ask.
    #[error("no permission for the control socket {path}; ask as root or as a member of its group")]
    NoPermission {
        /// The socket.
        path: PathBuf,
    },
    /// The conversation broke off.
    #[error(
        "the daemon on {path} did not answer: {cause}; whether the command was carried out, `tollgate orders` and \
             `tollgate status` tell"
    )]
    Broken {
        /// The socket.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The daemon answered that it did not do it.
    #[error(transparent)]
    Refused(#[from] ErrorView),
}

/// One connection to the daemon.
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the daemon that listens on `path`.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let broken = |cause| ClientError::Broken { path: path.to_owned(), cause };
        let stream = UnixStream::connect(path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                ClientError::NoDaemon { path: path.to_owned() }
            }
            io::ErrorKind::PermissionDenied => ClientError::NoPermission { path: path.to_owned() },
            _ => broken(cause),
        })?;
        stream.set_read_timeout(Some(REPLY_TIME)).map_err(broken)?;
        stream.set_write_timeout(Some(REPLY_TIME)).map_err(broken)?;
        Ok(Self { path: path.to_owned(), stream: BufReader::new(stream) })
    }

    /// Asks one thing and reads the reply.
    pub fn ask<T: DeserializeOwned>(&mut self, command: &Command) -> Result<T, ClientError> {
        let request = encode_request(command).map_err(|e| self.broken(e.into()))?;
        // The daemon may reply and close before it has read everything (busy); its reply says more than the error.
        let sent = self.stream.get_mut().write_all(request.as_bytes());
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => {
                let cause = sent.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
                return Err(self.broken(cause));
            }
            Ok(_) => {}
            Err(cause) => return Err(self.broken(cause)),
        }
        if let Some(name) = zone_of(&line) {
            zone::set(Some(&name));
        }
        Ok(decode_reply(&line).map_err(|e| self.broken(e.into()))??)
    }

    /// Asks for a stream; the lines follow.
    pub fn stream(mut self, command: &Command) -> Result<Lines, ClientError> {
        self.ask::<()>(command)?;
        self.stream.get_ref().set_read_timeout(None).map_err(|cause| self.broken(cause))?;
        Ok(Lines { client: self })
    }

    fn broken(&self, cause: io::Error) -> ClientError {
        ClientError::Broken { path: self.path.clone(), cause }
    }
}

/// The lines of a stream, until the daemon ends it.
pub struct Lines {
    client: Client,
}

impl Iterator for Lines {
    type Item = Result<String, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = String::new();
        match self.client.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => {
                line.truncate(line.trim_end_matches('\n').len());
                Some(Ok(line))
            }
            Err(cause) => Some(Err(self.client.broken(cause))),
        }
    }
}
