//! The client and the emulator against a plain model of a board: whatever is done, all three
//! agree in the end. A bug that client and emulator shared would still differ from the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::date;
use planwright::host::{Column, Failure, NewItem, NewTask, Session};
use planwright::model::order::Side;
use planwright::model::time::moment_of_day;
use planwright::model::{BucketId, Category, PlanId, Priority, Reference, TaskId, UserId, link};
use serde_json::{Map, Value, json};

use crate::driver::{Dice, Driver};
use crate::support::{Planner, times};

/// A task as it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) title: String,
    pub(crate) percent: u8,
    pub(crate) priority: u8,
    pub(crate) due: Option<i8>,
    pub(crate) start: Option<i8>,
    pub(crate) people: BTreeSet<usize>,
    pub(crate) labels: BTreeSet<u8>,
    pub(crate) description: String,
    pub(crate) preview: usize,
    /// The checklist top down: what names an item here, its title, whether it is done.
    pub(crate) items: Vec<(usize, String, bool)>,
    pub(crate) links: BTreeMap<usize, String>,
}

/// A board as it should be; everything is named by the number of its creation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Board {
    pub(crate) title: String,
    pub(crate) labels: BTreeMap<u8, String>,
    pub(crate) buckets: Vec<(usize, String, Vec<usize>)>,
    pub(crate) tasks: BTreeMap<usize, Task>,
}

/// Something to do, with names that the model knows.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    TitlePlan(String),
    Label(u8, String),
    NewBucket(usize, String),
    NameBucket(usize, String),
    MoveBucket(usize, usize, Side),
    DropBucket(usize),
    NewTask(usize, usize, Task),
    Title(usize, String),
    Percent(usize, u8),
    Priority(usize, u8),
    Due(usize, Option<i8>),
    Start(usize, Option<i8>),
    Assign(usize, usize, bool),
    Tag(usize, u8, bool),
    Describe(usize, String),
    Preview(usize, usize),
    AddItem(usize, usize, String),
    CheckItem(usize, usize, bool),
    TitleItem(usize, usize, String),
    DropItem(usize, usize),
    MoveItem(usize, usize, usize, Side),
    Link(usize, usize, String),
    Unlink(usize, usize),
    MoveInto(usize, usize),
    MoveNextTo(usize, usize, Side),
    DropTask(usize),
}

const PREVIEWS: [&str; 5] = ["automatic", "noPreview", "checklist", "description", "reference"];
const WORDS: [&str; 8] =
    ["", "Tar", "ünïcode ⚓", "a=b", "line\r\nbreak", "\"quoted\"", "<b>", "100 %"];

fn url(n: usize) -> String {
    format!("https://u@a.example:8{n}/x.{n}?q=%20#p{n}")
}

impl Board {
    fn bucket_of(&self, task: usize) -> usize {
        self.buckets.iter().position(|it| it.2.contains(&task)).unwrap()
    }

    /// Says where this board is not as it should be.
    pub(crate) fn differences(&self, wanted: &Self) -> Vec<String> {
        let mut out = Vec::new();
        if (&self.title, &self.labels) != (&wanted.title, &wanted.labels) {
            out.push(format!(
                "{:?} {:?}",
                (&self.title, &self.labels),
                (&wanted.title, &wanted.labels)
            ));
        }
        if self.buckets != wanted.buckets {
            out.push(format!("{:?}\nwanted {:?}", self.buckets, wanted.buckets));
        }
        let all: BTreeSet<_> = self.tasks.keys().chain(wanted.tasks.keys()).collect();
        for n in all {
            let (there, wanted) = (self.tasks.get(n), wanted.tasks.get(n));
            if there != wanted {
                out.push(format!("{n}: {there:?}\nwanted {wanted:?}"));
            }
        }
        out
    }

    /// Does a step here.
    pub(crate) fn take(&mut self, step: &Step) {
        let place = |side: Side, at: usize| at + usize::from(side == Side::After);
        match step.clone() {
            Step::TitlePlan(text) => self.title = text,
            Step::Label(n, text) if text.is_empty() => drop(self.labels.remove(&n)),
            Step::Label(n, text) => drop(self.labels.insert(n, text)),
            Step::NewBucket(n, name) => self.buckets.push((n, name, Vec::new())),
            Step::NameBucket(n, name) => self.bucket(n).1 = name,
            Step::MoveBucket(n, other, side) if n != other => {
                let at = self.buckets.iter().position(|it| it.0 == n).unwrap();
                let moved = self.buckets.remove(at);
                let at = self.buckets.iter().position(|it| it.0 == other).unwrap();
                self.buckets.insert(place(side, at), moved);
            }
            Step::DropBucket(n) => {
                let at = self.buckets.iter().position(|it| it.0 == n).unwrap();
                for task in self.buckets.remove(at).2 {
                    self.tasks.remove(&task);
                }
            }
            Step::NewTask(n, bucket, task) => {
                self.bucket(bucket).2.insert(0, n);
                self.tasks.insert(n, task);
            }
            Step::MoveInto(n, bucket) => {
                let from = self.bucket_of(n);
                self.buckets[from].2.retain(|it| *it != n);
                self.bucket(bucket).2.insert(0, n);
            }
            Step::MoveNextTo(n, other, side) if n != other => {
                let from = self.bucket_of(n);
                self.buckets[from].2.retain(|it| *it != n);
                let to = self.bucket_of(other);
                let at = self.buckets[to].2.iter().position(|it| *it == other).unwrap();
                self.buckets[to].2.insert(place(side, at), n);
            }
            Step::DropTask(n) => {
                let from = self.bucket_of(n);
                self.buckets[from].2.retain(|it| *it != n);
                self.tasks.remove(&n);
            }
            Step::MoveBucket(..) | Step::MoveNextTo(..) => {}
            step => self.change_task(step),
        }
    }

    fn bucket(&mut self, n: usize) -> &mut (usize, String, Vec<usize>) {
        self.buckets.iter_mut().find(|it| it.0 == n).unwrap()
    }

    fn change_task(&mut self, step: Step) {
        let tasks = &mut self.tasks;
        macro_rules! task {
            ($n:expr) => {
                tasks.get_mut(&$n).unwrap()
            };
        }
        let item = |task: &mut Task, n: usize| task.items.iter().position(|it| it.0 == n).unwrap();
        fn set<T: Ord>(all: &mut BTreeSet<T>, it: T, wanted: bool) {
            if wanted {
                all.insert(it)
            } else {
                all.remove(&it)
            };
        }
        match step {
            Step::Title(n, text) => task!(n).title = text,
            Step::Percent(n, it) => task!(n).percent = it,
            Step::Priority(n, it) => task!(n).priority = it,
            Step::Due(n, day) => task!(n).due = day,
            Step::Start(n, day) => task!(n).start = day,
            Step::Assign(n, person, wanted) => set(&mut task!(n).people, person, wanted),
            Step::Tag(n, label, wanted) => set(&mut task!(n).labels, label, wanted),
            Step::Describe(n, text) => task!(n).description = text,
            Step::Preview(n, kind) => task!(n).preview = kind,
            Step::AddItem(n, key, title) => task!(n).items.push((key, title, false)),
            Step::CheckItem(n, key, done) => {
                let at = item(task!(n), key);
                task!(n).items[at].2 = done;
            }
            Step::TitleItem(n, key, title) => {
                let at = item(task!(n), key);
                task!(n).items[at].1 = title;
            }
            Step::DropItem(n, key) => task!(n).items.retain(|it| it.0 != key),
            Step::MoveItem(n, key, other, side) if key != other => {
                let at = item(task!(n), key);
                let moved = task!(n).items.remove(at);
                let at = item(task!(n), other) + usize::from(side == Side::After);
                task!(n).items.insert(at, moved);
            }
            Step::Link(n, link, alias) => drop(task!(n).links.insert(link, alias)),
            Step::Unlink(n, link) => drop(task!(n).links.remove(&link)),
            _ => {}
        }
    }
}

/// The real ids of what the model names by numbers.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    pub(crate) plan: PlanId,
    pub(crate) people: Vec<UserId>,
    pub(crate) buckets: BTreeMap<usize, BucketId>,
    pub(crate) tasks: BTreeMap<usize, TaskId>,
    pub(crate) items: BTreeMap<usize, String>,
}

impl Ids {
    /// Returns those of an empty plan.
    pub(crate) fn of(driver: &Driver, plan: PlanId) -> Self {
        let people = driver.look(|session| {
            let people = ["rook", "mei", "ana", "tomas"];
            let ids =
                people.iter().map(|it| Ok(session.find_user(&format!("{it}@bos.example"))?.id));
            ids.collect::<Result<Vec<_>, Failure>>()
        });
        let (buckets, tasks, items) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { plan, people, buckets, tasks, items }
    }

    /// Finds everything that a board names where it stands: what was made again has new ids.
    pub(crate) fn find(&mut self, session: &Session, board: &Board) -> Result<(), Failure> {
        for ((n, _, tasks), id) in board.buckets.iter().zip(session.buckets(&self.plan)?) {
            for (n, id) in tasks.iter().zip(session.tasks_in_order(&id)?) {
                let keys = session.details(&id)?.checklist_order();
                self.items.extend(board.tasks[n].items.iter().map(|it| it.0).zip(keys));
                self.tasks.insert(*n, id);
            }
            self.buckets.insert(*n, id);
        }
        Ok(())
    }

    /// Does a step through the session.
    pub(crate) fn carry_out(&mut self, session: &Session, step: &Step) -> Result<(), Failure> {
        let day = |it: Option<i8>| it.and_then(|it| moment_of_day(date(2026, 12, it)));
        let edit = |n: &usize, change: &dyn Fn(&mut planwright::model::Task)| {
            session.editor()?.edit_task(&self.tasks[n], |it| change(it))
        };
        match step {
            Step::TitlePlan(text) => {
                session.editor()?.edit_plan(&self.plan, |it| it.title.clone_from(text))?;
            }
            Step::Label(n, text) => session.editor()?.edit_plan_details(&self.plan, |it| {
                let slot = Category::new(*n).unwrap();
                if text.is_empty() {
                    it.labels.remove(&slot);
                } else {
                    it.labels.insert(slot, text.clone());
                }
            })?,
            Step::NewBucket(n, name) => {
                let id = session.editor()?.create_bucket(&self.plan, name)?;
                self.buckets.insert(*n, id);
            }
            Step::NameBucket(n, name) => {
                session.editor()?.edit_bucket(&self.buckets[n], |it| it.name.clone_from(name))?;
            }
            Step::MoveBucket(n, other, side) => {
                session.editor()?.move_bucket(&self.buckets[n], &self.buckets[other], *side)?;
            }
            Step::DropBucket(n) => session.editor()?.delete_bucket(&self.buckets[n])?,
            Step::NewTask(n, bucket, task) => self.make(session, *n, *bucket, task)?,
            Step::Title(n, text) => edit(n, &|it| it.title.clone_from(text))?,
            Step::Percent(n, it) => edit(n, &|task| task.percent_complete = *it)?,
            Step::Priority(n, it) => edit(n, &|task| task.priority = Priority::new(*it).unwrap())?,
            Step::Due(n, it) => edit(n, &|task| task.due = day(*it))?,
            Step::Start(n, it) => edit(n, &|task| task.start = day(*it))?,
            Step::Assign(n, person, true) => edit(n, &|it| {
                it.assignments.entry(self.people[*person].clone()).or_default();
            })?,
            Step::Assign(n, person, false) => edit(n, &|it| {
                it.assignments.remove(&self.people[*person]);
            })?,
            Step::Tag(n, label, true) => edit(n, &|it| {
                it.categories.insert(Category::new(*label).unwrap());
            })?,
            Step::Tag(n, label, false) => edit(n, &|it| {
                it.categories.remove(&Category::new(*label).unwrap());
            })?,
            Step::MoveInto(n, bucket) => self.put_first(session, *n, *bucket)?,
            Step::MoveNextTo(n, other, side) => {
                let (task, other) = (&self.tasks[n], &self.tasks[other]);
                session.editor()?.move_task_next_to(task, other, *side, Column::Bucket)?;
            }
            Step::DropTask(n) => session.editor()?.delete_task(&self.tasks[n])?,
            step => self.change_details(session, step)?,
        }
        Ok(())
    }

    /// Where a task goes among those of another column by itself is up to its old place, so it
    /// is put there.
    fn put_first(&self, session: &Session, n: usize, bucket: usize) -> Result<(), Failure> {
        let (task, bucket) = (&self.tasks[&n], &self.buckets[&bucket]);
        let there = session.tasks_in_order(bucket)?;
        match there.iter().find(|it| *it != task) {
            Some(first) => {
                session.editor()?.move_task_next_to(task, first, Side::Before, Column::Bucket)?;
            }
            None => session.editor()?.move_task(task, bucket)?,
        }
        Ok(())
    }

    fn make(
        &mut self,
        session: &Session,
        n: usize,
        bucket: usize,
        task: &Task,
    ) -> Result<(), Failure> {
        let day = |it: Option<i8>| it.and_then(|it| moment_of_day(date(2026, 12, it)));
        let new = NewTask {
            title: task.title.clone(),
            bucket: Some(self.buckets[&bucket].clone()),
            assignees: task.people.iter().map(|it| self.people[*it].clone()).collect(),
            start: day(task.start),
            due: day(task.due),
            priority: Priority::new(task.priority),
            percent_complete: task.percent,
            labels: task.labels.iter().filter_map(|it| Category::new(*it)).collect(),
            description: task.description.clone(),
            checklist: task
                .items
                .iter()
                .map(|(_, title, checked)| NewItem { title: title.clone(), checked: *checked })
                .collect(),
            references: task
                .links
                .iter()
                .map(|(n, alias)| {
                    let reference = Reference { alias: Some(alias.clone()), kind: None };
                    (link::encode(&url(*n)).unwrap(), reference)
                })
                .collect(),
            ..NewTask::default()
        };
        let id = session.editor()?.create_task(&self.plan, new)?;
        let keys = session.details(&id)?.checklist_order();
        self.items.extend(task.items.iter().map(|it| it.0).zip(keys));
        self.tasks.insert(n, id);
        self.put_first(session, n, bucket)
    }

    fn change_details(&mut self, session: &Session, step: &Step) -> Result<(), Failure> {
        let (Step::Describe(n, _)
        | Step::Preview(n, _)
        | Step::AddItem(n, ..)
        | Step::CheckItem(n, ..)
        | Step::TitleItem(n, ..)
        | Step::DropItem(n, _)
        | Step::MoveItem(n, ..)
        | Step::Link(n, ..)
        | Step::Unlink(n, _)) = step
        else {
            return Ok(());
        };
        let new_key = session.new_item_key();
        if let Step::AddItem(_, item, _) = step {
            self.items.insert(*item, new_key.clone());
        }
        let items = &self.items;
        let key = |n: &usize| link::encode(&url(*n)).unwrap();
        session.editor()?.edit_details(&self.tasks[n], |it| match step {
            Step::Describe(_, text) => it.description.clone_from(text),
            Step::Preview(_, kind) => PREVIEWS[*kind].clone_into(&mut it.preview_type),
            Step::AddItem(_, _, title) => it.add_item(new_key, title.clone()),
            Step::CheckItem(_, item, done) => {
                it.checklist.get_mut(&items[item]).unwrap().checked = *done;
            }
            Step::TitleItem(_, item, text) => {
                it.checklist.get_mut(&items[item]).unwrap().title.clone_from(text);
            }
            Step::DropItem(_, item) => drop(it.checklist.remove(&items[item])),
            Step::MoveItem(_, item, other, side) => {
                it.move_item(&items[item], &items[other], *side);
            }
            Step::Link(_, n, alias) => {
                let reference = Reference { alias: Some(alias.clone()), kind: None };
                it.references.insert(key(n), reference);
            }
            Step::Unlink(_, n) => drop(it.references.remove(&key(n))),
            _ => {}
        })?;
        Ok(())
    }

    /// Reads the whole board as the model has it.
    pub(crate) fn read(&self, session: &Session) -> Result<Board, Failure> {
        let labels = session.plan_details(&self.plan)?.labels;
        let mut board = Board {
            title: session.plan(&self.plan)?.title,
            labels: labels.into_iter().map(|(it, name)| (it.number(), name)).collect(),
            ..Board::default()
        };
        for id in session.buckets(&self.plan)? {
            let mut tasks = Vec::new();
            for task in session.tasks_in_order(&id)? {
                let Some((n, _)) = self.tasks.iter().find(|(_, it)| **it == task) else {
                    let title = session.task(&task)?.title;
                    panic!("nobody knows the task `{title}` ({task})");
                };
                tasks.push(*n);
                board.tasks.insert(*n, self.read_task(session, &task)?);
            }
            let (n, _) = self.buckets.iter().find(|(_, it)| **it == id).unwrap();
            board.buckets.push((*n, session.bucket(&id)?.name, tasks));
        }
        Ok(board)
    }

    fn read_task(&self, session: &Session, id: &TaskId) -> Result<Task, Failure> {
        let task = session.task(id)?;
        let details = session.details(id)?;
        let day =
            |it: Option<jiff::Timestamp>| it.map(|it| it.to_zoned(jiff::tz::TimeZone::UTC).day());
        let preview = PREVIEWS.iter().position(|it| *it == details.preview_type).unwrap_or(0);
        let order = details.checklist_order();
        let item = |key: &String| {
            let (n, _) = self.items.iter().find(|(_, it)| *it == key).unwrap();
            let item = &details.checklist[key];
            (*n, item.title.clone(), item.checked)
        };
        let person = |id: &UserId| self.people.iter().position(|it| it == id).unwrap();
        let number =
            |key: &String| (0..9).find(|n| link::encode(&url(*n)).unwrap() == *key).unwrap();
        let links = details.references.iter();
        Ok(Task {
            percent: task.percent_complete,
            priority: task.priority.level(),
            due: day(task.due),
            start: day(task.start),
            people: task.assignments.keys().map(person).collect(),
            labels: task.categories.iter().map(|it| it.number()).collect(),
            items: order.iter().map(item).collect(),
            links: links.map(|(key, it)| (number(key), it.alias.clone().unwrap())).collect(),
            description: details.description,
            preview,
            title: task.title,
        })
    }

    pub(crate) fn to_json(&self) -> Value {
        let map = |all: Vec<(usize, String)>| {
            Value::Object(
                all.into_iter().map(|(n, id)| (n.to_string(), json!(id))).collect::<Map<_, _>>(),
            )
        };
        json!([
            map(self.buckets.iter().map(|(n, id)| (*n, id.to_string())).collect()),
            map(self.tasks.iter().map(|(n, id)| (*n, id.to_string())).collect()),
            map(self.items.iter().map(|(n, id)| (*n, id.clone())).collect()),
        ])
    }

    /// Takes up the real ids of what was made.
    pub(crate) fn take(&mut self, value: &Value) {
        let entries = |at: usize| {
            value[at]
                .as_object()
                .unwrap()
                .iter()
                .map(|(n, id)| (n.parse::<usize>().unwrap(), id.as_str().unwrap().to_owned()))
        };
        self.buckets = entries(0).map(|(n, id)| (n, BucketId::parse(&id).unwrap())).collect();
        self.tasks = entries(1).map(|(n, id)| (n, TaskId::parse(&id).unwrap())).collect();
        self.items = entries(2).collect();
    }
}

/// What could be done next on a board.
pub(crate) struct Chance {
    pub(crate) dice: Dice,
    pub(crate) made: usize,
}

impl Chance {
    fn next(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    fn text(&mut self) -> String {
        let word = WORDS[self.dice.below(WORDS.len())];
        format!("{word} {}", self.dice.below(1000)).trim().to_owned()
    }

    fn day(&mut self) -> Option<i8> {
        if self.dice.chance(30) {
            None
        } else {
            Some(i8::try_from(15 + self.dice.below(14)).unwrap())
        }
    }

    fn side(&mut self) -> Side {
        if self.dice.chance(50) { Side::Before } else { Side::After }
    }

    fn of<T: Copy>(&mut self, all: impl IntoIterator<Item = T>) -> Option<T> {
        let all: Vec<T> = all.into_iter().collect();
        if all.is_empty() { None } else { Some(all[self.dice.below(all.len())]) }
    }

    fn label(&mut self) -> u8 {
        u8::try_from(1 + self.dice.below(25)).unwrap()
    }

    fn task(&mut self) -> Task {
        let n_items = self.dice.below(4);
        Task {
            title: self.text(),
            percent: [0, 50, 100, 25][self.dice.below(4)],
            priority: u8::try_from(self.dice.below(11)).unwrap(),
            due: self.day(),
            people: if self.dice.chance(50) {
                BTreeSet::new()
            } else {
                [self.dice.below(4)].into()
            },
            labels: if self.dice.chance(50) { BTreeSet::new() } else { [self.label()].into() },
            description: if self.dice.chance(60) { String::new() } else { self.text() },
            items: (0..n_items).map(|_| (self.next(), self.text(), false)).collect(),
            links: if self.dice.chance(70) {
                BTreeMap::new()
            } else {
                [(self.dice.below(9), self.text())].into()
            },
            ..Task::default()
        }
    }

    pub(crate) fn step(&mut self, board: &Board) -> Option<Step> {
        let (n_buckets, n_tasks) = (board.buckets.len(), board.tasks.len());
        if n_buckets < 2 {
            return Some(Step::NewBucket(self.next(), self.text()));
        }
        let bucket = self.of(board.buckets.iter().map(|it| it.0))?;
        if n_tasks < 3 {
            return Some(Step::NewTask(self.next(), bucket, self.task()));
        }
        let n = self.of(board.tasks.keys().copied())?;
        let other = self.of(board.tasks.keys().copied())?;
        let task = board.tasks[&n].clone();
        let item = self.of(task.items.iter().map(|it| it.0));
        Some(match self.dice.below(100) {
            0 => Step::TitlePlan(self.text()),
            1..=3 => Step::Label(
                self.label(),
                if self.dice.chance(30) { String::new() } else { self.text() },
            ),
            4 if n_buckets < 8 => Step::NewBucket(self.next(), self.text()),
            5 => Step::NameBucket(bucket, self.text()),
            6..=8 => {
                Step::MoveBucket(bucket, self.of(board.buckets.iter().map(|it| it.0))?, self.side())
            }
            // Of those that this run has made, only empty ones can be dropped again.
            9 if n_buckets > 5 => Step::DropBucket(bucket),
            10..=16 if n_tasks < 50 => Step::NewTask(self.next(), bucket, self.task()),
            17..=22 => Step::Title(n, self.text()),
            23..=28 => Step::Percent(n, [0, 50, 100, 75][self.dice.below(4)]),
            29..=32 => Step::Priority(n, u8::try_from(self.dice.below(11)).unwrap()),
            33..=36 => Step::Due(n, self.day().map(|it| it.max(task.start.unwrap_or(0)))),
            37..=39 => Step::Start(n, self.day().map(|it| it.min(task.due.unwrap_or(31)))),
            40..=45 => Step::Assign(n, self.dice.below(4), self.dice.chance(60)),
            46..=51 => Step::Tag(n, self.label(), self.dice.chance(60)),
            52..=57 => Step::Describe(n, self.text()),
            58..=59 => Step::Preview(n, self.dice.below(5)),
            60..=65 if task.items.len() < 15 => Step::AddItem(n, self.next(), self.text()),
            66..=68 => Step::CheckItem(n, item?, self.dice.chance(60)),
            69..=70 => Step::TitleItem(n, item?, self.text()),
            71..=72 => Step::DropItem(n, item?),
            73..=76 => {
                Step::MoveItem(n, item?, self.of(task.items.iter().map(|it| it.0))?, self.side())
            }
            77..=80 => Step::Link(n, self.dice.below(9), self.text()),
            81..=82 => Step::Unlink(n, self.of(task.links.keys().copied())?),
            83..=88 => Step::MoveInto(n, bucket),
            89..=95 => Step::MoveNextTo(n, other, self.side()),
            96..=97 if n_tasks > 20 => Step::DropTask(n),
            _ => return None,
        })
    }
}

impl Chance {
    /// Makes up what a run does to a board that is kept small, so that much of it is touched;
    /// returns it with the board as it is then.
    pub(crate) fn steps(&mut self, board: &Board, size: usize) -> (Board, Vec<Step>) {
        let made_before = self.made;
        let (mut after, mut steps) = (board.clone(), Vec::new());
        while steps.len() < size {
            let Some(step) = self.step(&after) else { continue };
            let grows = matches!(step, Step::NewTask(..)) && after.tasks.len() > 12;
            if !grows && is_allowed(&step, &after, made_before) {
                after.take(&step);
                steps.push(step);
            }
        }
        (after, steps)
    }
}

/// A bucket that is new in this run can not be dropped while it holds older tasks: Planner would
/// delete them with it.
fn is_allowed(step: &Step, board: &Board, made_before: usize) -> bool {
    let Step::DropBucket(n) = step else { return true };
    let (_, _, tasks) = board.buckets.iter().find(|it| it.0 == *n).unwrap();
    *n <= made_before || tasks.iter().all(|it| *it > made_before)
}

#[test]
fn operations_leave_the_board_of_a_plain_model() {
    let planner = Planner::demo_in_pages_of(7);
    let driver = Driver::new(&planner);
    let plan = driver.new_plan("Model");
    let mut ids = Ids::of(&driver, plan);
    let mut board = Board { title: "Model".to_owned(), ..Board::default() };
    let mut chance = Chance { dice: Dice::new(20_261_122), made: 0 };
    let (mut done, mut n_runs) = (0, 0);
    let n_operations = times("OPERATIONS", 2_000);
    while done < n_operations {
        let size = [1, 7, 50, 150, 250][chance.dice.below(5)].min(n_operations - done);
        let made_before = chance.made;
        let mut steps = Vec::new();
        while steps.len() < size {
            let Some(step) = chance.step(&board) else { continue };
            if is_allowed(&step, &board, made_before) {
                board.take(&step);
                steps.push(step);
            }
        }
        done += size;
        n_runs += 1;
        let (mut in_run, expected) = (ids.clone(), Arc::new(board.clone()));
        let as_wanted = Arc::clone(&expected);
        let report = driver.apply(move |session| {
            for step in &steps {
                in_run.carry_out(session, step).map_err(|failure| Failure {
                    message: format!("{step:?}: {}", failure.message),
                    ..failure
                })?;
            }
            let seen = in_run.read(session)?.differences(&as_wanted);
            assert!(seen.is_empty(), "as the run sees it: {seen:#?}");
            Ok(in_run.to_json())
        });
        ids.take(&report.result);
        let there = ids.clone();
        let read = driver.look(move |session| there.read(session));
        let now = read.differences(&expected);
        assert!(now.is_empty(), "after run {n_runs}, {done} operations: {now:#?}");
    }
    // Without the client in between: what the service itself says.
    let tasks = planner.get(&format!("/planner/plans/{}/tasks", ids.plan));
    assert!(n_runs > n_operations / 200 && tasks["@odata.count"].as_u64().unwrap() > 0);
}
