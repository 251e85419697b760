//! Agents as JSON: what the configuration grants each, and whether it is paused.

use serde_json::{Value, json};

use crate::journal::paused::Paused;
use crate::script::Config;
use crate::script::workspace::config::AgentConfig;

/// Returns the pause that holds for an agent.
pub(crate) fn pause_of<'a>(paused: &'a [Paused], name: &str) -> Option<&'a Paused> {
    paused.iter().find(|pause| pause.agent.as_deref().is_none_or(|agent| agent == name))
}

/// Returns the policies in force for an agent.
pub(crate) fn policies(config: &Config, agent: &AgentConfig) -> Vec<String> {
    config.policies.always.iter().chain(&agent.policies).cloned().collect()
}

/// Returns an agent as it is listed.
pub(crate) fn listed(config: &Config, name: &str, agent: &AgentConfig, paused: &[Paused]) -> Value {
    let limits = config.limits_of(Some(name));
    let caps = limits.caps();
    let pause = pause_of(paused, name);
    json!({
        "name": name,
        "profile": agent.profile,
        "plans": agent.plans,
        "policies": policies(config, agent),
        "skills": agent.skills,
        "scripts": agent.scripts,
        "may_apply": agent.may_apply.value(),
        "force": agent.force,
        "inbox": agent.inbox,
        "paused": pause.is_some(),
        "paused_since": pause.map(|pause| pause.at),
        "paused_reason": pause.and_then(|pause| pause.reason.as_ref()),
        "limits": {
            "max_changes": caps.max_changes,
            "max_deletes": caps.max_deletes,
            "max_edits": limits.max_edits(),
            "reads": limits.max_reads(),
            "seconds": limits.seconds.unwrap_or(60),
            "writes_per_second": limits.writes_per_second,
            "changes_per_day": limits.changes_per_day(),
            "runs_per_hour": limits.runs_per_hour(),
        },
    })
}
