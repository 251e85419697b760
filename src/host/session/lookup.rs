//! Finding things by the names that people use.
//!
//! A name that is not unique is an error that lists the candidates; one that does not exist
//! suggests the nearest (design.md 4.1).

use crate::host::broker::{Query, Response};
use crate::host::error::{nearest, similar};
use crate::host::session::not_found;
use crate::host::session::read_set::{ListRead, named_tasks};
use crate::host::{Error, Session, View};
use crate::model::id::{looks_like_guid, looks_like_planner_id};
use crate::model::{Bucket, BucketId, Category, Group, Plan, PlanId, Task, TaskId, User, UserId};

/// Picks the one that has a name: exactly, or else but for upper and lower case.
pub(crate) fn pick<'a, T>(items: &'a [T], name: &str, name_of: impl Fn(&T) -> &str) -> Vec<&'a T> {
    let exact: Vec<_> = items.iter().filter(|it| name_of(it) == name).collect();
    if !exact.is_empty() {
        return exact;
    }
    let folded = name.to_lowercase();
    items.iter().filter(|it| name_of(it).to_lowercase() == folded).collect()
}

impl Session {
    /// Finds a plan by title or id.
    ///
    /// # Errors
    /// None or several have that title.
    pub fn find_plan(&self, text: &str) -> Result<PlanId, Error> {
        let text = text.trim();
        let known_marker = PlanId::parse(text).ok().filter(PlanId::is_provisional);
        if let Some(id) = known_marker {
            return self.plan(&id).map(|it| it.id);
        }
        if looks_like_planner_id(text) {
            match self.plan(&PlanId::parse(text)?) {
                Ok(plan) => return Ok(plan.id),
                Err(Error::NotFound { .. }) => {}
                // Malformed for the service after all: then it is a title.
                Err(error) if error.status() == Some(400) => {}
                Err(error) => return Err(error),
            }
        }
        let mut plans: Vec<Plan> = Vec::new();
        for id in self.plans()? {
            match self.plan(&id) {
                Ok(plan) => plans.push(plan),
                Err(Error::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        match pick(&plans, text, |it| &it.title).as_slice() {
            [plan] => Ok(plan.id.clone()),
            [] => Err(Error::NotFound {
                what: "plan",
                name: text.to_owned(),
                place: None,
                nearest: nearest(text, plans.iter().map(|it| it.title.as_str())),
            }),
            several => {
                let mut candidates = Vec::new();
                for plan in several {
                    let group = plan.group.as_ref().and_then(|id| self.group_name(id.as_str()));
                    let place = group.map(|it| format!(" (group {it})")).unwrap_or_default();
                    candidates.push(format!("{}{place}", plan.id));
                }
                Err(Error::Ambiguous { what: "plan", name: text.to_owned(), candidates })
            }
        }
    }

    fn group_name(&self, id: &str) -> Option<String> {
        self.groups().ok()?.into_iter().find(|it| it.id.as_str() == id).map(|it| it.name)
    }

    /// Finds a bucket of a plan by name or id.
    ///
    /// # Errors
    /// None or several have that name.
    pub fn find_bucket(&self, plan: &PlanId, text: &str) -> Result<BucketId, Error> {
        let plan = &*self.real(plan);
        let text = text.trim();
        let buckets: Vec<Bucket> = self
            .listed_buckets(plan)?
            .iter()
            .map(|id| self.bucket(id))
            .collect::<Result<_, _>>()?;
        if let Some(bucket) = buckets.iter().find(|it| it.id.as_str() == text) {
            return Ok(bucket.id.clone());
        }
        self.note_list(ListRead::BucketsNamed(plan.clone(), text.to_owned()));
        match pick(&buckets, text, |it| &it.name).as_slice() {
            [bucket] => Ok(bucket.id.clone()),
            [] => Err(Error::NotFound {
                what: "bucket",
                name: text.to_owned(),
                place: Some(format!("the plan `{}`", self.plan(plan)?.title)),
                nearest: nearest(text, buckets.iter().map(|it| it.name.as_str())),
            }),
            several => Err(Error::Ambiguous {
                what: "bucket",
                name: text.to_owned(),
                candidates: several.iter().map(|it| it.id.to_string()).collect(),
            }),
        }
    }

    /// Finds a task of a plan by title or id; where titles repeat, an open one goes before
    /// completed ones.
    ///
    /// # Errors
    /// None or several have that title.
    pub fn find_task(&self, plan: &PlanId, text: &str) -> Result<TaskId, Error> {
        let plan = &*self.real(plan);
        let text = text.trim();
        let tasks: Vec<Task> =
            self.listed_tasks(plan)?.iter().map(|id| self.task(id)).collect::<Result<_, _>>()?;
        if let Some(task) = tasks.iter().find(|it| it.id.as_str() == text) {
            return Ok(task.id.clone());
        }
        self.note_list(ListRead::TasksNamed(plan.clone(), text.to_owned()));
        match named_tasks(&tasks, text).as_slice() {
            [task] => Ok(task.id.clone()),
            [] => Err(Error::NotFound {
                what: "task",
                name: text.to_owned(),
                place: Some(format!("the plan `{}`", self.plan(plan)?.title)),
                nearest: similar(text, tasks.iter().map(|it| it.title.as_str())),
            }),
            several => Err(Error::Ambiguous {
                what: "task",
                name: text.to_owned(),
                candidates: several.iter().map(|it| it.id.to_string()).collect(),
            }),
        }
    }

    /// Finds a task by id, in whatever plan.
    ///
    /// # Errors
    /// There is none.
    pub fn task_by_id(&self, text: &str) -> Result<TaskId, Error> {
        let text = text.trim();
        let id = TaskId::parse(text).map_err(|_| not_found("task", text))?;
        match self.task(&id) {
            // Not even the form of an id: the service says 400 (planner-api.md 1.2).
            Err(error) if error.status() == Some(400) => Err(not_found("task", text)),
            other => other.map(|it| it.id),
        }
    }

    /// Returns a user by id, for showing: `None` if the directory does not tell.
    pub fn user_by_id(&self, id: &UserId) -> Option<User> {
        if self.facts().me.id == *id {
            return Some(self.facts().me.clone());
        }
        self.find_user(id.as_str()).ok()
    }

    /// Finds a user by id, sign-in name, mail address or, among the members of the actor's
    /// groups, display name. `me` is the signed-in user.
    ///
    /// # Errors
    /// There is none, or several have that name.
    pub fn find_user(&self, text: &str) -> Result<User, Error> {
        let text = text.trim();
        let me = &self.facts().me;
        if text.eq_ignore_ascii_case("me") || me.answers_to(text) {
            return Ok(me.clone());
        }
        if let Some(user) = self.state().snapshot.find_user(text) {
            return Ok(user.clone());
        }
        if text.is_empty() {
            return Err(not_found("user", text));
        }
        if text.contains('@') || looks_like_guid(text) {
            match self.fetch(&Query::User(text.to_owned())) {
                Ok(Response::User(user)) => return Ok(user),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        if text.contains('@')
            && let Ok(Response::Users(users)) = self.fetch(&Query::UserByMail(text.to_owned()))
            && let [user] = users.as_slice()
        {
            return Ok(user.clone());
        }
        self.find_colleague(text)
    }

    /// Returns the members of the actor's groups, by name.
    ///
    /// # Errors
    /// The service can not be asked.
    pub fn colleagues(&self) -> Result<Vec<User>, Error> {
        let mut people: Vec<User> = vec![self.facts().me.clone()];
        for group in self.groups()? {
            for user in self.members(&group)? {
                if !people.iter().any(|it| it.id == user.id) {
                    people.push(user);
                }
            }
        }
        people.sort_by(|a, b| (&a.name, &a.upn).cmp(&(&b.name, &b.upn)));
        Ok(people)
    }

    fn find_colleague(&self, text: &str) -> Result<User, Error> {
        let people = self.colleagues()?;
        match pick(&people, text, |it| &it.name).as_slice() {
            [user] => Ok((*user).clone()),
            [] => Err(Error::NotFound {
                what: "user",
                name: text.to_owned(),
                place: None,
                nearest: nearest(text, people.iter().flat_map(|it| [it.upn.as_str(), &it.name])),
            }),
            several => Err(Error::Ambiguous {
                what: "user",
                name: text.to_owned(),
                candidates: several.iter().map(|it| it.upn.clone()).collect(),
            }),
        }
    }

    /// Returns the groups of the signed-in user that can hold plans.
    ///
    /// # Errors
    /// The service can not be asked.
    pub fn groups(&self) -> Result<Vec<Group>, Error> {
        if self.state().snapshot.groups().is_none() {
            self.fetch(&Query::Groups)?;
        }
        Ok(self.state().snapshot.groups().unwrap_or_default().to_vec())
    }

    /// Finds a group among those of the signed-in user, by name or id.
    ///
    /// # Errors
    /// The user is a member of none or several of that name.
    pub fn find_group(&self, text: &str) -> Result<Group, Error> {
        let text = text.trim();
        let groups = self.groups()?;
        if let Some(group) = groups.iter().find(|it| it.id.as_str().eq_ignore_ascii_case(text)) {
            return Ok(group.clone());
        }
        match pick(&groups, text, |it| &it.name).as_slice() {
            [group] => Ok((*group).clone()),
            [] if looks_like_guid(text) => Err(Error::NotMember(text.to_owned())),
            [] => Err(Error::NotFound {
                what: "group",
                name: text.to_owned(),
                place: Some("the groups you are a member of".to_owned()),
                nearest: nearest(text, groups.iter().map(|it| it.name.as_str())),
            }),
            several => Err(Error::Ambiguous {
                what: "group",
                name: text.to_owned(),
                candidates: several.iter().map(|it| it.id.to_string()).collect(),
            }),
        }
    }

    /// Returns the members of a group; none if the service does not tell.
    ///
    /// # Errors
    /// The service can not be asked.
    pub fn members(&self, group: &Group) -> Result<Vec<User>, Error> {
        if self.state().snapshot.members_of(&group.id).is_none() {
            match self.fetch(&Query::Members(group.id.clone())) {
                // A policy must not mistake this for an empty group.
                Err(error) if error.is_permission() && self.view() == View::Drafting => {
                    self.state().snapshot.set_members(group.id.clone(), Vec::new());
                }
                other => drop(other?),
            }
        }
        let state = self.state();
        let ids = state.snapshot.members_of(&group.id).unwrap_or_default();
        Ok(ids.iter().filter_map(|id| state.snapshot.user(id)).cloned().collect())
    }

    /// Plans a new plan in a group of which the actor is a member (rule R6); returns its
    /// provisional id.
    ///
    /// # Errors
    /// The board is read only here, or the actor is no member of such a group.
    pub fn create_plan(&self, group: &str, title: &str) -> Result<PlanId, Error> {
        self.check_writable()?;
        let group = self.find_group(group)?;
        let (group, title) = (Some(group.id), title.to_owned());
        let make = |id| Plan { group, ..Plan::new(id, title) };
        Ok(self.state().draft.create_plan(make))
    }

    /// Finds a label of a plan by its name, `category7`, or its number.
    ///
    /// # Errors
    /// The plan has no such label.
    pub fn find_label(&self, plan: &PlanId, text: &str) -> Result<Category, Error> {
        let plan = &*self.real(plan);
        let text = text.trim();
        let labels: Vec<(Category, String)> = self.plan_details(plan)?.labels.into_iter().collect();
        match pick(&labels, text, |(_, name)| name).as_slice() {
            [(category, _)] => return Ok(*category),
            [] => {}
            several => {
                return Err(Error::Ambiguous {
                    what: "label",
                    name: text.to_owned(),
                    candidates: several.iter().map(|(it, _)| it.to_string()).collect(),
                });
            }
        }
        let by_number = text.parse().ok().and_then(Category::new);
        Category::parse(text).or(by_number).ok_or_else(|| Error::NotFound {
            what: "label",
            name: text.to_owned(),
            place: self.plan(plan).ok().map(|it| format!("the plan `{}`", it.title)),
            nearest: nearest(text, labels.iter().map(|(_, name)| name.as_str())),
        })
    }

    /// Returns the name of a label, `category7` if it has none.
    ///
    /// # Errors
    /// The service can not be asked.
    pub fn label_name(&self, plan: &PlanId, category: Category) -> Result<String, Error> {
        let plan = &*self.real(plan);
        let labels = self.plan_details(plan)?.labels;
        Ok(labels.get(&category).cloned().unwrap_or_else(|| category.to_string()))
    }
}
