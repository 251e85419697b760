//! The dates of sheets: what order day and month are in, said by a person or by the dates.

use jiff::civil::Date;

/// A format that a person has given: `DD/MM/YYYY` or `%d/%m/%Y`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DateFormat(Vec<Part>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Day,
    Month,
    Year,
    ShortYear,
    Sign(char),
}

impl DateFormat {
    /// Reads a format.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a format of dates; it is like DD/MM/YYYY or %d/%m/%Y");
        let mut parts = Vec::new();
        let mut rest = text.trim().chars().peekable();
        while let Some(ch) = rest.next() {
            let part = match ch {
                '%' => match rest.next() {
                    Some('d' | 'e') => Part::Day,
                    Some('m') => Part::Month,
                    Some('Y') => Part::Year,
                    Some('y') => Part::ShortYear,
                    _ => return Err(wrong()),
                },
                'D' | 'd' | 'M' | 'm' | 'Y' | 'y' => {
                    let mut n = 1;
                    while rest.next_if(|next| next.eq_ignore_ascii_case(&ch)).is_some() {
                        n += 1;
                    }
                    match (ch.to_ascii_uppercase(), n) {
                        ('D', 1 | 2) => Part::Day,
                        ('M', 1 | 2) => Part::Month,
                        ('Y', 4) => Part::Year,
                        ('Y', 2) => Part::ShortYear,
                        _ => return Err(wrong()),
                    }
                }
                ch if ch.is_alphanumeric() => return Err(wrong()),
                ch => Part::Sign(ch),
            };
            parts.push(part);
        }
        let n = |wanted: &[Part]| parts.iter().filter(|part| wanted.contains(part)).count();
        let is_whole = n(&[Part::Day]) == 1
            && n(&[Part::Month]) == 1
            && n(&[Part::Year, Part::ShortYear]) == 1;
        if is_whole { Ok(Self(parts)) } else { Err(wrong()) }
    }

    fn read(&self, text: &str) -> Option<Date> {
        let (mut year, mut month, mut day) = (None, None, None);
        let mut rest = day_of(text)?;
        for part in &self.0 {
            let most = match part {
                Part::Sign(sign) => {
                    rest = rest.strip_prefix(*sign)?;
                    continue;
                }
                Part::Year => 4,
                _ => 2,
            };
            let n = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
            let (digits, after) = rest.split_at_checked(n)?;
            let number: i16 = digits.parse().ok()?;
            rest = after;
            match part {
                Part::Year => year = Some(number).filter(|_| n == 4),
                Part::ShortYear => year = Some(2000 + number).filter(|_| n == 2),
                Part::Month => month = i8::try_from(number).ok(),
                _ => day = i8::try_from(number).ok(),
            }
        }
        if rest.is_empty() { Date::new(year?, month?, day?).ok() } else { None }
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

/// The way in which the dates of a column are read. One with the year in front is always read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// As a person said.
    Given(DateFormat),
    /// As the dates themselves allow.
    Found(Order),
}

/// A date that can be read in two ways, in a column where all dates can.
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
    /// Finds the one way that all dates of a column allow; where they contradict each other, that
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

    /// Reads a date.
    pub(crate) fn read(&self, text: &str) -> Option<Date> {
        let text = text.trim();
        iso(text).or_else(|| match self {
            Self::Given(format) => format.read(text),
            Self::Found(order) => in_order(text, *order),
        })
    }
}

/// Returns the part of a text that is its day; `None` if something else than a time comes after.
fn day_of(text: &str) -> Option<&str> {
    let text = text.trim();
    let end = text.find([' ', '\u{a0}', '\u{202f}', 'T']).unwrap_or(text.len());
    let (day, time) = text.split_at_checked(end)?;
    let is_time =
        |ch: char| ch.is_ascii_digit() || ch.is_whitespace() || ":.APMapmTZ+-".contains(ch);
    time.chars().all(is_time).then_some(day)
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
        ] {
            let way = Way::Given(DateFormat::parse(format).unwrap());
            assert_eq!(
                way.read(text).map(|day| day.to_string()).as_deref(),
                Some("2021-05-04"),
                "{format}"
            );
            assert_eq!(way.read("2021-05-04").unwrap().to_string(), "2021-05-04");
        }
        for format in ["", "DD/MM", "DDD/MM/YYYY", "%q", "DD/MM/YYYY/DD", "day"] {
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
