//! The prompt without a terminal: lines of standard input, of which only the results are printed.
//! The first line that fails ends the session, since later lines build on it.

use std::io::BufRead as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::app::error::AppError;
use crate::cli::exit::Exit;
use crate::cli::repl::{Flow, Nobody, Repl};
use crate::script::syntax::tokens::Lines;

/// Largest size of one line, or of several that belong together, in bytes.
const MAX_LINE: usize = 1 << 20;

/// Runs the lines of standard input. `busy` is true while Ctrl-C has something to stop.
pub(crate) fn run(repl: &mut Repl<'_>, busy: &Arc<AtomicBool>) -> Result<Exit, AppError> {
    let mut input = std::io::stdin().lock();
    let (mut lines, mut n, mut began) = (Lines::default(), 0, 1);
    loop {
        let mut line = String::new();
        let more = std::io::Read::take(&mut input, MAX_LINE as u64).read_line(&mut line);
        let is_end = more.map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => {
                AppError::new("syntax", format!("line {} is not UTF-8 text", n + 1))
            }
            _ => error.into(),
        })? == 0;
        n += usize::from(!is_end);
        // Some editors put a byte order mark in front of the first line.
        let line = if n == 1 { line.trim_start_matches('\u{feff}') } else { &line };
        let is_command = lines.text().is_empty() && line.trim_start().starts_with(':');
        let goes_on = lines.add(line) && !is_end && !is_command;
        if lines.text().len() > MAX_LINE {
            return Err(AppError::new("budget", format!("line {began} is larger than 1 MiB")));
        }
        if goes_on {
            continue;
        }
        let text = lines.take();
        busy.store(true, Ordering::SeqCst);
        let outcome = repl.handle(&text, &mut Nobody);
        busy.store(false, Ordering::SeqCst);
        match outcome {
            Ok(Flow::Go) => {}
            Ok(Flow::Refused(exit)) => return Ok(exit),
            Ok(Flow::Leave) => return Ok(Exit::Done),
            Err(error) => return Err(placed(error, began)),
        }
        if is_end {
            break;
        }
        began = n + 1;
    }
    // Warns if changes are still pending: they are lost.
    repl.may_leave(&mut Nobody);
    Ok(Exit::Done)
}

/// Adds the place in the input to an error.
fn placed(mut error: AppError, began: usize) -> AppError {
    let failure = &mut error.failure;
    for frame in &mut failure.trace {
        let n = frame
            .rsplit_once(" at line:")
            .and_then(|(name, n)| Some((name, n.parse::<usize>().ok()?)));
        if let Some((name, n)) = n {
            *frame = format!("{name} at stdin:{}", n + began - 1);
        }
    }
    match &mut failure.at {
        Some(at) if at.file == "line" => {
            at.line += began - 1;
            at.file = "stdin".to_owned();
        }
        _ => failure.message = format!("line {began}: {}", failure.message),
    }
    error
}
