//! How a command ends.

use std::fmt;
use std::process::ExitCode;

use tonic::Code;

use crate::client;
use crate::gateway::StartError;
use crate::{config, server};

/// The exit codes; documented in the README and in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// Anything else.
    Other = 1,
    /// The configuration cannot be used.
    Configuration = 3,
    /// The gateway cannot be reached.
    Connection = 4,
    /// The gateway does not permit it.
    NotPermitted = 5,
    /// There is no such thing.
    NotFound = 6,
    /// A signature or proof is wrong.
    VerificationFailed = 7,
    /// A signature can be neither proven nor disproven.
    VerificationUndecided = 8,
    /// The log of this gateway is not the one that was signed.
    LogBroken = 9,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed, and what to do.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What happened; lower case, no period.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Failure {
    /// A failure that ends with `exit`.
    pub fn new(exit: Exit, message: impl ToString) -> Self {
        Self { exit, message: message.to_string(), hint: None }
    }

    /// A failure of no special kind.
    pub fn other(message: impl ToString) -> Self {
        Self::new(Exit::Other, message)
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl ToString) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// A file that cannot be read or written.
    pub fn file(path: &std::path::Path, cause: impl fmt::Display) -> Self {
        Self::other(format!("{}: {cause}", path.display()))
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Self::new(Exit::Configuration, error)
    }
}

impl From<server::Error> for Failure {
    fn from(error: server::Error) -> Self {
        let exit = match &error {
            server::Error::Config(_) | server::Error::Tls(_) => Exit::Configuration,
            server::Error::Log(StartError::Store(_)) => Exit::Other,
            server::Error::Log(_) => Exit::LogBroken,
            _ => Exit::Other,
        };
        let failure = Self::new(exit, &error);
        let hint = "if there is none, serve --accept-loss goes on in a new epoch";
        match error {
            server::Error::Log(StartError::Unguarded) => failure.with_hint(hint),
            server::Error::Log(StartError::Behind { signed, stored })
                if signed.epoch == stored.epoch =>
            {
                failure.with_hint(hint)
            }
            _ => failure,
        }
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        client::Error::from(status).into()
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let exit = match &error {
            client::Error::File { .. } => Exit::Configuration,
            client::Error::Connection { .. } => Exit::Connection,
            client::Error::Status(status) => match status.code() {
                Code::Unauthenticated | Code::PermissionDenied => Exit::NotPermitted,
                Code::NotFound => Exit::NotFound,
                Code::Unavailable => Exit::Connection,
                _ => Exit::Other,
            },
        };
        let verdict =
            matches!(error.reason().as_deref(), Some("SIGNATURE_FAILED" | "SIGNATURE_REFUSED"));
        let exit = if verdict { Exit::VerificationFailed } else { exit };
        Self::new(exit, error)
    }
}
