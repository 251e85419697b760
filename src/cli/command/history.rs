//! `planwright runs`, `resume`, `undo` and `audit`: the record of past runs, and the commands that
//! continue from it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::workspace::time_zone;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Access};
use crate::cli::options::{LongArgs, WriteArgs};
use crate::cli::render::table::Column;
use crate::cli::render::text::{count, shortened, visible};
use crate::cli::show;
use crate::host::{Decisions, Failure, Start, candidates};
use crate::journal::{Journal, Purpose, Run, Standing, Verification};
use crate::model::time::day_of_moment;

/// List runs, and show what one did
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  planwright runs\n  planwright runs show 0199f3c2"
)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    command: Option<RunsCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, the newest first
    List(ListArgs),
    /// Show the changes of a run and their outcomes
    Show {
        /// Run id, the beginning of one, or `last`: the last run that wrote something
        run: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show at most N runs
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// Undo what a run wrote
#[derive(Debug, Args)]
#[command(
    after_help = "What someone else has changed since is kept and reported. A restored task gets a new id.\nRemoving what a run created needs `--force`.\n\nExamples:\n  planwright undo last --dry-run\n  planwright undo 0199f3c2"
)]
pub(crate) struct UndoArgs {
    /// Run id, the beginning of one, or `last`
    run: String,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

/// Resume runs that were cut off
#[derive(Debug, Args)]
#[command(
    after_help = "First, Planwright checks what happened to each unanswered request; then what is left is\nreviewed and applied. Deletions need `--force` again. If nobody can tell whether something was\ncreated, look at the board and answer with `--made` or `--not-made`.\n\nExamples:\n  planwright resume                          resume everything that was cut off\n  planwright resume 0199f3c2                 resume one run\n  planwright resume 0199f3c2 --made 3=ABCD   change 3 did create the entity ABCD"
)]
pub(crate) struct ResumeArgs {
    /// Run id, or the beginning of one; all runs that were cut off if absent
    run: Option<String>,
    /// Say that change N, in doubt, created the entity ID
    #[arg(long, value_name = "N=ID", value_parser = parse_made, requires = "run")]
    made: Vec<(usize, String)>,
    /// Say that change N, in doubt, created nothing
    #[arg(long, value_name = "N", requires = "run")]
    not_made: Vec<usize>,
    /// Show what is left and stop
    #[arg(short = 'n', long, conflicts_with_all = ["made", "not_made"])]
    dry_run: bool,
    /// Allow deletions
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

fn parse_made(text: &str) -> Result<(usize, String), String> {
    let parts = text.split_once('=').and_then(|(n, id)| Some((n.parse().ok()?, id.to_owned())));
    parts.filter(|(_, id)| !id.is_empty()).ok_or_else(|| {
        "expected the number of a change and an id, as in `--made 3=ABCD`".to_owned()
    })
}

/// Show, check and export the record of everything that was done
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show the last records
    Show {
        /// Show only the records of one run: its id, or the beginning of it
        #[arg(long)]
        run: Option<String>,
        /// Show at most N records
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Check that no record was changed, removed or added
    Verify {
        /// Exported JSON Lines file to check instead of the journal
        file: Option<PathBuf>,
    },
    /// Export all records
    Export {
        /// JSON Lines keeps everything and can be verified, CSV is for spreadsheets
        #[arg(long, default_value = "jsonl")]
        format: AuditFormat,
        /// File to write instead of standard output
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

/// Formats of exported records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditFormat {
    /// One record per line
    Jsonl,
    /// One row per record
    Csv,
}

pub(crate) fn failed(error: &crate::journal::Error) -> AppError {
    Failure::of("journal", error, error.hint()).into()
}

/// Opens the journal for reading; `None` if there is none yet.
fn journal(context: &Context<'_>) -> Result<Option<Journal>, AppError> {
    Ok(context.state_folder()?.open_to_read()?)
}

pub(crate) fn runs(context: &Context<'_>, args: &RunsArgs) -> Result<Exit, AppError> {
    match &args.command {
        None => list(context, &args.list),
        Some(RunsCommand::List(args)) => list(context, args),
        Some(RunsCommand::Show { run }) => show(context, run),
    }
}

fn list(context: &Context<'_>, args: &ListArgs) -> Result<Exit, AppError> {
    let runs = match journal(context)? {
        Some(journal) => journal.runs(args.limit, None).map_err(|error| failed(&error))?,
        None => Vec::new(),
    };
    let zone = time_zone(&context.app.workspace)?;
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            let who = run
                .agent
                .as_ref()
                .map_or(run.upn.clone(), |agent| format!("{agent} ({})", run.upn));
            vec![
                run.id.to_string(),
                zone.to_datetime(run.at).strftime("%Y-%m-%d %H:%M").to_string(),
                run.skill.clone(),
                who,
                run.status.map_or("unfinished", |status| status.name()).replace('_', " "),
                run.changes.to_string(),
            ]
        })
        .collect();
    let values: Vec<_> = runs
        .iter()
        .map(|run| {
            json!({
                "run_id": run.id.to_string(),
                "at": run.at,
                "skill": run.skill,
                "actor": { "upn": run.upn, "agent": run.agent },
                "purpose": run.purpose.name(),
                "parent": run.parent.as_ref().map(ToString::to_string),
                "status": run.status.map(crate::journal::RunStatus::name),
                "changes": run.changes,
            })
        })
        .collect();
    let columns = [
        Column::new("RUN"),
        Column::new("WHEN"),
        Column::new("SKILL"),
        Column::new("WHO"),
        Column::new("STATUS"),
        Column::right("CHANGES"),
    ];
    show::list(context.ui, &columns, &rows, &values, "No runs yet.");
    Ok(Exit::Done)
}

fn show(context: &Context<'_>, id: &str) -> Result<Exit, AppError> {
    let Some(journal) = journal(context)? else {
        return Err(AppError::new("not_found", "no run has been recorded yet"));
    };
    let run = journal.run(id.trim()).map_err(|error| failed(&error))?;
    if context.ui.json() {
        context.ui.json_report(&run_json(&run));
        return Ok(Exit::Done);
    }
    let zone = time_zone(&context.app.workspace)?;
    let start = &run.start;
    let line = |name: &str, value: &str| {
        if !value.is_empty() {
            context.ui.answer(&format!("  {name:<12} {}", visible(value)));
        }
    };
    context.ui.answer(&start.id.to_string());
    line("skill", &start.skill);
    line("when", &format!("{} ({})", start.at, day_of_moment(start.at, &zone)));
    line("who", &start.upn);
    line("agent", start.agent.as_deref().unwrap_or_default());
    line("service", &start.service);
    line("purpose", start.purpose.name());
    line("of run", &start.parent.as_ref().map(ToString::to_string).unwrap_or_default());
    let status = run.finish.as_ref().map_or("unfinished", |finish| finish.status.name());
    line("status", status);
    for round in &run.rounds {
        context.ui.answer("");
        for (change, trail) in round.change_set.changes().iter().zip(&round.trails) {
            let standing = match trail.standing() {
                Standing::Untouched => "not sent",
                Standing::InDoubt => "in doubt",
                Standing::Settled => "sent",
            };
            let (op, entity) = (change.op().name(), change.entity().name());
            let text = format!("{op} {entity} {}  [{standing}]", change.title());
            context.ui.answer(&format!("  {:>3} {}", change.n, visible(&text)));
            for (field, values) in change.fields() {
                let value = |value: &Value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let text = format!("{field}: {} → {}", value(&values.before), value(&values.after));
                context.ui.answer(&format!("      {}", visible(&shortened(&text, 100))));
            }
            if !change.takes_along.is_empty() {
                let along = count(change.takes_along.len(), "task");
                context.ui.answer(&format!("      with {along}"));
            }
            let may_be = candidates(&run, change.n);
            if trail.standing() == Standing::InDoubt && !may_be.is_empty() {
                let text = format!("may have been created as {}", may_be.join(", "));
                context.ui.answer(&format!("      {}", visible(&text)));
            }
            for attempt in &trail.attempts {
                let outcome = attempt.outcome().map_or("no answer", |outcome| outcome.name());
                let intent = &attempt.intent;
                let text = format!("{} {} → {outcome}", intent.method, intent.path);
                context.ui.answer(&format!("      {}", visible(&text)));
            }
        }
    }
    Ok(Exit::Done)
}

fn run_json(run: &Run) -> Value {
    let rounds: Vec<_> = run
        .rounds
        .iter()
        .map(|round| {
            let changes = round.change_set.changes().iter().zip(&round.trails);
            let changes: Vec<_> = changes
                .map(|(change, trail)| {
                    let attempts: Vec<_> = trail
                        .attempts
                        .iter()
                        .map(|attempt| {
                            json!({
                                "step": attempt.intent.step.step,
                                "attempt": attempt.intent.attempt,
                                "at": attempt.at,
                                "method": attempt.intent.method,
                                "path": attempt.intent.path,
                                "request_id": attempt.intent.request_id,
                                "outcome": attempt.outcome().map(crate::journal::Outcome::name),
                            })
                        })
                        .collect();
                    json!({
                        "n": change.n,
                        "op": change.op(),
                        "entity": change.entity(),
                        "id": change.id().to_string(),
                        "title": change.title(),
                        "plan": change.plan(),
                        "attempts": attempts,
                    })
                })
                .collect();
            json!({
                "round": round.number,
                "at": round.at,
                "outcome": round.outcome.name(),
                "digest": round.digest,
                "verdicts": round.rulings,
                "changes": changes,
            })
        })
        .collect();
    json!({
        "run_id": run.start.id.to_string(),
        "at": run.start.at,
        "service": run.start.service,
        "actor": { "id": run.start.actor, "upn": run.start.upn, "agent": run.start.agent },
        "purpose": run.start.purpose.name(),
        "parent": run.start.parent.as_ref().map(ToString::to_string),
        "skill": run.start.skill,
        "skill_digest": run.start.skill_digest,
        "params": run.start.params,
        "policies": run.start.policies,
        "status": run.finish.as_ref().map(|finish| finish.status.name()),
        "rounds": rounds,
        "report": run.finish.as_ref().map(|finish| &finish.report),
    })
}

pub(crate) fn undo(context: &Context<'_>, args: &UndoArgs) -> Result<Exit, AppError> {
    let write = &args.write;
    let start = Start {
        purpose: Purpose::Undo,
        skill: "undo".into(),
        skill_digest: None,
        params: Value::Null,
        agent: context.agent(write.agent.as_deref())?,
        force: write.force,
        dry_run: write.dry_run || write.out.is_some(),
    };
    let id = args.run.clone();
    let agent = write.agent.as_deref();
    let finished = context.with_host(agent, async |host| host.undo(&id, start).await)??;
    context.show_or_save(&finished, write)
}

pub(crate) fn resume(context: &Context<'_>, args: &ResumeArgs) -> Result<Exit, AppError> {
    let ids: Vec<String> = match &args.run {
        Some(id) => vec![id.clone()],
        None => {
            let all = context.with_host(None, async |host| host.unfinished().await)??;
            all.iter().map(ToString::to_string).collect()
        }
    };
    if ids.is_empty() {
        context.ui.note("No run was cut off.");
        if context.ui.json() {
            context.ui.json_value(&json!([]));
        }
        return Ok(Exit::Done);
    }
    let (mut exit, mut reports) = (Exit::Done, Vec::new());
    let many = args.run.is_none();
    for id in ids {
        // A run that cannot be resumed must not hold up the others.
        let one = match resume_one(context, args, &id) {
            Ok(finished) if context.ui.json() && many => {
                reports.push(serde_json::to_value(&finished.report).unwrap_or_default());
                Exit::of_report(&finished.report)
            }
            Ok(finished) => context.show(&finished, None),
            Err(error) if many => {
                let exit = Exit::of_failure(&error.failure);
                if context.ui.json() {
                    reports.push(json!({ "run_id": id, "error": error.failure }));
                } else {
                    context.ui.note(&format!("Cannot resume run {id}:"));
                    context.ui.error(&error);
                }
                exit
            }
            Err(error) => return Err(error),
        };
        // The exit code is that of the last run that did not end well.
        if one != Exit::Done {
            exit = one;
        }
    }
    if context.ui.json() && many {
        context.ui.json_report(&reports);
    }
    Ok(exit)
}

fn resume_one(
    context: &Context<'_>,
    args: &ResumeArgs,
    id: &str,
) -> Result<crate::host::Finished, AppError> {
    // A run is resumed for the agent that it was started for, with the grants of today.
    let agent = match journal(context)? {
        Some(journal) => journal.run(id).map_err(|error| failed(&error))?.start.agent,
        None => None,
    };
    let start = Start {
        purpose: Purpose::Resume,
        skill: "resume".into(),
        skill_digest: None,
        params: Value::Null,
        agent: context.agent(agent.as_deref())?,
        force: args.force,
        dry_run: args.dry_run,
    };
    let decided = Decisions {
        made: args.made.iter().cloned().collect(),
        not_made: args.not_made.iter().copied().collect(),
    };
    let agent = agent.as_deref();
    Ok(context.with_host(agent, async |host| host.resume(id, decided, start).await)??)
}

pub(crate) fn audit(context: &Context<'_>, command: &AuditCommand) -> Result<Exit, AppError> {
    // An export can be checked where there is no journal.
    if let AuditCommand::Verify { file: Some(file) } = command {
        return verify_file(context, file);
    }
    let Some(journal) = journal(context)? else {
        return Err(AppError::new("not_found", "no run has been recorded yet"));
    };
    match command {
        AuditCommand::Show { run, limit } => audit_show(context, &journal, run.as_deref(), *limit),
        AuditCommand::Verify { .. } => {
            verified(context, &journal.verify().map_err(|error| failed(&error))?)
        }
        AuditCommand::Export { format, to } => export(context, &journal, *format, to.as_ref()),
    }
}

fn audit_show(
    context: &Context<'_>,
    journal: &Journal,
    run: Option<&str>,
    limit: usize,
) -> Result<Exit, AppError> {
    let run = run.map(|id| journal.run(id)).transpose().map_err(|error| failed(&error))?;
    let id = run.map(|run| run.start.id);
    let all = journal.records(id.as_ref(), 0, usize::MAX).map_err(|error| failed(&error))?;
    // The journal lists from the first record; the last ones are shown.
    let from = all.len().saturating_sub(limit);
    let records = all.get(from..).unwrap_or_default();
    let text = |record: &Value, path: &str| match record.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let paths = [
        "/seq",
        "/at",
        "/kind",
        "/actor/upn",
        "/agent",
        "/skill",
        "/change/title",
        "/outcome",
        "/run",
    ];
    let rows: Vec<_> = records
        .iter()
        .map(|record| paths.iter().map(|path| text(record, path)).collect())
        .collect();
    let columns = [
        Column::right("SEQ"),
        Column::new("AT"),
        Column::new("KIND"),
        Column::new("WHO"),
        Column::new("AGENT"),
        Column::new("SKILL"),
        Column::new("TITLE"),
        Column::new("OUTCOME"),
        Column::new("RUN"),
    ];
    show::list(context.ui, &columns, &rows, records, "No records yet.");
    Ok(Exit::Done)
}

fn verify_file(context: &Context<'_>, file: &Path) -> Result<Exit, AppError> {
    let reader = std::io::BufReader::new(files::open(file)?);
    let found = crate::journal::verify_export(reader, None).map_err(|error| failed(&error))?;
    verified(context, &found)
}

/// Shows the findings of a verification; a problem makes the command fail.
fn verified(context: &Context<'_>, found: &Verification) -> Result<Exit, AppError> {
    let ui = context.ui;
    let line = |problem: &crate::journal::Problem| match problem.seq {
        Some(seq) => format!("record {seq}: {}", problem.what),
        None => problem.what.clone(),
    };
    if ui.json() {
        let list = |all: &[crate::journal::Problem]| {
            all.iter()
                .map(|problem| json!({ "seq": problem.seq, "what": problem.what }))
                .collect::<Vec<_>>()
        };
        ui.json_value(&json!({
            "ok": found.is_ok(),
            "records": found.records,
            "anchored": found.anchored,
            "problems": list(&found.problems),
            "notes": list(&found.notes),
        }));
    } else {
        found.notes.iter().for_each(|note| ui.note(&visible(&line(note))));
        found.problems.iter().for_each(|problem| ui.note(&visible(&line(problem))));
        let records = count(usize::try_from(found.records).unwrap_or(0), "record");
        let verdict = if found.is_ok() { "no tampering found" } else { "problems found" };
        ui.answer(&format!("{records} checked: {verdict}"));
    }
    Ok(if found.is_ok() { Exit::Done } else { Exit::Input })
}

fn export(
    context: &Context<'_>,
    journal: &Journal,
    format: AuditFormat,
    to: Option<&PathBuf>,
) -> Result<Exit, AppError> {
    let mut bytes = Vec::new();
    match format {
        AuditFormat::Jsonl => {
            journal.export_lines(&mut bytes).map_err(|error| failed(&error))?;
        }
        AuditFormat::Csv => {
            let mut writer = csv::Writer::from_writer(&mut bytes);
            // Writing to memory does not fail.
            let _infallible = writer.write_record(crate::journal::export::COLUMNS);
            journal
                .export_rows(&mut |row| {
                    let _infallible = writer.write_record(row);
                    Ok(())
                })
                .map_err(|error| failed(&error))?;
            drop(writer);
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match to {
        None => context.ui.document(&text),
        Some(file) => {
            files::write(file, &text, Access::OwnerUnlessShared)?;
            context.ui.note(&format!("Wrote {}.", file.display()));
        }
    }
    Ok(Exit::Done)
}
