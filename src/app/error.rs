//! Errors at the edge: one sentence, the causes, and what to type next.

use crate::auth;
use crate::files;
use crate::graph;
use crate::host::similar::similar;
use crate::host::{self, Failure};
use crate::script::workspace::WorkspaceError;

/// An error as a face shows it.
#[derive(Debug)]
pub(crate) struct AppError {
    pub(crate) failure: Failure,
}

impl AppError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            failure: Failure { code: code.into(), message: message.into(), ..Failure::default() },
        }
    }

    /// Makes the error for input that has no meaning.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.failure.hint = Some(hint.into());
        self
    }

    pub(crate) fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            self.failure.causes.push(error.to_string());
            cause = error.source();
        }
        self
    }
}

impl From<Failure> for AppError {
    fn from(failure: Failure) -> Self {
        Self { failure }
    }
}

impl From<host::Error> for AppError {
    fn from(error: host::Error) -> Self {
        Self { failure: Failure::from(&error) }
    }
}

impl From<graph::Error> for AppError {
    fn from(error: graph::Error) -> Self {
        host::Error::from(error).into()
    }
}

/// Picks the name that an unknown one resembles, among those that the message lists.
pub(crate) fn did_you_mean(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("there is no `")?;
    let (name, known) = rest.split_once("` here; ")?;
    let near = similar(name, known.split('`').skip(1).step_by(2)).into_iter().next()?;
    Some(format!("did you mean `{near}`?"))
}

impl From<WorkspaceError> for AppError {
    fn from(error: WorkspaceError) -> Self {
        let hint = match &error {
            WorkspaceError::NotAWorkspace(_) => {
                Some("a workspace is a folder with a planwright.toml; an empty one will do")
            }
            _ => None,
        };
        let hint = match &error {
            WorkspaceError::Config { what, .. } => did_you_mean(what),
            _ => hint.map(str::to_owned),
        };
        let mut failure = Failure::from_error("workspace", &error, hint);
        if let WorkspaceError::Config { at: Some(at), .. } = error {
            failure.at = Some(*at);
        }
        Self { failure }
    }
}

impl From<graph::BadAddress> for AppError {
    fn from(error: graph::BadAddress) -> Self {
        Self { failure: Failure::from_error("usage", &error, Some(error.hint().to_owned())) }
    }
}

impl From<graph::BadProxy> for AppError {
    fn from(error: graph::BadProxy) -> Self {
        Self { failure: Failure::from_error("usage", &error, Some(error.hint())) }
    }
}

impl From<auth::Error> for AppError {
    fn from(error: auth::Error) -> Self {
        Self { failure: Failure::from_error(error.code(), &error, error.hint()) }
    }
}

impl From<files::Error> for AppError {
    fn from(error: files::Error) -> Self {
        let code = match &error {
            files::Error::TooLarge { .. } | files::Error::NotText(_) => "invalid",
            _ => "io",
        };
        Self { failure: Failure::from_error(code, &error, None) }
    }
}

impl From<std::io::Error> for AppError {
    fn from(error: std::io::Error) -> Self {
        Self { failure: Failure::from_error("io", &error, None) }
    }
}
