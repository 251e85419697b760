//! The pages to look things up: runs, agents, schedules, the inbox, the audit log.

use askama::Template;
use serde_json::Value;

use crate::app::error::AppError;
use crate::app::inbox::listed as entry_listed;
use crate::app::schedules::{ScheduleView, iso};
use crate::app::shown::{shortened, visible};
use crate::host::SystemClock;
use crate::journal::RunSummary;
use crate::journal::inbox::{InboxEntry, Page};
use crate::model::Clock as _;
use crate::serve::api::lists;
use crate::serve::call::{Call, Reply};
use crate::serve::desk::Work;
use crate::serve::page::changes::{ChangeView, changes, verdicts};
use crate::serve::page::charts::{self, Chart};
use crate::serve::page::layout::{Frame, Moment, Times, page, path, skill_name, text, words};

/// The runs that the charts count.
const COUNTED: usize = 2_000;
/// The most lines of output, and entries of the inbox, that are shown.
const MAX_LINES: usize = 200;

/// A run in a list.
struct RunRow {
    link: String,
    at: Moment,
    skill: String,
    who: String,
    status: String,
    changes: u32,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    frame: Frame,
    charts: Vec<Chart>,
    runs: Vec<RunRow>,
    next: String,
}

/// Answers `/runs`.
pub(crate) fn runs(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let times = Times::of(work)?;
    let (runs, next) = lists::page_of_runs(work, call)?;
    let counted = work.desk.journal.runs(COUNTED, None).map_err(|error| lists::failed(&error))?;
    let took = work.desk.journal.times_of_runs(COUNTED).map_err(|error| lists::failed(&error))?;
    let mut drawn = charts::of_runs(&counted, &times);
    drawn.push(charts::of_times(&took, &times));
    let row = |run: &RunSummary| RunRow {
        link: path(&["runs", run.id.as_str()]),
        at: times.tell(run.at),
        skill: skill_name(&run.skill),
        who: visible(run.agent.as_deref().unwrap_or(&run.upn)),
        status: run.status.map_or("unfinished", |status| status.name()).replace('_', " "),
        changes: run.changes,
    };
    page(&RunsPage {
        frame: Frame::live(work, call, ("Runs", "/runs", "run"))?,
        charts: drawn,
        runs: runs.iter().map(row).collect(),
        next: next.unwrap_or_default(),
    })
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    id: String,
    skill: String,
    skill_link: String,
    at: Moment,
    who: String,
    purpose: String,
    status: String,
    params: Vec<(String, String)>,
    changes: Vec<ChangeView>,
    verdicts: Vec<String>,
    output: Vec<String>,
    error: String,
    hint: String,
    pending: String,
    requests: String,
}

/// Answers `/runs/{id}`.
pub(crate) fn run(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let times = Times::of(work)?;
    let run = lists::one_run(work, call.part("id"))?;
    let report = &run["report"];
    let params = run["params"].as_object().into_iter().flatten();
    let lines = |name: &str| report[name].as_array().cloned().unwrap_or_default();
    let output = lines("warnings").into_iter().chain(lines("output"));
    let status = match &run["status"] {
        Value::Null => "running".to_owned(),
        status => words(status),
    };
    let who = run["actor"]["agent"].as_str().or(run["actor"]["upn"].as_str());
    let skill = run["skill"].as_str().unwrap_or_default();
    let is_known = work.app.workspace.skills.contains_key(skill);
    let title = format!("Run of {}", skill_name(skill));
    page(&RunPage {
        frame: Frame::live(work, call, (&title, "/runs", "run pending"))?,
        id: text(&run["run_id"]),
        skill_link: if is_known { path(&["skills", skill]) } else { String::new() },
        skill: skill_name(skill),
        at: times.told(&run["at"]),
        who: visible(who.unwrap_or_default()),
        purpose: words(&run["purpose"]),
        status,
        params: params.map(|(name, value)| (visible(name), shortened(&text(value), 200))).collect(),
        changes: changes(&work.desk, &times, report),
        verdicts: verdicts(report),
        output: output.map(|line| shortened(&text(&line), 500)).take(MAX_LINES).collect(),
        error: text(&report["error"]["message"]),
        hint: text(&report["error"]["hint"]),
        pending: text(&report["pending"]),
        requests: text(&report["stats"]["requests"]),
    })
}

/// An agent in the list.
struct AgentRow {
    name: String,
    link: String,
    apply: &'static str,
    plans: String,
    skills: String,
    policies: String,
    is_paused: bool,
    reason: String,
    changes: (u64, u64),
    runs: (u64, u64),
}

#[derive(Template)]
#[template(path = "agents.html")]
struct AgentsPage {
    frame: Frame,
    agents: Vec<AgentRow>,
}

fn agent_row(agent: &Value) -> AgentRow {
    let list = |value: &Value| match value.as_array() {
        None => "all".to_owned(),
        Some(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
    };
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let (used, limits) = (&agent["used"], &agent["limits"]);
    AgentRow {
        name: text(&agent["name"]),
        link: path(&["agents", agent["name"].as_str().unwrap_or_default()]),
        apply: match &agent["may_apply"] {
            Value::Bool(true) => "applies",
            Value::Bool(false) => "previews only",
            _ => "applies what is approved",
        },
        plans: list(&agent["plans"]),
        skills: list(&agent["skills"]),
        policies: list(&agent["policies"]),
        is_paused: agent["paused"] == true,
        reason: text(&agent["paused_reason"]),
        changes: (number(&used["changes_today"]), number(&limits["changes_per_day"])),
        runs: (number(&used["runs_this_hour"]), number(&limits["runs_per_hour"])),
    }
}

/// Answers `/agents`.
pub(crate) fn agents(work: &Work, call: &Call) -> Result<Reply, AppError> {
    page(&AgentsPage {
        frame: Frame::live(work, call, ("Agents", "/agents", "agent run reload"))?,
        agents: lists::all_agents(work)?.iter().map(agent_row).collect(),
    })
}

/// A schedule in the list.
struct ScheduleRow {
    name: String,
    link: String,
    skill: String,
    cron: String,
    zone: String,
    agent: String,
    next: Moment,
    is_paused: bool,
    paused: String,
    last: Moment,
    last_state: String,
    last_run: String,
}

#[derive(Template)]
#[template(path = "schedules.html")]
struct SchedulesPage {
    frame: Frame,
    schedules: Vec<ScheduleRow>,
}

fn schedule_row(times: &Times, schedule: &ScheduleView) -> ScheduleRow {
    let next = schedule
        .next
        .as_ref()
        .map(|next| Moment { iso: iso(next), text: next.strftime("%a %-d %b %H:%M").to_string() });
    let paused = schedule.paused.as_ref();
    let why = paused.map(|pause| {
        let why = pause.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{}{why}", pause.by)
    });
    let last = schedule.last.as_ref();
    let run = last.and_then(|last| last.run_id.as_deref());
    ScheduleRow {
        name: visible(&schedule.name),
        link: path(&["schedules", &schedule.name]),
        skill: visible(&schedule.skill),
        cron: visible(&schedule.cron),
        zone: visible(&schedule.time_zone),
        agent: visible(&schedule.agent),
        next: next.unwrap_or_default(),
        is_paused: paused.is_some(),
        paused: visible(&why.unwrap_or_default()),
        last: last.map(|last| times.tell(last.due)).unwrap_or_default(),
        last_state: last.map(|last| visible(&last.state)).unwrap_or_default(),
        last_run: run.map(|run| path(&["runs", run])).unwrap_or_default(),
    }
}

/// Answers `/schedules`.
pub(crate) fn schedules(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let times = Times::of(work)?;
    let all = work.app.schedules(SystemClock.now())?;
    page(&SchedulesPage {
        frame: Frame::live(work, call, ("Schedules", "/schedules", "agent run reload"))?,
        schedules: all.iter().map(|schedule| schedule_row(&times, schedule)).collect(),
    })
}

/// An entry of the inbox in the list.
struct EntryRow {
    at: Moment,
    skill: String,
    from: String,
    to: String,
    state: String,
    reason: String,
    run: String,
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    frame: Frame,
    entries: Vec<EntryRow>,
    is_more: bool,
}

/// Answers `/inbox`.
pub(crate) fn inbox(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let times = Times::of(work)?;
    let page_of = Page { agent: None, open: false, before: None, limit: MAX_LINES };
    let (entries, is_more) = work.app.inbox(&page_of)?;
    let row = |entry: &InboxEntry| {
        let shown = entry_listed(entry);
        let run = shown["run_id"].as_str().map(|run| path(&["runs", run]));
        EntryRow {
            at: times.tell(entry.created_at),
            skill: text(&shown["skill"]),
            from: text(&shown["from"]),
            to: text(&shown["to"]),
            state: text(&shown["state"]),
            reason: shortened(&text(&shown["reason"]), 300),
            run: run.unwrap_or_default(),
        }
    };
    page(&InboxPage {
        frame: Frame::live(work, call, ("Inbox", "/inbox", "agent run"))?,
        is_more,
        entries: entries.iter().map(row).collect(),
    })
}

/// A record of the audit log in the list.
struct RecordRow {
    seq: String,
    at: Moment,
    kind: String,
    who: String,
    what: String,
    outcome: String,
    run: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    sought: String,
    records: Vec<RecordRow>,
    next: String,
}

/// Answers `/audit`.
pub(crate) fn audit(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let times = Times::of(work)?;
    let (records, next) = lists::page_of_audit(work, call, call.asked("text"))?;
    let row = |record: &Value| {
        // The one who decided comes before the agent whose run it is about.
        let who = [&record["by"]["name"], &record["agent"], &record["actor"]["upn"]];
        let who = who.iter().find_map(|who| who.as_str()).unwrap_or_default();
        let what = [&record["change"]["title"], &record["detail"]["agent"], &record["skill"]];
        let what = what.iter().find_map(|what| what.as_str()).unwrap_or_default();
        let run = record["run"].as_str().map(|run| path(&["runs", run]));
        RecordRow {
            seq: text(&record["seq"]),
            at: times.told(&record["at"]),
            kind: words(&record["kind"]),
            who: visible(who),
            what: shortened(&visible(what), 200),
            outcome: words(&record["outcome"]),
            run: run.unwrap_or_default(),
        }
    };
    page(&AuditPage {
        frame: Frame::live(work, call, ("Audit", "/audit", ""))?,
        sought: visible(call.asked("text").unwrap_or_default()),
        records: records.iter().map(row).collect(),
        next: next.unwrap_or_default(),
    })
}
