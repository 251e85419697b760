//! `planwright auth`: signing in and out, and who is signed in.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::sign_in::{self, Login, ReadyToken, Standing, Step, Way};
use crate::auth::{self, Account, Cloud, Profile};
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
    after_help = "The sign-in is kept sealed in the state folder: with PLANWRIGHT_PASSPHRASE, with the file that\nPLANWRIGHT_KEY_FILE names, with a key in the keyring of the system, or with a passphrase that is\nasked for. It renews itself. Nothing is kept of what the platform lends: --azure-cli,\n--managed-identity and --workload ask it for a token each time.\n\nWithout --device or --browser, a browser is used where there is one, else a code. The secret of\nan application comes from a file, from standard input (`-`), or from PLANWRIGHT_CLIENT_SECRET,\nthe password of a PFX file from PLANWRIGHT_CERTIFICATE_PASSWORD, or it is asked for.\nWhat is not given is as at the last sign-in of the profile.\n\nExamples:\n  planwright auth login --client-id ID --tenant bos.example\n  planwright auth login --device                         again, with a code\n  planwright auth login --profile app --client-id ID --tenant bos.example --secret-file secret.txt\n  planwright auth login --profile app --managed-identity"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct LoginArgs {
    /// Tenant: its domain or its id (default: any work account)
    #[arg(long, value_name = "T")]
    tenant: Option<String>,
    /// Application to sign in with, by its client id
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Sign in with a code on another device
    #[arg(long, group = "way")]
    device: bool,
    /// Sign in with a browser of this machine
    #[arg(long, group = "way")]
    browser: bool,
    /// Sign in as the application itself, with the secret in a file; `-` is standard input
    #[arg(long, value_name = "FILE", group = "way")]
    secret_file: Option<PathBuf>,
    /// Sign in as the application itself, with the certificate and its RSA key in a PEM or PFX file
    #[arg(long, value_name = "FILE", group = "way")]
    certificate: Option<PathBuf>,
    /// Sign in as the identity of this machine, which its platform lends
    #[arg(long, group = "way")]
    managed_identity: bool,
    /// Sign in as whoever is signed in at the Azure CLI
    #[arg(long, group = "way")]
    azure_cli: bool,
    /// Sign in as the application for whose workload the platform vouches, by AZURE_FEDERATED_TOKEN_FILE
    #[arg(long, group = "way")]
    workload: bool,
    /// Permissions to ask for, separated by spaces
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
        ui.note(&format!("Signed in as {} (profile {}).", profile.who(), profile.name));
        if let Some(other) = &standing.replaced {
            let warning = paint(YELLOW.bold(), "warning:");
            ui.note(&format!(
                "{warning} the profile {} was {} before; `--profile NAME` keeps both",
                profile.name,
                visible(&other.who())
            ));
        }
        say_missing(ui, &standing.missing());
        if !standing.is_default {
            ui.note(&format!("planwright auth use {}       uses it from now on", profile.name));
        }
        if settings.token().is_some() {
            ui.note("PLANWRIGHT_TOKEN is set, and takes precedence over every profile: unset it.");
        }
    }
    Ok(Exit::Done)
}

/// Returns the way to sign in, with the secret if it takes one.
fn way(args: &LoginArgs) -> Result<Option<Way>, AppError> {
    let lent = [
        (args.managed_identity, Way::ManagedIdentity),
        (args.azure_cli, Way::AzureCli),
        (args.workload, Way::Workload),
    ];
    if let Some((_, way)) = lent.into_iter().find(|(is_asked, _)| *is_asked) {
        return Ok(Some(way));
    }
    if let Some(path) = &args.certificate {
        let file = files::read_bytes_from(files::open(path)?, path, MAX_SECRET)?;
        let pem = auth::as_pem(file, || password_of(path))?;
        return Ok(Some(Way::Certificate(pem)));
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
    } else if let Some(secret) = ask("Secret of the application: ")? {
        secret.reveal().to_owned()
    } else {
        crate::files::read_from(io::stdin().lock(), path, MAX_SECRET)?
    };
    // Editors of Windows begin a file with a mark.
    let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(AppError::new("invalid", "the secret of the application is empty"));
    }
    Ok(Secret::new(text.to_owned()))
}

/// Returns the password of a PFX file: that of the environment, or the one that a person types; else it is
/// taken to have none.
fn password_of(path: &Path) -> Result<Secret, auth::Error> {
    if let Some(password) = Settings::certificate_password() {
        return Ok(password);
    }
    let typed = ask(&format!("Password of {}: ", visible(&path.display().to_string())))?;
    Ok(typed.unwrap_or_else(|| Secret::new(String::new())))
}

/// Asks the person at the terminal, if there is one.
fn ask(text: &str) -> Result<Option<Secret>, auth::Error> {
    secret::ask(text).map_err(|source| match source.kind() {
        io::ErrorKind::Interrupted => auth::Error::Stopped,
        _ => auth::Error::Io { path: "/dev/tty".into(), source },
    })
}

fn list(settings: &Settings, ui: &Ui) -> Result<Exit, AppError> {
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for (profile, is_default) in sign_in::all(settings)? {
        let mark = if is_default { "*" } else { "" };
        rows.push(vec![
            profile.name.clone(),
            mark.to_owned(),
            profile.who(),
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
    if let Some(token) = sign_in::ready_token(settings) {
        return Ok(with_token(ui, &token));
    }
    let Some(standing) = runtime()?.block_on(sign_in::standing(settings))? else {
        return Ok(without_profile(ui));
    };
    if ui.json() {
        ui.json_value(&as_json(&standing));
    } else {
        show_lines(ui, &lines(&standing));
        say_missing(ui, &standing.missing());
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
fn without_profile(ui: &Ui) -> Exit {
    if ui.json() {
        ui.json_value(&json!({ "profile": null, "signed_in": false, "by": null }));
    } else {
        ui.answer("Nobody is signed in: the demo board on this machine is used.");
        ui.note("planwright auth login       signs in");
    }
    Exit::NotPermitted
}

/// Shows the ready token in the environment, as far as it tells of itself.
fn with_token(ui: &Ui, token: &ReadyToken) -> Exit {
    let ReadyToken { account, permissions, ends_at } = token;
    if ui.json() {
        ui.json_value(&json!({
            "profile": null,
            "signed_in": !token.is_over(),
            "by": "PLANWRIGHT_TOKEN",
            "account": account_json(account),
            "tenant_id": account.tenant,
            "application": account.is_app,
            "scopes": permissions,
            "expires_at": ends_at,
            "renews_itself": false,
            "missing": missing_json(token.missing()),
        }));
    } else {
        ui.answer(
            "The token in PLANWRIGHT_TOKEN is used, and takes precedence over every profile.",
        );
        let is_told = !account.upn.is_empty() || !account.name.is_empty();
        let who = if is_told { account.who() } else { "unknown: it does not say".to_owned() };
        let mut lines = vec![("signed in as", who)];
        if !account.tenant.is_empty() {
            lines.push(("tenant", account.tenant.clone()));
        }
        if !permissions.is_empty() {
            lines.push(("permissions", permissions.join(" ")));
        }
        lines.push((
            "token",
            ends_at.map_or("it does not say when it ends".to_owned(), |at| {
                let minutes = at.duration_since(sign_in::now()).as_mins();
                if token.is_over() {
                    "it has expired: get another one".to_owned()
                } else {
                    format!("good for {} minutes, then get another one", minutes.max(0))
                }
            }),
        ));
        show_lines(ui, &lines);
        say_missing(ui, &token.missing());
    }
    if token.is_over() { Exit::NotPermitted } else { Exit::Done }
}

fn show_lines(ui: &Ui, lines: &[(&str, String)]) {
    for (name, value) in lines {
        ui.answer(&format!("{name:<12} {}", visible(value)));
    }
}

fn lines(standing: &Standing) -> Vec<(&'static str, String)> {
    let profile = &standing.profile;
    let default = if standing.is_default { " (the default)" } else { "" };
    let mut lines = vec![
        ("profile", format!("{}{default}", profile.name)),
        ("signed in as", profile.who()),
        ("tenant", profile.tenant.clone()),
        ("by", profile.flow.name().to_owned()),
        ("service", profile.graph_url.clone()),
        ("kept", kept_how(standing)),
    ];
    if let Ok(kept) = &standing.kept {
        if !kept.scopes.is_empty() {
            lines.push(("permissions", kept.scopes.join(" ")));
        }
        let minutes = kept.expires_at.duration_since(sign_in::now()).as_mins().max(0);
        let after = if standing.renews_itself() { "renews itself" } else { "then sign in again" };
        lines.push(("token", format!("good for {minutes} minutes, {after}")));
    }
    if let Some(ends) = standing.certificate_ends() {
        lines.push(("certificate", format!("valid until {}", ends.strftime("%F"))));
    }
    lines
}

/// Returns how the sign-in is kept, and where its key is.
pub(crate) fn kept_how(standing: &Standing) -> String {
    match standing.sealed_with {
        Some(with) => format!("sealed with {with}"),
        None if standing.profile.flow.is_lent() => "nowhere: the platform lends it".to_owned(),
        None => "nowhere".to_owned(),
    }
}

fn say_missing(ui: &Ui, missing: &[(&'static str, &'static str)]) {
    for (what, scope) in missing {
        let warning = paint(YELLOW.bold(), "warning:");
        ui.note(&format!("{warning} without {scope} this does not work: {what}"));
    }
}

fn missing_json(missing: Vec<(&'static str, &'static str)>) -> Value {
    let each = |(what, scope): (&str, &str)| json!({ "scope": scope, "disables": what });
    missing.into_iter().map(each).collect()
}

fn account_json(account: &Account) -> Value {
    json!({ "id": account.id, "name": account.name, "upn": account.upn })
}

fn profile_json(profile: &Profile, is_default: bool) -> Value {
    json!({
        "profile": profile.name,
        "default": is_default,
        "account": account_json(&profile.account),
        "tenant": profile.tenant,
        "tenant_id": profile.account.tenant,
        "client_id": profile.client_id,
        "flow": profile.flow,
        "authority": profile.authority,
        "graph_url": profile.graph_url,
    })
}

fn as_json(standing: &Standing) -> Value {
    let mut value = profile_json(&standing.profile, standing.is_default);
    value["signed_in"] = standing.kept.is_ok().into();
    value["application"] = standing.profile.is_app().into();
    value["sealed_with"] = json!(standing.sealed_with);
    match &standing.kept {
        Ok(kept) => {
            value["scopes"] = json!(kept.scopes);
            value["expires_at"] = json!(kept.expires_at);
            value["renews_itself"] = standing.renews_itself().into();
        }
        Err(error) => value["error"] = json!(error.failure),
    }
    if let Some(ends) = standing.certificate_ends() {
        value["certificate_expires_at"] = json!(ends);
    }
    if let Some(other) = &standing.replaced {
        value["replaced"] = account_json(other);
    }
    value["missing"] = missing_json(standing.missing());
    value
}
