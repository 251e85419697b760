//! The agents that a workspace knows, and what it grants them.

pub(crate) mod pause;
pub(crate) mod refusals;

use crate::app::error::AppError;
use crate::host::{Agent, Failure};
use crate::journal::inbox::InboxEntry;
use crate::script::workspace::automation::{Automation, SCHEDULE_AGENT};
use crate::script::workspace::config::{AgentConfig, MayApply};
use crate::script::{Config, Workspace};

/// The most characters of an agent's name: it stands in every record of its runs.
const MAX_NAME: usize = 64;

/// Returns what a workspace grants an agent. Where agents are configured, an unknown name is an
/// error: a typo must not grant everything.
///
/// # Errors
/// The name is empty, or not among those that are configured.
pub(crate) fn agent_of(
    workspace: &Workspace,
    name: Option<&str>,
) -> Result<Option<Agent>, AppError> {
    let Some(name) = name else { return Ok(None) };
    if name.trim().is_empty() {
        return Err(AppError::usage("the name of the agent is empty"));
    }
    if name.chars().count() > MAX_NAME {
        let message = format!("the name of the agent is longer than {MAX_NAME} characters");
        return Err(AppError::usage(message));
    }
    let agents = &workspace.config.agents;
    let Some(config) = agents.get(name) else {
        if agents.is_empty() {
            return Ok(Some(unconfined(workspace, name)));
        }
        let known: Vec<_> = agents.keys().map(|name| format!("`{name}`")).collect();
        return Err(AppError::new("agent", format!("there is no agent `{name}`"))
            .hint(format!("the agents in planwright.toml are {}", known.join(", "))));
    };
    let limits = workspace.config.limits_of(Some(name));
    Ok(Some(Agent {
        name: name.to_owned(),
        plans: config.plans.as_ref().map(|plans| plans.iter().cloned().collect()),
        may_apply: config.may_apply != MayApply::No,
        force: config.force,
        approved_only: config.may_apply == MayApply::Approved,
        changes_per_day: Some(limits.changes_per_day()),
        runs_per_hour: Some(limits.runs_per_hour()),
    }))
}

/// Returns what a workspace grants an agent that is on record: of an entry of the inbox, of a run, of a
/// set that waits. Unlike [`agent_of`], which asks whom somebody may act as, it knows the agent of
/// schedules wherever no table confines it: it is under the shipped rules.
///
/// # Errors
/// Agents are configured, and this is none of them.
pub(crate) fn known_agent(
    workspace: &Workspace,
    name: Option<&str>,
) -> Result<Option<Agent>, AppError> {
    match name {
        Some(SCHEDULE_AGENT) if !workspace.config.agents.contains_key(SCHEDULE_AGENT) => {
            Ok(Some(unconfined(workspace, SCHEDULE_AGENT)))
        }
        name => agent_of(workspace, name),
    }
}

/// Returns the grants of an agent that no table confines.
fn unconfined(workspace: &Workspace, name: &str) -> Agent {
    let limits = workspace.config.limits;
    Agent {
        name: name.to_owned(),
        plans: None,
        may_apply: true,
        force: false,
        approved_only: false,
        changes_per_day: Some(limits.changes_per_day()),
        runs_per_hour: Some(limits.runs_per_hour()),
    }
}

/// Refuses an entry of the inbox whose sender may not submit to its receiver: with the grants of today,
/// not with those of the day it was submitted. Schedules and triggers submit what the workspace says.
///
/// # Errors
/// It may not.
pub(crate) fn check_sender(workspace: &Workspace, entry: &InboxEntry) -> Result<(), AppError> {
    let (from, to) = (entry.from_agent.as_deref(), entry.to_agent.as_deref());
    if from == Some(SCHEDULE_AGENT)
        && to.is_some_and(|to| Automation::of(workspace).submits(&entry.skill, to))
    {
        return Ok(());
    }
    check_may_submit(&workspace.config, from, to)
}

/// Returns whether an agent may run a skill.
pub(crate) fn may_run(config: &Config, agent: Option<&str>, skill: &str) -> bool {
    let granted = agent.and_then(|name| config.agents.get(name));
    let skills = granted.and_then(|granted| granted.skills.as_ref());
    skills.is_none_or(|skills| skills.iter().any(|name| name == skill))
}

/// Returns whether an agent may run code of its own.
pub(crate) fn may_script(config: &Config, agent: Option<&str>) -> bool {
    agent.and_then(|name| config.agents.get(name)).is_none_or(|granted| granted.scripts)
}

/// Refuses an agent to submit to another whose `inbox` does not name it. People may submit to any.
///
/// # Errors
/// It may not.
pub(crate) fn check_may_submit(
    config: &Config,
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(), AppError> {
    let (Some(from), Some(to)) = (from, to) else { return Ok(()) };
    let takes = |agent: &AgentConfig| agent.inbox.iter().any(|name| name == from);
    if from == to || config.agents.get(to).is_some_and(takes) {
        return Ok(());
    }
    let message = format!("the agent `{from}` may not submit to `{to}`");
    Err(AppError::new("denied", message))
}

/// Refuses an agent a skill that it was not granted; with `None`, code of its own.
///
/// # Errors
/// It may not run it.
pub(crate) fn check_may_run(
    config: &Config,
    agent: Option<&str>,
    skill: Option<&str>,
) -> Result<(), AppError> {
    let name = agent.unwrap_or_default();
    let message = match skill {
        Some(skill) if !may_run(config, agent, skill) => {
            format!("the agent `{name}` may not run the skill `{skill}`")
        }
        None if !may_script(config, agent) => {
            format!("the agent `{name}` may not run code of its own")
        }
        _ => return Ok(()),
    };
    Err(AppError::new("denied", message))
}

/// Returns whether a failure says that an agent asked for what it may not have, or what there is not for
/// it.
pub(crate) fn is_refusal(failure: &Failure) -> bool {
    matches!(
        failure.code.as_str(),
        "denied"
            | "not_permitted"
            | "held"
            | "paused"
            | "not_pending"
            | "not_found"
            | "agent"
            | "saved"
            | "unsealed"
    )
}
