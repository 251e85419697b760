//! Rules of injected faults, as data: which requests, how often, and what happens to them.
//!
//! Only what can be said about a rule by itself. Counting is `faults`' business.

use serde_json::Value;

/// The longest delay, in milliseconds.
const MAX_LATENCY_MS: u64 = 600_000;

/// One rule. A request that several rules match meets them in order, up to the first that
/// decides its answer.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The verb, without case; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What the path with its query contains somewhere, as it was sent; anything if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The first matching request that is affected; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// How many requests are affected; one if `nth` is given, else all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// The share of matching requests that is affected, 0 to 1; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Which of them: equal seeds affect the same places in the sequence.
    #[serde(default)]
    pub seed: u64,
    /// What happens.
    pub action: Action,
}

impl FaultRule {
    /// Returns the rule that does this to every request.
    pub fn new(action: Action) -> Self {
        Self { method: None, path: None, nth: None, times: None, rate: None, seed: 0, action }
    }

    /// Narrows the rule to a verb and to paths that contain a text.
    #[must_use]
    pub fn on(self, method: &str, path: &str) -> Self {
        Self { method: Some(method.to_owned()), path: Some(path.to_owned()), ..self }
    }

    /// Narrows the rule to its n-th match.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self { nth: Some(nth), ..self }
    }

    /// Narrows the rule to so many matches.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    ///
    /// If a number is out of range or a header value impossible.
    pub fn check(&self) -> Result<(), InvalidRule> {
        if self.nth == Some(0) {
            return Err(InvalidRule("`nth` counts from 1"));
        }
        if self.rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
            return Err(InvalidRule("`rate` is between 0 and 1"));
        }
        self.action.check()
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Spelled", into = "Spelled")]
pub enum Action {
    /// It is carried out at once and answered this much later.
    LatencyMs(u64),
    /// It is refused and not carried out.
    Status {
        /// The status, 400 to 599.
        status: u16,
        /// The `Retry-After` header, verbatim.
        retry_after: Option<String>,
    },
    /// The connection is closed; it is not carried out.
    DropBefore,
    /// It is carried out and the connection is closed without an answer.
    DropAfter,
    /// It is carried out and answered as if it had failed.
    StatusAfter {
        /// The status, 400 to 599.
        status: u16,
        /// The `Retry-After` header, verbatim.
        retry_after: Option<String>,
    },
    /// It is carried out and the answer's body ends half way.
    Truncate,
    /// Somebody else's change is carried out just before it.
    Edit(Edit),
}

impl Action {
    /// Says whether the action decides the answer, so that no later rule is asked.
    pub(crate) fn decides(&self) -> bool {
        !matches!(self, Self::LatencyMs(_) | Self::Edit(_))
    }

    /// Says whether the action needs a connection of the request's own; one of a batch has none.
    pub(crate) fn cuts(&self) -> bool {
        matches!(self, Self::DropBefore | Self::DropAfter | Self::Truncate)
    }

    fn check(&self) -> Result<(), InvalidRule> {
        match self {
            Self::LatencyMs(ms) if *ms > MAX_LATENCY_MS => {
                Err(InvalidRule("`latency_ms` is at most 600000"))
            }
            Self::Status { status, retry_after } | Self::StatusAfter { status, retry_after } => {
                let is_header = |text: &String| text.bytes().all(|it| (0x20..0x7F).contains(&it));
                if !(400..600).contains(status) {
                    Err(InvalidRule("a status is between 400 and 599"))
                } else if retry_after.as_ref().is_some_and(|text| !is_header(text)) {
                    Err(InvalidRule("`retry_after` cannot be sent in a header"))
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }
}

/// A change that another user makes.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The principal name of that user.
    pub user: String,
    /// What is changed, relative to the service root; if absent, what the request addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The body of the PATCH.
    pub body: Value,
}

/// Why a rule makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRule(&'static str);

/// An action as JSON spells it: exactly one of its members, and `retry_after` beside a status.
#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Spelled {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_after: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drop_before: Option<True>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drop_after: Option<True>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    truncate: Option<True>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edit: Option<Edit>,
}

/// The value `true`; an action that is spelled `false` would say nothing.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "bool", into = "bool")]
struct True;

impl TryFrom<bool> for True {
    type Error = InvalidRule;

    fn try_from(value: bool) -> Result<Self, InvalidRule> {
        if value { Ok(Self) } else { Err(InvalidRule("an action is `true` or absent")) }
    }
}

impl From<True> for bool {
    fn from(_: True) -> Self {
        true
    }
}

impl TryFrom<Spelled> for Action {
    type Error = InvalidRule;

    fn try_from(it: Spelled) -> Result<Self, InvalidRule> {
        let retry_after = it.retry_after;
        let has_status = it.status.is_some() || it.status_after.is_some();
        let mut named = [
            it.latency_ms.map(Self::LatencyMs),
            it.status.map(|status| Self::Status { status, retry_after: retry_after.clone() }),
            it.status_after
                .map(|status| Self::StatusAfter { status, retry_after: retry_after.clone() }),
            it.drop_before.map(|_| Self::DropBefore),
            it.drop_after.map(|_| Self::DropAfter),
            it.truncate.map(|_| Self::Truncate),
            it.edit.map(Self::Edit),
        ]
        .into_iter()
        .flatten();
        let (Some(action), None) = (named.next(), named.next()) else {
            return Err(InvalidRule(
                "an action is exactly one of `latency_ms`, `status`, `status_after`, \
                 `drop_before`, `drop_after`, `truncate`, `edit`",
            ));
        };
        if retry_after.is_some() && !has_status {
            return Err(InvalidRule("`retry_after` belongs to `status` or `status_after`"));
        }
        action.check()?;
        Ok(action)
    }
}

impl From<Action> for Spelled {
    fn from(action: Action) -> Self {
        let none = Self::default();
        match action {
            Action::LatencyMs(ms) => Self { latency_ms: Some(ms), ..none },
            Action::Status { status, retry_after } => {
                Self { status: Some(status), retry_after, ..none }
            }
            Action::StatusAfter { status, retry_after } => {
                Self { status_after: Some(status), retry_after, ..none }
            }
            Action::DropBefore => Self { drop_before: Some(True), ..none },
            Action::DropAfter => Self { drop_after: Some(True), ..none },
            Action::Truncate => Self { truncate: Some(True), ..none },
            Action::Edit(edit) => Self { edit: Some(edit), ..none },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Action, FaultRule};

    #[test]
    fn rules_are_read_as_they_are_shown() {
        for action in [
            json!({ "latency_ms": 5 }),
            json!({ "status": 429, "retry_after": "2.128" }),
            json!({ "status": 503 }),
            json!({ "status_after": 500 }),
            json!({ "drop_before": true }),
            json!({ "drop_after": true }),
            json!({ "truncate": true }),
            json!({ "edit": { "user": "a@b", "path": "/planner/tasks/x", "body": {} } }),
        ] {
            let rule = json!({ "method": "PATCH", "rate": 0.5, "seed": 7, "action": action });
            let read: FaultRule = serde_json::from_value(rule.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), rule);
        }
    }

    #[test]
    fn an_action_is_exactly_one_thing() {
        for action in [
            json!({}),
            json!({ "latency_ms": 1, "truncate": true }),
            json!({ "truncate": false }),
            json!({ "status": 200 }),
            json!({ "status": 429, "retry_after": "a\nb" }),
            json!({ "latency_ms": 1, "retry_after": "1" }),
            json!({ "explode": true }),
            json!("drop_after"),
        ] {
            assert!(serde_json::from_value::<Action>(action.clone()).is_err(), "{action}");
        }
    }
}
