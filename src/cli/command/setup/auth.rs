//! `planwright auth`: signing in and out, and who is signed in.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::sign_in::{self, Login, Standing, Step, Way, renews_itself};
use crate::auth::{Cloud, Profile};
use crate::cli::exit::Exit;
use crate::cli::options::Global;
use crate::cli::render::table::Column;
use crate::cli::render::text::{YELLOW, paint, visible};
use crate::cli::secret;
use crate::cli::show;
use crate::cli::ui::Ui;
use crate::files;
use crate::graph::Secret;

/// The largest secret that is read, in bytes.
const MAX_SECRET: u64 = 64 << 10;

/// Sign in and out, and show who is signed in
#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    Login(Box<LoginArgs>),
    /// List the profiles
    #[command(after_help = "Examples:\n  planwright auth list\n  planwright auth list --json")]
    List,
    /// Choose the profile that is used where none is named
    #[command(
        after_help = "Examples:\n  planwright auth use work\n  planwright auth use embedded          the demo board again"
    )]
    Use {
        /// Name of the profile
        #[arg(value_name = "PROFILE")]
        name: String,
    },
    /// Show who is signed in, until when, and what the permissions do not allow
    #[command(
        after_help = "The exit code is 0 if somebody is signed in, and 5 if not.\n\nExamples:\n  planwright auth status\n  planwright auth status --profile rook --json"
    )]
    Status,
    /// Sign out: remove a profile with all that is kept of it
    #[command(
        after_help = "It removes what is kept on this machine. Permissions that were granted to the application stay:\na user takes them back at https://myapps.microsoft.com.\n\nExamples:\n  planwright auth logout\n  planwright auth logout --profile rook"
    )]
    Logout,
}

/// Sign in, as yourself or as an application
#[derive(Debug, Args)]
#[command(
    after_help = "The sign-in is kept sealed in the state folder: with PLANWRIGHT_PASSPHRASE, with the file that\nPLANWRIGHT_KEY_FILE names, or with a passphrase that is asked for. It renews itself.\n\nWithout --device or --browser, a browser is used where there is one, else a code. The secret of\nan application comes from a file, from standard input (`-`), or from PLANWRIGHT_CLIENT_SECRET.\nWhat is not given is as at the last sign-in of the profile.\n\nExamples:\n  planwright auth login --client-id ID --tenant bos.example\n  planwright auth login --device                         again, with a code\n  planwright auth login --profile app --client-id ID --tenant bos.example --secret-file secret.txt"
)]
pub(crate) struct LoginArgs {
    /// Tenant: its domain or its id; any work account if absent
    #[arg(long, value_name = "T")]
    tenant: Option<String>,
    /// Application to sign in with, by its client id
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Sign in with a code at another device
    #[arg(long, group = "way")]
    device: bool,
    /// Sign in with a browser of this machine
    #[arg(long, group = "way")]
    browser: bool,
    /// Sign in as the application itself, with the secret in a file; `-` is standard input
    #[arg(long, value_name = "FILE", group = "way")]
    secret_file: Option<PathBuf>,
    /// Sign in as the application itself, with the certificate and its RSA key in a PEM file
    #[arg(long, value_name = "FILE", group = "way")]
    certificate: Option<PathBuf>,
    /// Permissions to ask for, separated by blanks
    #[arg(long, value_name = "SCOPES")]
    scopes: Option<String>,
    /// Microsoft cloud to sign in to
    #[arg(long, value_name = "CLOUD")]
    cloud: Option<CloudName>,
    /// Address of the sign-in service, without the tenant
    #[arg(long, value_name = "URL", env = "PLANWRIGHT_AUTHORITY")]
    authority: Option<String>,
}

/// The clouds of Microsoft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CloudName {
    /// The usual one
    Global,
    /// US government
    Us,
    /// US Department of Defense
    Usdod,
    /// China, operated by 21Vianet; its Graph has no Planner
    China,
}

impl From<CloudName> for Cloud {
    fn from(name: CloudName) -> Self {
        match name {
            CloudName::Global => Self::Global,
            CloudName::Us => Self::Us,
            CloudName::Usdod => Self::UsDod,
            CloudName::China => Self::China,
        }
    }
}

/// Runs the command without a workspace, which is nothing to a sign-in.
pub(crate) fn run(global: &Global, ui: &Ui, command: &AuthCommand) -> Result<Exit, AppError> {
    let settings = global.settings();
    match command {
        AuthCommand::Login(args) => login(&settings, ui, args),
        AuthCommand::List => list(&settings, ui),
        AuthCommand::Use { name } => {
            sign_in::choose(&settings, name)?;
            ui.note(&format!("Now in use: {name}."));
            if ui.json() {
                ui.json_value(&json!({ "default": name }));
            }
            Ok(Exit::Done)
        }
        AuthCommand::Status => status(&settings, ui),
        AuthCommand::Logout => {
            let name = sign_in::logout(&settings)?;
            ui.note(&format!("Signed out: {name}."));
            if ui.json() {
                ui.json_value(&json!({ "signed_out": name }));
            }
            Ok(Exit::Done)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, AppError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn login(settings: &Settings, ui: &Ui, args: &LoginArgs) -> Result<Exit, AppError> {
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let login = Login {
        tenant: args.tenant.clone(),
        client_id: args.client_id.clone(),
        way: way(args)?,
        scopes: args.scopes.clone(),
        cloud: args.cloud.map(Cloud::from),
        authority: args.authority.clone(),
        has_browser: is_terminal && Settings::has_display(),
    };
    // On stderr whatever the format: whoever asks for JSON must sign in, too.
    let tell = |step: Step<'_>| match step {
        Step::Code { address, code } => {
            ui.say(&format!("To sign in, open {} and type {}", visible(address), visible(code)));
        }
        Step::Open(address) => {
            ui.say(&format!("To sign in, open this address:\n{}", visible(address)));
        }
    };
    let standing = runtime()?.block_on(sign_in::login(settings, &login, tell))?;
    if ui.json() {
        ui.json_value(&as_json(&standing));
    } else {
        let profile = &standing.profile;
        ui.note(&format!("Signed in as {} (profile {}).", who(profile), profile.name));
        say_missing(ui, &standing);
        if !standing.is_default {
            ui.note(&format!("planwright auth use {}       uses it from now on", profile.name));
        }
    }
    Ok(Exit::Done)
}

/// Returns the way to sign in, with the secret if it takes one.
fn way(args: &LoginArgs) -> Result<Option<Way>, AppError> {
    if let Some(path) = &args.certificate {
        return Ok(Some(Way::Certificate(Secret::new(files::read(path, MAX_SECRET)?))));
    }
    let secret = match &args.secret_file {
        Some(path) => Some(secret_of(path)?),
        None if args.device || args.browser => None,
        None => Settings::client_secret(),
    };
    Ok(match (secret, args.device, args.browser) {
        (Some(secret), ..) => Some(Way::Secret(secret)),
        (None, true, _) => Some(Way::Device),
        (None, _, true) => Some(Way::Browser),
        (None, false, false) => None,
    })
}

/// Reads the secret of an application, without the line break at its end.
fn secret_of(path: &Path) -> Result<Secret, AppError> {
    let text = if path != Path::new("-") {
        files::read(path, MAX_SECRET)?
    } else if let Some(secret) = secret::ask("Secret of the application: ")? {
        secret.reveal().to_owned()
    } else {
        crate::files::read_from(io::stdin().lock(), path, MAX_SECRET)?
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(AppError::new("invalid", "the secret of the application is empty"));
    }
    Ok(Secret::new(text.to_owned()))
}

fn list(settings: &Settings, ui: &Ui) -> Result<Exit, AppError> {
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for (profile, is_default) in sign_in::all(settings)? {
        let mark = if is_default { "*" } else { "" };
        rows.push(vec![
            profile.name.clone(),
            mark.to_owned(),
            who(&profile),
            profile.tenant.clone(),
            profile.flow.name().to_owned(),
            profile.graph_url.clone(),
        ]);
        values.push(profile_json(&profile, is_default));
    }
    let columns =
        ["PROFILE", "DEFAULT", "SIGNED IN AS", "TENANT", "BY", "SERVICE"].map(Column::title);
    let empty = "No profile is set up: the demo board is used. `planwright auth login` makes one.";
    show::list(ui, &columns, &rows, &values, empty);
    Ok(Exit::Done)
}

fn status(settings: &Settings, ui: &Ui) -> Result<Exit, AppError> {
    let Some(standing) = runtime()?.block_on(sign_in::standing(settings))? else {
        return Ok(without_profile(settings, ui));
    };
    if ui.json() {
        ui.json_value(&as_json(&standing));
    } else {
        for (name, value) in lines(&standing) {
            ui.answer(&format!("{name:<12} {}", visible(&value)));
        }
        say_missing(ui, &standing);
    }
    match &standing.kept {
        Ok(_) => Ok(Exit::Done),
        Err(error) => {
            if !ui.json() {
                ui.error(error);
            }
            // Whatever keeps it from being used, the caller is told that nobody is signed in.
            Ok(match Exit::of_failure(&error.failure) {
                Exit::Unavailable => Exit::Unavailable,
                _ => Exit::NotPermitted,
            })
        }
    }
}

/// Tells the standing where no profile is in force.
fn without_profile(settings: &Settings, ui: &Ui) -> Exit {
    let is_embedded = settings.profile.is_some();
    let has_token = Settings::has_token() && !is_embedded;
    if ui.json() {
        let by = if has_token { json!("PLANWRIGHT_TOKEN") } else { Value::Null };
        ui.json_value(&json!({ "profile": null, "signed_in": has_token, "by": by }));
    } else if has_token {
        ui.answer("The token in PLANWRIGHT_TOKEN is used, and goes before every profile.");
    } else {
        ui.answer("Nobody is signed in: the demo board on this machine is used.");
        ui.note("planwright auth login       signs in");
    }
    if has_token { Exit::Done } else { Exit::NotPermitted }
}

/// Returns who is signed in, in a few words.
fn who(profile: &Profile) -> String {
    let account = &profile.account;
    match (account.name.as_str(), account.upn.as_str()) {
        ("", "") => "somebody".to_owned(),
        (name, "") => name.to_owned(),
        ("", upn) => upn.to_owned(),
        (name, upn) => format!("{name} <{upn}>"),
    }
}

fn lines(standing: &Standing) -> Vec<(&'static str, String)> {
    let profile = &standing.profile;
    let default = if standing.is_default { " (the default)" } else { "" };
    let mut lines = vec![
        ("profile", format!("{}{default}", profile.name)),
        ("signed in as", who(profile)),
        ("tenant", profile.tenant.clone()),
        ("by", profile.flow.name().to_owned()),
        ("service", profile.graph_url.clone()),
    ];
    if let Ok(kept) = &standing.kept {
        if !kept.scopes.is_empty() {
            lines.push(("permissions", kept.scopes.join(" ")));
        }
        let minutes = kept.expires_at.duration_since(sign_in::now()).as_mins().max(0);
        let after = if renews_itself(kept) { "renews itself" } else { "then sign in again" };
        lines.push(("token", format!("good for {minutes} minutes, {after}")));
    }
    lines
}

fn say_missing(ui: &Ui, standing: &Standing) {
    for (what, scope) in standing.missing() {
        let warning = paint(YELLOW.bold(), "warning:");
        ui.note(&format!("{warning} without {scope} this does not work: {what}"));
    }
}

fn profile_json(profile: &Profile, is_default: bool) -> Value {
    let account = &profile.account;
    json!({
        "profile": profile.name,
        "default": is_default,
        "account": { "id": account.id, "name": account.name, "upn": account.upn },
        "tenant": profile.tenant,
        "tenant_id": account.tenant,
        "client_id": profile.client_id,
        "flow": profile.flow,
        "authority": profile.authority,
        "graph_url": profile.graph_url,
    })
}

fn as_json(standing: &Standing) -> Value {
    let mut value = profile_json(&standing.profile, standing.is_default);
    value["signed_in"] = standing.kept.is_ok().into();
    match &standing.kept {
        Ok(kept) => {
            value["scopes"] = json!(kept.scopes);
            value["expires_at"] = json!(kept.expires_at);
            value["renews_itself"] = renews_itself(kept).into();
        }
        Err(error) => value["error"] = json!(error.failure),
    }
    let missing = standing.missing().into_iter();
    let missing: Vec<Value> =
        missing.map(|(what, scope)| json!({ "scope": scope, "disables": what })).collect();
    value["missing"] = missing.into();
    value
}
