//! How a command ends when it does not end well.

use std::{io, process::ExitCode};

use crate::control::{ListenError, client::ClientError, protocol::ErrorKind};

/// A command that did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// Refused, or something was found wrong: exit code 1. The text is empty where the output has said it all.
    Refused(String),
    /// The request makes no sense: exit code 2.
    Usage(String),
    /// No daemon, or no privilege: exit code 3.
    NoDaemon(String),
    /// Whoever read the output has left, which is no error.
    ReaderLeft,
}

impl Failure {
    /// What an error of the daemon or of the kernel means for the exit code: lacking privilege is a matter of its own.
    pub fn of(error: &anyhow::Error) -> Self {
        let unprivileged = error.chain().any(|cause| {
            let io = match cause.downcast_ref::<ListenError>() {
                Some(ListenError::Io { cause, .. }) => Some(cause),
                _ => cause.downcast_ref::<io::Error>(),
            };
            io.is_some_and(|io| io.kind() == io::ErrorKind::PermissionDenied)
        });
        let text = format!("{error:#}");
        if unprivileged { Self::NoDaemon(text) } else { Self::Refused(text) }
    }

    /// What there is to say.
    pub fn message(&self) -> &str {
        match self {
            Self::Refused(text) | Self::Usage(text) | Self::NoDaemon(text) => text,
            Self::ReaderLeft => "",
        }
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::ReaderLeft => ExitCode::SUCCESS,
            Self::Refused(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::NoDaemon(_) => ExitCode::from(3),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let text = error.to_string();
        match error {
            ClientError::NoDaemon { .. } | ClientError::NoPermission { .. } => Self::NoDaemon(text),
            ClientError::Refused(view) if view.kind == ErrorKind::Usage => Self::Usage(text),
            ClientError::Refused(_) | ClientError::Broken { .. } => Self::Refused(text),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderLeft,
            _ => Self::Refused(format!("cannot write the output: {error}")),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        match error.io_error_kind() {
            Some(kind) => io::Error::from(kind).into(),
            None => Self::Refused(format!("the daemon sent what this version cannot read: {error}")),
        }
    }
}
