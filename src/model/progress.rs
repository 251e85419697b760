//! Progress and priority: numbers on the wire, words for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The progress of a task (planner-api.md 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// 0 on the wire.
    NotStarted,
    /// 1 to 99 on the wire; written as 50.
    InProgress,
    /// 100 on the wire.
    Completed,
}

impl Progress {
    /// Returns the state that a percentage stands for.
    #[must_use]
    pub const fn of_percent(percent: u8) -> Self {
        match percent {
            0 => Self::NotStarted,
            1..=99 => Self::InProgress,
            _ => Self::Completed,
        }
    }

    /// Returns the percentage to write for it.
    #[must_use]
    pub const fn percent(self) -> u8 {
        match self {
            Self::NotStarted => 0,
            Self::InProgress => 50,
            Self::Completed => 100,
        }
    }

    /// Returns its name in scripts and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
        }
    }

    /// All names, for messages.
    pub const NAMES: [&'static str; 3] = ["not_started", "in_progress", "completed"];

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::NotStarted, Self::InProgress, Self::Completed]
            .into_iter()
            .find(|progress| progress.name() == name)
    }

    /// Reads a completion as people write it: a name, whatever its case and what stands between its
    /// words, or a percentage such as `75` or `75%`.
    #[must_use]
    pub fn read_percent(text: &str) -> Option<u8> {
        let text = text.trim();
        let letters = text.chars().filter(|ch| !ch.is_whitespace() && !"_-".contains(*ch));
        let folded: String = letters.flat_map(char::to_lowercase).collect();
        let named = [Self::NotStarted, Self::InProgress, Self::Completed]
            .into_iter()
            .find(|progress| progress.name().replace('_', "") == folded);
        let by_number = || {
            let digits = text.strip_suffix('%').unwrap_or(text).trim_end();
            digits.parse().ok().filter(|percent| *percent <= 100)
        };
        named.map(Self::percent).or_else(by_number)
    }
}

/// A completion as somebody wrote it: a state by its name, or a percentage. 0, 50 and 100 are the states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion(u8);

impl Completion {
    /// Makes one of a percentage; more than 100 is 100.
    #[must_use]
    pub const fn of_percent(percent: u8) -> Self {
        Self(if percent > 100 { 100 } else { percent })
    }

    /// Returns the percentage to write for it.
    #[must_use]
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// Returns the state that it is, unless it is a percentage between.
    #[must_use]
    pub fn state(self) -> Option<Progress> {
        let state = Progress::of_percent(self.0);
        (state.percent() == self.0).then_some(state)
    }

    /// Returns it as it is written.
    #[must_use]
    pub fn text(self) -> String {
        self.state().map_or_else(|| self.0.to_string(), |state| state.name().to_owned())
    }

    /// Returns how a percentage compares with it: the same text if they agree, else a state.
    #[must_use]
    pub fn text_of(self, percent: u8) -> String {
        if self.0 == percent {
            return self.text();
        }
        Progress::of_percent(percent).name().to_owned()
    }
}

impl From<Progress> for Completion {
    fn from(state: Progress) -> Self {
        Self(state.percent())
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The priority of a task: 0 (most urgent) to 10 (planner-api.md 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Priority(u8);

impl Priority {
    /// The priority of a task that was given none: medium.
    pub const DEFAULT: Self = Self(5);

    /// All names, for messages.
    pub const NAMES: [&'static str; 4] = ["urgent", "important", "medium", "low"];

    /// Takes the number on the wire.
    #[must_use]
    pub const fn new(level: u8) -> Option<Self> {
        if level <= 10 { Some(Self(level)) } else { None }
    }

    /// Reads a name; the number is the one that Planner's own client writes.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(Self(match name {
            "urgent" => 1,
            "important" => 3,
            "medium" => 5,
            "low" => 9,
            _ => return None,
        }))
    }

    /// Reads a priority as people write it: a name, whatever its case, or a number from 0 to 10.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        Self::parse(&text.to_lowercase()).or_else(|| text.parse().ok().and_then(Self::new))
    }

    /// Returns the number on the wire.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.0
    }

    /// Returns the name of its range.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            0..=1 => "urgent",
            2..=4 => "important",
            5..=7 => "medium",
            _ => "low",
        }
    }
}

impl TryFrom<u8> for Priority {
    type Error = String;
    fn try_from(level: u8) -> Result<Self, String> {
        Self::new(level).ok_or_else(|| format!("priority {level} is not between 0 and 10"))
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for name in Progress::NAMES {
            let progress = Progress::parse(name).unwrap();
            assert_eq!(Progress::of_percent(progress.percent()), progress);
        }
        for name in Priority::NAMES {
            assert_eq!(Priority::parse(name).unwrap().name(), name);
        }
        assert_eq!(Progress::of_percent(1), Progress::InProgress);
        assert_eq!(Progress::of_percent(99), Progress::InProgress);
        assert_eq!(Priority::new(11), None);
    }

    #[test]
    fn what_people_write_is_read() {
        for (text, percent) in [
            ("Not started", Some(0)),
            ("in-progress", Some(50)),
            (" COMPLETED ", Some(100)),
            ("75", Some(75)),
            ("75 %", Some(75)),
            ("101", None),
            ("done", None),
            ("", None),
        ] {
            assert_eq!(Progress::read_percent(text), percent, "{text}");
        }
        assert_eq!(Priority::read("Urgent"), Priority::new(1));
        assert_eq!(Priority::read(" 7 "), Priority::new(7));
        assert_eq!(Priority::read("high"), None);
    }
}
