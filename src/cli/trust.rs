//! The workspaces that a person trusts, though somebody else can write them. Kept in the state
//! folder, out of reach of any workspace.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::cli::args::Global;
use crate::cli::error::CommandError;
use crate::cli::files::{self, Access};
use crate::cli::settings;
use crate::script::workspace::CONFIG_FILE;
use crate::script::workspace::ownership::{Foreign, foreign};

fn store(global: &Global) -> Result<PathBuf, CommandError> {
    Ok(settings::state_dir(global)?.join("trusted.json"))
}

/// Returns the folders that are trusted.
pub(crate) fn trusted(global: &Global) -> Result<BTreeSet<String>, CommandError> {
    let store = store(global)?;
    if !store.exists() {
        return Ok(BTreeSet::new());
    }
    let wrong = |error: serde_json::Error| {
        CommandError::new("config", format!("`{}` is no list of folders", store.display()))
            .caused_by(&error)
            .hint("remove it, and trust the folders again")
    };
    serde_json::from_str(&files::read(&store)?).map_err(wrong)
}

/// Trusts a folder from now on, or not any more; returns how it is kept.
pub(crate) fn set(global: &Global, dir: &Path, trust: bool) -> Result<String, CommandError> {
    let name = name_of(dir)?;
    let mut all = trusted(global)?;
    let changed = if trust { all.insert(name.clone()) } else { all.remove(&name) };
    if changed {
        settings::make_private_dir(&settings::state_dir(global)?)?;
        let text = serde_json::to_string_pretty(&all).unwrap_or_default();
        files::write(&store(global)?, &text, Access::Owner)?;
    }
    Ok(name)
}

/// Makes sure that a workspace may be used.
pub(crate) fn check(global: &Global, root: &Path) -> Result<(), CommandError> {
    // Where there is none, loading it says so.
    if !root.join(CONFIG_FILE).exists() {
        return Ok(());
    }
    let Some(Foreign { path, why }) = foreign(root) else { return Ok(()) };
    let name = name_of(root)?;
    if trusted(global)?.contains(&name) {
        return Ok(());
    }
    let shown = shlex::try_quote(&name).map_or_else(|_| name.clone(), std::borrow::Cow::into_owned);
    let whole = format!("the workspace `{name}` is not used: `{}` {why}", path.display());
    Err(CommandError::new("workspace", whole).hint(format!(
        "if you trust whoever can write it: `planwright config trust {shown}`; or name another with `--workspace DIR`"
    )))
}

/// The name by which a folder is kept: where it really lies.
fn name_of(dir: &Path) -> Result<String, CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::new("io", format!("`{}` is no folder", dir.display())).caused_by(&error)
    };
    let real = dir.canonicalize().map_err(failed)?;
    let text = real.to_str().map(str::to_owned);
    text.ok_or_else(|| CommandError::usage(format!("`{}` is not UTF-8", dir.display())))
}
