//! The agents that a workspace knows, and what it grants them.

use crate::app::error::AppError;
use crate::host::Agent;
use crate::script::Workspace;

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
            return Ok(Some(Agent {
                name: name.into(),
                plans: None,
                may_apply: true,
                force: false,
            }));
        }
        let known: Vec<_> = agents.keys().map(|name| format!("`{name}`")).collect();
        return Err(AppError::new("agent", format!("there is no agent `{name}`"))
            .hint(format!("the agents in planwright.toml are {}", known.join(", "))));
    };
    Ok(Some(Agent {
        name: name.to_owned(),
        plans: config.plans.as_ref().map(|plans| plans.iter().cloned().collect()),
        may_apply: config.may_apply,
        force: config.force,
    }))
}
