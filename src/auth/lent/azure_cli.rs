//! Whoever is signed in at the Azure CLI. It is asked by its documented command; what it keeps of its own
//! is not read.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::auth::error::Error;
use crate::auth::lent::{granted, shown};
use crate::auth::oauth::Granted;
use crate::graph::SignInError;

const PROGRAM: &str = if cfg!(windows) { "az.cmd" } else { "az" };
/// The longest wait for its answer: it may have to renew its own sign-in.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most that is read of its answer, and of what it complains about, in bytes.
const MAX_ANSWER: u64 = 64 << 10;
/// The secrets of this program, none of which it needs.
const OWN: [&str; 5] = [
    "PLANWRIGHT_TOKEN",
    "PLANWRIGHT_PASSPHRASE",
    "PLANWRIGHT_KEY_FILE",
    "PLANWRIGHT_CLIENT_SECRET",
    "PLANWRIGHT_CERTIFICATE_PASSWORD",
];

/// The answer of the program. The token in it is never shown.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "accessToken")]
    access: String,
    /// In seconds; older versions tell only a local time.
    expires_on: Option<i64>,
}

/// Asks for a token for a service; the tenant is the one that is active there, unless one is named.
pub(crate) async fn token(resource: &str, tenant: &str, now: Timestamp) -> Result<Granted, Error> {
    let mut arguments = ["account", "get-access-token", "--resource", resource, "--output", "json"]
        .map(str::to_owned)
        .to_vec();
    if tenant != "organizations" {
        arguments.extend(["--tenant".to_owned(), tenant.to_owned()]);
    }
    let asked = tokio::task::spawn_blocking(move || ask(&arguments)).await;
    let answer = asked.map_err(|error| SignInError::Unavailable(error.to_string()))??;
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| {
        SignInError::Refused("the Azure CLI did not answer with a token".to_owned())
    })?;
    let ends = answer.expires_on.and_then(|at| Timestamp::from_second(at).ok());
    Ok(granted(answer.access, ends, now))
}

/// Runs the program; returns what it prints.
fn ask(arguments: &[String]) -> Result<Vec<u8>, Error> {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in OWN {
        command.env_remove(name);
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        // It is a script that starts another program: all of it must end.
        command.process_group(0);
    }
    let mut child = command.spawn().map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::from(SignInError::Refused(
            "there is no program `az`: install the Azure CLI, then `az login`".to_owned(),
        )),
        _ => Error::Io { path: PathBuf::from(PROGRAM), source },
    })?;
    let answer = read(child.stdout.take());
    let complaint = read(child.stderr.take());
    let answered = answer.recv_timeout(PATIENCE);
    let Ok(answer) = answered else {
        end(&mut child);
        let why = format!("the Azure CLI has not answered for {} s", PATIENCE.as_secs());
        return Err(SignInError::Unavailable(why).into());
    };
    let complaint = complaint.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    // What it starts may outlive its output.
    let status = wait(&mut child);
    if status {
        return Ok(answer);
    }
    let complaint = String::from_utf8_lossy(&complaint);
    let line = complaint.lines().find_map(|line| line.strip_prefix("ERROR:"));
    let why = line.map_or_else(|| "it failed, and `az login` may help".to_owned(), shown);
    Err(SignInError::Refused(format!("the Azure CLI: {why}")).into())
}

/// Reads a stream to its end on a thread of its own, so that neither holds up the other.
fn read(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, whole) = mpsc::channel();
    if let Some(stream) = stream {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _cut_off = stream.take(MAX_ANSWER).read_to_end(&mut bytes);
            let _nobody_waits = sender.send(bytes);
        });
    }
    whole
}

/// Waits for a program that has said all that it has to say; returns whether it went well.
fn wait(child: &mut Child) -> bool {
    for _ in 0..100 {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(Duration::from_millis(50)),
            Err(_) => return false,
        }
    }
    end(child);
    false
}

/// Ends the program with all that it has started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ended = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ended = child.kill();
    let _reaped = child.wait();
}
