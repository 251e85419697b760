//! The terminal. Nothing else prints, so that formats and colours are decided in one place.
//!
//! stdout carries the answer, stderr everything else. Colours are removed where they are not
//! wanted.

use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;
use serde_json::json;

use crate::app::error::AppError;
use crate::app::report_size::{MAX_REPORT, report_text, short_failure};
use crate::cli::exit::Exit;
use crate::cli::options::{Format, Global};
use crate::cli::render::failure;
use crate::cli::render::text::{json_safe, visible_lines};
use crate::model::in_words;

/// The room that is kept for the last line, which says that something was left out.
const LAST_LINE: usize = 200;

const LEFT_OUT: &str = "… the rest is left out: it is more than 4 MiB (`--full` prints it)";

/// Access to the terminal.
#[derive(Debug)]
pub(crate) struct Ui {
    pub(crate) format: Format,
    color: ColorChoice,
    /// True if reports are printed in full.
    full: bool,
    /// The bytes that were printed on stdout, and on stderr.
    printed: [Cell<usize>; 2],
    /// True if a part of the answer could not be written.
    failed: Cell<bool>,
    /// True if the answer reports what was done.
    is_report: Cell<bool>,
}

impl Ui {
    pub(crate) fn new(global: &Global) -> Self {
        let format = match (global.json, global.plain) {
            (true, _) => Format::Json,
            (false, true) => Format::Plain,
            (false, false) => Format::Human,
        };
        let color = global.color.choice();
        Self {
            format,
            color,
            full: global.full,
            printed: [Cell::new(0), Cell::new(0)],
            failed: Cell::new(false),
            is_report: Cell::new(false),
        }
    }

    /// Returns the same with another format.
    pub(crate) const fn with_format(&self, format: Format) -> Self {
        Self {
            format,
            color: self.color,
            full: self.full,
            printed: [Cell::new(0), Cell::new(0)],
            failed: Cell::new(false),
            is_report: Cell::new(false),
        }
    }

    pub(crate) fn json(&self) -> bool {
        self.format == Format::Json
    }

    /// Returns whether the answer is shown in colour.
    pub(crate) fn is_colored(&self) -> bool {
        AutoStream::new(io::stdout(), self.color).current_choice() != ColorChoice::Never
    }

    /// Prints the output of a script. On a terminal, all lines but the first get a mark, so that no
    /// text of a board can pass for a line of the program.
    pub(crate) fn script_text(&self, text: &str) {
        if self.has_room(0, text.len()) {
            self.answer(&marked(text));
        }
    }

    /// Returns a printer for the lines of a script that works on any thread: as text, or as JSON
    /// while `json` is true. A person sees each line; of what goes elsewhere, 4 MiB are enough unless
    /// more was asked for.
    pub(crate) fn printer(&self, json: Arc<AtomicBool>) -> impl Fn(&str) + Send + Sync + 'static {
        let color = self.color;
        let most = if self.full || Self::is_terminal() { usize::MAX } else { MAX_REPORT };
        let (printed, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        move |text| {
            let before = printed.fetch_add(text.len(), Ordering::Relaxed);
            if before + text.len() > most {
                if before <= most {
                    let _closed = writeln!(io::stderr(), "{LEFT_OUT}");
                }
                return;
            }
            let mut out = AutoStream::new(io::stdout(), color);
            let shown = if json.load(Ordering::SeqCst) {
                json_safe(&serde_json::to_string(text).unwrap_or_default())
            } else {
                marked(text)
            };
            if let Err(error) = writeln!(out, "{shown}").and_then(|()| out.flush())
                && error.kind() != io::ErrorKind::BrokenPipe
                && !failed.swap(true, Ordering::Relaxed)
            {
                let _closed = writeln!(io::stderr(), "error: cannot write the answer: {error}");
            }
        }
    }

    /// Returns whether the answer goes to a terminal.
    pub(crate) fn is_terminal() -> bool {
        io::stdout().is_terminal()
    }

    /// Returns the width of the terminal that the answer goes to, if it goes to one.
    pub(crate) fn width() -> Option<usize> {
        let (terminal_size::Width(width), _) = terminal_size::terminal_size_of(io::stdout())?;
        Some(usize::from(width))
    }

    /// Prints a line on stderr, whatever the format.
    pub(crate) fn say(&self, line: &str) {
        self.stderr(line);
    }

    /// Prints a line of the answer.
    pub(crate) fn answer(&self, line: &str) {
        let mut out = AutoStream::new(io::stdout(), self.color);
        let result = writeln!(out, "{line}").and_then(|()| out.flush());
        self.keep(result);
    }

    /// Prints a document that is the answer: unchanged, except on a terminal, which must not obey
    /// it.
    pub(crate) fn document(&self, text: &str) {
        let text = text.trim_end_matches('\n');
        if Self::is_terminal() { self.answer(&visible_lines(text)) } else { self.answer(text) }
    }

    /// Prints the answer as JSON.
    pub(crate) fn json_value(&self, value: &impl Serialize) {
        let text = json_safe(&serde_json::to_string_pretty(value).unwrap_or_default());
        if !self.full && text.len() > MAX_REPORT {
            let error = AppError::new("too_large", "the answer is larger than 4 MiB");
            self.error(&error.hint("ask for less, or add `--full`"));
            self.failed.set(true);
            return;
        }
        self.json_text(&text);
    }

    /// Prints a report as JSON, shortened to a readable size unless the full one was asked for.
    pub(crate) fn json_report(&self, report: &impl Serialize) {
        if self.full {
            return self.json_value(report);
        }
        self.json_text(&report_text(&serde_json::to_value(report).unwrap_or_default()));
    }

    /// Prints JSON in which everything hidden is escaped already.
    fn json_text(&self, text: &str) {
        let mut out = io::stdout();
        self.keep(writeln!(out, "{text}").and_then(|()| out.flush()));
    }

    /// Remembers that a part of the answer was lost. A reader that closes the pipe early is no
    /// error: the exit code still reports the outcome.
    fn keep(&self, result: io::Result<()>) {
        if let Err(error) = result
            && error.kind() != io::ErrorKind::BrokenPipe
            && !self.failed.replace(true)
        {
            self.stderr(&format!("error: cannot write the answer: {error}"));
        }
    }

    /// Notes that the answer reports what was done, as that of a run does: then the exit code says what
    /// was done, and holds whether or not the report can be printed.
    pub(crate) fn note_run(&self) {
        self.is_report.set(true);
    }

    /// Returns whether an answer was lost that is all there is to the command.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed.get() && !self.is_report.get()
    }

    /// Prints a line for the person at the terminal; not with `--json`.
    pub(crate) fn note(&self, line: &str) {
        if self.format != Format::Json {
            self.stderr(line);
        }
    }

    /// Counts what is about to be printed on a stream; the first time that it is too much, it is said.
    fn has_room(&self, stream: usize, bytes: usize) -> bool {
        let before = self.printed[stream].get();
        let after = before.saturating_add(bytes + 1);
        self.printed[stream].set(after);
        let most = MAX_REPORT - LAST_LINE;
        if before <= most && after > most {
            let mut err = AutoStream::new(io::stderr(), self.color);
            let _closed = writeln!(err, "{LEFT_OUT}");
        }
        after <= most
    }

    fn stderr(&self, line: &str) {
        if !self.has_room(1, line.len()) {
            return;
        }
        let mut err = AutoStream::new(io::stderr(), self.color);
        // A closed stderr leaves nobody to tell.
        let _closed = writeln!(err, "{line}");
    }

    /// Prints an error: as data with `--json`, else as text.
    pub(crate) fn error(&self, error: &AppError) {
        // A line of somebody's file may be as long as the file.
        let failure = short_failure(&error.failure);
        if self.json() {
            let text = serde_json::to_string_pretty(&json!({ "error": failure }));
            self.json_text(&json_safe(&text.unwrap_or_default()));
        } else {
            self.stderr(&failure::text(&failure));
        }
    }
}

fn marked(text: &str) -> String {
    let text = visible_lines(text);
    if io::stdout().is_terminal() { text.replace('\n', "\n│ ") } else { text }
}

/// Prints help, version or a usage error; the latter as data if `json` is set, with the hint that
/// the error has as text.
pub(crate) fn print_usage(
    error: &clap::Error,
    json: bool,
    color: ColorChoice,
    hint: Option<&str>,
) -> ExitCode {
    if json && error.use_stderr() {
        let text = in_own_words(error.render().to_string());
        let paragraph = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
        let paragraph = paragraph.collect::<Vec<_>>().join(" ");
        let message = paragraph.trim_start_matches("error: ");
        let mut value = json!({ "error": { "code": "usage", "message": message } });
        if let Some(hint) = hint {
            value["error"]["hint"] = hint.into();
        }
        // A closed pipe leaves nobody to tell, here and below.
        let _closed = writeln!(io::stdout(), "{}", json_safe(&format!("{value:#}")));
        return Exit::Usage.into();
    }
    let text = in_own_words(error.render().ansi().to_string());
    let _closed = if error.use_stderr() {
        write!(AutoStream::new(io::stderr(), color), "{text}")
    } else {
        write!(AutoStream::new(io::stdout(), color), "{text}")
    };
    if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS }
}

/// Replaces what the standard library says of numbers by our words.
fn in_own_words(mut text: String) -> String {
    for raw in [
        "invalid digit found in string",
        "cannot parse integer from empty string",
        "number too large to fit in target type",
        "number too small to fit in target type",
    ] {
        if text.contains(raw) {
            text = text.replace(raw, &in_words(raw));
        }
    }
    text
}

/// Ends the program at once, on a second Ctrl-C.
#[expect(clippy::exit, clippy::disallowed_methods, reason = "a person has asked twice")]
pub(crate) fn leave() -> ! {
    std::process::exit(i32::from(Exit::Interrupted.code()))
}

/// Prints the first line that a server's caller waits for.
pub(crate) fn announce(line: &str) {
    let _closed = writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush());
}

/// Prints a remark of a server on stderr.
pub(crate) fn remark(line: &str) {
    let _closed = writeln!(io::stderr(), "{line}");
}
