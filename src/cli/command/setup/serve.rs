//! `planwright serve`: the start of the server for people and programs, and the tokens with which they
//! come in.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::app::App;
use crate::app::error::AppError;
use crate::app::faces::{Faces, ServeStart, TlsFiles};
use crate::app::settings::Settings;
use crate::app::token::serve_tokens::{self, OfUser, Role};
use crate::cli::context::{Context, for_people};
use crate::cli::exit::Exit;
use crate::cli::options::{Global, ProgressWhen, address};
use crate::cli::render::table::Column;
use crate::cli::show;
use crate::cli::ui::{self, Ui};
use crate::host::SystemClock;
use crate::model::Clock as _;

/// Script processes to start early: for a skill, and for the policies that judge it.
const SCRIPTS: usize = 2;

const NOTES: &str = "\
The first two lines of stdout are the address, and a link that signs in once. Others sign in with tokens
that `planwright serve token create` makes; a program sends its token as `Authorization: Bearer TOKEN`.
Beyond this machine it needs a certificate, or a proxy in front of it that has one.

Examples:
  planwright serve
  planwright serve --addr 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem --name plans.example.org
  planwright serve token create --name ana --role approver";

/// Serve schedules, an API, and a page for the browser
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = NOTES)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    command: Option<ServeCommand>,
    #[command(flatten)]
    start: StartArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7526", value_parser = address)]
    addr: SocketAddr,
    /// Certificate for TLS, with its chain, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A proxy stands in front, does TLS, and passes on the Host header
    #[arg(long)]
    behind_proxy: bool,
    /// Host name to answer to (default: beyond this machine, any)
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServeCommand {
    /// Create, list and revoke the tokens of people, programs and agents
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token; it is shown once
    #[command(
        after_help = "A viewer reads, an approver also approves, rejects and pauses, an admin does everything.\nAn agent's token is for `/mcp` alone.\n\nExamples:\n  planwright serve token create --name ana --role approver --user ana@example.org\n  planwright serve token create --agent rook"
    )]
    Create(CreateArgs),
    /// List who has a token
    List,
    /// Revoke a token, and sign out whoever came in with it
    #[command(after_help = "Example:\n  planwright serve token revoke --name ana")]
    Revoke(WhoseArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    whose: WhoseArgs,
    /// Role of the person or program
    #[arg(
        long,
        value_name = "ROLE",
        required_unless_present = "of_agent",
        conflicts_with = "of_agent"
    )]
    role: Option<RoleArg>,
    /// User of the service that the person is, by name, UPN or id; `four_eyes` tells people apart by it
    #[arg(long, value_name = "USER", conflicts_with = "of_agent")]
    user: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WhoseArgs {
    /// Name of the person or program
    #[arg(long, value_name = "NAME", required_unless_present = "of_agent")]
    name: Option<String>,
    /// Name of the agent, for `/mcp`
    // Not `agent`: that is the id of `--as`.
    #[arg(long = "agent", value_name = "NAME", conflicts_with = "name")]
    of_agent: Option<String>,
}

/// The roles that a person can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Reads, the audit log included
    Viewer,
    /// Also approves, rejects and pauses
    Approver,
    /// Does everything
    Admin,
}

pub(crate) fn run(
    global: &Global,
    ui: &Ui,
    args: &ServeArgs,
    faces: Faces,
) -> Result<Exit, AppError> {
    for_people(global.agent.as_deref(), "serve")?;
    if let Some(ServeCommand::Token(command)) = &args.command {
        return token(global, ui, command);
    }
    let app = App::open(global.settings(), SCRIPTS)?;
    for warning in app.workspace.config.warnings() {
        ui.note(&format!("warning: {warning}"));
    }
    let StartArgs { addr, tls_cert, tls_key, behind_proxy, names } = &args.start;
    let tls = tls_cert.clone().zip(tls_key.clone());
    (faces.serve)(ServeStart {
        app,
        addr: *addr,
        tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
        behind_proxy: *behind_proxy,
        names: names.clone(),
        json: ui.json(),
        announce: ui::announce,
        mount: faces.mount,
    })?;
    Ok(Exit::Done)
}

/// Finds a user, so that nobody is bound to one that there is not.
fn found(settings: &Settings, ui: &Ui, user: &str) -> Result<OfUser, AppError> {
    let app = App::open(settings.clone(), 0)?;
    let context = Context::around(app, None, ProgressWhen::Never, ui)?;
    let user = user.to_owned();
    Ok(context.look(move |session| Ok(session.find_user(&user)?))?.into())
}

fn token(global: &Global, ui: &Ui, command: &TokenCommand) -> Result<Exit, AppError> {
    let settings = global.settings();
    match command {
        TokenCommand::Create(args) => {
            let role = args.role.map(|role| match role {
                RoleArg::Viewer => Role::Viewer,
                RoleArg::Approver => Role::Approver,
                RoleArg::Admin => Role::Admin,
            });
            let name = args.whose.of_agent.as_deref().or(args.whose.name.as_deref());
            let name = name.unwrap_or_default();
            if role.is_none() {
                // A token for an agent that nobody knows would open nothing.
                App::open(settings.clone(), 0)?.agent(Some(name))?;
            }
            let user = args.user.as_deref().map(|user| found(&settings, ui, user)).transpose()?;
            let upn = user.as_ref().map(|user| user.upn.clone());
            let token = serve_tokens::create(&settings, name, (role, user), SystemClock.now())?;
            let role = role.map_or("agent", Role::name);
            if ui.json() {
                let mut made = json!({ "name": name, "role": role, "token": token });
                if upn.is_some() {
                    made["user"] = json!(upn);
                }
                ui.json_value(&made);
            } else {
                ui.note("Keep it safe: it is shown this once.");
                ui.answer(&token);
            }
        }
        TokenCommand::List => {
            let all = serve_tokens::all(&settings)?;
            let row = |kept: &serve_tokens::KeptToken| {
                let at = kept.created_at.strftime("%Y-%m-%d").to_string();
                let user = kept.user.as_ref().map(|user| user.upn.clone()).unwrap_or_default();
                vec![kept.name.clone(), kept.role_name().to_owned(), user, at]
            };
            let rows: Vec<Vec<String>> = all.iter().map(row).collect();
            let values: Vec<Value> = all.iter().map(serve_tokens::KeptToken::listed).collect();
            let columns = ["NAME", "ROLE", "USER", "SINCE"].map(Column::new);
            show::list(ui, &columns, &rows, &values, "Nobody has a token.");
        }
        TokenCommand::Revoke(args) => {
            let (name, is_agent) = match (&args.of_agent, &args.name) {
                (Some(agent), _) => (agent.as_str(), true),
                (None, name) => (name.as_deref().unwrap_or_default(), false),
            };
            serve_tokens::revoke(&settings, name, is_agent, SystemClock.now())?;
            ui.note("The token opens nothing any more.");
            if ui.json() {
                ui.json_value(&json!({ "name": name, "revoked": true }));
            }
        }
    }
    Ok(Exit::Done)
}
