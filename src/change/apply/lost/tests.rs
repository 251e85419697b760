//! Matching, against a model of a board on which other people are at work as well.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{BucketId, PlanId, TaskId};

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

/// The moment at which the creates were about to be sent.
const SENT: i64 = 100;

/// Returns a task with some traits: its title, its bucket, and whether it is due.
fn task(id: &str, (title, bucket, due): (u8, u8, bool)) -> Task {
    let mut task = Task::new(
        TaskId::parse(id).unwrap(),
        PlanId::parse("plan").unwrap(),
        format!("Title {title}"),
    );
    task.bucket = Some(BucketId::parse(&format!("bucket{bucket}")).unwrap());
    task.due = due.then(|| at(5000));
    task
}

fn on_board(id: &str, says: (u8, u8, bool), by: &str, second: i64) -> Candidate {
    let mut task = task(id, says);
    task.created_by = Some(user(by));
    task.created_at = Some(at(second));
    task.order_hint = "8586".into();
    Candidate::Task(Box::new(task))
}

fn lost(no: usize, says: (u8, u8, bool), known: &[&str]) -> Lost {
    Lost {
        no,
        job: Job::CreateTask(Box::new(task("new", says))),
        since: at(SENT),
        known: known.iter().map(|id| (*id).to_owned()).collect(),
        is_denied: false,
        undecided: BTreeSet::new(),
    }
}

fn matched(lost: &[Lost], there: &[Candidate]) -> Vec<Match> {
    match_lost(lost, there, &user("rook")).into_iter().map(|(_, result)| result).collect()
}

fn found(id: &str) -> Match {
    Match::Found(id.to_owned())
}

#[test]
fn four_of_one_title_in_four_buckets_are_told_apart() {
    let all: Vec<Lost> = (0..4).map(|n| lost(n, (0, n as u8, false), &[])).collect();
    let there = [on_board("a", (0, 2, false), "rook", SENT)];
    let expected = [Match::Nothing, Match::Nothing, found("a"), Match::Nothing];
    assert_eq!(matched(&all, &there), expected);
}

#[test]
fn nothing_of_anyone_elses_is_taken() {
    let mine = [lost(0, (0, 0, false), &["known"])];
    for (there, expected) in [
        (on_board("a", (0, 0, false), "mei", SENT + 1), Match::Nothing),
        (on_board("a", (0, 0, false), "rook", SENT - 3600), Match::Nothing),
        // Made before by hand, or ours by another clock.
        (on_board("a", (0, 0, false), "rook", SENT - 60), Match::Unclear(vec!["a".into()])),
        (on_board("a", (0, 1, false), "rook", SENT - 60), Match::Nothing),
        (on_board("known", (0, 0, false), "rook", SENT), Match::Nothing),
        // The service tells its time in whole seconds.
        (on_board("a", (0, 0, false), "rook", SENT), found("a")),
        // Somebody's, or ours and moved since.
        (on_board("a", (0, 1, false), "rook", SENT + 1), Match::Unclear(vec!["a".into()])),
        // Ours, and given a day since: it equals what was sent in every field sent.
        (on_board("a", (0, 0, true), "rook", SENT + 1), found("a")),
    ] {
        assert_eq!(matched(&mine, std::slice::from_ref(&there)), [expected], "{there:?}");
    }
}

#[test]
fn more_than_were_lost_are_for_a_person_to_tell() {
    let mine = [lost(0, (0, 0, false), &[])];
    let there = ["a", "b"].map(|id| on_board(id, (0, 0, false), "rook", SENT));
    assert_eq!(matched(&mine, &there), [Match::Unclear(vec!["a".into(), "b".into()])]);
}

#[test]
fn what_says_more_about_itself_chooses_first() {
    // One without a day would take the one with a day as well.
    let mine = [lost(0, (0, 0, false), &[]), lost(1, (0, 0, true), &[])];
    let there = [on_board("due", (0, 0, true), "rook", SENT)];
    assert_eq!(matched(&mine, &there), [Match::Nothing, found("due")]);
}

#[test]
fn what_only_a_person_can_tell_apart_is_nobody_elses_either() {
    // One of the two is what the first has made; neither is there for those without a day.
    let mine = [(0, 0, true), (0, 0, false), (0, 0, false)];
    let mine: Vec<Lost> = (0..).zip(mine).map(|(n, says)| lost(n, says, &[])).collect();
    let there = ["a", "b"].map(|id| on_board(id, (0, 0, true), "rook", SENT));
    let unclear = Match::Unclear(vec!["a".into(), "b".into()]);
    assert_eq!(matched(&mine, &there), [unclear.clone(), unclear.clone(), unclear]);
}

#[test]
fn what_a_person_was_asked_about_stays_theirs_whatever_the_board_says_later() {
    // Both fitted the first when they were shown; one was edited since, and a third create would take
    // the other.
    let mut mine: Vec<Lost> = (0..)
        .zip([(0, 0, false), (0, 1, false), (0, 0, false)])
        .map(|(n, says)| lost(n, says, &[]))
        .collect();
    let shown = ["a", "b"].map(str::to_owned);
    mine[0].undecided.extend(shown.clone());
    mine[1].undecided.extend(shown.clone());
    let unclear = Match::Unclear(shown.to_vec());
    let a = on_board("a", (0, 0, false), "rook", SENT);
    let there = [a.clone(), on_board("b", (0, 1, true), "rook", SENT)];
    assert_eq!(matched(&mine, &there), [unclear.clone(), unclear.clone(), unclear.clone()]);
    // Nor is it sent again because nothing is left of them.
    assert_eq!(matched(&mine[..2], &[a]), [unclear.clone(), unclear.clone()]);
    assert_eq!(matched(&mine[..2], &[]), [unclear.clone(), unclear]);
}

proptest! {
    /// Whatever was carried out and whoever else was at work: nobody's entity is adopted, none is
    /// adopted twice, and where nobody else created the same, each create finds its own.
    #[test]
    fn every_create_finds_its_own_or_none(
        sent in prop::collection::vec(((0u8..2, 0u8..2, any::<bool>()), any::<bool>()), 1..7),
        others in prop::collection::vec(
            ((0u8..2, 0u8..2, any::<bool>()), prop::sample::select(vec!["mei", "rook"]), 0i64..200, any::<bool>()),
            0..6,
        ),
    ) {
        let mut there = Vec::new();
        // What was there before, or is of somebody else's making, though it may look the same.
        let mut foreign = BTreeSet::new();
        // What the same person created by hand after the creates were sent.
        let mut by_hand = false;
        let mut known = Vec::new();
        for (n, (says, by, second, is_known)) in others.iter().enumerate() {
            let id = format!("other{n}");
            there.push(on_board(&id, *says, by, *second));
            if *is_known && *second < SENT {
                known.push(id.clone());
            }
            if *by != "rook" || *second < SENT - 1 {
                foreign.insert(id);
            } else {
                by_hand = true;
            }
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let all: Vec<Lost> =
            sent.iter().enumerate().map(|(n, (says, _))| lost(n, *says, &known)).collect();
        let mut made: BTreeMap<(u8, u8, bool), usize> = BTreeMap::new();
        for (n, (says, done)) in sent.iter().enumerate() {
            if *done {
                there.push(on_board(&format!("ours{n}"), *says, "rook", SENT));
                *made.entry(*says).or_default() += 1;
            }
        }
        let results = matched(&all, &there);
        let mut adopted = BTreeSet::new();
        for ((says, _), result) in sent.iter().zip(&results) {
            let Match::Found(id) = result else { continue };
            prop_assert!(!foreign.contains(id), "somebody else's: {id}");
            prop_assert!(!known.contains(&id.as_str()), "known before: {id}");
            prop_assert!(adopted.insert(id.clone()), "adopted twice: {id}");
            let Some(Candidate::Task(task)) = there.iter().find(|candidate| candidate.id() == id) else {
                panic!("not there")
            };
            let wanted = self::task("new", *says);
            prop_assert_eq!((&task.title, &task.bucket), (&wanted.title, &wanted.bucket));
            prop_assert!(wanted.due.is_none() || task.due == wanted.due);
        }
        if !by_hand {
            for (says, n) in made {
                let own = sent.iter().zip(&results).filter(|((sent, _), _)| *sent == says);
                let found = own.filter(|(_, result)| matches!(result, Match::Found(_))).count();
                prop_assert_eq!(found, n, "each that was carried out is found");
            }
        }
        // As many are sent again as are not there: never more.
        for says in sent.iter().map(|sent| sent.0).collect::<BTreeSet<_>>() {
            let of = || sent.iter().zip(&results).filter(|((sent, _), _)| *sent == says);
            let again = of().filter(|(_, result)| **result == Match::Nothing).count();
            let not_done = of().filter(|((_, done), _)| !done).count();
            prop_assert!(again <= not_done, "{again} are sent again, {not_done} are not there");
        }
    }
}
