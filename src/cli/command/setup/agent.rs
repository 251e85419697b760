//! `planwright agent`: the agents of the workspace, and what each may do.

use clap::Subcommand;
use serde_json::json;

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::render::table::Column;
use crate::cli::show;

/// List the agents, and what each may do
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// List the agents in planwright.toml
    #[command(
        after_help = "Where planwright.toml lists no agents, any name acts under the shipped rules.\n\nExamples:\n  planwright agent list\n  planwright agent list --json"
    )]
    List,
}

pub(crate) fn run(context: &Context<'_>, command: &AgentCommand) -> Result<Exit, AppError> {
    // It tells of plans that an agent may not see.
    context.for_people("agent")?;
    match command {
        AgentCommand::List => Ok(list(context)),
    }
}

fn list(context: &Context<'_>) -> Exit {
    let config = &context.app.workspace.config;
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for (name, agent) in &config.agents {
        let policies: Vec<&String> = config.policies.always.iter().chain(&agent.policies).collect();
        let limits = config.limits_of(Some(name));
        let caps = limits.caps();
        let seconds = limits.seconds.unwrap_or(60);
        let plans = agent.plans.as_ref().map_or("all".to_owned(), |plans| plans.join(", "));
        let names = policies.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let apply = match (agent.may_apply, agent.force) {
            (true, true) => "yes, deletions too",
            (true, false) => "yes",
            (false, _) => "preview only",
        };
        let most = format!("{} changes, {} deletions", caps.max_changes, caps.max_deletes);
        rows.push(vec![name.clone(), plans, names, apply.to_owned(), most]);
        values.push(json!({
            "name": name,
            "plans": agent.plans,
            "policies": policies,
            "may_apply": agent.may_apply,
            "force": agent.force,
            "limits": {
                "max_changes": caps.max_changes,
                "max_deletes": caps.max_deletes,
                "max_edits": limits.max_edits(),
                "reads": limits.max_reads(),
                "seconds": seconds,
                "writes_per_second": limits.writes_per_second,
            },
        }));
    }
    let columns =
        ["AGENT", "PLANS", "POLICIES", "MAY APPLY", "A RUN MAKES AT MOST"].map(Column::new);
    let empty = "No agents are configured: any name acts under the shipped rules.";
    show::list(context.ui, &columns, &rows, &values, empty);
    Exit::Done
}
