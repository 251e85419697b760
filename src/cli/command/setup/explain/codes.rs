//! The error codes, exit codes and statuses of the service, each with what it means and what to do.
//!
//! A code that the program can give and that is not here fails a test.

/// The explanation of an error code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code {
    /// The code.
    pub(crate) name: &'static str,
    /// Its meaning, in a sentence.
    pub(crate) means: &'static str,
    /// The usual reasons.
    pub(crate) why: &'static str,
    /// The remedy.
    pub(crate) remedy: &'static str,
}

/// The explanation of an exit code, or of a status of the service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    /// The number.
    pub(crate) number: u16,
    /// Its name.
    pub(crate) name: &'static str,
    /// Its meaning, in a sentence.
    pub(crate) means: &'static str,
    /// The remedy.
    pub(crate) remedy: &'static str,
}

/// Makes the explanation of a code.
const fn code(
    name: &'static str,
    means: &'static str,
    why: &'static str,
    remedy: &'static str,
) -> Code {
    Code { name, means, why, remedy }
}

/// Makes the explanation of a number.
const fn number(
    number: u16,
    name: &'static str,
    means: &'static str,
    remedy: &'static str,
) -> Number {
    Number { number, name, means, remedy }
}

/// Every error code, in order.
pub(crate) const CODES: &[Code] = &[
    code(
        "agent",
        "The named agent is not known, or not the one it must be.",
        "planwright.toml lists agents, and the name given with `--as` or PLANWRIGHT_AGENT is none of them; or a saved set belongs to another agent.",
        "`planwright agent list` lists the agents; add one to planwright.toml under [agents.NAME], or name another with `--as`.",
    ),
    code(
        "ambiguous",
        "More than one thing has that name.",
        "Planner lets several plans, buckets or tasks share a title, and a part of a run's id may fit several runs.",
        "Name one by its id, which the hint lists, or give more of the id.",
    ),
    code(
        "app_only",
        "An application is signed in as itself, and this needs a user.",
        "Only a user has tasks and plans of their own. A token that came in PLANWRIGHT_TOKEN does not say who it is for without one.",
        "Sign the application in with `planwright auth login --secret-file FILE`, which knows who it is, and name plans by title or id; or sign in as a user.",
    ),
    code(
        "at_work",
        "Another process is at work on the run.",
        "A run that still goes on is neither resumed nor taken back.",
        "Wait until it has ended, then try again; `planwright runs` shows its status.",
    ),
    code(
        "audit_altered",
        "The audit log and its anchor contradict each other.",
        "Records were changed, removed or cut off, or one of the two files was restored from another day than the other.",
        "`planwright audit verify` says which records; then restore both files from one backup.",
    ),
    code(
        "budget",
        "A script went over one of its budgets.",
        "It ran too long, computed, printed, read or edited too much, or held too much memory. Often it is a loop that never ends.",
        "Look at the loops of the script; if it needs more, raise the budget under [limits] in planwright.toml.",
    ),
    code(
        "bug",
        "Planwright itself failed.",
        "This is a mistake in the program, not in what you typed.",
        "Report it with the message and the version (`planwright --version`); `planwright resume` finishes a run that had begun to write.",
    ),
    code(
        "config",
        "A setting has a value that cannot be used.",
        "planwright.toml names a time zone that does not exist, or the list of trusted folders is damaged.",
        "`planwright config show --origin` shows every setting with its file; correct the one that the message names.",
    ),
    code(
        "conflict",
        "Somebody else changed the same at the same time.",
        "The task has moved on since the run read it, and what the run wants would overwrite that or no longer fits it.",
        "Run it again, on the board as it is now; the report shows base, theirs and yours for each change.",
    ),
    code(
        "cut_off",
        "A run was cut off after a commit().",
        "Its process ended between two commits. What it had committed is on the board; what its script would have done next, nobody knows.",
        "Look at the board and run the skill again; one that changes only what still needs it does no harm the second time. `planwright undo RUN` takes back what was committed.",
    ),
    code(
        "denied",
        "A policy said no, or an agent may not do this.",
        "A run that a policy denies has the status `denied`. An agent is also refused what is for people, and what planwright.toml does not grant it: a skill, code of its own, or to submit to another.",
        "`planwright policy explain last` shows which rule denied the last run, and why; `planwright agent show NAME` says what an agent may do.",
    ),
    code(
        "ended",
        "The run had ended when the script went on.",
        "A commit() of the script was refused, held or not applied, and the script caught the error and went on.",
        "See the verdicts of the report for what stopped the commit.",
    ),
    code(
        "exists",
        "A file is there already.",
        "What is made anew never overwrites anything.",
        "Choose another name, or remove the file.",
    ),
    code(
        "export",
        "The export of the audit log cannot be read or written.",
        "The disk is full, the folder is not writable, or the file is no export.",
        "Name another file with `--to`, or free some space.",
    ),
    code(
        "fail",
        "The script gave up by itself.",
        "It called fail(…) with the text that you see.",
        "Do what the text says; `planwright skill show NAME` tells what the skill expects.",
    ),
    code(
        "foreign_request",
        "The server was asked by a page that is not its own, or under a name that is not its own.",
        "The Host or Origin header is another than the server's, or a form came without its secret.",
        "Open the page under the address that `planwright serve` has printed; `--name` adds names; reload a page that was open for long.",
    ),
    code(
        "four_eyes",
        "Somebody else must approve it.",
        "`four_eyes = true` in [approvals] of planwright.toml: nobody approves what they have drafted themselves.",
        "Ask somebody who can sign in: `planwright pending` shows them what waits, `planwright approve ID` approves it.",
    ),
    code(
        "gone",
        "The thing was deleted earlier in this run, or a link to it is too old.",
        "The script uses an object after delete(), or the service no longer knows it.",
        "Do not use an object after deleting it; otherwise run it again.",
    ),
    code(
        "held",
        "A set waits for a person's approval.",
        "A rule or policy holds it, and nobody at a terminal could answer.",
        "`planwright pending show ID` shows it; `planwright approve ID` applies it, `planwright reject ID --reason TEXT` does not.",
    ),
    code(
        "in_doubt",
        "It is not known whether something was created.",
        "The answer of the service was lost, and what is on the board now could be ours or somebody else's.",
        "`planwright runs show RUN` lists the candidates; settle them with `planwright resume RUN --made N=ID` or `--not-made N`.",
    ),
    code(
        "inbox_full",
        "As much of one sender waits in the inbox as may.",
        "5,000 entries of a sender, or 64 MiB of parameters, wait; whoever should carry them out is not at work, or something submits in a loop.",
        "`planwright work --once` carries out what waits, and `planwright inbox` shows it; `planwright inbox cancel ID` takes an entry back.",
    ),
    code(
        "invalid",
        "Something that was given does not fit.",
        "A title is too long, a date is none, a file has another form, or the service refused a value.",
        "The message names what is wrong and where; correct it.",
    ),
    code(
        "io",
        "A file or folder cannot be used.",
        "It does not exist, is not yours, can be written by others, or the disk is full.",
        "`planwright doctor` checks the state folder; the message names the file.",
    ),
    code(
        "isolation",
        "A script could not be run in a process of its own.",
        "The process could not be started or ended too early, or a wall around it is missing while [sandbox] required = true.",
        "`planwright doctor` says which walls stand.",
    ),
    code(
        "journal",
        "The journal cannot be read or written, or does not allow what was asked.",
        "The database refused, or the run is not one that can be carried on or taken back.",
        "`planwright doctor` checks the journal; `planwright runs` lists the runs.",
    ),
    code(
        "journal_busy",
        "Another process keeps the journal busy.",
        "A process of Planwright has been writing for very long, or hangs.",
        "Wait for it, or end it.",
    ),
    code(
        "journal_damaged",
        "The journal is damaged.",
        "The disk failed, or something else wrote to the file.",
        "Restore a backup of the state folder; nothing is sent from a damaged journal.",
    ),
    code(
        "journal_disk",
        "The disk failed while the journal was written.",
        "After that, nothing that the disk reports can be trusted.",
        "Check the disk, then `planwright resume`.",
    ),
    code(
        "journal_format",
        "The journal has the format of another version.",
        "A newer or an older Planwright wrote it.",
        "Use the newer version; an older format is brought up to date by any command that writes.",
    ),
    code(
        "journal_full",
        "No space is left for the journal.",
        "Nothing is sent that cannot be recorded first.",
        "Free some space, then `planwright resume`.",
    ),
    code(
        "journal_not_writable",
        "The journal cannot be written.",
        "The file or its folder belongs to somebody else or is read only.",
        "Make it writable for you, or name another folder with `--state-dir DIR`.",
    ),
    code(
        "journal_order",
        "A record does not fit what was recorded before.",
        "Two processes disagree about one run, or the journal was restored while a run was at work.",
        "`planwright audit verify` says whether the record is whole; then `planwright resume`.",
    ),
    code(
        "lock",
        "A lock cannot be taken.",
        "The file of the lock cannot be created or written.",
        "Make the state folder writable for you, or name another with `--state-dir DIR`.",
    ),
    code(
        "lost_lock",
        "Another process has taken over what this one was doing.",
        "A list of a plan took longer than the time for which a process has the plan to itself; the other process does the same.",
        "Nothing: it is tried again at the next look.",
    ),
    code(
        "manifest",
        "The head of a skill is wrong.",
        "The TOML in its doc comment cannot be read, or declares a parameter in a way that does not fit.",
        "`planwright skill check NAME` shows it.",
    ),
    code(
        "needs_beta",
        "It needs Graph's beta.",
        "Recurring tasks, moving tasks between plans, archives and rosters exist only there.",
        "Add `--beta`, or `beta = true` to planwright.toml; Microsoft may change it without notice.",
    ),
    code(
        "no_beta",
        "The service has no beta.",
        "`--beta` is set, or `beta = true` in planwright.toml, and the service does not know it.",
        "Leave it out.",
    ),
    code(
        "no_journal",
        "There is no journal yet.",
        "Nothing has been written from this state folder.",
        "`planwright config show` shows the state folder; name another with `--state-dir DIR`.",
    ),
    code(
        "no_key",
        "There is no key for the sign-in.",
        "A sign-in is kept sealed, never in clear text. The passphrase, key file or keyring that it needs is missing or another one, or other users can read the key file.",
        "Set PLANWRIGHT_PASSPHRASE or PLANWRIGHT_KEY_FILE as it was at the sign-in (chmod 600), work where its keyring is or at a terminal, or `planwright auth login` again.",
    ),
    code(
        "no_run",
        "There is no run of that id.",
        "It was recorded in another state folder, or the id is mistyped.",
        "`planwright runs` lists them.",
    ),
    code(
        "not_a_journal",
        "The file in the place of the journal is something else.",
        "Something else wrote journal.db in the state folder.",
        "Move the file away, or name another folder with `--state-dir DIR`.",
    ),
    code(
        "not_found",
        "Nothing has that name.",
        "It is mistyped, was deleted, or the signed-in user or the agent may not see it.",
        "The hint shows what is near; `plan list`, `task list` and `skill list` show what there is.",
    ),
    code(
        "not_member",
        "You are not a member of the group.",
        "Planner lets only members create plans in a group; owners are not members by themselves.",
        "Ask an owner of the group to add you.",
    ),
    code(
        "not_pending",
        "The set does not wait for approval, or no longer.",
        "It was approved, rejected or applied, or nobody decided in time: `expires_hours` in [approvals].",
        "`planwright pending --all` says what became of it; run the skill again to draft it anew.",
    ),
    code(
        "not_permitted",
        "Your account or token may not do this.",
        "The signed-in user, or the token, lacks the permission.",
        "Ask for access or sign in as somebody who has it.",
    ),
    code(
        "not_queued",
        "An entry of the inbox does not wait any more.",
        "A worker has begun it, or it is over; only what waits can be cancelled.",
        "`planwright inbox show ID` says where it stands; `planwright undo RUN` takes back what its run wrote.",
    ),
    code(
        "not_signed_in",
        "Nobody is signed in, or no longer.",
        "No profile is signed in, the sign-in has ended (a new password, a rule of the tenant, 90 days unused), or the token in PLANWRIGHT_TOKEN is wrong or expired.",
        "`planwright auth login`, or set PLANWRIGHT_TOKEN to a fresh token; then `planwright resume` if something was written.",
    ),
    code(
        "not_yet_known",
        "The value is not known before the change is applied.",
        "Only the service computes it, and the thing does not exist yet.",
        "Apply first (commit() in a script), or do without the value.",
    ),
    code(
        "old_sqlite",
        "SQLite is too old for a journal.",
        "Some versions can damage a journal that two processes write.",
        "Install a Planwright that was built with a newer SQLite.",
    ),
    code(
        "other_service",
        "The run or the file is of another service.",
        "It was made on another address, or on the demo board.",
        "Name that service with `--graph-url URL` or `--profile embedded`.",
    ),
    code(
        "parameter",
        "A parameter of the skill is missing, unknown or of the wrong type.",
        "The skill declares its parameters, and what was given does not fit.",
        "`planwright skill show NAME` lists them; give one with `-p name=value`.",
    ),
    code(
        "paused",
        "The agent is paused.",
        "A person has paused it, or all agents, with `planwright agent pause`: it begins no run, and writes nothing more.",
        "`planwright agent list` shows who is paused and why; `planwright agent resume NAME` lifts it, then `planwright resume` finishes what was cut off.",
    ),
    code(
        "policy",
        "A policy cannot be used, so everything is denied.",
        "It is in force but missing, does not compile, or would judge nothing.",
        "`planwright policy check` says what is wrong with it.",
    ),
    code(
        "queue_full",
        "So many runs wait already that another is not accepted.",
        "Programs ask `serve` for runs faster than they are carried out.",
        "Ask again after the seconds in the `Retry-After` header.",
    ),
    code(
        "read_only",
        "The board is read only here.",
        "A policy, or a preview of what was before, tried to write.",
        "Move the edit into the skill.",
    ),
    code(
        "saved",
        "The file is not a saved change set.",
        "It is another file, damaged, or of another version.",
        "Write one with `planwright run SKILL --out FILE`.",
    ),
    code(
        "script",
        "The script went wrong.",
        "It calls what does not exist, or gives a function what it does not take.",
        "The place shows the line; `planwright skill check NAME` finds such slips without running, `planwright api` lists what there is.",
    ),
    code(
        "seed",
        "The seed of an emulator cannot be used.",
        "The file does not describe a tenant.",
        "The message says where; the guide to the emulator has an example.",
    ),
    code(
        "service",
        "The service refused, or answered in a way that makes no sense.",
        "The address may not be Graph's, something in between answered, or Planner does not allow the change.",
        "Look at the message and the cause; `planwright doctor` checks the address.",
    ),
    code(
        "stopped",
        "It was interrupted.",
        "You pressed Ctrl-C.",
        "`planwright resume` if something was written, else run it again.",
    ),
    code(
        "syntax",
        "The script cannot be compiled.",
        "It is not valid Rhai, or not UTF-8 text.",
        "The place shows the line; `planwright skill check NAME` checks it.",
    ),
    code(
        "tests_failed",
        "A test of a proposed skill failed.",
        "The skill does not do what its tests say, or the tests expect something else of it.",
        "The error names the first test that failed, and its place; correct the skill or the test and propose it again.",
    ),
    code(
        "too_large",
        "The answer is larger than 4 MiB.",
        "So much is rarely wanted, and could fill a terminal or a log.",
        "Ask for less, or add `--full`.",
    ),
    code(
        "unauthorized",
        "The server does not know who asks.",
        "The bearer token or the session is missing, wrong or revoked.",
        "Send `Authorization: Bearer TOKEN` with a token that `planwright serve token create` made, or sign in at /login.",
    ),
    code(
        "unavailable",
        "The service cannot be reached, has failed, or is too busy.",
        "It is down, the network is, or the service throttles for longer than a command waits.",
        "Try again later; `planwright resume` if something was written; `planwright doctor` checks the connection.",
    ),
    code(
        "undone",
        "The run was taken back.",
        "A run is undone once, and is not carried on after that.",
        "`planwright undo` the run that took it back.",
    ),
    code(
        "unfinished",
        "Not all of it was sent.",
        "The run was cut off on its way.",
        "`planwright resume RUN` carries it on.",
    ),
    code(
        "unsealed",
        "The saved change set is not sealed with the key of this state folder.",
        "It was changed since it was saved, or saved elsewhere.",
        "`planwright apply FILE --unsealed` takes it as your own changes; or name the state folder with `--state-dir DIR`.",
    ),
    code(
        "usage",
        "The command line does not fit.",
        "An argument is missing, unknown, or contradicts another.",
        "`planwright COMMAND --help` shows what it takes, with examples.",
    ),
    code(
        "workspace",
        "The workspace cannot be used.",
        "planwright.toml is wrong, a file in it cannot be read, or somebody else can write it.",
        "The message names the file; `planwright config trust DIR` trusts a folder that others can write.",
    ),
];

/// Every exit code.
pub(crate) const EXIT_CODES: &[Number] = &[
    number(0, "done", "It is done, or there was nothing to do.", "Nothing."),
    number(
        1,
        "error",
        "There is an error in a script or in the input.",
        "Read the message; `planwright explain CODE` explains its code, which `--json` shows.",
    ),
    number(
        2,
        "usage",
        "The command line does not fit.",
        "`planwright COMMAND --help` shows what it takes.",
    ),
    number(
        3,
        "denied",
        "A rule or a policy said no; nothing was written.",
        "`planwright policy explain last` shows which one, and why.",
    ),
    number(
        4,
        "conflict",
        "Somebody else changed the same, again and again; nothing was written.",
        "Run it again later.",
    ),
    number(
        5,
        "not permitted",
        "Nobody is signed in, or the account may not do this.",
        "`planwright auth login`, set PLANWRIGHT_TOKEN to a fresh token, or ask for access; then `planwright resume` if something was written.",
    ),
    number(
        6,
        "unavailable",
        "The service is unavailable, or throttles for longer than a command waits.",
        "Try again later; `planwright resume` if something was written.",
    ),
    number(
        7,
        "held",
        "A policy wants a person's approval; nothing was written.",
        "`planwright pending` lists what waits; `planwright approve ID` applies it.",
    ),
    number(
        8,
        "partial",
        "A part was written, or it is not known whether something was.",
        "`planwright resume` carries it on; the report says what is left.",
    ),
    number(70, "bug", "Planwright itself failed.", "Report it with the message and the version."),
    number(130, "interrupted", "It was interrupted before anything was written.", "Run it again."),
];

/// The statuses of the service that people meet in messages; the name is the code that they lead to.
pub(crate) const STATUSES: &[Number] = &[
    number(
        400,
        "invalid",
        "The service refused a value.",
        "The message says which; `planwright explain invalid`.",
    ),
    number(
        401,
        "not_signed_in",
        "The service does not accept the access token.",
        "`planwright explain not_signed_in`.",
    ),
    number(
        403,
        "not_permitted",
        "The account or its token may not do this.",
        "`planwright explain not_permitted`.",
    ),
    number(
        404,
        "not_found",
        "The service knows nothing of that id, or does not show it to you.",
        "`planwright explain not_found`.",
    ),
    number(
        409,
        "conflict",
        "The thing was changed at the same time.",
        "The host compares and tries again by itself; what is left is a conflict.",
    ),
    number(
        412,
        "conflict",
        "The thing has moved on since it was read: its ETag no longer matches.",
        "The host compares and tries again by itself; what is left is a conflict.",
    ),
    number(
        429,
        "unavailable",
        "The service asks to wait: too many requests.",
        "The host waits and repeats by itself; `writes_per_second` under [limits] keeps it slower.",
    ),
    number(
        503,
        "unavailable",
        "The service is overloaded or down.",
        "The host repeats by itself for a while; then try again later.",
    ),
];
