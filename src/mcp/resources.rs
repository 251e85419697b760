//! Resources: a plan as a table, and the text of a skill.

use crate::app::agent::may_run;
use crate::app::error::AppError;
use crate::mcp::board;
use crate::mcp::desk::Work;
use crate::model::PlanId;
use crate::script::Bundle;

/// The beginnings of the addresses.
pub(crate) const PLAN: &str = "planwright://plan/";
pub(crate) const SKILL: &str = "planwright://skill/";

/// Returns the plans within reach, as address and title.
pub(crate) fn plans(work: &Work) -> Result<Vec<(String, String)>, AppError> {
    let plans = work.look(board::plans)?;
    Ok(plans.into_iter().map(|plan| (format!("{PLAN}{}", plan.id), plan.title)).collect())
}

/// Returns the skills that the agent may run, as address, name and what each does.
pub(crate) fn skills(bundle: &Bundle, agent: &str) -> Vec<(String, String, String)> {
    let config = &bundle.workspace.config;
    let granted = bundle.skills().filter(|skill| may_run(config, Some(agent), &skill.name));
    let told = granted.map(|skill| {
        let name = skill.name.clone();
        (format!("{SKILL}{name}"), name, skill.manifest.summary().to_owned())
    });
    told.collect()
}

/// Reads a resource; returns its text and its type.
pub(crate) fn read(work: &Work, address: &str) -> Result<(String, &'static str), AppError> {
    let none = || AppError::new("not_found", format!("there is no resource `{address}`"));
    if let Some(name) = address.strip_prefix(SKILL) {
        if !may_run(work.config(), Some(work.agent()), name) {
            return Err(none());
        }
        let text = work.app.workspace.skills.get(name).ok_or_else(none)?;
        return Ok((text.clone(), "text/plain"));
    }
    let id = address.strip_prefix(PLAN).ok_or_else(none)?;
    let id = PlanId::parse(id).map_err(|_| none())?;
    let text = work.look(move |session| board::of_plan(session, id.as_str()))?;
    Ok((text, "text/plain"))
}
