//! Skills and policies as JSON, with where they come from.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::script::Workspace;
use crate::script::policy::problem;
use crate::script::workspace::manifest::Manifest;

/// Returns the parameters of a skill, by name.
pub(crate) fn params_json(manifest: &Manifest) -> Value {
    let params = manifest.params.iter().flatten().map(|(name, param)| {
        let default = param.default.as_ref().and_then(|value| serde_json::to_value(value).ok());
        let value = json!({
            "type": param.kind.name(),
            "description": param.description,
            "default": default,
        });
        (name.clone(), value)
    });
    Value::Object(params.collect())
}

/// Returns a skill as it is listed; a broken one with its error, so that it hides no other.
pub(crate) fn listed(workspace: &Workspace, name: &str) -> Value {
    let source = workspace.source_of(&format!("skills/{name}.rhai"));
    let text = workspace.skills.get(name).map(String::as_str).unwrap_or_default();
    match Manifest::parse(text) {
        Ok(manifest) => json!({
            "name": name,
            "description": manifest.description,
            "params": params_json(&manifest),
            "source": source,
        }),
        Err(failure) => json!({ "name": name, "error": failure, "source": source }),
    }
}

/// Orders the names of scripts in a folder: first those of the workspace itself, then what is
/// shipped.
pub(crate) fn own_first<'a>(
    workspace: &Workspace,
    folder: &str,
    names: impl Iterator<Item = &'a String>,
) -> Vec<&'a String> {
    let mut names: Vec<&String> = names.collect();
    names.sort_by_key(|name| !workspace.is_own(&format!("{folder}/{name}.rhai")));
    names
}

/// Returns each policy by name, with the runs it is in force for; one that is named but missing is
/// included.
pub(crate) fn in_force(workspace: &Workspace) -> BTreeMap<String, Vec<String>> {
    let mut policies: BTreeMap<String, Vec<String>> =
        workspace.policies.keys().map(|name| (name.clone(), Vec::new())).collect();
    let config = &workspace.config;
    let mut add = |name: &String, whom: String| {
        policies.entry(name.clone()).or_default().push(whom);
    };
    config.policies.always.iter().for_each(|name| add(name, "every run".to_owned()));
    for (agent, config) in &config.agents {
        config.policies.iter().for_each(|name| add(name, format!("agent {agent}")));
    }
    for (plan, config) in &config.plans {
        config.policies.iter().for_each(|name| add(name, format!("plan {plan}")));
    }
    policies
}

/// Returns a policy as it is listed, with the runs it is in force for.
pub(crate) fn policy(workspace: &Workspace, name: &str, whom: &[String]) -> Value {
    let text = workspace.policies.get(name);
    let summary = text.and_then(|text| Manifest::parse(text).ok());
    let summary = summary.map(|manifest| manifest.summary().to_owned()).unwrap_or_default();
    // A policy that is in force but missing comes from nowhere.
    let source = text.map(|_| workspace.source_of(&format!("policies/{name}.rhai")));
    json!({
        "name": name, "in_force_for": whom, "description": summary,
        "error": problem(name, workspace), "source": source,
    })
}
