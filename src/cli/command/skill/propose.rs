//! `planwright skill propose`: a skill that an agent has written, for a person to decide on.

use std::path::PathBuf;

use clap::Args;

use crate::app::error::AppError;
use crate::app::pending::checked::Proposed;
use crate::app::pending::proposal::whole;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files;
use crate::cli::proposals::tell;

/// Propose a skill, as an agent, for a person to approve
///
/// The script is checked and its tests are run, each on a board of its own. What passes waits for a
/// person: `planwright approve` writes it to scripts/skills.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  planwright skill propose close_stale stale.rhai --tests stale_test.rhai \\\n      --reason \"Ana asks for it every Friday\" --as rook"
)]
pub(crate) struct ProposeArgs {
    /// Name of the skill
    name: String,
    /// File with the script
    file: PathBuf,
    /// File with its tests
    #[arg(long, value_name = "FILE")]
    tests: Option<PathBuf>,
    /// Reason, for the person who decides
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(crate) fn propose(context: &Context<'_>, args: &ProposeArgs) -> Result<Exit, AppError> {
    let Some(agent) = context.agent_name() else {
        let message = "a proposal is an agent's: `--as AGENT` names it";
        return Err(AppError::usage(message)
            .hint(format!("yours, you write to scripts/skills/{}.rhai", args.name)));
    };
    let proposed = Proposed {
        name: args.name.clone(),
        source: files::read_script(&args.file)?,
        tests: args.tests.as_deref().map(files::read_script).transpose()?,
    };
    let me = context.with_host(Some(agent), async |host| host.me().await)??;
    let interrupt = context.interrupt();
    let (proposal, difference) = context.app.propose(
        (&me, agent),
        (proposed, &args.reason),
        (&context.handle(), &interrupt),
        context.now(),
    )?;
    if context.ui.json() {
        context.ui.json_report(&whole(&proposal, &difference));
    } else {
        tell(context, &proposal, &difference);
        context.ui.note("It waits for a person.");
        context.ui.answer(&proposal.id);
    }
    Ok(Exit::Held)
}
