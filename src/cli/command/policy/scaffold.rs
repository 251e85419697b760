//! `planwright policy new`: a policy with its test.

use clap::Args;

use crate::app::error::AppError;
use crate::cli::command::skill::scaffold::{check_name, create, shadows};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::templates::{POLICY, POLICY_TEST};

/// Create a policy, with a test of its own
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright policy new small_steps\n  planwright policy check small_steps\n  planwright test small_steps\n\nIt is in force once planwright.toml names it. Outside a workspace, it makes one here."
)]
pub(crate) struct NewArgs {
    /// Name of the policy: lower-case letters, digits and `_`
    name: String,
}

pub(crate) fn new(context: &Context<'_>, args: &NewArgs) -> Result<Exit, AppError> {
    // A policy decides what agents may do.
    context.for_people("policy new")?;
    let name = args.name.as_str();
    check_name("policy", name)?;
    if context.app.workspace.is_shipped(&format!("policies/{name}.rhai")) {
        return Err(shadows("policy", name).hint(format!(
            "name yours differently, and see `planwright policy show {name} --source`"
        )));
    }
    let texts = vec![
        (format!("scripts/policies/{name}.rhai"), POLICY.replace("NAME", name)),
        (format!("scripts/tests/{name}.rhai"), POLICY_TEST.replace("NAME", name)),
    ];
    let next = format!(
        "planwright policy check {name}\nplanwright test {name}\nIt is in force once planwright.toml names it, for example: [policies] always = [\"agent_rules\", \"{name}\"]"
    );
    create(context, name, texts, &next)
}
