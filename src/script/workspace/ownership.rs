//! The ownership of a workspace. Its files decide what agents may do: a `planwright.toml` that
//! somebody else plants in a folder above would switch policies off.
//!
//! As Git does with its repositories, a workspace is accepted only if it belongs to the user, or to
//! the administrator of the system, and nobody else may write it; a person can trust another.

use std::path::{Path, PathBuf};

use crate::script::workspace::scan::walk;

/// A part of a workspace that somebody else controls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The file or folder.
    pub path: PathBuf,
    /// The reason: "belongs to another user".
    pub why: &'static str,
}

/// Returns the first part of the workspace in a folder that somebody else controls, if there is
/// one.
#[must_use]
pub fn foreign(root: &Path) -> Option<Foreign> {
    let walk = walk(root, &mut |_, _| ());
    let files = walk.files.into_values().flatten();
    // Both the target of a link and the folder in which the link lies count.
    let files = files.flat_map(|found| [found.real, found.place]);
    [root.to_owned()]
        .into_iter()
        .chain(walk.folders.into_keys())
        .chain(files)
        .find_map(|path| whose(&path).map(|why| Foreign { path, why }))
}

#[cfg(unix)]
fn whose(path: &Path) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path).ok()?;
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    foreign_to(user, group, (found.uid(), found.gid(), found.mode()))
}

#[cfg(not(unix))]
fn whose(_path: &Path) -> Option<&'static str> {
    None
}

/// Returns why a file is not a user's own, from its owner, its group and its mode.
#[cfg(unix)]
const fn foreign_to(
    user: u32,
    group: u32,
    (uid, gid, mode): (u32, u32, u32),
) -> Option<&'static str> {
    if uid != user && uid != 0 {
        return Some("belongs to another user");
    }
    if mode & 0o002 != 0 {
        return Some("can be written by every user");
    }
    // Many systems give each user a group of the same number, which nobody else is in.
    let is_own_group = gid == group && group == user;
    if mode & 0o020 != 0 && !is_own_group {
        return Some("can be written by its group");
    }
    None
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_others_own_or_may_write_is_theirs() {
        let rook = |file| foreign_to(1000, 1000, file);
        for own in
            [(1000, 1000, 0o40755), (1000, 1000, 0o40775), (0, 0, 0o40755), (1000, 100, 0o644)]
        {
            assert_eq!(rook(own), None, "{own:?}");
        }
        assert_eq!(rook((1001, 1000, 0o40700)), Some("belongs to another user"));
        assert_eq!(rook((0, 0, 0o41777)), Some("can be written by every user"));
        assert_eq!(rook((1000, 1000, 0o666)), Some("can be written by every user"));
        assert_eq!(rook((1000, 100, 0o40775)), Some("can be written by its group"));
        assert_eq!(rook((0, 0, 0o664)), Some("can be written by its group"));
        // A group that all users are in is nobody's own.
        assert_eq!(foreign_to(1000, 100, (1000, 100, 0o664)), Some("can be written by its group"));
        assert_eq!(foreign_to(0, 0, (1000, 1000, 0o40755)), Some("belongs to another user"));
    }
}
