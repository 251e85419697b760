//! The texts that a new workspace, a new skill and a new policy begin with: examples that work are
//! easier to change than empty files. `NAME` stands for the name that was chosen.

/// A `planwright.toml` with every setting that a beginner may look for.
pub(crate) const CONFIG: &str = "\
# A Planwright workspace. Every setting has a default; lines that begin with `#` show one, or an
# example. `planwright config show` prints what is in force.

# time_zone = \"Pacific/Auckland\"      # decides what today is; the system's if absent
# beta = false                        # true: use Graph's beta, which may change without notice

[policies]
always = [\"agent_rules\"]            # for every run; [] switches policies off, never host rules

# [limits]
# max_changes = 200                   # a run makes at most so many changes
# max_deletes = 10                    # and deletions
# seconds = 60                        # the time of a script, waiting for the service included

# [sandbox]
# required = false                    # true: run scripts only where every wall around them stands

# Once an agent is listed, no other name acts.
# [agents.rook]
# plans = [\"BOS Operations\"]          # titles or ids; all plans if absent
# policies = [\"office_hours\"]         # beside those for every run
# may_apply = true                    # false: preview only

# [plans.\"BOS Operations\"]
# policies = [\"protect_done\"]         # beside the others, for every run that changes the plan
";

/// A skill.
pub(crate) const SKILL: &str = "\
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

print(`Marked as important: ${n_marked}`);

// The last value is the result.
#{ marked: n_marked }
";

/// The tests of the skill.
pub(crate) const SKILL_TEST: &str = "\
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

/// The page of the skill.
pub(crate) const SKILL_PAGE: &str = "\
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

/// A policy.
pub(crate) const POLICY: &str = "\
//! At most five tasks change in a run.
//!
//! The first line says what the policy does. It is in force once planwright.toml names it: under
//! [policies] for every run, under [agents.ROOK] for an agent, under [plans.\"TITLE\"] for a plan.

const LIMIT = 5;

/// Judges the run as a whole. `deny` refuses it, `hold` asks a person, `warn` only remarks. To judge
/// each change by itself, write `fn review_change(change, run)`.
fn review(changes, run) {
    if changes.tasks.len() > LIMIT {
        deny(`changes ${changes.tasks.len()} tasks; the limit is ${LIMIT}`);
    }
}
";

/// The tests of the policy.
pub(crate) const POLICY_TEST: &str = "\
//! Tests of the policy NAME. Each function whose name begins with `test_` starts on an empty board.

fn team() {
    with_policies([\"NAME\"]);
    let tasks = [];
    for n in 1..=6 {
        tasks.push(#{ title: `Task ${n}` });
    }
    board(#{ title: \"Team\", tasks: tasks })
}

fn test_five_tasks_are_let_through() {
    team();
    run_script(\"for t in plan(`Team`).tasks.filter(|t| t.title != `Task 6`) { t.priority = 1; }\");
    assert_status(\"applied\");
    assert_changes(5);
}

fn test_six_are_refused() {
    let team = team();
    run_script(\"for t in plan(`Team`).tasks { t.priority = 1; }\");
    assert_denied(\"the limit is 5\");
    assert_eq(team.task(\"Task 1\").priority, 5);
}
";

/// Returns whether a skill or policy can have a name.
pub(crate) fn is_usable(name: &str) -> bool {
    name.len() <= 60
        && name.starts_with(|ch: char| ch.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
