//! The recording of runs. Each function is one transaction, on the disk when it returns, so that
//! nothing is sent that is not on record.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use serde_json::Value;

use crate::change::ChangeSet;
use crate::journal::canonical::canonical;
use crate::journal::entry::{
    Intent, Judgement, NewRun, Note, Outcome, RunId, RunStatus, Settled, StepId,
};
use crate::journal::error::Error;
use crate::journal::error::Fault;
use crate::journal::paused::not_paused;
use crate::journal::read::CLAIMED;
use crate::journal::row::{
    FinishRow, IntentRow, OutcomeRow, RoundRow, RunRow, core_of_note, small, summary, summary_of,
};
use crate::journal::{Adding, Journal};

impl Journal {
    /// Records that a run begins.
    ///
    /// # Errors
    /// The journal cannot be written, or already has the run.
    pub fn begin(&self, run: &NewRun) -> Result<(), Error> {
        self.add(|to| {
            if RunRow::find(to.on, run.id.as_str())?.is_some() {
                return Err(Fault::order(&run.id, "has begun before"));
            }
            let row = RunRow::from_new_run(run);
            let seq = to.record(row.core()?)?;
            row.insert(seq, to.on)
        })
    }

    /// Records a change set of a run and the rulings on it; returns the number of the round.
    ///
    /// A run has one round for each set that is judged: for each segment, and for each replay.
    /// Changes are numbered within their round.
    ///
    /// # Errors
    /// The journal cannot be written, or the run has not begun or has ended.
    pub fn judged(
        &self,
        run: &RunId,
        at: Timestamp,
        set: &ChangeSet,
        rulings: &Value,
        outcome: Judgement,
    ) -> Result<u32, Error> {
        self.add(|to| {
            let row = to.open_run(run)?;
            let sql = "SELECT coalesce(max(round), 0) + 1 FROM round WHERE run_id = ?1";
            let round: u32 =
                to.on.prepare_cached(sql)?.query_row([run.as_str()], |row| row.get(0))?;
            let change_set = serde_json::to_string(set)
                .map_err(|error| Fault::Damaged(format!("the change set: {error}")))?;
            let new = RoundRow {
                run: run.to_string(),
                round,
                at: at.to_string(),
                outcome: outcome.name().to_owned(),
                digest: set.digest(),
                change_set,
                rulings: rulings.to_string(),
            };
            let seq = to.record(new.core(&row)?)?;
            new.insert(seq, to.on)?;
            let sql = "INSERT INTO change (run_id, round, n, summary) VALUES (?1, ?2, ?3, ?4)";
            let mut insert = to.on.prepare_cached(sql)?;
            for change in set.changes() {
                let n = small(run, change.n)?;
                insert.execute(params![run.as_str(), round, n, canonical(&summary(change))])?;
            }
            Ok(round)
        })
    }

    /// Records requests that are about to be sent, in one go. None may be sent before this returns.
    ///
    /// # Errors
    /// The journal cannot be written; or an attempt does not fit: its round was not cleared,
    /// the run has ended, the attempt before it has no outcome yet, or was applied.
    pub fn intend(&self, run: &RunId, at: Timestamp, intents: &[Intent]) -> Result<(), Error> {
        self.go_on(run, at, &[], intents)
    }

    /// Records outcomes of attempts and requests that are about to be sent, in one go, so that a
    /// run waits for the disk only once for each request.
    ///
    /// # Errors
    /// As [`Journal::settle`] and [`Journal::intend`].
    pub fn go_on(
        &self,
        run: &RunId,
        at: Timestamp,
        settled: &[Settled],
        intents: &[Intent],
    ) -> Result<(), Error> {
        if settled.is_empty() && intents.is_empty() {
            return Ok(());
        }
        self.add(|to| {
            to.settle(run, at, settled)?;
            to.intend(run, at, intents)
        })
    }

    /// Records outcomes of attempts, in one go.
    ///
    /// An attempt can have several outcomes, even after the end of its run, as long as the earlier
    /// ones are [`Unknown`](Outcome::Unknown).
    ///
    /// # Errors
    /// The journal cannot be written; or an attempt was not recorded, or already has its outcome.
    pub fn settle(&self, run: &RunId, at: Timestamp, settled: &[Settled]) -> Result<(), Error> {
        self.go_on(run, at, settled, &[])
    }

    /// Records the end of a run, with its report.
    ///
    /// # Errors
    /// The journal cannot be written, or the run has not begun or has ended.
    pub fn finish(
        &self,
        run: &RunId,
        at: Timestamp,
        status: RunStatus,
        report: &Value,
    ) -> Result<(), Error> {
        self.add(|to| {
            let row = to.open_run(run)?;
            let new = FinishRow {
                run: run.to_string(),
                at: at.to_string(),
                status: status.name().to_owned(),
                report: report.to_string(),
            };
            let seq = to.record(new.core(&row)?)?;
            new.insert(seq, to.on)
        })
    }

    /// Records something in the audit log alone: an approval, a change of configuration.
    ///
    /// # Errors
    /// The journal cannot be written, or has no such run.
    pub fn note(&self, note: &Note) -> Result<(), Error> {
        self.add(|to| {
            let run = note.run.as_ref().map(|run| to.run(run)).transpose()?;
            to.record(core_of_note(note, run.as_ref())?)?;
            Ok(())
        })
    }
}

impl Adding<'_> {
    fn intend(&mut self, run: &RunId, at: Timestamp, intents: &[Intent]) -> Result<(), Fault> {
        if intents.is_empty() {
            return Ok(());
        }
        let row = self.open_run(run)?;
        // In the transaction of the intent: a pause that has been set is in force for it.
        if let Some(agent) = &row.agent {
            not_paused(self.on, agent)?;
        }
        for intent in intents {
            self.check_cleared(run, intent.step.round)?;
            self.check_turn(run, intent)?;
            let new = IntentRow::from_intent(run, at, intent)?;
            let change = self.change(run, &intent.step)?;
            let seq = self.record(new.core(&row, change)?)?;
            new.insert(seq, self.on)?;
        }
        Ok(())
    }

    fn settle(&mut self, run: &RunId, at: Timestamp, settled: &[Settled]) -> Result<(), Fault> {
        if settled.is_empty() {
            return Ok(());
        }
        let row = self.run(run)?;
        for result in settled {
            let step = &result.step;
            let (seq, last) = self.attempt(run, step, result.attempt)?.ok_or_else(|| {
                Fault::order(run, format!("{step}: attempt {} was not recorded", result.attempt))
            })?;
            if let Some(last) = last.filter(|outcome| outcome.is_final()) {
                let what = format!("{step}: attempt {} is already {last}", result.attempt);
                return Err(Fault::order(run, what));
            }
            let intent = self.intent(seq)?;
            if let Some(id) =
                result.entity_id.as_ref().filter(|_| result.outcome == Outcome::Applied)
            {
                // Looked up and claimed in one transaction, or two runs could claim the same
                // entity.
                self.claim(run, &intent, id)?;
            }
            let new = OutcomeRow::from_settled(seq, at, result);
            let change = self.change(run, step)?;
            let seq = self.record(new.core(&row, &intent, &change)?)?;
            new.insert(seq, self.on)?;
        }
        Ok(())
    }

    /// Checks that no other change is known to have created an entity. Only members are exempt:
    /// several runs may add the same person to a roster.
    fn claim(&self, run: &RunId, intent: &IntentRow, id: &str) -> Result<(), Fault> {
        let creates = intent.is_create() && !intent.step.starts_with("members/");
        if creates && self.on.prepare_cached(CLAIMED)?.exists([id])? {
            return Err(Fault::order(run, format!("`{id}` was created by another change")));
        }
        Ok(())
    }

    pub(crate) fn run(&self, run: &RunId) -> Result<RunRow, Fault> {
        RunRow::find(self.on, run.as_str())?
            .ok_or_else(|| Fault::Told(Error::NoRun(run.to_string())))
    }

    /// Returns a run that has not ended.
    fn open_run(&self, run: &RunId) -> Result<RunRow, Fault> {
        let row = self.run(run)?;
        let sql = "SELECT 1 FROM finish WHERE run_id = ?1";
        if self.on.prepare_cached(sql)?.exists([run.as_str()])? {
            return Err(Fault::order(run, "has ended"));
        }
        Ok(row)
    }

    fn check_cleared(&self, run: &RunId, round: u32) -> Result<(), Fault> {
        let sql = "SELECT outcome FROM round WHERE run_id = ?1 AND round = ?2";
        let outcome: Option<String> = self
            .on
            .prepare_cached(sql)?
            .query_row(params![run.as_str(), round], |row| row.get(0))
            .optional()?;
        match outcome.as_deref().and_then(Judgement::parse) {
            Some(judgement) if judgement.is_clear() => Ok(()),
            Some(other) => Err(Fault::order(run, format!("round {round} is {other}"))),
            None => Err(Fault::order(run, format!("there is no round {round}"))),
        }
    }

    /// Checks that an attempt may follow the one before it: that one is known not to be on the
    /// board, or its outcome was looked for.
    fn check_turn(&self, run: &RunId, intent: &Intent) -> Result<(), Fault> {
        let (step, attempt) = (&intent.step, intent.attempt);
        let wrong =
            |what: &str| Err(Fault::order(run, format!("{step}: attempt {attempt} {what}")));
        if self.attempt(run, step, attempt)?.is_some() {
            return wrong("was recorded before");
        }
        if attempt <= 1 {
            return if attempt == 1 { Ok(()) } else { wrong("does not count from 1") };
        }
        match self.attempt(run, step, attempt - 1)? {
            None => wrong("is not the next"),
            Some((_, None)) => wrong("follows one without an outcome"),
            Some((_, Some(Outcome::Applied))) => wrong("follows one that was applied"),
            Some((_, Some(_))) => Ok(()),
        }
    }

    /// Returns the number of an attempt's record, and its last outcome.
    fn attempt(
        &self,
        run: &RunId,
        step: &StepId,
        attempt: u32,
    ) -> Result<Option<(i64, Option<Outcome>)>, Fault> {
        let sql = "SELECT intent.seq,
                (SELECT outcome FROM outcome WHERE intent_seq = intent.seq
                 ORDER BY seq DESC LIMIT 1)
            FROM intent
            WHERE run_id = ?1 AND round = ?2 AND n = ?3 AND step = ?4 AND attempt = ?5";
        let key = params![run.as_str(), step.round, small(run, step.n)?, step.step, attempt];
        let found: Option<(i64, Option<String>)> = self
            .on
            .prepare_cached(sql)?
            .query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.map(|(seq, outcome)| (seq, outcome.as_deref().and_then(Outcome::parse))))
    }

    fn intent(&self, seq: i64) -> Result<IntentRow, Fault> {
        let sql = format!("SELECT {} FROM intent WHERE seq = ?1", IntentRow::COLUMNS);
        Ok(self.on.prepare_cached(&sql)?.query_row([seq], IntentRow::read)?)
    }

    fn change(&self, run: &RunId, step: &StepId) -> Result<Value, Fault> {
        summary_of(self.on, run.as_str(), (step.round, small(run, step.n)?))?
            .ok_or_else(|| Fault::order(run, format!("{step}: there is no such change")))
    }
}
