//! The `$search` of directory lists: quoted clauses of property and text, joined by AND or OR.
//!
//! planner-api.md 2.5. Names and descriptions are searched word by word, by the beginnings of
//! words; other properties by their own beginning.

use serde_json::{Map, Value};

use crate::emulator::state::graph_error::GraphError;

/// The length of the longest search that is evaluated, and the number of its clauses.
const MAX_LENGTH: usize = 2000;
const MAX_CLAUSES: usize = 50;

/// A search: alternatives, each a list of clauses that must all hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Search(Vec<Vec<Clause>>);

#[derive(Debug, PartialEq, Eq)]
struct Clause {
    property: String,
    /// In lower case.
    text: String,
}

impl Search {
    /// Reads a search.
    ///
    /// # Errors
    ///
    /// 400 if it is not understood.
    pub(crate) fn parse(text: &str) -> Result<Self, GraphError> {
        if text.len() > MAX_LENGTH {
            return Err(invalid("it is too long"));
        }
        let mut rest = text.trim();
        let mut alternatives = vec![Vec::new()];
        for _ in 0..MAX_CLAUSES {
            let (clause, tail) = clause(rest)?;
            if let Some(last) = alternatives.last_mut() {
                last.push(clause);
            }
            let tail = tail.trim_start();
            if tail.is_empty() {
                return Ok(Self(alternatives));
            }
            let (joint, more) = tail.split_once(char::is_whitespace).unwrap_or((tail, ""));
            match joint {
                // It binds tighter than `OR`.
                "AND" => (),
                "OR" => alternatives.push(Vec::new()),
                _ => return Err(invalid("clauses are joined by AND or OR")),
            }
            rest = more.trim_start();
        }
        Err(invalid("it has too many clauses"))
    }

    /// Returns the properties that are searched.
    pub(crate) fn properties(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(|clause| clause.property.as_str())
    }

    /// Returns whether a document is found.
    pub(crate) fn finds(&self, doc: &Map<String, Value>) -> bool {
        self.0.iter().any(|all| all.iter().all(|clause| clause.holds(doc)))
    }
}

impl Clause {
    fn holds(&self, doc: &Map<String, Value>) -> bool {
        let name = |member: &String| member.eq_ignore_ascii_case(&self.property);
        let value = doc.iter().find(|(member, _)| name(member)).map(|(_, value)| value);
        let begins = |text: &str| text.to_lowercase().starts_with(&self.text);
        match value {
            Some(Value::String(text)) if self.is_worded() => {
                let text = text.to_lowercase();
                let there: Vec<&str> = words(&text).collect();
                words(&self.text).all(|wanted| there.iter().any(|word| word.starts_with(wanted)))
            }
            Some(Value::String(text)) => begins(text),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).any(begins),
            _ => false,
        }
    }

    fn is_worded(&self) -> bool {
        ["displayName", "description"].iter().any(|name| name.eq_ignore_ascii_case(&self.property))
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Reads a clause, `"displayName:ana"`, and returns it with what follows.
fn clause(text: &str) -> Result<(Clause, &str), GraphError> {
    let open = text.strip_prefix('"').ok_or_else(|| invalid("a clause is in double quotes"))?;
    let (mut inner, mut rest) = (String::new(), open);
    loop {
        let at = rest.find(['"', '\\']).ok_or_else(|| invalid("a quote is not closed"))?;
        let (before, from) = rest.split_at(at);
        inner.push_str(before);
        let mut letters = from.chars();
        match (letters.next(), letters.as_str()) {
            // A quote or a backslash inside has a backslash before it.
            (Some('\\'), escaped) => {
                let mut letters = escaped.chars();
                inner.extend(letters.next());
                rest = letters.as_str();
            }
            (_, tail) => {
                rest = tail;
                break;
            }
        }
    }
    let (property, wanted) =
        inner.split_once(':').ok_or_else(|| invalid("a clause names a property before a colon"))?;
    let (property, wanted) = (property.trim(), wanted.trim());
    if property.is_empty() || wanted.is_empty() {
        return Err(invalid("a clause has a property and a text"));
    }
    let clause = Clause { property: property.to_owned(), text: wanted.to_lowercase() };
    // Without a word it would find everybody.
    if clause.is_worded() && words(&clause.text).next().is_none() {
        return Err(invalid("a clause has a property and a text"));
    }
    Ok((clause, rest))
}

fn invalid(reason: &str) -> GraphError {
    GraphError::new(400, "Request_BadRequest", format!("Invalid $search clause: {reason}."))
}

/// Returns the refusal of a search without the header of advanced queries (planner-api.md 2.5).
pub(crate) fn without_header() -> GraphError {
    GraphError::new(
        400,
        "Request_UnsupportedQuery",
        "Request with $search query parameter only works through MSGraph with a special request \
         header: 'ConsistencyLevel: eventual'",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::Search;

    #[test]
    fn searches_find_what_they_say() {
        let doc: Map<String, Value> = serde_json::from_value(json!({
            "displayName": "Ana-Maria O'Neil \"Nil\"", "mail": "ana@bos.example", "jobTitle": null,
            "proxyAddresses": ["SMTP:ana@bos.example"],
        }))
        .unwrap();
        for (text, expected) in [
            (r#""displayName:mar""#, Some(true)),
            (r#""displayName:neil ana""#, Some(true)),
            (r#""displayName:aria""#, Some(false)),
            (r#""displayName:\"nil\"""#, Some(true)),
            (r#""MAIL:ANA@""#, Some(true)),
            (r#""mail:bos""#, Some(false)),
            (r#""proxyAddresses:smtp:ana""#, Some(true)),
            (r#""jobTitle:x" OR "mail:ana" AND "displayName:ana""#, Some(true)),
            (r#""jobTitle:x" AND "mail:ana""#, Some(false)),
            ("displayName:ana", None),
            (r#""ana""#, None),
            (r#""displayName:""#, None),
            (r#""displayName:ana"#, None),
            (r#""displayName:ana" XOR "mail:x""#, None),
            (r#""displayName:ana" AND"#, None),
            ("", None),
        ] {
            let found = Search::parse(text).ok().map(|search| search.finds(&doc));
            assert_eq!(found, expected, "{text}");
        }
        let many = vec![r#""mail:a""#; 51].join(" AND ");
        assert!(Search::parse(&many).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_search_panics(text in ".{0,60}") {
            drop(Search::parse(&text));
        }
    }
}
