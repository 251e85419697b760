//! `planwright explain`: error codes and exit codes, what they mean and what to do.

use clap::Args;
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::cli::command::setup::explain::codes::{CODES, Code, EXIT_CODES, Number, STATUSES};
use crate::cli::exit::Exit;
use crate::cli::render::table::Column;
use crate::cli::show;
use crate::cli::ui::Ui;
use crate::host::similar::similar;

mod codes;

/// The topic that lists the exit codes.
const EXIT_TOPIC: &str = "exit-codes";

/// Explain an error code or an exit code
#[derive(Debug, Args)]
#[command(
    after_help = "With `--json` an error has a `code`; this says what it means, why it happens and what to do.\n\nExamples:\n  planwright explain conflict\n  planwright explain 8                   an exit code\n  planwright explain 412                 a status of the service\n  planwright explain exit-codes\n  planwright explain                     every code"
)]
pub(crate) struct ExplainArgs {
    /// Error code, exit code, or `exit-codes` (default: all error codes)
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

pub(crate) fn run(ui: &Ui, args: &ExplainArgs) -> Result<Exit, AppError> {
    let wanted = args.code.as_deref().map(|code| code.trim().to_lowercase());
    match wanted.as_deref() {
        None | Some("") => codes(ui),
        Some(EXIT_TOPIC | "exit" | "exit_codes") => exit_codes(ui),
        Some(wanted) => one(ui, wanted)?,
    }
    Ok(Exit::Done)
}

fn codes(ui: &Ui) {
    let rows: Vec<_> =
        CODES.iter().map(|code| vec![code.name.to_owned(), code.means.to_owned()]).collect();
    let values: Vec<Value> = CODES.iter().map(code_json).collect();
    let columns = [Column::whole("CODE"), Column::title("MEANING")];
    show::list(ui, &columns, &rows, &values, "");
    ui.note("\nplanwright explain CODE       why it happens, and what to do");
}

fn exit_codes(ui: &Ui) {
    let rows: Vec<_> = EXIT_CODES
        .iter()
        .map(|exit| vec![exit.number.to_string(), exit.name.to_owned(), exit.means.to_owned()])
        .collect();
    let values: Vec<Value> = EXIT_CODES.iter().map(|exit| number_json("exit_code", exit)).collect();
    let columns = [Column::right("EXIT CODE"), Column::new("NAME"), Column::title("MEANING")];
    show::list(ui, &columns, &rows, &values, "");
}

fn one(ui: &Ui, wanted: &str) -> Result<(), AppError> {
    if let Ok(number) = wanted.parse::<u16>() {
        let find = |all: &'static [Number]| all.iter().find(|known| known.number == number);
        if let Some(exit) = find(EXIT_CODES) {
            tell_number(ui, "exit_code", exit);
            return Ok(());
        }
        if let Some(status) = find(STATUSES) {
            tell_number(ui, "status", status);
            return Ok(());
        }
        let message = format!("{number} is neither an exit code nor a status explained here");
        let hint = format!("`planwright explain {EXIT_TOPIC}` lists the exit codes");
        return Err(AppError::new("not_found", message).hint(hint));
    }
    let name = wanted.replace('-', "_");
    let Some(code) = CODES.iter().find(|code| code.name == name) else {
        let near = similar(&name, CODES.iter().map(|code| code.name));
        let error = AppError::new("not_found", format!("there is no error code `{wanted}`"));
        return Err(match near.first() {
            Some(near) => error.hint(format!("did you mean `planwright explain {near}`?")),
            None => error.hint("`planwright explain` lists them"),
        });
    };
    if ui.json() {
        ui.json_value(&code_json(code));
        return Ok(());
    }
    ui.answer(code.name);
    ui.answer(&format!("\n{}", code.means));
    ui.answer(&format!("\nWhy: {}", code.why));
    ui.answer(&format!("\nWhat to do: {}", code.remedy));
    Ok(())
}

fn tell_number(ui: &Ui, what: &str, number: &Number) {
    if ui.json() {
        ui.json_value(&number_json(what, number));
        return;
    }
    let what = what.replace('_', " ");
    ui.answer(&format!("{what} {}: {}", number.number, number.name));
    ui.answer(&format!("\n{}", number.means));
    ui.answer(&format!("\nWhat to do: {}", number.remedy));
}

fn code_json(code: &Code) -> Value {
    json!({ "code": code.name, "means": code.means, "why": code.why, "remedy": code.remedy })
}

fn number_json(what: &str, number: &Number) -> Value {
    json!({
        what: number.number, "name": number.name, "means": number.means, "remedy": number.remedy,
    })
}
