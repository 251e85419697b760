//! The messages of parsers in plain words: theirs speak of sequences, tokens and integer types.

/// The most names that a message lists.
const LISTED: usize = 30;

/// Messages that are told by another, whole.
const WHOLE: [(&str, &str); 12] = [
    ("invalid digit found in string", "it is not a whole number"),
    ("cannot parse integer from empty string", "a number is missing"),
    ("number too large to fit in target type", "the number is too large"),
    ("number too small to fit in target type", "the number is too small"),
    ("expected value", "a value is missing, or is not written as JSON has it"),
    ("trailing characters", "there is something more after its end"),
    ("trailing comma", "there is a comma before the end of a list or a map"),
    ("key must be a string", "a name must stand in double quotes"),
    ("expected `:`", "a `:` is missing after a name"),
    ("expected `,` or `}`", "a `,` or a `}` is missing"),
    ("expected `,` or `]`", "a `,` or a `]` is missing"),
    ("expected ident", "a value is missing, or is not written as JSON has it"),
];

/// Puts the message of a parser into plain words, without the place at its end. What is not known
/// stays as it is.
#[must_use]
pub fn in_words(message: &str) -> String {
    // Those who know the place show it by itself.
    let message = message.rfind(" at line ").and_then(|end| message.get(..end)).unwrap_or(message);
    let message = message.trim();
    if let Some((_, told)) = WHOLE.iter().find(|(raw, _)| *raw == message) {
        return (*told).to_owned();
    }
    let name = || message.split('`').nth(1).unwrap_or_default();
    let rest = |start: &str| message.strip_prefix(start);
    if message.starts_with("unknown field `") {
        return format!("there is no `{}` here{}", name(), listed(message));
    }
    if message.starts_with("unknown variant `") {
        return format!("`{}` is not known here{}", name(), listed(message));
    }
    if message.starts_with("missing field `") {
        return format!("`{}` is missing", name());
    }
    if message.starts_with("duplicate field `") {
        return format!("`{}` is there twice", name());
    }
    if message.starts_with("EOF while parsing") {
        return "it ends too early".to_owned();
    }
    if message.starts_with("control character") {
        return "a text goes beyond the end of its line, or has a control character".to_owned();
    }
    let sides = |text: &str| {
        let (found, wanted) = text.split_once(", expected ")?;
        Some((found_in_words(found), wanted_in_words(wanted)))
    };
    if let Some((found, wanted)) = rest("invalid type: ").and_then(sides) {
        return format!("{found} stands where {wanted} belongs");
    }
    if let Some((found, wanted)) = rest("invalid value: ").and_then(sides) {
        return format!("{found} is not {wanted}");
    }
    message.to_owned()
}

/// Returns the names that a message expects, as the end of a sentence.
fn listed(message: &str) -> String {
    let names = message.split_once("expected ").map_or("", |(_, names)| names);
    // Not every parser quotes them.
    let names: Vec<&str> = if names.contains('`') {
        names.split('`').skip(1).step_by(2).collect()
    } else {
        let names = names.strip_prefix("one of ").unwrap_or(names);
        names.split([',', ' ']).filter(|name| !matches!(*name, "" | "or")).collect()
    };
    let more = if names.len() > LISTED { ", …" } else { "" };
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("; there is only `{one}`"),
        many => {
            let names: Vec<&str> = many.iter().take(LISTED).copied().collect();
            format!("; there are `{}`{more}", names.join("`, `"))
        }
    }
}

fn found_in_words(found: &str) -> String {
    let value = || found.split('`').nth(1).unwrap_or_default();
    if let Some(text) = found.strip_prefix("string ") {
        return format!("the text {text}");
    }
    match found.split([' ', '`']).next().unwrap_or_default() {
        "integer" | "floating" => format!("the number {}", value()),
        "boolean" => format!("`{}`", value()),
        "sequence" => "a list".to_owned(),
        "map" => "a map".to_owned(),
        "null" | "unit" => "nothing".to_owned(),
        _ => found.to_owned(),
    }
}

fn wanted_in_words(wanted: &str) -> String {
    let first = wanted.split_whitespace().next().unwrap_or_default();
    let text = match (wanted, first) {
        ("a string" | "string", _) => "a text",
        ("a boolean" | "boolean", _) => "`true` or `false`",
        ("a sequence" | "sequence", _) => "a list",
        ("a map" | "map", _) | (_, "struct") => "a map",
        (_, "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize") => {
            "a whole number"
        }
        (_, "f32" | "f64") => "a number",
        _ => wanted,
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsers_speak_our_words() {
        for (raw, told) in [
            ("missing field `format` at line 1 column 2", "`format` is missing"),
            (
                "unknown field `titel`, expected one of `title`, `labels` at line 3 column 9",
                "there is no `titel` here; there are `title`, `labels`",
            ),
            (
                "invalid type: string \"3\", expected u32 at line 2 column 4",
                "the text \"3\" stands where a whole number belongs",
            ),
            (
                "invalid type: integer `3`, expected a string",
                "the number 3 stands where a text belongs",
            ),
            ("invalid type: map, expected a sequence", "a map stands where a list belongs"),
            ("invalid value: integer `-1`, expected usize", "the number -1 is not a whole number"),
            ("EOF while parsing a value at line 1 column 0", "it ends too early"),
            ("unknown variant `x`, expected `a`", "`x` is not known here; there is only `a`"),
            (
                "unknown field `x`, expected one of a, b_c",
                "there is no `x` here; there are `a`, `b_c`",
            ),
            ("something else at line 4 column 1", "something else"),
        ] {
            assert_eq!(in_words(raw), told);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_message_makes_it_panic(text in proptest::prelude::any::<String>()) {
            let _ = in_words(&text);
            let _ = in_words(&format!("unknown field `{text}"));
            let _ = in_words(&format!("invalid type: {text}, expected {text}"));
        }
    }
}
