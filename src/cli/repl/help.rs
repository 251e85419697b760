//! The text of `:help`, in one table so that completion offers exactly what exists.

/// The commands: name, arguments, effect.
pub(crate) const COMMANDS: &[(&str, &str, &str)] = &[
    ("changes", "", "show the pending changes"),
    (
        "apply",
        "[--force] [--dry-run]",
        "review the pending changes, and apply them unless a rule or policy refuses",
    ),
    ("pending", "[ID]", "list what waits for approval, or show one set"),
    ("approve", "ID", "approve a set that is held, and apply it"),
    ("reject", "ID REASON", "reject a set that is held"),
    ("discard", "[N…]", "drop all pending changes, or those with these numbers"),
    ("undo", "[--force]", "undo the last apply"),
    ("resume", "[--force]", "finish what the last apply left over"),
    ("refresh", "", "forget what was read, so that it is read again"),
    ("plans", "", "list the plans you can access"),
    ("use", "PLAN", "make a plan available as `board`"),
    ("run", "SKILL [KEY=VALUE]…", "run a skill; its changes become pending"),
    ("load", "FILE", "run a script, or the lines of a file"),
    ("save", "FILE [--force]", "save the typed lines as a skill"),
    ("doc", "NAME", "describe a name: `:doc assign`, `:doc Task`, `:doc Task.due`"),
    ("explain", "", "show the requests that the last line sent"),
    ("time", "LINE", "run a line, and show how long it took"),
    ("policy", "", "show the policies in force, and their verdicts on the pending changes"),
    ("as", "[AGENT]", "act for an agent; without a name, for yourself"),
    ("reload", "", "load what was saved (done before every line)"),
    ("json", "", "switch between JSON and readable answers"),
    ("help", "[TOPIC]", "show this list; topics are lines, changes, conflicts, keys"),
    ("quit", "", "leave"),
];

/// The topics, each with its text.
pub(crate) const TOPICS: &[(&str, &str)] = &[
    (
        "lines",
        "A line is an expression or statements in the language of skills. Variables, functions and\n\
         imports are kept; `_` is the last result. A line goes on until its brackets are closed.\n\
         `:use PLAN` makes a plan available as `board`: board.tasks.filter(|t| t.is_overdue())\n\
         To find what you can call: Tab, `:doc NAME`, or `planwright api`.",
    ),
    (
        "changes",
        "A line writes nothing. Its changes are shown below it and become pending; the prompt counts\n\
         them: ●3. `:changes` shows all, `:discard 2` drops one, `:apply` has them reviewed by rules\n\
         and policies and writes them, `:undo` undoes that. A line that fails leaves nothing\n\
         pending.",
    ),
    (
        "conflicts",
        "If someone else has changed the same fields in the meantime, `:apply` writes nothing and\n\
         shows each field: as you read it, as it is now (theirs), as you want it (mine). Choose one,\n\
         or drop the change; then it is tried again. What others changed elsewhere is kept.",
    ),
    (
        "keys",
        "Tab completes members, names from the board inside strings, skills and files.\n\
         Ctrl-C stops a running line and keeps the session; Ctrl-D leaves. Ctrl-R searches what was\n\
         typed before; a line that begins with a space, or looks like a secret, is not kept.",
    ),
];
