//! `planwright run`: a skill, a script or a board file, always through review and apply.

pub(crate) mod inbox;
pub(crate) mod schedule;
pub(crate) mod work;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::app::agent::check_may_run;
use crate::app::error::AppError;
use crate::app::params::kept;
use crate::app::workspace::time_zone;
use crate::cli::command::{board_file, skill};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files;
use crate::cli::options::{LongArgs, WriteArgs};
use crate::cli::sheet::data;
use crate::host::similar::{did_you_mean, similar};
use crate::host::{Failure, Report, SystemClock};
use crate::model::Clock as _;
use crate::model::time::Calendar;
use crate::script::source::MAX_SOURCE;
use crate::script::{Manifest, Skill};

const EXAMPLES: &str = "\
Examples:
  planwright run morning_triage --dry-run
  planwright run capture_action_item -p title=\"Order toner\" -p department=Operations
  planwright run ./fix.rhai --json
  planwright run --from board.yaml --dry-run
  echo 'plan(\"BOS Operations\").tasks.len()' | planwright run -";

/// The folder of the skills in the names of their files. That of another file has no folder.
const SKILLS: &str = "skills/";

/// Name of a run of a board file.
const FROM: &str = "run --from";

/// Run a skill, a script or a board file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// Skill by name, script by path, or `-` for standard input
    #[arg(value_name = "SKILL|FILE|-")]
    target: Option<String>,
    /// Parameter of the skill; one of the type `data` takes a file: `-p rows=@tasks.csv`
    #[arg(short, long = "param", value_name = "KEY=VALUE", value_parser = key_value)]
    param: Vec<(String, String)>,
    /// Apply a board file, written by `pull` or by hand; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "param"])]
    from: Option<PathBuf>,
    /// Also delete what the file does not list
    #[arg(long, requires = "from", conflicts_with = "target")]
    prune: bool,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().into(), value.into())),
        _ => Err("a parameter is given as key=value".to_owned()),
    }
}

pub(crate) fn run(context: &Context<'_>, args: &RunArgs) -> Result<Exit, AppError> {
    let (name, outcome) = match (&args.target, &args.from) {
        (Some(target), _) => (target.as_str(), run_skill(context, args, target)),
        (None, Some(file)) => {
            (FROM, board_file::run_from(context, file, args.prune, &args.write, FROM))
        }
        (None, None) => {
            return Err(AppError::usage("nothing to run")
                .hint("name a skill or script, or a board file with `--from FILE`"));
        }
    };
    match outcome {
        Err(error) if context.ui.json() => Ok(report_failure(context, name, error)),
        other => other,
    }
}

fn run_skill(context: &Context<'_>, args: &RunArgs, target: &str) -> Result<Exit, AppError> {
    let Source { name, file, text } = find(context, target)?;
    let skill = file.starts_with(SKILLS).then_some(name.as_str());
    check_may_run(&context.app.workspace.config, context.agent_name(), skill)?;
    let libraries = context.app.workspace.libraries_of(&file);
    let budget = context.app.workspace.config.limits_of(context.agent_name()).budget();
    let skill = Skill::compile(&name, &file, &text, libraries)?;
    let calendar = Calendar::at(SystemClock.now(), time_zone(&context.app.workspace)?);
    let params = skill.manifest.taken(&data::given(&skill.manifest, &args.param)?, &calendar)?;
    let digest = skill.digest().to_owned();
    let for_journal = Value::Object(kept(&params));
    let program = skill.program(params, budget);
    context.write(&args.write, (name, Some(digest)), for_journal, program)
}

/// Shows the parameters of the named skill, for `run SKILL --help`.
pub(crate) fn help(context: &Context<'_>, args: &RunArgs) {
    let Some(target) = &args.target else { return };
    let text = context.app.workspace.skills.get(target).cloned();
    let text = text.or_else(|| files::read_script(Path::new(target)).ok());
    if let Some(manifest) = text.and_then(|text| Manifest::parse(&text).ok()) {
        skill::show(context, target, &manifest);
        context.ui.answer("");
    }
}

/// Prints a report of a run that never began: with `--json` a caller can always expect one.
fn report_failure(context: &Context<'_>, name: &str, error: AppError) -> Exit {
    let exit = Exit::of_failure(&error.failure);
    let run_id = uuid::Uuid::now_v7().to_string();
    let mut report = Report::new(run_id, name.to_owned(), None);
    report.actor.agent = context.agent_name().map(str::to_owned);
    report.error = Some(error.failure);
    context.ui.note_run();
    context.ui.json_report(&report);
    exit
}

/// A script, not compiled yet.
struct Source {
    name: String,
    /// The name of its file in messages.
    file: String,
    text: String,
}

fn find(context: &Context<'_>, target: &str) -> Result<Source, AppError> {
    let workspace = &context.app.workspace;
    let source =
        |name: &str, file: String, text: String| Ok(Source { name: name.to_owned(), file, text });
    if target == "-" {
        return source("-", "stdin".to_owned(), read_stdin()?);
    }
    // A skill wins over a file of the same name in the working directory.
    if let Some(text) = workspace.skills.get(target) {
        return source(target, format!("{SKILLS}{target}.rhai"), text.clone());
    }
    let path = PathBuf::from(target);
    let means_file = path.extension().is_some_and(|extension| extension == "rhai")
        || target.contains(['/', '\\']);
    if means_file || path.is_file() {
        let text = files::read_script(&path)?;
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or(target);
        return source(name, file_name(&path), text);
    }
    let error = AppError::new("not_found", format!("there is no skill `{target}`"));
    let near = similar(target, workspace.skills.keys().map(String::as_str));
    Err(match near.as_slice() {
        _ if path.with_extension("rhai").is_file() => {
            error.hint(format!("did you mean `planwright run ./{target}.rhai`?"))
        }
        [] => error.hint("`planwright skill list` lists the skills; name a file by its path"),
        [one] => error.hint(format!("did you mean `planwright run {one}`?")),
        several => error.hint(did_you_mean(several)),
    })
}

/// Returns the name of a file for scripts and reports, which never get to see its folder.
fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "script".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn read_stdin() -> Result<String, AppError> {
    // One byte more than allowed shows that there is too much.
    let limit = u64::try_from(MAX_SOURCE).unwrap_or(u64::MAX) + 1;
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_SOURCE {
        let message = format!("the script is larger than {MAX_SOURCE} bytes");
        return Err(Failure { code: "budget".into(), message, ..Failure::default() }.into());
    }
    String::from_utf8(bytes).map_err(|_| AppError::new("syntax", "the script is not UTF-8 text"))
}
