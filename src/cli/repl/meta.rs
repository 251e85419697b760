//! The commands that begin with a colon: no line of script can, so they never clash.

use std::path::Path;
use std::sync::PoisonError;
use std::time::Instant;

use serde_json::json;

use crate::app::error::AppError;
use crate::cli::approvals;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Access};
use crate::cli::render::report::{self, MAX_SHOWN};
use crate::cli::render::table::Column;
use crate::cli::render::text::{BOLD, CYAN, DIM, RED, count, paint, visible};
use crate::cli::repl::help::{COMMANDS, TOPICS};
use crate::cli::repl::{Ask, Flow, How, Repl, show};
use crate::cli::sheet::data;
use crate::host::similar::similar;
use crate::host::{ChangeReport, Session, Status};
use crate::model::time::Calendar;
use crate::policy::Verdict;
use crate::script::catalog::{Form, Member, TYPES, catalog};
use crate::script::line_order::Shown;
use crate::script::syntax::tokens::apart;

/// Longest wait of `:reload`.
const RELOAD: std::time::Duration = std::time::Duration::from_secs(5);

impl Repl<'_> {
    /// Runs a command, given without its colon.
    pub(super) fn command(&mut self, command: &str, ask: &mut dyn Ask) -> Result<Flow, AppError> {
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "changes" => {
                none(name, rest)?;
                self.changes();
            }
            "apply" => {
                let flags = flags(name, rest, &["--force", "--dry-run"])?;
                return self.apply(How { force: flags[0], dry_run: flags[1] }, ask);
            }
            "discard" => {
                self.discard(rest)?;
                self.note(&format!(":discard {rest}"));
            }
            "resume" => return self.resume(flags(name, rest, &["--force"])?[0]),
            "pending" => match rest {
                "" => _ = approvals::list(self.context, false)?,
                id => _ = approvals::show_one(self.context, id)?,
            },
            "approve" => {
                let exit = approvals::approve(self.context, some(name, rest)?, None, None)?;
                // What was applied has changed the board under the draft.
                self.desk.draft.refresh();
                return Ok(if exit == Exit::Done { Flow::Go } else { Flow::Refused(exit) });
            }
            "reject" => {
                let (id, reason) =
                    some(name, rest)?.split_once(char::is_whitespace).ok_or_else(|| {
                        AppError::usage("`:reject` needs a reason").hint(":reject ID REASON")
                    })?;
                let _done = approvals::reject(self.context, id, reason)?;
            }
            "undo" => return self.undo(flags(name, rest, &["--force"])?[0]),
            "refresh" => {
                none(name, rest)?;
                self.desk.draft.refresh();
                self.say("everything is read again from now on");
            }
            "plans" => {
                none(name, rest)?;
                self.check_grants()?;
                let all = self.desk.peek(|session| Ok(Shown::Plans(session.plans()?)))?;
                show::show(&self.ui, &self.desk, all)?;
            }
            "use" => self.use_plan(some(name, rest)?)?,
            "run" => self.run_skill(some(name, rest)?)?,
            "load" => {
                let file = some(name, rest)?;
                let text = files::read_script(Path::new(file))?;
                return self.load(file, &text, ask);
            }
            "save" => self.save(some(name, rest)?)?,
            "doc" => self.doc(some(name, rest)?)?,
            "explain" => {
                none(name, rest)?;
                self.explain();
            }
            "time" => {
                let began = Instant::now();
                self.script(some(name, rest)?)?;
                let took = began.elapsed();
                let requests = count(self.log.len(), "request");
                self.say(&format!("{} ms, {requests}", took.as_millis()));
            }
            "policy" => {
                none(name, rest)?;
                self.policy()?;
            }
            "as" => self.act_for(rest)?,
            "reload" => {
                none(name, rest)?;
                self.watcher.look_and_wait(RELOAD);
                self.catch_up();
                let bundle = self.watcher.current();
                for problem in &bundle.problems {
                    let text = format!(
                        "{} {}",
                        paint(RED.bold(), "broken:"),
                        visible(&problem.to_string())
                    );
                    self.ui.note(&text);
                }
                if bundle.problems.is_empty() {
                    self.say("the saved skills, policies and configuration are in force");
                }
            }
            "json" => {
                none(name, rest)?;
                self.set_json();
            }
            "help" | "h" | "?" => self.help(rest)?,
            "quit" | "q" | "exit" => {
                none(name, rest)?;
                return Ok(if self.may_leave(ask) { Flow::Leave } else { Flow::Go });
            }
            other => {
                let near = similar(other, COMMANDS.iter().map(|command| command.0));
                let error = AppError::usage(format!("there is no command `:{other}`"));
                return Err(match near.first() {
                    Some(near) => error.hint(format!("did you mean `:{near}`?")),
                    None => error.hint("`:help` lists the commands"),
                });
            }
        }
        Ok(Flow::Go)
    }

    /// Runs the lines of a file: as one script if they are one, else one after another.
    fn load(&mut self, file: &str, text: &str, ask: &mut dyn Ask) -> Result<Flow, AppError> {
        let named = |mut error: AppError, before: usize| {
            match &mut error.failure.at {
                Some(at) if at.file == "line" => {
                    at.line += before;
                    file.clone_into(&mut at.file);
                }
                _ => {}
            }
            error
        };
        if self.is_one(text) {
            return self.one(text, ask).map_err(|error| named(error, 0));
        }
        let mut before = 0;
        for part in apart(text) {
            match self.one(&part, ask).map_err(|error| named(error, before))? {
                Flow::Go => {}
                other => return Ok(other),
            }
            before += part.matches('\n').count();
        }
        Ok(Flow::Go)
    }

    fn say(&self, text: &str) {
        self.ui.note(&paint(DIM, text));
    }

    fn changes(&self) {
        let preview = self.preview();
        if self.ui.json() {
            return self.ui.json_value(&preview.changes);
        }
        if preview.changes.is_empty() {
            return self.say("nothing is pending");
        }
        let lines = report::changes(&preview, &self.zone(), true, |_| true);
        lines.iter().for_each(|line| self.ui.answer(line));
    }

    fn discard(&self, which: &str) -> Result<(), AppError> {
        if which.is_empty() {
            let n = self.n_pending();
            if n == 0 {
                self.say("nothing is pending");
                return Ok(());
            }
            self.desk.draft.discard_all();
            self.say(&format!("{} discarded", count(n, "change")));
            return Ok(());
        }
        let number = |word: &str| {
            word.parse::<usize>().map_err(|_| {
                AppError::usage(format!("`{word}` is not the number of a change"))
                    .hint("`:changes` shows them")
            })
        };
        let words = which.split([' ', ',', '\t']).filter(|word| !word.is_empty());
        let chosen = words.map(number).collect::<Result<Vec<_>, _>>()?;
        let discarded = self.desk.draft.discard(&chosen)?;
        self.say(&format!("{} discarded", count(discarded.len(), "change")));
        for change in discarded.iter().take(MAX_SHOWN) {
            let (n, entity, title) = (change.n, change.entity.name(), &change.title);
            self.ui.note(&format!(
                "{} {entity} {}",
                paint(DIM, &format!("{n:>3}")),
                visible(title)
            ));
        }
        Ok(())
    }

    fn run_skill(&mut self, typed: &str) -> Result<(), AppError> {
        let mut words = split(typed)?.into_iter();
        let name = words.next().unwrap_or_default();
        let mut pairs = Vec::new();
        for word in words {
            match word.split_once('=') {
                Some((key, value)) => pairs.push((key.to_owned(), value.to_owned())),
                None => {
                    let message = format!("`{word}` is not a parameter");
                    return Err(AppError::usage(message).hint("parameters are key=value"));
                }
            }
        }
        let skill = self.watcher.current().skill(&name)?;
        let calendar = |session: &Session| Ok(Calendar::at(session.now(), session.zone()));
        let calendar = self.desk.peek(calendar)?;
        let given = data::given(&skill.manifest, &pairs)?;
        let params = skill.manifest.taken(&given, &calendar).map_err(|mut failure| {
            failure.hint = failure.hint.map(|hint| hint.replace("-p ", ""));
            failure
        })?;
        let data = self.drafting(|_, budget| {
            let program = skill.program(params, budget);
            Box::new(move |session| program.run(session))
        })?;
        let mut console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        console.set_last(&data);
        drop(console);
        self.note(&format!(":run {typed}"));
        show::value(&self.ui, &data);
        Ok(())
    }

    fn save(&self, typed: &str) -> Result<(), AppError> {
        let (file, force) = match typed.strip_suffix("--force") {
            Some(file) => (file.trim(), true),
            None => (typed, false),
        };
        if Path::new(file).exists() && !force {
            return Err(AppError::new("io", format!("`{file}` already exists"))
                .hint(format!("to replace it: `:save {file} --force`")));
        }
        let console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, is_empty) = (console.script(), console.is_empty());
        drop(console);
        if is_empty {
            return Err(AppError::new("not_found", "there are no lines to save yet"));
        }
        files::write(Path::new(file), &text, Access::Usual)?;
        self.say(&format!("saved; try it with `planwright run {file} --dry-run`"));
        Ok(())
    }

    fn explain(&self) {
        let values: Vec<_> = self
            .log
            .iter()
            .map(|sent| {
                let ms = u64::try_from(sent.took.as_millis()).unwrap_or(u64::MAX);
                json!({ "method": sent.method, "path": sent.path, "status": sent.status, "ms": ms })
            })
            .collect();
        let row = |sent: &crate::graph::Sent| {
            let status = sent.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            vec![
                sent.method.to_owned(),
                status,
                sent.took.as_millis().to_string(),
                sent.path.clone(),
            ]
        };
        let rows: Vec<_> = self.log.iter().map(row).collect();
        let columns = [
            Column::new("METHOD"),
            Column::right("STATUS"),
            Column::right("MS"),
            Column::new("PATH"),
        ];
        crate::cli::show::list(&self.ui, &columns, &rows, &values, "The last line sent nothing.");
    }

    /// Shows the policies in force, and has them judge the pending changes.
    fn policy(&mut self) -> Result<(), AppError> {
        let bundle = self.watcher.current();
        let digests = crate::host::Judge::digests(&bundle.policies(self.agent.as_deref()));
        let names: Vec<_> = digests.keys().cloned().collect();
        let listed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        if !self.ui.json() {
            self.ui.answer(&format!("{} {}", paint(BOLD, "in force:"), visible(&listed)));
        }
        let start = self.start(How { force: false, dry_run: true })?;
        let finished = self.desk.wait(async |host, draft| host.apply_open(draft, start).await);
        let report = finished.report;
        if self.ui.json() {
            self.ui.json_value(&json!({ "in_force": names, "verdicts": report.verdicts }));
            return Ok(());
        }
        let pending = self.preview().changes;
        // The run has numbers of its own; the person knows those of `:changes`.
        let known_as = |n: usize| {
            let judged = report.changes.iter().find(|change| change.n == n)?;
            let same =
                |change: &&ChangeReport| (&change.id, change.entity) == (&judged.id, judged.entity);
            Some(pending.iter().find(same)?.n)
        };
        for ruling in &report.verdicts {
            let number = ruling.change.and_then(known_as);
            let whom = number.map(|n| format!("change {n}: ")).unwrap_or_default();
            let word = match ruling.verdict {
                Verdict::Deny => "denies",
                Verdict::Hold => "holds",
                Verdict::Warn => "warns",
                Verdict::Allow => "allows",
            };
            let text = format!("{whom}{} {word}: {}", ruling.source, ruling.reason);
            self.ui.answer(&visible(&text));
        }
        if let Some(error) = report.error {
            return Err(error.into());
        }
        if report.status == Status::Conflict {
            self.say("not judged: someone else has made a conflicting change");
        }
        if self.agent_previews()? {
            self.ui.answer("host R4 denies: this agent may only preview");
        } else if report.status == Status::Previewed && report.verdicts.is_empty() {
            self.say("no rule or policy objects to the pending changes");
        }
        Ok(())
    }

    fn agent_previews(&self) -> Result<bool, AppError> {
        let start = self.start(How { force: false, dry_run: true })?;
        Ok(start.agent.is_some_and(|agent| !agent.may_apply))
    }

    fn act_for(&mut self, name: &str) -> Result<(), AppError> {
        let name = name.trim_matches(['"', '\'']);
        if self.is_bound && self.agent.as_deref() != Some(name) {
            let agent = self.agent.as_deref().unwrap_or_default();
            return Err(AppError::new("denied", format!("this session belongs to `{agent}`"))
                .hint("it was started with `--as`: quit it to act for someone else"));
        }
        if self.n_pending() > 0 {
            let message = format!("{} pending", count(self.n_pending(), "change"));
            return Err(AppError::usage(message)
                .hint("`:apply` or `:discard` them first: they belong to whoever made them"));
        }
        let agent = Some(name).filter(|name| !name.is_empty());
        let own = |agent| self.context.app.own_profile(agent);
        if own(agent) != own(self.agent.as_deref()) {
            let message = "it signs in with another profile than this session";
            let whom = agent.map_or_else(String::new, |name| format!(" --as {name}"));
            return Err(AppError::new("not_permitted", message)
                .hint(format!("quit, then `planwright repl{whom}`")));
        }
        if agent.is_some() && self.context.app.workspace.config.agents.is_empty() {
            self.say("no agents are configured: this one is under the shipped rules");
        }
        let desk = Self::desk(self.context, &self.connection, &self.watcher, agent, &self.json)?;
        // Variables hold data that another agent may not be allowed to see.
        let libraries = self.news.libraries.clone();
        let mut console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        *console = crate::script::console::Console::new(libraries);
        drop(console);
        (self.desk, self.agent) = (std::sync::Arc::new(desk), agent.map(str::to_owned));
        if let Some((id, _)) = self.plan.take() {
            // The new agent may have no access to the plan.
            if let Err(error) = self.use_plan(id.as_str()) {
                self.ui.error(&error);
            }
        }
        let whom = agent.map_or_else(|| "yourself".to_owned(), visible);
        self.say(&format!("acting for {whom}; the variables were cleared"));
        Ok(())
    }

    fn doc(&self, name: &str) -> Result<(), AppError> {
        let (on, word) = match name.split_once('.') {
            Some((on, word)) => (Some(on), word),
            None => (None, name),
        };
        let word = word.trim_end_matches("()");
        let is_type = |name: &&&str| on.is_none() && **name == word;
        let is_meant = |member: &&Member| {
            if !member.skills || member.form == Form::Operator {
                return false;
            }
            match TYPES.iter().find(is_type) {
                Some(name) => member.on.as_deref() == Some(*name),
                None => {
                    let same = |member: &Member, on: &str| {
                        member.on.as_ref().is_some_and(|x| x.eq_ignore_ascii_case(on))
                    };
                    member.name == word && on.is_none_or(|on| same(member, on))
                }
            }
        };
        let found: Vec<_> = catalog().members().iter().filter(is_meant).collect();
        if found.is_empty() {
            let names = catalog().members().iter().map(|member| member.name.as_str());
            let near = similar(word, names);
            let error = AppError::new("not_found", format!("there is nothing called `{name}`"));
            return Err(match near.first() {
                Some(near) => error.hint(format!("did you mean `:doc {near}`?")),
                None => error.hint("`planwright api` lists all names"),
            });
        }
        if self.ui.json() {
            self.ui.json_value(&found);
            return Ok(());
        }
        for member in found {
            let on = member.on.as_ref().map(|name| format!("{name}.")).unwrap_or_default();
            self.ui.answer(&format!("{}{}", paint(DIM, &on), paint(CYAN, &member.typed())));
            self.ui.answer(&format!("    {}", visible(&member.description)));
            if let Some(settable) = &member.settable {
                self.ui.answer(&paint(DIM, &format!("    can be set: {settable}")));
            }
        }
        Ok(())
    }

    fn help(&self, topic: &str) -> Result<(), AppError> {
        if !topic.is_empty() {
            let command =
                COMMANDS.iter().find(|command| command.0 == topic.trim_start_matches(':'));
            if let Some((name, takes, does)) = command {
                self.ui.answer(&format!("{} {takes}", paint(BOLD, &format!(":{name}"))));
                self.ui.answer(&format!("    {does}"));
                return Ok(());
            }
            let Some((_, text)) = TOPICS.iter().find(|known| known.0 == topic) else {
                let topics: Vec<_> = TOPICS.iter().map(|topic| topic.0).collect();
                return Err(AppError::usage(format!("there is no topic `{topic}`"))
                    .hint(format!("topics are {}, and the commands", topics.join(", "))));
            };
            text.lines().for_each(|line| self.ui.answer(line));
            return Ok(());
        }
        for (name, takes, does) in COMMANDS {
            let usage = format!(":{name} {takes}");
            self.ui.answer(&format!("  {} {does}", paint(CYAN, &format!("{usage:<28}"))));
        }
        self.ui.answer("Everything else is a line of script: `:help lines`.");
        Ok(())
    }
}

fn none(name: &str, rest: &str) -> Result<(), AppError> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(AppError::usage(format!("`:{name}` takes no arguments, but got `{rest}`")))
}

fn some<'t>(name: &str, rest: &'t str) -> Result<&'t str, AppError> {
    if !rest.is_empty() {
        return Ok(rest);
    }
    let takes = COMMANDS.iter().find(|command| command.0 == name).map_or("", |command| command.1);
    Err(AppError::usage(format!("`:{name}` needs an argument: `:{name} {takes}`")))
}

fn flags<const N: usize>(name: &str, rest: &str, known: &[&str; N]) -> Result<[bool; N], AppError> {
    if let Some(other) = rest.split_whitespace().find(|word| !known.contains(word)) {
        return Err(AppError::usage(format!("`:{name}` does not take `{other}`"))
            .hint(format!("it takes {}", known.join(" and "))));
    }
    Ok(known.map(|flag| rest.split_whitespace().any(|word| word == flag)))
}

/// Splits typed text into words, as a shell would.
fn split(typed: &str) -> Result<Vec<String>, AppError> {
    shlex::split(typed).ok_or_else(|| AppError::usage("a quote is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_would() {
        let words = split("triage plan=\"BOS Operations\" note='it is' x=").unwrap();
        assert_eq!(words, ["triage", "plan=BOS Operations", "note=it is", "x="]);
        assert!(split("a \"b").is_err());
    }

    #[test]
    fn flags_are_known_or_refused() {
        assert_eq!(flags("apply", "--force", &["--force", "--dry-run"]).unwrap(), [true, false]);
        assert!(flags("apply", "now", &["--force"]).is_err());
    }
}
