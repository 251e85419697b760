//! `planwright config`: the settings in force and where each comes from, and the workspaces that a
//! person trusts, a list out of reach of any workspace.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::workspace::{self, trust};
use crate::cli::exit::Exit;
use crate::cli::options::{Global, Origin};
use crate::cli::render::table::Column;
use crate::cli::render::text::visible;
use crate::cli::show;
use crate::cli::ui::Ui;
use crate::script::Workspace;
use crate::script::workspace::config::LimitConfig;
use crate::script::workspace::{CONFIG_FILE, read_script};

/// Show the settings in force, and which workspaces you trust
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    Show(ShowArgs),
    /// Trust a workspace that belongs to somebody else, or that others can write to
    Trust(TrustArgs),
}

/// Trust a workspace that belongs to somebody else, or that others can write to
#[derive(Debug, Args)]
#[command(
    after_help = "A workspace decides what agents may do, and which scripts run under a name. So one that somebody\nelse can write to is not used unless you trust it. Without DIR, the trusted ones are listed.\n\nExample:\n  planwright config trust /srv/planwright"
)]
pub(crate) struct TrustArgs {
    /// Folder with the planwright.toml
    dir: Option<PathBuf>,
    /// Stop trusting it
    #[arg(long, requires = "dir")]
    forget: bool,
}

/// Show the settings in force
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright config show\n  planwright config show --origin        also where each comes from\n  planwright config show --json"
)]
pub(crate) struct ShowArgs {
    /// Also show where each setting comes from
    #[arg(long)]
    origin: bool,
}

/// Runs the command without a workspace: the one that it is about may not be used yet.
pub(crate) fn run(global: &Global, ui: &Ui, command: &ConfigCommand) -> Result<Exit, AppError> {
    match command {
        ConfigCommand::Show(args) => show(global, ui, args),
        ConfigCommand::Trust(args) => trust(&global.settings(), ui, args),
    }
}

fn trust(settings: &Settings, ui: &Ui, args: &TrustArgs) -> Result<Exit, AppError> {
    if let Some(dir) = &args.dir {
        let name = trust::set(settings, dir, !args.forget)?;
        let done = if args.forget { "No longer trusted" } else { "Trusted" };
        ui.note(&format!("{done}: {name}."));
    }
    let all = trust::trusted(settings)?;
    if ui.json() {
        ui.json_value(&json!({ "trusted": all }));
    } else if args.dir.is_none() {
        for name in &all {
            ui.answer(&visible(name));
        }
    }
    Ok(Exit::Done)
}

/// A setting in force.
struct Setting {
    name: String,
    value: Value,
    /// `default`, `flag`, `environment`, or the path of the file.
    origin: String,
}

fn show(global: &Global, ui: &Ui, args: &ShowArgs) -> Result<Exit, AppError> {
    let settings = in_force(global)?;
    let rows: Vec<Vec<String>> = settings
        .iter()
        .map(|setting| {
            let value = match &setting.value {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let mut row = vec![setting.name.clone(), value];
            row.extend(args.origin.then(|| setting.origin.clone()));
            row
        })
        .collect();
    let values: Vec<Value> = settings
        .iter()
        .map(|setting| {
            let (name, value, origin) = (&setting.name, &setting.value, &setting.origin);
            json!({ "setting": name, "value": value, "origin": origin })
        })
        .collect();
    let mut columns = vec![Column::whole("SETTING"), Column::whole("VALUE")];
    columns.extend(args.origin.then(|| Column::optional("FROM")));
    show::list(ui, &columns, &rows, &values, "");
    Ok(Exit::Done)
}

/// Collects the settings in force.
fn in_force(global: &Global) -> Result<Vec<Setting>, AppError> {
    let settings = global.settings();
    let workspace = workspace::load(&settings)?;
    let of_option = |id: &str, otherwise: &str| match global.origins.get(id) {
        Some(Origin::Flag) => "flag".to_owned(),
        Some(Origin::Environment) => "environment".to_owned(),
        None => otherwise.to_owned(),
    };
    let set =
        |name: &str, value: Value, origin: String| Setting { name: name.to_owned(), value, origin };
    let root = workspace.root.as_ref().map(|root| root.display().to_string());
    let found = if root.is_some() { "found from the working folder" } else { "default" };
    let file = File::read(&workspace)?;
    let config = &workspace.config;
    let embedded = settings.graph_url.is_none().then_some("embedded");
    let chosen = settings.chosen_profile().ok().flatten().map(|profile| profile.name);
    let token = settings.token().is_some();
    let state_dir = settings.state_dir()?.display().to_string();
    let mut all = vec![
        set(
            "profile",
            json!(settings.profile.as_deref().or(chosen.as_deref()).or(embedded)),
            of_option("profile", "default"),
        ),
        set("graph_url", json!(settings.graph_url), of_option("graph_url", "default")),
        set(
            "token",
            json!(if token { "set" } else { "not set" }),
            if token { "environment" } else { "default" }.to_owned(),
        ),
        set("state_dir", json!(state_dir), of_option("state_dir", "default")),
        set(
            "workspace",
            json!(root.unwrap_or_else(|| "shipped".to_owned())),
            of_option("workspace", found),
        ),
        set(
            "beta",
            json!(settings.beta || config.beta),
            of_option("beta", &file.origin(&["beta"])),
        ),
    ];
    let mut add = |path: &[&str], value: Value| {
        // A title may hold a dot.
        let part = |part: &&str| {
            if part.contains(['.', ' ']) { json!(part).to_string() } else { (*part).to_owned() }
        };
        let name = path.iter().map(part).collect::<Vec<_>>().join(".");
        all.push(Setting { name, value, origin: file.origin(path) });
    };
    add(&["time_zone"], json!(config.time_zone.as_deref().unwrap_or("the system's")));
    add(&["policies", "always"], json!(config.policies.always));
    add(&["sandbox", "required"], json!(config.sandbox.required));
    add(&["state", "keep_runs_days"], json!(config.state.keep_runs_days));
    for (name, value) in limits(&config.limits_of(None)) {
        add(&["limits", name], value);
    }
    let planner = serde_json::to_value(config.planner).unwrap_or_default();
    for (name, value) in planner.as_object().into_iter().flatten() {
        add(&["planner", name.as_str()], value.clone());
    }
    for (name, agent) in &config.agents {
        let name = name.as_str();
        add(&["agents", name, "plans"], json!(agent.plans));
        add(&["agents", name, "policies"], json!(agent.policies));
        add(&["agents", name, "may_apply"], agent.may_apply.value());
        add(&["agents", name, "skills"], json!(agent.skills));
        add(&["agents", name, "scripts"], json!(agent.scripts));
        add(&["agents", name, "inbox"], json!(agent.inbox));
        add(&["agents", name, "profile"], json!(agent.profile));
        add(&["agents", name, "force"], json!(agent.force));
        let set = file.keys(&["agents", name, "limits"]);
        let own = limits(&config.limits_of(Some(name)));
        for (limit, value) in own.into_iter().filter(|(limit, _)| set.contains(*limit)) {
            add(&["agents", name, "limits", limit], value);
        }
    }
    for (name, plan) in &config.plans {
        add(&["plans", name.as_str(), "policies"], json!(plan.policies));
    }
    Ok(all)
}

/// Returns every limit by name, with the value that counts where none is set.
fn limits(limits: &LimitConfig) -> Vec<(&'static str, Value)> {
    let (caps, budget) = (limits.caps(), limits.budget());
    // As deep as the stack allows.
    let depth = limits.expression_depth;
    vec![
        ("max_changes", json!(caps.max_changes)),
        ("max_deletes", json!(caps.max_deletes)),
        ("operations", json!(budget.operations)),
        ("calls", json!(budget.calls)),
        ("expression_depth", json!(depth)),
        ("reads", json!(limits.max_reads())),
        ("max_edits", json!(limits.max_edits())),
        ("edits_kib", json!(limits.max_edit_bytes() >> 10)),
        ("memory_mib", json!(budget.memory >> 20)),
        ("output_kib", json!(budget.output >> 10)),
        ("computing_seconds", json!(budget.computing.as_secs())),
        ("seconds", json!(limits.seconds.unwrap_or(60))),
        ("quarantine_seconds", json!(limits.quarantine_seconds.unwrap_or(60))),
        ("writes_per_second", json!(limits.writes_per_second)),
        ("changes_per_day", json!(limits.changes_per_day())),
        ("runs_per_hour", json!(limits.runs_per_hour())),
    ]
}

/// The `planwright.toml` of a workspace, as it is written.
struct File {
    path: String,
    table: toml::Table,
}

impl File {
    fn read(workspace: &Workspace) -> Result<Self, AppError> {
        let Some(root) = &workspace.root else {
            return Ok(Self { path: String::new(), table: toml::Table::new() });
        };
        let path = root.join(CONFIG_FILE);
        // It was parsed a moment ago; if it is another by now, the next call tells.
        let table = read_script(&path)?.parse::<toml::Table>().unwrap_or_default();
        Ok(Self { path: path.display().to_string(), table })
    }

    /// Returns where a setting comes from: the file, if that has it, or its default.
    fn origin(&self, path: &[&str]) -> String {
        let is_there = match path {
            [above @ .., last] => self.keys(above).contains(*last),
            [] => false,
        };
        if is_there { self.path.clone() } else { "default".to_owned() }
    }

    /// Returns the names that a table of the file sets.
    fn keys(&self, path: &[&str]) -> BTreeSet<&str> {
        let mut table = &self.table;
        for part in path {
            match table.get(*part) {
                Some(toml::Value::Table(below)) => table = below,
                _ => return BTreeSet::new(),
            }
        }
        // The old name of a limit counts as the new one.
        table.keys().map(|key| if key == "wishes" { "max_edits" } else { key.as_str() }).collect()
    }
}
