//! `planwright.toml`: the configuration of a workspace.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::model::Limits;
use crate::policy::Caps;
use crate::script::budget::Budget;
use crate::script::workspace::tables::{ScheduleConfig, TriggerConfig};

/// The configuration of a workspace (design.md 4). Unknown names are errors: a typo in a safety
/// setting must not go unnoticed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The zone that decides what today is (an IANA name); the system's if absent.
    pub time_zone: Option<String>,
    /// True to use Graph's beta, which Microsoft may change without notice.
    pub beta: bool,
    /// The policies in force.
    pub policies: PolicyConfig,
    /// The limits of a run.
    pub limits: LimitConfig,
    /// The conditions of approvals.
    pub approvals: ApprovalConfig,
    /// The conditions under which scripts run.
    pub sandbox: SandboxConfig,
    /// What is kept between runs, and for how long.
    pub state: StateConfig,
    /// The settings of single plans, by title or id.
    pub plans: BTreeMap<String, PlanConfig>,
    /// The rights of each agent, by name.
    pub agents: BTreeMap<String, AgentConfig>,
    /// The skills that run by the clock, by name.
    pub schedules: BTreeMap<String, ScheduleConfig>,
    /// The skills that run on events of a board, by name.
    pub triggers: BTreeMap<String, TriggerConfig>,
    /// Planner's own limits, where a tenant's differ from the published ones.
    pub planner: Limits,
}

/// The `[policies]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyConfig {
    /// Names of policies in force for every run.
    pub always: Vec<String>,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self { always: vec!["agent_rules".to_owned()] }
    }
}

/// The `[sandbox]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxConfig {
    /// True if scripts run only where every wall around their process stands.
    pub required: bool,
}

/// The fewest days for which runs are kept: undo, budgets and conflicts rest on the last ones.
pub const MIN_KEEP_DAYS: u32 = 7;

/// The `[state]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct StateConfig {
    /// The days after which `serve` deletes what a run has left; never if absent.
    #[serde(deserialize_with = "keep_days")]
    pub keep_runs_days: Option<u32>,
}

fn keep_days<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let days = u32::deserialize(deserializer)?;
    if days < MIN_KEEP_DAYS {
        return Err(serde::de::Error::custom(format!("it is at least {MIN_KEEP_DAYS}")));
    }
    Ok(Some(days))
}

/// One `[plans."TITLE"]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct PlanConfig {
    /// Names of policies in force for every run that changes the plan, beside the others.
    pub policies: Vec<String>,
}

/// Text that the edits of a run may add, in KiB, unless something is set. The journal keeps what is
/// written eight times over (intent, outcome, audit), and a run may add a few MiB to it.
const EDITS_KIB: usize = 256;

/// The `[limits]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct LimitConfig {
    /// Changes a run may make (rule R5).
    pub max_changes: Option<usize>,
    /// Deletions a run may make (rule R5).
    pub max_deletes: Option<usize>,
    /// Operations of a script.
    pub operations: Option<u64>,
    /// Memory of a script, in MiB.
    pub memory_mib: Option<usize>,
    /// Output of a script, in KiB.
    pub output_kib: Option<usize>,
    /// Calls within calls of a script.
    pub calls: Option<usize>,
    /// The depth to which statements and expressions of a script may nest.
    pub expression_depth: Option<usize>,
    /// The number of times a script may query the service: each list, and each batch of details, is
    /// one.
    pub reads: Option<u64>,
    /// Entities that a script may edit before it is judged.
    pub max_edits: Option<usize>,
    /// The old name of `max_edits`, read with a warning.
    pub wishes: Option<usize>,
    /// Text that its edits may add, in KiB.
    pub edits_kib: Option<usize>,
    /// Time of a script, in seconds, waiting included.
    pub seconds: Option<u64>,
    /// Time of a script spent computing, in seconds.
    pub computing_seconds: Option<u64>,
    /// The time after which a create whose answer was lost is taken for not made, in seconds.
    pub quarantine_seconds: Option<u64>,
    /// The most writes sent in a second; if absent, as many as the service accepts.
    pub writes_per_second: Option<u32>,
    /// The most changes that an agent may make in a day, over all its runs (rule R5).
    pub changes_per_day: Option<u64>,
    /// The most runs that an agent may begin in an hour (rule R5).
    pub runs_per_hour: Option<u64>,
}

/// The `[approvals]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalConfig {
    /// True if nobody may approve what they have drafted themselves.
    pub four_eyes: bool,
    /// The hours that a held set waits for a person.
    pub expires_hours: u32,
}

impl Default for ApprovalConfig {
    fn default() -> Self {
        Self { four_eyes: false, expires_hours: 72 }
    }
}

impl ApprovalConfig {
    /// Returns the time that a held set waits for a person.
    #[must_use]
    pub const fn time(&self) -> Duration {
        Duration::from_secs(self.expires_hours as u64 * 3600)
    }
}

/// One `[agents.NAME]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// The profile whose sign-in it uses; the default one if absent.
    pub profile: Option<String>,
    /// Titles or ids of the plans it may see and touch (rule R4); all if absent.
    pub plans: Option<Vec<String>>,
    /// Names of policies in force for it, beside those for every run.
    pub policies: Vec<String>,
    /// Names of the skills that it may run; all if absent.
    pub skills: Option<Vec<String>>,
    /// True if it may run code of its own.
    pub scripts: bool,
    /// Its right to apply.
    pub may_apply: MayApply,
    /// Names of the agents that may submit to it.
    pub inbox: Vec<String>,
    /// True if it may delete without `--force` (rule R1).
    pub force: bool,
    /// The limits of its runs, where they differ from those for all.
    pub limits: LimitConfig,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            profile: None,
            plans: None,
            policies: Vec::new(),
            skills: None,
            scripts: true,
            may_apply: MayApply::Yes,
            inbox: Vec::new(),
            force: false,
            limits: LimitConfig::default(),
        }
    }
}

/// The right of an agent to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MayApply {
    /// It may apply what no rule or policy objects to.
    #[default]
    Yes,
    /// It may only preview.
    No,
    /// A person must approve each of its sets.
    Approved,
}

impl MayApply {
    /// Returns it as it is written in the configuration.
    #[must_use]
    pub fn value(self) -> serde_json::Value {
        match self {
            Self::Yes => true.into(),
            Self::No => false.into(),
            Self::Approved => "approved".into(),
        }
    }
}

impl<'de> Deserialize<'de> for MayApply {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::Boolean(true) => Ok(Self::Yes),
            toml::Value::Boolean(false) => Ok(Self::No),
            toml::Value::String(text) if text == "approved" => Ok(Self::Approved),
            _ => Err(serde::de::Error::custom("it is true, false or \"approved\"")),
        }
    }
}

impl LimitConfig {
    /// Returns the caps on changes.
    #[must_use]
    pub fn caps(&self) -> Caps {
        let default = Caps::default();
        Caps {
            max_changes: self.max_changes.unwrap_or(default.max_changes),
            max_deletes: self.max_deletes.unwrap_or(default.max_deletes),
        }
    }

    /// Returns the budgets of a script. Memory stays below what the stack is sized for.
    #[must_use]
    pub fn budget(&self) -> Budget {
        let default = Budget::default();
        let memory = self.memory_mib.map(|mib| mib.saturating_mul(1 << 20));
        Budget {
            operations: self.operations.unwrap_or(default.operations),
            memory: memory.unwrap_or(default.memory).min(96 << 20),
            output: self.output_kib.map_or(default.output, |kib| kib.saturating_mul(1 << 10)),
            computing: self.computing_seconds.map_or(default.computing, Duration::from_secs),
            calls: self.calls.unwrap_or(default.calls).min(default.calls),
            expression_depth: self.expression_depth.unwrap_or(default.expression_depth),
        }
    }

    /// Returns how often a script may query the service.
    #[must_use]
    pub fn max_reads(&self) -> u64 {
        self.reads.unwrap_or(5_000)
    }

    /// Returns how many entities a script may edit before it is judged.
    #[must_use]
    pub fn max_edits(&self) -> usize {
        self.max_edits.or(self.wishes).unwrap_or(2_000)
    }

    /// Returns how many bytes of text the edits of a run may add.
    #[must_use]
    pub fn max_edit_bytes(&self) -> usize {
        self.edits_kib.unwrap_or(EDITS_KIB).saturating_mul(1 << 10)
    }

    /// Returns how many changes an agent may make in a day.
    #[must_use]
    pub fn changes_per_day(&self) -> u64 {
        self.changes_per_day.unwrap_or(200)
    }

    /// Returns how many runs an agent may begin in an hour.
    #[must_use]
    pub fn runs_per_hour(&self) -> u64 {
        self.runs_per_hour.unwrap_or(120)
    }

    /// Returns these limits, with others in the place of those that are absent.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            max_changes: self.max_changes.or(other.max_changes),
            max_deletes: self.max_deletes.or(other.max_deletes),
            operations: self.operations.or(other.operations),
            memory_mib: self.memory_mib.or(other.memory_mib),
            output_kib: self.output_kib.or(other.output_kib),
            calls: self.calls.or(other.calls),
            expression_depth: self.expression_depth.or(other.expression_depth),
            reads: self.reads.or(other.reads),
            max_edits: self.max_edits.or(self.wishes).or(other.max_edits).or(other.wishes),
            wishes: None,
            edits_kib: self.edits_kib.or(other.edits_kib),
            seconds: self.seconds.or(other.seconds),
            computing_seconds: self.computing_seconds.or(other.computing_seconds),
            quarantine_seconds: self.quarantine_seconds.or(other.quarantine_seconds),
            writes_per_second: self.writes_per_second.or(other.writes_per_second),
            changes_per_day: self.changes_per_day.or(other.changes_per_day),
            runs_per_hour: self.runs_per_hour.or(other.runs_per_hour),
        }
    }
}

impl Config {
    /// Returns what is to be said of the configuration although it holds: old names.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let own = [("[limits]".to_owned(), &self.limits)];
        let agents = self.agents.iter();
        let agents = agents.map(|(name, agent)| (format!("[agents.{name}.limits]"), &agent.limits));
        let old = own.into_iter().chain(agents).filter(|(_, limits)| limits.wishes.is_some());
        old.map(|(table, _)| {
            format!("planwright.toml: `wishes` in {table} is called `max_edits` now")
        })
        .collect()
    }

    /// Returns how much a run may do: what is set for the agent, or else for all.
    #[must_use]
    pub fn limits_of(&self, agent: Option<&str>) -> LimitConfig {
        let of_agent = agent.and_then(|name| self.agents.get(name)).map(|agent| agent.limits);
        of_agent.unwrap_or_default().or(&self.limits)
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// The text is not TOML or has unknown names; the message shows the line.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_safe() {
        let config = Config::parse("").unwrap();
        assert_eq!(config.policies.always, ["agent_rules"]);
        assert_eq!(config.limits.caps(), Caps::default());
    }

    #[test]
    fn a_typo_in_a_setting_is_an_error() {
        for text in
            ["[limits]\nmax_change = 3", "[policy]\nalways = []", "[agents.rook]\nplan = []"]
        {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains("unknown field"), "{error}");
        }
    }

    #[test]
    fn an_agent_may_apply_what_a_person_approves() {
        let may = |value: &str| {
            Config::parse(&format!("[agents.rook]\nmay_apply = {value}"))
                .map(|config| config.agents["rook"].may_apply)
        };
        assert_eq!(may("true").unwrap(), MayApply::Yes);
        assert_eq!(may("false").unwrap(), MayApply::No);
        assert_eq!(may("\"approved\"").unwrap(), MayApply::Approved);
        let error = may("\"sometimes\"").unwrap_err().to_string();
        assert!(error.contains("true, false or \"approved\""), "{error}");
    }

    #[test]
    fn the_example_of_the_design_is_understood() {
        let text = r#"
            time_zone = "Pacific/Auckland"
            [policies]
            always = ["agent_rules"]
            [limits]
            max_changes = 200
            [agents.rook]
            plans = ["BOS Operations"]
            policies = ["agent_rules", "office_hours"]
            may_apply = true
        "#;
        let config = Config::parse(text).unwrap();
        assert_eq!(
            config.agents["rook"].plans.as_deref(),
            Some(&["BOS Operations".to_owned()][..])
        );
    }
}
