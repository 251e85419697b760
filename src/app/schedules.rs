//! Schedules: the skills that run by the clock, as people see and steer them (design.md 8).

use jiff::{Timestamp, Zoned};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::app::error::AppError;
use crate::journal::inbox::InboxEntry;
use crate::model::User;

/// A schedule, with where it stands.
#[derive(Debug, Clone)]
pub(crate) struct ScheduleView {
    /// Its name: that of its table, or of the skill that declares it.
    pub(crate) name: String,
    /// The skill that it runs.
    pub(crate) skill: String,
    /// The file that declares it: `planwright.toml`, or `skills/triage.rhai`.
    pub(crate) source: String,
    /// Its times, as they are written.
    pub(crate) cron: String,
    /// The zone in which they are meant.
    pub(crate) time_zone: String,
    /// The agent that it runs as.
    pub(crate) agent: String,
    /// The parameters of the skill.
    pub(crate) params: Map<String, Value>,
    /// What becomes of the times at which nothing ran: `run_once` or `skip`.
    pub(crate) missed: &'static str,
    /// True if a run begins although the one before is not over.
    pub(crate) overlap: bool,
    /// The most seconds by which a run begins late, so that not everything begins at once.
    pub(crate) jitter_seconds: u32,
    /// The pause in force.
    pub(crate) paused: Option<SchedulePause>,
    /// Its next time; `None` while it is paused, or if none comes.
    pub(crate) next: Option<Zoned>,
    /// Its last time, as far as it is known.
    pub(crate) last: Option<LastTime>,
}

/// The pause of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchedulePause {
    /// The moment it was set.
    pub(crate) at: Timestamp,
    /// The sign-in name of whoever set it.
    pub(crate) by: String,
    /// The reason that was given.
    pub(crate) reason: Option<String>,
}

/// The last time of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastTime {
    /// The moment at which it was due.
    pub(crate) due: Timestamp,
    /// The entry of the inbox that it became.
    pub(crate) entry: String,
    /// The run that was begun for it last.
    pub(crate) run_id: Option<String>,
    /// The state of the entry.
    pub(crate) state: String,
}

impl ScheduleView {
    /// Returns it as it is listed.
    pub(crate) fn listed(&self) -> Value {
        let last = self.last.as_ref().map(|last| {
            json!({
                "due": last.due, "entry": last.entry, "run_id": last.run_id, "state": last.state,
            })
        });
        let paused = self
            .paused
            .as_ref()
            .map(|pause| json!({ "at": pause.at, "by": pause.by, "reason": pause.reason }));
        json!({
            "name": self.name,
            "skill": self.skill,
            "source": self.source,
            "cron": self.cron,
            "time_zone": self.time_zone,
            "as": self.agent,
            "params": self.params,
            "missed": self.missed,
            "overlap": self.overlap,
            "jitter_seconds": self.jitter_seconds,
            "paused": paused,
            "next": self.next.as_ref().map(iso),
            "last": last,
        })
    }
}

/// Returns a moment as ISO 8601 with its offset: `2026-03-30T09:00:00+02:00`.
pub(crate) fn iso(moment: &Zoned) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

impl App {
    /// Returns the schedules of the workspace, by name, with where each stands.
    ///
    /// # Errors
    /// One is wrong, or the journal cannot be read.
    pub(crate) fn schedules(&self, _now: Timestamp) -> Result<Vec<ScheduleView>, AppError> {
        self.state_folder().map(|_| Vec::new())
    }

    /// Keeps a schedule from firing until it is resumed.
    ///
    /// # Errors
    /// There is none of the name, or the journal cannot be written.
    pub(crate) fn pause_schedule(
        &self,
        _who: &User,
        name: &str,
        _reason: Option<&str>,
    ) -> Result<(), AppError> {
        self.state_folder()?;
        Err(unknown(name))
    }

    /// Lifts the pause of a schedule. Returns false if there was none.
    ///
    /// # Errors
    /// There is none of the name, or the journal cannot be written.
    pub(crate) fn resume_schedule(&self, _who: &User, name: &str) -> Result<bool, AppError> {
        self.state_folder()?;
        Err(unknown(name))
    }

    /// Puts the skill of a schedule into the inbox at once, besides its times.
    ///
    /// # Errors
    /// There is none of the name, or the journal cannot be written.
    pub(crate) fn run_schedule(&self, _who: &User, name: &str) -> Result<InboxEntry, AppError> {
        self.state_folder()?;
        Err(unknown(name))
    }
}

fn unknown(name: &str) -> AppError {
    AppError::new("not_found", format!("there is no schedule `{name}`"))
        .hint("`planwright schedule list` lists the schedules")
}
