//! The pages on which people decide and begin: sets that wait, and skills with their forms.

use askama::Template;
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::shown::{scripts, visible};
use crate::host::SystemClock;
use crate::model::Clock as _;
use crate::script::Manifest;
use crate::script::workspace::manifest::{Param, ParamKind};
use crate::serve::api::{changes as api, lists, proposals};
use crate::serve::call::{Call, Reply};
use crate::serve::desk::Work;
use crate::serve::page::changes::{ChangeView, to_decide_on, verdicts};
use crate::serve::page::layout::{Frame, Moment, Times, page, path, skill_name, text};

/// The most sets that are shown with all they would change.
const MAX_SHOWN: usize = 20;

/// A set that waits.
struct SetView {
    id: String,
    link: String,
    skill: String,
    who: String,
    at: Moment,
    expires: Moment,
    digest: String,
    changes: Vec<ChangeView>,
    /// Why it cannot be approved here: nobody approves what they have not been shown (design.md 8).
    left_out: String,
    verdicts: Vec<String>,
    n_changes: u64,
}

/// A skill that an agent proposes.
struct ProposalView {
    id: String,
    link: String,
    skill: String,
    who: String,
    at: Moment,
    expires: Moment,
    digest: String,
    purpose: String,
    remarks: Vec<String>,
    /// The lines of the difference, each with what it is: `add`, `del` or nothing.
    diff: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "pending.html")]
struct PendingPage {
    frame: Frame,
    sets: Vec<SetView>,
    proposals: Vec<ProposalView>,
    n_more: usize,
}

/// Returns a line of a difference, with what it is.
fn diff_line(line: &str) -> (&'static str, String) {
    let is_name = line.starts_with("+++") || line.starts_with("---");
    let what = match line.bytes().next() {
        Some(b'+') if !is_name => "add",
        Some(b'-') if !is_name => "del",
        _ => "",
    };
    (what, visible(line))
}

/// Returns the skills that agents propose; one for another workspace is left to that one's server.
fn proposed(work: &Work, times: &Times) -> Result<Vec<ProposalView>, AppError> {
    let mut shown = Vec::new();
    for proposal in work.app.proposals(None, false, SystemClock.now())?.into_iter().rev() {
        let Ok(whole) = proposals::show(work, &proposal) else { continue };
        let id = whole["id"].as_str().unwrap_or_default();
        let remarks = whole["remarks"].as_array().into_iter().flatten();
        shown.push(ProposalView {
            id: visible(id),
            link: path(&["pending", id]),
            skill: text(&whole["skill"]),
            who: text(&whole["actor"]["agent"]),
            at: times.told(&whole["created_at"]),
            expires: times.told(&whole["expires_at"]),
            digest: text(&whole["digest"]),
            purpose: text(&whole["purpose"]),
            remarks: remarks.map(text).collect(),
            diff: whole["diff"].as_str().unwrap_or_default().lines().map(diff_line).collect(),
        });
    }
    Ok(shown)
}

/// Answers `/pending`.
pub(crate) fn pending(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let times = Times::of(work)?;
    let all = lists::sets(work, false)?;
    let mut sets = Vec::new();
    for listed in all.iter().take(MAX_SHOWN) {
        let id = listed["id"].as_str().unwrap_or_default();
        // One that cannot be shown whole, since something is gone, hides no other.
        let read = api::set(work, id);
        let is_read = read.is_ok();
        let set = read.unwrap_or_else(|error| {
            let why =
                json!([{ "verdict": "error", "reason": error.failure.message, "source": "host" }]);
            let mut set = listed.clone();
            (set["verdicts"], set["changes"]) = (why, json!([]));
            set
        });
        let names = set["names"].as_object().into_iter().flatten();
        let named = names.filter_map(|(id, name)| Some((id.clone(), name.as_str()?.to_owned())));
        work.desk.learn(named);
        let actor = &set["actor"];
        let who = actor["agent"].as_str().or(actor["upn"].as_str()).unwrap_or_default();
        let shown = to_decide_on(&work.desk, &times, &set);
        let left_out = if is_read { shown.left_out } else { "It cannot be shown.".to_owned() };
        sets.push(SetView {
            id: visible(id),
            link: path(&["pending", id]),
            skill: skill_name(set["skill"].as_str().unwrap_or_default()),
            who: visible(who),
            at: times.told(&set["created_at"]),
            expires: times.told(&set["expires_at"]),
            digest: text(&set["digest"]),
            changes: shown.changes,
            left_out,
            verdicts: verdicts(&set),
            n_changes: listed["changes"].as_u64().unwrap_or(0),
        });
    }
    page(&PendingPage {
        frame: Frame::live(work, call, ("Pending", "/pending", "pending"))?,
        n_more: all.len().saturating_sub(sets.len()),
        proposals: proposed(work, &times)?,
        sets,
    })
}

/// A skill in the list.
struct SkillRow {
    name: String,
    link: String,
    summary: String,
    is_own: bool,
    problem: String,
}

#[derive(Template)]
#[template(path = "skills.html")]
struct SkillsPage {
    frame: Frame,
    skills: Vec<SkillRow>,
}

/// Answers `/skills`.
pub(crate) fn skills(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let workspace = &work.app.workspace;
    let names = scripts::own_first(workspace, "skills", workspace.skills.keys());
    let row = |name: &String| {
        let source = workspace.skills.get(name).map(String::as_str).unwrap_or_default();
        let (summary, problem) = match Manifest::parse(source) {
            Ok(manifest) => (manifest.summary().to_owned(), work.problem_of(name)),
            Err(failure) => (String::new(), Some(failure.message)),
        };
        SkillRow {
            name: visible(name),
            link: path(&["skills", name]),
            summary: visible(&summary),
            is_own: workspace.is_own(&format!("skills/{name}.rhai")),
            problem: visible(&problem.unwrap_or_default()),
        }
    };
    page(&SkillsPage {
        frame: Frame::live(work, call, ("Skills", "/skills", "reload"))?,
        skills: names.into_iter().map(row).collect(),
    })
}

/// A field of a skill's form.
struct Input {
    name: String,
    kind: &'static str,
    description: String,
    value: String,
    is_needed: bool,
    remark: &'static str,
}

fn input((name, param): (&String, &Param)) -> Input {
    let default = param.default.as_ref().and_then(|value| serde_json::to_value(value).ok());
    let value = match &default {
        Some(Value::Array(items)) => {
            let item = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
            items.iter().map(item).collect::<Vec<_>>().join(", ")
        }
        Some(value) => text(value),
        None => String::new(),
    };
    Input {
        name: visible(name),
        kind: match param.kind {
            ParamKind::Bool => "bool",
            ParamKind::Int | ParamKind::Float => "number",
            ParamKind::Data => "data",
            ParamKind::String | ParamKind::Date | ParamKind::List => "text",
        },
        description: visible(&param.description),
        value,
        is_needed: default.is_none(),
        remark: match param.kind {
            ParamKind::Data => "JSON",
            ParamKind::Date => "2026-12-24, today, friday, +3d",
            ParamKind::List => "a, b, c",
            _ => "",
        },
    }
}

#[derive(Template)]
#[template(path = "skill.html")]
struct SkillPage {
    frame: Frame,
    name: String,
    link: String,
    description: Vec<String>,
    inputs: Vec<Input>,
    agents: Vec<String>,
}

/// Answers `/skills/{name}`.
pub(crate) fn skill(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let name = call.part("name");
    let manifest = work.app.manifest_of(name)?;
    let paragraph =
        |text: &str| visible(&text.lines().map(str::trim).collect::<Vec<_>>().join(" "));
    page(&SkillPage {
        frame: Frame::live(work, call, (name, "/skills", ""))?,
        name: visible(name),
        link: path(&["skills", name]),
        description: manifest.description.split("\n\n").map(paragraph).collect(),
        inputs: manifest.params.iter().flatten().map(input).collect(),
        agents: work.config().agents.keys().map(|name| visible(name)).collect(),
    })
}
