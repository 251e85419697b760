//! The lookup of entities by the names that people use.
//!
//! A name that is not unique is an error that lists the candidates; one that does not exist
//! suggests the nearest (design.md 4.1).

use crate::change::PlanDetailsField;
use crate::change::read::{pick, resolve_tasks};
use crate::change::{EntityId, Read};
use crate::host::error::Error;
use crate::host::query::Query;
use crate::host::session::core::not_found;
use crate::host::session::core::{Session, View};
use crate::host::similar::{nearest, similar};
use crate::model::id::{is_short_id, looks_like_guid, looks_like_planner_id};
use crate::model::snapshot::folded;
use crate::model::{Bucket, BucketId, Category, Group, Plan, PlanId, Task, TaskId, User, UserId};

fn refs<T>(items: &[T]) -> Vec<&T> {
    items.iter().collect()
}

/// Picks the people who have a text in their names: at the beginning of a word, or else anywhere.
fn named_in_part<'a>(people: &[&'a User], part: &str) -> Vec<&'a User> {
    let part = folded(part);
    // One letter is a slip, not a name, even if only one person has it.
    if part.chars().count() < 2 {
        return Vec::new();
    }
    let begins = |user: &&User| {
        let name = folded(&user.name);
        name.match_indices(&part).any(|(at, _)| {
            name.get(..at).is_some_and(|before| !before.ends_with(char::is_alphanumeric))
        })
    };
    let first: Vec<&User> = people.iter().copied().filter(begins).collect();
    if !first.is_empty() {
        return first;
    }
    people.iter().copied().filter(|user| folded(&user.name).contains(&part)).collect()
}

/// Picks the people whose names, or one word of them, come near to a text; each once. Of addresses
/// the part before the `@` is compared: all colleagues share the other.
fn people_near(people: &[User], text: &str) -> Vec<String> {
    let is_address = text.contains('@');
    let own_part = |address: &str| address.split('@').next().unwrap_or_default().to_owned();
    let names = |user: &User| -> Vec<String> {
        if is_address {
            return vec![own_part(&user.upn)];
        }
        let words = user.name.split_whitespace().map(str::to_owned);
        [user.name.clone(), user.upn.clone()].into_iter().chain(words).collect()
    };
    let wanted = if is_address { own_part(text) } else { text.to_owned() };
    let all: Vec<String> = people.iter().flat_map(names).collect();
    let mut near: Vec<(&UserId, String)> = Vec::new();
    for found in similar(&wanted, all.iter().map(String::as_str)) {
        for user in people.iter().filter(|user| names(user).contains(&found)) {
            let shown = if is_address || user.upn == found { &user.upn } else { &user.name };
            if near.iter().all(|(id, name)| **id != user.id && name != shown) {
                near.push((&user.id, shown.clone()));
            }
        }
    }
    near.into_iter().map(|(_, name)| name).take(3).collect()
}

/// A name to look up, and the kind of thing it names.
struct Lookup<'a> {
    what: &'static str,
    name: &'a str,
}

impl Lookup<'_> {
    /// Returns the only one of those found, or an error that lists them.
    fn only<'a, T>(
        &self,
        found: &[&'a T],
        candidate: impl FnMut(&&'a T) -> String,
        missing: impl FnOnce() -> Result<(Option<String>, Vec<String>), Error>,
    ) -> Result<&'a T, Error> {
        let (what, name) = (self.what, self.name.to_owned());
        match found {
            [one] => Ok(one),
            [] => {
                let (place, nearest) = missing()?;
                Err(Error::NotFound { what, name, place, nearest })
            }
            several => {
                let candidates = several.iter().map(candidate).collect();
                Err(Error::Ambiguous { what, name, candidates })
            }
        }
    }
}

impl Session {
    /// Finds a plan by title or id.
    ///
    /// # Errors
    /// None or several have that title.
    pub fn find_plan(&self, text: &str) -> Result<PlanId, Error> {
        let text = text.trim();
        let provisional = PlanId::parse(text).ok().filter(PlanId::is_provisional);
        if let Some(id) = provisional {
            return self.peek_plan(&id).map(|plan| plan.id);
        }
        if looks_like_planner_id(text) {
            match self.peek_plan(&PlanId::parse(text)?) {
                Ok(plan) => {
                    self.count(Read::Exists(EntityId::Plan(plan.id.clone())));
                    return Ok(plan.id);
                }
                Err(Error::NotFound { .. }) => {}
                // Malformed for the service after all, so it is a title.
                Err(error) if error.status() == Some(400) => {}
                Err(error) => return Err(error),
            }
        }
        let mut plans: Vec<Plan> = Vec::new();
        for id in self.peek_plans()? {
            match self.peek_plan(&id) {
                Ok(plan) => plans.push(plan),
                Err(Error::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // Counted even if nothing is found: "there is no plan of that name" is a fact to rest on.
        self.count(Read::PlansNamed(text.to_owned()));
        let shown = |plan: &&Plan| {
            let group = plan.group.as_ref().and_then(|id| self.group_name(id.as_str()));
            let place = group.map(|group| format!(" (group {group})")).unwrap_or_default();
            format!("{}{place}", plan.id)
        };
        let near = || Ok((None, nearest(text, plans.iter().map(|plan| plan.title.as_str()))));
        let found = pick(&refs(&plans), text, |plan| &plan.title);
        Lookup { what: "plan", name: text }.only(&found, shown, near).map(|plan| plan.id.clone())
    }

    fn group_name(&self, id: &str) -> Option<String> {
        self.peek_groups()
            .ok()?
            .into_iter()
            .find(|group| group.id.as_str() == id)
            .map(|group| group.name)
    }

    /// Finds a bucket of a plan by name or id.
    ///
    /// # Errors
    /// None or several have that name.
    pub fn find_bucket(&self, plan: &PlanId, text: &str) -> Result<BucketId, Error> {
        let plan = &*self.real(plan);
        let text = text.trim();
        let buckets: Vec<Bucket> = self
            .peek_buckets(plan)?
            .iter()
            .map(|id| self.peek_bucket(id))
            .collect::<Result<_, _>>()?;
        if let Some(bucket) = buckets.iter().find(|bucket| bucket.id.as_str() == text) {
            self.count(Read::Exists(EntityId::Bucket(bucket.id.clone())));
            return Ok(bucket.id.clone());
        }
        self.count(Read::BucketsNamed(plan.clone(), text.to_owned()));
        let found = pick(&refs(&buckets), text, |bucket| &bucket.name);
        let near = || {
            let near = nearest(text, buckets.iter().map(|bucket| bucket.name.as_str()));
            Ok((Some(self.the_plan(plan)?), near))
        };
        let only = Lookup { what: "bucket", name: text }.only(
            &found,
            |bucket| bucket.id.to_string(),
            near,
        );
        only.map(|bucket| bucket.id.clone())
    }

    fn the_plan(&self, plan: &PlanId) -> Result<String, Error> {
        Ok(format!("the plan `{}`", self.peek_plan(plan)?.title))
    }

    /// Finds a task of a plan by title, id or the beginning of an id; where titles repeat, an open task
    /// wins over completed ones.
    ///
    /// # Errors
    /// None or several have that title.
    pub fn find_task(&self, plan: &PlanId, text: &str) -> Result<TaskId, Error> {
        let plan = &*self.real(plan);
        let text = text.trim();
        self.list_tasks(plan)?;
        if let Some(id) = self.listed_by_id(plan, text) {
            self.count(Read::Exists(EntityId::Task(id.clone())));
            return Ok(id);
        }
        let found: Vec<Task> = self.tasks_titled(plan, text);
        self.count(Read::TasksNamed(plan.clone(), text.to_owned()));
        let near = || {
            let titles: Result<Vec<String>, Error> = self
                .peek_tasks(plan)?
                .iter()
                .map(|id| self.with_task(id, |task| task.title.clone()))
                .collect();
            let near = similar(text, titles?.iter().map(String::as_str));
            Ok((Some(self.the_plan(plan)?), near))
        };
        let begun = if found.is_empty() && is_short_id(text) {
            self.tasks_with_ref(plan, text)?
        } else {
            Vec::new()
        };
        let mut found = resolve_tasks(&refs(&found), text);
        found.extend(&begun);
        let shown = |task: &&Task| {
            let bucket = task.bucket.as_ref().and_then(|id| self.peek_bucket(id).ok());
            let place = bucket.map(|bucket| format!(" (in {})", bucket.name)).unwrap_or_default();
            format!("{}{place}", task.id)
        };
        let only = Lookup { what: "task", name: text }.only(&found, shown, near);
        only.map(|task| task.id.clone())
    }

    /// Returns the tasks of a plan whose ids begin with a text.
    fn tasks_with_ref(&self, plan: &PlanId, text: &str) -> Result<Vec<Task>, Error> {
        let ids = self.peek_tasks(plan)?.into_iter().filter(|id| id.as_str().starts_with(text));
        let found = ids.map(|id| {
            let task = self.peek_task(&id);
            self.count(Read::Exists(EntityId::Task(id)));
            task
        });
        found.collect()
    }

    /// Returns the tasks of a plan with a title, ignoring case, from the indexes.
    fn tasks_titled(&self, plan: &PlanId, title: &str) -> Vec<Task> {
        let state = self.state();
        let read = state.snapshot.tasks_titled(plan, title).iter();
        if !self.overlaid() {
            return read
                .filter_map(|id| state.snapshot.task(id))
                .map(|task| task.value.clone())
                .collect();
        }
        let untouched = read.filter(|id| state.draft.task(id).is_none());
        let untouched = untouched.filter_map(|id| state.snapshot.task(id)).map(|task| &task.value);
        let touched = state.draft.tasks_titled(plan, title);
        let touched = touched.filter_map(|id| Some(&state.draft.task(id)??.task));
        untouched.chain(touched).cloned().collect()
    }

    /// Returns the task of a plan that has this text as its id.
    fn listed_by_id(&self, plan: &PlanId, text: &str) -> Option<TaskId> {
        let id = TaskId::parse(text).ok()?;
        let id = self.real(&id).into_owned();
        let state = self.state();
        let drafted = state.draft.task(&id).filter(|_| self.overlaid());
        let is_here = match drafted {
            Some(drafted) => drafted.is_some_and(|state| state.task.plan == *plan),
            None => state.snapshot.task(&id).is_some_and(|task| task.value.plan == *plan),
        };
        is_here.then(|| id.clone())
    }

    /// Finds a task by id, in any plan.
    ///
    /// # Errors
    /// There is none.
    pub fn task_by_id(&self, text: &str) -> Result<TaskId, Error> {
        let text = text.trim();
        let id = TaskId::parse(text).map_err(|_| not_found("task", text))?;
        let id = self.real(&id).into_owned();
        match self.with_task(&id, |task| task.id.clone()) {
            // Not even the form of an id: the service answers 400 (planner-api.md 1.2).
            Err(error) if error.status() == Some(400) => Err(not_found("task", text)),
            other => {
                self.count(Read::Exists(EntityId::Task(id)));
                other
            }
        }
    }

    /// Returns a user by id, for display: `None` if the directory does not show them.
    pub fn user_by_id(&self, id: &UserId) -> Option<User> {
        if self.facts().me.id == *id {
            return Some(self.facts().me.clone());
        }
        self.peek_user(id.as_str()).ok()
    }

    /// Returns the signed-in user.
    ///
    /// # Errors
    /// An application is signed in: nobody is.
    pub(crate) fn myself(&self) -> Result<&User, Error> {
        let facts = self.facts();
        if facts.is_application { Err(Error::NeedsUser("`me`")) } else { Ok(&facts.me) }
    }

    /// Finds a user by id, sign-in name, mail address or, among the members of the actor's
    /// groups, display name or a part of it. `me` is the signed-in user.
    ///
    /// # Errors
    /// There is none, or several have that name.
    pub fn find_user(&self, text: &str) -> Result<User, Error> {
        self.find_person(text, None)
    }

    /// Finds a user as [`Session::find_user`] does, for something in a plan: a part of a name that
    /// is unique among the members of the plan's group is enough.
    ///
    /// # Errors
    /// There is none, or several have that name.
    pub fn find_user_for(&self, plan: &PlanId, text: &str) -> Result<User, Error> {
        self.find_person(text, Some(plan))
    }

    fn find_person(&self, text: &str, plan: Option<&PlanId>) -> Result<User, Error> {
        let found = self.peek_person(text, plan);
        match &found {
            Ok(user) if user.id == self.facts().me.id => {}
            Ok(user) => self.count(Read::Person(user.id.to_string())),
            Err(_) => self.count(Read::Person(text.trim().to_owned())),
        }
        found
    }

    pub(crate) fn peek_user(&self, text: &str) -> Result<User, Error> {
        self.peek_person(text, None)
    }

    fn peek_person(&self, text: &str, plan: Option<&PlanId>) -> Result<User, Error> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("me") {
            return self.myself().cloned();
        }
        let me = &self.facts().me;
        if me.answers_to(text) {
            return Ok(me.clone());
        }
        // Found before, under this very text, so that a loop costs one request.
        if let Some(user) = self.state().snapshot.find_user(text) {
            return Ok(user.clone());
        }
        if text.is_empty() {
            return Err(not_found("user", text));
        }
        let known = || self.state().snapshot.find_user(text).cloned();
        if text.contains('@') || looks_like_guid(text) {
            match self.fetch(&Query::User(text.to_owned())) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        if text.contains('@') && known().is_none() {
            // Names can still be looked up where mail addresses cannot be searched.
            let _searched = self.fetch(&Query::UserByMail(text.to_owned()));
        }
        if let Some(user) = known() {
            return Ok(user);
        }
        self.find_colleague(text, plan)
    }

    /// Returns the members of the actor's groups, by name.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub fn colleagues(&self) -> Result<Vec<User>, Error> {
        let mut people: Vec<User> = vec![self.facts().me.clone()];
        for group in self.peek_groups()? {
            for user in self.peek_members(&group)? {
                if !people.iter().any(|known| known.id == user.id) {
                    people.push(user);
                }
            }
        }
        people.sort_by(|a, b| (&a.name, &a.upn).cmp(&(&b.name, &b.upn)));
        Ok(people)
    }

    /// Finds a person by name, or by a part of it that is unique among the members of the plan's
    /// group, or else among all. The members of all groups count as read: they show that the name
    /// exists and is unique.
    fn find_colleague(&self, text: &str, plan: Option<&PlanId>) -> Result<User, Error> {
        let people = self.colleagues()?;
        for group in self.groups()? {
            self.count(Read::Members(group.id));
        }
        let mut found = pick(&refs(&people), text, |user| &user.name);
        // An id or an address is never a part of a name.
        if found.is_empty() && !text.contains('@') && !looks_like_guid(text) {
            let beside = plan.map(|plan| self.members_beside(plan)).transpose()?;
            let beside = beside.unwrap_or_default();
            let near: Vec<&User> = people.iter().filter(|user| beside.contains(&user.id)).collect();
            found = named_in_part(&near, text);
            if found.is_empty() {
                found = named_in_part(&refs(&people), text);
            }
            if found.len() > 1 {
                let candidates = found.iter().map(|user| user.upn.clone()).collect();
                return Err(Error::AmbiguousPart { name: text.to_owned(), candidates });
            }
        }
        let near = || Ok((None, people_near(&people, text)));
        Lookup { what: "user", name: text }.only(&found, |user| user.upn.clone(), near).cloned()
    }

    /// Returns the ids of the members of a plan's group; none if the actor is not one of them.
    fn members_beside(&self, plan: &PlanId) -> Result<Vec<UserId>, Error> {
        let owner = self.peek_plan(plan)?.group;
        let group = self.peek_groups()?.into_iter().find(|group| Some(&group.id) == owner.as_ref());
        let Some(group) = group else { return Ok(Vec::new()) };
        Ok(self.peek_members(&group)?.into_iter().map(|user| user.id).collect())
    }

    /// Returns the groups of the signed-in user that can hold plans.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub fn groups(&self) -> Result<Vec<Group>, Error> {
        let groups = self.peek_groups()?;
        self.count(Read::Groups);
        Ok(groups)
    }

    pub(crate) fn peek_groups(&self) -> Result<Vec<Group>, Error> {
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
        if let Some(group) =
            groups.iter().find(|group| group.id.as_str().eq_ignore_ascii_case(text))
        {
            return Ok(group.clone());
        }
        let found = pick(&refs(&groups), text, |group| &group.name);
        let near = || {
            if looks_like_guid(text) {
                return Err(Error::NotMember(text.to_owned()));
            }
            let near = nearest(text, groups.iter().map(|group| group.name.as_str()));
            Ok((Some("the groups you are a member of".to_owned()), near))
        };
        Lookup { what: "group", name: text }
            .only(&found, |group| group.id.to_string(), near)
            .cloned()
    }

    /// Returns the members of a group; none if the service does not show them.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub fn members(&self, group: &Group) -> Result<Vec<User>, Error> {
        let members = self.peek_members(group)?;
        self.count(Read::Members(group.id.clone()));
        Ok(members)
    }

    pub(crate) fn peek_members(&self, group: &Group) -> Result<Vec<User>, Error> {
        if self.state().snapshot.members_of(&group.id).is_none() {
            match self.fetch(&Query::Members(group.id.clone())) {
                // A policy must not mistake a hidden group for an empty one.
                Err(error) if error.is_permission() && self.view() == View::Drafting => {
                    self.state().snapshot.set_members(group.id.clone(), Vec::new());
                }
                other => other?,
            }
        }
        let state = self.state();
        let ids = state.snapshot.members_of(&group.id).unwrap_or_default();
        Ok(ids.iter().filter_map(|id| state.snapshot.user(id)).cloned().collect())
    }

    /// Finds a label of a plan by its name, `category7`, or its number.
    ///
    /// # Errors
    /// The plan has no such label.
    pub fn find_label(&self, plan: &PlanId, text: &str) -> Result<Category, Error> {
        let plan = &*self.real(plan);
        let text = text.trim();
        let labels: Vec<(Category, String)> =
            self.plan_details_field(plan, PlanDetailsField::LABELS)?.into_iter().collect();
        let found = pick(&refs(&labels), text, |(_, name)| name);
        let by_number = || text.parse().ok().and_then(Category::new);
        if found.is_empty()
            && let Some(category) = Category::parse(text).or_else(by_number)
        {
            return Ok(category);
        }
        let near = || {
            let near = nearest(text, labels.iter().map(|(_, name)| name.as_str()));
            Ok((self.the_plan(plan).ok(), near))
        };
        let only =
            Lookup { what: "label", name: text }.only(&found, |label| label.0.to_string(), near);
        only.map(|label| label.0)
    }

    /// Returns the name of a label, `category7` if it has none.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub fn label_name(&self, plan: &PlanId, category: Category) -> Result<String, Error> {
        let plan = &*self.real(plan);
        let labels = self.plan_details_field(plan, PlanDetailsField::LABELS)?;
        Ok(labels.get(&category).cloned().unwrap_or_else(|| category.to_string()))
    }
}
