//! The line editor: completion, hints, colours, history. The only user of its library.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use anstyle::{AnsiColor, Style};
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter, HistoryHinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, ExternalPrinter as _, Helper};

use crate::app::error::AppError;
use crate::cli::exit::Exit;
use crate::cli::render::text::{BOLD, CYAN, DIM, GREEN, visible};
use crate::cli::repl::help::{COMMANDS, TOPICS};
use crate::cli::repl::host::ReplHost;
use crate::cli::repl::reload_notices::ReloadNotices;
use crate::cli::repl::{Ask, Flow, Repl, Silence, history};
use crate::cli::ui::Ui;
use crate::model::PlanId;
use crate::script::catalog::{TYPES, catalog};
use crate::script::console::complete::{Names, Next, next, signature};
use crate::script::line_order::Known;
use crate::script::syntax::tokens::{Piece, is_open, partner, tokens};

/// Number of lines that are kept.
const MAX_HISTORY: usize = 2000;
/// Words of the language that stand out.
const KEYWORDS: [&str; 22] = [
    "as", "break", "catch", "const", "continue", "do", "else", "fn", "for", "if", "import", "in",
    "let", "loop", "private", "return", "switch", "this", "throw", "try", "until", "while",
];
const KEYWORD: Style = AnsiColor::Magenta.on_default();
const NUMBER: Style = AnsiColor::Yellow.on_default();
const PARTNER: Style = Style::new().bold().underline();

/// The knowledge of the editor while a line is typed, copied from the session before each line.
struct Help {
    variables: BTreeMap<String, Known>,
    functions: Vec<String>,
    desk: Arc<ReplHost>,
    board: Option<PlanId>,
    /// The skills, with the names of their parameters.
    skills: BTreeMap<String, Vec<String>>,
    agents: Vec<String>,
    libraries: Vec<String>,
    files: FilenameCompleter,
    past: HistoryHinter,
    is_colored: bool,
}

/// A hint shown behind the cursor.
struct Told {
    text: String,
    /// The text that the right arrow accepts, if any.
    taken: Option<String>,
}

impl Hint for Told {
    fn display(&self) -> &str {
        &self.text
    }

    fn completion(&self) -> Option<&str> {
        self.taken.as_deref()
    }
}

impl Help {
    fn from_repl(repl: &Repl<'_>, is_colored: bool) -> Self {
        let console = repl.console.lock().unwrap_or_else(PoisonError::into_inner);
        let bundle = repl.watcher.current();
        Self {
            variables: console.kinds().clone(),
            functions: console.functions().into_iter().collect(),
            desk: Arc::clone(&repl.desk),
            board: repl.plan.as_ref().map(|(id, _)| id.clone()),
            skills: bundle
                .skills()
                .map(|skill| {
                    let params = skill.manifest.params.iter().flatten();
                    (skill.name.clone(), params.map(|(name, _)| format!("{name}=")).collect())
                })
                .collect(),
            agents: bundle.workspace.config.agents.keys().cloned().collect(),
            libraries: bundle.workspace.libraries.keys().cloned().collect(),
            files: FilenameCompleter::new(),
            past: HistoryHinter::new(),
            is_colored,
        }
    }

    /// Returns what could follow in a command.
    fn command(&self, line: &str, ctx: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let Some((name, rest)) = line.split_once(' ') else {
            let names = COMMANDS.iter().map(|command| command.0.to_owned());
            return Ok((1, starting_with(line.trim_start_matches(':'), names, "")));
        };
        let at = name.len() + 1;
        let words = |words: &[String]| Ok((at, starting_with(rest, words.iter().cloned(), "")));
        match name {
            ":run" => match rest.rsplit_once(' ') {
                None => words(&self.skills.keys().cloned().collect::<Vec<_>>()),
                Some((before, start)) => {
                    let skill = before.split(' ').next().unwrap_or_default();
                    let params = self.skills.get(skill).cloned().unwrap_or_default();
                    let at = line.len() - start.len();
                    Ok((at, starting_with(start, params.into_iter(), "")))
                }
            },
            ":use" => words(&self.desk.names(Names::Plans, Default::default(), None)),
            ":as" => words(&self.agents),
            ":help" => {
                let all = TOPICS
                    .iter()
                    .map(|topic| topic.0)
                    .chain(COMMANDS.iter().map(|command| command.0));
                words(&all.map(str::to_owned).collect::<Vec<_>>())
            }
            ":doc" => {
                let members = catalog().members().iter().map(|member| member.name.as_str());
                let mut all: Vec<_> = members.chain(TYPES).map(str::to_owned).collect();
                all.sort();
                all.dedup();
                words(&all)
            }
            ":load" | ":save" => self.files.complete(line, line.len(), ctx),
            ":time" => {
                let (start, pairs) = self.script(rest);
                Ok((at + start, pairs))
            }
            _ => Ok((line.len(), Vec::new())),
        }
    }

    /// Returns what could follow in a line of script.
    fn script(&self, line: &str) -> (usize, Vec<Pair>) {
        match next(line, &self.variables) {
            None => (line.len(), Vec::new()),
            Some((at, Next::Members(offers))) => {
                let start = line.get(at..).unwrap_or_default();
                let pair = |word: &str, is_call: bool| {
                    let open = if is_call { "(" } else { "" };
                    Pair { display: format!("{word}{open}"), replacement: format!("{word}{open}") }
                };
                let mut pairs: Vec<_> =
                    offers.iter().map(|offer| pair(&offer.word, offer.is_call)).collect();
                if !line.get(..at).unwrap_or_default().ends_with('.') {
                    let own = self.functions.iter().filter(|function| function.starts_with(start));
                    pairs.extend(own.map(|function| pair(function, true)));
                }
                (at, pairs)
            }
            Some((at, Next::Names(Names::Libraries, _))) => {
                (at, Self::quoted(line, at, self.libraries.clone()))
            }
            Some((at, Next::Names(names, whose))) => {
                let found = self.desk.names(names, whose, self.board.clone());
                (at, Self::quoted(line, at, found))
            }
        }
    }

    /// Returns names as they are written in the string that begins before `at`.
    fn quoted(line: &str, at: usize, names: Vec<String>) -> Vec<Pair> {
        let quote = line.get(..at).and_then(|before| before.chars().last()).unwrap_or('"');
        let typed = line.get(at..).unwrap_or_default().to_lowercase();
        // In backticks there are no escapes, and `${` is code.
        let fits = |name: &String| {
            quote != '`' || (!name.contains(['`', '$', '\\']) && visible(name) == *name)
        };
        let is_meant = |name: &String| name.to_lowercase().starts_with(&typed) && fits(name);
        names
            .into_iter()
            .filter(is_meant)
            .map(|name| Pair {
                display: visible(&name),
                replacement: format!("{}{quote}", escaped(&name, quote)),
            })
            .collect()
    }
}

/// Escapes a name for a string of a script: nothing in it may control the terminal.
fn escaped(name: &str, quote: char) -> String {
    let mut out = String::new();
    for ch in name.chars() {
        match ch {
            '\\' => out.push_str("\\\\"),
            _ if ch == quote => out.extend(['\\', ch]),
            _ if ch.is_control() || visible(&ch.to_string()) != ch.to_string() => {
                let code = u32::from(ch);
                let text = if code <= 0xffff {
                    format!("\\u{code:04x}")
                } else {
                    format!("\\U{code:08x}")
                };
                out.push_str(&text);
            }
            _ => out.push(ch),
        }
    }
    out
}

fn starting_with(start: &str, words: impl Iterator<Item = String>, after: &str) -> Vec<Pair> {
    let typed = start.to_lowercase();
    // A name that could control the terminal is not offered; its id can be typed instead.
    words
        .filter(|word| visible(word) == *word)
        .filter(|word| word.to_lowercase().starts_with(&typed))
        .map(|word| Pair { display: visible(&word), replacement: format!("{word}{after}") })
        .collect()
}

impl Completer for Help {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        ctx: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let line = line.get(..pos).unwrap_or_default();
        if line.starts_with(':') { self.command(line, ctx) } else { Ok(self.script(line)) }
    }
}

impl Hinter for Help {
    type Hint = Told;

    fn hint(&self, line: &str, pos: usize, ctx: &Context<'_>) -> Option<Told> {
        // Without a style of its own, a hint would look like typed text.
        if line.is_empty() || pos < line.len() || !self.is_colored {
            return None;
        }
        if let Some(past) = self.past.hint(line, pos, ctx) {
            return Some(Told { text: past.clone(), taken: Some(past) });
        }
        if let Some(command) = line.strip_prefix(':') {
            let (_, takes, _) = COMMANDS.iter().find(|known| known.0 == command.trim_end())?;
            let gap = if line.ends_with(' ') { "" } else { " " };
            return Some(Told { text: format!("{gap}{takes}"), taken: None });
        }
        let signature = signature(line, &self.variables)?;
        Some(Told { text: format!("   {signature}"), taken: None })
    }
}

impl Validator for Help {
    fn validate(&self, ctx: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = ctx.input();
        let more = !text.trim_start().starts_with(':') && is_open(text);
        Ok(if more { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Highlighter for Help {
    fn highlight<'l>(&self, line: &'l str, pos: usize) -> Cow<'l, str> {
        if !self.is_colored {
            return Cow::Borrowed(line);
        }
        if line.starts_with(':') {
            let end = line.find(' ').unwrap_or(line.len());
            let (name, rest) = line.split_at(end);
            return Cow::Owned(format!("{BOLD}{name}{BOLD:#}{rest}"));
        }
        let with = [Some(pos), pos.checked_sub(1)];
        let pair = with.into_iter().flatten().find_map(|at| Some((at, partner(line, at)?)));
        let (mut out, mut last) = (String::new(), 0);
        for token in tokens(line) {
            let text = token.of(line);
            let is_of_pair = pair.is_some_and(|(a, b)| {
                [a, b].iter().any(|at| token.start <= *at && *at < token.end)
            });
            let style = match token.piece {
                Piece::Word if KEYWORDS.contains(&text) => Some(KEYWORD),
                Piece::Text(_) | Piece::Template(_) | Piece::Raw(_) => Some(GREEN),
                Piece::Number => Some(NUMBER),
                Piece::Comment(_) => Some(DIM),
                Piece::Open | Piece::Close if is_of_pair => Some(PARTNER),
                _ => None,
            };
            out.push_str(line.get(last..token.start).unwrap_or_default());
            match style {
                Some(style) => out.extend([
                    &style.render().to_string(),
                    text,
                    &style.render_reset().to_string(),
                ]),
                None => out.push_str(text),
            }
            last = token.end;
        }
        out.push_str(line.get(last..).unwrap_or_default());
        Cow::Owned(out)
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.is_colored {
            Cow::Owned(format!("{DIM}{hint}{DIM:#}"))
        } else {
            Cow::Borrowed(hint)
        }
    }

    fn highlight_candidate<'c>(&self, candidate: &'c str, _kind: CompletionType) -> Cow<'c, str> {
        if self.is_colored {
            Cow::Owned(format!("{CYAN}{candidate}{CYAN:#}"))
        } else {
            Cow::Borrowed(candidate)
        }
    }

    fn highlight_char(&self, _line: &str, _pos: usize, _kind: CmdKind) -> bool {
        self.is_colored
    }
}

impl Helper for Help {}

type Lines = Editor<Help, FileHistory>;

/// A person who is asked through the editor; the answers are not kept in the history.
struct Person<'e>(&'e mut Lines);

impl Ask for Person<'_> {
    fn is_anyone(&self) -> bool {
        true
    }

    fn ask(&mut self, question: &str) -> Result<String, Silence> {
        // An answer is not a line of script: nothing is completed, and no bracket is left open.
        self.0.set_helper(None);
        self.0.readline(question).map_err(|_| Silence::Interrupted)
    }
}

/// Serves a person at the terminal until they leave.
pub(crate) fn run(repl: &mut Repl<'_>, ui: &Ui, history: &Path) -> Result<Exit, AppError> {
    let failed = |error: ReadlineError| {
        AppError::new("io", "cannot read from the terminal").caused_by(&error)
    };
    let is_colored = ui.is_colored();
    let config = Config::builder()
        .history_ignore_space(true)
        .history_ignore_dups(true)
        .and_then(|builder| builder.max_history_size(MAX_HISTORY))
        .map_err(failed)?
        .completion_type(CompletionType::List)
        .color_mode(if is_colored { ColorMode::Enabled } else { ColorMode::Disabled })
        .build();
    let mut lines: Lines = Editor::with_config(config).map_err(failed)?;
    // The first time there is no history to load.
    let _first_time = lines.load_history(history);
    announce(&mut lines, &repl.news);
    ui.note(&format!("{DIM}Nothing is written before `:apply`; `:help` shows more.{DIM:#}"));
    loop {
        repl.begin();
        repl.catch_up();
        lines.set_helper(Some(Help::from_repl(repl, is_colored)));
        let typed = match lines.readline(&repl.prompt()) {
            Ok(typed) => typed,
            Err(ReadlineError::Interrupted) => {
                ui.note(&format!("{DIM}`:quit`, or Ctrl-D, to leave{DIM:#}"));
                continue;
            }
            Err(ReadlineError::Eof) => {
                if repl.may_leave(&mut Person(&mut lines)) {
                    return Ok(Exit::Done);
                }
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        // A Ctrl-C that came while nothing ran must not stop this line.
        repl.begin();
        if !typed.trim().is_empty() && !history::is_secret(&typed) {
            // A history that cannot be written must not end the session.
            let _not_kept = lines.add_history_entry(typed.as_str());
            let _not_kept = lines.append_history(history);
        }
        match repl.handle(&typed, &mut Person(&mut lines)) {
            Ok(Flow::Go | Flow::Refused(_)) => {}
            Ok(Flow::Leave) => return Ok(Exit::Done),
            Err(error) => ui.error(&error),
        }
    }
}

/// Starts a thread that prints notices of the workspace above the line that is being typed.
fn announce(lines: &mut Lines, news: &Arc<ReloadNotices>) {
    let Ok(mut printer) = lines.create_external_printer() else { return };
    let (Some(wake), news) = (news.wake(), Arc::downgrade(news)) else { return };
    let tell = move || {
        while let (Ok(()), Some(news)) = (wake.recv(), news.upgrade()) {
            for line in news.take() {
                if printer.print(format!("{line}\n")).is_err() {
                    return;
                }
            }
        }
    };
    let named = std::thread::Builder::new().name("planwright-news".to_owned());
    // Without the thread, notices are printed before the next line.
    let _untold = named.spawn(tell);
}
