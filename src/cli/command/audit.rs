//! `planwright audit`: the record of everything that was done, and whether it is whole.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::cli::command::runs::{failed, journal};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Access};
use crate::cli::render::table::Column;
use crate::cli::render::text::{count, visible};
use crate::cli::show;
use crate::journal::{Journal, Verification};

/// Show, check and export the record of everything that was done
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show the last records
    Show {
        /// Show only the records of one run: its id, or the end of it
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

pub(crate) fn audit(context: &Context<'_>, command: &AuditCommand) -> Result<Exit, AppError> {
    context.for_people("audit")?;
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

pub(crate) fn audit_show(
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
    // Records outside of runs keep the same facts in other fields; the first field that is there counts.
    let paths: [&[&str]; 9] = [
        &["/seq"],
        &["/at"],
        &["/kind"],
        &["/actor/upn", "/by/name"],
        &["/agent", "/detail/agent", "/detail/to"],
        &["/skill", "/detail/skill", "/detail/tool"],
        &["/change/title", "/detail/reason", "/detail/message"],
        &["/outcome", "/detail/outcome", "/detail/state", "/detail/code"],
        &["/run", "/detail/id"],
    ];
    let first = |record: &Value, paths: &[&str]| {
        let found = paths.iter().map(|path| text(record, path)).find(|text| !text.is_empty());
        found.unwrap_or_default()
    };
    let rows: Vec<_> = records
        .iter()
        .map(|record| paths.iter().map(|paths| first(record, paths)).collect())
        .collect();
    let columns = [
        Column::right("SEQ"),
        Column::new("AT"),
        Column::new("KIND"),
        Column::new("WHO"),
        Column::new("AGENT"),
        Column::new("SKILL"),
        Column::title("WHAT"),
        Column::new("OUTCOME"),
        Column::optional("RUN"),
    ];
    show::list(context.ui, &columns, &rows, records, "No records yet.");
    Ok(Exit::Done)
}

pub(crate) fn verify_file(context: &Context<'_>, file: &Path) -> Result<Exit, AppError> {
    let reader = std::io::BufReader::new(files::open(file)?);
    let found = crate::journal::verify_export(reader, None).map_err(|error| failed(&error))?;
    verified(context, &found)
}

/// Shows the findings of a verification; a problem makes the command fail.
pub(crate) fn verified(context: &Context<'_>, found: &Verification) -> Result<Exit, AppError> {
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

pub(crate) fn export(
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
                    // A spreadsheet obeys what changes the direction of writing. JSON Lines stay byte
                    // for byte what the chain of digests is over, except on a terminal.
                    let _infallible = writer.write_record(row.map(|cell| visible(&cell)));
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
