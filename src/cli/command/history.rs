//! `planwright runs`, `planwright undo` and `planwright audit`: what was done, taking it back, and
//! whether the record of it is whole.

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
    /// Show what a run wanted, and what came of it
    Show {
        /// Its id, the beginning of it, or `last`: the last that has written something
        run: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show at most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// Take back what a run has written
#[derive(Debug, Args)]
#[command(
    after_help = "What someone else has changed since is left as it is, and said. What was deleted is made again,\nwith a new id. To take back a creation is to delete, which needs `--force`.\n\nExamples:\n  planwright undo last --dry-run\n  planwright undo 0199f3c2"
)]
pub(crate) struct UndoArgs {
    /// The run's id, the beginning of it, or `last`
    run: String,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

/// Carry on runs that were cut off
#[derive(Debug, Args)]
#[command(
    after_help = "First, Planwright checks what happened to each unanswered request; then what is left is\nreviewed and applied. Deletions need `--force` again. Where nobody can tell whether something was\ncreated, look at the board and say so with `--made` or `--not-made`.\n\nExamples:\n  planwright resume                          carry on everything that was cut off\n  planwright resume 0199f3c2                 carry on one run\n  planwright resume 0199f3c2 --made 3=ABCD   change 3 did create the entity ABCD"
)]
pub(crate) struct ResumeArgs {
    /// The run's id, or the beginning of it; all that were cut off if absent
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
        "it takes the number of a change and an id, as in `--made 3=ABCD`".to_owned()
    })
}

/// Show, check and export the record of everything that was done
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show the last records
    Show {
        /// Only those of a run: its id, or the beginning of it
        #[arg(long)]
        run: Option<String>,
        /// Show at most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Check that no record was changed, removed or added
    Verify {
        /// An exported JSON Lines file, instead of the journal
        file: Option<PathBuf>,
    },
    /// Write all records
    Export {
        /// JSON Lines keep everything and can be verified, CSV is for spreadsheets
        #[arg(long, default_value = "jsonl")]
        format: AuditFormat,
        /// File to write instead of standard output
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditFormat {
    /// A record a line
    Jsonl,
    /// A row a record
    Csv,
}

pub(crate) fn failed(error: &crate::journal::Error) -> AppError {
    Failure::of("journal", error, error.hint()).into()
}

/// Opens the journal; without one there is nothing to show.
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
        .map(|it| {
            let who =
                it.agent.as_ref().map_or(it.upn.clone(), |agent| format!("{agent} ({})", it.upn));
            vec![
                it.id.to_string(),
                zone.to_datetime(it.at).strftime("%Y-%m-%d %H:%M").to_string(),
                it.skill.clone(),
                who,
                it.status.map_or("unfinished", |status| status.name()).replace('_', " "),
                it.changes.to_string(),
            ]
        })
        .collect();
    let values: Vec<_> = runs
        .iter()
        .map(|it| {
            json!({
                "run_id": it.id.to_string(),
                "at": it.at,
                "skill": it.skill,
                "actor": { "upn": it.upn, "agent": it.agent },
                "purpose": it.purpose.name(),
                "parent": it.parent.as_ref().map(ToString::to_string),
                "status": it.status.map(crate::journal::RunStatus::name),
                "changes": it.changes,
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
        return Err(AppError::new("not_found", "no run was recorded yet"));
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
    let status = run.finish.as_ref().map_or("unfinished", |it| it.status.name());
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
            for (field, it) in change.fields() {
                let value = |it: &Value| match it {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let text = format!("{field}: {} → {}", value(&it.before), value(&it.after));
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
                let outcome = attempt.outcome().map_or("no answer", |it| it.name());
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
                        .map(|it| {
                            json!({
                                "step": it.intent.step.step,
                                "attempt": it.intent.attempt,
                                "at": it.at,
                                "method": it.intent.method,
                                "path": it.intent.path,
                                "request_id": it.intent.request_id,
                                "outcome": it.outcome().map(crate::journal::Outcome::name),
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
        "status": run.finish.as_ref().map(|it| it.status.name()),
        "rounds": rounds,
        "report": run.finish.as_ref().map(|it| &it.report),
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
        context.ui.note("Nothing was cut off.");
        if context.ui.json() {
            context.ui.json_value(&json!([]));
        }
        return Ok(Exit::Done);
    }
    let (mut exit, mut reports) = (Exit::Done, Vec::new());
    let many = args.run.is_none();
    for id in ids {
        // One that cannot go on holds up no other.
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
                    context.ui.note(&format!("The run {id} cannot go on:"));
                    context.ui.error(&error);
                }
                exit
            }
            Err(error) => return Err(error),
        };
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
    if let AuditCommand::Verify { file: Some(file) } = command {
        return verify_file(context, file);
    }
    let Some(journal) = journal(context)? else {
        return Err(AppError::new("not_found", "no run was recorded yet"));
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
    let run = run.map(|it| journal.run(it)).transpose().map_err(|error| failed(&error))?;
    let id = run.map(|it| it.start.id);
    let all = journal.records(id.as_ref(), 0, usize::MAX).map_err(|error| failed(&error))?;
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
    let rows: Vec<_> =
        records.iter().map(|it| paths.iter().map(|path| text(it, path)).collect()).collect();
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

/// Shows what a verification found; anything wrong is an error.
fn verified(context: &Context<'_>, found: &Verification) -> Result<Exit, AppError> {
    let ui = context.ui;
    let line = |it: &crate::journal::Problem| match it.seq {
        Some(seq) => format!("record {seq}: {}", it.what),
        None => it.what.clone(),
    };
    if ui.json() {
        let list = |all: &[crate::journal::Problem]| {
            all.iter().map(|it| json!({ "seq": it.seq, "what": it.what })).collect::<Vec<_>>()
        };
        ui.json_value(&json!({
            "ok": found.is_ok(),
            "records": found.records,
            "anchored": found.anchored,
            "problems": list(&found.problems),
            "notes": list(&found.notes),
        }));
    } else {
        found.notes.iter().for_each(|it| ui.note(&visible(&line(it))));
        found.problems.iter().for_each(|it| ui.note(&visible(&line(it))));
        let records = count(usize::try_from(found.records).unwrap_or(0), "record");
        let verdict =
            if found.is_ok() { "nothing was changed" } else { "it is not as it was written" };
        ui.answer(&format!("{records}: {verdict}"));
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
            // Into memory: nothing can fail.
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
