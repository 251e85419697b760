//! Conflicts, one by one: a person sees what was read, what is there now and what is wanted, and
//! says which it is to be.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::change::{Change, ChangeSet, EntityId, Op};
use crate::cli::render::report;
use crate::cli::render::text::{BOLD, CYAN, DIM, GREEN, paint};
use crate::cli::repl::Ask;
use crate::cli::ui::Ui;
use crate::host::report::ChangeStatus;
use crate::host::{ChangeReport, Choice, Report};

/// Asks about every conflict of a report; `None` if the person would rather not decide.
pub(crate) fn choices(
    ui: &Ui,
    ask: &mut dyn Ask,
    report: &Report,
    set: &ChangeSet,
    zone: &TimeZone,
) -> Option<BTreeMap<EntityId, Choice>> {
    let mut choices = BTreeMap::new();
    for shown in report.changes.iter().filter(|it| it.status == ChangeStatus::Conflict) {
        let is_it = |it: &&Change| it.id().to_string() == shown.id && it.entity() == shown.entity;
        let change = set.changes().iter().find(is_it)?;
        choices.insert(change.id(), choice(ui, ask, report, shown, zone)?);
    }
    if choices.is_empty() { None } else { Some(choices) }
}

fn choice(
    ui: &Ui,
    ask: &mut dyn Ask,
    report: &Report,
    shown: &ChangeReport,
    zone: &TimeZone,
) -> Option<Choice> {
    ui.note(&paint(BOLD, &shown.title));
    let all = shown.conflict.clone();
    let but = |theirs| Some(Choice::But { shown: all.clone(), theirs });
    if shown.conflict.is_empty() || shown.op == Op::Delete {
        // It is gone, or is to go, or what was looked at elsewhere has moved.
        let why = shown.error.as_ref().map_or("it has moved meanwhile", |it| it.message.as_str());
        ui.note(&format!("  {}", paint(CYAN, why)));
        return match one_of(ui, ask, "  [k]eep the change, or [d]rop it? ", &["keep", "drop"])? {
            "keep" => but(Vec::new()),
            _ => Some(Choice::Drop),
        };
    }
    let mut theirs = Vec::new();
    for conflict in &shown.conflict {
        let [base, now, wanted] = report::sides(report, zone, shown, conflict);
        let word = report::field_word(conflict);
        ui.note(&format!("  {} was {}", paint(BOLD, word), paint(DIM, &base)));
        if conflict.base == conflict.ours {
            // It was only looked at.
            ui.note(&format!("  theirs  {}", paint(CYAN, &now)));
            match one_of(
                ui,
                ask,
                "  you looked at it: [k]eep the change, [d]rop it? ",
                &["keep", "drop"],
            )? {
                "keep" => theirs.push(conflict.clone()),
                _ => return Some(Choice::Drop),
            }
            continue;
        }
        ui.note(&format!("  theirs  {}", paint(CYAN, &now)));
        ui.note(&format!("  mine    {}", paint(GREEN, &wanted)));
        match one_of(
            ui,
            ask,
            "  [m]ine, [t]heirs, or [d]rop all of this change? ",
            &["mine", "theirs", "drop"],
        )? {
            "mine" => {}
            "theirs" => theirs.push(conflict.clone()),
            _ => return Some(Choice::Drop),
        }
    }
    but(theirs)
}

/// Asks until one of the words, or its first letter, is said; `None` to give up.
fn one_of<'a>(ui: &Ui, ask: &mut dyn Ask, question: &str, words: &[&'a str]) -> Option<&'a str> {
    loop {
        let said = ask.ask(question).ok()?.trim().to_lowercase();
        let is_meant = |it: &&&str| !said.is_empty() && it.starts_with(said.as_str());
        if let Some(word) = words.iter().find(is_meant) {
            return Some(word);
        }
        ui.note(&paint(DIM, &format!("  it is one of: {}", words.join(", "))));
    }
}
