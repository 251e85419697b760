//! Schedules: the skills that run by the clock, as people see and steer them (design.md 8).

pub(crate) mod entry;
pub(crate) mod firing;

use jiff::{Timestamp, Zoned};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::app::error::AppError;
use crate::app::inbox::failed;
use crate::app::schedules::entry::{Order, Sender, scope, submit};
use crate::app::schedules::firing::{SchedulePause, Which, set_pause, standing};
use crate::app::settings::Service;
use crate::app::workspace::place;
use crate::host::SystemClock;
use crate::host::similar::{did_you_mean, nearest};
use crate::journal::inbox::InboxEntry;
use crate::journal::{Note, NoteKind};
use crate::model::{Clock as _, User};
use crate::script::Workspace;
use crate::script::workspace::automation::{Automation, Schedule};

/// The most characters of a reason.
const MAX_REASON: usize = 1_000;

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
    /// The rule for the times at which nothing ran: `run_once` or `skip`.
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

/// Returns what runs by itself in a workspace. Without a folder of one's own there are the schedules of
/// the shipped skills, which are for the demo board: on somebody's real boards nothing runs by itself
/// that nobody has written down.
pub(crate) fn automation(workspace: &Workspace, service: &Service) -> Automation {
    match (&workspace.root, service) {
        (None, Service::Graph { .. }) => Automation::default(),
        _ => Automation::of(workspace),
    }
}

impl App {
    /// Returns what runs by itself.
    ///
    /// # Errors
    /// No service is chosen.
    pub(crate) fn automation(&self) -> Result<Automation, AppError> {
        Ok(automation(&self.workspace, &self.settings.service()?))
    }

    /// Returns what stands for this workspace at the service in shared names.
    fn scope(&self) -> Result<String, AppError> {
        Ok(scope(&self.settings.service()?.name(), &place(&self.workspace)))
    }

    fn schedule(&self, name: &str) -> Result<Schedule, AppError> {
        let mut automation = self.automation()?;
        if let Some(found) = automation.schedules.remove(name) {
            return Ok(found);
        }
        let place = format!("[schedules.{name}] ");
        if let Some(wrong) = automation.mistakes.iter().find(|one| one.place.starts_with(&place)) {
            return Err(wrong.failure().into());
        }
        let near = nearest(name, automation.schedules.keys().map(String::as_str));
        let hint = match near.as_slice() {
            [] => "`planwright schedule list` lists the schedules".to_owned(),
            near => did_you_mean(near),
        };
        Err(AppError::new("not_found", format!("there is no schedule `{name}`")).hint(hint))
    }

    /// Returns the schedules of the workspace, by name, with where each stands.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn schedules(&self, now: Timestamp) -> Result<Vec<ScheduleView>, AppError> {
        let journal = self.state_folder()?.open_to_read()?;
        let scope = self.scope()?;
        let mut views = Vec::new();
        for (name, schedule) in self.automation()?.schedules {
            let standing = match &journal {
                Some(journal) => {
                    standing(journal, Which { scope: &scope, name: &name })
                        .map_err(|error| failed(&error))?
                        .0
                }
                None => firing::Standing::default(),
            };
            let entry = match (&journal, &standing.last) {
                (Some(journal), Some(last)) => {
                    journal.inbox_entry(&last.entry).map_err(|error| failed(&error))?
                }
                _ => None,
            };
            let last = standing.last.map(|last| LastTime {
                due: last.due,
                run_id: entry.as_ref().and_then(|entry| Some(entry.run.as_ref()?.to_string())),
                state: entry.map_or_else(|| "gone".to_owned(), |entry| entry.state.to_string()),
                entry: last.entry,
            });
            let next = schedule.cron.next(&schedule.zone, now);
            let next = next.filter(|_| standing.paused.is_none());
            views.push(ScheduleView {
                time_zone: schedule.zone_name().to_owned(),
                next: next.map(|next| next.to_zoned(schedule.zone.clone())),
                cron: schedule.cron.as_str().to_owned(),
                missed: schedule.missed.name(),
                skill: schedule.skill,
                source: schedule.source,
                agent: schedule.agent,
                params: schedule.params,
                overlap: schedule.overlap,
                jitter_seconds: schedule.jitter_seconds,
                paused: standing.paused,
                last,
                name,
            });
        }
        Ok(views)
    }

    /// Returns the next times of the schedules, or of one of them: as many of each, in order.
    ///
    /// # Errors
    /// There is none of the name, or the journal cannot be read.
    pub(crate) fn next_times(
        &self,
        only: Option<&str>,
        count: usize,
        now: Timestamp,
    ) -> Result<Vec<(ScheduleView, Zoned)>, AppError> {
        if let Some(name) = only {
            self.schedule(name)?;
        }
        let automation = self.automation()?;
        let mut times = Vec::new();
        for view in self.schedules(now)? {
            let is_wanted = only.is_none_or(|name| name == view.name) && view.paused.is_none();
            let Some(schedule) = automation.schedules.get(&view.name).filter(|_| is_wanted) else {
                continue;
            };
            for due in schedule.cron.due(&schedule.zone, now, Timestamp::MAX, count) {
                times.push((view.clone(), due.to_zoned(schedule.zone.clone())));
            }
        }
        times.sort_by_key(|(_, due)| due.timestamp());
        Ok(times)
    }

    /// Keeps a schedule from firing until it is resumed.
    ///
    /// # Errors
    /// There is none of the name, or the journal cannot be written.
    pub(crate) fn pause_schedule(
        &self,
        who: &User,
        name: &str,
        reason: Option<&str>,
    ) -> Result<(), AppError> {
        self.schedule(name)?;
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        if reason.is_some_and(|reason| reason.chars().count() > MAX_REASON) {
            let message = format!("the reason is longer than {MAX_REASON} characters");
            return Err(AppError::usage(message));
        }
        let (at, by, reason) = (SystemClock.now(), who.upn.clone(), reason.map(str::to_owned));
        let pause = SchedulePause { at, by, reason };
        let note = note(NoteKind::Paused, who, name, &pause);
        let journal = self.state_folder()?.open()?;
        let which = Which { scope: &self.scope()?, name };
        set_pause(&journal, which, (Some(&pause), at), &note).map_err(|error| failed(&error))?;
        Ok(())
    }

    /// Lifts the pause of a schedule. Returns false if there was none.
    ///
    /// # Errors
    /// There is none of the name, or the journal cannot be written.
    pub(crate) fn resume_schedule(&self, who: &User, name: &str) -> Result<bool, AppError> {
        self.schedule(name)?;
        let (at, by) = (SystemClock.now(), who.upn.clone());
        let note = note(NoteKind::Unpaused, who, name, &SchedulePause { at, by, reason: None });
        let journal = self.state_folder()?.open()?;
        let which = Which { scope: &self.scope()?, name };
        set_pause(&journal, which, (None, at), &note).map_err(|error| failed(&error))
    }

    /// Puts the skill of a schedule into the inbox at once, besides its times.
    ///
    /// # Errors
    /// There is none of the name, or the journal cannot be written.
    pub(crate) fn run_schedule(&self, who: &User, name: &str) -> Result<InboxEntry, AppError> {
        let schedule = self.schedule(name)?;
        let by = Sender {
            service: self.settings.service()?.name(),
            workspace: place(&self.workspace),
            upn: who.upn.clone(),
        };
        let order = Order {
            skill: &schedule.skill,
            params: schedule.params,
            to: &schedule.agent,
            key: None,
            not_before: None,
            fence: None,
        };
        let journal = self.state_folder()?.open()?;
        submit(&journal, &by, order, SystemClock.now()).map_err(|error| failed(&error))
    }
}

fn note(kind: NoteKind, who: &User, schedule: &str, pause: &SchedulePause) -> Note {
    Note {
        kind,
        at: pause.at,
        run: None,
        actor: Some(who.id.clone()),
        name: who.upn.clone(),
        detail: json!({ "schedule": schedule, "reason": pause.reason }),
    }
}
