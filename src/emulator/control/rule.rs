//! Rules of injected faults, as data: the requests they affect, how often, and with which action.
//!
//! A rule is checked by itself and keeps no state; `faults` counts.

use serde_json::Value;

/// The longest delay in milliseconds.
const MAX_LATENCY_MS: u64 = 600_000;

/// One rule. Several rules that match a request apply in order, up to the first that decides its
/// answer.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The verb, without case; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A text that the path with its query contains, as it was sent; any path if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The first matching request that is affected; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// The number of requests that are affected; one if `nth` is given, or else all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// The share of matching requests that are affected, from 0 to 1; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The seed of that choice: equal seeds affect the same places in the sequence.
    #[serde(default)]
    pub seed: u64,
    /// The action taken.
    pub action: Action,
}

impl FaultRule {
    /// Returns a rule that applies an action to every request.
    pub fn new(action: Action) -> Self {
        Self { method: None, path: None, nth: None, times: None, rate: None, seed: 0, action }
    }

    /// Limits the rule to a verb and to paths that contain a text.
    #[must_use]
    pub fn on(self, method: &str, path: &str) -> Self {
        Self { method: Some(method.to_owned()), path: Some(path.to_owned()), ..self }
    }

    /// Limits the rule to its n-th match.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self { nth: Some(nth), ..self }
    }

    /// Limits the rule to this many matches.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Checks what the types cannot express.
    ///
    /// # Errors
    ///
    /// If a number is out of range or a header value is impossible.
    pub fn check(&self) -> Result<(), InvalidRule> {
        if self.nth == Some(0) {
            return Err(InvalidRule("`nth` must be at least 1"));
        }
        if self.rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
            return Err(InvalidRule("`rate` must be between 0 and 1"));
        }
        self.action.check()
    }
}

/// The action taken on a request.
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
    /// It is carried out and the answer's body ends halfway.
    Truncate,
    /// Another user's change is made just before it.
    Edit(Edit),
}

impl Action {
    /// Returns whether the action decides the answer, so that later rules do not apply.
    pub(crate) fn decides(&self) -> bool {
        !matches!(self, Self::LatencyMs(_) | Self::Edit(_))
    }

    /// Returns whether the action needs a connection of its own, which a part of a batch lacks.
    pub(crate) fn cuts(&self) -> bool {
        matches!(self, Self::DropBefore | Self::DropAfter | Self::Truncate)
    }

    fn check(&self) -> Result<(), InvalidRule> {
        match self {
            Self::LatencyMs(ms) if *ms > MAX_LATENCY_MS => {
                Err(InvalidRule("`latency_ms` must be at most 600000"))
            }
            Self::Status { status, retry_after } | Self::StatusAfter { status, retry_after } => {
                let is_header =
                    |text: &String| text.bytes().all(|byte| (0x20..0x7F).contains(&byte));
                if !(400..600).contains(status) {
                    Err(InvalidRule("a status must be between 400 and 599"))
                } else if retry_after.as_ref().is_some_and(|text| !is_header(text)) {
                    Err(InvalidRule("`retry_after` must be a valid header value"))
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
    /// The path of the object, relative to the service root; if absent, that of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The body of the PATCH.
    pub body: Value,
}

/// The reason why a rule or another setting of the control API makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRule(pub(crate) &'static str);

/// An action as JSON spells it: exactly one of the members, and `retry_after` beside a status.
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

/// The value `true`; an action that is `false` would have no meaning.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "bool", into = "bool")]
struct True;

impl TryFrom<bool> for True {
    type Error = InvalidRule;

    fn try_from(value: bool) -> Result<Self, InvalidRule> {
        if value { Ok(Self) } else { Err(InvalidRule("an action must be `true` or absent")) }
    }
}

impl From<True> for bool {
    fn from(_: True) -> Self {
        true
    }
}

impl TryFrom<Spelled> for Action {
    type Error = InvalidRule;

    fn try_from(spelled: Spelled) -> Result<Self, InvalidRule> {
        let retry_after = spelled.retry_after;
        let has_status = spelled.status.is_some() || spelled.status_after.is_some();
        let mut named = [
            spelled.latency_ms.map(Self::LatencyMs),
            spelled.status.map(|status| Self::Status { status, retry_after: retry_after.clone() }),
            spelled
                .status_after
                .map(|status| Self::StatusAfter { status, retry_after: retry_after.clone() }),
            spelled.drop_before.map(|_| Self::DropBefore),
            spelled.drop_after.map(|_| Self::DropAfter),
            spelled.truncate.map(|_| Self::Truncate),
            spelled.edit.map(Self::Edit),
        ]
        .into_iter()
        .flatten();
        // `None` from the second call: no other action is named.
        let (Some(action), None) = (named.next(), named.next()) else {
            return Err(InvalidRule(
                "an action must be exactly one of `latency_ms`, `status`, `status_after`, \
                 `drop_before`, `drop_after`, `truncate`, `edit`",
            ));
        };
        if retry_after.is_some() && !has_status {
            return Err(InvalidRule("`retry_after` needs `status` or `status_after`"));
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
