//! What `:help` says.

/// A command: its name, what it takes, what it does.
pub(crate) const COMMANDS: &[(&str, &str, &str)] = &[
    ("changes", "", "show what is pending"),
    (
        "apply",
        "[--force] [--dry-run]",
        "review it, and apply it unless something stands against it",
    ),
    ("discard", "[N]", "forget what is pending, or one change"),
    ("undo", "[--force]", "take back what was applied last"),
    ("resume", "[--force]", "carry on what the last apply has left over"),
    ("refresh", "", "forget what was read: look at the board anew"),
    ("plans", "", "list the plans within reach"),
    ("use", "PLAN", "call a plan `board`"),
    ("run", "SKILL [KEY=VALUE]…", "run a skill; what it wants is pending, too"),
    ("load", "FILE", "run a script, or the lines of a file"),
    ("save", "FILE [--force]", "write what was typed down as a skill"),
    ("doc", "NAME", "say what something is: `:doc assign`, `:doc Task`, `:doc Task.due`"),
    ("explain", "", "show the requests that the last line has sent"),
    ("time", "LINE", "run a line, and say how long it took"),
    ("policy", "", "show the policies in force, and what they say of what is pending"),
    ("as", "[AGENT]", "act for an agent; without a name, for yourself"),
    ("reload", "", "take up what was saved (done before every line)"),
    ("json", "", "answer in JSON, or for people again"),
    ("help", "[TOPIC]", "this; topics are lines, changes, conflicts, keys"),
    ("quit", "", "leave"),
];

/// Topics, with what there is to say of them.
pub(crate) const TOPICS: &[(&str, &str)] = &[
    (
        "lines",
        "A line is an expression or statements of the language of skills. Variables, functions and\n\
         imports live on; `_` is the last result. A line goes on until its brackets are closed.\n\
         `:use PLAN` calls a plan `board`: board.tasks.filter(|t| t.is_overdue())\n\
         What there is to call: Tab, `:doc NAME`, or `planwright api`.",
    ),
    (
        "changes",
        "Nothing is written by a line. What it wants is shown below it and joins what is pending;\n\
         the prompt counts it: ●3. `:changes` shows all, `:discard 2` drops one, `:apply` has it\n\
         reviewed by rules and policies and writes it, `:undo` takes that back. A line that fails\n\
         leaves nothing pending.",
    ),
    (
        "conflicts",
        "If someone else has changed the same meanwhile, `:apply` writes nothing and shows each\n\
         field: as you read it, as it is now (theirs), as you want it (mine). You take one, or\n\
         drop the change; then it is tried again. What others changed elsewhere stays.",
    ),
    (
        "keys",
        "Tab completes members, names of the board inside of texts, skills and files.\n\
         Ctrl-C stops a running line and keeps the session; Ctrl-D leaves. Ctrl-R searches what was\n\
         typed before; a line that begins with a blank, or looks like a secret, is not kept.",
    ),
];
