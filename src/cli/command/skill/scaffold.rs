//! `planwright skill new`: a skill with its test and its page, ready to run, because an example
//! that works is easier to change than an empty file.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Access};
use crate::script::Workspace;
use crate::script::workspace::CONFIG_FILE;

/// Create a skill, with a test and a page of its own
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright skill new due_soon\n  planwright skill check due_soon\n  planwright test due_soon\n  planwright run due_soon --dry-run\n\nOutside a workspace, it creates one here: a planwright.toml, and the policy agent_rules."
)]
pub(crate) struct NewArgs {
    /// Name of the skill: lower-case letters, digits and `_`
    name: String,
}

pub(crate) fn new(context: &Context<'_>, args: &NewArgs) -> Result<Exit, AppError> {
    let name = args.name.as_str();
    let is_usable = name.len() <= 60
        && name.starts_with(|ch: char| ch.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !is_usable {
        let message = format!("`{name}` cannot be the name of a skill");
        return Err(
            AppError::usage(message).hint("use lower-case letters, digits and `_`, as in due_soon")
        );
    }
    let (root, is_new) = match &context.app.workspace.root {
        Some(root) => (root.clone(), false),
        None => (std::env::current_dir()?, true),
    };
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    if is_new {
        files.push((CONFIG_FILE.into(), CONFIG.to_owned()));
        // A folder of scripts without a planwright.toml, such as Planwright's own sources, may have
        // the policy already: it must not be overwritten.
        if !root.join(POLICY).exists() {
            let policy = Workspace::shipped().policies.get("agent_rules").cloned();
            files.push((POLICY.into(), policy.unwrap_or_default()));
        }
    }
    for (path, text) in [
        (format!("scripts/skills/{name}.rhai"), SKILL),
        (format!("scripts/tests/{name}.rhai"), TEST),
        (format!("docs/skills/{name}.md"), PAGE),
    ] {
        files.push((path.into(), text.replace("NAME", name)));
    }
    // Checked before the first write, so that nothing is left half made.
    if let Some((there, _)) = files.iter().find(|(path, _)| root.join(path).exists()) {
        let message = format!("`{}` already exists", there.display());
        return Err(
            AppError::new("exists", message).hint("choose another name; nothing was written")
        );
    }
    for (path, text) in &files {
        write(&root.join(path), text)?;
    }
    if context.ui.json() {
        let paths: Vec<_> = files.iter().map(|(path, _)| path).collect();
        context.ui.json_value(&json!({ "name": name, "files": paths }));
        return Ok(Exit::Done);
    }
    if is_new {
        context.ui.note("Made this folder a workspace.");
    }
    for (path, _) in &files {
        context.ui.answer(&path.display().to_string());
    }
    context.ui.note(&format!(
        "\nplanwright skill check {name}\nplanwright test {name}\nplanwright run {name} --dry-run\nplanwright api            everything that scripts can call"
    ));
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> Result<(), AppError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| {
            AppError::new("io", format!("cannot create the folder `{}`", folder.display()))
                .caused_by(&error)
        })?;
    }
    files::write(path, text, Access::Usual)
}

const POLICY: &str = "scripts/policies/agent_rules.rhai";

const CONFIG: &str = "\
# A Planwright workspace. Everything has a default.

# time_zone = \"Pacific/Auckland\"      # decides what today is; the system's if absent

[policies]
always = [\"agent_rules\"]            # scripts/policies/agent_rules.rhai
";

const SKILL: &str = "\
//! Marks my tasks of the next days as important.
//!
//! The first line says what the skill does, the rest what people should know before they run it:
//! it changes only tasks that are assigned to whoever runs it.
//!
//! ```toml
//! [params]
//! plan = { type = \"string\", default = \"BOS Operations\", description = \"Plan title or id\" }
//! ahead = { type = \"int\", default = 3, description = \"How many days ahead to look\" }
//! ```

let board = plan(params.plan);
let last_day = today() + days(params.ahead);

// Edits are recorded here, not written: the host writes them when the script has ended and every
// change has been judged.
let n_marked = 0;
for task in board.tasks.filter(|t| !t.is_completed && t.assigned_to(me())) {
    if task.due != () && task.due <= last_day && task.priority > 3 {
        task.priority = \"important\";
        n_marked += 1;
    }
}

print(`Marking ${n_marked} tasks as important.`);

// The last value is the result.
#{ marked: n_marked }
";

const TEST: &str = "\
//! Tests of NAME. Each function whose name begins with `test_` starts on an empty board.

fn team() {
    at(\"2026-03-27 09:00\", \"Pacific/Auckland\");
    board(#{
        title: \"Team\",
        tasks: [
            #{ title: \"Call the printer\", due: \"2026-03-28\", assignees: [\"rook\"] },
            #{ title: \"Plan the summer\", due: \"2026-05-01\", assignees: [\"rook\"] },
            #{ title: \"Book the hall\", due: \"2026-03-28\", assignees: [\"mei\"] },
        ],
    })
}

fn test_marks_what_is_due_soon() {
    let team = team();
    let run = run_skill(\"NAME\", #{ plan: \"Team\" });
    assert_status(\"applied\");
    assert_changes(1);
    assert_eq(run.result.marked, 1);
    assert_eq(team.task(\"Call the printer\").priority, 3);
    assert_eq(team.task(\"Book the hall\").priority, 5);
}

fn test_a_second_run_changes_nothing() {
    team();
    run_skill(\"NAME\", #{ plan: \"Team\" });
    run_skill(\"NAME\", #{ plan: \"Team\" });
    assert_status(\"no_changes\");
}
";

const PAGE: &str = "\
# NAME

Marks my tasks of the next days as important.

```console
$ planwright skill show NAME                      # what it does, and its parameters
$ planwright run NAME --dry-run                   # what it would change
$ planwright run NAME -p plan=\"My plan\"
$ planwright test NAME
```

The skill is [scripts/skills/NAME.rhai](../../scripts/skills/NAME.rhai), its test
[scripts/tests/NAME.rhai](../../scripts/tests/NAME.rhai). `planwright api` prints everything that scripts can
call, `planwright api Task` what a task has.
";
