//! Results of calls: text for the model, and the same as data.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};

use crate::app::report_size::{fit, short_failure};
use crate::app::shown::{shortened, visible};
use crate::host::Failure;

/// The most bytes of the data of a result: a model reads along.
const MAX_DATA: usize = 256 << 10;
/// The most characters of the text of a result.
const MAX_TEXT: usize = 32 << 10;

/// The result of a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) data: Value,
    pub(crate) is_error: bool,
}

impl Answer {
    pub(crate) const fn new(text: String, data: Value) -> Self {
        Self { text, data, is_error: false }
    }

    /// Makes the result of a call that failed before it could do anything.
    pub(crate) fn failed(failure: &Failure) -> Self {
        let failure = for_agent(failure);
        let data = json!({ "status": "failed", "error": failure });
        Self { text: told(&failure), data, is_error: true }
    }
}

impl From<Answer> for CallToolResult {
    fn from(answer: Answer) -> Self {
        let mut result = Self::structured(fit(&answer.data, MAX_DATA));
        result.content = vec![ContentBlock::text(shortened(&answer.text, MAX_TEXT))];
        result.is_error = Some(answer.is_error);
        result
    }
}

/// Returns a failure as an agent gets it: what to type at a command line, and what would loosen the
/// rules, is for people.
pub(crate) fn for_agent(failure: &Failure) -> Failure {
    let for_people = ["planwright", "--", "-p ", "[limits]", "[agents", "[policies"];
    let mut failure = short_failure(failure);
    failure.hint = failure.hint.filter(|hint| !for_people.iter().any(|mark| hint.contains(mark)));
    failure
}

/// Returns a failure as lines.
pub(crate) fn told(failure: &Failure) -> String {
    let mut lines = vec![format!("error {}: {}", failure.code, visible(&failure.message))];
    if let Some(at) = &failure.at {
        let source = visible(at.source.trim());
        lines.push(format!("  at {}:{}:{}: {source}", at.file, at.line, at.column));
    }
    lines.extend(failure.causes.iter().map(|cause| format!("  because: {}", visible(cause))));
    lines.extend(failure.problems.iter().map(|problem| format!("  {}", visible(problem))));
    lines.extend(failure.hint.iter().map(|hint| format!("  hint: {}", visible(hint))));
    lines.join("\n")
}
