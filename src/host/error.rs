//! Errors that a program can meet when it reads or edits the board.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::graph;
use crate::host::stop::StopReason;
use crate::model::InvalidId;

/// An error of a session. `Display` is for people and for scripts; [`Error::hint`] has the remedy.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was found.
    #[error("there is no {what} `{name}`{}", within(.place.as_ref()))]
    NotFound {
        /// The kind: a plan, a bucket …
        what: &'static str,
        /// The text that was looked up.
        name: String,
        /// The place that was searched, if that helps.
        place: Option<String>,
        /// Names that are near, or all there are if they are few.
        nearest: Vec<String>,
    },
    /// Several were found.
    #[error("`{name}` is the name of {} {what}s", .candidates.len())]
    Ambiguous {
        /// The kind: a plan, a bucket …
        what: &'static str,
        /// The text that was looked up.
        name: String,
        /// Each of them, told apart.
        candidates: Vec<String>,
    },
    /// Several people have a text in their names.
    #[error("`{name}` is part of the names of {} people", .candidates.len())]
    AmbiguousPart {
        /// The text that was looked up.
        name: String,
        /// Each of them, by sign-in name.
        candidates: Vec<String>,
    },
    /// A value that is not allowed.
    #[error("{0}")]
    Invalid(String),
    /// A field that only the service computes, of something that does not exist yet.
    #[error("the {field} of a new {what} is not known before it is applied")]
    NotYetKnown {
        /// The kind: a plan, a bucket …
        what: &'static str,
        /// The field.
        field: &'static str,
    },
    /// Deleted earlier in the run.
    #[error("this {what} was deleted earlier in this run")]
    Gone {
        /// The kind: a plan, a bucket …
        what: &'static str,
    },
    /// A write in a session that only reads.
    #[error("the board is read only here")]
    ReadOnly,
    /// Rule R6: a plan needs a group of which the actor is a member.
    #[error("you are not a member of the group `{0}`, so you cannot create plans in it")]
    NotMember(String),
    /// A person's tasks, which Planner shows only to that person.
    #[error("Planner does not show you the tasks of `{0}`")]
    TasksOfOthers(String),
    /// An error of the host, as relayed to a program in another process.
    #[error("{}", .0.message)]
    Relayed(Box<Relayed>),
    /// The journal cannot be read.
    #[error("the journal cannot be read: {0}")]
    Journal(String),
    /// Graph's beta is needed, and is not in use.
    #[error("{0} needs Graph's beta")]
    NeedsBeta(&'static str),
    /// An application asked for what only a signed-in user has.
    #[error("{0} needs a user, and an application is signed in")]
    NeedsUser(&'static str),
    /// A malformed id.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A refusal of the service, or no answer from it.
    #[error(transparent)]
    Graph(Arc<graph::Error>),
    /// The run was stopped.
    #[error("{0}")]
    Stopped(StopReason),
}

/// The remedy where an application has no "me".
const NO_USER: &str = "name the plan by its id, or sign in as a user: `planwright auth login`; an application signs in as itself by `planwright auth login --secret-file FILE`, which knows who it is";

fn within(place: Option<&String>) -> String {
    place.map(|place| format!(" in {place}")).unwrap_or_default()
}

impl From<graph::Error> for Error {
    fn from(error: graph::Error) -> Self {
        Self::Graph(Arc::new(error))
    }
}

impl Error {
    /// Returns a stable name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Ambiguous { .. } | Self::AmbiguousPart { .. } => "ambiguous",
            Self::Invalid(_) | Self::Id(_) => "invalid",
            Self::NotYetKnown { .. } => "not_yet_known",
            Self::Gone { .. } => "gone",
            Self::ReadOnly => "read_only",
            Self::NotMember(_) => "not_member",
            Self::TasksOfOthers(_) => "not_permitted",
            Self::NeedsBeta(_) => "needs_beta",
            Self::NeedsUser(_) => "app_only",
            Self::Journal(_) => "journal",
            Self::Relayed(error) => error.code(),
            Self::Stopped(reason) => reason.code(),
            Self::Graph(error) if error.is_not_found() => "not_found",
            Self::Graph(error) if error.is_unauthorized() => "not_signed_in",
            Self::Graph(error) if error.needs_user() => "app_only",
            Self::Graph(error) if error.is_permission() => "not_permitted",
            Self::Graph(error) if error.is_unavailable() => "unavailable",
            Self::Graph(_) => "service",
        }
    }

    /// Returns whether it means that nothing was found.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == "not_found"
    }

    /// Returns whether it means that the actor lacks permission.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(self.code(), "not_permitted" | "not_signed_in")
    }

    /// Returns the status of the service's refusal, if it is one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Graph(error) => error.refusal().map(|refusal| refusal.status),
            Self::Relayed(error) => error.status,
            _ => None,
        }
    }

    /// Returns it in a sentence, with its cause.
    #[must_use]
    pub fn with_cause(&self) -> String {
        let cause = match self {
            Self::Graph(error) => std::error::Error::source(&**error),
            _ => None,
        };
        cause.map_or_else(|| self.to_string(), |cause| format!("{self}: {cause}"))
    }

    /// Returns the remedy, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { what, nearest, .. } => match nearest.as_slice() {
                [] if *what == "user" => {
                    Some("`planwright user list` lists the people of your groups".to_owned())
                }
                [] => None,
                [one] => Some(format!("did you mean `{one}`?")),
                several => Some(format!("did you mean one of: {}?", quoted(several))),
            },
            Self::Ambiguous { candidates, .. } => {
                Some(format!("name one by its id: {}", candidates.join(", ")))
            }
            Self::AmbiguousPart { candidates, .. } => {
                Some(format!("name one by the sign-in name: {}", candidates.join(", ")))
            }
            Self::NotMember(_) => {
                Some("ask an owner of the group to add you; owners are not members".to_owned())
            }
            Self::TasksOfOthers(_) => Some(
                "go through the plans that you share with them: plan(…).tasks, task.assigned_to(…)"
                    .to_owned(),
            ),
            Self::NeedsBeta(_) => Some(
                "add `--beta`, or `beta = true` to planwright.toml; Microsoft may change it without notice"
                    .to_owned(),
            ),
            Self::NeedsUser(_) => Some(
                "sign in as a user under a profile of their own, `planwright auth login --profile NAME --device`, and act as that: `--profile NAME`"
                    .to_owned(),
            ),
            Self::Graph(error) => graph_hint(error),
            Self::Relayed(error) => error.hint.clone(),
            Self::Invalid(_)
            | Self::Id(_)
            | Self::Journal(_)
            | Self::NotYetKnown { .. }
            | Self::Gone { .. }
            | Self::ReadOnly
            | Self::Stopped(_) => None,
        }
    }
}

/// An error as relayed to another process: enough to go on or to report it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relayed {
    code: String,
    pub(crate) message: String,
    hint: Option<String>,
    status: Option<u16>,
}

impl Relayed {
    /// The codes that can be relayed.
    const CODES: [&str; 8] = [
        "app_only",
        "not_found",
        "not_signed_in",
        "not_permitted",
        "unavailable",
        "service",
        "journal",
        "stopped",
    ];

    pub(crate) fn from_error(error: &Error) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.with_cause(),
            hint: error.hint(),
            status: error.status(),
        }
    }

    fn code(&self) -> &'static str {
        Self::CODES.into_iter().find(|code| *code == self.code).unwrap_or("service")
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

pub(crate) fn graph_hint(error: &graph::Error) -> Option<String> {
    let text = match error {
        graph::Error::Unreachable { .. } => "is the address right, and the service up?",
        graph::Error::NotGraph { .. } => {
            "check --graph-url; it ends in the version: https://graph.microsoft.com/v1.0"
        }
        graph::Error::Refused(api) if api.is_unauthorized() => {
            "the access token is missing, wrong or expired: sign in with `planwright auth login`, or set PLANWRIGHT_TOKEN to a fresh one"
        }
        graph::Error::SignIn(error) => return Some(error.hint()),
        error if error.needs_user() => NO_USER,
        graph::Error::Refused(api) if api.is_forbidden() => {
            "the signed-in user or its token lacks the permission; Planner needs Tasks.ReadWrite and membership of the plan's group"
        }
        graph::Error::Refused(api) if api.is_throttled() => "the service is busy: try again later",
        graph::Error::AskedToWait { .. } => "the service is busy: try again later",
        graph::Error::NoAnswer { .. } => "the service may be down or overloaded: try again later",
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::host::similar::{nearest, similar};

    #[test]
    fn a_typo_finds_its_name_and_nonsense_the_whole_short_list() {
        let names = ["Inbox", "This Week", "In Progress", "Done"];
        assert_eq!(nearest("this weak", names), ["This Week"]);
        assert_eq!(nearest("inbx", names)[0], "Inbox");
        assert_eq!(nearest("zzz", names).len(), 4);
        // Compared in full, this would take minutes.
        let long = "x".repeat(1 << 20);
        assert_eq!(similar(&long, std::iter::repeat_n(long.as_str(), 50)).len(), 1);
        assert!(nearest("zzz", (0..20).map(|_| "name").chain(["other"; 9])).len() <= 2);
    }
}
