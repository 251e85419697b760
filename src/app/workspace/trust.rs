//! The workspaces that a person trusts although somebody else can write to them. Their list is in
//! the state folder, or a workspace could add itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::state_dir;
use crate::files::{self, Access};
use crate::script::workspace::CONFIG_FILE;
use crate::script::workspace::ownership::{Foreign, foreign};

/// Largest list of folders that is read, in bytes.
const MAX_LIST: u64 = 1 << 20;

fn store(settings: &Settings) -> Result<PathBuf, AppError> {
    Ok(settings.state_dir()?.join("trusted.json"))
}

/// Returns the folders that are trusted.
pub(crate) fn trusted(settings: &Settings) -> Result<BTreeSet<String>, AppError> {
    let store = store(settings)?;
    if !store.exists() {
        return Ok(BTreeSet::new());
    }
    let wrong = |error: serde_json::Error| {
        AppError::new("config", format!("`{}` is not a list of folders", store.display()))
            .caused_by(&error)
            .hint("remove it, and trust the folders again")
    };
    serde_json::from_str(&files::read(&store, MAX_LIST)?).map_err(wrong)
}

/// Trusts a folder from now on, or no longer; returns its name in the list.
pub(crate) fn set(settings: &Settings, dir: &Path, trust: bool) -> Result<String, AppError> {
    let name = name_of(dir)?;
    let mut all = trusted(settings)?;
    let changed = if trust { all.insert(name.clone()) } else { all.remove(&name) };
    if changed {
        state_dir::make_private(&settings.state_dir()?)?;
        let text = serde_json::to_string_pretty(&all).unwrap_or_default();
        files::replace(&store(settings)?, text.as_bytes(), Access::Owner)?;
    }
    Ok(name)
}

/// Refuses a workspace that somebody who is not trusted can write to.
pub(crate) fn check(settings: &Settings, root: &Path) -> Result<(), AppError> {
    // If there is no workspace, loading it reports that.
    if !root.join(CONFIG_FILE).exists() {
        return Ok(());
    }
    let Some(Foreign { path, why }) = foreign(root) else { return Ok(()) };
    let name = name_of(root)?;
    if trusted(settings)?.contains(&name) {
        return Ok(());
    }
    let shown = shlex::try_quote(&name).map_or_else(|_| name.clone(), std::borrow::Cow::into_owned);
    let whole = format!("the workspace `{name}` is not used: `{}` {why}", path.display());
    Err(AppError::new("workspace", whole).hint(format!(
        "if you trust whoever can write it: `planwright config trust {shown}`; or name another with `--workspace DIR`"
    )))
}

/// Returns the name of a folder in the list: its real path, so that a link cannot pass for it.
fn name_of(dir: &Path) -> Result<String, AppError> {
    let failed = |error: std::io::Error| {
        AppError::new("io", format!("`{}` is not a folder", dir.display())).caused_by(&error)
    };
    let real = dir.canonicalize().map_err(failed)?;
    let text = real.to_str().map(str::to_owned);
    text.ok_or_else(|| AppError::usage(format!("`{}` is not UTF-8", dir.display())))
}
