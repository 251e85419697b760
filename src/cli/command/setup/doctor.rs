//! `planwright doctor`: whether all that a run needs is there, and the remedy for what is not.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::app::agent::agent_of;
use crate::app::error::AppError;
use crate::app::settings::{Service, Settings};
use crate::app::sign_in::{self, ReadyToken, Standing};
use crate::app::workspace::{load, root, time_zone};
use crate::app::{App, seal};
use crate::auth::{self, Flow};
use crate::cli::command::setup::auth::kept_how;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::{Global, ProgressWhen};
use crate::cli::render::text::{GREEN, RED, YELLOW, count, paint, visible};
use crate::cli::ui::Ui;
use crate::host::{Failure, Host, StateFolder, SystemClock};
use crate::model::Clock as _;
use crate::script::worker::{Wall, walls};
use crate::script::workspace::automation::Automation;
use crate::script::{Bundle, Policies, Workspace};

/// Seconds by which the clock here may differ from the service's.
const MAX_DIFFERENCE: i64 = 60;

/// The time before the end of a certificate from which it is told.
const CERTIFICATE_NOTICE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Check what Planwright needs, and say what to do about it
#[derive(Debug, Args)]
#[command(
    after_help = "It checks the workspace and its scripts, the policies in force, the walls around scripts, the state\nfolder with its journal, the sign-in, the service and the clock. It writes nothing but a sign-in that\nwas due to be renewed. The exit code is 1 if something will fail, and 0 if there are only warnings.\n\nExamples:\n  planwright doctor\n  planwright doctor --json\n  planwright doctor --as rook          as that agent would see it"
)]
pub(crate) struct DoctorArgs {}

/// The weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    Ok,
    Warning,
    Problem,
}

impl Weight {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was found.
struct Finding {
    check: &'static str,
    weight: Weight,
    message: String,
    remedy: Option<String>,
}

/// All that was found, in order.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, check: &'static str, message: impl Display) {
        self.add(check, Weight::Ok, &message, None);
    }

    fn warn(&mut self, check: &'static str, message: impl Display, remedy: &str) {
        self.add(check, Weight::Warning, &message, Some(remedy.to_owned()));
    }

    fn problem(&mut self, check: &'static str, message: impl Display, remedy: &str) {
        self.add(check, Weight::Problem, &message, Some(remedy.to_owned()));
    }

    /// Adds an error as a problem; its hint is the remedy.
    fn trouble(&mut self, check: &'static str, failure: &Failure) {
        let causes = failure.causes.iter().map(|cause| format!(": {}", cause.trim_end()));
        let line = failure.at.as_ref().map(|at| format!(" (line {})", at.line));
        let line = line.unwrap_or_default();
        let message = format!("{}{line}{}", failure.message, causes.collect::<String>());
        let explained = || format!("`planwright explain {}`", failure.code);
        let remedy = failure.hint.clone().unwrap_or_else(explained);
        self.problem(check, message, &remedy);
    }

    fn add(
        &mut self,
        check: &'static str,
        weight: Weight,
        message: &dyn Display,
        remedy: Option<String>,
    ) {
        self.0.push(Finding { check, weight, message: message.to_string(), remedy });
    }

    fn count(&self, weight: Weight) -> usize {
        self.0.iter().filter(|finding| finding.weight == weight).count()
    }
}

/// Runs the command without a workspace: a broken one is among the findings.
pub(crate) fn run(global: &Global, ui: &Ui) -> Result<Exit, AppError> {
    let settings = global.settings();
    let mut found = Findings::default();
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    found.ok("version", format!("planwright {} on {system} {machine}", env!("CARGO_PKG_VERSION")));
    let workspace = workspace(&settings, &mut found);
    sandbox(workspace.as_ref(), &mut found);
    if let Some(workspace) = &workspace {
        agents(&settings, workspace, global.agent.as_deref(), &mut found);
    }
    if let Some(workspace) = &workspace {
        scripts(workspace, global.agent.as_deref(), &mut found);
        automation(workspace, &mut found);
    }
    state(&settings, &mut found);
    let workspace = workspace.unwrap_or_else(Workspace::shipped);
    let app = App { settings, workspace, interrupt: Arc::default() };
    // As the agent would meet it, with the sign-in that it has.
    match app.settings_for(global.agent.as_deref()) {
        Ok(settings) => {
            signed_in(&settings, &mut found);
            service(ui, App { settings, ..app }, global.agent.as_deref(), &mut found);
        }
        Err(error) => found.trouble("sign-in", &error.failure),
    }
    Ok(show(ui, &found))
}

fn workspace(settings: &Settings, found: &mut Findings) -> Option<Workspace> {
    let workspace = match load(settings) {
        Ok(workspace) => workspace,
        Err(error) => {
            found.trouble("workspace", &error.failure);
            return None;
        }
    };
    match root(settings) {
        Some(root) => found.ok("workspace", root.display()),
        None => found.ok("workspace", "the one inside the program; `planwright init` makes one"),
    }
    for warning in workspace.config.warnings() {
        found.warn("workspace", warning, "rename it in planwright.toml");
    }
    if let Err(error) = time_zone(&workspace) {
        found.trouble("workspace", &error.failure);
    }
    Some(workspace)
}

/// Checks that what runs by itself can.
fn automation(workspace: &Workspace, found: &mut Findings) {
    let all = Automation::of(workspace);
    for mistake in &all.mistakes {
        let remedy = mistake.hint.as_deref().unwrap_or("correct it in planwright.toml");
        found.problem("schedules", mistake, remedy);
    }
    if all.mistakes.is_empty() {
        let schedules = count(all.schedules.len(), "schedule");
        let triggers = count(all.triggers.len(), "trigger");
        found.ok("schedules", format!("{schedules} and {triggers}"));
    }
}

/// Checks the walls around the processes in which scripts run.
fn sandbox(workspace: Option<&Workspace>, found: &mut Findings) {
    let required = workspace.is_some_and(|workspace| workspace.config.sandbox.required);
    let walls = match walls() {
        Ok(walls) => walls,
        Err(failure) => return found.trouble("sandbox", &failure),
    };
    let names = |stands: bool| {
        let those = Wall::ALL.into_iter().filter(|wall| walls.contains(wall) == stands);
        those.map(Wall::name).collect::<Vec<_>>().join(", ")
    };
    if walls.len() == Wall::ALL.len() {
        return found.ok("sandbox", format!("scripts are kept from {}", names(true)));
    }
    let message = format!("this system does not keep scripts from {}", names(false));
    if required {
        let message = format!("{message}, and [sandbox] required = true");
        found.problem("sandbox", message, "use Linux 6.7 or later, or set required = false");
    } else {
        let remedy = "the engine's own sandbox holds all the same; all walls stand on Linux 6.7";
        found.warn("sandbox", message, remedy);
    }
}

/// Checks that what the configuration of the agents names is there; the plans are looked for where
/// the service is asked. An agent is told of its own alone.
fn agents(settings: &Settings, workspace: &Workspace, acts: Option<&str>, found: &mut Findings) {
    let config = &workspace.config;
    let is_meant = |name: &String| acts.is_none_or(|acts| acts == name);
    for (name, agent) in config.agents.iter().filter(|(name, _)| is_meant(name)) {
        let skills = agent.skills.iter().flatten();
        let skills = skills.filter(|skill| !workspace.skills.contains_key(*skill));
        let senders = agent.inbox.iter().filter(|sender| !config.agents.contains_key(*sender));
        let unknown = skills.map(|skill| ("skills", "skill", skill));
        for (of, what, unknown) in unknown.chain(senders.map(|it| ("inbox", "agent", it))) {
            let message = format!("[agents.{name}] {of}: there is no {what} `{unknown}`");
            found.warn("agents", message, "correct the name in planwright.toml");
        }
        // A profile that was named for this command is not that of every agent.
        let unnamed = Settings { profile: None, ..settings.clone() };
        let own = unnamed.for_agent(name, agent.profile.as_deref());
        if agent.profile.is_some()
            && let Err(error) = own.and_then(|own| own.chosen_profile())
        {
            found.trouble("agents", &error.failure);
        }
        for policy in agent.policies.iter().filter(|name| !workspace.policies.contains_key(*name)) {
            let message = format!(
                "[agents.{name}] policies: there is no policy `{policy}`, so every run of it is denied"
            );
            found.problem("agents", message, "correct the name in planwright.toml");
        }
    }
}

/// Checks that the plans which the configuration of the agents names are there.
fn plans_of_agents(context: &Context<'_>, acts: Option<&str>, found: &mut Findings) {
    let agents = context.app.workspace.config.agents.iter();
    let agents = agents.filter(|(name, _)| acts.is_none_or(|acts| acts == *name));
    let named: Vec<(String, String)> = agents
        .flat_map(|(name, agent)| {
            agent.plans.iter().flatten().map(|plan| (name.clone(), plan.clone()))
        })
        .collect();
    if named.is_empty() {
        return;
    }
    let looked = context.look(move |session| {
        let is_gone = |(_, plan): &(String, String)| {
            session.find_plan(plan).is_err_and(|error| error.is_not_found())
        };
        Ok(named.into_iter().filter(is_gone).collect::<Vec<_>>())
    });
    for (name, plan) in looked.unwrap_or_default() {
        let message = format!("[agents.{name}] plans: there is no plan `{plan}` that you can see");
        found.warn("agents", message, "correct the name in planwright.toml");
    }
}

/// Checks that the scripts compile, and which policies are in force.
fn scripts(workspace: &Workspace, agent: Option<&str>, found: &mut Findings) {
    if let Err(error) = agent_of(workspace, agent) {
        found.trouble("agent", &error.failure);
    }
    let bundle = Bundle::new(workspace.clone());
    let digests = crate::host::Judge::digests(&Policies::in_force(workspace, agent));
    let mut broken = Vec::new();
    for (file, digest) in &digests {
        if digest == "broken" {
            let message = format!("{file} is in force and cannot be used: it denies every run");
            found.problem("policies", message, "planwright policy check");
            broken.push(format!("policies/{file}"));
        }
    }
    for problem in bundle.problems.iter().filter(|problem| !broken.contains(&problem.file)) {
        let command = match problem.file.strip_prefix("policies/") {
            Some(_) => "planwright policy check",
            None => "planwright skill check",
        };
        found.problem("scripts", problem, command);
    }
    if bundle.problems.is_empty() {
        let scripts = count(workspace.skills.len() + workspace.policies.len(), "script");
        found.ok("scripts", format!("{scripts} compile"));
    }
    if digests.is_empty() {
        let message = "no policy is in force for every run; only the host rules hold";
        found.warn("policies", message, "name one under [policies] always in planwright.toml");
    } else if broken.is_empty() {
        let names: Vec<_> = digests.keys().map(|file| file.trim_end_matches(".rhai")).collect();
        found.ok("policies", format!("in force: {}", names.join(", ")));
    }
}

/// Checks the state folder, its journal and the anchor of its audit log.
fn state(settings: &Settings, found: &mut Findings) {
    let folder = match settings.state_dir() {
        Ok(folder) => folder,
        Err(error) => return found.trouble("state", &error.failure),
    };
    if !folder.exists() {
        let message = format!("{} is made when it is first needed", folder.display());
        return found.ok("state", message);
    }
    found.ok("state", format!("{} is yours alone to write", folder.display()));
    if folder.join("seal.key").exists()
        && let Err(error) = seal::key(settings)
    {
        found.trouble("state", &error.failure);
    }
    journal(&folder, found);
}

fn journal(folder: &Path, found: &mut Findings) {
    let journal = match StateFolder::new(folder.to_owned()).open_to_read() {
        Ok(Some(journal)) => journal,
        Ok(None) => return found.ok("journal", "no run has been recorded yet"),
        Err(failure) => return found.trouble("journal", &failure),
    };
    match journal.verify() {
        Ok(verified) if verified.is_ok() => {
            let records = count(usize::try_from(verified.records).unwrap_or_default(), "record");
            found.ok("journal", format!("{records}, unbroken up to the anchor of the audit log"));
        }
        Ok(verified) => {
            let first = verified.problems.first().map(|problem| problem.what.as_str());
            let message = format!("the audit log is not whole: {}", first.unwrap_or_default());
            found.problem("journal", message, "planwright audit verify");
        }
        Err(error) => {
            let failure = Failure::from_error(error.code(), &error, error.hint());
            found.trouble("journal", &failure);
        }
    }
    match journal.runs(1000, None) {
        Ok(runs) => {
            let cut_off = runs.iter().filter(|run| run.status.is_none()).count();
            if cut_off > 0 {
                let message = format!("{} cut off, or still at work", count(cut_off, "run"));
                found.warn("journal", message, "planwright resume");
            }
        }
        Err(error) => {
            let failure = Failure::from_error(error.code(), &error, error.hint());
            found.trouble("journal", &failure);
        }
    }
}

/// Checks that the profile in force can be used, and what its permissions do not allow. A name that
/// does not exist is told where the service is checked.
fn signed_in(settings: &Settings, found: &mut Findings) {
    if let Some(token) = sign_in::ready_token(settings) {
        return ready_token(&token, found);
    }
    let Ok(Some(profile)) = settings.chosen_profile() else { return };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return found.trouble("sign-in", &AppError::from(error).failure),
    };
    let standing = match runtime.block_on(sign_in::standing(settings)) {
        Ok(Some(standing)) => standing,
        Ok(None) => return,
        Err(error) => return found.trouble("sign-in", &error.failure),
    };
    // The machine and the Azure CLI ask it themselves.
    if !matches!(profile.flow, Flow::ManagedIdentity | Flow::AzureCli) {
        match runtime.block_on(sign_in::reach(&profile)) {
            Ok(()) => found.ok("authority", format!("{} answers", profile.authority)),
            Err(error) => found.trouble("authority", &error.failure),
        }
    }
    match &standing.kept {
        Ok(_) => {
            let goes_on = standing.renews_itself();
            let after = if goes_on { "which renews itself" } else { "which ends with its token" };
            let (name, by, how) = (&profile.name, profile.flow.name(), kept_how(&standing));
            found.ok("sign-in", format!("the profile {name}, by {by}, {after}; kept {how}"));
            found.ok("memory", memory());
            certificate(&standing, found);
        }
        Err(error) => found.trouble("sign-in", &error.failure),
    }
    let remedy = if profile.is_app() {
        "an administrator grants it to the application"
    } else {
        &format!("planwright auth login --profile {} --scopes \"…\", with it added", profile.name)
    };
    missing(standing.missing(), remedy, found);
}

/// Returns what keeps the tokens in memory from a disk.
fn memory() -> &'static str {
    if auth::keep_out_of_swap() {
        "neither core dumps nor swap hold a token"
    } else if cfg!(target_os = "linux") {
        "no core dump holds a token; LimitMEMLOCK=infinity or `ulimit -l unlimited` keeps them out of the swap, too"
    } else if cfg!(unix) {
        "no core dump holds a token"
    } else {
        "as private as the system keeps it"
    }
}

/// Warns some weeks before the certificate ends with which an application signs in.
fn certificate(standing: &Standing, found: &mut Findings) {
    let Some(ends) = standing.certificate_ends() else { return };
    let left = ends.duration_since(SystemClock.now());
    if left < CERTIFICATE_NOTICE {
        let message = format!("the certificate of the application ends on {}", ends.strftime("%F"));
        let name = &standing.profile.name;
        let remedy = format!(
            "register the next one, then `planwright auth login --profile {name} --certificate FILE`"
        );
        found.warn("sign-in", message, &remedy);
    }
}

fn missing(missing: Vec<(&'static str, &'static str)>, remedy: &str, found: &mut Findings) {
    for (what, scope) in missing {
        let message = format!("without {scope} this does not work: {what}");
        found.warn("sign-in", message, remedy);
    }
}

/// Checks the ready token of the environment, as far as it tells of itself.
fn ready_token(token: &ReadyToken, found: &mut Findings) {
    let message = "the token in PLANWRIGHT_TOKEN, which takes precedence over every profile";
    if token.is_over() {
        let message = format!("{message}: it has expired");
        return found.problem("sign-in", message, "get another one, or unset PLANWRIGHT_TOKEN");
    }
    found.ok("sign-in", message);
    missing(token.missing(), "get a token with it", found);
}

/// Checks that the service answers to whoever is signed in, and what its clock says.
fn service(ui: &Ui, app: App, acts: Option<&str>, found: &mut Findings) {
    match app.settings.service() {
        // It is set up by the first command that needs it, and only then.
        Ok(Service::Embedded { data, .. }) if !data.exists() => {
            let message = "the embedded Planner, whose demo board the first run sets up";
            return found.ok("service", message);
        }
        Ok(_) => {}
        Err(error) => return found.trouble("service", &error.failure),
    }
    if let Err(error) = asked(ui, app, acts, found) {
        found.trouble("service", &error.failure);
    }
}

fn asked(ui: &Ui, app: App, acts: Option<&str>, found: &mut Findings) -> Result<(), AppError> {
    let own = acts.and_then(|acts| app.workspace.config.agents.get(acts));
    // An agent that sees some plans only does not learn how many groups there are.
    let is_confined = own.is_some_and(|agent| agent.plans.is_some());
    let is_application = app.settings.is_application();
    let context = Context::around(app, None, ProgressWhen::Never, ui)?;
    let connection = context.connect()?;
    let judge = Arc::new(Policies::none());
    let host = context.host(&connection, &context.app.workspace, None, judge)?;
    let me = context.block_on(host.me())?;
    found.ok("service", format!("{} answers to {}", connection.service, me.upn));
    if !is_application && !is_confined {
        membership(&context, &host, found);
    }
    let here = SystemClock.now();
    let there = connection.client.service_time(here);
    let difference = (here.as_second() - there.as_second()).abs();
    if difference > MAX_DIFFERENCE {
        let message = format!("the clock here differs from the service's by {difference} s");
        found.warn("clock", message, "set the clock of this machine, for example by NTP");
    } else {
        found.ok("clock", "agrees with the service's");
    }
    plans_of_agents(&context, acts, found);
    Ok(())
}

/// Checks that whoever is signed in is a member of a group, whose plans are those within reach. An
/// application need not be one.
fn membership(context: &Context<'_>, host: &Host, found: &mut Findings) {
    let looked = context.block_on(host.look(None, |session| Ok(session.groups()?.len())));
    match looked {
        Ok(0) => {
            let message = "whoever is signed in is a member of no group: only plans that are shared with them are within reach";
            let remedy =
                "have yourself made a member of the group; an owner who is no member sees nothing";
            found.warn("membership", message, remedy);
        }
        Ok(n) => found.ok("membership", format!("a member of {}", count(n, "group"))),
        Err(failure) => {
            let message = format!("the groups cannot be read: {}", failure.message);
            found.warn(
                "membership",
                message,
                "`planwright auth status` says which permission is missing",
            );
        }
    }
}

fn show(ui: &Ui, found: &Findings) -> Exit {
    let n_problems = found.count(Weight::Problem);
    let is_fine = n_problems == 0;
    if ui.json() {
        let findings: Vec<Value> = found
            .0
            .iter()
            .map(|finding| {
                json!({
                    "check": finding.check,
                    "status": finding.weight.name(),
                    "message": finding.message,
                    "remedy": finding.remedy,
                })
            })
            .collect();
        ui.json_value(&json!({ "ok": is_fine, "findings": findings }));
    } else {
        for finding in &found.0 {
            let style = match finding.weight {
                Weight::Ok => GREEN,
                Weight::Warning => YELLOW.bold(),
                Weight::Problem => RED.bold(),
            };
            // Padded before it is painted: colours count as characters.
            let mark = paint(style, &format!("{:<8}", finding.weight.name()));
            ui.answer(&format!("{mark} {:<10} {}", finding.check, visible(&finding.message)));
            if let Some(remedy) = &finding.remedy {
                ui.answer(&format!("{:20}remedy: {}", "", visible(remedy)));
            }
        }
        let warnings = count(found.count(Weight::Warning), "warning");
        ui.note(&format!("\n{}, {warnings}.", count(n_problems, "problem")));
    }
    if is_fine { Exit::Done } else { Exit::Input }
}
