//! Round trips of board files with hostile texts, and the errors of faulty ones.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::model::board_file::base::{Decision, Marks, decide};
use crate::model::board_file::entry::{ItemEntry, LinkEntry};
use crate::model::board_file::{BoardFile, BucketEntry, FORMAT, TaskEntry};
use crate::model::category::Category;
use crate::model::details::TaskDetails;
use crate::model::id::{PlanId, TaskId};
use crate::model::progress::{Completion, Priority, Progress};
use crate::model::task::Task;

/// Returns texts that YAML, terminals and people stumble over.
fn hostile() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(vec![
        "yes",
        "No",
        "null",
        "~",
        "true",
        "1",
        "1.0",
        "007",
        "0x1F",
        "1e5",
        ".inf",
        "12:30:45",
        "2026-12-24",
        "- a",
        "-",
        "?",
        ": ",
        "a: b",
        "a #b",
        "#a",
        "a:",
        "&a",
        "*a",
        "!a",
        "!!str",
        "[a]",
        "{a}",
        "'a'",
        "\"a\"",
        "a\"b",
        "%a",
        "@a",
        "`a`",
        "|",
        ">",
        "---",
        "...",
        " a",
        "a ",
        "a\nb",
        "a\n",
        "\na",
        "\n",
        "a\n\n",
        "a\n \nb",
        "a\r\nb",
        "\ta",
        "a\tb",
        "a\n\tb",
        "a\n  b",
        "a\n# b\n---\n...",
        "\u{85}",
        "\u{2028}a",
        "\u{feff}a",
        "\u{202e}evil",
        "\0",
        "\u{1b}[31m",
        "é",
        "日本",
        "🙂",
        "<<",
        "=",
        "key: [a, b]",
        "a, b",
        "C:\\temp",
        "a\n\nb",
    ]);
    prop_oneof![known.prop_map(str::to_owned), any::<String>(), "[ -~\n]{0,40}"]
}

/// Returns the same for required names.
fn name() -> impl Strategy<Value = String> {
    hostile().prop_map(|text| if text.trim().is_empty() { format!("a{text}") } else { text })
}

fn task() -> impl Strategy<Value = TaskEntry> {
    let day = || option::of(option::of((2000_i16..2100, 1_i8..13, 1_i8..29)));
    let date = |(y, m, d)| jiff::civil::date(y, m, d);
    let item = (name(), option::of(any::<bool>()))
        .prop_map(|(title, checked)| ItemEntry { title, checked });
    let link = (hostile(), option::of(hostile())).prop_map(|(url, alias)| LinkEntry { url, alias });
    let list = || option::of(vec(hostile(), 0..4));
    let progress = option::of((0..=100_u8).prop_map(Completion::of_percent));
    let level = option::of(0_u8..11);
    let texts = (name(), option::of(hostile()), list(), list());
    let parts = (option::of(vec(item, 0..3)), option::of(vec(link, 0..3)));
    (texts, (progress, level, day(), day()), parts).prop_map(
        move |((title, description, assignees, labels), values, (checklist, references))| {
            let (progress, level, start, due) = values;
            TaskEntry {
                title,
                progress,
                priority: level.and_then(Priority::new),
                start: start.map(|day| day.map(date)),
                due: due.map(|day| day.map(date)),
                assignees,
                labels,
                description,
                checklist,
                references,
                ..TaskEntry::default()
            }
        },
    )
}

/// Returns a file in which nothing is named twice.
fn board() -> impl Strategy<Value = BoardFile> {
    let labels = btree_map((1_u8..26).prop_map(|n| Category::new(n).unwrap()), hostile(), 0..3);
    let buckets = vec((name(), vec(task(), 0..3)), 0..3);
    let base = option::of(btree_map("[A-Za-z0-9_-]{1,28}", Just(Marks::default()), 0..2));
    (name(), labels, buckets, vec(task(), 0..2), base).prop_map(
        |(plan, labels, buckets, tasks, base)| {
            let buckets = buckets.into_iter().map(|(name, tasks)| BucketEntry {
                name,
                tasks,
                ..BucketEntry::default()
            });
            let id = PlanId::parse("-plan").ok();
            let buckets = buckets.collect();
            let mut file = BoardFile { format: FORMAT, plan, id, labels, buckets, tasks, base };
            let buckets = file.buckets.iter_mut().enumerate();
            for (at, bucket) in buckets {
                bucket.id = format!("{at}").parse().ok();
                for (n, task) in bucket.tasks.iter_mut().enumerate() {
                    task.id = TaskId::parse(&format!("{at}.{n}")).ok();
                }
            }
            for (n, task) in file.tasks.iter_mut().enumerate() {
                task.key = Some(format!("{n} {}", task.title));
            }
            file
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_comes_back(file in board()) {
        let text = file.to_yaml();
        prop_assert_eq!(BoardFile::parse(&text), Ok(file.clone()), "{}", text);
        let json = serde_json::to_string_pretty(&file.to_json()).unwrap();
        prop_assert_eq!(BoardFile::parse(&json), Ok(file), "{}", json);
    }

    #[test]
    fn nothing_that_is_read_panics(text in ".{0,200}") {
        let _ = BoardFile::parse(&text);
        let _ = BoardFile::parse(&format!("format: 1\nplan: a\n{text}"));
    }
}

#[test]
fn a_file_reads_well() {
    let item = |title: &str, checked| ItemEntry { title: title.into(), checked };
    let toner = TaskEntry {
        title: "Order toner: black, 2 pieces".into(),
        id: TaskId::parse("task1").ok(),
        progress: Some(Progress::InProgress.into()),
        priority: Priority::parse("urgent"),
        due: Some(Some(jiff::civil::date(2026, 12, 24))),
        assignees: Some(vec!["ana@bos.example".into(), "ben@bos.example".into()]),
        labels: Some(vec!["Finance".into()]),
        description: Some("Ask first.\n\n  Then order.".into()),
        checklist: Some(vec![item("Ask", None), item("Pay", Some(true))]),
        ..TaskEntry::default()
    };
    let other = TaskEntry { title: "no".into(), due: Some(None), ..TaskEntry::default() };
    let tasks = vec![toner, other];
    let bucket = BucketEntry { name: "Inbox".into(), id: None, tasks };
    let file = BoardFile {
        format: 1,
        plan: "BOS Operations".into(),
        labels: [(Category::new(2).unwrap(), "Finance".into())].into(),
        buckets: vec![bucket],
        ..BoardFile::default()
    };
    let text = file.to_yaml();
    let body: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let expected = "\
format: 1
plan: BOS Operations

labels:
  category2: Finance

buckets:
  - name: Inbox
    tasks:
      - title: \"Order toner: black, 2 pieces\"
        id: task1
        progress: in_progress
        priority: urgent
        due: 2026-12-24
        assignees: [ana@bos.example, ben@bos.example]
        labels: [Finance]
        description: |-
          Ask first.

            Then order.
        checklist:
          - Ask
          - title: Pay
            checked: true

      - title: \"no\"
        due: ~";
    assert_eq!(body.join("\n"), expected);
}

#[test]
fn what_cannot_be_meant_says_what_and_where() {
    let tasks = |lines: &str| format!("format: 1\nplan: P\ntasks:\n  - title: A\n{lines}");
    for (text, says, line) in [
        ("", "", None),
        ("[]", "", Some(1)),
        ("a: 1", "format", None),
        ("format: 2\nnew: 1", "the file has format 2; this version reads format 1", None),
        ("format: 1\nplan: P\nbukets: []", "bukets", Some(3)),
        (&tasks("    dew: 2026-12-24"), "dew", Some(5)),
        (&tasks("    due: tomorrow"), "`tomorrow` is not a date", Some(5)),
        (&tasks("    progress: done"), "`done` is not a progress", Some(5)),
        (&tasks("    progress: ~"), "", Some(5)),
        (&tasks("    progress: 101"), "a progress is 0 to 100", Some(5)),
        (&tasks("    priority: 11"), "a priority is 0 to 10", Some(5)),
        (&tasks("    priority: high"), "`high` is not a priority", Some(5)),
        (&tasks("    assignees: ana"), "", Some(5)),
        (&tasks("    checklist:\n      - titel: x"), "titel", Some(6)),
        (&tasks("    checklist: [12]"), "in quotes", Some(5)),
        (&tasks("    due: 2026-12-24\n    due: ~"), "due", Some(6)),
        (&tasks("    id: ⟦new:1:abc⟧"), "is not an id", None),
        (&tasks("  - title: A"), "two entries have the task title `A`", None),
        (&tasks("  - title: ' '"), "a task has no title", None),
        (&tasks("  - due: ~"), "title", None),
        ("format: 1\nplan: P\nbuckets:\n- name: B\n- name: B", "bucket name `B`", None),
        ("{ \"format\": 1, \"plan\": \"P\", \"x\": 1 }", "`x`", Some(1)),
        ("format: 1\nplan: P\nlabels: { category26: x }", "`category26` is not a label", Some(3)),
    ] {
        let error = BoardFile::parse(text).unwrap_err();
        assert!(error.message.contains(says), "{text}: {error:?}");
        let found = error.at.map(|at| at.0);
        assert!(line.is_none() || found == line, "{text}: {error:?}");
    }
}

#[test]
fn a_hostile_file_ends_soon() {
    let mut bomb = String::from("format: 1\nplan: P\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        writeln!(bomb, "a{n}: &a{n} [{list}]").unwrap();
    }
    for text in [bomb, format!("format: 1\nplan: {}", "[".repeat(100_000)), "[".repeat(1_000_000)] {
        assert!(BoardFile::parse(&text).is_err());
    }
}

#[test]
fn what_is_in_the_file_is_weighed_against_the_board_and_the_pull() {
    let zone = TimeZone::UTC;
    let task = Task::new(TaskId::parse("t").unwrap(), PlanId::parse("p").unwrap(), "A".into());
    let base = Marks::of_task(&task, &TaskDetails::default(), &zone);
    for (base, ours, theirs, decision) in [
        (None, "B", "A", Decision::Ours),
        (None, "A", "A", Decision::Same),
        (Some(&base), "A", "A", Decision::Same),
        (Some(&base), "B", "A", Decision::Ours),
        (Some(&base), "A", "C", Decision::Theirs),
        (Some(&base), "B", "C", Decision::Conflict),
        (Some(&base), "B", "B", Decision::Same),
    ] {
        assert_eq!(decide(base, "title", ours, theirs), decision, "{ours} {theirs}");
    }
    assert!(base.has("due", "") && !base.has("start", "2026-01-01"));
    let line = String::from(base.clone());
    assert_eq!(Marks::from(line), base);
}
