//! Asking a person for a secret, which is not shown while it is typed.

use std::io::{self, BufRead, IsTerminal as _, Read as _, Write as _};

use crate::graph::Secret;

/// The longest secret that is typed, in bytes.
const MAX_TYPED: usize = 4096;

/// Asks the person at the terminal; `None` if there is nobody, or no way to hide what is typed. Ctrl-C is an
/// error of the kind [`io::ErrorKind::Interrupted`].
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
    Ok(Some(Secret::new(line?)))
}

#[cfg(unix)]
fn hidden_line() -> io::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut hidden = before.clone();
    // Key by key, Ctrl-C included: its signal would end the program and leave a terminal that shows
    // nothing of what is typed.
    hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
    hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let line = line_of(&mut stdin.lock());
    tcsetattr(&stdin, OptionalActions::Now, &before)?;
    line
}

#[cfg(not(unix))]
fn hidden_line() -> io::Result<String> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Reads a line that is typed key by key.
#[cfg_attr(not(unix), expect(dead_code, reason = "nothing can be hidden there"))]
fn line_of(keys: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    for key in keys.bytes() {
        match key? {
            b'\r' | b'\n' => break,
            // Ctrl-C and Ctrl-\
            0x03 | 0x1c => return Err(io::ErrorKind::Interrupted.into()),
            // Ctrl-D
            0x04 if line.is_empty() => break,
            // Backspace takes a whole character.
            0x7f | 0x08 => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            // Ctrl-U
            0x15 => line.clear(),
            byte if byte >= 0x20 && line.len() < MAX_TYPED => line.push(byte),
            _ => {}
        }
    }
    String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_typed_key_by_key() {
        let typed = |keys: &str| line_of(&mut keys.as_bytes());
        assert_eq!(typed("open sesame\rrest").unwrap(), "open sesame");
        assert_eq!(typed("opé\u{7f}en\n").unwrap(), "open");
        assert_eq!(typed("wrong\u{15}right\u{1b}\r").unwrap(), "right");
        assert_eq!(typed("\u{7f}\u{4}").unwrap(), "");
        assert_eq!(typed("op\u{3}en\r").unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert_eq!(typed(&"a".repeat(5000)).unwrap().len(), MAX_TYPED);
    }
}
