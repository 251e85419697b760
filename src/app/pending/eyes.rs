//! Four eyes: whoever asked for a set, and whoever approves it, are two people (design.md 7).
//!
//! At the command line that is the sign-in. A server has one sign-in for all who come to it, so there it is
//! the user whom a token belongs to.

use serde_json::Value;

use crate::app::App;
use crate::app::error::AppError;
use crate::app::pending::failed;
use crate::app::token::serve_tokens::OfUser;
use crate::change::Saved;
use crate::journal::kept::KeptSet;
use crate::model::User;

/// The most runs of which each goes back to another and that are followed.
const MAX_CHAIN: usize = 1_000;

/// A person who came to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visitor {
    /// The name of the token.
    pub(crate) name: String,
    /// The user that they are, if somebody has said so.
    pub(crate) user: Option<OfUser>,
}

impl Visitor {
    /// Returns the user that they are.
    ///
    /// # Errors
    /// Nobody has said.
    fn known(&self) -> Result<&OfUser, AppError> {
        let name = &self.name;
        self.said(|| {
            format!(
                "`planwright serve token revoke --name {name}`, then create it again with `--user UPN`"
            )
        })
    }

    /// Returns the user that they were when they asked for a set.
    ///
    /// # Errors
    /// Nobody had said, and what is on record stays so.
    fn known_as_asker(&self, set: &KeptSet) -> Result<&OfUser, AppError> {
        self.said(|| {
            format!(
                "ask for it again under a token with a user, which `planwright serve token create --name NAME --role admin --user UPN` makes, and reject this one: `planwright reject {}`",
                set.run
            )
        })
    }

    fn said(&self, hint: impl FnOnce() -> String) -> Result<&OfUser, AppError> {
        self.user.as_ref().ok_or_else(|| {
            let name = &self.name;
            let message =
                format!("nobody has said which user `{name}` is: it may be one and the same");
            AppError::new("four_eyes", message).hint(hint())
        })
    }
}

/// Returns the visitor of a server who submitted something, as it is on record.
fn asker_of(record: &Value) -> Option<Visitor> {
    let detail = record["detail"].as_object()?;
    let user = serde_json::from_value(detail.get("user")?.clone()).ok()?;
    Some(Visitor { name: record["by"]["name"].as_str()?.to_owned(), user })
}

impl App {
    /// Fails if a person's set needs the eyes of somebody else than `me`, who is signed in, or than the
    /// visitor of this server.
    ///
    /// # Errors
    /// It does, or nobody knows who asked for it; or the journal cannot be read.
    pub(super) fn check_eyes(
        &self,
        (set, saved): (&KeptSet, &Saved),
        me: &User,
        visitor: Option<&Visitor>,
    ) -> Result<(), AppError> {
        if saved.agent.is_some() || !self.workspace.config.approvals.four_eyes {
            return Ok(());
        }
        let me = match visitor {
            Some(visitor) => visitor.known()?.id.as_str(),
            None => me.id.as_str(),
        };
        let is_own = match self.asker(set)? {
            Some(asker) => {
                let is_same = visitor.is_some_and(|visitor| visitor.name == asker.name);
                is_same || asker.known_as_asker(set)?.id == me
            }
            None => saved.actor.as_str() == me,
        };
        if !is_own {
            return Ok(());
        }
        let message = "you have drafted this yourself: somebody else must approve it";
        Err(AppError::new("four_eyes", message)
            .hint("`four_eyes = true` in [approvals] of planwright.toml asks for that"))
    }

    /// Returns the visitor of a server who asked for what a set is of; `None` if it was asked for at the
    /// command line, under the sign-in of the run's actor. What carries on, or carries out, what somebody
    /// asked for is asked for by them.
    fn asker(&self, set: &KeptSet) -> Result<Option<Visitor>, AppError> {
        let Some(journal) = self.state_folder()?.open_to_read()? else { return Ok(None) };
        let mut run = set.run.clone();
        for _ in 0..MAX_CHAIN {
            let record = journal.submission_of(&run).map_err(|error| failed(&error))?;
            if record.is_some() {
                return Ok(record.as_ref().and_then(asker_of));
            }
            match journal.goes_back_to(&run).map_err(|error| failed(&error))? {
                Some(earlier) => run = earlier,
                None => return Ok(None),
            }
        }
        Err(AppError::new(
            "four_eyes",
            "nobody can say who asked for this: too many runs led to it",
        )
        .hint(format!("ask for it again, and reject this one: `planwright reject {}`", set.run)))
    }
}
