//! The schedules and triggers of a workspace, which run by themselves, from its configuration and its
//! skills.
//!
//! What a table says by itself is checked when the configuration is read. What it says of others (a
//! skill, an agent, its parameters) can be wrong without anything else being so, and comes back as a
//! list of mistakes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::host::Failure;
use crate::host::similar::similar;
use crate::model::time::Calendar;
use crate::model::{Cron, Missed};
use crate::script::workspace::manifest::Manifest;
use crate::script::workspace::tables::{ScheduleConfig, TriggerConfig, TriggerEvent};
use crate::script::workspace::{CONFIG_FILE, Workspace};

/// The agent of what runs by itself, where none is named.
pub const SCHEDULE_AGENT: &str = "schedule";
/// The most characters of the name of a schedule or trigger: it is part of keys.
const MAX_NAME: usize = 80;
/// The most seconds by which a run may begin late on purpose.
const MAX_JITTER: u32 = 3_600;

/// A schedule that can fire.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The skill to run.
    pub skill: String,
    /// The file that declares it.
    pub source: String,
    /// Its times.
    pub cron: Cron,
    /// The zone in which they are meant.
    pub zone: TimeZone,
    /// The agent that it runs as.
    pub agent: String,
    /// The parameters of the skill.
    pub params: Map<String, Value>,
    /// The rule for times at which nothing ran.
    pub missed: Missed,
    /// True if a run begins although the one before is not over.
    pub overlap: bool,
    /// The most seconds by which a run begins late.
    pub jitter_seconds: u32,
}

impl Schedule {
    /// Returns the name of its zone.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("the system's")
    }
}

/// A trigger that can fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The event that it waits for.
    pub on: TriggerEvent,
    /// The title or id of the plan.
    pub plan: String,
    /// The skill to run.
    pub skill: String,
    /// Further parameters of the skill.
    pub params: Map<String, Value>,
    /// The agent that it runs as.
    pub agent: String,
    /// The interval at which the plan is looked at.
    pub every: Duration,
}

/// A schedule or trigger that cannot fire, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The table: `[schedules.nightly]`.
    pub place: String,
    /// The fault.
    pub message: String,
    /// The remedy.
    pub hint: Option<String>,
}

impl Mistake {
    /// Returns it as an error.
    #[must_use]
    pub fn failure(&self) -> Failure {
        Failure {
            code: "config".into(),
            message: self.to_string(),
            hint: self.hint.clone(),
            ..Failure::default()
        }
    }
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All that runs by itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Automation {
    /// The schedules, by name.
    pub schedules: BTreeMap<String, Schedule>,
    /// The triggers, by name.
    pub triggers: BTreeMap<String, Trigger>,
    /// Those that cannot fire.
    pub mistakes: Vec<Mistake>,
}

impl Automation {
    /// Collects what a workspace declares. A skill of its own may name its times itself; a table of the
    /// skill's name takes the place of that. Of shipped skills, which are in every workspace, only the
    /// tables count: nobody gets a schedule that they have not written.
    #[must_use]
    pub fn of(workspace: &Workspace) -> Self {
        let mut all = Self::default();
        for (name, config) in &workspace.config.schedules {
            let place = format!("[schedules.{name}] in {CONFIG_FILE}");
            match schedule(workspace, name, config) {
                Ok(schedule) => drop(all.schedules.insert(name.clone(), schedule)),
                Err(wrong) => all.mistakes.push(wrong.at(place)),
            }
        }
        for (name, config) in &workspace.config.triggers {
            let place = format!("[triggers.{name}] in {CONFIG_FILE}");
            match trigger(workspace, name, config) {
                Ok(trigger) => drop(all.triggers.insert(name.clone(), trigger)),
                Err(wrong) => all.mistakes.push(wrong.at(place)),
            }
        }
        for (name, text) in &workspace.skills {
            let file = format!("skills/{name}.rhai");
            let is_taken = workspace.config.schedules.contains_key(name);
            if is_taken || !workspace.is_own(&file) || !text.contains("schedule") {
                continue;
            }
            // A manifest that cannot be read is told where scripts are checked.
            let Ok(Manifest { schedule: Some(cron), .. }) = Manifest::parse(text) else { continue };
            let config = ScheduleConfig {
                skill: name.clone(),
                cron,
                time_zone: None,
                params: Map::new(),
                agent: None,
                missed: Missed::default(),
                overlap: false,
                jitter_seconds: 0,
            };
            match schedule(workspace, name, &config) {
                Ok(schedule) => {
                    let schedule = Schedule { source: file, ..schedule };
                    drop(all.schedules.insert(name.clone(), schedule));
                }
                Err(wrong) => all.mistakes.push(wrong.at(format!("the schedule of {file}"))),
            }
        }
        all
    }

    /// Returns whether something that runs by itself puts a skill into the inbox of an agent.
    #[must_use]
    pub fn submits(&self, skill: &str, to: &str) -> bool {
        self.schedules.values().any(|one| one.skill == skill && one.agent == to)
            || self.triggers.values().any(|one| one.skill == skill && one.agent == to)
    }
}

/// A mistake whose place is not known yet.
struct Wrong(String, Option<String>);

impl Wrong {
    fn at(self, place: String) -> Mistake {
        Mistake { place, message: self.0, hint: self.1 }
    }
}

fn schedule(workspace: &Workspace, name: &str, config: &ScheduleConfig) -> Result<Schedule, Wrong> {
    check_name(name)?;
    let agent = agent(workspace, config.agent.as_deref(), &config.skill)?;
    check_params(workspace, &config.skill, &config.params)?;
    if config.jitter_seconds > MAX_JITTER {
        return Err(Wrong(format!("jitter_seconds is more than {MAX_JITTER}"), None));
    }
    Ok(Schedule {
        skill: config.skill.clone(),
        source: CONFIG_FILE.to_owned(),
        cron: config.cron.clone(),
        zone: zone(workspace, config.time_zone.as_deref())?,
        agent,
        params: config.params.clone(),
        missed: config.missed,
        overlap: config.overlap,
        jitter_seconds: config.jitter_seconds,
    })
}

fn trigger(workspace: &Workspace, name: &str, config: &TriggerConfig) -> Result<Trigger, Wrong> {
    check_name(name)?;
    let agent = agent(workspace, config.agent.as_deref(), &config.skill)?;
    let mut params = config.params.clone();
    for own in ["task", "event"] {
        if params.contains_key(own) {
            return Err(Wrong(format!("`params.{own}` is filled in by the trigger"), None));
        }
        params.insert(own.to_owned(), "x".into());
    }
    check_params(workspace, &config.skill, &params)?;
    if config.plan.trim().is_empty() {
        return Err(Wrong("the plan is empty".to_owned(), None));
    }
    Ok(Trigger {
        on: config.on,
        plan: config.plan.clone(),
        skill: config.skill.clone(),
        params: config.params.clone(),
        agent,
        every: config.every.0,
    })
}

fn check_name(name: &str) -> Result<(), Wrong> {
    if name.trim().is_empty()
        || name.chars().count() > MAX_NAME
        || name.chars().any(char::is_control)
    {
        let message = format!("a name has 1 to {MAX_NAME} characters, and none of control");
        return Err(Wrong(message, None));
    }
    Ok(())
}

fn did_you_mean<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = similar(wrong, names);
    (!near.is_empty()).then(|| format!("did you mean `{}`?", near.join("` or `")))
}

fn agent(workspace: &Workspace, name: Option<&str>, skill: &str) -> Result<String, Wrong> {
    let Some(name) = name else { return Ok(SCHEDULE_AGENT.to_owned()) };
    let agents = &workspace.config.agents;
    match agents.get(name) {
        None if agents.is_empty() || name == SCHEDULE_AGENT => {}
        None => {
            let near = did_you_mean(name, agents.keys().map(String::as_str));
            return Err(Wrong(format!("there is no agent `{name}`"), near));
        }
        Some(agent) => {
            let may = agent.skills.as_ref().is_none_or(|all| all.iter().any(|own| own == skill));
            if !may {
                let hint = format!("name it in `skills` of [agents.{name}]");
                let message = format!("the agent `{name}` may not run the skill `{skill}`");
                return Err(Wrong(message, Some(hint)));
            }
        }
    }
    Ok(name.to_owned())
}

fn zone(workspace: &Workspace, own: Option<&str>) -> Result<TimeZone, Wrong> {
    let Some(name) = own.or(workspace.config.time_zone.as_deref()) else {
        return Ok(TimeZone::system());
    };
    TimeZone::get(name).map_err(|_| {
        let hint = "time_zone is a name like \"Pacific/Auckland\"".to_owned();
        Wrong(format!("`{name}` is not a time zone"), Some(hint))
    })
}

fn check_params(
    workspace: &Workspace,
    skill: &str,
    params: &Map<String, Value>,
) -> Result<(), Wrong> {
    let Some(text) = workspace.skills.get(skill) else {
        let near = did_you_mean(skill, workspace.skills.keys().map(String::as_str));
        return Err(Wrong(format!("there is no skill `{skill}`"), near));
    };
    let wrong = |failure: Failure| Wrong(failure.message, failure.hint);
    let manifest = Manifest::parse(text).map_err(wrong)?;
    // Which day it is does not decide whether a value can be read.
    let calendar = Calendar::at(Timestamp::UNIX_EPOCH, TimeZone::UTC);
    manifest.checked(params, &calendar).map(drop).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::script::Config;

    const SKILL: &str = "//! Tidies.\n//!\n//! ```toml\n//! [params]\n//! days = { type = \"int\", default = 1 }\n//!\n//! [skill]\n//! schedule = \"0 9 * * MON-FRI\"\n//! ```\n";
    const ON_TASK: &str = "//! Greets.\n//!\n//! ```toml\n//! [params]\n//! task = { type = \"string\" }\n//! event = { type = \"string\" }\n//! ```\n";

    fn of(config: &str) -> Automation {
        let texts = [("skills/tidy.rhai", SKILL), ("skills/greet.rhai", ON_TASK)];
        let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let config = Config::parse(config).unwrap();
        Automation::of(&Workspace::of_texts(Some(Path::new("w")), config, &texts.into()))
    }

    #[test]
    fn a_skill_names_its_times_and_a_table_takes_their_place() {
        let own = of("time_zone = \"Europe/Berlin\"");
        assert_eq!(own.schedules.keys().collect::<Vec<_>>(), ["tidy"]);
        let tidy = &own.schedules["tidy"];
        assert_eq!((tidy.agent.as_str(), tidy.source.as_str()), ("schedule", "skills/tidy.rhai"));
        assert_eq!(tidy.zone_name(), "Europe/Berlin");
        let table = "[schedules.tidy]\nskill = \"tidy\"\ncron = \"0 7 * * *\"\ntime_zone = \"UTC\"\nas = \"rook\"\nparams = { days = 3 }\nmissed = \"skip\"\noverlap = true\njitter_seconds = 30\n";
        let tidy = &of(table).schedules["tidy"];
        assert_eq!((tidy.cron.as_str(), tidy.agent.as_str()), ("0 7 * * *", "rook"));
        assert_eq!((tidy.missed, tidy.overlap, tidy.jitter_seconds), (Missed::Skip, true, 30));
        assert_eq!(tidy.params["days"], 3);
        // Nobody gets a schedule that they have not written.
        assert!(!own.schedules.contains_key("morning_triage"));
        assert!(Automation::of(&Workspace::shipped()).schedules.contains_key("morning_triage"));
    }

    #[test]
    fn a_mistake_says_where_it_is_and_what_was_meant() {
        let one = |config: &str| {
            let found = of(config).mistakes;
            assert_eq!(found.len(), 1, "{config}: {found:?}");
            (found[0].to_string(), found[0].hint.clone().unwrap_or_default())
        };
        let (message, hint) = one("[schedules.x]\nskill = \"tidyy\"\ncron = \"0 7 * * *\"");
        assert_eq!(message, "[schedules.x] in planwright.toml: there is no skill `tidyy`");
        assert_eq!(hint, "did you mean `tidy`?");
        let rook = "[agents.rook]\nskills = [\"greet\"]\n";
        let with = |agent: &str| {
            format!("{rook}[schedules.x]\nskill = \"tidy\"\ncron = \"@daily\"\nas = \"{agent}\"")
        };
        assert_eq!(one(&with("rok")).1, "did you mean `rook`?");
        assert!(one(&with("rook")).0.contains("may not run the skill `tidy`"));
        let param = "[schedules.x]\nskill = \"tidy\"\ncron = \"@daily\"\nparams = { day = 1 }";
        assert!(one(param).0.contains("`day`"), "{:?}", one(param));
        let zone = "[schedules.x]\nskill = \"tidy\"\ncron = \"@daily\"\ntime_zone = \"Berlin\"";
        assert!(one(zone).0.contains("`Berlin` is not a time zone"));
        let trigger = "[triggers.t]\non = \"task.created\"\nplan = \"P\"\nskill = \"tidy\"";
        assert!(one(trigger).0.starts_with("[triggers.t]"), "{:?}", one(trigger));
        let good = of("[triggers.t]\non = \"task.moved\"\nplan = \"P\"\nskill = \"greet\"");
        assert_eq!((good.mistakes.len(), good.triggers["t"].every.as_secs()), (0, 60));
    }
}
