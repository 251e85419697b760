//! `planwright emulator`: the embedded Planner, served to other programs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;

use crate::app::error::AppError;
use crate::app::workspace::time_zone;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files;
use crate::cli::options::address;
use crate::cli::ui;
use crate::emulator::{Access, Emulator, Options, Storage, Tls};
use crate::host::SystemClock;
use crate::model::time::Clock as _;

const EXAMPLES: &str = "\
The first line on stdout is the base URL. The bearer token `emulator:UPN` signs in as that user,
for example `emulator:rook@bos.example` in the demo tenant.

Example:
  planwright emulator --addr 127.0.0.1:8080 --demo
  curl -H 'Authorization: Bearer emulator:rook@bos.example' http://127.0.0.1:8080/v1.0/me

Through TLS, for clients that speak nothing else:
  planwright emulator --demo --tls --ca-out ca.pem";

/// Serve the embedded Planner to other programs
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EmulatorArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_parser = address)]
    addr: SocketAddr,
    /// File to keep the data in (default: in memory)
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Set up the demo tenant, unless there is data already
    #[arg(long, conflicts_with = "seed")]
    demo: bool,
    /// Set up the tenant that a file describes, unless there is data already; the format is in
    /// docs/guides/emulator.md
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Extra host name to answer to, besides those of this machine; may be repeated
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Serve through TLS, with a certificate made at the start for `localhost` and each `--host`
    #[arg(long)]
    tls: bool,
    /// File to write the certificate of the authority to, as PEM, for clients to trust
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_out: Option<PathBuf>,
    /// Plans, buckets or tasks per page of a list
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u16).range(1..))]
    page_size: u16,
}

pub(crate) fn run(context: &Context<'_>, args: &EmulatorArgs) -> Result<Exit, AppError> {
    if !args.addr.ip().is_loopback() {
        ui::remark(&format!(
            "warning: {} can be reached from other machines, and anyone can sign in as anyone",
            args.addr
        ));
    }
    let storage = args.data.clone().map_or(Storage::Memory, Storage::File);
    let broken = |error: crate::emulator::Error| {
        AppError::new("io", "cannot open the data of the emulator").caused_by(&error)
    };
    let mut options = Options::new(storage, Arc::new(SystemClock));
    options.zone = time_zone(&context.app.workspace)?;
    options.page_size = usize::from(args.page_size);
    options.access = Access::ByName(args.host.clone());
    let emulator = Emulator::open(options).map_err(broken)?;
    if args.demo {
        emulator.seed_demo().map_err(broken)?;
    }
    if let Some(file) = &args.seed
        && emulator.is_empty().map_err(broken)?
    {
        let text = files::read(file)?;
        emulator.seed(&text).map_err(|error| {
            AppError::new("seed", format!("`{}` does not describe a tenant", file.display()))
                .caused_by(&error)
        })?;
    }
    let tls = certificate(args)?;
    context.block_on(async {
        let listener = TcpListener::bind(args.addr).await.map_err(|error| {
            AppError::new("io", format!("cannot listen on {}", args.addr))
                .caused_by(&error)
                .hint("is another program using the port? `--addr 127.0.0.1:0` takes a free one")
        })?;
        let address = listener.local_addr()?;
        ui::announce(&match &tls {
            // The name that every certificate is for.
            Some(_) => format!("https://localhost:{}/v1.0", address.port()),
            None => format!("http://{address}/v1.0"),
        });
        ui::remark("Serving; stop with Ctrl-C.");
        let stopped = async {
            let _no_handler = tokio::signal::ctrl_c().await;
        };
        match &tls {
            Some(tls) => emulator.serve_tls(listener, tls, stopped).await?,
            None => emulator.serve(listener, stopped).await?,
        }
        Ok(Exit::Done)
    })
}

/// Makes the certificate, if TLS is asked for, and writes that of its authority before any client
/// can know the address.
fn certificate(args: &EmulatorArgs) -> Result<Option<Tls>, AppError> {
    if !args.tls {
        return Ok(None);
    }
    let mut names = args.host.clone();
    if !args.addr.ip().is_loopback() && !args.addr.ip().is_unspecified() {
        names.push(args.addr.ip().to_string());
    }
    let tls = Tls::new(&names, SystemClock.now()).map_err(|error| {
        AppError::new("io", "cannot make a certificate")
            .caused_by(&error)
            .hint("is each `--host` a name or an address?")
    })?;
    if let Some(file) = &args.ca_out {
        files::write(file, tls.authority(), files::Access::Usual)?;
    }
    Ok(Some(tls))
}
