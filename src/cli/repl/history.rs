//! The lines typed before: a file for each service, private to its owner and without secrets, since
//! tokens get pasted at a prompt.

use std::path::PathBuf;

use crate::app::error::AppError;
use crate::app::state_dir;
use crate::cli::context::Context;

/// Words that come with secrets.
const TELLTALES: [&str; 7] =
    ["bearer ", "access_token", "refresh_token", "secret", "password", "passwd", "api_key"];
/// Length from which a run of letters and digits is neither a word nor an id of Planner's (28).
const LONG: usize = 30;

/// Returns the file of a service, and creates its folder.
pub(crate) fn file(context: &Context<'_>, service: &str) -> Result<PathBuf, AppError> {
    let folder = context.app.settings.state_dir()?.join("history");
    state_dir::make_private(&folder)?;
    let keep = |ch: char| if ch.is_ascii_alphanumeric() { ch } else { '_' };
    let name: String = service.chars().map(keep).take(80).collect();
    Ok(folder.join(format!("{name}.txt")))
}

/// Returns whether a line may hold a secret; such a line is not kept.
pub(crate) fn is_secret(line: &str) -> bool {
    let lower = line.to_lowercase();
    // Every JSON Web Token begins with `eyJ`, the base64 of `{"`.
    if TELLTALES.iter().any(|word| lower.contains(word)) || line.contains("eyJ") {
        return true;
    }
    // Client secrets of Entra contain a digit followed by `Q~`.
    let bytes = line.as_bytes();
    if bytes
        .windows(3)
        .any(|three| three[0].is_ascii_digit() && three[1] == b'Q' && three[2] == b'~')
    {
        return true;
    }
    let is_part = |ch: char| {
        ch.is_ascii_alphanumeric() || matches!(ch, '_' | '-' | '+' | '~' | '.' | '/' | '=')
    };
    line.split(|ch| !is_part(ch)).any(|run| {
        let has = |of: fn(&char) -> bool| run.chars().any(|ch| of(&ch));
        let mixed = has(char::is_ascii_digit)
            && has(char::is_ascii_uppercase)
            && has(char::is_ascii_lowercase);
        run.len() >= LONG && mixed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_kept() {
        for line in [
            "let t = \"eyJ0eXAiOiJKV1QiLCJhbGciOiJ\"",
            "// Bearer x",
            "let client_secret = 1",
            "let x = \"q8Q~Zk3mPvT1wXyLrB7nC5dF9gH2jK4sA6uE0iOqWzY\"",
            "let s = \"abc8Q~Zk3mP.vT1wXyLrB7nC5dF9gH2jK4sA6uE0i\"",
            "let s = \"Zk3mP.vT1wXyLrB7nC5d.F9gH2jK4sA6uE0i\"",
        ] {
            assert!(is_secret(line), "{line}");
        }
        for line in [
            "board.task(\"Check the fire extinguishers\").due = next(\"friday\")",
            "task(\"01gzSlKkIUSUl6DF_EilrmQAKDhh\")",
            "group(\"4f6a2c1e-7b3d-4a58-9c0e-1d2b3f4a5c61\").name",
        ] {
            assert!(!is_secret(line), "{line}");
        }
    }
}
