//! Conflicts, resolved one by one: a person sees the value that was read, the present one and their
//! own, and chooses, because only a person knows which one is right.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::change::{Change, ChangeSet, EntityId, Op};
use crate::cli::render::report;
use crate::cli::render::text::{BOLD, CYAN, DIM, GREEN, paint};
use crate::cli::repl::Ask;
use crate::cli::ui::Ui;
use crate::host::apply::outcome::ChangeStatus;
use crate::host::{ChangeReport, Choice, Report};

/// Asks about every conflict of a report; `None` if the person does not want to decide.
pub(crate) fn choices(
    ui: &Ui,
    ask: &mut dyn Ask,
    report: &Report,
    set: &ChangeSet,
    zone: &TimeZone,
) -> Option<BTreeMap<EntityId, Choice>> {
    let mut choices = BTreeMap::new();
    for shown in report.changes.iter().filter(|change| change.status == ChangeStatus::Conflict) {
        let is_it = |change: &&Change| {
            change.id().to_string() == shown.id && change.entity() == shown.entity
        };
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
        // There are no fields to choose between: the entity was deleted, is to be deleted, or
        // something else that the change rests on was changed.
        let why = shown
            .error
            .as_ref()
            .map_or("it has changed in the meantime", |error| error.message.as_str());
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
            // The field was only read: there is no value of one's own to keep.
            ui.note(&format!("  theirs  {}", paint(CYAN, &now)));
            match one_of(
                ui,
                ask,
                "  you only read it: [k]eep the change, or [d]rop it? ",
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
            "  [m]ine, [t]heirs, or [d]rop the whole change? ",
            &["mine", "theirs", "drop"],
        )? {
            "mine" => {}
            "theirs" => theirs.push(conflict.clone()),
            _ => return Some(Choice::Drop),
        }
    }
    but(theirs)
}

/// Asks until the answer is one of the words, or the beginning of one; `None` to give up.
fn one_of<'a>(ui: &Ui, ask: &mut dyn Ask, question: &str, words: &[&'a str]) -> Option<&'a str> {
    loop {
        let said = ask.ask(question).ok()?.trim().to_lowercase();
        let is_meant = |word: &&&str| !said.is_empty() && word.starts_with(said.as_str());
        if let Some(word) = words.iter().find(is_meant) {
            return Some(word);
        }
        ui.note(&paint(DIM, &format!("  answer with one of: {}", words.join(", "))));
    }
}
