//! The dates of sheets: what order day and month are in, said by a person or by the dates.

use jiff::civil::Date;
use jiff::fmt::strtime;

/// A format that a person has given: `DD/MM/YYYY` or `%d/%m/%Y`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DateFormat(String);

/// The letters of a format without percent signs, and what they stand for.
const LETTERS: [(&str, &str); 8] = [
    ("D", "%d"),
    ("DD", "%d"),
    ("M", "%m"),
    ("MM", "%m"),
    ("MMM", "%b"),
    ("MMMM", "%B"),
    ("YY", "%y"),
    ("YYYY", "%Y"),
];

impl DateFormat {
    /// Reads a format.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let format =
            if text.contains('%') { Some(text.to_owned()) } else { Self::of_letters(text) };
        // It is one of dates if a date comes back from what it writes.
        format.map(Self).filter(Self::is_whole).ok_or_else(|| {
            format!("`{text}` is not a format of dates; it is like DD/MM/YYYY or %d/%m/%Y")
        })
    }

    fn of_letters(text: &str) -> Option<String> {
        let mut format = String::new();
        let mut rest = text.chars().peekable();
        while let Some(ch) = rest.next() {
            if !ch.is_alphanumeric() {
                format.push(ch);
                continue;
            }
            let mut letters = ch.to_uppercase().to_string();
            while rest.next_if(|next| next.eq_ignore_ascii_case(&ch)).is_some() {
                letters.push(ch.to_ascii_uppercase());
            }
            let (_, directive) = LETTERS.iter().find(|(name, _)| *name == letters)?;
            format.push_str(directive);
        }
        Some(format)
    }

    fn is_whole(&self) -> bool {
        let day = jiff::civil::date(2021, 11, 25);
        strtime::format(&self.0, day).is_ok_and(|text| self.read_exactly(&text) == Some(day))
    }

    /// Reads a date; a time may follow it.
    fn read(&self, text: &str) -> Option<Date> {
        let text = text.trim();
        if text.len() > MAX_DATE {
            return None;
        }
        // The format may have blanks of its own, so the time is looked for from the end.
        let ends = text.char_indices().rev().filter(|(_, ch)| BLANKS.contains(ch));
        [text.len()].into_iter().chain(ends.map(|(at, _)| at)).find_map(|end| {
            let (day, time) = text.split_at_checked(end)?;
            is_time(time).then(|| self.read_exactly(day)).flatten()
        })
    }

    fn read_exactly(&self, text: &str) -> Option<Date> {
        let date = strtime::parse(&self.0, text).and_then(|read| read.to_date()).ok()?;
        // Fewer digits are a year without its century, or something else.
        Some(date).filter(|date| date.year() >= 1000)
    }
}

/// The order of day and month where the year is last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// `24/12/2026`.
    DayFirst,
    /// `12/24/2026`.
    MonthFirst,
}

impl Order {
    /// Returns it as a format.
    pub(crate) const fn format(self) -> &'static str {
        match self {
            Self::DayFirst => "DD/MM/YYYY",
            Self::MonthFirst => "MM/DD/YYYY",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::DayFirst => Self::MonthFirst,
            Self::MonthFirst => Self::DayFirst,
        }
    }

    /// Returns whether a text is a date in this order only.
    pub(crate) fn is_only_one_of(self, text: &str) -> bool {
        in_order(text, self).is_some() && in_order(text, self.other()).is_none()
    }
}

/// The way in which the dates of a sheet are read. One with the year in front is always read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// As a person said.
    Given(DateFormat),
    /// As the dates themselves allow.
    Found(Order),
}

/// A date that can be read in two ways, in a sheet where all dates can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ambiguous {
    /// The place of the date among the texts.
    pub(crate) at: usize,
    /// The day, if the day is first.
    pub(crate) day_first: Date,
    /// The day, if the month is first.
    pub(crate) month_first: Date,
}

impl Way {
    /// Finds the one way that all dates of a sheet allow; where they contradict each other, that
    /// of the first one which allows only one.
    ///
    /// # Errors
    /// They allow both ways, which are not the same.
    pub(crate) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, Ambiguous> {
        let mut ambiguous = None;
        for (at, text) in texts.enumerate() {
            let day_first = in_order(text, Order::DayFirst);
            let month_first = in_order(text, Order::MonthFirst);
            match (day_first, month_first) {
                (Some(_), None) => return Ok(Self::Found(Order::DayFirst)),
                (None, Some(_)) => return Ok(Self::Found(Order::MonthFirst)),
                (Some(day_first), Some(month_first)) if day_first != month_first => {
                    let first = Ambiguous { at, day_first, month_first };
                    ambiguous = ambiguous.or(Some(first));
                }
                _ => {}
            }
        }
        ambiguous.map_or(Ok(Self::Found(Order::DayFirst)), Err)
    }

    /// Returns the order that was found, for a text that is a date in the other one.
    pub(crate) fn contradicts(&self, text: &str) -> Option<Order> {
        match self {
            Self::Found(order) if order.other().is_only_one_of(text) => Some(*order),
            _ => None,
        }
    }

    /// Reads a date.
    pub(crate) fn read(&self, text: &str) -> Option<Date> {
        let text = text.trim();
        iso(text).or_else(|| match self {
            Self::Given(format) => format.read(text),
            Self::Found(order) => in_order(text, *order),
        })
    }
}

/// The longest text that is taken for a date, in bytes.
const MAX_DATE: usize = 64;

/// Characters that may stand between a day and a time.
const BLANKS: [char; 4] = [' ', '\u{a0}', '\u{202f}', 'T'];

fn is_time(text: &str) -> bool {
    let fits = |ch: char| ch.is_ascii_digit() || ch.is_whitespace() || ":.APMapmTZ+-".contains(ch);
    text.chars().all(fits)
}

/// Returns the part of a text that is its day; `None` if something else than a time comes after.
fn day_of(text: &str) -> Option<&str> {
    let text = text.trim();
    let (day, time) = text.split_at_checked(text.find(BLANKS).unwrap_or(text.len()))?;
    is_time(time).then_some(day)
}

/// Splits a date into its three numbers.
fn numbers(text: &str) -> Option<[&str; 3]> {
    let day = day_of(text)?;
    let sign = day.chars().find(|ch| !ch.is_ascii_digit())?;
    if !"/.-".contains(sign) {
        return None;
    }
    let mut parts = day.split(sign);
    let found = [parts.next()?, parts.next()?, parts.next()?];
    let is_number = |part: &&str| {
        (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    (parts.next().is_none() && found.iter().all(is_number)).then_some(found)
}

fn date(year: &str, month: &str, day: &str) -> Option<Date> {
    if year.len() != 4 || month.len() > 2 || day.len() > 2 {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

fn iso(text: &str) -> Option<Date> {
    let [year, month, day] = numbers(text)?;
    date(year, month, day)
}

fn in_order(text: &str, order: Order) -> Option<Date> {
    let [first, second, year] = numbers(text)?;
    match order {
        Order::DayFirst => date(year, second, first),
        Order::MonthFirst => date(year, first, second),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn way(texts: &[&str]) -> Result<Way, Ambiguous> {
        Way::of(texts.iter().copied())
    }

    #[test]
    fn a_column_is_read_in_the_one_way_that_its_dates_allow() {
        let us = way(&["", "04/05/2021", "04/21/2021"]).unwrap();
        assert_eq!(us, Way::Found(Order::MonthFirst));
        assert_eq!(us.read("04/05/2021").unwrap().to_string(), "2021-04-05");
        let german = way(&["4.5.2021", "21.4.2021"]).unwrap();
        assert_eq!(german.read("4.5.2021").unwrap().to_string(), "2021-05-04");
        assert_eq!(german.read("4.21.2021"), None);
        for text in
            ["2021-05-04", "2021/5/4", "2021.05.04", "2021-05-04 10:30", "2021-05-04T09:00:00"]
        {
            assert_eq!(us.read(text).unwrap().to_string(), "2021-05-04", "{text}");
        }
        assert_eq!(us.read("4/5/2021 12:00:00 AM").unwrap().to_string(), "2021-04-05");
        for text in ["", "soon", "2021-02-30", "1/2", "1/2/3/2021", "04/05/21", "04/05/2021 x"] {
            assert_eq!(us.read(text), None, "{text}");
        }
    }

    #[test]
    fn two_ways_that_are_not_the_same_are_shown() {
        assert_eq!(way(&["05/05/2021", "2021-01-02"]), Ok(Way::Found(Order::DayFirst)));
        let ambiguous = way(&["05/05/2021", "04/05/2021", "06/05/2021"]).unwrap_err();
        let both = (ambiguous.day_first.to_string(), ambiguous.month_first.to_string());
        assert_eq!(
            (ambiguous.at, both.0.as_str(), both.1.as_str()),
            (1, "2021-05-04", "2021-04-05")
        );
    }

    #[test]
    fn a_person_can_say_the_format() {
        for (format, text) in [
            ("DD/MM/YYYY", "4/05/2021"),
            ("%d/%m/%Y", "04/05/2021"),
            ("M-D-YY", "5-4-21"),
            ("%m.%d.%y", "05.04.21"),
            ("YYYYMMDD", "20210504"),
            ("D. M. YYYY", "4. 5. 2021"),
            ("%d %b %Y", "4 May 2021"),
            ("MMMM D, YYYY", "May 4, 2021"),
            ("DD MM YYYY", "04 05 2021 10:30"),
        ] {
            let way = Way::Given(DateFormat::parse(format).unwrap());
            assert_eq!(
                way.read(text).map(|day| day.to_string()).as_deref(),
                Some("2021-05-04"),
                "{format}"
            );
            assert_eq!(way.read("2021-05-04").unwrap().to_string(), "2021-05-04");
        }
        for format in ["", "DD/MM", "DDD/MM/YYYY", "%q", "%d/%m", "%H:%M", "day"] {
            assert!(DateFormat::parse(format).is_err(), "{format}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), format in any::<String>()) {
            let _ = Way::of([text.as_str()].into_iter());
            let _ = Way::Found(Order::DayFirst).read(&text);
            if let Ok(format) = DateFormat::parse(&format) {
                let _ = Way::Given(format).read(&text);
            }
        }
    }
}
