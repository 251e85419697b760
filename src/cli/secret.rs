//! Asking a person for a secret, which is not shown while it is typed.

use std::io::{self, IsTerminal as _, Write as _};

use crate::graph::Secret;

/// Asks the person at the terminal; `None` if there is nobody, or no way to hide what is typed.
pub(crate) fn ask(text: &str) -> io::Result<Option<Secret>> {
    if !cfg!(unix) || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    let mut err = io::stderr();
    write!(err, "{text}")?;
    err.flush()?;
    let line = hidden_line();
    // The line that the person ended was not shown.
    writeln!(err)?;
    Ok(Some(Secret::new(line?.trim_end_matches(['\r', '\n']).to_owned())))
}

#[cfg(unix)]
fn hidden_line() -> io::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Now, &before)?;
    read.map(|_| line)
}

#[cfg(not(unix))]
fn hidden_line() -> io::Result<String> {
    Err(io::ErrorKind::Unsupported.into())
}
