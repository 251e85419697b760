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
    // Before the question: whoever sees it may begin to type.
    let hidden = Hidden::begin()?;
    let mut err = io::stderr();
    write!(err, "{text}")?;
    err.flush()?;
    let line = line_of(&mut io::stdin().lock());
    drop(hidden);
    // The line that the person ended was not shown.
    writeln!(err)?;
    Ok(Some(Secret::new(line?)))
}

/// A terminal that does not show what is typed, until this is dropped.
#[cfg(unix)]
struct Hidden(rustix::termios::Termios);

#[cfg(unix)]
impl Hidden {
    fn begin() -> io::Result<Self> {
        use rustix::termios::{
            LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr,
        };
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        // Key by key, Ctrl-C included: its signal would end the program and leave a terminal that
        // shows nothing of what is typed.
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // If the terminal is gone, there is nothing to restore.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Nothing can be hidden here.
#[cfg(not(unix))]
struct Hidden;

#[cfg(not(unix))]
impl Hidden {
    fn begin() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Reads a line that is typed key by key.
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
