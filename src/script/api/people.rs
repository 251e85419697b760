//! Users and groups in scripts.

use rhai::plugin::{Dynamic, Module, combine_with_exported_module, export_module};

use crate::host::{Error, Session, View};
use crate::model::{self, UserId};
use crate::script::api::handles::{Group, Task, User};
use crate::script::api::value::{
    Fallible, OrRaise as _, frozen, frozen_list, invalid, kind_of, raise,
};

impl User {
    pub(crate) fn or_unit(session: &Session, id: Option<UserId>) -> Dynamic {
        id.map_or(Dynamic::UNIT, |id| Dynamic::from(Self { session: session.clone(), id }))
    }

    /// Reads a person: a User, or a name, address or id.
    pub(crate) fn given(value: &Dynamic, session: &Session) -> Fallible<UserId> {
        if let Some(user) = value.read_lock::<Self>() {
            return Ok(user.id.clone());
        }
        match value.as_immutable_string_ref() {
            Ok(text) => Ok(session.find_user(&text).or_raise(session)?.id),
            Err(_) => {
                let kind = kind_of(value);
                invalid(
                    session,
                    format!("a person is a User or a text such as \"ana@example.org\", not {kind}"),
                )
            }
        }
    }

    /// Returns whether a text is the person's address or id.
    pub(crate) fn answers_to(&self, text: &str) -> Fallible<bool> {
        let text = text.trim();
        let has_id = self.id.as_str().eq_ignore_ascii_case(text);
        Ok(has_id || self.read()?.is_some_and(|user| user.answers_to(text)))
    }

    /// Returns the name for texts: of somebody who is not in the directory any more, the id. A policy has to
    /// say whose task it is about to refuse, also of those.
    fn label(&self) -> Fallible<String> {
        match self.session.find_user(self.id.as_str()) {
            Ok(user) => Ok(user.label().to_owned()),
            Err(Error::NotFound { .. }) => Ok(self.id.to_string()),
            Err(error) => Err(raise(&self.session, &error)),
        }
    }

    /// Reads the person from the directory. Someone who is not in it has no names, which a skill
    /// may ignore; a policy must not mistake that, or an outage, for an answer.
    fn read(&self) -> Fallible<Option<model::User>> {
        match self.session.find_user(self.id.as_str()) {
            Ok(user) => Ok(Some(user)),
            Err(Error::NotFound { .. }) if self.session.view() == View::Drafting => Ok(None),
            Err(error) => Err(raise(&self.session, &error)),
        }
    }
}

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "people", functions);
}

#[export_module]
mod functions {
    /// The directory's id.
    /// → text
    #[rhai_fn(get = "id", pure)]
    pub fn user_id(user: &mut User) -> Dynamic {
        frozen(user.id.to_string())
    }

    /// The display name; the sign-in name or id where there is none.
    /// → text
    #[rhai_fn(get = "name", pure, volatile, return_raw)]
    pub fn user_name(user: &mut User) -> Fallible<Dynamic> {
        let read = user.read()?;
        Ok(frozen(read.map_or_else(|| user.id.to_string(), |user| user.label().to_owned())))
    }

    /// The sign-in name (user principal name).
    /// → text
    #[rhai_fn(get = "upn", pure, volatile, return_raw)]
    pub fn upn(user: &mut User) -> Fallible<Dynamic> {
        Ok(frozen(user.read()?.map(|user| user.upn).unwrap_or_default()))
    }

    /// The mail address, `()` if there is none.
    /// → text?
    #[rhai_fn(get = "mail", pure, volatile, return_raw)]
    pub fn mail(user: &mut User) -> Fallible<Dynamic> {
        Ok(user.read()?.and_then(|user| user.mail).map_or(Dynamic::UNIT, frozen))
    }

    /// The tasks assigned to the person; Planner shows people only their own.
    /// → [Task]
    #[rhai_fn(get = "tasks", pure, volatile, return_raw)]
    pub fn user_tasks(user: &mut User) -> Fallible<Dynamic> {
        let session = &user.session;
        let person = session.find_user(user.id.as_str()).or_raise(session)?;
        let ids = session.tasks_of_user(&person).or_raise(session)?;
        Ok(frozen_list(ids.into_iter().map(|id| Task { session: session.clone(), id })))
    }

    /// Returns whether they are the same person.
    #[rhai_fn(name = "==")]
    pub fn user_eq(a: User, b: User) -> bool {
        a.id == b.id
    }

    /// Returns whether they are different people.
    #[rhai_fn(name = "!=")]
    pub fn user_ne(a: User, b: User) -> bool {
        a.id != b.id
    }

    /// The display name, for texts.
    #[rhai_fn(name = "to_string", name = "to_debug", pure, volatile, return_raw)]
    pub fn user_to_string(user: &mut User) -> Fallible<String> {
        user.label()
    }

    /// The directory's id.
    /// → text
    #[rhai_fn(get = "id", pure)]
    pub fn group_id(group: &mut Group) -> Dynamic {
        frozen(group.group.id.to_string())
    }

    /// The name.
    /// → text
    #[rhai_fn(get = "name", pure)]
    pub fn group_name(group: &mut Group) -> Dynamic {
        frozen(group.group.name.clone())
    }

    /// The members.
    /// → [User]
    #[rhai_fn(get = "members", pure, volatile, return_raw)]
    pub fn group_members(group: &mut Group) -> Fallible<Dynamic> {
        let session = &group.session;
        let users = session.members(&group.group).or_raise(session)?;
        Ok(frozen_list(
            users.into_iter().map(|user| User { session: session.clone(), id: user.id }),
        ))
    }

    /// The name, for texts.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn group_to_string(group: &mut Group) -> String {
        group.group.name.clone()
    }
}
