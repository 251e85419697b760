//! The people of a sheet, found in the directory before anything is imported.

use std::collections::BTreeMap;

use crate::cli::sheet::tasks::{Problem, SheetTasks};
use crate::host::{Error, Failure, Session};
use crate::model::id::looks_like_guid;

/// Puts ids in the place of names. An id that nobody has is left as it is: what becomes of it is
/// decided where the tasks are made.
///
/// Returns a problem for each name that nobody has, or more than one.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn resolve(session: &Session, sheet: &mut SheetTasks) -> Result<Vec<Problem>, Failure> {
    let mut known: BTreeMap<String, Result<Vec<String>, Failure>> = BTreeMap::new();
    let mut problems = Vec::new();
    for row in &mut sheet.rows {
        let mut ids: Vec<String> = Vec::new();
        for text in &row.task.assignees {
            let found = match known.get(text) {
                Some(found) => found.clone(),
                None => {
                    let found = match of(session, text) {
                        Ok(ids) => Ok(ids),
                        Err(error) if is_of_name(&error) => Err(Failure::from(error)),
                        Err(error) => return Err(Failure::from(error)),
                    };
                    known.insert(text.clone(), found.clone());
                    found
                }
            };
            match found {
                Ok(found) => {
                    // Two names of one person are one assignment.
                    for id in found {
                        if !ids.contains(&id) {
                            ids.push(id);
                        }
                    }
                }
                Err(failure) => {
                    // Who may be meant stands beside the name; all other hints are for the sheet.
                    let (message, hint) = match failure.hint {
                        Some(near) if near.starts_with("did you mean") => {
                            (format!("{}; {near}", failure.message), None)
                        }
                        hint => (failure.message, hint),
                    };
                    let column = Some(sheet.assignees.clone());
                    problems.push(Problem { line: row.line, column, message, hint });
                }
            }
        }
        row.task.assignees = ids;
    }
    Ok(problems)
}

/// Returns whether an error is about a name, and not about the service.
fn is_of_name(error: &Error) -> bool {
    error.is_not_found() || matches!(error.code(), "ambiguous" | "invalid")
}

/// Finds the person of a name, or the people of several, for a comma may be part of a name.
fn of(session: &Session, text: &str) -> Result<Vec<String>, Error> {
    let found = |text: &str| match session.find_user(text) {
        Ok(user) => Ok(user.id.to_string()),
        Err(error) if error.is_not_found() && looks_like_guid(text) => Ok(text.to_owned()),
        Err(error) => Err(error),
    };
    match found(text) {
        Ok(id) => Ok(vec![id]),
        Err(error) if error.is_not_found() && text.contains(',') => {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(found).collect()
        }
        Err(error) => Err(error),
    }
}
